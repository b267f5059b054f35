//! All local clusters on this machine, whoever made them.

use std::sync::Arc;

use futures::future::join_all;
use serde::Serialize;

use crate::driver::EntryNames;
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::kubeconfig;
use crate::record::Record;
use crate::registry::Registry;

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The driver.
    pub driver: String,
    /// The profile.
    pub profile: String,
    /// `running`, `stopped`, `unknown` when its tool could not be asked, or `orphaned` when we remember a cluster, or the
    /// kubeconfig has a context, that its tool does not know any more.
    pub state: &'static str,
    /// Its kubeconfig context.
    pub context: String,
    /// Whether the user's kubeconfig has that context.
    pub in_kubeconfig: bool,
    /// Whether it was made with this program.
    pub managed: bool,
}

/// What there is, and what could not be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The clusters, by driver and profile.
    pub clusters: Vec<Listed>,
    /// The drivers that could not be asked, and why. A driver whose tool is not installed is not among them.
    pub problems: Vec<String>,
}

/// The contexts that tools make, by how they begin.
const CONTEXTS: [(&str, &str); 5] = [
    ("k3d", "k3d-"),
    ("kind", "kind-"),
    ("colima", "colima-"),
    ("process", "process-"),
    ("sim", "sim-"),
];

/// Asks all drivers of the registry side by side, and adds what we remember and what the kubeconfig names.
pub async fn list(registry: &Registry, host: &Arc<Host>) -> Listing {
    let records = Record::all(host);
    // `auto` is another name for one of the others.
    let names: Vec<String> = registry.names().into_iter().filter(|name| name != "auto").collect();
    let answers = join_all(names.iter().map(|name| async move {
        // Which cluster does not matter for a listing.
        match registry.manager(name, host, "default") {
            Ok(manager) => manager.list().await,
            Err(error) => Err(error),
        }
    }));
    let mut listing = Listing::default();
    let mut known: Vec<(String, bool)> = Vec::new();
    for (driver, answer) in names.iter().zip(answers.await) {
        match answer {
            Ok(found) => {
                known.push((driver.clone(), true));
                for one in found {
                    let state = if one.running { "running" } else { "stopped" };
                    listing.add(registry, host, &records, driver, &one.profile, state);
                }
            }
            Err(error) => {
                let missing = error.fault() == Some(Fault::BackendMissing);
                known.push((driver.clone(), false));
                if !missing || records.iter().any(|record| record.driver == *driver) {
                    listing.problems.push(format!("{driver}: {}", kit::chain(&error)));
                }
            }
        }
    }
    for record in &records {
        let asked = known.iter().any(|(driver, asked)| *driver == record.driver && *asked);
        let state = if asked { "orphaned" } else { "unknown" };
        listing.add(registry, host, &records, &record.driver, &record.profile, state);
    }
    for context in kubeconfig::contexts(host) {
        for (driver, prefix) in CONTEXTS {
            let asked = known.iter().any(|(known, asked)| known == driver && *asked);
            // The machine without a name.
            let nameless = (context == "colima" && driver == "colima").then_some("default");
            if let Some(profile) = nameless.or(context.strip_prefix(prefix)).filter(|_| asked) {
                listing.add(registry, host, &records, driver, profile, "orphaned");
            }
        }
    }
    listing
        .clusters
        .sort_by(|a, b| (&a.driver, &a.profile).cmp(&(&b.driver, &b.profile)));
    listing
}

impl Listing {
    /// Adds a cluster unless it is there already: what a tool says comes first.
    fn add(
        &mut self,
        registry: &Registry,
        host: &Arc<Host>,
        records: &[Record],
        driver: &str,
        profile: &str,
        state: &'static str,
    ) {
        if self
            .clusters
            .iter()
            .any(|one| one.driver == driver && one.profile == profile)
        {
            return;
        }
        let context = context(registry, host, driver, profile).unwrap_or_default();
        self.clusters.push(Listed {
            driver: driver.to_owned(),
            profile: profile.to_owned(),
            state,
            in_kubeconfig: kubeconfig::has_context(host, &context),
            context,
            managed: records
                .iter()
                .any(|record| record.driver == driver && record.profile == profile),
        });
    }
}

fn context(registry: &Registry, host: &Arc<Host>, driver: &str, profile: &str) -> Result<String, Error> {
    // A name that a tool takes and we do not is still listed.
    match registry.manager(driver, host, profile) {
        Ok(manager) => Ok(manager.context()),
        Err(Error::InvalidProfile { .. }) => Ok(EntryNames::all(format!("{driver}-{profile}")).context),
        Err(error) => Err(error),
    }
}
