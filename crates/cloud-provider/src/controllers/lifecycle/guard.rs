//! Nothing is deleted on doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::Sighting;
use crate::data::{Node, Ready};

/// Up to which share of the ready nodes may seem to be gone before the cloud is not believed. A node stays ready for
/// some forty seconds after its instance is gone, so in a large cluster there are always a few.
const READY_GONE: f64 = 0.05;

/// When a node may be deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardOptions {
    /// `--node-deletion-confirmations`: how often the cloud must have denied its instance in a row.
    pub confirmations: u32,
    /// `--node-deletion-grace-period`: how long there must be between the first and the last denial.
    pub grace: Duration,
    /// `--node-deletion-max-share`: up to which share of the cloud's nodes may vanish in one sweep. One always may.
    pub max_share: f64,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            confirmations: 3,
            grace: Duration::from_secs(30),
            max_share: 1.0 / 3.0,
        }
    }
}

/// What the cloud said about a node.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The node.
    pub node: Arc<Node>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    There,
    Off,
    Gone,
    Unknown,
}

impl Seen {
    /// What the cloud said about `node`.
    pub fn new(node: Arc<Node>, seen: &Sighting) -> Self {
        let what = match seen {
            Sighting::Running(_) => What::There,
            Sighting::ShutDown => What::Off,
            Sighting::Gone => What::Gone,
            Sighting::Unknown(_) => What::Unknown,
        };
        Self { node, what }
    }

    /// Whether the instance is switched off.
    pub fn is_off(&self) -> bool {
        self.what == What::Off
    }
}

/// Why deletions are held back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Too many vanished at once.
    #[error(
        "the cloud denies {gone} of {of} instances at once, which is more than may vanish in one sweep; \
         no node is deleted until this passes (--node-deletion-max-share)"
    )]
    TooMany {
        /// How many.
        gone: usize,
        /// Of how many.
        of: usize,
    },
    /// The cloud denies instances that are plainly alive.
    #[error(
        "the cloud denies {gone} instances whose nodes are ready, so it is not believed; no node is deleted until this passes"
    )]
    Contradicted {
        /// How many.
        gone: usize,
    },
}

/// What follows from a sweep.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The nodes to delete now.
    pub delete: Vec<Arc<Node>>,
    /// All nodes that are not ready and whose instances seem to be gone.
    pub suspects: Vec<Arc<Node>>,
    /// Why none of them is deleted, if that is so.
    pub held: Option<Held>,
}

impl Verdict {
    /// Whether there is nothing to wait for, so that the cloud may be asked less often.
    pub fn is_settled(&self) -> bool {
        self.suspects.is_empty() || self.held.is_some()
    }
}

/// Remembers which nodes the cloud denied, how often, and for how long.
///
/// A node goes only when it is not ready, the cloud has positively denied its instance several times over a grace time,
/// not too many vanish at once, and the cloud does not deny instances that are plainly alive. An answer that says nothing
/// changes nothing.
#[derive(Debug)]
pub struct Guard {
    options: GuardOptions,
    suspects: BTreeMap<String, Suspect>,
}

#[derive(Debug)]
struct Suspect {
    name: String,
    first: Instant,
    denials: u32,
}

impl Guard {
    /// A guard that suspects nobody.
    pub fn new(options: GuardOptions) -> Self {
        Self {
            options,
            suspects: BTreeMap::new(),
        }
    }

    /// The names of the nodes whose instances seem to be gone.
    pub fn suspects(&self) -> Vec<String> {
        self.suspects.values().map(|suspect| suspect.name.clone()).collect()
    }

    /// Nobody is suspected any more.
    pub fn forget_all(&mut self) {
        self.suspects.clear();
    }

    /// Judges one sweep over all initialised nodes of the cloud.
    pub fn judge(&mut self, seen: &[Seen]) -> Verdict {
        let now = Instant::now();
        let there: BTreeSet<&str> = seen.iter().map(|seen| seen.node.uid.as_str()).collect();
        self.suspects.retain(|uid, _| there.contains(uid.as_str()));
        let mut verdict = Verdict::default();
        let mut ripe = Vec::new();
        for Seen { node, what } in seen {
            if node.ready == Ready::Yes || matches!(what, What::There | What::Off) {
                self.suspects.remove(&node.uid);
                continue;
            }
            if *what == What::Gone {
                let fresh = || Suspect {
                    name: node.name.clone(),
                    first: now,
                    denials: 0,
                };
                let suspect = self.suspects.entry(node.uid.clone()).or_insert_with(fresh);
                suspect.denials += 1;
                if suspect.denials >= self.options.confirmations && suspect.first + self.options.grace <= now {
                    ripe.push(Arc::clone(node));
                }
            }
            if self.suspects.contains_key(&node.uid) {
                verdict.suspects.push(Arc::clone(node));
            }
        }
        if !verdict.suspects.is_empty() {
            verdict.held = self.doubt(seen);
        }
        if verdict.held.is_none() {
            verdict.delete = ripe;
        }
        verdict
    }

    fn doubt(&self, seen: &[Seen]) -> Option<Held> {
        let gone = seen.iter().filter(|seen| seen.what == What::Gone).count();
        let allowed = (self.options.max_share * seen.len() as f64).floor() as usize;
        if gone > allowed.max(1) {
            return Some(Held::TooMany { gone, of: seen.len() });
        }
        let ready = seen.iter().filter(|seen| seen.node.ready == Ready::Yes);
        let contradicted = ready.clone().filter(|seen| seen.what == What::Gone).count();
        let tolerated = (READY_GONE * ready.count() as f64).floor() as usize;
        (contradicted > tolerated).then_some(Held::Contradicted { gone: contradicted })
    }
}

#[cfg(test)]
mod tests;
