//! The controllers that make a cluster feel alive: default accounts, tokens, namespaces that go away, nodes that fall silent.

mod garbage;
mod namespaces;
mod nodes;
mod root_ca;
mod service_accounts;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::sim::{Inner, KubeSim};

/// The names of all controllers, those of kube-controller-manager.
pub(crate) const NAMES: &[&str] = &[
    "garbage-collector-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
];

/// Which controllers run.
///
/// ```
/// use kube_sim::Controllers;
/// let some: Controllers = "serviceaccount-controller,serviceaccount-token-controller".parse().unwrap();
/// assert_ne!(some, Controllers::all());
/// assert!("nosuch".parse::<Controllers>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controllers(BTreeSet<&'static str>);

/// A name that no controller has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no controller named {name:?}; there are all, none, {}", NAMES.join(", "))]
pub struct UnknownController {
    /// The name that was given.
    pub name: String,
}

impl Controllers {
    /// All of them.
    pub fn all() -> Self {
        Self(NAMES.iter().copied().collect())
    }

    /// None of them.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }
}

impl FromStr for Controllers {
    type Err = UnknownController;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "all" | "*" => return Ok(Self::all()),
            "none" | "" => return Ok(Self::none()),
            _ => {}
        }
        let known = |name: &str| {
            NAMES
                .iter()
                .copied()
                .find(|n| *n == name || n.strip_suffix("-controller") == Some(name))
        };
        text.split(',')
            .map(str::trim)
            .map(|name| known(name).ok_or_else(|| UnknownController { name: name.to_owned() }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.iter().copied().collect::<Vec<_>>().join(","))
    }
}

/// One control loop: it looks at everything and does what is missing.
trait Controller: Send {
    /// The collections whose changes wake it.
    fn watches(&self) -> &'static [&'static str];

    /// How long it rests after a look: those that look at very much do not do so at every write.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }

    /// Looks and acts; returns when to look again even if nothing changes.
    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp>;
}

fn make(name: &str) -> Box<dyn Controller> {
    match name {
        "garbage-collector-controller" => Box::new(garbage::Garbage),
        "node-lifecycle-controller" => Box::new(nodes::Nodes::default()),
        "namespace-controller" => Box::new(namespaces::Namespaces),
        "root-ca-certificate-publisher-controller" => Box::new(root_ca::RootCa),
        "serviceaccount-controller" => Box::new(service_accounts::ServiceAccounts),
        _ => Box::new(tokens::Tokens::default()),
    }
}

impl KubeSim {
    /// Runs the controllers until `cancel`. They wait on the simulation's clock, so that they also work on a paused one.
    pub async fn run_controllers(&self, cancel: CancellationToken) {
        let mut tasks = tokio::task::JoinSet::new();
        for name in &self.0.controllers.0 {
            tasks.spawn(run(self.0.clone(), make(name), cancel.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn run(inner: Arc<Inner>, mut controller: Box<dyn Controller>, cancel: CancellationToken) {
    let mut changes = inner.state().store.changes();
    let mut seen = None;
    let mut wake: Option<Timestamp> = None;
    loop {
        changes.mark_unchanged();
        let touched = Some(inner.state().store.touched(controller.watches()));
        if touched != seen || wake.is_some_and(|at| at <= inner.clock.now()) {
            seen = touched;
            wake = controller.reconcile(&inner);
            if !controller.rest().is_zero() {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = inner.clock.sleep(controller.rest()) => {}
                }
            }
        }
        let sleep = async {
            match wake {
                Some(at) => inner.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep => {}
        }
    }
}
