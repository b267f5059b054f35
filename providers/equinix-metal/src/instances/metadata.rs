//! What a device tells about its node.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cloud_provider::Metadata;
use cloud_provider::data::{Address, Node};
use cloud_provider::names::ANNOTATION_PROVIDED_NODE_IP;

use super::list::Seen;
use crate::provider_id;

/// What is known about a node's device.
pub(super) fn metadata(device: &Seen, node: &Node) -> Metadata {
    Metadata {
        provider_id: provider_id::of_device(&device.id),
        instance_type: device.plan.to_string(),
        addresses: addresses(device, node),
        zone: device.facility.to_string(),
        region: device.metro.to_string(),
        ..Metadata::default()
    }
}

/// The host name, the addresses kubelet was told to use, and the device's IPv4 addresses: those it came with before its
/// Elastic IPs. None at all when the device has no address yet: a host name alone is no way to a node.
///
/// Mirrors `nodeAddresses` of `metal/devices.go`. Differs from upstream: one address of any kind is enough; Elastic IPs
/// come last.
fn addresses(device: &Seen, node: &Node) -> Vec<Address> {
    let mut own: Vec<_> = device.addresses.iter().filter(|own| own.ip.is_ipv4()).collect();
    own.sort_by_key(|own| !own.management);
    let own = own.into_iter().map(|own| {
        if own.public {
            Address::external(own.ip.to_string())
        } else {
            Address::internal(own.ip.to_string())
        }
    });
    let mut seen = BTreeSet::new();
    let mut addresses: Vec<Address> = provided(node).map(Address::internal).chain(own).collect();
    addresses.retain(|address| seen.insert(address.address.clone()));
    if !addresses.is_empty() && !device.host.is_empty() {
        addresses.insert(0, Address::hostname(&*device.host));
    }
    addresses
}

/// What kubelet was told to use, as far as it is addresses.
fn provided(node: &Node) -> impl Iterator<Item = &str> {
    let value = node.annotations.get(ANNOTATION_PROVIDED_NODE_IP);
    let parts = value.into_iter().flat_map(|value| value.split(','));
    parts.filter(|part| part.parse::<IpAddr>().is_ok())
}

/// All addresses by which a node shows which device it is.
pub(super) fn known_addresses(node: &Node) -> BTreeSet<IpAddr> {
    let own = node.addresses.iter().map(|address| address.address.as_str());
    own.chain(provided(node)).filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Device;

    fn device() -> Device {
        serde_json::from_value(json!({
            "id": "i", "hostname": "n1", "plan": {"slug": "c3.small.x86"}, "metro": {"code": "da"},
            "facility": {"code": "da11"},
            "ip_addresses": [
                {"address": "192.0.2.7", "address_family": 4, "public": true, "management": false},
                {"address": "198.51.100.1", "address_family": 4, "public": true, "management": true},
                {"address": "2001:db8::1", "address_family": 6, "public": true, "management": true},
                {"address": "10.0.0.3", "address_family": 4, "public": false, "management": true},
                {"address": null, "address_family": null},
                {"href": "/metal/v1/ips/1"},
            ],
        }))
        .unwrap()
    }

    fn told(device: &Device, provided: Option<&str>) -> Vec<String> {
        let mut node = Node::default();
        if let Some(value) = provided {
            node.annotations
                .insert(ANNOTATION_PROVIDED_NODE_IP.to_owned(), value.to_owned());
        }
        let tell = |address: &Address| format!("{} {}", address.kind, address.address);
        metadata(&device.clone().into(), &node)
            .addresses
            .iter()
            .map(tell)
            .collect()
    }

    #[test]
    fn elastic_addresses_come_after_those_that_came_with_the_device() {
        assert_eq!(
            told(&device(), None),
            [
                "Hostname n1",
                "ExternalIP 198.51.100.1",
                "InternalIP 10.0.0.3",
                "ExternalIP 192.0.2.7"
            ]
        );
    }

    #[test]
    fn what_kubelet_was_told_comes_first_and_nothing_comes_twice() {
        assert_eq!(
            told(&device(), Some("10.8.0.1")),
            [
                "Hostname n1",
                "InternalIP 10.8.0.1",
                "ExternalIP 198.51.100.1",
                "InternalIP 10.0.0.3",
                "ExternalIP 192.0.2.7"
            ]
        );
        assert_eq!(
            told(&device(), Some("198.51.100.1,2001:db8::1")),
            [
                "Hostname n1",
                "InternalIP 198.51.100.1",
                "InternalIP 2001:db8::1",
                "InternalIP 10.0.0.3",
                "ExternalIP 192.0.2.7"
            ]
        );
    }

    #[test]
    fn one_private_address_is_enough_and_none_is_not() {
        let mut device = device();
        device.ip_addresses.retain(|ip| ip.address == "10.0.0.3");
        assert_eq!(told(&device, None), ["Hostname n1", "InternalIP 10.0.0.3"]);
        device.ip_addresses.clear();
        assert!(told(&device, None).is_empty());
    }

    #[test]
    fn type_zone_and_region_are_told() {
        let metadata = metadata(&device().into(), &Node::default());
        assert_eq!(
            (metadata.provider_id.as_str(), metadata.instance_type.as_str()),
            ("equinixmetal://i", "c3.small.x86")
        );
        assert_eq!((metadata.zone.as_str(), metadata.region.as_str()), ("da11", "da"));
    }
}
