//! What others may know about the election: health, metrics, debug pages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How the election stands, kept up to date by the elector. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LeaseStatus(Arc<Mutex<Inner>>);

#[derive(Clone, Debug, Default)]
struct Inner {
    leading: bool,
    holder: String,
    renewed: Option<Instant>,
}

impl LeaseStatus {
    /// Whether this process leads.
    pub fn is_leading(&self) -> bool {
        self.read().leading
    }

    /// Who leads as far as was seen; empty when nobody does.
    pub fn holder(&self) -> String {
        self.read().holder
    }

    /// Whether this process leads although it did not renew for longer than `limit`: something holds it up, and it had
    /// better be restarted.
    pub fn is_stuck(&self, limit: Duration) -> bool {
        let now = self.read();
        now.leading && now.renewed.is_none_or(|at| at.elapsed() > limit)
    }

    pub(super) fn set(&self, leading: bool, holder: &str, renewed: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Inner {
            leading,
            holder: holder.to_owned(),
            renewed,
        };
    }

    fn read(&self) -> Inner {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
