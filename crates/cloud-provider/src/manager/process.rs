//! A running manager: election, caches, controllers, the secure port, and the way out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kit::Clock;
use kube_kit::client::ClientError;
use kube_kit::metrics::Registry;
use kube_kit::{Broadcaster, Elector, Ended, Fence, LeaseConfig, LeaseConfigError, Recorder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::clients::{Clients, Purpose};
use super::health::{Checks, Means};
use super::logs::Verbosity;
use super::options::Options;
use super::serve::{self, ServeError};
use crate::cloud::Cloud;
use crate::error::CloudError;

mod lead;
mod secure;

/// The component that events come from unless a controller says otherwise.
const COMPONENT: &str = "cloud-controller-manager";
/// How much longer than a lease lasts a leader may go without renewing it before it counts as stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How long the last events may take to be written.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Why a process ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The election makes no sense.
    #[error(transparent)]
    Lease(#[from] LeaseConfigError),
    /// The secure port cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The cloud did not come up.
    #[error("Cloud provider could not be initialized")]
    Initialize(#[source] CloudError),
    /// The configuration for authentication is not in the cluster, or cannot be read.
    #[error(
        "unable to load configmap kube-system/extension-apiserver-authentication; see \
         --authentication-skip-lookup and --authentication-tolerate-lookup-failure"
    )]
    Lookup(#[source] kube::Error),
    /// The lease was lost.
    #[error("leaderelection lost")]
    Lost,
    /// The cluster cannot be read.
    #[error("cannot list services")]
    Services(#[source] kube::Error),
    /// The cloud cannot be read.
    #[error("cannot list load balancers")]
    Balancers(#[source] CloudError),
}

/// A manager that is ready to run.
pub struct Process {
    inner: Arc<Inner>,
    verbosity: Verbosity,
}

struct Inner {
    title: String,
    options: Options,
    cloud: Arc<dyn Cloud>,
    clients: Clients,
    clock: Clock,
    slis: Registry,
    checks: Checks,
    board: Board,
    failure: Mutex<Option<ProcessError>>,
}

impl Process {
    /// A process of this program.
    pub fn new(
        command: &str,
        version: &str,
        options: Options,
        cloud: Arc<dyn Cloud>,
        clients: Clients,
        clock: Clock,
    ) -> Self {
        let (metrics, slis) = (clients.metrics().clone(), Registry::new());
        let help = "A metric with a constant '1' value labeled by build information.";
        metrics
            .gauge("kubernetes_build_info", help, &["git_version"])
            .set(&[version], 1.0);
        let inner = Arc::new(Inner {
            title: format!("{command} {version}"),
            board: Board::new(&options, Arc::clone(&cloud), metrics),
            options,
            cloud,
            clients,
            clock,
            checks: Checks::new(&slis),
            slis,
            failure: Mutex::default(),
        });
        let verbosity = Verbosity::default();
        Self { inner, verbosity }
    }

    /// The process, which may change with this how much is logged.
    pub(super) fn verbosity(self, verbosity: Verbosity) -> Self {
        Self { verbosity, ..self }
    }

    /// The process's metrics.
    pub fn metrics(&self) -> &Registry {
        self.inner.clients.metrics()
    }

    /// What others may know of it.
    #[cfg(test)]
    pub(super) fn board(&self) -> Board {
        self.inner.board.clone()
    }

    /// Runs until `stop` is cancelled and everything has wound up, or until it cannot go on.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), ProcessError> {
        let inner = &self.inner;
        let tasks = TaskTracker::new();
        let stop_serving = CancellationToken::new();
        if let Some((address, port)) = inner.options.bind {
            let listener = serve::listen(SocketAddr::new(address, port))?;
            let secure = inner.secure(address, self.verbosity.clone()).await?;
            tasks.spawn(stop_serving.clone().run_until_cancelled_owned(secure.follow));
            let (tls, reload, router) = (secure.tls, secure.reload, secure.router);
            tasks.spawn(serve::serve(listener, tls, reload, router, stop_serving.clone()));
        }
        let result = Box::pin(self.elect(&stop)).await;
        stop_serving.cancel();
        tasks.close();
        tasks.wait().await;
        let failure = inner.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(result, Err)
    }

    async fn elect(&self, stop: &CancellationToken) -> Result<(), ProcessError> {
        let inner = &self.inner;
        let Some(config) = &inner.options.election else {
            inner.lead(Fence::open(), stop.clone()).await;
            return Ok(());
        };
        let fence = Fence::closed();
        let (elector, last_events) = inner.elector(config.clone(), &fence).await?;
        let status = elector.status();
        inner.board.note(|seen| seen.election = Some(status.clone()));
        let (limit, lease) = (config.lease_duration + STUCK, config.name.clone());
        inner.checks.add("leaderElection", Means::Stuck, move || {
            let stuck = format!("failed election to renew leadership on lease {lease}");
            if status.is_stuck(limit) { Err(stuck) } else { Ok(()) }
        });
        let ended = Box::pin(elector.run(stop.clone(), |token| inner.lead(fence, token))).await;
        last_events.await;
        if ended == Ended::Lost {
            Err(ProcessError::Lost)
        } else {
            Ok(())
        }
    }
}

impl Inner {
    /// An elector, and what writes the last of its events.
    async fn elector(
        &self,
        config: LeaseConfig,
        fence: &Fence,
    ) -> Result<(Elector, BoxFuture<'static, ()>), ProcessError> {
        let timeout = Some((config.renew_deadline / 2).max(Duration::from_secs(1)));
        let client = self
            .clients
            .make(Purpose {
                timeout,
                ..Purpose::new("leader-election")
            })
            .await?;
        let (recorder, last) = self.events(&client);
        let elector = Elector::new(&client, config, self.clock.clone(), fence.clone())?;
        Ok((elector.recorder(recorder).metrics(self.clients.metrics()), last))
    }

    /// Who tells about objects through this client, and what writes the last of it.
    fn events(&self, client: &kube::Client) -> (Recorder, BoxFuture<'static, ()>) {
        let broadcaster = Broadcaster::new(self.clock.clone()).log(self.board.events());
        let recorder = broadcaster.recorder(COMPONENT);
        let end = CancellationToken::new();
        let writer = tokio::spawn(broadcaster.run(client.clone(), end.clone()));
        let last = async move {
            end.cancel();
            let _ = tokio::time::timeout(LAST_EVENTS, writer).await;
        };
        (recorder, Box::pin(last))
    }
}
