//! The last events, kept for whoever looks at the process itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::{EventType, Said};

/// How many events of each type are kept: what is normal does not push warnings out.
const KEPT: usize = 50;

/// The last events that recorders were told, whether they could be written or not. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct EventLog(Arc<Mutex<VecDeque<LoggedEvent>>>);

/// An event that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// When it was told last.
    pub at: Timestamp,
    /// How often.
    pub count: u64,
    /// Its type.
    pub kind: EventType,
    /// Who tells it.
    pub component: &'static str,
    /// What it is about: kind, namespace and name.
    pub object: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

impl EventLog {
    /// The last events, the latest one first.
    pub fn latest(&self) -> Vec<LoggedEvent> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().rev().cloned().collect()
    }

    pub(super) fn note(&self, said: &Said) {
        let mut told = LoggedEvent {
            at: said.at,
            count: 1,
            kind: said.kind,
            component: said.component,
            object: said.object.to_string(),
            reason: said.reason.clone(),
            message: said.message.clone(),
        };
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &LoggedEvent| {
            (
                known.kind,
                known.component,
                &known.object,
                &known.reason,
                &known.message,
            ) == (told.kind, told.component, &told.object, &told.reason, &told.message)
        };
        if let Some(at) = events.iter().position(same)
            && let Some(known) = events.remove(at)
        {
            told.count = known.count.saturating_add(1);
        } else if events.iter().filter(|known| known.kind == told.kind).count() >= KEPT
            && let Some(oldest) = events.iter().position(|known| known.kind == told.kind)
        {
            events.remove(oldest);
        }
        events.push_back(told);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kit::Clock;

    use super::*;
    use crate::{Broadcaster, ObjectRef};

    #[tokio::test(start_paused = true)]
    async fn what_is_said_again_is_counted_and_what_is_normal_pushes_no_warning_out() {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let log = EventLog::default();
        // Nobody writes them, and the queue of whoever would is never full.
        let broadcaster = Broadcaster::new(clock.clone()).log(&log);
        let recorder = broadcaster.recorder("a").component("b");
        let node = |n: usize| ObjectRef::new("v1", "Node", &format!("n{n}"));
        recorder.warning(&node(0), "Bad", "very");
        for n in 0..=KEPT {
            recorder.normal(&node(n), "Good", "");
        }
        clock.advance(Duration::from_mins(1));
        recorder.warning(&node(0), "Bad", "very");
        let events = log.latest();
        assert_eq!(events.len(), KEPT + 1);
        let first = LoggedEvent {
            at: "2026-01-01T00:01:00Z".parse().unwrap(),
            count: 2,
            kind: EventType::Warning,
            component: "b",
            object: "Node n0".to_owned(),
            reason: "Bad".to_owned(),
            message: "very".to_owned(),
        };
        assert_eq!(events[0], first);
        assert_eq!(events[KEPT].object, "Node n1", "the oldest normal one is gone");
    }
}
