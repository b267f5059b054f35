//! What can be had, where, and at which price.

use kontainer_engine::{Call, DriverError};
use secrecy::SecretString;

use super::prices::Prices;
use super::session::Session;
use crate::Settings;

/// One kind of machine in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The region, as `rackspace-spot-region` takes it.
    pub region: String,
    /// The server class, as `spot-server-class` and `on-demand-server-class` take it.
    pub class: String,
    /// Processors.
    pub cpu: String,
    /// Memory, such as `3.75GB`.
    pub memory: String,
    /// Graphics processors; empty where there are none.
    pub gpu: String,
    /// Whether new pools can be made of it now.
    pub available: bool,
    /// What it costs per hour.
    pub prices: Prices,
}

impl Offer {
    /// The lowest valid bid that wins at the prices of the last auction; empty where no price is known.
    pub fn bid(&self) -> String {
        self.prices.winning().map(|bid| bid.to_string()).unwrap_or_default()
    }
}

/// Everything that Rackspace offers now, sorted by region and class. Logs in with `refresh_token`, else with what the
/// settings hold; of the API's objects only lists are read, and the public price feed is not asked.
///
/// # Errors
///
/// Of class `Invalid` when there is no credential, else of the class of the request that failed.
pub async fn offers(
    settings: &Settings,
    call: &Call,
    refresh_token: Option<SecretString>,
) -> Result<Vec<Offer>, DriverError> {
    let session = Session::new(settings, call, refresh_token)?;
    let classes = session.client.server_classes().await;
    let classes = classes.map_err(|error| session.failed("read the list of server classes", error))?;
    let mut offers: Vec<Offer> = classes
        .into_iter()
        .map(|class| Offer {
            prices: Prices::of(&class),
            available: class.is_available(),
            region: class.spec.region,
            class: class.metadata.name,
            cpu: class.spec.resources.cpu,
            memory: class.spec.resources.memory,
            gpu: class.spec.resources.gpu,
        })
        .collect();
    offers.sort_by(|one, other| (&one.region, &one.class).cmp(&(&other.region, &other.class)));
    Ok(offers)
}
