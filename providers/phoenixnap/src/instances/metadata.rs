//! What a node is told about its server.

use std::net::IpAddr;

use cloud_provider::Metadata;
use cloud_provider::data::{Address, Node};
use cloud_provider::names::ANNOTATION_PROVIDED_NODE_IP;

use crate::client::Server;
use crate::provider_id::ProviderId;

/// Type, location and addresses: the host name, then what kubelet was told if the API does not know it, then public and
/// private ones in the order of the API, each once. Addresses of either family count, and one of any kind is enough. Without
/// one the name is not told either: it alone is no way to a node.
///
/// Differs from upstream, which wants one public and one private address.
pub(super) fn of(node: &Node, server: &Server) -> Metadata {
    let public = addresses(&server.public_ip_addresses);
    let private = addresses(&server.private_ip_addresses);
    let mut all = Vec::new();
    let mut seen: Vec<IpAddr> = Vec::new();
    let known = |ip: &IpAddr| public.contains(ip) || private.contains(ip);
    let provided = provided(node)
        .into_iter()
        .filter(|ip| !known(ip))
        .map(|ip| (ip, Address::internal(ip.to_string())));
    let external = public.iter().map(|ip| (*ip, Address::external(ip.to_string())));
    let internal = private.iter().map(|ip| (*ip, Address::internal(ip.to_string())));
    for (ip, address) in provided.chain(external).chain(internal) {
        if !seen.contains(&ip) {
            seen.push(ip);
            all.push(address);
        }
    }
    if !all.is_empty() {
        all.insert(0, Address::hostname(&server.hostname));
    }
    Metadata {
        // What is set stays: the node may have been named by the Cluster API's provider.
        provider_id: if node.provider_id.is_empty() {
            ProviderId::of(&server.id).to_string()
        } else {
            node.provider_id.clone()
        },
        instance_type: server.kind.clone(),
        addresses: all,
        region: server.location.clone(),
        ..Metadata::default()
    }
}

/// The addresses in a list of the API. What is none is passed over.
fn addresses(texts: &[String]) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.trim().parse().ok()).collect()
}

/// The addresses that kubelet was told to use: they may be on an interface that the API knows nothing of.
fn provided(node: &Node) -> Vec<IpAddr> {
    let text = node.annotations.get(ANNOTATION_PROVIDED_NODE_IP);
    let parts = text.into_iter().flat_map(|text| text.split(','));
    parts.filter_map(|part| part.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(public: &[&str], private: &[&str]) -> Server {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Server {
            id: "60c1".to_owned(),
            hostname: "node-1".to_owned(),
            kind: "s1.c1.small".to_owned(),
            location: "ASH".to_owned(),
            public_ip_addresses: own(public),
            private_ip_addresses: own(private),
            ..Server::default()
        }
    }

    fn told(node: &Node, server: &Server) -> Vec<String> {
        let addresses = of(node, server).addresses;
        addresses
            .iter()
            .map(|address| format!("{} {}", address.kind, address.address))
            .collect()
    }

    #[test]
    fn addresses_come_in_order_and_once_whatever_networks_there_are() {
        let node = Node::default();
        assert_eq!(
            told(
                &node,
                &server(
                    &["203.0.113.2", "2001:db8::2", "203.0.113.2"],
                    &["10.0.0.2", "10.0.0.2", "?"]
                )
            ),
            [
                "Hostname node-1",
                "ExternalIP 203.0.113.2",
                "ExternalIP 2001:db8::2",
                "InternalIP 10.0.0.2"
            ]
        );
        assert_eq!(
            told(&node, &server(&[], &["10.0.0.2"])),
            ["Hostname node-1", "InternalIP 10.0.0.2"]
        );
        assert_eq!(
            told(&node, &server(&["203.0.113.2"], &[])),
            ["Hostname node-1", "ExternalIP 203.0.113.2"]
        );
        assert_eq!(told(&node, &server(&[], &[])), [""; 0]);
    }

    #[test]
    fn an_address_that_kubelet_was_told_comes_right_after_the_name() {
        let mut node = Node::default();
        let mut tell = |text: &str| {
            node.annotations
                .insert(ANNOTATION_PROVIDED_NODE_IP.to_owned(), text.to_owned());
            told(&node, &server(&["203.0.113.2"], &["10.0.0.2"]))
        };
        assert_eq!(
            tell("192.0.2.7"),
            [
                "Hostname node-1",
                "InternalIP 192.0.2.7",
                "ExternalIP 203.0.113.2",
                "InternalIP 10.0.0.2"
            ]
        );
        assert_eq!(
            tell("10.0.0.2"),
            ["Hostname node-1", "ExternalIP 203.0.113.2", "InternalIP 10.0.0.2"]
        );
        assert_eq!(tell("nonsense").len(), 3);
    }

    #[test]
    fn a_provider_id_that_is_set_stays_as_it_is() {
        let mut node = Node::default();
        let server = server(&[], &["10.0.0.2"]);
        assert_eq!(of(&node, &server).provider_id, "phoenixnap://60c1");
        node.provider_id = "bmc://servers/60c1".to_owned();
        let metadata = of(&node, &server);
        assert_eq!(metadata.provider_id, "bmc://servers/60c1");
        assert_eq!(
            (
                metadata.instance_type.as_str(),
                metadata.region.as_str(),
                metadata.zone.as_str()
            ),
            ("s1.c1.small", "ASH", "")
        );
    }
}
