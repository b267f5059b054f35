//! Carrying out what was decided about a node, and saying so.

use std::sync::Arc;

use serde_json::json;
use tracing::{info, warn};

use super::{NodeController, Plan, Problem, Version, desired_addresses, plan, refreshed_labels};
use crate::cloud::Metadata;
use crate::controllers::patch;
use crate::data::{Condition, Node};
use crate::names::{CONDITION_INITIALIZED, TAINT_UNINITIALIZED};
use kube_kit::retry;

impl NodeController {
    /// Initialises a node: addresses first, then everything else in one write that takes the taint off.
    pub(super) async fn initialize(&self, node: &Arc<Node>, metadata: &Metadata) -> Result<(), Problem> {
        let inner = &self.0;
        let mut node = Arc::clone(node);
        for attempt in 1.. {
            let plan = plan(&node, metadata)?;
            let error = match self.write(&node, &plan).await {
                Ok(written) => {
                    let version = Version {
                        uid: node.uid.clone(),
                        version: written.parse().ok(),
                    };
                    self.written().insert(node.name.clone(), version);
                    break;
                }
                Err(error) => error,
            };
            if retry::is_not_found(&error) {
                return Ok(());
            }
            if !patch::is_conflict(&error) || attempt == patch::TRIES {
                return Err(Problem::Write(kit::chain(&error)));
            }
            patch::pause().await;
            node = match inner.writer.read(&node.name).await {
                Ok(Some(fresh)) if fresh.uid == node.uid && fresh.is_tainted(TAINT_UNINITIALIZED) => Arc::new(fresh),
                // Somebody else was faster, or it is another node: whatever it is now, it comes as an event.
                Ok(_) => return Ok(()),
                Err(error) => return Err(Problem::Write(kit::chain(&error))),
            };
        }
        info!(node = %node.name, "node initialized");
        let age = node
            .created
            .map(|created| inner.shared.clock.since(created).as_secs_f64());
        inner.taint_removal.observe(&[], age.unwrap_or(0.0));
        inner.first_sync.observe(&[], age.unwrap_or(0.0));
        inner
            .recorder
            .normal(&node.reference(), "Synced", "Node synced successfully");
        Ok(())
    }

    /// Gives the version that the node has then.
    async fn write(&self, node: &Node, plan: &Plan) -> Result<String, kube::Error> {
        let inner = &self.0;
        let mut version = node.resource_version.clone();
        let mut status = serde_json::Map::new();
        if let Some(addresses) = &plan.addresses {
            status.insert("addresses".to_owned(), patch::addresses(addresses, &node.addresses));
        }
        if node
            .condition(CONDITION_INITIALIZED)
            .is_some_and(|condition| condition.status != "True")
        {
            let over = condition("True", "Initialized", "the node was initialized from its instance");
            status.insert(
                "conditions".to_owned(),
                json!([patch::condition(&over, inner.shared.clock.now())]),
            );
        }
        if !status.is_empty() {
            version = inner.writer.patch_status(node, json!({ "status": status })).await?;
        }
        let mut body = json!({
            "metadata": { "resourceVersion": version },
            "spec": { "taints": patch::taints(&plan.taints) },
        });
        if !plan.labels.is_empty() {
            body["metadata"]["labels"] = json!(plan.labels);
        }
        if let Some(provider_id) = &plan.provider_id {
            body["spec"]["providerID"] = provider_id.as_str().into();
        }
        inner.writer.patch(node, body).await
    }

    /// Says on the node why it is not initialised: an event each time, a condition when it has changed.
    pub(super) async fn tell(&self, node: &Node, problem: &Problem) {
        let inner = &self.0;
        warn!(node = %node.name, reason = problem.reason(), "cannot initialize the node: {problem}");
        let text = format!("Node is not initialized: {problem}");
        inner.recorder.warning(&node.reference(), "InitializationFailed", text);
        let now = condition("False", problem.reason(), &problem.to_string());
        if matches!(problem, Problem::Write(_)) || node.condition(CONDITION_INITIALIZED) == Some(&now) {
            return;
        }
        if let Err(error) = inner.writer.set_condition(node, &now, inner.shared.clock.now()).await {
            warn!(node = %node.name, error = %kit::chain(&error), "cannot write the node's condition");
        }
    }

    /// Brings the addresses of an initialised node in line, and its labels if that is wanted.
    pub(super) async fn update(&self, node: &Node, metadata: &Metadata) {
        let inner = &self.0;
        match desired_addresses(node, metadata) {
            Ok(Some(wanted)) if wanted != node.addresses => {
                let body = json!({ "status": { "addresses": patch::addresses(&wanted, &node.addresses) } });
                told(node, "addresses", inner.writer.patch_status(node, body).await);
            }
            Ok(_) => {}
            Err(error) => {
                let text = format!("Node addresses are not updated: {error}");
                inner.recorder.warning(&node.reference(), "InvalidNodeIP", text);
            }
        }
        if !inner.options.refresh_labels {
            return;
        }
        let labels = refreshed_labels(&node.labels, metadata);
        if !labels.is_empty() {
            let body = json!({ "metadata": { "labels": labels } });
            told(node, "labels", inner.writer.patch(node, body).await);
        }
    }
}

fn condition(status: &str, reason: &str, message: &str) -> Condition {
    Condition::new(CONDITION_INITIALIZED, status, reason, message)
}

fn told(node: &Node, what: &str, result: Result<String, kube::Error>) {
    match result {
        Ok(_) => info!(node = %node.name, "updated {what}"),
        Err(error) if retry::is_not_found(&error) => {}
        Err(error) => warn!(node = %node.name, error = %kit::chain(&error), "cannot update {what}"),
    }
}
