//! What seems to be gone. One answer that it is not there is not believed: who makes another in its place buys twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_provider::CloudError;
use tokio::time::Instant;

/// How long something must be gone to be gone.
const DOUBT: Duration = Duration::from_secs(20);

/// Since when what Services were given is not there, by ID.
#[derive(Default)]
pub(super) struct Missing(Mutex<HashMap<String, Instant>>);

impl Missing {
    /// Succeeds when what is not there was not there some time ago either. `kind` says what it is.
    pub fn is_gone(&self, kind: &str, id: &str) -> Result<(), CloudError> {
        let since = *self.lock().entry(id.to_owned()).or_insert_with(Instant::now);
        match DOUBT.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => {
                let text = format!("the {kind} {id} of the service seems to be gone; looking again");
                Err(CloudError::pending(text, left))
            }
        }
    }

    /// It is there, or it is nobody's any more.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
