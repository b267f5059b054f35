//! Which control-plane node the address is to be on.

use std::net::IpAddr;
use std::sync::Arc;

use cloud_provider::data::{AddressType, Node, Ready};
use jiff::Timestamp;

use crate::load_balancers::is_control_plane_node;
use crate::provider_id;

/// On a node that no pods are to be put on.
const TAINT_UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// A node that could hold the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its name.
    pub node: String,
    /// Its device.
    pub device: String,
    /// Whether no pods are to be put on it.
    pub cordoned: bool,
    /// Where its API server is asked.
    pub addresses: Vec<IpAddr>,
}

/// Whether no pods are to be put on a node.
pub(super) fn is_cordoned(node: &Node) -> bool {
    node.is_tainted(TAINT_UNSCHEDULABLE)
}

/// The nodes of the control plane, those being deleted as well.
pub(super) fn control_plane(nodes: &[Arc<Node>]) -> Vec<Arc<Node>> {
    nodes
        .iter()
        .filter(|node| is_control_plane_node(node))
        .cloned()
        .collect()
}

/// The nodes that could hold the address, the best first: those that pods may be put on; those that are ready; the oldest;
/// by name. The one that has it comes last: it is to be left. One that is being deleted cannot hold it.
pub(super) fn candidates(nodes: &[Arc<Node>], holder: Option<&str>, eip: IpAddr) -> Vec<Candidate> {
    let rank = |node: &Arc<Node>| {
        let device = provider_id::device(&node.provider_id).ok()?;
        let created = node.created.unwrap_or(Timestamp::MAX);
        let candidate = Candidate {
            node: node.name.clone(),
            device: device.to_owned(),
            cordoned: is_cordoned(node),
            addresses: addresses(node, eip),
        };
        let holds = holder == Some(device);
        Some((
            (
                holds,
                is_cordoned(node),
                node.ready != Ready::Yes,
                created,
                node.name.clone(),
            ),
            candidate,
        ))
    };
    let mut ranked: Vec<_> = control_plane(nodes)
        .iter()
        .filter(|node| !node.deleting)
        .filter_map(rank)
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Where a node is asked: every IP address of it that is not the one that moves about.
pub(super) fn addresses(node: &Node, eip: IpAddr) -> Vec<IpAddr> {
    node.addresses
        .iter()
        .filter(|one| matches!(one.kind, AddressType::InternalIp | AddressType::ExternalIp))
        .filter_map(|one| one.address.parse().ok())
        .filter(|address| *address != eip)
        .collect()
}

/// The last external address of a node that is not the one that moves about.
pub(super) fn host_address(node: &Node, eip: IpAddr) -> Option<IpAddr> {
    let external = node.addresses.iter().filter(|one| one.kind == AddressType::ExternalIp);
    external
        .filter_map(|one| one.address.parse().ok())
        .rfind(|address| *address != eip)
}

#[cfg(test)]
mod tests {
    use cloud_provider::data::{Address, StringMap, Taint};

    use super::*;

    fn node(name: &str, created: i64) -> Node {
        Node {
            name: name.to_owned(),
            provider_id: format!("equinixmetal://{name}"),
            labels: [("node-role.kubernetes.io/control-plane".to_owned(), String::new())]
                .into_iter()
                .collect(),
            created: Timestamp::from_second(created).ok(),
            ready: Ready::Yes,
            addresses: vec![
                Address::hostname(name),
                Address::internal("10.0.0.1"),
                Address::external("198.51.100.1"),
                Address::external("192.0.2.1"),
            ],
            ..Node::default()
        }
    }

    fn cordoned(mut node: Node) -> Node {
        node.taints.push(Taint {
            key: TAINT_UNSCHEDULABLE.to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
            added: None,
        });
        node
    }

    #[test]
    fn the_order_is_the_same_however_nodes_are_listed() {
        let not_ready = Node {
            ready: Ready::No,
            ..node("a-not-ready", 1)
        };
        let deleting = Node {
            deleting: true,
            ..node("deleting", 0)
        };
        let foreign = Node {
            provider_id: "aws:///i-1".to_owned(),
            ..node("foreign", 0)
        };
        let worker = Node {
            labels: StringMap::new(),
            ..node("worker", 0)
        };
        let mut nodes: Vec<Arc<Node>> = [
            node("holder", 0),
            node("young", 9),
            node("b-old", 5),
            node("a-old", 5),
            cordoned(node("cordoned", 1)),
            not_ready,
            deleting,
            foreign,
            worker,
        ]
        .into_iter()
        .map(Arc::new)
        .collect();
        for _ in 0..nodes.len() {
            nodes.rotate_left(1);
            let order: Vec<String> = candidates(&nodes, Some("holder"), "192.0.2.1".parse().unwrap())
                .into_iter()
                .map(|one| one.node)
                .collect();
            assert_eq!(order, ["a-old", "b-old", "young", "a-not-ready", "cordoned", "holder"]);
        }
    }

    #[test]
    fn a_node_is_never_asked_at_the_address_that_moves_about() {
        let (node, eip) = (node("n", 0), "192.0.2.1".parse().unwrap());
        let asked = addresses(&node, eip);
        assert_eq!(
            asked,
            ["10.0.0.1", "198.51.100.1"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        assert_eq!(host_address(&node, eip), "198.51.100.1".parse().ok());
    }
}
