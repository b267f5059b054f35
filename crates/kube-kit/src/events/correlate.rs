//! Which events are written, which are combined and which are dropped.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Recent, Said};

/// How many different things are remembered at a time.
const REMEMBERED: usize = 4096;
/// How many events about one object pass at once, and how often another one does after that.
const SPAM_BURST: f64 = 25.0;
const SPAM_SECONDS: f64 = 300.0;
/// From how many similar events on, within which time, they are told as one.
const SIMILAR: usize = 10;
const SIMILAR_WITHIN: Duration = Duration::from_mins(10);
/// What such an event begins with.
pub(super) const COMBINED: &str = "(combined from similar events): ";

/// What is remembered is told apart by a digest: a cluster has thousands of nodes, each with events of its own.
type Digest = u64;

fn digest(of: &impl Hash) -> Digest {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What to send for an event.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub said: Said,
    /// The event's name, if it was written before and is only counted up.
    pub known: Option<String>,
    pub count: i32,
    pub first: Timestamp,
    /// What makes the name of a new event unique.
    pub unique: u64,
    key: Digest,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

#[derive(Debug)]
struct Similar {
    messages: BTreeSet<Digest>,
    last: Instant,
}

#[derive(Debug)]
struct Seen {
    count: i32,
    first: Timestamp,
    name: Option<String>,
}

/// Mirrors `EventCorrelator` of client-go's `tools/record/events_cache.go` with its default options.
#[derive(Debug)]
pub(super) struct Correlator {
    spam: Recent<Digest, Bucket>,
    similar: Recent<Digest, Similar>,
    seen: Recent<Digest, Seen>,
    last_unique: u64,
}

impl Correlator {
    pub(super) fn new() -> Self {
        Self {
            spam: Recent::new(REMEMBERED),
            similar: Recent::new(REMEMBERED),
            seen: Recent::new(REMEMBERED),
            last_unique: 0,
        }
    }

    /// What to write, or nothing when there were too many about this object.
    pub(super) fn correlate(&mut self, said: Said) -> Option<Write> {
        let (said, key) = self.aggregate(said);
        let first = said.at;
        let seen = self.seen.entry(&key, || Seen {
            count: 0,
            first,
            name: None,
        });
        seen.count = seen.count.saturating_add(1);
        let (known, count, first) = (seen.name.clone(), seen.count, seen.first);
        if !self.admit(digest(&(said.component, &said.object))) {
            return None;
        }
        let nanos = u64::try_from(said.at.as_nanosecond()).unwrap_or(0);
        self.last_unique = nanos.max(self.last_unique + 1);
        // Written for the first time, or known to be written: a count without a name is an event that got lost.
        let count = if known.is_none() { 1.max(count) } else { count };
        Some(Write {
            said,
            known,
            count,
            first,
            unique: self.last_unique,
            key,
        })
    }

    /// Remembers under which name an event was written, to count it up next time.
    pub(super) fn written(&mut self, write: &Write, name: String) {
        let Write { first, count, key, .. } = write;
        let seen = self.seen.entry(key, || Seen {
            count: *count,
            first: *first,
            name: None,
        });
        seen.name = Some(name);
    }

    fn aggregate(&mut self, mut said: Said) -> (Said, Digest) {
        let group = digest(&(said.component, &said.object, said.kind, &said.reason));
        let now = Instant::now();
        let similar = self.similar.entry(&group, || Similar {
            messages: BTreeSet::new(),
            last: now,
        });
        if now.duration_since(similar.last) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(digest(&said.message));
        if similar.messages.len() < SIMILAR {
            let same = digest(&(group, &said.message));
            return (said, same);
        }
        // One makes place, so that the set does not grow and yet stays full.
        similar.messages.pop_first();
        said.message.insert_str(0, COMBINED);
        (said, digest(&(group, COMBINED)))
    }

    fn admit(&mut self, source: Digest) -> bool {
        let now = Instant::now();
        let bucket = self.spam.entry(&source, || Bucket {
            tokens: SPAM_BURST,
            at: now,
        });
        let earned = now.duration_since(bucket.at).as_secs_f64() / SPAM_SECONDS;
        bucket.tokens = (bucket.tokens + earned).min(SPAM_BURST);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}
