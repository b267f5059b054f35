//! Nodes.

use serde_json::{Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::store::Store;

/// Mirrors kubernetes/kubernetes pkg/registry/core/node/strategy.go and pkg/apis/core/validation.
#[derive(Debug)]
pub(crate) struct Node;

impl Rules for Node {
    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        const NOT_READY: &str = "node.kubernetes.io/not-ready";
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
}
