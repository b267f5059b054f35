//! What is wrong with the cluster or the cloud as a whole, said where an operator looks: log, event, metric, debug page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube_kit::metrics::{Gauge, Registry};
use kube_kit::{ObjectRef, Recorder};
use tokio::time::Instant;
use tracing::{error, info};

/// How long an alarm whose text changes is not told about again: numbers in it may change with every sweep.
const PAUSE: Duration = Duration::from_mins(1);

/// The alarms there are. Clones share them.
#[derive(Clone)]
pub struct Alarms(Arc<Inner>);

struct Inner {
    active: Mutex<BTreeMap<&'static str, Active>>,
    recorder: Recorder,
    object: ObjectRef,
    gauge: Gauge,
}

struct Active {
    message: String,
    /// What was told last, and when.
    told: String,
    at: Instant,
}

impl Alarms {
    /// Alarms that are told as events on `object`, which is the manager's Lease, and in the gauge
    /// `cloud_controller_manager_alarm`.
    pub fn new(recorder: Recorder, object: ObjectRef, metrics: &Registry) -> Self {
        let help = "1 while something is wrong with the cluster or the cloud as a whole.";
        let gauge = metrics.gauge("cloud_controller_manager_alarm", help, &["alarm"]);
        Self(Arc::new(Inner {
            active: Mutex::default(),
            recorder,
            object,
            gauge,
        }))
    }

    /// Raises an alarm. While it lasts it is told again only when what is wrong has changed, and once a minute at most.
    pub fn raise(&self, alarm: &'static str, message: impl Into<String>) {
        let (message, now) = (message.into(), Instant::now());
        {
            let mut all = self.lock();
            if let Some(known) = all.get_mut(alarm) {
                known.message.clone_from(&message);
                if known.told == message || now.duration_since(known.at) < PAUSE {
                    return;
                }
            }
            let (told, at) = (message.clone(), now);
            let message = message.clone();
            all.insert(alarm, Active { message, told, at });
        }
        self.0.gauge.set(&[alarm], 1.0);
        error!(alarm, "{message}");
        self.0.recorder.warning(&self.0.object, alarm, message);
    }

    /// Ends an alarm.
    pub fn clear(&self, alarm: &'static str) {
        if self.lock().remove(alarm).is_some() {
            self.0.gauge.set(&[alarm], 0.0);
            info!(alarm, "over");
            self.0.recorder.normal(&self.0.object, alarm, "over");
        }
    }

    /// What is wrong now.
    pub fn active(&self) -> BTreeMap<&'static str, String> {
        let all = self.lock();
        all.iter()
            .map(|(alarm, active)| (*alarm, active.message.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Active>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{World, minutes, seconds};

    #[tokio::test(start_paused = true)]
    async fn an_alarm_whose_numbers_change_all_the_time_is_told_once_a_minute() {
        let world = World::new();
        let process = world.start();
        let told = || world.events().iter().filter(|event| event.0 == "Held").count();
        let seen = || {
            world
                .sim
                .list("events")
                .into_iter()
                .find(|event| event["reason"] == "Held")
        };
        for n in 0..150 {
            process.shared.alarms.raise("Held", format!("{n} nodes"));
            seconds(1).await;
        }
        assert_eq!(told(), 3, "{:?}", world.events());
        assert_eq!(
            process.shared.alarms.active()["Held"],
            "149 nodes",
            "the debug page has the newest"
        );
        process.shared.alarms.clear("Held");
        process.shared.alarms.raise("Held", "again");
        minutes(1).await;
        assert_eq!(told(), 5, "what ends and begins anew is news");
        assert_eq!(seen().unwrap()["involvedObject"]["kind"], "Lease");
        assert!(
            process
                .shared
                .metrics
                .render()
                .contains("cloud_controller_manager_alarm{alarm=\"Held\"} 1\n")
        );
    }
}
