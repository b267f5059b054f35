//! What the cloud does not tell: about which nodes, since when, and until when it wants to be left alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Class;
use tokio::time::Instant;

use crate::cloud::{Sighting, Unknown};
use crate::data::Node;
use crate::error::CloudError;

/// For how long, and how often in a row, a cloud may fail to tell about a node before somebody should know.
const LONG: Duration = Duration::from_mins(5);
const OFTEN: u32 = 3;
/// How many nodes are named.
const NAMED: usize = 5;

/// The one [`Silence`] of all controllers. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedSilence(Arc<Mutex<Silence>>);

impl SharedSilence {
    /// Not to be held while anything is waited for.
    pub(super) fn lock(&self) -> MutexGuard<'_, Silence> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all controllers must know alike, so that none asks too early because another one was told to wait.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// About all nodes.
    all: Option<Wish>,
    /// About single nodes, by UID. Only of nodes that there are: see [`Silence::forget_unless`].
    nodes: HashMap<String, Untold>,
}

/// That nothing is to be asked for a while.
#[derive(Debug)]
struct Wish {
    until: Instant,
    why: String,
}

impl Wish {
    fn of(error: &CloudError) -> Option<Self> {
        let until = Instant::now() + error.after()?;
        let why = kit::chain(error);
        Some(Self { until, why })
    }

    /// What the cloud would say now, in the words it said it in, so that nobody takes it for news.
    fn again(&self) -> Option<CloudError> {
        let after = Some(self.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        after.map(|_| CloudError::new(Class::Throttled { after }, self.why.clone()))
    }
}

/// A node that the cloud cannot tell about.
#[derive(Debug)]
struct Untold {
    name: String,
    since: Instant,
    times: u32,
    why: String,
    wish: Option<Wish>,
}

impl Silence {
    /// Takes note that a whole look-up failed.
    pub(super) fn refused(&mut self, error: &CloudError) {
        // Two may have asked at a time: the longer of two times counts.
        self.all = self
            .all
            .take()
            .into_iter()
            .chain(Wish::of(error))
            .max_by_key(|wish| wish.until);
    }

    /// Takes note of an answer about a node.
    pub(super) fn told(&mut self, node: &Node, seen: &Sighting) {
        let Sighting::Unknown(Unknown::Failed(error)) = seen else {
            self.nodes.remove(&node.uid);
            return;
        };
        let first = || Untold {
            name: node.name.clone(),
            since: Instant::now(),
            times: 0,
            why: String::new(),
            wish: None,
        };
        let untold = self.nodes.entry(node.uid.clone()).or_insert_with(first);
        untold.times = untold.times.saturating_add(1);
        untold.why = kit::chain(error);
        untold.wish = Wish::of(error);
    }

    /// Forgets all nodes but those that `is_there` says there are, by UID.
    pub(super) fn forget_unless(&mut self, is_there: impl Fn(&str) -> bool) {
        self.nodes.retain(|uid, _| is_there(uid));
    }

    /// Whether nothing is known to be untold.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The refusal that still holds for every look-up.
    pub(super) fn holds(&self) -> Option<CloudError> {
        self.all.as_ref().and_then(Wish::again)
    }

    /// The refusal that still holds for this node.
    pub(super) fn holds_for(&self, node: &Node) -> Option<CloudError> {
        self.nodes.get(&node.uid)?.wish.as_ref().and_then(Wish::again)
    }

    /// What somebody should know, if the cloud could not tell about some nodes for long.
    pub(super) fn complaint(&self) -> Option<String> {
        // Asked seldom, it may have been bad luck twice, unless it is the cloud that wants to be asked seldom.
        let is_sure = |untold: &Untold| untold.times >= OFTEN || untold.wish.as_ref().and_then(Wish::again).is_some();
        let is_long = |untold: &&Untold| untold.since.elapsed() >= LONG && is_sure(untold);
        let mut long: Vec<&Untold> = self.nodes.values().filter(is_long).collect();
        long.sort_by(|a, b| a.name.cmp(&b.name));
        let first = long.first()?;
        let names: Vec<&str> = long.iter().take(NAMED).map(|untold| untold.name.as_str()).collect();
        let more = match long.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "the cloud could not tell for over {} what became of {}{more}; these nodes are neither deleted nor tainted, \
             whatever became of them; of {} it says: {}",
            kit::go_duration::format(LONG),
            names.join(", "),
            first.name,
            first.why
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            ..Node::default()
        }
    }

    fn failed(after: Option<u64>) -> Sighting {
        let after = after.map(Duration::from_secs);
        let error = CloudError::new(Class::Throttled { after }, "slow down");
        Sighting::Unknown(Unknown::Failed(error))
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_holds_for_its_time_and_for_what_it_was_said_of() {
        let mut silence = Silence::default();
        silence.told(&node("a"), &failed(Some(60)));
        silence.refused(&CloudError::new(
            Class::Throttled {
                after: Some(Duration::from_secs(30)),
            },
            "stop",
        ));
        silence.refused(&CloudError::new(Class::Transient, "and then the line broke"));
        tokio::time::advance(Duration::from_secs(29)).await;
        let held = silence.holds().expect("a second is left");
        assert_eq!(
            (held.to_string(), held.after()),
            ("stop".to_owned(), Some(Duration::from_secs(1)))
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(silence.holds().is_none());
        assert!(silence.holds_for(&node("a")).is_some() && silence.holds_for(&node("b")).is_none());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(silence.holds_for(&node("a")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_untold_for_long_and_often_is_worth_a_complaint() {
        let mut silence = Silence::default();
        for (minute, complains) in [(0, false), (1, false), (2, false), (3, false), (4, false), (5, true)] {
            silence.told(&node("a"), &failed(None));
            assert_eq!(silence.complaint().is_some(), complains, "minute {minute}");
            tokio::time::advance(Duration::from_mins(1)).await;
        }
        for n in 0..7 {
            for _ in 0..OFTEN {
                silence.told(&node(&format!("n{n}")), &failed(None));
            }
        }
        tokio::time::advance(LONG).await;
        let text = silence.complaint().expect("eight nodes");
        assert!(text.contains("became of a, n0, n1, n2, n3 and 3 more;"), "{text}");
        silence.told(&node("a"), &Sighting::Gone);
        silence.forget_unless(|uid| uid == "uid-n6");
        assert!(silence.complaint().expect("one node").contains("became of n6;"));
        silence.forget_unless(|_| false);
        assert!(silence.is_empty() && silence.complaint().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_far_apart_are_no_complaint() {
        let mut silence = Silence::default();
        silence.told(&node("a"), &failed(None));
        tokio::time::advance(Duration::from_hours(1)).await;
        silence.told(&node("a"), &failed(None));
        assert!(silence.complaint().is_none());
        silence.told(&node("b"), &failed(Some(600)));
        tokio::time::advance(LONG).await;
        assert!(
            silence.complaint().expect("one node").contains("became of b;"),
            "the cloud refuses to tell for that long"
        );
    }
}
