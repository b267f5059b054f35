//! The state of a running manager: `/debug/state` gives it to machines as JSON, [`super::page`] shows it to people.

use std::collections::BTreeMap;

use kube_kit::{EventType, LoggedEvent};
use serde::Serialize;

use crate::cloud::Cloud;
use crate::controllers::observe::is_foreign;
use crate::controllers::service::{needs_cleanup, wants_load_balancer};
use crate::data::{Condition, Node, Service};
use crate::names::{CONDITION_INITIALIZED, CONDITION_INSTANCE, TAINT_SHUTDOWN, TAINT_UNINITIALIZED};

/// What the calls of a cloud are counted in, by operation and result, and timed in, by operation.
pub(super) const CALLS: &str = "cloud_provider_calls_total";
pub(super) const CALL_SECONDS: &str = "cloud_provider_call_duration_seconds";

/// Everything.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub provider: String,
    pub cluster: String,
    pub leading: bool,
    /// Nothing without election; empty while nobody leads.
    pub leader: Option<String>,
    pub controllers: Vec<&'static str>,
    pub alarms: BTreeMap<&'static str, String>,
    pub watches: BTreeMap<&'static str, Watched>,
    /// Nothing before this process leads: until then it reads none.
    pub nodes: Option<Vec<NodeState>>,
    /// Those with load balancers, of this cloud or another; nothing before this process leads.
    pub services: Option<Vec<ServiceState>>,
    pub calls: Vec<Calls>,
    /// The latest one first.
    pub events: Vec<Told>,
}

/// How a watch is doing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Watched {
    /// How long ago, if ever.
    pub last_heard: Option<String>,
    pub failing: Option<String>,
}

/// How a node stands with the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Standing {
    /// It waits to be initialised.
    Uninitialized,
    /// The cloud denies its instance.
    Missing,
    /// Its instance is switched off.
    ShutDown,
    /// It is being deleted.
    Deleting,
    /// It has no provider ID and does not wait for one: it was never to be this program's.
    Unmanaged,
    /// It is another cloud's.
    Foreign,
    /// All is as it should be.
    Initialized,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeState {
    pub name: String,
    pub state: Standing,
    /// Why, in one word and for people, where that is known.
    pub reason: Option<String>,
    pub message: Option<String>,
    #[serde(rename = "providerID")]
    pub provider_id: String,
    pub addresses: Vec<String>,
}

impl NodeState {
    /// How this node stands; `suspects` are those whose instances seem to be gone.
    pub fn of(node: &Node, cloud: &dyn Cloud, suspects: &[String]) -> Self {
        let denied = |kind| node.condition(kind).filter(|condition| condition.status == "False");
        let (state, why): (_, Option<&Condition>) = if node.deleting {
            (Standing::Deleting, None)
        } else if is_foreign(cloud, node) {
            (Standing::Foreign, None)
        } else if node.is_tainted(TAINT_UNINITIALIZED) {
            (Standing::Uninitialized, denied(CONDITION_INITIALIZED))
        } else if suspects.contains(&node.name) || denied(CONDITION_INSTANCE).is_some() {
            (Standing::Missing, denied(CONDITION_INSTANCE))
        } else if node.is_tainted(TAINT_SHUTDOWN) {
            (Standing::ShutDown, None)
        } else if node.provider_id.is_empty() {
            (Standing::Unmanaged, None)
        } else {
            (Standing::Initialized, None)
        };
        let addresses = node.addresses.iter();
        Self {
            name: node.name.clone(),
            state,
            reason: why.map(|condition| condition.reason.clone()),
            message: why.map(|condition| condition.message.clone()),
            provider_id: node.provider_id.clone(),
            addresses: addresses
                .map(|address| format!("{} {}", address.kind, address.address))
                .collect(),
        }
    }
}

/// How a Service stands with its load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Delivery {
    /// It has no address yet.
    Waiting,
    /// Its load balancer is being removed.
    Ending,
    /// Another controller looks after it (`spec.loadBalancerClass`).
    Foreign,
    /// It has an address.
    Reached,
}

/// A Service with a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ServiceState {
    pub namespace: String,
    pub name: String,
    pub state: Delivery,
    pub addresses: Vec<String>,
    /// Why its last try failed, or what it waits for.
    pub problem: Option<String>,
}

impl ServiceState {
    /// How this Service stands, with what its controller says stands in its way, or why there is none that could say it;
    /// nothing when it has to do with no load balancer.
    pub fn of(service: &Service, problem: Option<String>, unattended: Option<&str>) -> Option<Self> {
        let state = if service.class.is_some() {
            Delivery::Foreign
        } else if needs_cleanup(service) {
            Delivery::Ending
        } else if !wants_load_balancer(service) {
            return None;
        } else if service.ingress.is_empty() {
            Delivery::Waiting
        } else {
            Delivery::Reached
        };
        let stuck = matches!(state, Delivery::Waiting | Delivery::Ending);
        let unattended = unattended.filter(|_| stuck).map(ToOwned::to_owned);
        let address = |ip: &str, hostname: &str| {
            if ip.is_empty() {
                hostname.to_owned()
            } else {
                ip.to_owned()
            }
        };
        let ingress = service.ingress.iter();
        Some(Self {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            state,
            addresses: ingress.map(|one| address(&one.ip, &one.hostname)).collect(),
            problem: problem.or(unattended),
        })
    }
}

/// What the cloud was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calls {
    pub operation: String,
    /// How often it ended how.
    pub results: BTreeMap<String, u64>,
    pub average_seconds: f64,
}

impl Calls {
    /// From the series of [`CALLS`] and [`CALL_SECONDS`].
    pub fn of(counted: &BTreeMap<Vec<String>, f64>, seconds: &BTreeMap<Vec<String>, f64>) -> Vec<Self> {
        let mut by_operation: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        for (labels, count) in counted {
            if let [operation, result] = labels.as_slice() {
                let results = by_operation.entry(operation).or_default();
                results.insert(result.clone(), *count as u64);
            }
        }
        let one = |(operation, results): (&str, BTreeMap<String, u64>)| {
            let total = results.values().sum::<u64>().max(1) as f64;
            let spent = seconds.get(&[operation.to_owned()][..]).copied().unwrap_or_default();
            Self {
                operation: operation.to_owned(),
                results,
                average_seconds: (spent / total * 1000.0).round() / 1000.0,
            }
        };
        by_operation.into_iter().map(one).collect()
    }

    /// How many ended in one of these ways.
    pub fn ended(&self, results: &[&str]) -> u64 {
        results.iter().filter_map(|result| self.results.get(*result)).sum()
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    /// When it was told last.
    pub at: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub component: &'static str,
    pub object: String,
    pub reason: String,
    pub message: String,
    pub count: u64,
}

impl From<LoggedEvent> for Told {
    fn from(event: LoggedEvent) -> Self {
        Self {
            at: format!("{:.0}", event.at),
            kind: event.kind.text(),
            component: event.component,
            object: event.object,
            reason: event.reason,
            message: event.message,
            count: event.count,
        }
    }
}

impl Told {
    /// Whether somebody should look.
    pub fn is_warning(&self) -> bool {
        self.kind == EventType::Warning.text()
    }
}

#[cfg(test)]
mod tests;
