use super::*;
use crate::upstream_cases::passed;

fn addresses(text: &str) -> Vec<Address> {
    let one = |word: &str| {
        let (kind, address) = word.split_once('=').unwrap();
        let kind = match kind {
            "Int" => AddressType::InternalIp,
            "Ext" => AddressType::ExternalIp,
            "IntDNS" => AddressType::InternalDns,
            "ExtDNS" => AddressType::ExternalDns,
            _ => AddressType::Hostname,
        };
        Address::new(kind, address)
    };
    text.split_whitespace().map(one).collect()
}

/// node/helpers/address_test.go, TestGetNodeAddressesFromNodeIP: the node IP, the cloud's addresses, the result. Every
/// case ends with the host name.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("internal", "10.1.1.1", "Int=10.1.1.1", "Int=10.1.1.1"),
    (
        "external comes first",
        "55.55.55.55",
        "Int=10.1.1.1 Ext=55.55.55.55",
        "Ext=55.55.55.55 Int=10.1.1.1",
    ),
    (
        "one of two of each type",
        "55.55.55.55",
        "Int=44.44.44.44 Ext=44.44.44.44 Int=55.55.55.55 Ext=55.55.55.55",
        "Int=55.55.55.55 Ext=55.55.55.55",
    ),
    (
        "names stay",
        "10.1.1.1",
        "Int=10.1.1.1 Ext=55.55.55.55 IntDNS=ip-10-1-1-1 ExtDNS=ec2-55",
        "Int=10.1.1.1 Ext=55.55.55.55 IntDNS=ip-10-1-1-1 ExtDNS=ec2-55",
    ),
    (
        "others of its type go",
        "10.1.1.1",
        "Int=10.1.1.1 Int=10.2.2.2 Int=10.3.3.3 Ext=55.55.55.55",
        "Int=10.1.1.1 Ext=55.55.55.55",
    ),
    ("unknown", "10.2.2.2", "Int=10.1.1.1 Ext=55.55.55.55", "error"),
    (
        "IPv6 in another spelling",
        "2600:1f14:1d4:d101::ba3d",
        "Int=10.1.1.1 Int=2600:1f14:1d4:d101:0:0:0:ba3d",
        "Int=2600:1f14:1d4:d101:0:0:0:ba3d",
    ),
    ("dual, one unknown", "10.1.1.1,fc01:1234::5678", "Int=10.1.1.1", "error"),
    (
        "dual",
        "10.1.1.1,fc01:1234::5678",
        "Int=10.1.1.1 Int=fc01:1234::5678",
        "Int=10.1.1.1 Int=fc01:1234::5678",
    ),
    (
        "dual, turned round",
        "10.1.1.1,fc01:1234::5678",
        "Int=fc01:1234::5678 Int=10.1.1.1",
        "Int=10.1.1.1 Int=fc01:1234::5678",
    ),
    (
        "dual, others of its type go",
        "10.1.1.1,fc01:1234::5678",
        "Int=10.1.1.1 Int=10.1.1.2 Int=fc01:1234::1234 Int=fc01:1234::5678",
        "Int=10.1.1.1 Int=fc01:1234::5678",
    ),
    (
        "dual, another type stays",
        "10.1.1.1,fc01:1234::5678",
        "Int=10.1.1.1 Ext=55.55.55.55 Int=fc01:1234::1234 Int=fc01:1234::5678",
        "Int=10.1.1.1 Int=fc01:1234::5678 Ext=55.55.55.55",
    ),
    (
        "dual, IPv6 first",
        "fc01:1234::5678,10.1.1.1",
        "Int=10.1.1.1 Ext=55.55.55.55 Int=fc01:1234::5678 Ext=2001:db1::1",
        "Int=fc01:1234::5678 Int=10.1.1.1 Ext=55.55.55.55 Ext=2001:db1::1",
    ),
    (
        "dual of two types",
        "55.55.55.55,fc01:1234::5678",
        "Int=10.1.1.1 Ext=55.55.55.55 Int=fc01:1234::5678 Ext=2001:db1::1",
        "Ext=55.55.55.55 Int=fc01:1234::5678",
    ),
];

#[test]
fn kubelets_addresses_come_first_and_exclude_others_of_their_type() {
    for (name, ip, cloud, expected) in CASES {
        let cloud = addresses(&format!("{cloud} Hostname=hostname"));
        match provided_addresses(ip, &cloud) {
            Ok(found) => assert_eq!(found, addresses(&format!("{expected} Hostname=hostname")), "{name}"),
            Err(error) => assert_eq!(*expected, "error", "{name}: {error}"),
        }
        passed("GetNodeAddressesFromNodeIP", name);
    }
}

#[test]
fn what_is_no_address_or_too_many_is_refused_in_upstreams_words() {
    for (value, text) in [
        ("", "failed to parse node IP \"\": could not parse \"\""),
        (
            "invalid-ip",
            "failed to parse node IP \"invalid-ip\": could not parse \"invalid-ip\"",
        ),
        (
            "1.2.3.4, ::1",
            "failed to parse node IP \"1.2.3.4, ::1\": could not parse \" ::1\"",
        ),
        (
            "1.2.3.256",
            "failed to parse node IP \"1.2.3.256\": could not parse \"1.2.3.256\"",
        ),
        (
            "1.2.3.4,5.6.7.8",
            "failed to parse node IP \"1.2.3.4,5.6.7.8\": must contain either a single IP or a dual-stack pair of IPs",
        ),
        (
            "0.0.0.0,fd00::1",
            "failed to parse node IP \"0.0.0.0,fd00::1\": dual-stack node IP cannot include '0.0.0.0' or '::'",
        ),
    ] {
        assert_eq!(provided_addresses(value, &[]).unwrap_err().to_string(), text);
    }
}

#[test]
fn leading_zeros_are_decimal_and_a_mapped_address_is_ipv4() {
    assert_eq!(parse_ip("010.001.01.1"), parse_ip("10.1.1.1"));
    assert_eq!(parse_ip("::ffff:10.1.1.1"), parse_ip("10.1.1.1"));
}

#[test]
fn the_nodes_own_host_name_stays_only_when_the_cloud_has_none() {
    let node = Node {
        addresses: addresses("Hostname=own"),
        ..Node::default()
    };
    let say = |text: &str| Metadata {
        addresses: addresses(text),
        ..Metadata::default()
    };
    assert_eq!(
        desired_addresses(&node, &say("Int=10.0.0.1")).unwrap(),
        Some(addresses("Int=10.0.0.1 Hostname=own"))
    );
    assert_eq!(
        desired_addresses(&node, &say("Hostname=cloud")).unwrap(),
        Some(addresses("Hostname=cloud"))
    );
    assert_eq!(desired_addresses(&node, &say("")).unwrap(), None, "kubelet's are kept");
}

/// node_controller_test.go, nodeAddressesChangeDetected, and what its map by type gets wrong.
#[test]
fn every_upstream_case_of_address_changes() {
    for (name, old, new, changed) in [
        (
            "equal",
            "Int=10.0.0.1 Ext=132.143.154.163",
            "Int=10.0.0.1 Ext=132.143.154.163",
            false,
        ),
        (
            "another external address",
            "Int=10.0.0.1 Ext=132.143.154.163",
            "Int=10.0.0.1 Ext=132.143.154.164",
            true,
        ),
        (
            "one less",
            "Int=10.0.0.1 Ext=132.143.154.163 Hostname=h",
            "Int=10.0.0.1 Ext=132.143.154.163",
            true,
        ),
        (
            "one more",
            "Int=10.0.0.1 Ext=132.143.154.163",
            "Int=10.0.0.1 Ext=132.143.154.163 IntDNS=h",
            true,
        ),
        (
            "types swapped",
            "Int=10.0.0.1 Ext=132.143.154.163",
            "Ext=10.0.0.1 Int=132.143.154.163",
            true,
        ),
        (
            "two of one type, equal",
            "Int=10.0.0.1 Int=fd00::1",
            "Int=10.0.0.1 Int=fd00::1",
            false,
        ),
        // The first of each type is the one that counts, so their order does.
        (
            "two of one type, turned round",
            "Int=10.0.0.1 Int=fd00::1",
            "Int=fd00::1 Int=10.0.0.1",
            true,
        ),
    ] {
        // The cloud names no host name: the node's own would be kept, which is none of this.
        let node = Node {
            addresses: addresses(old),
            ..Node::default()
        };
        let metadata = Metadata {
            addresses: addresses(new),
            ..Metadata::default()
        };
        let desired = if name == "one less" {
            metadata.addresses.clone()
        } else {
            desired_addresses(&node, &metadata).unwrap().unwrap()
        };
        assert_eq!(desired != node.addresses, changed, "{name}");
        if !name.starts_with("two of one type") {
            passed("nodeAddressesChangeDetected", name);
        }
    }
}
