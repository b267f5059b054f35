//! Pods without a scheduler and without kubelets: defaults, admission, and what may change.

use serde_json::{Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::json::list_mut;
use crate::names;
use crate::store::Store;

const EVICT_AFTER: i64 = 300;
/// What an update of a pod may change, besides the images of its containers.
const MUTABLE: &[&str] = &["activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations"];

/// Mirrors kubernetes/kubernetes pkg/registry/core/pod and the admission plugins every cluster has.
#[derive(Debug)]
pub(crate) struct Pod;

impl Rules for Pod {
    fn default(&self, object: &mut Value) {
        let spec = &mut object["spec"];
        if spec.get("securityContext").is_none() {
            spec["securityContext"] = json!({});
        }
        for list in ["/initContainers", "/containers"] {
            for container in list_mut(spec, list) {
                if container.get("imagePullPolicy").is_none() {
                    let image = container["image"].as_str().unwrap_or_default();
                    let tag = image
                        .rsplit('/')
                        .next()
                        .unwrap_or_default()
                        .split_once(':')
                        .map_or("latest", |(_, tag)| tag);
                    let policy = if tag == "latest" { "Always" } else { "IfNotPresent" };
                    container["imagePullPolicy"] = json!(policy);
                }
            }
        }
        if let Some(account) = spec.get("serviceAccountName").cloned() {
            spec["serviceAccount"] = account;
        }
    }

    fn admit(&self, object: &mut Value, namespace: &str, store: &Store) -> Result<(), String> {
        let spec = &mut object["spec"];
        let account = spec["serviceAccountName"].as_str().unwrap_or("default").to_owned();
        if store.get("serviceaccounts", namespace, &account).is_none() {
            return Err(format!(
                "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
            ));
        }
        spec["serviceAccountName"] = json!(account);
        spec["serviceAccount"] = json!(account);
        spec["priority"] = json!(0);
        spec["preemptionPolicy"] = json!("PreemptLowerPriority");
        let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let known = |t: &Value| {
                (t["key"] == key || t.get("key").is_none()) && (t["effect"] == "NoExecute" || t.get("effect").is_none())
            };
            if !tolerations.iter().any(known) {
                tolerations.push(json!({
                    "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": EVICT_AFTER,
                }));
            }
        }
        spec["tolerations"] = json!(tolerations);
        Ok(())
    }

    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        object["status"] = json!({"phase": "Pending", "qosClass": quality(object)});
        Vec::new()
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let containers = object["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
        if containers.is_empty() {
            errors.push(FieldError::required("spec.containers", ""));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (i, container) in containers.iter().enumerate() {
            let at = format!("spec.containers[{i}]");
            let name = container["name"].as_str().unwrap_or_default();
            if name.is_empty() {
                errors.push(FieldError::required(format!("{at}.name"), ""));
            } else {
                errors.extend(
                    names::dns_label(name)
                        .iter()
                        .map(|p| FieldError::invalid(format!("{at}.name"), name, p)),
                );
            }
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(format!("{at}.name"), name));
            }
            seen.push(name);
            if container["image"].as_str().unwrap_or_default().is_empty() {
                errors.push(FieldError::required(format!("{at}.image"), ""));
            }
        }
        let policy = object["spec"]["restartPolicy"].as_str().unwrap_or_default();
        if !["Always", "OnFailure", "Never"].contains(&policy) {
            errors.push(FieldError::not_supported(
                "spec.restartPolicy",
                policy,
                &["Always", "OnFailure", "Never"],
            ));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut expected = old["spec"].clone();
        for list in ["containers", "initContainers"] {
            for (i, container) in list_mut(&mut expected, &format!("/{list}")).enumerate() {
                if let Some(image) = new["spec"][list][i].get("image") {
                    container["image"] = image.clone();
                }
            }
        }
        for &member in MUTABLE {
            match (new["spec"].get(member), expected.as_object_mut()) {
                (Some(value), Some(map)) => {
                    map.insert(member.to_owned(), value.clone());
                }
                (None, Some(map)) => {
                    map.shift_remove(member);
                }
                (_, None) => {}
            }
        }
        if expected == new["spec"] {
            return Vec::new();
        }
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
            `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
            tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        vec![FieldError::forbidden("spec", why)]
    }

    fn prepare_status(&self, new: &mut Value, old: &Value) {
        // Set once, from the requests and limits.
        if let Some(class) = old["status"].get("qosClass") {
            new["status"]["qosClass"] = class.clone();
        }
    }
}

/// The quality-of-service class.
fn quality(pod: &Value) -> &'static str {
    let containers = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let part = |c: &Value, kind: &str, name: &str| c["resources"][kind].get(name).cloned();
    let asks = |c: &Value| {
        ["limits", "requests"]
            .iter()
            .any(|k| ["cpu", "memory"].iter().any(|r| part(c, k, r).is_some()))
    };
    let whole = |c: &Value| {
        ["cpu", "memory"].iter().all(|r| {
            let limit = part(c, "limits", r);
            limit.is_some() && part(c, "requests", r).is_none_or(|request| Some(request) == limit)
        })
    };
    if !containers.iter().any(asks) {
        "BestEffort"
    } else if containers.iter().all(whole) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
