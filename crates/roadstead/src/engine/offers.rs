//! `roadstead engine offers`: what a provider sells, where, and at which price.

use kit::Table;
use kontainer_engine::{Call, DriverError};
use secrecy::SecretString;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::console::{self, Format};
use crate::drivers;
use crate::failure::Failure;

/// One kind of machine in one place. Prices are per machine and hour, as decimal numbers in US dollars; what is not known
/// is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    region: String,
    class: String,
    cpu: String,
    memory: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    gpu: String,
    available: bool,
    /// A machine that is bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand: Option<String>,
    /// What machines went for in the last auction.
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<String>,
    /// The lowest bid that is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_bid: Option<String>,
    /// The lowest bid that would have won.
    #[serde(skip_serializing_if = "Option::is_none")]
    winning_bid: Option<String>,
}

/// What is asked for.
pub(super) struct Asked {
    pub(super) driver: String,
    pub(super) region: Option<String>,
    pub(super) available: bool,
    pub(super) output: Format,
}

/// Asks the provider of a driver and prints what it answers. This is the place to add one.
pub(super) async fn print(asked: Asked, stop: CancellationToken) -> Result<(), Failure> {
    let mut offers = match asked.driver.as_str() {
        rackspace_spot::driver::NAME => rackspace_spot_offers(stop).await?,
        other => {
            drivers::find(other)?;
            return Err(
                Failure::usage(format!("driver {other} does not tell what its provider offers"))
                    .hint(format!("{} does", rackspace_spot::driver::NAME)),
            );
        }
    };
    if let Some(region) = &asked.region {
        let mut regions: Vec<String> = offers.iter().map(|offer| offer.region.clone()).collect();
        regions.dedup();
        offers.retain(|offer| offer.region == *region);
        if offers.is_empty() {
            return Err(Failure::not_found(format!("there is no region {region:?}"))
                .hint(format!("the regions are {}", regions.join(", "))));
        }
    }
    if asked.available {
        offers.retain(|offer| offer.available);
    }
    console::value(asked.output, &offers, || table(&offers))
}

async fn rackspace_spot_offers(stop: CancellationToken) -> Result<Vec<Offer>, Failure> {
    let settings = rackspace_spot::Settings::from_env().map_err(|error| Failure::usage(kit::chain(&error)))?;
    let token = std::env::var("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN")
        .ok()
        .filter(|token| !token.trim().is_empty())
        .map(SecretString::from);
    let call = Call::new(stop, None);
    let offers = call.run(Box::pin(rackspace_spot::offers(&settings, &call, token)));
    let offers = offers
        .await
        .and_then(|offers| offers)
        .map_err(|error| refused(&error))?;
    let text = |price: Option<rackspace_spot::driver::bid::Bid>| price.map(|price| price.to_string());
    Ok(offers
        .into_iter()
        .map(|offer| Offer {
            winning_bid: Some(offer.bid()).filter(|bid| !bid.is_empty()),
            on_demand: text(offer.prices.on_demand),
            market: text(offer.prices.market),
            minimum_bid: text(offer.prices.minimum),
            region: offer.region,
            class: offer.class,
            cpu: offer.cpu,
            memory: offer.memory,
            gpu: offer.gpu,
            available: offer.available,
        })
        .collect())
}

fn refused(error: &DriverError) -> Failure {
    let failure = Failure::classed(kit::chain(error), error.class());
    if error.class() == kit::Class::Invalid || error.class() == kit::Class::Unauthorized {
        return failure.hint("set ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN; `roadstead doctor` tries it");
    }
    failure
}

fn table(offers: &[Offer]) -> String {
    let mut table = Table::new([
        "REGION",
        "CLASS",
        "CPU",
        "MEMORY",
        "GPU",
        "ON DEMAND",
        "MARKET",
        "WINNING BID",
        "AVAILABLE",
    ]);
    for offer in offers {
        let dollars = |price: &Option<String>| price.as_ref().map_or_else(String::new, |price| format!("${price}"));
        table.row([
            offer.region.clone(),
            offer.class.clone(),
            offer.cpu.clone(),
            offer.memory.clone(),
            offer.gpu.clone(),
            dollars(&offer.on_demand),
            dollars(&offer.market),
            dollars(&offer.winning_bid),
            if offer.available { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.to_string()
}
