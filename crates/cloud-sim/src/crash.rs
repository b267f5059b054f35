//! The crash harness: an operation is killed before and after each of its requests, and must always come right.

use std::fmt;

use axum::BoxError;
use serde_json::Value;

use crate::network::{Cut, Network, Outgoing};

/// An operation that must survive its process dying at any moment.
pub trait Scenario {
    /// A fresh simulated cloud, its network, and what survives a crash of the process: files, what the caller was told.
    type World;

    /// Makes a fresh world. Two worlds must be alike in everything that shows in [`Scenario::end_state`].
    fn setup(&self) -> impl Future<Output = Self::World>;

    /// The network the operation's requests go through.
    fn network<'a>(&self, world: &'a Self::World) -> &'a Network;

    /// The operation. When it is cut off its future is dropped at the request that was cut, as a process that dies runs
    /// no further; whatever it spawned sees only failing requests.
    fn run(&self, world: &Self::World) -> impl Future<Output = Result<(), BoxError>>;

    /// What the outside does after a crash, usually to call the operation again with what survived. It must succeed. It is
    /// also called after a run that the cut did not strike.
    fn recover(&self, world: &Self::World) -> impl Future<Output = Result<(), BoxError>>;

    /// What must be the same however often the operation died: the cloud's objects and what the caller holds, without
    /// times, versions and random parts. The place to look for leaks.
    fn end_state(&self, world: &Self::World) -> impl Future<Output = Value>;
}

/// What [`every_cut`] did.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many crash points were tried: twice the number of requests.
    pub points: usize,
    /// The requests of the run that was not cut.
    pub requests: Vec<Outgoing>,
}

/// Where an operation did not survive.
#[derive(Debug, thiserror::Error)]
pub enum CrashError {
    /// It failed although nobody disturbed it.
    #[error("the undisturbed run failed")]
    Undisturbed(#[source] BoxError),
    /// It sent nothing, so that there is nothing to cut.
    #[error("the undisturbed run sent no request")]
    NoRequests,
    /// It did not come back to life.
    #[error("cut {cut}: recovery failed")]
    Recovery {
        /// Where it was cut.
        cut: CutAt,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
    /// It came back to life in a different world.
    #[error("cut {cut}: the end state is not that of the undisturbed run:\n{}", difference.join("\n"))]
    Different {
        /// Where it was cut.
        cut: CutAt,
        /// Each difference: where, what it should be, what it is.
        difference: Vec<String>,
    },
}

/// A crash point, told by the request of the undisturbed run at its place.
#[derive(Clone, Debug)]
pub struct CutAt {
    cut: Cut,
    request: Outgoing,
}

impl fmt::Display for CutAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, n) = match self.cut {
            Cut::Before(n) => ("before", n),
            Cut::After(n) => ("after", n),
        };
        let Outgoing { method, host, path, .. } = &self.request;
        write!(f, "{side} request {n}, {method} {host}{path}")
    }
}

/// Runs the scenario once undisturbed, then once per crash point: cut before and after each of its requests, healed and
/// recovered. Every time the end state must be that of the undisturbed run. Stops at the first crash point that fails.
///
/// On a paused clock the result is the same every time.
pub async fn every_cut<S: Scenario>(scenario: &S) -> Result<Report, CrashError> {
    let world = scenario.setup().await;
    let network = scenario.network(&world);
    let first = network.sent();
    scenario.run(&world).await.map_err(CrashError::Undisturbed)?;
    let requests = network.requests().split_off(first);
    let expected = scenario.end_state(&world).await;
    if requests.is_empty() {
        return Err(CrashError::NoRequests);
    }
    for (k, request) in requests.iter().enumerate() {
        for make in [Cut::Before, Cut::After] {
            let world = scenario.setup().await;
            let network = scenario.network(&world);
            let cut = make(network.sent() + k + 1);
            let at = CutAt {
                cut: make(k + 1),
                request: request.clone(),
            };
            network.cut(cut);
            tokio::select! {
                biased;
                () = network.struck() => {}
                _ = scenario.run(&world) => {}
            }
            network.heal();
            if let Err(source) = scenario.recover(&world).await {
                return Err(CrashError::Recovery { cut: at, source });
            }
            let difference = differences(&expected, &scenario.end_state(&world).await);
            if !difference.is_empty() {
                return Err(CrashError::Different { cut: at, difference });
            }
        }
    }
    Ok(Report {
        points: 2 * requests.len(),
        requests,
    })
}

/// Where two JSON values differ, at most twenty places.
fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut found_at = Vec::new();
    compare("", expected, found, &mut found_at);
    found_at.truncate(20);
    found_at
}

fn compare(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => compare(&format!("{at}/{key}"), value, other, out),
                    None => out.push(format!("  {at}/{key}: missing, should be {value}")),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("  {at}/{key}: should not be there, is {value}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (value, other)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}/{i}"), value, other, out);
            }
        }
        _ if expected == found => {}
        _ => out.push(format!(
            "  {}: should be {expected}, is {found}",
            if at.is_empty() { "/" } else { at }
        )),
    }
}

#[cfg(test)]
mod tests;
