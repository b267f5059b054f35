//! Writing to nodes: strategic merge patches that say which node they mean.

use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kit::Class;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, Request};
use kube::core::request;
use kube_kit::retry;
use serde::Deserialize;
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

/// What an API server is asked to answer a write with: the node itself comes with the watch, and is large.
const METADATA: HeaderValue = HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// What is read of that.
#[derive(Deserialize)]
struct Written {
    metadata: WrittenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetadata {
    resource_version: String,
}

/// The nodes of a cluster, to be written.
#[derive(Clone)]
pub struct NodeWriter {
    client: kube::Client,
    nodes: Api<Slim<core::Node>>,
}

impl NodeWriter {
    /// Writes with this client.
    pub fn new(client: &kube::Client) -> Self {
        Self {
            client: client.clone(),
            nodes: Api::all(client.clone()),
        }
    }

    /// The node as it is now.
    pub async fn read(&self, name: &str) -> Result<Option<Node>, kube::Error> {
        Ok(self.nodes.get_opt(name).await?.map(|node| Node::cut(node.0)))
    }

    /// Patches a node, and gives the version that it has then. A node of the same name with another UID answers with a
    /// conflict.
    pub async fn patch(&self, node: &Node, patch: Value) -> Result<String, kube::Error> {
        self.send(node, patch, |nodes, params, patch| {
            nodes.patch(&node.name, params, patch)
        })
        .await
    }

    /// Patches a node's status, likewise.
    pub async fn patch_status(&self, node: &Node, patch: Value) -> Result<String, kube::Error> {
        self.send(node, patch, |nodes, params, patch| {
            nodes.patch_subresource("status", &node.name, params, patch)
        })
        .await
    }

    async fn send<F>(&self, node: &Node, mut patch: Value, request: F) -> Result<String, kube::Error>
    where
        F: FnOnce(&Request, &PatchParams, &Patch<Value>) -> Result<http::Request<Vec<u8>>, request::Error>,
    {
        patch["metadata"]["uid"] = node.uid.as_str().into();
        let nodes = Request::new(self.nodes.resource_url());
        let mut request =
            request(&nodes, &PatchParams::default(), &Patch::Strategic(patch)).map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, METADATA);
        let written: Written = self.client.request(request).await?;
        Ok(written.metadata.resource_version)
    }

    /// Sets a condition of a node.
    pub async fn set_condition(&self, node: &Node, wanted: &Condition, now: Timestamp) -> Result<String, kube::Error> {
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
        self.nodes.delete(&node.name, &params).await.map(|_| ())
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
