//! One record per operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happened to one operation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Calls that ended, well or not.
    pub calls: u64,
    /// Calls that ended with an error.
    pub errors: u64,
    /// Requests sent: more than `calls` when some were repeated.
    pub attempts: u64,
    /// Answers that said there were too many requests.
    pub throttled: u64,
    /// Time spent in calls, waits included.
    pub total: Duration,
    /// The longest call.
    pub longest: Duration,
}

/// Counters by operation name. Clones share them; there is no global registry.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<&'static str, Operation>>>);

impl Metrics {
    /// Empty counters.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of every operation that was called, sorted by name.
    pub fn snapshot(&self) -> BTreeMap<&'static str, Operation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn record(&self, operation: &'static str, change: impl FnOnce(&mut Operation)) {
        change(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(operation)
                .or_default(),
        );
    }
}
