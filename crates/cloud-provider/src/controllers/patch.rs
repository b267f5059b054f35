//! Writing to nodes: strategic merge patches that say which node they mean.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kit::Class;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube_kit::retry;
use serde_json::{Value, json};

use crate::data::{Address, Condition, Node, Slim, Taint};

/// How often a write is tried that meets a conflict.
pub const TRIES: u32 = 5;
/// How long to wait before a write that met a conflict is tried again; up to twice that.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits before a write that met a conflict is tried again.
pub async fn pause() {
    tokio::time::sleep(PAUSE + PAUSE.mul_f64(fastrand::f64())).await;
}

/// Whether somebody else was faster.
pub fn is_conflict(error: &kube::Error) -> bool {
    retry::class(error) == Class::Conflict
}

/// The nodes of a cluster, to be written.
#[derive(Clone)]
pub struct NodeWriter(Api<Slim<core::Node>>);

impl NodeWriter {
    /// Writes with this client.
    pub fn new(client: &kube::Client) -> Self {
        Self(Api::all(client.clone()))
    }

    /// The node as it is now.
    pub async fn read(&self, name: &str) -> Result<Option<Node>, kube::Error> {
        Ok(self.0.get_opt(name).await?.map(|node| Node::cut(node.0)))
    }

    /// Patches a node. A node of the same name with another UID answers with a conflict.
    pub async fn patch(&self, node: &Node, mut patch: Value) -> Result<Node, kube::Error> {
        patch["metadata"]["uid"] = node.uid.as_str().into();
        Ok(Node::cut(
            self.0
                .patch(&node.name, &PatchParams::default(), &Patch::Strategic(patch))
                .await?
                .0,
        ))
    }

    /// Patches a node's status.
    pub async fn patch_status(&self, node: &Node, mut patch: Value) -> Result<Node, kube::Error> {
        patch["metadata"]["uid"] = node.uid.as_str().into();
        Ok(Node::cut(
            self.0
                .patch_status(&node.name, &PatchParams::default(), &Patch::Strategic(patch))
                .await?
                .0,
        ))
    }

    /// Sets a condition of a node.
    pub async fn set_condition(&self, node: &Node, wanted: &Condition, now: Timestamp) -> Result<Node, kube::Error> {
        let body = json!({ "status": { "conditions": [condition(wanted, now)] } });
        self.patch_status(node, body).await
    }

    /// Deletes this very node, and not one that has taken its name since.
    pub async fn delete(&self, node: &Node) -> Result<(), kube::Error> {
        let preconditions = Preconditions {
            uid: Some(node.uid.clone()),
            resource_version: None,
        };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        self.0.delete(&node.name, &params).await.map(|_| ())
    }
}

/// `status.addresses` for a patch. The field is declared to be merged by type, which loses addresses: where there are
/// some already, the whole list is replaced.
pub fn addresses(wanted: &[Address], known: &[Address]) -> Value {
    let mut list: Vec<Value> = wanted
        .iter()
        .map(|address| json!({ "type": address.kind.to_string(), "address": address.address }))
        .collect();
    if !known.is_empty() {
        list.push(json!({ "$patch": "replace" }));
    }
    list.into()
}

/// `spec.taints` for a patch: the full list, which replaces the old one.
pub fn taints(wanted: &[Taint]) -> Value {
    if wanted.is_empty() {
        Value::Null
    } else {
        wanted.iter().map(Taint::json).collect()
    }
}

/// An element of `status.conditions` for a patch, which is merged by type.
pub fn condition(condition: &Condition, now: Timestamp) -> Value {
    json!({
        "type": condition.kind,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastHeartbeatTime": Time(now),
        "lastTransitionTime": Time(now),
    })
}
