//! What a server asked to be left alone with, and until when.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Requests by method, path and query, and when each may be sent again. All calls of a client share it: who was not told
/// to wait must not ask again in the place of who was.
#[derive(Default)]
pub(crate) struct Patience(Mutex<HashMap<String, Instant>>);

impl Patience {
    /// How long this request is still to wait; `None` when it may be sent.
    pub(crate) fn left(&self, request: &str) -> Option<Duration> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = asked.get(request)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// The server asks that this request is not sent again for so long.
    pub(crate) fn wish(&self, request: String, wait: Duration) {
        let now = Instant::now();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, until| *until > now);
        let until = asked.entry(request).or_insert(now);
        *until = (*until).max(now + wait);
    }
}
