//! A running manager: election, caches, controllers, the secure port, and the way out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1 as core;
use kit::{Backoff, Clock};
use kube::Api;
use kube_kit::client::ClientError;
use kube_kit::metrics::Registry;
use kube_kit::{
    Broadcaster, Elector, Ended, Fence, LeaseConfig, LeaseConfigError, LeaseStatus, ObjectRef, Store, Watch,
    WatchHealth,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::admin::Admin;
use super::auth::{Auth, RequestHeaders, Ttl, guard};
use super::clients::{Clients, Purpose};
use super::group::{self, Running};
use super::health::{Checks, Means};
use super::migration::Under;
use super::options::Options;
use super::serve::{self, Authorities, Reload, ServeError, Tls};
use crate::cloud::{Cloud, Context};
use crate::controllers::{Alarms, Shared};
use crate::data::{Node, Service, Slim};
use crate::error::CloudError;

/// The component that events come from unless a controller says otherwise.
const COMPONENT: &str = "cloud-controller-manager";
/// How much longer than a lease lasts a leader may go without renewing it before it counts as stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How often certificates are read anew.
const RELOAD: Duration = Duration::from_mins(1);
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
pub struct Process(Arc<Inner>);

struct Inner {
    title: String,
    options: Options,
    cloud: Arc<dyn Cloud>,
    clients: Clients,
    clock: Clock,
    metrics: Registry,
    slis: Registry,
    checks: Checks,
    running: Running,
    seen: Mutex<Seen>,
    failure: Mutex<Option<ProcessError>>,
}

/// What the debug page shows.
#[derive(Default)]
struct Seen {
    election: Option<LeaseStatus>,
    nodes: Option<Store<Node>>,
    services: Option<Store<Service>>,
    watches: Vec<(&'static str, WatchHealth)>,
    alarms: Option<Alarms>,
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
        let checks = Checks::new(&slis);
        Self(Arc::new(Inner {
            title: format!("{command} {version}"),
            options,
            cloud,
            clients,
            clock,
            metrics,
            checks,
            slis,
            running: Running::default(),
            seen: Mutex::default(),
            failure: Mutex::default(),
        }))
    }

    /// The process's metrics.
    pub fn metrics(&self) -> &Registry {
        &self.0.metrics
    }

    /// Runs until `stop` is cancelled and everything has wound up, or until it cannot go on.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), ProcessError> {
        let inner = &self.0;
        let tasks = TaskTracker::new();
        let stop_serving = CancellationToken::new();
        if let Some((address, port)) = inner.options.bind {
            let listener = serve::listen(SocketAddr::new(address, port)).await?;
            let (router, tls, reload) = inner.secure(address).await?;
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
        let inner = &self.0;
        let Some(config) = &inner.options.election else {
            inner.lead(Fence::open(), stop.clone()).await;
            return Ok(());
        };
        let fence = Fence::closed();
        let (elector, last_events) = inner.elector(config.clone(), &fence).await?;
        let status = elector.status();
        inner.seen(|seen| seen.election = Some(status.clone()));
        let (limit, lease) = (config.lease_duration + STUCK, config.name.clone());
        inner.checks.add("leaderElection", Means::Stuck, move || {
            let stuck = format!("failed election to renew leadership on lease {lease}");
            if status.is_stuck(limit) { Err(stuck) } else { Ok(()) }
        });
        let ended = elector.run(stop.clone(), |token| inner.lead(fence, token)).await;
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
        let (broadcaster, end) = (Broadcaster::new(self.clock.clone()), CancellationToken::new());
        let recorder = broadcaster.recorder(COMPONENT);
        let writer = tokio::spawn(broadcaster.run(client.clone(), end.clone()));
        let last: BoxFuture<'static, ()> = Box::pin(async move {
            end.cancel();
            let _ = tokio::time::timeout(LAST_EVENTS, writer).await;
        });
        let elector = Elector::new(&client, config, self.clock.clone(), fence.clone())?;
        Ok((elector.recorder(recorder).metrics(&self.metrics), last))
    }

    /// Everything that a leader does, until `stop` is cancelled and it has wound up.
    async fn lead(&self, fence: Fence, stop: CancellationToken) {
        if let Err(error) = self.try_lead(fence, &stop).await {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    async fn try_lead(&self, fence: Fence, stop: &CancellationToken) -> Result<(), ProcessError> {
        // Ends what serves the controllers, after they have ended.
        let after = CancellationToken::new();
        let _ended = after.clone().drop_guard();
        let (nodes, services) = self.watch(&after).await?;
        let client = self
            .clients
            .make(Purpose {
                fence: fence.clone(),
                ..Purpose::new(COMPONENT)
            })
            .await?;
        let (broadcaster, last) = (Broadcaster::new(self.clock.clone()), CancellationToken::new());
        let recorder = broadcaster.recorder(COMPONENT);
        let writer = tokio::spawn(broadcaster.run(client.clone(), last.clone()));
        let (namespace, name) = &self.options.lease;
        let lease = ObjectRef::new("coordination.k8s.io/v1", "Lease", name).namespace(namespace);
        let alarms = Alarms::new(recorder.clone(), lease, &self.metrics);
        self.seen(|seen| seen.alarms = Some(alarms.clone()));
        let shared = Shared {
            cloud: Arc::clone(&self.cloud),
            client: client.clone(),
            nodes,
            services,
            recorder,
            alarms,
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            fence,
            cluster: self.options.cluster.clone(),
        };
        let tasks = TaskTracker::new();
        let context = Context {
            client,
            nodes: shared.nodes.clone(),
            services: shared.services.clone(),
            cluster: shared.cluster.clone(),
            recorder: shared.recorder.clone(),
            metrics: shared.metrics.clone(),
            clock: shared.clock.clone(),
            fence: shared.fence.clone(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            done = self.cloud.initialize(&context) => done.map_err(ProcessError::Initialize)?,
        }
        let main = |name: &str| {
            self.options
                .migration
                .as_ref()
                .is_none_or(|migration| migration.place(name) == Under::Main)
        };
        // Whoever loses the second lease ends all of it: the process is to come back with both, or with neither.
        let both = stop.child_token();
        let here = group::run(&self.options, &shared, &self.checks, &self.running, main, both.clone());
        let elsewhere = async {
            let ended = self.lead_migrated(&shared, &both).await;
            if ended.is_err() {
                both.cancel();
            }
            ended
        };
        let ((), migrated) = tokio::join!(here, elsewhere);
        tasks.close();
        if tokio::time::timeout(self.options.grace, tasks.wait()).await.is_err() {
            warn!("the provider's tasks did not end in time");
        }
        // While the lease is still held: afterwards nothing is written.
        last.cancel();
        let _ = tokio::time::timeout(LAST_EVENTS, writer).await;
        migrated
    }

    /// Runs the controllers that migrate, under their own lease.
    async fn lead_migrated(&self, shared: &Shared, stop: &CancellationToken) -> Result<(), ProcessError> {
        let (Some(migration), Some(main)) = (&self.options.migration, &self.options.election) else {
            return Ok(());
        };
        let fence = Fence::closed();
        let config = LeaseConfig {
            name: migration.lease.clone(),
            ..main.clone()
        };
        let (elector, last_events) = self.elector(config, &fence).await?;
        let client = self
            .clients
            .make(Purpose {
                fence: fence.clone(),
                ..Purpose::new(COMPONENT)
            })
            .await?;
        let shared = Shared {
            client,
            fence,
            ..shared.clone()
        };
        let migrates = |name: &str| migration.place(name) == Under::Migrated;
        let work = |token| group::run(&self.options, &shared, &self.checks, &self.running, migrates, token);
        let ended = elector.run(stop.clone(), work).await;
        last_events.await;
        if ended == Ended::Lost && !stop.is_cancelled() {
            Err(ProcessError::Lost)
        } else {
            Ok(())
        }
    }

    /// Starts one watch per kind, which end with `end`.
    async fn watch(&self, end: &CancellationToken) -> Result<(Store<Node>, Store<Service>), ProcessError> {
        let client = self.clients.make(Purpose::new("shared-informers")).await?;
        let (nodes, services) = (Store::new(), Store::new());
        let node_watch = Watch::new(
            Api::all(client.clone()),
            "nodes",
            nodes.clone(),
            |node: Slim<core::Node>| Node::cut(node.0),
        )
        .metrics(&self.metrics);
        let service_watch = Watch::new(
            Api::all(client),
            "services",
            services.clone(),
            |service: Slim<core::Service>| Service::cut(service.0),
        )
        .metrics(&self.metrics);
        let watches = vec![("nodes", node_watch.health()), ("services", service_watch.health())];
        for (kind, health) in &watches {
            let (kind, health, end) = (*kind, health.clone(), end.clone());
            self.checks.add(&format!("watch-{kind}"), Means::Stuck, move || {
                let stalled = !end.is_cancelled() && health.is_stalled();
                if stalled {
                    Err(format!("the watch of {kind} does not move any more"))
                } else {
                    Ok(())
                }
            });
        }
        let synced = (nodes.clone(), services.clone(), end.clone());
        self.checks.add("caches", Means::NotReady, move || {
            let ready = synced.2.is_cancelled() || (synced.0.is_synced() && synced.1.is_synced());
            if ready {
                Ok(())
            } else {
                Err("nodes and services are not read yet".to_owned())
            }
        });
        tokio::spawn(end.clone().run_until_cancelled_owned(node_watch.run()));
        tokio::spawn(end.clone().run_until_cancelled_owned(service_watch.run()));
        self.seen(|seen| {
            (seen.nodes, seen.services, seen.watches) = (Some(nodes.clone()), Some(services.clone()), watches);
        });
        Ok((nodes, services))
    }

    /// What the secure port serves, and how.
    async fn secure(
        self: &Arc<Self>,
        address: std::net::IpAddr,
    ) -> Result<(axum::Router, Tls, Option<Reload>), ProcessError> {
        let p = &self.options.parsed;
        let reviewer = |flag: &str, name: &'static str| Purpose {
            timeout: Some(Duration::from_secs(10)),
            kubeconfig: p.optional(flag).map(Into::into),
            ..Purpose::new(name)
        };
        let authentication = self
            .clients
            .make(reviewer("authentication-kubeconfig", "authentication"))
            .await?;
        let authorization = self
            .clients
            .make(reviewer("authorization-kubeconfig", "authorization"))
            .await?;
        let (authorities, proxies) = self.authorities(&authentication).await?;
        let tls = serve::tls(p, address, &authorities)?;
        let flags = p.clone();
        let reload = serve::is_in_files(p).then(|| Reload {
            every: RELOAD,
            read: Box::new(move || serve::tls(&flags, address, &authorities)),
        });
        let ttl = Ttl {
            token: p.duration("authentication-token-webhook-cache-ttl"),
            yes: p.duration("authorization-webhook-cache-authorized-ttl"),
            no: p.duration("authorization-webhook-cache-unauthorized-ttl"),
        };
        let auth = Auth::new(
            authentication,
            authorization,
            p.list("authorization-always-allow-paths"),
            proxies,
            &ttl,
        );
        let state = Arc::clone(self);
        let admin = Admin {
            title: self.title.clone(),
            checks: self.checks.clone(),
            metrics: self.metrics.clone(),
            slis: self.slis.clone(),
            configz: Arc::new(self.options.configz()),
            state: Arc::new(move || state.state()),
            profiling: p.bool("profiling"),
        };
        Ok((admin.router().layer(from_fn_with_state(auth, guard)), tls, reload))
    }

    /// The authorities for client certificates, and what proxies may say, as the cluster has it unless flags do.
    async fn authorities(&self, client: &kube::Client) -> Result<(Authorities, RequestHeaders), ProcessError> {
        let p = &self.options.parsed;
        let given = RequestHeaders {
            allowed: p.list("requestheader-allowed-names"),
            user: p.list("requestheader-username-headers"),
            groups: p.list("requestheader-group-headers"),
        };
        let own_clients = p.optional("client-ca-file").is_some();
        let own_proxies = p.optional("requestheader-client-ca-file").is_some();
        if (own_clients && own_proxies) || p.bool("authentication-skip-lookup") {
            return Ok((Authorities::default(), given));
        }
        let maps: Api<core::ConfigMap> = Api::namespaced(client.clone(), "kube-system");
        let mut waits = Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).jitter(0.2);
        let found = loop {
            match maps.get("extension-apiserver-authentication").await {
                // An API server that is away comes back; until then this process would only be started again and again.
                Err(error) if kube_kit::retry::class(&error).is_temporary() && !own_clients => {
                    warn!(error = %kit::chain(&error), "cannot read the cluster's authorities yet");
                    tokio::time::sleep(waits.next().unwrap_or(STUCK)).await;
                }
                found => break found,
            }
        };
        let mut data = match found {
            Ok(map) => map.data.unwrap_or_default(),
            // Whoever brings an authority of his own does not depend on the cluster's.
            Err(error) if own_clients || p.bool("authentication-tolerate-lookup-failure") => {
                warn!(error = %kit::chain(&error), "client certificates and proxies that only the cluster knows are not accepted");
                return Ok((Authorities::default(), given));
            }
            Err(error) => return Err(ProcessError::Lookup(error)),
        };
        let authorities = Authorities {
            clients: data.remove("client-ca-file"),
            proxies: data.remove("requestheader-client-ca-file"),
        };
        let list = |name: &str| -> Vec<String> {
            let text = data.get(name).map_or("[]", String::as_str);
            serde_json::from_str(text).unwrap_or_default()
        };
        // All of it from one place: an authority goes with the names it vouches for.
        let headers = if own_proxies {
            given
        } else {
            RequestHeaders {
                allowed: list("requestheader-allowed-names"),
                user: list("requestheader-username-headers"),
                groups: list("requestheader-group-headers"),
            }
        };
        Ok((authorities, headers))
    }

    fn state(&self) -> Value {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let watches: serde_json::Map<String, Value> = seen
            .watches
            .iter()
            .map(|(kind, health)| {
                let heard = health
                    .last_heard()
                    .map(|ago| kit::go_duration::format(Duration::from_secs(ago.as_secs())));
                (
                    (*kind).to_owned(),
                    json!({ "lastHeard": heard, "failing": health.failing() }),
                )
            })
            .collect();
        json!({
            "provider": self.options.cloud,
            "cluster": self.options.cluster,
            "leading": seen.election.as_ref().is_none_or(LeaseStatus::is_leading),
            "leader": seen.election.as_ref().map(LeaseStatus::holder),
            "controllers": self.running.names(),
            "nodes": seen.nodes.as_ref().map(Store::len),
            "uninitializedNodes": seen.nodes.as_ref().map(uninitialized),
            "suspectNodes": self.running.suspects(),
            "services": seen.services.as_ref().map(Store::len),
            "watches": watches,
            "alarms": seen.alarms.as_ref().map(Alarms::active),
        })
    }

    fn seen(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn uninitialized(nodes: &Store<Node>) -> Vec<String> {
    let waiting = |node: &Arc<Node>| node.is_tainted(crate::names::TAINT_UNINITIALIZED);
    nodes
        .list()
        .iter()
        .filter(|node| waiting(node))
        .map(|node| node.name.clone())
        .collect()
}
