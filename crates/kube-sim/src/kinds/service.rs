//! Services: defaults, what belongs to which type, and what carries over from one version to the next.
//!
//! Mirrors kubernetes/kubernetes pkg/apis/core/v1/defaults.go and pkg/registry/core/service.

use serde_json::{Value, json};

use super::Rules;
use super::{service_ips, service_rules};
use crate::field::FieldError;
use crate::json::list_mut;
use crate::store::Store;

const AFFINITY_SECONDS: i64 = 10_800;

/// The rules of Services.
#[derive(Debug)]
pub(crate) struct Service;

/// The type of a service.
pub(super) fn kind(object: &Value) -> &str {
    object["spec"]["type"].as_str().unwrap_or_default()
}

/// Whether the service asks for no cluster address.
pub(super) fn headless(object: &Value) -> bool {
    object["spec"]["clusterIP"] == "None" || object["spec"]["clusterIPs"][0] == "None"
}

/// Whether a service of this type has a cluster address.
pub(super) fn needs_ip(object: &Value) -> bool {
    kind(object) != "ExternalName"
}

/// Whether a service of this type is reachable through ports of the nodes.
pub(super) fn needs_node_ports(object: &Value) -> bool {
    match kind(object) {
        "NodePort" => true,
        "LoadBalancer" => object["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// Whether a service has a port for health checks of its own.
pub(super) fn needs_health_port(object: &Value) -> bool {
    kind(object) == "LoadBalancer" && object["spec"]["externalTrafficPolicy"] == "Local"
}

/// The member of `spec` as a list.
pub(super) fn list<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object["spec"][member].as_array().map_or(&[], Vec::as_slice)
}

fn set_default(object: &mut Value, member: &str, value: Value) {
    if object["spec"].get(member).is_none() {
        object["spec"][member] = value;
    }
}

impl Rules for Service {
    fn default(&self, object: &mut Value) {
        if object["spec"]["sessionAffinity"] == "ClientIP"
            && object["spec"]["sessionAffinityConfig"]["clientIP"]
                .get("timeoutSeconds")
                .is_none()
        {
            object["spec"]["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
        }
        for port in list_mut(object, "/spec/ports") {
            let target = &port["targetPort"];
            if target.is_null() || *target == 0 || *target == "" {
                port["targetPort"] = port["port"].clone();
            }
        }
        let kind = kind(object).to_owned();
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || !list(object, "externalIPs").is_empty() {
            set_default(object, "externalTrafficPolicy", json!("Cluster"));
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
            set_default(object, "internalTrafficPolicy", json!("Cluster"));
        }
        if kind == "LoadBalancer" {
            set_default(object, "allocateLoadBalancerNodePorts", json!(true));
            for ingress in list_mut(object, "/status/loadBalancer/ingress") {
                if ingress.get("ip").is_some() && ingress.get("ipMode").is_none() {
                    ingress["ipMode"] = json!("VIP");
                }
            }
        }
    }

    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        object["status"] = json!({"loadBalancer": {}});
        service_ips::normalize(object, None);
        Vec::new()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _store: &Store) -> Vec<FieldError> {
        carry_over(new, old);
        service_ips::normalize(new, Some(old));
        drop_what_the_type_has_not(new, old);
        Vec::new()
    }

    fn allocate(&self, new: &mut Value, old: Option<&Value>, store: &Store, dry_run: bool) -> Vec<FieldError> {
        service_ips::allocate(new, old, store, dry_run)
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        service_rules::validate(object)
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        service_rules::validate_update(new, old)
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        service_rules::validate_status(new)
    }

    fn warnings(&self, new: &Value, _old: Option<&Value>) -> Vec<String> {
        let mut warnings = Vec::new();
        if !list(new, "externalIPs").is_empty() {
            warnings
                .push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
        }
        warnings
    }
}

/// What was allocated stays when the writer leaves it out.
fn carry_over(new: &mut Value, old: &Value) {
    if needs_ip(old) && needs_ip(new) {
        if new["spec"].get("clusterIP").is_none()
            && let Some(address) = old["spec"].get("clusterIP")
        {
            new["spec"]["clusterIP"] = address.clone();
        }
        if new["spec"].get("clusterIPs").is_none()
            && new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
            && let Some(addresses) = old["spec"].get("clusterIPs")
        {
            new["spec"]["clusterIPs"] = addresses.clone();
        }
        for member in ["ipFamilies", "ipFamilyPolicy"] {
            if new["spec"].get(member).is_none()
                && let Some(value) = old["spec"].get(member)
            {
                new["spec"][member] = value.clone();
            }
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        let before = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let mut used: Vec<i64> = list(new, "ports")
            .iter()
            .filter_map(|p| p["nodePort"].as_i64())
            .collect();
        for port in list_mut(new, "/spec/ports") {
            if port.get("nodePort").is_some() {
                continue;
            }
            // By name: the number of the port may have changed.
            let same = before.iter().find(|b| b.get("name") == port.get("name"));
            if let Some(number) = same.and_then(|b| b["nodePort"].as_i64()).filter(|n| !used.contains(n)) {
                used.push(number);
                port["nodePort"] = json!(number);
            }
        }
    }
    if needs_health_port(old)
        && needs_health_port(new)
        && new["spec"].get("healthCheckNodePort").is_none()
        && let Some(number) = old["spec"].get("healthCheckNodePort")
    {
        new["spec"]["healthCheckNodePort"] = number.clone();
    }
}

/// A change of type takes away what only the old type had, unless the writer changed it too.
fn drop_what_the_type_has_not(new: &mut Value, old: &Value) {
    let (was, is) = (kind(old).to_owned(), kind(new).to_owned());
    let mut drop = |member: &str| {
        if new["spec"].get(member) == old["spec"].get(member)
            && let Some(spec) = new["spec"].as_object_mut()
        {
            spec.shift_remove(member);
        }
    };
    if was != is && is == "ExternalName" {
        for member in [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ] {
            drop(member);
        }
    }
    if was == "LoadBalancer" && is != "LoadBalancer" {
        for member in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            drop(member);
        }
    }
    if needs_health_port(old) && !needs_health_port(new) {
        let mut drop = |member: &str| {
            if new["spec"].get(member) == old["spec"].get(member)
                && let Some(spec) = new["spec"].as_object_mut()
            {
                spec.shift_remove(member);
            }
        };
        drop("healthCheckNodePort");
    }
    if was != is && matches!(is.as_str(), "ClusterIP" | "ExternalName") {
        if list(new, "externalIPs").is_empty()
            && new["spec"].get("externalTrafficPolicy") == old["spec"].get("externalTrafficPolicy")
            && let Some(spec) = new["spec"].as_object_mut()
        {
            spec.shift_remove("externalTrafficPolicy");
        }
        let before = list(old, "ports").to_vec();
        for (i, port) in list_mut(new, "/spec/ports").enumerate() {
            if before.get(i).is_some_and(|b| b["nodePort"] == port["nodePort"])
                && let Some(port) = port.as_object_mut()
            {
                port.shift_remove("nodePort");
            }
        }
    }
    if was == "LoadBalancer" && is != "LoadBalancer" {
        new["status"] = json!({"loadBalancer": {}});
    }
}
