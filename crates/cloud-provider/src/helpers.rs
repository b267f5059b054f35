//! Small questions about Services that clouds ask, answered as `k8s.io/cloud-provider` does
//! (`cloud.go`, `service/helpers/helper.go`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::data::Service;
use crate::names;

mod nodes;

pub use nodes::{add_addresses, has_taint, without_taint};

/// A network, its host bits masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address.
    pub network: IpAddr,
    /// How many bits of it count.
    pub bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct CidrError(String);

impl std::str::FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= width).ok_or_else(error)?;
        Ok(Self {
            network: mask(address, bits),
            bits,
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

impl Cidr {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && mask(address, self.bits) == self.network
    }

    /// The last address.
    pub fn last(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(network) => IpAddr::V4((network.to_bits() | shifted(u32::MAX, self.bits)).into()),
            IpAddr::V6(network) => {
                IpAddr::V6((network.to_bits() | u128::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into())
            }
        }
    }
}

fn shifted(bits: u32, by: u8) -> u32 {
    bits.checked_shr(by.into()).unwrap_or(0)
}

fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & !shifted(u32::MAX, bits)).into()),
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & !u128::MAX.checked_shr(bits.into()).unwrap_or(0)).into())
        }
    }
}

/// Why the source ranges of a Service make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRangesError {
    /// `spec.loadBalancerSourceRanges` does not hold networks.
    #[error(
        "service.Spec.LoadBalancerSourceRanges: [{}] is not valid. Expecting a list of IP ranges. For example, 10.0.0.0/24",
        .0.join(" ")
    )]
    Spec(Vec<String>, #[source] CidrError),
    /// The annotation does not hold networks.
    #[error(
        "{annotation}: {0} is not valid. Expecting a comma-separated list of source IP ranges. For example, 10.0.0.0/24,192.168.2.0/24",
        annotation = names::ANNOTATION_SOURCE_RANGES
    )]
    Annotation(String, #[source] CidrError),
}

/// The name upstream gives a load balancer by default: `a`, the UID without dashes, cut to 32 characters.
pub fn default_load_balancer_name(uid: &str) -> String {
    format!("a{}", uid.replace('-', "")).chars().take(32).collect()
}

/// Who may reach the load balancer of a Service: its spec, else its annotation, else everybody.
///
/// Differs from upstream: everybody means `::/0` as well when the Service has IPv6.
pub fn source_ranges(service: &Service) -> Result<BTreeSet<Cidr>, SourceRangesError> {
    let parse = |text: &str| text.trim().parse::<Cidr>();
    if let Some(ranges) = service.source_ranges.as_ref().filter(|ranges| !ranges.is_empty()) {
        let parsed: Result<_, _> = ranges.iter().map(|text| parse(text)).collect();
        return parsed.map_err(|error| SourceRangesError::Spec(ranges.clone(), error));
    }
    let annotation = service
        .annotations
        .get(names::ANNOTATION_SOURCE_RANGES)
        .map_or("", |text| text.trim());
    if !annotation.is_empty() {
        let parsed: Result<_, _> = annotation.split(',').map(parse).collect();
        return parsed.map_err(|error| SourceRangesError::Annotation(annotation.to_owned(), error));
    }
    let everybody = |family: &str| service.ip_families.iter().any(|name| name == family);
    let v4 = everybody("IPv4") || !everybody("IPv6");
    let all = [("0.0.0.0/0", v4), ("::/0", everybody("IPv6"))];
    Ok(all
        .iter()
        .filter(|(_, wanted)| *wanted)
        .filter_map(|(text, _)| text.parse().ok())
        .collect())
}

/// Whether these ranges leave nobody out, in either family.
pub fn allows_all(ranges: &BTreeSet<Cidr>) -> bool {
    ranges.iter().any(|range| range.bits == 0)
}

/// Whether traffic from outside reaches only nodes that have a pod of it.
pub fn requests_only_local_traffic(service: &Service) -> bool {
    matches!(service.kind.as_str(), "LoadBalancer" | "NodePort") && service.external_traffic_policy == "Local"
}

/// Where nodes tell whether they have a pod of it, if load balancers must ask.
pub fn health_check(service: &Service) -> Option<(&'static str, i32)> {
    let needs = service.kind == "LoadBalancer" && service.external_traffic_policy == "Local";
    (needs && service.health_check_node_port != 0).then_some(("/healthz", service.health_check_node_port))
}

/// Whether its load balancer holds it back from being deleted.
pub fn has_finalizer(service: &Service) -> bool {
    service.finalizers.iter().any(|finalizer| finalizer == names::FINALIZER)
}

#[cfg(test)]
mod tests;
