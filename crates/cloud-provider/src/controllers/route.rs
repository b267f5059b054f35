//! node-route-controller: makes the cloud route pod networks to their nodes.
//!
//! Mirrors `controllers/route` of `kubernetes/cloud-provider`. Differs from upstream: it runs when nodes change and every
//! five minutes to be safe, not every ten seconds (`--route-reconciliation-period` is the shortest time between two
//! runs); a route that failed is tried again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kit::Backoff;
use kube_kit::metrics::Counter;
use kube_kit::{Change, Recorder, retry};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span, info, warn};

use super::Shared;
use super::observe::Asked;
use super::patch::NodeWriter;
use crate::cloud::Routes;
use crate::data::{Node, Route};
use crate::error::CloudError;
use crate::helpers::Cidr;

mod decide;

pub use decide::{Network, Plan, Wanted, network_condition, plan, responsible};

/// How often everything is looked at although no node changed.
const SAFETY: Duration = Duration::from_mins(5);
/// How long after a failure the next try comes, at least and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));
/// How many routes are made or removed at a time.
const IN_FLIGHT: usize = 200;
/// The alarm while routes cannot be listed.
const ALARM: &str = "CloudRoutesUnavailable";

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOptions {
    /// `--cluster-cidr`: routes outside of these networks are nobody's business here.
    pub cluster_cidrs: Vec<Cidr>,
    /// `--route-reconciliation-period`: the shortest time between two runs, or, when `on_change` is off, the time between
    /// any two.
    pub period: Duration,
    /// Feature gate `CloudControllerManagerWatchBasedRoutesReconciliation`: run when nodes change.
    pub on_change: bool,
    /// `--concurrent-route-syncs`: how many routes are made or removed at a time; 200 at most.
    pub in_flight: usize,
}

/// That a run left something to do, and how long the cloud wants to be left alone before the next.
#[derive(Clone, Copy, Debug, Default)]
struct Undone {
    after: Duration,
}

impl Undone {
    fn because_of(error: &CloudError) -> Self {
        let after = error.after().unwrap_or_default();
        Self { after }
    }
}

/// The controller. Clones share it.
#[derive(Clone)]
pub struct RouteController(Arc<Inner>);

struct Inner {
    shared: Shared,
    options: RouteOptions,
    changed: Arc<Notify>,
    recorder: Recorder,
    writer: NodeWriter,
    asked: Asked,
    syncs: Counter,
    failures: Counter,
}

impl RouteController {
    /// A controller that watches the stores from now on. `None` when the cloud has no routes.
    pub fn new(shared: &Shared, options: RouteOptions) -> Option<Self> {
        shared.cloud.routes()?;
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        shared.nodes.on_change(move |_, change| {
            let matters = match change {
                Change::Added(_) | Change::Deleted(_) => true,
                Change::Updated { old, new } => old.pod_cidrs != new.pod_cidrs || old.addresses != new.addresses,
            };
            if matters {
                notify.notify_one();
            }
        });
        let metrics = &shared.metrics;
        let help = "A metric counting the amount of times routes have been synced with the cloud provider.";
        Some(Self(Arc::new(Inner {
            changed,
            recorder: shared.recorder.component("route_controller"),
            writer: NodeWriter::new(&shared.client),
            asked: Asked::new(metrics),
            syncs: metrics.counter("route_controller_route_sync_total", help, &[]),
            failures: metrics.counter(
                "route_controller_route_failures_total",
                "Routes that could not be made or removed.",
                &[],
            ),
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
        let options = &self.0.options;
        let fresh = || Backoff::new(RETRY.0.max(options.period), RETRY.1.max(options.period));
        let mut backoff = fresh();
        loop {
            let began = Instant::now();
            // What changed up to now is seen by this run.
            let _ = tokio::time::timeout(Duration::ZERO, self.0.changed.notified()).await;
            let span = debug_span!("reconcile", otel.name = "reconcile routes");
            let mut earliest = began + options.period;
            let next = match self.reconcile(&stop).instrument(span).await {
                Ok(()) => {
                    backoff = fresh();
                    began
                        + if options.on_change {
                            SAFETY.max(options.period)
                        } else {
                            options.period
                        }
                }
                Err(undone) => {
                    earliest = earliest.max(Instant::now() + undone.after);
                    earliest.max(began + backoff.next().unwrap_or(RETRY.1))
                }
            };
            let changed = async {
                if !options.on_change {
                    std::future::pending::<()>().await;
                }
                self.0.changed.notified().await;
                tokio::time::sleep_until(earliest).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
                () = changed => {}
            }
        }
    }

    /// One run. An error when not everything is as it should be afterwards; why has been told.
    async fn reconcile(&self, stop: &CancellationToken) -> Result<(), Undone> {
        let inner = &self.0;
        let Some(routes) = inner.shared.cloud.routes() else {
            return Ok(());
        };
        let cluster = inner.shared.cluster.as_str();
        inner.syncs.inc(&[]);
        let listed = match inner.asked.time("list_routes", routes.list(cluster)).await {
            Ok(listed) => listed,
            Err(error) => {
                let text = format!("error listing routes: {}", kit::chain(&error));
                inner.shared.alarms.raise(ALARM, text);
                return Err(Undone::because_of(&error));
            }
        };
        inner.shared.alarms.clear(ALARM);
        let nodes = inner.shared.nodes.list();
        let plan = plan(&nodes, &listed, &inner.options.cluster_cidrs);
        let at_a_time = inner.options.in_flight.clamp(1, IN_FLIGHT);
        let delete = |route: Route| async move { self.delete(cluster, &route, stop).await };
        // All deletions come first: a cloud may refuse a second route to the same destination.
        let deleted: Vec<Result<(), Undone>> = futures::stream::iter(plan.delete)
            .map(delete)
            .buffer_unordered(at_a_time)
            .collect()
            .await;
        let create = |wanted: Wanted| async move { (self.create(cluster, &wanted, stop).await, wanted.node) };
        let created: Vec<(Result<(), Undone>, Arc<Node>)> = futures::stream::iter(plan.create)
            .map(create)
            .buffer_unordered(at_a_time)
            .collect()
            .await;
        if stop.is_cancelled() {
            return Err(Undone::default());
        }
        let failed = created.iter().filter(|(done, _)| done.is_err());
        let failed: HashSet<&str> = failed.map(|(_, node)| node.uid.as_str()).collect();
        let mut told = Vec::new();
        for (node, wanted) in plan.networks {
            let lacks = failed.contains(node.uid.as_str());
            let network = if lacks { Network::Unavailable } else { wanted };
            told.push(self.tell(&node, network).await);
        }
        let made = created.iter().map(|(done, _)| *done);
        let undone = deleted.into_iter().chain(made).chain(told).filter_map(Result::err);
        undone.max_by_key(|undone| undone.after).map_or(Ok(()), Err)
    }

    async fn delete(&self, cluster: &str, route: &Route, stop: &CancellationToken) -> Result<(), Undone> {
        let inner = &self.0;
        let routes = self.writable(stop)?;
        let gone = inner.asked.time("delete_route", routes.delete(cluster, route)).await;
        let Err(error) = gone else {
            info!(route = %route.name, "deleted route");
            return Ok(());
        };
        if !error.is_pending() {
            warn!(route = %route.name, error = %kit::chain(&error), "could not delete route");
            inner.failures.inc(&[]);
        }
        Err(Undone::because_of(&error))
    }

    /// The routes, as long as they may be written to.
    fn writable(&self, stop: &CancellationToken) -> Result<&dyn Routes, Undone> {
        let shared = &self.0.shared;
        let open = !stop.is_cancelled() && shared.fence.check().is_ok();
        shared.cloud.routes().filter(|_| open).ok_or_else(Undone::default)
    }

    async fn create(&self, cluster: &str, wanted: &Wanted, stop: &CancellationToken) -> Result<(), Undone> {
        let inner = &self.0;
        let routes = self.writable(stop)?;
        let began = Instant::now();
        let made = inner
            .asked
            .time("create_route", routes.create(cluster, &wanted.node.uid, &wanted.route))
            .await;
        let Err(error) = made else {
            info!(node = %wanted.node.name, cidr = %wanted.route.destination, "created route");
            return Ok(());
        };
        if !error.is_pending() {
            inner.failures.inc(&[]);
            let text = format!(
                "Could not create route {} {} for node {} after {}: {}",
                wanted.node.uid,
                wanted.route.destination,
                wanted.node.name,
                kit::go_duration::format(began.elapsed()),
                kit::chain(&error)
            );
            warn!("{text}");
            inner
                .recorder
                .warning(&wanted.node.reference(), "FailedToCreateRoute", text);
        }
        Err(Undone::because_of(&error))
    }

    /// Sets the node's `NetworkUnavailable` condition unless it says so already.
    async fn tell(&self, node: &Node, network: Network) -> Result<(), Undone> {
        let Some(condition) = network_condition(node, network) else {
            return Ok(());
        };
        let now = self.0.shared.clock.now();
        match self.0.writer.set_condition(node, &condition, now).await {
            Ok(_) => Ok(()),
            Err(error) if retry::is_not_found(&error) => Ok(()),
            Err(error) => {
                warn!(node = %node.name, error = %kit::chain(&error), "cannot write the node's condition");
                Err(Undone::default())
            }
        }
    }
}

#[cfg(test)]
mod tests;
