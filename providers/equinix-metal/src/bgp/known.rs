//! What is known about nodes, and for how long it counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::Backoff;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::error::BgpError;
use super::peering::{Peering, Session};

/// How long what was seen of a node counts.
const FRESH: Duration = Duration::from_mins(25);
/// By which share of that a process may look later, so that those of many clusters do not march in step.
const JITTER: f64 = 0.2;
/// How long it counts when its session had just been made: peers may be late to show.
const YOUNG: Duration = Duration::from_mins(1);
/// How long a failure counts: the Services that come right behind are not to ask again.
const FAILED: Duration = Duration::from_secs(4);

/// What there is to know about a node, or why it is not known.
pub(super) type Known = Result<Peering, Arc<BgpError>>;

#[derive(Clone)]
struct Seen {
    until: Instant,
    known: Known,
}

impl Seen {
    fn counts(&self) -> bool {
        Instant::now() < self.until
    }
}

type Slot = Arc<AsyncMutex<Option<Seen>>>;

/// What is known about each device.
pub(super) struct Memory {
    fresh: Duration,
    devices: Mutex<HashMap<String, Slot>>,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            fresh: Backoff::new(FRESH, FRESH).jitter(JITTER).next().unwrap_or(FRESH),
            devices: Mutex::default(),
        }
    }

    /// What is known about a device. Who comes first looks if nothing counts any more, while the others wait.
    pub async fn get(
        &self,
        device: &str,
        look: impl Future<Output = Result<(Peering, Session), BgpError>>,
    ) -> Result<Peering, Arc<BgpError>> {
        let slot = self.devices(|devices| Arc::clone(devices.entry(device.to_owned()).or_default()));
        let mut slot = slot.lock().await;
        if let Some(seen) = slot.as_ref().filter(|seen| seen.counts()) {
            return seen.known.clone();
        }
        let (counts, known) = match look.await {
            Ok((peering, Session::Found)) => (self.fresh, Ok(peering)),
            Ok((peering, Session::Made)) => (YOUNG, Ok(peering)),
            Err(error) => (FAILED, Err(Arc::new(error))),
        };
        *slot = Some(Seen {
            until: Instant::now() + counts,
            known: known.clone(),
        });
        known
    }

    /// What is known about a device and counts; nothing also while somebody is looking.
    pub fn recall(&self, device: &str) -> Option<Known> {
        let slot = self.devices(|devices| devices.get(device).cloned())?;
        let seen = slot.try_lock().ok()?;
        seen.as_ref()
            .filter(|seen| seen.counts())
            .map(|seen| seen.known.clone())
    }

    /// Forgets all devices but these.
    pub fn keep(&self, devices: &BTreeSet<&str>) {
        self.devices(|known| known.retain(|device, _| devices.contains(device.as_str())));
    }

    fn devices<T>(&self, act: impl FnOnce(&mut HashMap<String, Slot>) -> T) -> T {
        act(&mut self.devices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
