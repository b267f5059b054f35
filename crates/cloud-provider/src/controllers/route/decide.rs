//! Which routes are missing and which are too many, decided without asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::data::{Address, Condition, Node, Route};
use crate::helpers::Cidr;

/// A route that is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The node it leads to.
    pub node: Arc<Node>,
    /// The route.
    pub route: Route,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// First these go.
    pub delete: Vec<Route>,
    /// Then these are made.
    pub create: Vec<Wanted>,
    /// Then these nodes are told how their networks are, if all went well.
    pub networks: Vec<(Arc<Node>, Network)>,
}

/// How a node's network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// All its routes are there.
    Available,
    /// Some are missing.
    Unavailable,
}

/// Whether a route is ours to remove: its destination begins or ends in one of the cluster's networks.
pub fn responsible(route: &Route, cluster: &[Cidr]) -> bool {
    let Ok(destination) = route.destination.parse::<Cidr>() else {
        return false;
    };
    cluster
        .iter()
        .any(|cidr| cidr.contains(destination.network) || cidr.contains(destination.last()))
}

/// What makes `listed` into the routes that `nodes` need.
pub fn plan(nodes: &[Arc<Node>], listed: &[Route], cluster: &[Cidr]) -> Plan {
    let mut plan = Plan::default();
    let wanted: BTreeSet<(&str, &str)> = nodes
        .iter()
        .flat_map(|node| node.pod_cidrs.iter().map(|cidr| (node.name.as_str(), cidr.as_str())))
        .collect();
    let by_name: BTreeMap<&str, &Arc<Node>> = nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let mut kept = BTreeSet::new();
    for route in listed {
        let place = (route.target_node.as_str(), route.destination.as_str());
        let right = !route.blackhole
            && wanted.contains(&place)
            && by_name
                .get(route.target_node.as_str())
                .is_some_and(|node| leads_to(route, node));
        if right {
            kept.insert(place);
        } else if responsible(route, cluster) {
            plan.delete.push(route.clone());
        }
    }
    let routed: BTreeSet<&str> = listed.iter().map(|route| route.target_node.as_str()).collect();
    for node in nodes {
        for cidr in &node.pod_cidrs {
            // A network that is named twice is one network.
            if kept.insert((node.name.as_str(), cidr.as_str())) {
                let route = Route {
                    name: String::new(),
                    target_node: node.name.clone(),
                    target_addresses: Some(node.addresses.clone()),
                    destination: cidr.clone(),
                    blackhole: false,
                };
                plan.create.push(Wanted {
                    node: Arc::clone(node),
                    route,
                });
            }
        }
        if !node.pod_cidrs.is_empty() {
            plan.networks.push((Arc::clone(node), Network::Available));
        } else if routed.contains(node.name.as_str()) {
            plan.networks.push((Arc::clone(node), Network::Unavailable));
        }
    }
    plan
}

/// Whether a route leads to the node's addresses, whatever their order, where the cloud keeps them.
fn leads_to(route: &Route, node: &Node) -> bool {
    let Some(addresses) = &route.target_addresses else {
        return true;
    };
    let set = |list: &[Address]| list.iter().cloned().collect::<BTreeSet<_>>();
    addresses.len() == node.addresses.len() && set(addresses) == set(&node.addresses)
}

/// The `NetworkUnavailable` condition that a node is to get; nothing when it says so already.
pub fn network_condition(node: &Node, network: Network) -> Option<Condition> {
    let (status, reason, message) = match network {
        Network::Available => ("False", "RouteCreated", "RouteController created a route"),
        Network::Unavailable => ("True", "NoRouteCreated", "RouteController failed to create a route"),
    };
    let known = node.condition("NetworkUnavailable");
    if known.is_some_and(|known| known.status == status && known.reason == reason) {
        return None;
    }
    Some(Condition::new("NetworkUnavailable", status, reason, message))
}
