//! A work queue with the semantics and metrics of client-go's `util/workqueue`.
//!
//! ```text
//! add ─► dirty ──► ready ──take──► processing ──done──► (dirty again? ready : gone)
//!          ▲         ▲
//!     duplicates   waiting (add_after, add_rate_limited) until its time
//! ```
//!
//! A key is never in two hands at once; a key that is added while it is being worked on is worked on once more
//! afterwards; duplicates collapse.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

mod limiter;
mod metrics;

pub use limiter::Limiter;
pub use metrics::QueueMetrics;

/// What a queue's keys must be.
pub trait Key: Clone + Eq + Hash + Debug + Send + 'static {}
impl<K: Clone + Eq + Hash + Debug + Send + 'static> Key for K {}

/// A rate-limited work queue. Clones share it.
pub struct WorkQueue<K: Key>(Arc<Inner<K>>);

impl<K: Key> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    metrics: QueueMetrics,
}

struct State<K> {
    ready: VecDeque<K>,
    dirty: HashMap<K, Instant>,
    processing: HashMap<K, Instant>,
    /// By time and then by order of arrival, so that equal times are served first come, first served.
    waiting: BTreeMap<(Instant, u64), K>,
    waiting_at: HashMap<K, (Instant, u64)>,
    next: u64,
    limiter: Limiter<K>,
    shut_down: bool,
}

impl<K: Key> WorkQueue<K> {
    /// An empty queue whose failing keys wait as `limiter` says.
    pub fn new(limiter: Limiter<K>, metrics: QueueMetrics) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashMap::new(),
            processing: HashMap::new(),
            waiting: BTreeMap::new(),
            waiting_at: HashMap::new(),
            next: 0,
            limiter,
            shut_down: false,
        };
        let queue = Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Notify::new(),
            metrics,
        }));
        let weak = Arc::downgrade(&queue.0);
        queue.0.metrics.on_render(move |metrics| {
            if let Some(inner) = weak.upgrade() {
                let state = inner.lock();
                metrics.running(state.ready.len(), state.processing.values());
            }
        });
        queue
    }

    /// Adds a key, to be worked on as soon as somebody takes it.
    pub fn add(&self, key: K) {
        self.0.lock().add(key, &self.0.metrics);
        self.0.changed.notify_one();
    }

    /// Adds a key once `delay` has passed. A key that waits already keeps the earlier of both times.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.0.lock().wait(key, Instant::now() + delay);
        // Whoever waits for a later time must look again.
        self.0.changed.notify_one();
    }

    /// Adds a key that failed, after the delay the limiter gives it.
    pub fn add_rate_limited(&self, key: K) {
        let delay = self.0.lock().limiter.next_delay(&key);
        self.0.metrics.retried();
        self.add_after(key, delay);
    }

    /// Forgets that a key ever failed.
    pub fn forget(&self, key: &K) {
        self.0.lock().limiter.forget(key);
    }

    /// How often a key failed since it was last forgotten.
    pub fn failures(&self, key: &K) -> u32 {
        self.0.lock().limiter.failures(key)
    }

    /// How many keys are ready to be taken.
    pub fn len(&self) -> usize {
        let mut state = self.0.lock();
        state.promote(Instant::now(), &self.0.metrics);
        state.ready.len()
    }

    /// Whether no key is ready to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that wait for their time, and how long they still have to.
    pub fn waiting(&self) -> Vec<(K, Duration)> {
        let now = Instant::now();
        let state = self.0.lock();
        state
            .waiting
            .iter()
            .map(|((at, _), key)| (key.clone(), at.saturating_duration_since(now)))
            .collect()
    }

    /// Waits for a key. Nothing when the queue is shut down and empty.
    ///
    /// The key counts as being worked on until the returned value is dropped, also when the worker panics.
    pub async fn take(&self) -> Option<Work<K>> {
        loop {
            let changed = self.0.changed.notified();
            let until = {
                let mut state = self.0.lock();
                state.promote(Instant::now(), &self.0.metrics);
                if let Some(key) = state.take(&self.0.metrics) {
                    if !state.ready.is_empty() {
                        self.0.changed.notify_one();
                    }
                    return Some(Work {
                        key,
                        queue: self.clone(),
                    });
                }
                if state.shut_down {
                    self.0.changed.notify_waiters();
                    return None;
                }
                state.waiting.keys().next().map(|(at, _)| *at)
            };
            match until {
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Waits for a key, lets others gather for `linger`, and takes up to `most` of them. Nothing when the queue is shut
    /// down and empty.
    pub async fn take_batch(&self, most: usize, linger: Duration) -> Option<Vec<Work<K>>> {
        let mut batch = vec![self.take().await?];
        if !linger.is_zero() {
            tokio::time::sleep(linger).await;
        }
        let mut state = self.0.lock();
        state.promote(Instant::now(), &self.0.metrics);
        while batch.len() < most
            && let Some(key) = state.take(&self.0.metrics)
        {
            batch.push(Work {
                key,
                queue: self.clone(),
            });
        }
        Some(batch)
    }

    /// Refuses new keys; those that are ready are still handed out, those that wait for their time are not.
    pub fn shut_down(&self) {
        self.0.lock().shut_down = true;
        self.0.changed.notify_waiters();
        self.0.changed.notify_one();
    }

    fn done(&self, key: &K) {
        let mut state = self.0.lock();
        if let Some(started) = state.processing.remove(key) {
            self.0.metrics.worked(started.elapsed());
        }
        if state.dirty.contains_key(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.0.changed.notify_one();
        }
    }
}

impl<K> Inner<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> State<K> {
    fn add(&mut self, key: K, metrics: &QueueMetrics) {
        if self.shut_down || self.dirty.contains_key(&key) {
            return;
        }
        metrics.added();
        self.dirty.insert(key.clone(), Instant::now());
        if !self.processing.contains_key(&key) {
            self.ready.push_back(key);
        }
    }

    fn wait(&mut self, key: K, at: Instant) {
        if self.shut_down {
            return;
        }
        if let Some(known) = self.waiting_at.get(&key).copied() {
            if known.0 <= at {
                return;
            }
            self.waiting.remove(&known);
        }
        let place = (at, self.next);
        self.next += 1;
        self.waiting.insert(place, key.clone());
        self.waiting_at.insert(key, place);
    }

    fn promote(&mut self, now: Instant, metrics: &QueueMetrics) {
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.remove();
            self.waiting_at.remove(&key);
            self.add(key, metrics);
        }
    }

    fn take(&mut self, metrics: &QueueMetrics) -> Option<K> {
        let key = self.ready.pop_front()?;
        if let Some(added) = self.dirty.remove(&key) {
            metrics.waited(added.elapsed());
        }
        self.processing.insert(key.clone(), Instant::now());
        Some(key)
    }
}

/// A key that is being worked on, until this is dropped.
pub struct Work<K: Key> {
    key: K,
    queue: WorkQueue<K>,
}

impl<K: Key> Work<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// It is done: its failures are forgotten.
    pub fn finish(self) {
        self.queue.forget(&self.key);
    }

    /// It failed: it comes again, later each time.
    pub fn fail(self) {
        self.queue.add_rate_limited(self.key.clone());
    }

    /// It is to come again after exactly `delay`, which is no failure.
    pub fn again_after(self, delay: Duration) {
        self.queue.add_after(self.key.clone(), delay);
    }
}

impl<K: Key> Drop for Work<K> {
    fn drop(&mut self) {
        self.queue.done(&self.key);
    }
}

#[cfg(test)]
mod tests;
