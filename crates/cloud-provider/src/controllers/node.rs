//! cloud-node-controller: brings new nodes to life and keeps their addresses current.
//!
//! Mirrors `controllers/node` of `kubernetes/cloud-provider`. Differs from upstream: the cloud is asked about all waiting
//! nodes at once; a node gets its addresses before it loses its taint, never after; why a node is not initialised stands
//! in an event and a condition on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kit::{Backoff, Class};
use kube_kit::metrics::{Counter, Gauge, Histogram};
use kube_kit::{Change, Limiter, QueueMetrics, Recorder, Work, WorkQueue, retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, debug_span, info, warn};

use super::Shared;
use super::observe::{Asked, is_foreign, is_ours, raise_unavailable};
use super::patch::NodeWriter;
use crate::cloud::{Metadata, Sighting, Unknown};
use crate::data::Node;
use crate::error::CloudError;
use crate::names::TAINT_UNINITIALIZED;

mod addresses;
mod labels;
mod plan;
mod write;

pub use addresses::{NodeIpError, desired_addresses, provided_addresses};
pub use labels::{is_reserved, label_changes, refreshed_labels, repaired_labels};
pub use plan::{Plan, Problem, plan};

/// How long a batch waits for more nodes. Long enough for a group that was started together, short enough not to matter.
const LINGER: Duration = Duration::from_millis(200);
/// A node that fails is tried again after a second, then ever later.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// How many failures of a kind that passes are not worth a word on each node that waits.
const WORTH_TELLING: u32 = 2;
const DELAYS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// `--node-status-update-frequency`: how long after the end of one pass over all nodes the next begins.
    pub status_frequency: Duration,
    /// `--concurrent-node-syncs`: how many nodes are initialised at a time.
    pub syncs: usize,
    /// `--concurrent-node-status-updates`: how many nodes are updated at a time.
    pub updates: usize,
    /// `--refresh-node-labels`: whether labels follow what the cloud says after a node was initialised.
    pub refresh_labels: bool,
}

/// The controller. Clones share it.
#[derive(Clone)]
pub struct NodeController(Arc<Inner>);

struct Inner {
    shared: Shared,
    options: NodeOptions,
    queue: WorkQueue<String>,
    recorder: Recorder,
    writer: NodeWriter,
    asked: Asked,
    taint_removal: Histogram,
    first_sync: Histogram,
    waiting: Gauge,
    last_pass: Gauge,
    failures: Counter,
    /// The version that each node had when it was initialised, until the store shows it.
    written: Mutex<HashMap<String, Version>>,
}

/// Which node, and its version if versions can be compared.
struct Version {
    uid: String,
    version: Option<u64>,
}

impl NodeController {
    /// A controller that watches the stores from now on. `None` when the cloud has no instances.
    pub fn new(shared: &Shared, options: NodeOptions) -> Option<Self> {
        shared.cloud.instances()?;
        let metrics = shared.metrics.clone();
        let queue = WorkQueue::new(
            Limiter::exponential(RETRY.0, RETRY.1),
            QueueMetrics::new(&metrics, "Nodes"),
        );
        let controller = Self(Arc::new(Inner {
            recorder: shared.recorder.component("cloud-node-controller"),
            writer: NodeWriter::new(&shared.client),
            asked: Asked::new(&metrics),
            taint_removal: metrics.histogram(
                "node_controller_cloud_provider_taint_removal_delay_seconds",
                "Number of seconds after node creation when NodeController removed the cloud-provider taint of a single node.",
                DELAYS,
                &[],
            ),
            first_sync: metrics.histogram(
                "node_controller_initial_node_sync_delay_seconds",
                "Number of seconds after node creation when NodeController finished the initial synchronization of a single node.",
                DELAYS,
                &[],
            ),
            waiting: metrics.gauge("node_controller_uninitialized_nodes", "Nodes that wait to be initialized.", &[]),
            last_pass: metrics.gauge(
                "node_controller_last_status_pass_timestamp_seconds",
                "When the last pass over all nodes succeeded.",
                &[],
            ),
            failures: metrics.counter(
                "node_controller_initialization_failures_total",
                "Tries to initialize a node that failed, by reason.",
                &["reason"],
            ),
            written: Mutex::default(),
            queue: queue.clone(),
            shared: shared.clone(),
            options,
        }));
        shared.nodes.on_change(move |name, change| {
            let wakes = match change {
                // Differs from upstream: one that is gone is looked at, too, so that nothing of it is remembered.
                Change::Added(_) | Change::Deleted(_) => true,
                Change::Updated { old, new } => matters(old, new),
            };
            if wakes {
                queue.add(name.to_owned());
            }
        });
        let weak = Arc::downgrade(&controller.0);
        metrics.on_render(move || {
            if let Some(inner) = weak.upgrade() {
                let waiting = inner.shared.nodes.list().iter().filter(|node| is_waiting(node)).count();
                inner.waiting.set(&[], waiting as f64);
            }
        });
        Some(controller)
    }

    /// Works until `stop` is cancelled. What is under way then is finished.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.0.shared.nodes.synced() => {}
        }
        tokio::join!(self.initialize_nodes(&stop), self.update_nodes(&stop));
    }

    async fn initialize_nodes(&self, stop: &CancellationToken) {
        let fresh = || Backoff::new(RETRY.0, RETRY.1);
        let mut backoff = fresh();
        let mut failures = 0;
        // All nodes there are were queued already: there is nothing to wait for at first.
        let mut linger = Duration::ZERO;
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return,
                batch = self.0.queue.take_batch(usize::MAX, linger) => batch,
            };
            linger = LINGER;
            let Some(batch) = batch else { return };
            let span = debug_span!("reconcile", otel.name = "initialize nodes", nodes = batch.len());
            let Err(error) = self.sync(batch, failures, stop).instrument(span).await else {
                (backoff, failures) = (fresh(), 0);
                continue;
            };
            failures += 1;
            // Nothing can be said about any node: there is no point in asking for others meanwhile.
            let wait = error.after().unwrap_or_default().max(backoff.next().unwrap_or(RETRY.1));
            debug!(?wait, "looking up again later");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Brings these nodes forward. An error when the cloud could not be asked at all.
    async fn sync(&self, batch: Vec<Work<String>>, failures: u32, stop: &CancellationToken) -> Result<(), CloudError> {
        let inner = &self.0;
        let mut waiting: Vec<(Work<String>, Arc<Node>)> = Vec::new();
        for work in batch {
            let Some(node) = inner.shared.nodes.get(work.key()) else {
                self.written().remove(work.key());
                work.finish();
                continue;
            };
            if self.is_stale(&node) {
                work.again_after(RETRY.0);
            } else if is_foreign(&*inner.shared.cloud, &node) {
                work.finish();
            } else if !is_waiting(&node) {
                self.repair_labels(work, &node).await;
            } else if node.deleting {
                work.finish();
            } else if let Some(after) = self.left_alone(&node) {
                work.again_after(after);
            } else {
                waiting.push((work, node));
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let nodes: Vec<_> = waiting.iter().map(|(_, node)| Arc::clone(node)).collect();
        let seen = match inner.asked.look_up(&inner.shared, &nodes).await {
            Ok(seen) => seen,
            Err(error) if failures < WORTH_TELLING && is_passing(&error) => {
                warn!(error = %kit::chain(&error), "cannot look up instances");
                for (work, _) in waiting {
                    inner.queue.add(work.key().clone());
                }
                return Err(error);
            }
            Err(error) => {
                raise_unavailable(&inner.shared, &error);
                let problem = Problem::Failed(kit::chain(&error));
                let tell = |(work, node): (Work<String>, Arc<Node>)| {
                    let problem = problem.clone();
                    async move {
                        self.tell(&node, &problem).await;
                        inner.queue.add(work.key().clone());
                    }
                };
                self.each(waiting, stop, inner.options.syncs, tell).await;
                return Err(error);
            }
        };
        // Each node as it was is let go once it is written, so that a large cluster never stands in memory twice.
        drop(nodes);
        let pairs = waiting.into_iter().zip(seen).collect();
        let bring = |((work, node), seen): ((Work<String>, Arc<Node>), Sighting)| async move {
            match self.bring(&node, seen).await {
                Ok(()) => work.finish(),
                Err(problem) => {
                    inner.failures.inc(&[problem.reason()]);
                    self.tell(&node, &problem).await;
                    match problem.after() {
                        Some(after) => work.again_after(after),
                        None => work.fail(),
                    }
                }
            }
        };
        self.each(pairs, stop, inner.options.syncs, bring).await;
        Ok(())
    }

    /// Runs `act` on all items, so many at a time, and on no further ones once `stop` is cancelled.
    async fn each<T, F: Future<Output = ()>>(
        &self,
        items: Vec<T>,
        stop: &CancellationToken,
        at_a_time: usize,
        act: impl Fn(T) -> F,
    ) {
        let act = &act;
        futures::stream::iter(items)
            .for_each_concurrent(at_a_time.max(1), |item| async move {
                if !stop.is_cancelled() {
                    act(item).await;
                }
            })
            .await;
    }

    /// How long the cloud still wants to be left alone about this node, however it changed.
    fn left_alone(&self, node: &Node) -> Option<Duration> {
        self.0.shared.silence.lock().holds_for(node)?.after()
    }

    fn written(&self) -> MutexGuard<'_, HashMap<String, Version>> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this node was initialised already and the store does not show it yet.
    fn is_stale(&self, node: &Node) -> bool {
        let mut written = self.written();
        let Some(known) = written.get(&node.name) else {
            return false;
        };
        let shown: Option<u64> = node.resource_version.parse().ok();
        let stale = known.uid == node.uid && shown.zip(known.version).is_some_and(|(shown, known)| shown < known);
        if !stale {
            written.remove(&node.name);
        }
        stale
    }

    async fn bring(&self, node: &Arc<Node>, seen: Sighting) -> Result<(), Problem> {
        match seen {
            Sighting::Running(metadata) => self.initialize(node, &metadata).await,
            Sighting::ShutDown => Err(Problem::ShutDown),
            Sighting::Gone => Err(Problem::Gone),
            Sighting::Unknown(Unknown::NoMatch) => Err(Problem::NoMatch),
            Sighting::Unknown(Unknown::Failed(error)) => Err(Problem::cloud(&error)),
            // Another cloud's controller will see to it.
            Sighting::Unknown(Unknown::Foreign) => Ok(()),
        }
    }

    /// Beta labels are the truth for those that replaced them, as long as there are any.
    async fn repair_labels(&self, work: Work<String>, node: &Node) {
        let changes = repaired_labels(&node.labels);
        if changes.is_empty() {
            return work.finish();
        }
        match self
            .0
            .writer
            .patch(node, serde_json::json!({ "metadata": { "labels": changes } }))
            .await
        {
            Ok(_) => work.finish(),
            Err(error) if retry::is_not_found(&error) => work.finish(),
            Err(error) => {
                warn!(node = %node.name, error = %kit::chain(&error), "failed update labels for node");
                work.fail();
            }
        }
    }

    async fn update_nodes(&self, stop: &CancellationToken) {
        loop {
            let span = debug_span!("reconcile", otel.name = "update nodes");
            self.status_pass(stop).instrument(span).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.0.options.status_frequency) => {}
            }
        }
    }

    /// One pass over all initialised nodes of this cloud.
    async fn status_pass(&self, stop: &CancellationToken) {
        let inner = &self.0;
        let mut nodes = inner.shared.nodes.list();
        nodes.retain(|node| {
            !node.is_tainted(TAINT_UNINITIALIZED) && !node.deleting && is_ours(&*inner.shared.cloud, node)
        });
        let began = Instant::now();
        let seen = match inner.asked.look_up(&inner.shared, &nodes).await {
            Ok(seen) => seen,
            Err(error) => return raise_unavailable(&inner.shared, &error),
        };
        let updated: Vec<_> = nodes.iter().zip(seen).filter_map(running).collect();
        let count = updated.len();
        let update = |(node, metadata): (Arc<Node>, Metadata)| async move { self.update(&node, &metadata).await };
        self.each(updated, stop, inner.options.updates, update).await;
        inner.last_pass.set(&[], inner.shared.clock.now().as_second() as f64);
        info!(nodes = count, took = ?began.elapsed(), "updated nodes");
    }
}

fn running((node, seen): (&Arc<Node>, Sighting)) -> Option<(Arc<Node>, Metadata)> {
    match seen {
        Sighting::Running(metadata) => Some((Arc::clone(node), metadata)),
        Sighting::Unknown(Unknown::Failed(error)) => {
            warn!(node = %node.name, error = %kit::chain(&error), "cannot look up the node's instance");
            None
        }
        _ => None,
    }
}

fn is_passing(error: &CloudError) -> bool {
    matches!(error.class(), Class::Transient | Class::Throttled { .. })
}

fn is_waiting(node: &Node) -> bool {
    node.is_tainted(TAINT_UNINITIALIZED)
}

/// Whether a change of a node may change what there is to do for it. That it was heard of is no change, and neither are
/// its conditions: some of them are ours, and what we say on a node must not bring the next try forward.
fn matters(old: &Node, new: &Node) -> bool {
    decisive(old) != decisive(new)
}

/// What of a node decides what there is to do for it.
fn decisive(node: &Node) -> impl PartialEq + '_ {
    let Node {
        name,
        uid,
        resource_version: _,
        provider_id,
        labels,
        annotations,
        taints,
        addresses,
        ready: _,
        conditions: _,
        pod_cidrs,
        created,
        deleting,
    } = node;
    (
        (name, uid, provider_id, labels, annotations),
        (taints, addresses, pod_cidrs, created, deleting),
    )
}

#[cfg(test)]
mod tests;
