//! What to do, decided from what is and what should be. No network, no clock.

mod diff;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use super::observe::{LivePool, Observed};
use super::state::{Pool, State};

/// Bid for, or bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Won at auction.
    #[default]
    Spot,
    /// At a fixed price.
    OnDemand,
}

impl Kind {
    /// For people, and for deriving names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Change the cloudspace.
    PatchCloudspace {
        /// A merge patch.
        patch: Value,
        /// What it changes, for people.
        what: String,
    },
    /// Make a pool.
    Create(Box<Pool>),
    /// Change a pool.
    Patch {
        /// Which kind.
        kind: Kind,
        /// Which one.
        name: String,
        /// A merge patch of only what differs.
        patch: Value,
        /// What it changes, for people.
        what: String,
    },
    /// Wait until a pool has as many machines as the one it replaces should have had.
    Await {
        /// Which kind.
        kind: Kind,
        /// Which one.
        name: String,
        /// How many.
        count: i64,
    },
    /// Delete a pool.
    Delete {
        /// Which kind.
        kind: Kind,
        /// Which one.
        name: String,
    },
}

/// The steps from `observed` to `desired`, in the order that is safe.
///
/// The API allows one autoscaling pool at any instant. So where autoscaling moves, pools that have it are deleted first,
/// then disabled, and only then is it enabled elsewhere. Everywhere else what is new comes first and what is old goes last,
/// so that a failure on the way leaves too many nodes and not too few. Pools that are not ours are never touched, and an
/// imported cloudspace keeps all pools it has.
pub fn plan(observed: &Observed, desired: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(diff::cloudspace(observed, desired));
    let wanted: BTreeSet<&str> = desired.pool_names().collect();
    let live = |pool: &&Pool| observed.pool(&pool.name);

    let gains = |pool: &Pool| pool.autoscaling.enabled && !observed.pool(&pool.name).is_some_and(LivePool::autoscales);
    let moves = desired.pools.iter().any(gains);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    if !desired.imported {
        for pool in observed
            .ours()
            .filter(|pool| !pool.deleting && !wanted.contains(pool.name.as_str()))
        {
            let list = if moves && pool.autoscales() {
                &mut first
            } else {
                &mut last
            };
            list.push(pool);
        }
    }
    steps.extend(first.into_iter().map(delete));

    let (mut disable, mut create, mut update, mut enable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pool in &desired.pools {
        match live(&pool).filter(|live| !live.deleting) {
            None if desired.imported => {}
            None if pool.autoscaling.enabled => enable.push(Step::Create(Box::new(pool.clone()))),
            None => create.push(Step::Create(Box::new(pool.clone()))),
            Some(live) => {
                let list = match (live.autoscales(), pool.autoscaling.enabled) {
                    (true, false) => &mut disable,
                    (false, true) => &mut enable,
                    _ => &mut update,
                };
                list.extend(diff::pool(live, pool, desired));
            }
        }
    }
    let replacements: Vec<Step> = create
        .iter()
        .chain(&enable)
        .filter_map(|step| match step {
            Step::Create(pool) if pool.count > 0 => Some(Step::Await {
                kind: pool.kind,
                name: pool.name.clone(),
                count: pool.count,
            }),
            _ => None,
        })
        .collect();
    steps.extend(disable.into_iter().chain(create).chain(update).chain(enable));
    // Only a pool of the same kind takes over: bought machines do not wait for an auction.
    steps.extend(replacements.into_iter().filter(|step| match step {
        Step::Await { kind, .. } => last.iter().any(|pool| pool.kind == *kind && pool.got > 0),
        _ => false,
    }));
    steps.extend(last.into_iter().map(delete));
    steps
}

fn delete(pool: &LivePool) -> Step {
    Step::Delete {
        kind: pool.kind,
        name: pool.name.clone(),
    }
}

impl Step {
    /// What it does, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::PatchCloudspace { what, .. } => format!("change cloudspace: {what}"),
            Self::Create(pool) => {
                let bid = if pool.bid.is_empty() {
                    String::new()
                } else {
                    format!(" at {}", pool.bid)
                };
                format!(
                    "create {} pool {}: {} x {}{bid}",
                    pool.kind.as_str(),
                    pool.name,
                    pool.count,
                    pool.class
                )
            }
            Self::Patch { kind, name, what, .. } => format!("change {} pool {name}: {what}", kind.as_str()),
            Self::Await { kind, name, count } => {
                format!("wait for {count} machines in {} pool {name}", kind.as_str())
            }
            Self::Delete { kind, name } => format!("delete {} pool {name}", kind.as_str()),
        }
    }
}
