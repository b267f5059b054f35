//! Which addresses a node is to have.

use std::net::{IpAddr, Ipv4Addr};

use crate::cloud::Metadata;
use crate::data::{Address, AddressType, Node};
use crate::names::ANNOTATION_PROVIDED_NODE_IP;

/// Why the addresses that kubelet was given cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeIpError {
    /// A part is no address.
    #[error("failed to parse node IP \"{value}\": could not parse \"{part}\"")]
    Parse {
        /// The annotation's value.
        value: String,
        /// The part that is no address.
        part: String,
    },
    /// More than one of a family.
    #[error("failed to parse node IP \"{0}\": must contain either a single IP or a dual-stack pair of IPs")]
    TooMany(String),
    /// One of a pair stands for any address.
    #[error("failed to parse node IP \"{0}\": dual-stack node IP cannot include '0.0.0.0' or '::'")]
    Unspecified(String),
    /// The cloud has no such address for the node.
    #[error("failed to get node address from cloud provider that matches ip: {0}")]
    NoMatch(IpAddr),
}

/// The addresses a node is to have, given what the cloud says; nothing when the cloud names none.
///
/// Without a host name from the cloud the node keeps its own; an annotation that names addresses filters and sorts.
pub fn desired_addresses(node: &Node, metadata: &Metadata) -> Result<Option<Vec<Address>>, NodeIpError> {
    if metadata.addresses.is_empty() {
        return Ok(None);
    }
    let mut wanted = metadata.addresses.clone();
    if !wanted.iter().any(is_hostname) {
        wanted.extend(node.addresses.iter().filter(|address| is_hostname(address)).cloned());
    }
    match node.annotations.get(ANNOTATION_PROVIDED_NODE_IP) {
        Some(value) => provided_addresses(value, &wanted).map(Some),
        None => Ok(Some(wanted)),
    }
}

fn is_hostname(address: &Address) -> bool {
    address.kind == AddressType::Hostname
}

/// Those of the cloud's addresses that go with the ones kubelet was given: these first and in its order, and of their
/// types no others. Mirrors `GetNodeAddressesFromNodeIP` of `node/helpers/address.go`.
pub fn provided_addresses(value: &str, cloud: &[Address]) -> Result<Vec<Address>, NodeIpError> {
    let mut chosen: Vec<Address> = Vec::new();
    let mut claimed: Vec<&AddressType> = Vec::new();
    for ip in parse_node_ips(value)? {
        let found = cloud.iter().filter(|address| parse_ip(&address.address) == Some(ip));
        let before = chosen.len();
        for address in found {
            chosen.push(address.clone());
            claimed.push(&address.kind);
        }
        if chosen.len() == before {
            return Err(NodeIpError::NoMatch(ip));
        }
    }
    chosen.extend(
        cloud
            .iter()
            .filter(|address| !claimed.contains(&&address.kind))
            .cloned(),
    );
    Ok(chosen)
}

fn parse_node_ips(value: &str) -> Result<Vec<IpAddr>, NodeIpError> {
    let parse = |part: &str| {
        parse_ip(part).ok_or_else(|| NodeIpError::Parse {
            value: value.to_owned(),
            part: part.to_owned(),
        })
    };
    let ips: Vec<IpAddr> = value.split(',').map(parse).collect::<Result<_, _>>()?;
    match ips.as_slice() {
        [_] => Ok(ips),
        [one, other] if one.is_ipv4() != other.is_ipv4() => {
            if one.is_unspecified() || other.is_unspecified() {
                return Err(NodeIpError::Unspecified(value.to_owned()));
            }
            Ok(ips)
        }
        _ => Err(NodeIpError::TooMany(value.to_owned())),
    }
}

/// An address as Go's `ParseIPSloppy` reads it: leading zeros are decimal, an IPv4 address in IPv6 clothes is IPv4.
fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    }
    let octet = |part: &str| {
        let digits = !part.is_empty() && part.len() <= 16 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| part.parse::<u64>().ok())
            .flatten()
            .and_then(|octet| u8::try_from(octet).ok())
    };
    let octets: Vec<u8> = text.split('.').map(octet).collect::<Option<_>>()?;
    let octets: [u8; 4] = octets.try_into().ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

#[cfg(test)]
mod tests;
