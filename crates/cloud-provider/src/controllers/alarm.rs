//! What is wrong with the cluster or the cloud as a whole, said where an operator looks: log, event, metric, debug page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube_kit::metrics::{Gauge, Registry};
use kube_kit::{ObjectRef, Recorder};
use tracing::{error, info};

/// The alarms there are. Clones share them.
#[derive(Clone)]
pub struct Alarms(Arc<Inner>);

struct Inner {
    active: Mutex<BTreeMap<&'static str, String>>,
    recorder: Recorder,
    object: ObjectRef,
    gauge: Gauge,
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

    /// Raises an alarm. Said again only when what is wrong has changed.
    pub fn raise(&self, alarm: &'static str, message: impl Into<String>) {
        let message = message.into();
        let known = self.lock().insert(alarm, message.clone());
        self.0.gauge.set(&[alarm], 1.0);
        if known.as_ref() != Some(&message) {
            error!(alarm, "{message}");
            self.0.recorder.warning(&self.0.object, alarm, message);
        }
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
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
