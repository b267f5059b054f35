//! cloud-node-lifecycle-controller: deletes the nodes of instances that are gone, and taints those of instances that are
//! switched off.
//!
//! Mirrors `controllers/nodelifecycle` of `kubernetes/cloud-provider`. Differs from upstream: nothing is deleted on doubt
//! (see [`Guard`]), nodes that were never initialised and those of other clouds are left alone, and the cloud is asked
//! about all nodes in one go, and less often while nothing changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Backoff;
use kube_kit::metrics::{Counter, Gauge};
use kube_kit::{Recorder, retry};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span, info, warn};

use super::Shared;
use super::observe::{Asked, is_foreign, is_ours, raise_unavailable};
use super::patch::{self, NodeWriter};
use crate::data::{Condition, Node, Ready, Taint};
use crate::helpers::{has_taint, without_taint};
use crate::names::{CONDITION_INSTANCE, TAINT_SHUTDOWN, TAINT_UNINITIALIZED};

mod guard;

pub use guard::{Guard, GuardOptions, Held, Seen, Verdict};

/// What the shutdown taint does.
const EFFECT: &str = "NoSchedule";
/// The longest time between two looks at the cloud while some node is not ready and nothing changes.
const SLOWEST: Duration = Duration::from_mins(1);
/// How many held nodes are told so in one sweep: the others are in the next.
const TOLD_AT_A_TIME: usize = 50;
/// The alarm while deletions are held back.
const ALARM: &str = "NodeDeletionHeld";

/// What can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct LifecycleOptions {
    /// `--node-monitor-period`: how long after the end of one sweep the next begins.
    pub period: Duration,
    /// When a node may go.
    pub guard: GuardOptions,
}

/// The controller. Clones share it.
#[derive(Clone)]
pub struct LifecycleController(Arc<Inner>);

struct Inner {
    shared: Shared,
    options: LifecycleOptions,
    recorder: Recorder,
    writer: NodeWriter,
    asked: Asked,
    guard: Mutex<Guard>,
    suspects: Gauge,
    held: Gauge,
    deleted: Counter,
}

/// When to look at the cloud next.
struct Looks {
    not_ready: BTreeSet<String>,
    at: Instant,
    backoff: Backoff,
}

impl LifecycleController {
    /// The controller, unless the cloud has no instances.
    pub fn new(shared: &Shared, options: LifecycleOptions) -> Option<Self> {
        shared.cloud.instances()?;
        let metrics = &shared.metrics;
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Some(Self(Arc::new(Inner {
            recorder: shared.recorder.component("cloud-node-lifecycle-controller"),
            writer: NodeWriter::new(&shared.client),
            asked: Asked::new(metrics),
            guard: Mutex::new(Guard::new(options.guard.clone())),
            suspects: gauge(
                "node_lifecycle_controller_suspect_nodes",
                "Nodes whose instances seem to be gone.",
            ),
            held: gauge(
                "node_lifecycle_controller_deletion_held",
                "1 while nodes are kept although their instances seem to be gone.",
            ),
            deleted: metrics.counter("node_lifecycle_controller_deleted_nodes_total", "Nodes deleted.", &[]),
            shared: shared.clone(),
            options,
        })))
    }

    /// Works until `stop` is cancelled. What is under way then is finished.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.0.shared.nodes.synced() => {}
        }
        let mut looks = Looks {
            not_ready: BTreeSet::new(),
            at: Instant::now(),
            backoff: self.pace(),
        };
        loop {
            let span = debug_span!("reconcile", otel.name = "watch over nodes");
            self.sweep(&mut looks, &stop).instrument(span).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.0.options.period) => {}
            }
        }
    }

    /// The nodes whose instances seem to be gone, and why they are kept if they are: for the debug page.
    pub fn suspects(&self) -> Vec<String> {
        self.guard().suspects()
    }

    async fn sweep(&self, looks: &mut Looks, stop: &CancellationToken) {
        let inner = &self.0;
        let mut nodes = inner.shared.nodes.list();
        nodes.retain(|node| !node.deleting);
        for node in nodes
            .iter()
            .filter(|node| node.ready == Ready::Yes && has_shutdown_taint(node))
            .filter(|node| !is_foreign(&*inner.shared.cloud, node))
        {
            self.taint(node, false).await;
        }
        // A node without a provider ID cannot be positively denied, one that was never initialised may be too new for
        // the cloud's lists, and one of another cloud is none of our business.
        nodes.retain(|node| is_ours(&*inner.shared.cloud, node) && !node.is_tainted(TAINT_UNINITIALIZED));
        let not_ready: BTreeSet<String> = nodes
            .iter()
            .filter(|node| node.ready != Ready::Yes)
            .map(|node| node.uid.clone())
            .collect();
        if not_ready.is_empty() {
            self.guard().forget_all();
            self.report(&Verdict::default(), stop).await;
            looks.not_ready = not_ready;
            return;
        }
        if not_ready != looks.not_ready {
            (looks.not_ready, looks.at, looks.backoff) = (not_ready, Instant::now(), self.pace());
        }
        if Instant::now() < looks.at {
            return;
        }
        // All nodes are asked for, because those that are ready show whether the cloud can be believed.
        let seen = match inner.asked.look_up(&inner.shared, &nodes).await {
            Ok(seen) => seen,
            Err(error) => {
                raise_unavailable(&inner.shared, &error);
                let wait = looks
                    .backoff
                    .next()
                    .unwrap_or(SLOWEST)
                    .max(error.after().unwrap_or_default());
                looks.at = Instant::now() + wait;
                return;
            }
        };
        let seen: Vec<Seen> = nodes
            .iter()
            .zip(&seen)
            .map(|(node, seen)| Seen::new(Arc::clone(node), seen))
            .collect();
        let verdict = self.guard().judge(&seen);
        looks.at = Instant::now();
        if verdict.is_settled() {
            looks.at += looks.backoff.next().unwrap_or(SLOWEST);
        } else {
            looks.backoff = self.pace();
        }
        for seen in seen
            .iter()
            .filter(|seen| seen.is_off() && seen.node.ready != Ready::Yes)
        {
            if !has_shutdown_taint(&seen.node) && !stop.is_cancelled() {
                self.taint(&seen.node, true).await;
            }
        }
        self.report(&verdict, stop).await;
        for node in &verdict.delete {
            if !stop.is_cancelled() {
                self.delete(node).await;
            }
        }
    }

    async fn delete(&self, node: &Node) {
        let inner = &self.0;
        let text = format!(
            "Deleting node {} because it does not exist in the cloud provider",
            node.name
        );
        inner.recorder.normal(&node.reference(), "DeletingNode", text);
        match inner.writer.delete(node).await {
            Ok(()) => {
                info!(node = %node.name, "deleted the node because its instance is gone");
                inner.deleted.inc(&[]);
            }
            Err(error) if retry::is_not_found(&error) => {}
            Err(error) => {
                let text = format!("Failed deleting node {}: {}", node.name, kit::chain(&error));
                warn!("{text}");
                inner.recorder.warning(&node.reference(), "DeletingNodeFailed", text);
            }
        }
    }

    /// Sets or removes the shutdown taint, in one write unless somebody else was faster.
    async fn taint(&self, node: &Node, off: bool) {
        let inner = &self.0;
        let mut node = node.clone();
        for attempt in 1..=patch::TRIES {
            let mut taints = without_taint(&node.taints, TAINT_SHUTDOWN, EFFECT);
            if off {
                taints.push(Taint {
                    key: TAINT_SHUTDOWN.to_owned(),
                    value: String::new(),
                    effect: EFFECT.to_owned(),
                    added: None,
                });
            }
            let body = json!({
                "metadata": { "resourceVersion": node.resource_version },
                "spec": { "taints": patch::taints(&taints) },
            });
            let Err(error) = inner.writer.patch(&node, body).await else {
                return info!(node = %node.name, off, "changed the shutdown taint");
            };
            if !patch::is_conflict(&error) || attempt == patch::TRIES {
                if !retry::is_not_found(&error) {
                    warn!(node = %node.name, error = %kit::chain(&error), "cannot change the shutdown taint");
                }
                return;
            }
            patch::pause().await;
            node = match inner.writer.read(&node.name).await {
                // Ready again, or another node: the next sweep decides anew.
                Ok(Some(fresh)) if fresh.uid == node.uid && (fresh.ready == Ready::Yes) != off => fresh,
                _ => return,
            };
            if has_shutdown_taint(&node) == off {
                return;
            }
        }
    }

    /// Says what is held back and why, where an operator looks, and takes it back when it is over.
    async fn report(&self, verdict: &Verdict, stop: &CancellationToken) {
        let inner = &self.0;
        inner.suspects.set(&[], verdict.suspects.len() as f64);
        inner.held.set(&[], if verdict.held.is_some() { 1.0 } else { 0.0 });
        match &verdict.held {
            Some(held) => inner.shared.alarms.raise(ALARM, held.to_string()),
            None => inner.shared.alarms.clear(ALARM),
        }
        let mut told = 0;
        if let Some(held) = &verdict.held {
            let now = condition("False", "DeletionHeld", &held.to_string());
            for node in verdict
                .suspects
                .iter()
                .filter(|node| node.condition(CONDITION_INSTANCE) != Some(&now))
            {
                if told == TOLD_AT_A_TIME || stop.is_cancelled() {
                    return;
                }
                told += 1;
                let text = format!("Node is kept although its instance seems to be gone: {held}");
                inner.recorder.warning(&node.reference(), "NodeDeletionHeld", text);
                self.set_condition(node, &now).await;
            }
        }
        let back = condition("True", "InstanceExists", "the instance exists");
        let suspects: BTreeSet<&str> = verdict.suspects.iter().map(|node| node.uid.as_str()).collect();
        let is_marked = |node: &&Arc<Node>| {
            let condition = node.condition(CONDITION_INSTANCE);
            condition.is_some_and(|condition| condition.status != "True") && is_ours(&*inner.shared.cloud, node)
        };
        for node in inner.shared.nodes.list().iter().filter(is_marked) {
            if !suspects.contains(node.uid.as_str()) && told < TOLD_AT_A_TIME {
                told += 1;
                self.set_condition(node, &back).await;
            }
        }
    }

    async fn set_condition(&self, node: &Node, condition: &Condition) {
        let now = self.0.shared.clock.now();
        if let Err(error) = self.0.writer.set_condition(node, condition, now).await {
            warn!(node = %node.name, error = %kit::chain(&error), "cannot write the node's condition");
        }
    }

    fn pace(&self) -> Backoff {
        Backoff::new(self.0.options.period, SLOWEST.max(self.0.options.period))
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.0.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_shutdown_taint(node: &Node) -> bool {
    has_taint(&node.taints, TAINT_SHUTDOWN, EFFECT)
}

fn condition(status: &str, reason: &str, message: &str) -> Condition {
    Condition::new(CONDITION_INSTANCE, status, reason, message)
}

#[cfg(test)]
mod tests;
