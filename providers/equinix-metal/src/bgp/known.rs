//! What is known about nodes, and for how long it counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::Backoff;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::error::BgpError;
use super::peering::{Peering, Session};
use super::survey::Sessions;

/// How long what was seen of a node counts.
const FRESH: Duration = Duration::from_mins(25);
/// By which share of that it may count longer, so that nodes which were seen together do not stay in step.
const JITTER: f64 = 0.2;
/// How long it counts when its session had just been made: peers may be late to show.
const YOUNG: Duration = Duration::from_mins(1);
/// How long a failure counts: the Services that come right behind are not to ask again.
const FAILED: Duration = Duration::from_secs(4);

/// What there is to know about a node, or why it is not known.
pub(super) type Known = Result<Peering, Arc<BgpError>>;

#[derive(Clone)]
struct Seen {
    at: Instant,
    until: Instant,
    known: Known,
}

impl Seen {
    fn counts(&self) -> bool {
        Instant::now() < self.until
    }
}

/// For how long what is seen now is to count.
fn fresh() -> Duration {
    Backoff::new(FRESH, FRESH).jitter(JITTER).next().unwrap_or(FRESH)
}

type Slot = Arc<AsyncMutex<Option<Seen>>>;

/// What is known about each device.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Slot>>);

impl Memory {
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
            Ok((peering, Session::Found)) => (fresh(), Ok(peering)),
            Ok((peering, Session::Made)) => (YOUNG, Ok(peering)),
            Err(error) => (FAILED, Err(Arc::new(error))),
        };
        let at = Instant::now();
        *slot = Some(Seen {
            at,
            until: at + counts,
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

    /// Forgets devices that spoke when they were seen, and that this later list of sessions lacks.
    pub fn doubt(&self, sessions: &Sessions) {
        self.devices(|known| {
            known.retain(|device, slot| {
                let spoke_before = slot.try_lock().is_ok_and(|seen| {
                    let seen = seen.as_ref();
                    seen.is_some_and(|seen| seen.known.is_ok() && seen.at < sessions.at)
                });
                !spoke_before || sessions.of(device) != Some(false)
            });
        });
    }

    fn devices<T>(&self, act: impl FnOnce(&mut HashMap<String, Slot>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
