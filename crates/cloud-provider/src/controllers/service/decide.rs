//! What a change of a Service or a node calls for, decided without asking anybody.

use std::sync::Arc;

use crate::data::{Address, Node, Service};
use crate::helpers::has_finalizer;
use crate::names::{LABEL_EXCLUDE, TAINT_TO_BE_DELETED, TAINT_UNINITIALIZED};

/// A node as load balancers see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its provider ID.
    pub provider_id: String,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

/// Whether a Service is to have a load balancer, and from us.
pub fn wants_load_balancer(service: &Service) -> bool {
    service.kind == "LoadBalancer" && service.class.is_none()
}

/// Whether a Service holds on to a load balancer that it is not to have any more.
pub fn needs_cleanup(service: &Service) -> bool {
    has_finalizer(service) && (service.deleting || service.kind != "LoadBalancer")
}

/// Whether a change of a Service means anything to its load balancer.
pub fn differs(old: &Service, new: &Service) -> bool {
    if !wants_load_balancer(old) && !wants_load_balancer(new) {
        return false;
    }
    wants_load_balancer(old) != wants_load_balancer(new)
        || old.source_ranges != new.source_ranges
        || old.ports != new.ports
        || old.session_affinity != new.session_affinity
        || old.session_affinity_seconds != new.session_affinity_seconds
        || old.load_balancer_ip != new.load_balancer_ip
        || old.external_ips != new.external_ips
        || old.annotations != new.annotations
        || old.uid != new.uid
        || old.external_traffic_policy != new.external_traffic_policy
        || old.health_check_node_port != new.health_check_node_port
        || old.ip_families.len() != new.ip_families.len()
}

/// Whether a node may receive traffic from load balancers. Readiness does not count: kube-proxy's health checks see to
/// that, and every flip would reach the cloud.
///
/// Differs from upstream: a node that is not initialised has no identity in the cloud yet and does not count.
pub fn is_host(node: &Node) -> bool {
    !node.deleting
        && is_included(node)
        && !node.is_tainted(TAINT_TO_BE_DELETED)
        && !node.is_tainted(TAINT_UNINITIALIZED)
}

/// The label excludes unless its value is a false that Go's `ParseBool` knows.
fn is_included(node: &Node) -> bool {
    let value = node.labels.get(LABEL_EXCLUDE);
    value.is_none_or(|value| matches!(value.as_str(), "0" | "f" | "F" | "FALSE" | "false" | "False"))
}

/// The nodes that may receive traffic, sorted by name.
pub fn stable_nodes(nodes: &[Arc<Node>]) -> Vec<Arc<Node>> {
    nodes.iter().filter(|node| is_host(node)).cloned().collect()
}

/// Nodes as load balancers see them.
pub fn hosts(nodes: &[Arc<Node>]) -> Vec<Host> {
    let host = |node: &Arc<Node>| Host {
        name: node.name.clone(),
        provider_id: node.provider_id.clone(),
        addresses: node.addresses.clone(),
    };
    nodes.iter().map(host).collect()
}

/// Whether a change of a node is worth comparing all load balancers for. The autoscaler's taint is not, as upstream: it
/// counts when something else makes a load balancer change.
///
/// Differs from upstream: addresses count, and so does the moment a node is initialised.
pub fn node_matters(old: &Node, new: &Node) -> bool {
    is_included(old) != is_included(new)
        || old.provider_id != new.provider_id
        || old.addresses != new.addresses
        || old.is_tainted(TAINT_UNINITIALIZED) != new.is_tainted(TAINT_UNINITIALIZED)
}

#[cfg(test)]
mod tests;
