//! What a node's annotations say about its BGP sessions, for kube-vip and whoever else speaks BGP on it.
//!
//! Mirrors `annotateNode` in `metal/loadbalancers.go` of cloud-provider-equinix-metal. Differs from upstream: what changed
//! is written anew, what is not true any more goes, and nothing else is written.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_provider::data::StringMap;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::Peering;
use crate::config::Annotations;

/// What stands for the number of a peer in a key.
const NUMBER: &str = "{{n}}";

fn of_peers(names: &Annotations) -> [&String; 5] {
    [
        &names.local_asn,
        &names.peer_asn,
        &names.peer_ip,
        &names.src_ip,
        &names.bgp_pass,
    ]
}

/// Whether a key is one of ours, for whatever peer.
fn is_ours(names: &Annotations, key: &str) -> bool {
    key == names.network_ipv4_private || of_peers(names).into_iter().any(|template| is_made_from(key, template))
}

/// What the annotations are to say.
fn wanted(names: &Annotations, peering: &Peering) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    let password = peering
        .password
        .as_ref()
        .map(|password| STANDARD.encode(password.expose_secret()));
    for (n, peer) in peering.peers.iter().enumerate() {
        let mut say = |template: &String, value: String| {
            wanted.insert(template.replacen(NUMBER, &n.to_string(), 1), value);
        };
        say(&names.local_asn, peering.local_asn.to_string());
        say(&names.peer_asn, peering.peer_asn.to_string());
        say(&names.peer_ip, peer.clone());
        say(&names.src_ip, peering.source.clone());
        say(&names.bgp_pass, password.clone().unwrap_or_default());
    }
    if let Some(network) = &peering.network {
        wanted.insert(names.network_ipv4_private.clone(), network.to_string());
    }
    wanted
}

fn is_made_from(key: &str, template: &str) -> bool {
    let Some((before, after)) = template.split_once(NUMBER) else {
        return key == template;
    };
    key.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The merge patch that makes a node say what it is to say, or nothing about BGP at all; nothing when it does.
pub fn patch(names: &Annotations, known: &StringMap, peering: Option<&Peering>) -> Option<Value> {
    let wanted = peering.map(|peering| wanted(names, peering)).unwrap_or_default();
    let mut changes = Map::new();
    for key in known
        .keys()
        .filter(|key| is_ours(names, key) && !wanted.contains_key(*key))
    {
        changes.insert(key.clone(), Value::Null);
    }
    for (key, value) in wanted {
        if known.get(&key) != Some(&value) {
            changes.insert(key, value.into());
        }
    }
    (!changes.is_empty()).then(|| json!({ "metadata": { "annotations": changes } }))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn names() -> Annotations {
        let peer = |what: &str| format!("metal.equinix.com/bgp-peers-{{{{n}}}}-{what}");
        Annotations {
            local_asn: peer("node-asn"),
            peer_asn: peer("peer-asn"),
            peer_ip: peer("peer-ip"),
            src_ip: peer("src-ip"),
            bgp_pass: peer("bgp-pass"),
            network_ipv4_private: "metal.equinix.com/network-4-private".to_owned(),
            eip_metro: String::new(),
            eip_facility: String::new(),
        }
    }

    fn peering() -> Peering {
        Peering {
            local_asn: 65000,
            peer_asn: 65530,
            source: "10.1.1.3".to_owned(),
            peers: vec!["169.254.255.1".to_owned(), "169.254.255.2".to_owned()],
            password: Some(SecretString::from("Secret1")),
            network: Some("10.1.1.0/25".parse().unwrap()),
        }
    }

    fn patched(known: &StringMap, patch: Option<Value>) -> StringMap {
        let mut known = known.clone();
        let changes = patch.unwrap_or_default()["metadata"]["annotations"]
            .as_object()
            .cloned();
        for (key, value) in changes.unwrap_or_default() {
            match value.as_str() {
                Some(text) => known.insert(key, text.to_owned()),
                None => known.remove(&key),
            };
        }
        known
    }

    fn text<'a>(known: &'a StringMap, key: &str) -> Option<&'a str> {
        known.get(key).map(String::as_str)
    }

    #[test]
    fn a_node_says_what_the_original_lets_it_say() {
        let names = names();
        let said = patched(&StringMap::new(), patch(&names, &StringMap::new(), Some(&peering())));
        let said: Vec<(&str, &str)> = said.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected = [
            ("metal.equinix.com/bgp-peers-0-bgp-pass", "U2VjcmV0MQ=="),
            ("metal.equinix.com/bgp-peers-0-node-asn", "65000"),
            ("metal.equinix.com/bgp-peers-0-peer-asn", "65530"),
            ("metal.equinix.com/bgp-peers-0-peer-ip", "169.254.255.1"),
            ("metal.equinix.com/bgp-peers-0-src-ip", "10.1.1.3"),
            ("metal.equinix.com/bgp-peers-1-bgp-pass", "U2VjcmV0MQ=="),
            ("metal.equinix.com/bgp-peers-1-node-asn", "65000"),
            ("metal.equinix.com/bgp-peers-1-peer-asn", "65530"),
            ("metal.equinix.com/bgp-peers-1-peer-ip", "169.254.255.2"),
            ("metal.equinix.com/bgp-peers-1-src-ip", "10.1.1.3"),
            ("metal.equinix.com/network-4-private", "10.1.1.0/25"),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_changed_is_refreshed_what_is_stale_goes_and_nothing_else_is_touched() {
        let names = names();
        let foreign: StringMap = [
            (
                "metal.equinix.com/bgp-peers-x-peer-ip".to_owned(),
                "not ours".to_owned(),
            ),
            ("kubeadm.alpha.kubernetes.io/cri-socket".to_owned(), "x".to_owned()),
        ]
        .into_iter()
        .collect();
        let before = patched(&foreign, patch(&names, &foreign, Some(&peering())));
        assert_eq!(patch(&names, &before, Some(&peering())), None, "twice is once");
        let changed = Peering {
            peer_asn: 65531,
            password: None,
            peers: vec!["169.254.255.1".to_owned()],
            ..peering()
        };
        let patch_now = patch(&names, &before, Some(&changed)).unwrap();
        let keys: Vec<&String> = patch_now["metadata"]["annotations"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(keys.len(), 7, "five of the peer that went, two that changed: {keys:?}");
        let after = patched(&before, Some(patch_now));
        assert_eq!(text(&after, "metal.equinix.com/bgp-peers-0-peer-asn"), Some("65531"));
        assert_eq!(text(&after, "metal.equinix.com/bgp-peers-0-bgp-pass"), Some(""));
        assert!(!after.contains_key("metal.equinix.com/bgp-peers-1-peer-ip"));
        assert_eq!(patched(&after, patch(&names, &after, None)), foreign);
    }

    #[test]
    fn older_keys_without_a_number_work_too() {
        let names = Annotations {
            peer_ip: "metal.equinix.com/peer-ip".to_owned(),
            ..names()
        };
        let said = patched(&StringMap::new(), patch(&names, &StringMap::new(), Some(&peering())));
        assert_eq!(text(&said, "metal.equinix.com/peer-ip"), Some("169.254.255.2"));
        assert!(patched(&said, patch(&names, &said, None)).is_empty());
    }
}
