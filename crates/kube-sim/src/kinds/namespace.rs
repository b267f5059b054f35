//! Namespaces.

use serde_json::{Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::store::Store;

/// The label that every namespace carries.
pub(crate) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Mirrors kubernetes/kubernetes pkg/registry/core/namespace/strategy.go.
#[derive(Debug)]
pub(crate) struct Namespace;

impl Rules for Namespace {
    fn default(&self, object: &mut Value) {
        if let Some(name) = object["metadata"]["name"].as_str().filter(|n| !n.is_empty()) {
            object["metadata"]["labels"][NAME_LABEL] = json!(name);
        }
    }

    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        object["status"] = json!({"phase": "Active"});
        let finalizers = object.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut);
        match finalizers {
            Some(list) if list.iter().any(|f| f == "kubernetes") => {}
            Some(list) => list.push(json!("kubernetes")),
            None => object["spec"]["finalizers"] = json!(["kubernetes"]),
        }
        Vec::new()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _store: &Store) -> Vec<FieldError> {
        // Only /finalize changes them.
        new["spec"] = old["spec"].clone();
        Vec::new()
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        let phase = new["status"]["phase"].as_str().unwrap_or_default();
        let (expected, state) = if new["metadata"].get("deletionTimestamp").is_none() {
            ("Active", "empty")
        } else {
            ("Terminating", "not empty")
        };
        if phase == expected {
            return Vec::new();
        }
        let why = format!("may only be '{expected}' if `deletionTimestamp` is {state}");
        vec![FieldError::invalid("status.Phase", phase, &why)]
    }
}
