//! MetalLB: its custom resources, and the config map that came before them.
//!
//! Providers differ in the names they use, which [`Names`] holds. Peers are shared by all Services: which of them need a peer
//! is remembered in node selectors that match no node (`nomatch…`), as cloud-provider-equinix-metal does
//! (`metal/loadbalancers/metallb`), so that either program understands what the other wrote.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::data::Service;

mod config;
mod config_map;
mod plan;
mod resources;
mod selectors;

pub use config::{Config, Peer, Pool};
pub use config_map::ConfigMap;
pub use plan::{Change, Kind, Observed, Target, plan};
pub use resources::Resources;
pub use selectors::{NodeSelector, Requirement, ServiceRef, is_same_set};

/// By which nodes are selected.
pub const LABEL_HOST: &str = "kubernetes.io/hostname";
/// How long the name part of a label key, and a label value, may be.
const LONGEST_LABEL: usize = 63;

/// The names that a provider uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The label, key and value, that all objects of ours bear.
    pub owner: (String, String),
    /// The label in a node selector that names a Service's namespace.
    pub service_namespace: String,
    /// The label in a node selector that names a Service.
    pub service_name: String,
    /// The advertisement that lists all pools of ours.
    pub advertisement: String,
}

impl Names {
    /// The names of a provider, by its own name and its label domain: `("equinix-metal", "metal.equinix.com",
    /// "equinix-metal-bgp-adv")`.
    pub fn new(provider: &str, domain: &str, advertisement: &str) -> Self {
        Self {
            owner: ("cloud-provider".to_owned(), provider.to_owned()),
            service_namespace: format!("nomatch.{domain}/service-namespace"),
            service_name: format!("nomatch.{domain}/service-name"),
            advertisement: advertisement.to_owned(),
        }
    }
}

/// How nodes tell the world which addresses they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// BGP: the speakers of the announcement each get their peers.
    Bgp,
    /// ARP and NDP.
    Layer2 {
        /// On these network interfaces; on all of them when none is named.
        interfaces: Vec<String>,
        /// The nodes that may, as a `LabelSelector`; all when there is none.
        nodes: Option<Value>,
    },
}

/// The name of a Service's address pool.
pub fn pool_name(service: &Service) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect()
    };
    format!("{}.{}", plain(&service.namespace), plain(&service.name))
}

/// The labels, most wanted first, one of which a pool bears for each Service that it serves. The second is for when the
/// first is taken by a Service of the same name in another namespace.
fn service_labels(service: &Service) -> [(String, String); 2] {
    let value = fit("namespace-", &service.namespace);
    let digest = hex(&Sha256::digest(service.key()));
    [
        (fit("service-", &service.name), value.clone()),
        (format!("service-{digest}"), value),
    ]
}

/// Which of the labels of a pool say that it serves the Service.
fn serving(service: &Service, labels: &BTreeMap<String, String>) -> Option<String> {
    service_labels(service)
        .into_iter()
        .find(|(key, value)| labels.get(key) == Some(value))
        .map(|(key, _)| key)
}

/// Whether a label says that a pool serves some Service.
fn is_service_label(key: &str, value: &str) -> bool {
    key.starts_with("service-") && value.starts_with("namespace-")
}

fn hex(digest: &[u8]) -> String {
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

/// A label text that is not longer than labels may be: what is too long ends in a digest of itself.
///
/// Differs from upstream, whose objects the API server refuses for long names.
fn fit(prefix: &str, text: &str) -> String {
    let whole = format!("{prefix}{text}");
    if whole.len() <= LONGEST_LABEL {
        return whole;
    }
    let digest = hex(&Sha256::digest(text));
    let short: String = whole.chars().take(LONGEST_LABEL - digest.len() - 1).collect();
    format!("{short}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(namespace: &str, name: &str) -> Service {
        Service {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Service::default()
        }
    }

    #[test]
    fn names_are_those_of_the_original() {
        let names = Names::new("equinix-metal", "metal.equinix.com", "equinix-metal-bgp-adv");
        assert_eq!(names.service_name, "nomatch.metal.equinix.com/service-name");
        assert_eq!(names.service_namespace, "nomatch.metal.equinix.com/service-namespace");
        let web = service("default", "web");
        assert_eq!(pool_name(&web), "default.web");
        assert_eq!(
            service_labels(&web)[0],
            ("service-web".to_owned(), "namespace-default".to_owned())
        );
    }

    #[test]
    fn long_names_make_labels_that_fit_and_differ() {
        let long = "a".repeat(63);
        let mut other = long.clone();
        other.replace_range(62.., "b");
        let labels = [service(&long, &long), service(&long, &other)].map(|one| service_labels(&one));
        for (key, value) in labels.iter().flatten() {
            assert!(key.len() <= 63 && value.len() <= 63, "{key} {value}");
        }
        assert_ne!(labels[0][0], labels[1][0]);
    }
}
