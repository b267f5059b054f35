//! Which driver is meant when nobody says.

use crate::drivers::Auto;
use crate::host::Host;
use crate::record::Record;

/// A driver, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The driver's name.
    pub driver: String,
    /// One sentence for the person who did not say.
    pub why: String,
}

/// The driver of an existing cluster of that name, if we made exactly one; else the first whose tool is on this machine,
/// the one `auto` means before the others; else `sim`, which needs nothing.
pub fn choose(host: &Host, profile: &str) -> Choice {
    let made: Vec<_> = Record::all(host)
        .into_iter()
        .filter(|record| record.profile == profile)
        .collect();
    if let [only] = made.as_slice() {
        let why = format!("the cluster {profile} was made with it");
        return Choice {
            driver: only.driver.clone(),
            why,
        };
    }
    let usual = Auto::driver_for(&host.os).ok();
    let tools = usual.into_iter().chain(["k3d", "kind", "minikube", "colima"]);
    match tools.into_iter().find(|tool| host.find(tool).is_some()) {
        Some(tool) => Choice {
            driver: tool.to_owned(),
            why: format!("{tool} is on this machine"),
        },
        None => Choice {
            driver: "sim".to_owned(),
            why: "none of k3d, kind, minikube and colima is on this machine".to_owned(),
        },
    }
}
