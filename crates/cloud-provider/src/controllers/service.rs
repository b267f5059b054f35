//! service-lb-controller: gives Services of type LoadBalancer their load balancers.
//!
//! Mirrors `controllers/service` of `kubernetes/cloud-provider`. Differs from upstream: whatever concerns one Service goes
//! through one queue, so that nothing about it ever happens twice at a time; the addresses of nodes count; deleting always
//! asks the cloud to clean up, also when it shows no load balancer; waiting is no failure; drift can be repaired
//! (`--load-balancer-resync-period`).
//!
//! ```text
//! Service changed ─► ensure or delete ─┐
//! node changed ───► update hosts ──────┴─► one queue, one key per Service
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube_kit::metrics::{Counter, Gauge, Histogram};
use kube_kit::{Change, Limiter, QueueMetrics, Recorder, Work, WorkQueue};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, debug_span, info, warn};

use super::Shared;
use super::observe::Asked;
use crate::data::{Node, Service};
use crate::error::CloudError;

mod audit;
mod decide;
mod patch;
mod sync;

pub use audit::{Orphan, orphans};
pub use decide::{Host, differs, hosts, is_host, needs_cleanup, node_matters, stable_nodes, wants_load_balancer};
pub use patch::{add_finalizer, remove_finalizer, set_ingress};

/// A Service that fails is tried again after five seconds, then ever later.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// How long to wait for more nodes to change before load balancers are told.
const LINGER: Duration = Duration::from_millis(500);
/// How often it is told that the cloud wants to be left alone about a Service: it may say so every second.
const TELL_AGAIN: Duration = Duration::from_mins(5);
const LATENCY: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0,
];

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// `--concurrent-service-syncs`: how many Services are worked on at a time.
    pub syncs: usize,
    /// `--load-balancer-resync-period`: how often each load balancer is ensured although nothing changed; never when
    /// this is nothing.
    pub resync: Option<Duration>,
}

/// Why a Service could not be brought in line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("failed to check if load balancer exists before cleanup")]
    Check(#[source] CloudError),
    #[error("failed to delete load balancer")]
    Delete(#[source] CloudError),
    #[error("failed to ensure load balancer")]
    Ensure(#[source] CloudError),
    #[error("failed to update load balancer hosts")]
    Update(#[source] CloudError),
    #[error("failed to add load balancer cleanup finalizer")]
    AddFinalizer(#[source] kube::Error),
    #[error("failed to remove load balancer cleanup finalizer")]
    RemoveFinalizer(#[source] kube::Error),
    #[error("failed to update load balancer status")]
    Status(#[source] kube::Error),
    #[error(transparent)]
    Fenced(#[from] kube_kit::Fenced),
}

impl SyncError {
    fn cloud(&self) -> Option<&CloudError> {
        match self {
            Self::Check(error) | Self::Delete(error) | Self::Ensure(error) | Self::Update(error) => Some(error),
            _ => None,
        }
    }

    /// When the cloud wants to be asked again.
    fn after(&self) -> Option<Duration> {
        self.cloud().and_then(CloudError::after)
    }

    /// Whether it is no failure but something under way.
    fn is_pending(&self) -> bool {
        self.cloud().is_some_and(CloudError::is_pending)
    }

    /// When the cloud wants to be asked again at the earliest, whatever changes meanwhile. What is under way, in
    /// contrast, may be asked for again once the Service is another.
    fn not_before(&self) -> Option<Instant> {
        let after = self.after().filter(|_| !self.is_pending())?;
        Some(Instant::now() + after)
    }
}

/// What is remembered about a Service whose load balancer this process has to do with.
#[derive(Clone, Debug)]
struct Record {
    service: Arc<Service>,
    /// The hosts the load balancer was given last; nothing until it was ensured.
    hosts: Option<Vec<Host>>,
    /// Whether the next sync must ensure, whatever the comparison says.
    stale: bool,
    /// Whether another controller makes the load balancers of this cluster.
    elsewhere: bool,
}

/// Somebody sees to a Service: it is being worked on, or failed and comes again by itself. A change of nodes does not
/// bring that forward.
#[derive(Clone, Debug, Default)]
struct Turn {
    /// Whether nodes changed meanwhile, so that hosts are to be compared when it is over.
    nodes_changed: bool,
    /// When the cloud wants to be asked about it at the earliest, whoever wants to.
    not_before: Option<Instant>,
    /// Why the last try failed, or what it waits for.
    problem: Option<String>,
    /// What was told to begin, and goes on as long as the cloud says when to ask again: not told once more.
    begun: Option<&'static str>,
    /// When it was told last that the cloud wants to be left alone, while it does.
    throttled: Option<Instant>,
}

/// The controller. Clones share it.
#[derive(Clone)]
pub struct ServiceController(Arc<Inner>);

struct Inner {
    shared: Shared,
    options: ServiceOptions,
    queue: WorkQueue<String>,
    nodes_changed: Notify,
    recorder: Recorder,
    asked: Asked,
    records: Mutex<HashMap<String, Record>>,
    /// By key, from when a Service is taken from the queue until it is done without an error.
    turns: Mutex<HashMap<String, Turn>>,
    syncs: Counter,
    node_sync_errors: Counter,
    node_sync_latency: Histogram,
    host_update_latency: Histogram,
    managed: Gauge,
}

impl ServiceController {
    /// A controller that watches the stores from now on. `None` when the cloud has no load balancers.
    pub fn new(shared: &Shared, options: ServiceOptions) -> Option<Self> {
        shared.cloud.load_balancers()?;
        let metrics = &shared.metrics;
        let histogram = |name, help| metrics.histogram(name, help, LATENCY, &[]);
        let controller = Self(Arc::new(Inner {
            queue: WorkQueue::new(Limiter::exponential(RETRY.0, RETRY.1), QueueMetrics::new(metrics, "service")),
            nodes_changed: Notify::new(),
            recorder: shared.recorder.component("service-controller"),
            asked: Asked::new(metrics),
            records: Mutex::default(),
            turns: Mutex::default(),
            syncs: metrics.counter(
                "service_controller_loadbalancer_sync_total",
                "A metric counting the amount of times any load balancer has been configured, as an effect of service/node changes on the cluster",
                &[],
            ),
            node_sync_errors: metrics.counter(
                "service_controller_nodesync_error_total",
                "A metric counting the amount of times any load balancer has been configured and errored, as an effect of node changes on the cluster",
                &[],
            ),
            node_sync_latency: histogram(
                "service_controller_nodesync_latency_seconds",
                "A metric measuring the latency for nodesync which updates loadbalancer hosts on cluster node updates.",
            ),
            host_update_latency: histogram(
                "service_controller_update_loadbalancer_host_latency_seconds",
                "A metric measuring the latency for updating each load balancer hosts.",
            ),
            managed: metrics.gauge("service_controller_managed_loadbalancers", "Load balancers looked after.", &[]),
            shared: shared.clone(),
            options,
        }));
        controller.watch();
        Some(controller)
    }

    fn watch(&self) {
        let inner = Arc::downgrade(&self.0);
        self.0.shared.services.on_change(move |key, change| {
            let Some(inner) = inner.upgrade() else { return };
            let matters = match change {
                Change::Added(new) => wants_load_balancer(new) || needs_cleanup(new),
                Change::Updated { old, new } => differs(old, new) || needs_cleanup(new),
                Change::Deleted(_) => true,
            };
            if matters {
                inner.queue.add(key.to_owned());
            }
        });
        let inner = Arc::downgrade(&self.0);
        self.0.shared.nodes.on_change(move |_, change| {
            let Some(inner) = inner.upgrade() else { return };
            let matters = match change {
                Change::Updated { old, new } => node_matters(old, new),
                Change::Added(_) | Change::Deleted(_) => true,
            };
            if matters {
                inner.nodes_changed.notify_one();
            }
        });
        let inner = Arc::downgrade(&self.0);
        self.0.shared.metrics.on_render(move || {
            if let Some(inner) = inner.upgrade() {
                let count = inner.records().values().filter(|record| record.hosts.is_some()).count();
                inner.managed.set(&[], count as f64);
            }
        });
    }

    /// Works until `stop` is cancelled. What is under way then is finished.
    pub async fn run(&self, stop: CancellationToken) {
        let synced = async { tokio::join!(self.0.shared.nodes.synced(), self.0.shared.services.synced()) };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = synced => {}
        }
        // After a panic: whose turn it was then has nobody who sees to it.
        self.0.turns().clear();
        let workers = (0..self.0.options.syncs.max(1)).map(|_| self.work(&stop));
        tokio::join!(
            futures::future::join_all(workers),
            self.follow_nodes(&stop),
            self.resync(&stop)
        );
    }

    /// Why the last try for a Service failed, or what it waits for: for the debug page.
    pub fn problem(&self, key: &str) -> Option<String> {
        self.0.turns().get(key)?.problem.clone()
    }

    async fn work(&self, stop: &CancellationToken) {
        loop {
            let work = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                work = self.0.queue.take() => work,
            };
            let Some(work) = work else { return };
            self.handle(work).await;
        }
    }

    async fn handle(&self, work: Work<String>) {
        let inner = &self.0;
        let began = Instant::now();
        if let Some(left) = inner.left_alone(work.key(), began) {
            return work.again_after(left);
        }
        {
            let mut turns = inner.turns();
            let last = turns.remove(work.key()).unwrap_or_default();
            let turn = Turn {
                nodes_changed: false,
                not_before: None,
                ..last
            };
            turns.insert(work.key().clone(), turn);
        }
        let span = debug_span!("reconcile", otel.name = "reconcile service", service = %work.key());
        let Err(error) = self.sync(work.key()).instrument(span).await else {
            info!(service = %work.key(), took = ?began.elapsed(), "finished syncing service");
            if inner.turns().remove(work.key()).is_some_and(|turn| turn.nodes_changed) {
                inner.nodes_changed.notify_one();
            }
            return work.finish();
        };
        let text = kit::chain(&error);
        let mut is_known = false;
        if let Some(turn) = inner.turns().get_mut(work.key()) {
            (turn.not_before, turn.problem) = (error.not_before(), Some(text.clone()));
            turn.begun = turn.begun.filter(|_| error.after().is_some());
            let told = turn.throttled.filter(|told| told.elapsed() < TELL_AGAIN);
            is_known = told.is_some() && turn.not_before.is_some();
            turn.throttled = turn.not_before.map(|_| told.unwrap_or(began));
        }
        if error.is_pending() {
            info!(service = %work.key(), "waiting for the load balancer: {text}");
        } else if is_known {
            debug!(service = %work.key(), "still: {text}");
        } else {
            warn!(service = %work.key(), "error syncing load balancer: {text}");
            if let Some(record) = inner.records().get(work.key()) {
                let reference = record.service.reference();
                inner.recorder.warning(
                    &reference,
                    "SyncLoadBalancerFailed",
                    format!("Error syncing load balancer: {text}"),
                );
            }
        }
        match error.after() {
            Some(after) => work.again_after(after),
            None => work.fail(),
        }
    }

    /// Tells load balancers of nodes that came, went or changed.
    async fn follow_nodes(&self, stop: &CancellationToken) {
        let inner = &self.0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = inner.nodes_changed.notified() => {}
            }
            tokio::time::sleep(LINGER).await;
            let began = Instant::now();
            let now = hosts(&inner.stable_nodes());
            let mut turns = inner.turns();
            for turn in turns.values_mut() {
                turn.nodes_changed = true;
            }
            for (key, record) in &*inner.records() {
                let behind = record.hosts.as_ref().is_some_and(|known| *known != now);
                if behind && !record.elsewhere && !turns.contains_key(key) {
                    inner.queue.add(key.clone());
                }
            }
            drop(turns);
            inner.node_sync_latency.observe(&[], began.elapsed().as_secs_f64());
        }
    }

    /// Ensures each load balancer now and then although nothing changed, spread over the period.
    async fn resync(&self, stop: &CancellationToken) {
        let Some(period) = self.0.options.resync else { return };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
            let turns = self.0.turns();
            for (key, record) in &mut *self.0.records() {
                if turns.contains_key(key) {
                    // It is being ensured, or will be when it comes again.
                    continue;
                }
                record.stale = true;
                self.0
                    .queue
                    .add_after(key.clone(), (period / 10).mul_f64(fastrand::f64()));
            }
        }
    }
}

impl Inner {
    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this is taken together with the records, it is taken first.
    fn turns(&self) -> MutexGuard<'_, HashMap<String, Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the cloud still wants to be left alone about a Service.
    fn left_alone(&self, key: &str, now: Instant) -> Option<Duration> {
        let not_before = self.turns().get(key)?.not_before?;
        Some(not_before.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Tells what begins with the load balancer of a Service, unless it only goes on.
    fn tell_beginning(&self, service: &Service, reason: &'static str, text: &str) {
        let before = self
            .turns()
            .get_mut(&service.key())
            .and_then(|turn| turn.begun.replace(reason));
        if before != Some(reason) {
            self.recorder.normal(&service.reference(), reason, text);
        }
    }

    fn stable_nodes(&self) -> Vec<Arc<Node>> {
        stable_nodes(&self.shared.nodes.list())
    }
}

#[cfg(test)]
mod tests;
