//! Nodes.

use serde_json::{Value, json};

use super::Rules;
use super::service_rules::cidr;
use crate::field::FieldError;
use crate::store::Store;
use crate::{meta, names};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Mirrors kubernetes/kubernetes pkg/registry/core/node/strategy.go and pkg/apis/core/validation.
#[derive(Debug)]
pub(crate) struct Node;

impl Rules for Node {
    fn default(&self, object: &mut Value) {
        drop_config_source(object);
        let spec = &mut object["spec"];
        let single = spec["podCIDR"].as_str().unwrap_or_default().to_owned();
        if !single.is_empty() && spec["podCIDRs"][0] != single.as_str() {
            spec["podCIDRs"] = json!([single]);
        } else if single.is_empty()
            && let Some(first) = spec["podCIDRs"].get(0).cloned()
        {
            spec["podCIDR"] = first;
        }
        if let Some(capacity) = object["status"].get("capacity").cloned()
            && object["status"].get("allocatable").is_none()
        {
            object["status"]["allocatable"] = capacity;
        }
    }

    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        let taints = &mut object["spec"]["taints"];
        let taint = json!({"key": NOT_READY, "effect": "NoSchedule"});
        match taints.as_array_mut() {
            Some(list)
                if list
                    .iter()
                    .any(|t| t["key"] == NOT_READY && t["effect"] == "NoSchedule") => {}
            Some(list) => list.push(taint),
            None => *taints = json!([taint]),
        }
        Vec::new()
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = taints(object);
        errors.extend(pod_cidrs(object));
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        // The real server validates the node as a whole, then the change, which includes most of the former again.
        let mut errors = self.validate(new);
        errors.extend(meta::labels("metadata.labels", &new["metadata"]["labels"]));
        errors.extend(change(new, old));
        errors
    }

    fn validate_status(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        change(new, old)
    }
}

/// A feature that is gone.
fn drop_config_source(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.shift_remove("configSource");
    }
}

fn change(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut addresses: Vec<&Value> = Vec::new();
    for (i, address) in new["status"]["addresses"].as_array().into_iter().flatten().enumerate() {
        if addresses.contains(&address) {
            let shown = json!({"Type": address["type"], "Address": address["address"]});
            errors.push(FieldError::duplicate(format!("status.addresses[{i}]"), shown));
        }
        addresses.push(address);
    }
    for member in ["capacity", "allocatable"] {
        for (name, quantity) in new["status"][member].as_object().into_iter().flatten() {
            if quantity.as_str().is_some_and(|q| q.starts_with('-')) {
                let at = format!("status.{member}.{name}");
                errors.push(FieldError::invalid(
                    at,
                    quantity.clone(),
                    "must be greater than or equal to 0",
                ));
            }
        }
    }
    let (is, was) = (&new["spec"], &old["spec"]);
    if was.get("podCIDRs").is_some() && is["podCIDRs"] != was["podCIDRs"] {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden("spec.podCIDRs", why));
    }
    if was.get("providerID").is_some() && is["providerID"] != was["providerID"] {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden("spec.providerID", why));
    }
    if is.get("externalID") != was.get("externalID") {
        errors.push(FieldError::forbidden("spec.externalID", "may not be updated"));
    }
    errors.extend(taints(new));
    errors
}

fn taints(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let taints = object["spec"]["taints"].as_array().map_or(&[][..], Vec::as_slice);
    for (i, taint) in taints.iter().enumerate() {
        // The real server looks for them below metadata.
        let at = format!("metadata.taints[{i}]");
        let text = |member: &str| taint[member].as_str().unwrap_or_default();
        let key = text("key");
        errors.extend(
            names::qualified_name(key)
                .iter()
                .map(|p| FieldError::invalid(format!("{at}.key"), key, p)),
        );
        let value = text("value");
        errors.extend(
            names::label_value(value)
                .iter()
                .map(|p| FieldError::invalid(format!("{at}.value"), value, p)),
        );
        match text("effect") {
            "" => errors.push(FieldError::required(format!("{at}.effect"), "")),
            effect if !EFFECTS.contains(&effect) => {
                errors.push(FieldError::not_supported(format!("{at}.effect"), effect, EFFECTS));
            }
            _ => {}
        }
        let same = |other: &Value| other["key"] == taint["key"] && other["effect"] == taint["effect"];
        if taints[..i].iter().any(same) {
            let shown = json!({
                "Key": key, "Value": value, "Effect": text("effect"), "TimeAdded": taint.get("timeAdded"),
            });
            errors.push(FieldError::duplicate(at, shown).because("taints must be unique by key and effect pair"));
        }
    }
    errors
}

fn pod_cidrs(object: &Value) -> Vec<FieldError> {
    let cidrs: Vec<&str> = object["spec"]["podCIDRs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut errors: Vec<FieldError> = cidrs
        .iter()
        .enumerate()
        .filter_map(|(i, c)| cidr(&format!("spec.podCIDRs[{i}]"), c))
        .collect();
    let dual = cidrs.len() == 2 && cidrs[0].contains(':') != cidrs[1].contains(':');
    if cidrs.len() > 1 && !dual && errors.is_empty() {
        let why = "may specify no more than one CIDR for each IP family";
        errors.push(FieldError::invalid("spec.podCIDRs", json!(cidrs), why));
    }
    errors
}
