//! The controllers that run under one lease.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{error, info, warn};

use super::health::{Checks, Means};
use super::options::Options;
use crate::controllers::Shared;
use crate::controllers::lifecycle::LifecycleController;
use crate::controllers::node::NodeController;
use crate::controllers::route::RouteController;
use crate::controllers::service::ServiceController;
use crate::names;

/// How long after a controller panicked it is started again.
const RESTART: Duration = Duration::from_secs(1);

type Run = Arc<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// What others may know about the controllers that run.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    names: Vec<&'static str>,
    lifecycle: Option<LifecycleController>,
    service: Option<ServiceController>,
}

impl Running {
    /// The names of the controllers that run.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.clone()
    }

    /// The nodes whose instances seem to be gone.
    pub fn suspects(&self) -> Vec<String> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .lifecycle
            .as_ref()
            .map(LifecycleController::suspects)
            .unwrap_or_default()
    }

    /// Whether the service controller runs.
    pub fn attends_services(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.service.is_some()
    }

    /// What stands in the way of the Service with this key.
    pub fn problem(&self, service: &str) -> Option<String> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.service.as_ref()?.problem(service)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Starts those controllers that are enabled and that `here` says run under this lease, and waits until they have ended
/// after `stop` was cancelled, for `grace` at most.
pub(super) async fn run(
    options: &Options,
    shared: &Shared,
    checks: &Checks,
    running: &Running,
    here: impl Fn(&str) -> bool,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let mut handles = Vec::new();
    let gauge = shared.metrics.gauge(
        "running_managed_controllers",
        "Indicates where instances of a controller are currently running",
        &["name", "manager"],
    );
    for (name, alias) in names::CONTROLLERS {
        if !here(name) {
            continue;
        }
        if !options.is_enabled(name) {
            warn!("controller is disabled: {name}");
            continue;
        }
        let Some(run) = controller(name, options, shared, running) else {
            warn!("Skipping {name:?}");
            continue;
        };
        info!("started controller: {name}");
        running.change(|inner| inner.names.push(name));
        checks.add(name, Means::NotReady, || Ok(()));
        gauge.set(&[alias, "cloud-controller-manager"], 1.0);
        let (gauge, until) = (gauge.clone(), stop.clone());
        let task = tasks.track_future(async move {
            supervise(name, run, until).await;
            gauge.set(&[alias, "cloud-controller-manager"], 0.0);
        });
        // Dropped with this future: without the lease nothing may go on.
        handles.push(AbortOnDropHandle::new(tokio::spawn(task)));
        let interval = options.parsed.duration("controller-start-interval");
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(interval.mul_f64(1.0 + fastrand::f64())) => {}
        }
    }
    tasks.close();
    stop.cancelled().await;
    if tokio::time::timeout(options.grace, tasks.wait()).await.is_err() {
        warn!("controllers did not end in time");
    }
    running.change(|inner| *inner = Inner::default());
}

fn controller(name: &str, options: &Options, shared: &Shared, running: &Running) -> Option<Run> {
    fn boxed<C, F>(controller: C, run: fn(C, CancellationToken) -> F) -> Run
    where
        C: Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Arc::new(move |stop| Box::pin(run(controller.clone(), stop)))
    }
    match name {
        names::NODE_CONTROLLER => {
            let controller = NodeController::new(shared, options.node.clone());
            told(controller.is_some(), "cloud provider does not support instances");
            controller.map(|one| boxed(one, |one, stop| async move { one.run(stop).await }))
        }
        names::LIFECYCLE_CONTROLLER => {
            let controller = LifecycleController::new(shared, options.lifecycle.clone());
            told(controller.is_some(), "cloud provider does not support instances");
            running.change(|inner| inner.lifecycle.clone_from(&controller));
            controller.map(|one| boxed(one, |one, stop| async move { one.run(stop).await }))
        }
        names::SERVICE_CONTROLLER => {
            let controller = ServiceController::new(shared, options.service.clone());
            told(
                controller.is_some(),
                "the cloud provider does not support external load balancers",
            );
            running.change(|inner| inner.service.clone_from(&controller));
            controller.map(|one| boxed(one, |one, stop| async move { one.run(stop).await }))
        }
        names::ROUTE_CONTROLLER => {
            let wanted = options.route.clone();
            told(
                wanted.is_some(),
                "no routes: --configure-cloud-routes is off or --cluster-cidr is empty",
            );
            let controller = RouteController::new(shared, wanted?);
            told(
                controller.is_some(),
                "--configure-cloud-routes is set, but cloud provider does not support routes. Will not configure cloud provider routes.",
            );
            controller.map(|one| boxed(one, |one, stop| async move { one.run(stop).await }))
        }
        _ => None,
    }
}

fn told(fine: bool, otherwise: &str) {
    if !fine {
        warn!("{otherwise}");
    }
}

/// Runs a controller, and again when it panics.
async fn supervise(name: &'static str, run: Run, stop: CancellationToken) {
    while let Err(panic) = AbortOnDropHandle::new(tokio::spawn(run(stop.clone()))).await {
        error!(controller = name, "the controller ended because of a bug: {panic}");
        if stop.is_cancelled() {
            return;
        }
        tokio::time::sleep(RESTART).await;
    }
}
