//! One watch per kind, which keeps a [`Store`] current through everything that happens to connections and servers.
//!
//! ```text
//! list (pages of 100) ──► watch ──► stream ended, cut, silent: watch again from the last version seen
//!    ▲                      └────► version too old (410), stream of nonsense: ──┐
//!    └───────────────────── each with its own back-off ◄────────────────────────┘
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kit::Backoff;
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::metrics::{Counter, Registry};
use crate::store::Store;

/// How many objects are read at a time.
const PAGE: u32 = 100;
/// How long the server keeps a watch open at least; up to twice that, so that watches do not end together.
const TIMEOUT_SECONDS: u32 = 300;
/// How much longer than that a silent connection is believed to be alive.
const IDLE_GRACE: Duration = Duration::from_secs(10);
/// How long one page of a list may take.
const LIST_DEADLINE: Duration = Duration::from_mins(1);
/// Waits between tries: half a second to half a minute, and anew after this long without an error.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
const BACKOFF_RESET: Duration = Duration::from_mins(2);
/// How long a watch may go without doing anything at all before it counts as stalled.
const STALLED: Duration = Duration::from_secs(2 * TIMEOUT_SECONDS as u64 + 120);

/// Whether a watch is alive. Clones share it.
#[derive(Clone, Debug)]
pub struct WatchHealth(Arc<Mutex<Pulse>>);

#[derive(Clone, Debug)]
struct Pulse {
    /// When the task last did anything, be it in vain.
    moved: Instant,
    /// When the server last said anything.
    heard: Option<Instant>,
    failing: Option<String>,
}

impl WatchHealth {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Pulse {
            moved: Instant::now(),
            heard: None,
            failing: None,
        })))
    }

    /// Whether the task has stopped doing anything, so that only a restart helps. An API server that is away does not
    /// make a watch stalled.
    pub fn is_stalled(&self) -> bool {
        self.read().moved.elapsed() > STALLED
    }

    /// What went wrong last, if nothing was heard since.
    pub fn failing(&self) -> Option<String> {
        self.read().failing
    }

    /// How long ago the server last said anything.
    pub fn last_heard(&self) -> Option<Duration> {
        self.read().heard.map(|at| at.elapsed())
    }

    fn read(&self) -> Pulse {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn heard(&self) {
        let now = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Pulse {
            moved: now,
            heard: Some(now),
            failing: None,
        };
    }

    fn moved(&self, failing: Option<String>) {
        let mut pulse = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.moved = Instant::now();
        if failing.is_some() {
            pulse.failing = failing;
        }
    }
}

/// Keeps a store of `V`, cut from objects `K`, current.
pub struct Watch<K, V> {
    api: Api<K>,
    kind: &'static str,
    store: Store<V>,
    cut: Box<dyn Fn(K) -> V + Send + Sync>,
    health: WatchHealth,
    lists: Option<Counter>,
}

/// Why a watch was left, and from where to go on.
enum Left {
    /// It is to be opened again from this version.
    Resume(String),
    /// The version is too old: everything must be read again.
    Expired,
}

impl<K, V> Watch<K, V>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A watch of all objects behind `api` that keeps of each what `cut` keeps. `kind` is for people.
    pub fn new(api: Api<K>, kind: &'static str, store: Store<V>, cut: impl Fn(K) -> V + Send + Sync + 'static) -> Self {
        Self {
            api,
            kind,
            store,
            cut: Box::new(cut),
            health: WatchHealth::new(),
            lists: None,
        }
    }

    /// Counts complete lists in `reflector_lists_total`.
    #[must_use]
    pub fn metrics(mut self, registry: &Registry) -> Self {
        self.lists = Some(registry.counter("reflector_lists_total", "Complete lists read, by kind.", &["kind"]));
        self
    }

    /// Whether it is alive.
    pub fn health(&self) -> WatchHealth {
        self.health.clone()
    }

    /// Lists and watches, for ever. Drop the future to stop.
    pub async fn run(self) {
        let mut backoff = Pace::new();
        loop {
            let mut version = match self.list().await {
                Ok(version) => version,
                Err(error) => {
                    self.failed("list", &error);
                    backoff.wait().await;
                    continue;
                }
            };
            loop {
                match self.follow(&version, &mut backoff).await {
                    Left::Resume(next) => version = next,
                    Left::Expired => break,
                }
                backoff.wait().await;
            }
        }
    }

    async fn list(&self) -> Result<String, Trouble> {
        let mut objects = Vec::new();
        let mut params = ListParams {
            limit: Some(PAGE),
            ..ListParams::default()
        };
        loop {
            let page = tokio::time::timeout(LIST_DEADLINE, self.api.list(&params))
                .await
                .map_err(|_| Trouble::Slow)??;
            self.health.heard();
            // Cut down page by page, so that a large cluster never stands in memory in full.
            objects.extend(page.items.into_iter().map(|object| (key(&object), (self.cut)(object))));
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                let version = page.metadata.resource_version.unwrap_or_default();
                info!(kind = self.kind, objects = objects.len(), "listed");
                self.store.replace(objects);
                if let Some(lists) = &self.lists {
                    lists.inc(&[self.kind]);
                }
                return Ok(version);
            }
        }
    }

    async fn follow(&self, from: &str, backoff: &mut Pace) -> Left {
        let mut version = from.to_owned();
        let seconds = TIMEOUT_SECONDS + fastrand::u32(0..TIMEOUT_SECONDS);
        let idle = Duration::from_secs(seconds.into()) + IDLE_GRACE;
        let params = WatchParams::default().timeout(seconds);
        let opened = tokio::time::timeout(LIST_DEADLINE, self.api.watch(&params, from)).await;
        let stream = match opened.map_err(|_| Trouble::Slow).and_then(|opened| Ok(opened?)) {
            Ok(stream) => stream,
            Err(error) if error.is_expired() => return Left::Expired,
            Err(error) => {
                self.failed("watch", &error);
                return Left::Resume(version);
            }
        };
        self.health.heard();
        let mut stream = std::pin::pin!(stream.map_err(Trouble::from).fuse());
        loop {
            let event = match tokio::time::timeout(idle, stream.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    if error.is_expired() {
                        return Left::Expired;
                    }
                    self.failed("watch", &error);
                    return Left::Resume(version);
                }
                // The server closes watches as a matter of course.
                Ok(None) => {
                    self.health.moved(None);
                    return Left::Resume(version);
                }
                Err(_) => {
                    warn!(kind = self.kind, "the watch is silent; opening it again");
                    self.health.moved(None);
                    return Left::Resume(version);
                }
            };
            self.health.heard();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version_of(&object, &mut version);
                    self.store.apply(&key(&object), (self.cut)(object));
                }
                WatchEvent::Deleted(object) => {
                    version_of(&object, &mut version);
                    self.store.remove(&key(&object));
                }
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => {
                    let error = Trouble::Api(kube::Error::Api(status));
                    if error.is_expired() {
                        debug!(kind = self.kind, "the version is too old; listing again");
                        return Left::Expired;
                    }
                    self.failed("watch", &error);
                    return Left::Resume(version);
                }
            }
            backoff.went_well();
        }
    }

    fn failed(&self, doing: &str, error: &Trouble) {
        let text = kit::chain(error);
        warn!(kind = self.kind, error = %text, "cannot {doing}");
        self.health.moved(Some(text));
    }
}

/// What can go wrong with one request.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer within {}", kit::go_duration::format(LIST_DEADLINE))]
    Slow,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl Trouble {
    /// Whether the version asked for is no longer kept, or unknown to a server that was set up anew.
    fn is_expired(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 410)
    }
}

fn version_of<K: Resource>(object: &K, version: &mut String) {
    if let Some(new) = object.resource_version() {
        *version = new;
    }
}

fn key<K: Resource>(object: &K) -> String {
    match object.namespace() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}

/// Back-off that starts anew once things have gone well for a while. A watch that ends in good order and is opened again
/// waits, too: a server that closes everything at once must not be stormed.
struct Pace {
    backoff: Backoff,
    since: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            backoff: Self::fresh(),
            since: Instant::now(),
        }
    }

    fn fresh() -> Backoff {
        Backoff::new(BACKOFF.0, BACKOFF.1).jitter(1.0)
    }

    fn went_well(&mut self) {
        self.backoff = Self::fresh();
    }

    async fn wait(&mut self) {
        if self.since.elapsed() > BACKOFF_RESET {
            self.backoff = Self::fresh();
        }
        let wait = self.backoff.next().unwrap_or(BACKOFF.1);
        tokio::time::sleep(wait).await;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests;
