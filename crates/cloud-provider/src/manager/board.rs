//! Where those who run a manager put down what others may know of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube_kit::metrics::Registry;
use kube_kit::{EventLog, LeaseStatus, Store, WatchHealth};

use super::group::Running;
use super::options::Options;
use super::state::{CALL_SECONDS, CALLS, Calls, NodeState, ServiceState, State, Watched};
use crate::cloud::Cloud;
use crate::controllers::Alarms;
use crate::data::{Node, Service};

/// What is known of this process. Clones share it.
#[derive(Clone)]
pub(super) struct Board(Arc<Inner>);

struct Inner {
    provider: String,
    cluster: String,
    cloud: Arc<dyn Cloud>,
    metrics: Registry,
    running: Running,
    events: EventLog,
    seen: Mutex<Seen>,
}

/// What there is only once the process has come so far.
#[derive(Default)]
pub(super) struct Seen {
    pub election: Option<LeaseStatus>,
    pub nodes: Option<Store<Node>>,
    pub services: Option<Store<Service>>,
    pub watches: Vec<(&'static str, WatchHealth)>,
    pub alarms: Option<Alarms>,
}

impl Board {
    /// The board of a process that has not begun yet.
    pub fn new(options: &Options, cloud: Arc<dyn Cloud>, metrics: Registry) -> Self {
        Self(Arc::new(Inner {
            provider: options.cloud.clone(),
            cluster: options.cluster.clone(),
            cloud,
            metrics,
            running: Running::default(),
            events: EventLog::default(),
            seen: Mutex::default(),
        }))
    }

    /// The controllers that run.
    pub fn running(&self) -> &Running {
        &self.0.running
    }

    /// The last events.
    pub fn events(&self) -> &EventLog {
        &self.0.events
    }

    /// Puts something down.
    pub fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of it, as it is now.
    pub fn state(&self) -> State {
        let inner = &*self.0;
        let seen = inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = |health: &WatchHealth| Watched {
            last_heard: health
                .last_heard()
                .map(|ago| kit::go_duration::format(Duration::from_secs(ago.as_secs()))),
            failing: health.failing(),
        };
        let suspects = inner.running.suspects();
        let nodes = |store: &Store<Node>| {
            let nodes = store.list();
            nodes
                .iter()
                .map(|node| NodeState::of(node, &*inner.cloud, &suspects))
                .collect()
        };
        let unattended = if inner.cloud.load_balancers().is_none() {
            Some("the cloud has no load balancers as it is configured")
        } else {
            (!inner.running.attends_services()).then_some("the service controller does not run")
        };
        let services = |store: &Store<Service>| {
            let services = store.list();
            services
                .iter()
                .filter_map(|service| ServiceState::of(service, inner.running.problem(&service.key()), unattended))
                .collect()
        };
        State {
            provider: inner.provider.clone(),
            cluster: inner.cluster.clone(),
            leading: seen.election.as_ref().is_none_or(LeaseStatus::is_leading),
            leader: seen.election.as_ref().map(LeaseStatus::holder),
            controllers: inner.running.names(),
            alarms: seen.alarms.as_ref().map(Alarms::active).unwrap_or_default(),
            watches: seen
                .watches
                .iter()
                .map(|(kind, health)| (*kind, watched(health)))
                .collect(),
            nodes: seen.nodes.as_ref().map(nodes),
            services: seen.services.as_ref().map(services),
            calls: Calls::of(&inner.metrics.series(CALLS), &inner.metrics.series(CALL_SECONDS)),
            events: inner.events.latest().into_iter().map(Into::into).collect(),
        }
    }
}
