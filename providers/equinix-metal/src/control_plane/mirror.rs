//! The Service and EndpointSlices that lead to the API server from outside, decided from those that lead to it from inside.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud_provider::data::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use serde_json::{Value, json};

use crate::load_balancers::{ANNOTATION_ID, CONTROL_PLANE_SERVICE};
use cloud_provider::cluster::SYSTEM_NAMESPACE;

/// Keeps other announcers of addresses away from the Service.
const CLASS: &str = "metal.equinix.com/control-plane";
/// Keeps MetalLB away where the class cannot: older and newer key.
const METALLB_POOL: [&str; 2] = ["metallb.universe.tf/address-pool", "metallb.io/address-pool"];
const NO_POOL: &str = "disabled-metallb-do-not-use-any-address-pool";
/// Whose slices they are.
const LABEL_SERVICE: &str = "kubernetes.io/service-name";
const LABEL_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGED_BY: &str = "cloud-provider-equinix-metal";

/// The ports of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Where it is reached from outside.
    pub outside: u16,
    /// Where it listens on its node.
    pub node: u16,
}

/// How the API server is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By an address that is on a control-plane node.
    Address(String),
    /// By a load balancer, named by its ID.
    Balancer(String),
}

/// The ports, from the Service inside the cluster; nothing while it has none, or a named one.
pub(super) fn ports(source: &Service, outside: Option<u16>) -> Option<Ports> {
    let node: u16 = source.ports.first()?.target_port.parse().ok()?;
    Some(Ports {
        outside: outside.unwrap_or(node),
        node,
    })
}

/// The Service to be applied; nothing when it is as it should be.
pub(super) fn service(source: &Service, ports: Ports, way: &Way, known: Option<&Service>) -> Option<Value> {
    let mut wanted: Vec<ServicePort> = source.ports.clone();
    if let Some(first) = wanted.first_mut() {
        first.port = ports.outside.into();
    }
    let mut annotations = BTreeMap::new();
    let mut spec = json!({ "type": "LoadBalancer", "ports": wanted.iter().map(port).collect::<Vec<_>>() });
    match way {
        Way::Address(address) => {
            annotations.extend(METALLB_POOL.map(|key| (key, NO_POOL)));
            spec["loadBalancerIP"] = address.as_str().into();
            // It can be set only when the Service becomes a load balancer: one that the Go program made has none.
            let free = |known: &Service| known.kind != "LoadBalancer" || known.class.as_deref() == Some(CLASS);
            if known.is_none_or(free) {
                spec["loadBalancerClass"] = CLASS.into();
            }
        }
        Way::Balancer(id) => {
            annotations.insert(ANNOTATION_ID, id);
        }
    }
    if known.is_some_and(|known| is_same(known, &wanted, way, &annotations)) {
        return None;
    }
    Some(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": CONTROL_PLANE_SERVICE, "namespace": SYSTEM_NAMESPACE, "annotations": annotations },
        "spec": spec,
    }))
}

fn port(port: &ServicePort) -> Value {
    let target: Value = match port.target_port.parse::<u16>() {
        Ok(number) => number.into(),
        Err(_) => port.target_port.as_str().into(),
    };
    let mut json = json!({ "port": port.port, "protocol": port.protocol, "targetPort": target });
    if !port.name.is_empty() {
        json["name"] = port.name.as_str().into();
    }
    json
}

fn is_same(known: &Service, ports: &[ServicePort], way: &Way, annotations: &BTreeMap<&str, &str>) -> bool {
    let said = |port: &ServicePort| {
        let names = [&port.name, &port.protocol, &port.target_port].map(Clone::clone);
        (port.port, names)
    };
    let address = match way {
        Way::Address(address) => known.load_balancer_ip == *address,
        Way::Balancer(_) => known.class.is_none(),
    };
    let has = |(key, value): (&&str, &&str)| known.annotations.get(*key).is_some_and(|known| known == value);
    address
        && known.kind == "LoadBalancer"
        && known.ports.iter().map(said).eq(ports.iter().map(said))
        && annotations.iter().all(has)
}

/// Whether a Service has ports that are not among the wanted ones.
pub(super) fn has_foreign_ports(known: &Service, wanted: &Value) -> bool {
    let wanted = wanted.pointer("/spec/ports").and_then(Value::as_array);
    let is_wanted = |port: &ServicePort| {
        let same = |one: &Value| one["port"] == port.port && one["protocol"] == port.protocol.as_str();
        wanted.into_iter().flatten().any(same)
    };
    known.kind == "LoadBalancer" && !known.ports.iter().all(is_wanted)
}

/// Whether a Service must stop being a load balancer for a moment to become the wanted one: it has the class that keeps the
/// service controller away, which is now to see to it. The class of a load balancer never changes; it goes with the type.
pub(super) fn must_lose_class(way: &Way, known: &Service) -> bool {
    matches!(way, Way::Balancer(_)) && known.kind == "LoadBalancer" && known.class.is_some()
}

/// The status to be applied; nothing when it is as it should be, and where the service controller sees to it.
pub(super) fn status(way: &Way, known: Option<&Service>) -> Option<Value> {
    let Way::Address(address) = way else { return None };
    let ingress = known.map(|known| known.ingress.as_slice()).unwrap_or_default();
    let is_same = matches!(ingress, [one] if one.ip == *address);
    (!is_same).then(|| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": CONTROL_PLANE_SERVICE, "namespace": SYSTEM_NAMESPACE },
            "status": { "loadBalancer": { "ingress": [{ "ip": address }] } },
        })
    })
}

/// An EndpointSlice, cut down to what is mirrored.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slice {
    /// Its name.
    pub name: String,
    /// The Service it belongs to.
    pub service: String,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub family: String,
    /// Its ports.
    pub ports: Vec<EndpointPort>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Slice {
    /// Cuts a slice down.
    pub fn cut(slice: EndpointSlice) -> Self {
        let labels = slice.metadata.labels.unwrap_or_default();
        let endpoint = |endpoint: Endpoint| Endpoint {
            addresses: endpoint.addresses,
            // Where nobody says that it is ready, nobody says anything.
            conditions: endpoint.conditions.filter(|conditions| conditions.ready.is_some()),
            ..Endpoint::default()
        };
        Self {
            name: slice.metadata.name.unwrap_or_default(),
            service: labels.get(LABEL_SERVICE).cloned().unwrap_or_default(),
            family: slice.address_type,
            ports: slice.ports.unwrap_or_default(),
            endpoints: slice.endpoints.unwrap_or_default().into_iter().map(endpoint).collect(),
        }
    }
}

fn copy_name(family: &str) -> String {
    match family {
        "IPv4" => CONTROL_PLANE_SERVICE.to_owned(),
        other => format!("{CONTROL_PLANE_SERVICE}-{}", other.to_lowercase()),
    }
}

/// The slices to be applied, by name, and the names of those that are to go. The API server's own slices are mirrored, and
/// no others: a slice of any other Service would lead elsewhere what is meant for the API server.
pub(super) fn slices(
    sources: &[Arc<Slice>],
    copies: &BTreeMap<String, Arc<Slice>>,
) -> (Vec<(String, Value)>, Vec<String>) {
    let (mut apply, mut delete) = (Vec::new(), Vec::new());
    let own: Vec<&Arc<Slice>> = sources.iter().filter(|one| one.service == "kubernetes").collect();
    for family in ["IPv4", "IPv6"] {
        let name = copy_name(family);
        let mut of_family: Vec<&Arc<Slice>> = own.iter().copied().filter(|one| one.family == family).collect();
        // The one that the API server keeps itself, where there are others.
        if of_family.iter().any(|one| one.name == "kubernetes") {
            of_family.retain(|one| one.name == "kubernetes");
        }
        let endpoints: Vec<Endpoint> = of_family.iter().flat_map(|one| one.endpoints.clone()).collect();
        let known = copies.get(&name).filter(|known| known.service == CONTROL_PLANE_SERVICE);
        let Some(first) = of_family.first().filter(|_| !endpoints.is_empty()) else {
            // With nothing at all to go by, what there is stays.
            let others = own.iter().any(|one| one.family != family && !one.endpoints.is_empty());
            if others && known.is_some() {
                delete.push(name);
            }
            continue;
        };
        let is_same = known
            .is_some_and(|known| known.family == family && known.ports == first.ports && known.endpoints == endpoints);
        if !is_same {
            let wanted = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "name": name, "namespace": SYSTEM_NAMESPACE,
                    "labels": { LABEL_SERVICE: CONTROL_PLANE_SERVICE, LABEL_MANAGED_BY: MANAGED_BY },
                },
                "addressType": family, "ports": first.ports, "endpoints": endpoints,
            });
            apply.push((name, wanted));
        }
    }
    (apply, delete)
}

#[cfg(test)]
mod tests;
