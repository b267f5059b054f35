//! What is known of a cluster, soon.

use std::time::Duration;

use tokio::time::Instant;

use super::Lifecycle;
use crate::driver::{Phase, Sight};
use crate::error::Error;
use crate::kubeconfig::Entry;
use crate::lock::Lock;
use crate::probe::{Report, probe};
use crate::record::{self, Record, Step};
use crate::status::{State, Status};

impl Lifecycle {
    /// The tool and the API server are asked side by side, the latter through the kubeconfig we kept.
    pub(super) async fn cluster_status(&self) -> Result<Status, Error> {
        let limits = &self.host.limits;
        let begun = Instant::now();
        let left = || limits.status.saturating_sub(begun.elapsed());
        let (driver, profile) = (self.driver.name(), self.driver.profile());
        let busy = Lock::is_held(&record::lock_path(&self.host, driver, profile)) || self.orphan().is_some();
        let record = Record::load(&self.host, driver, profile);
        let kept = Entry::load(&self.host, self.driver.names());
        let ask = async {
            let entry = kept.as_ref()?;
            Some(probe(&entry.access, limits.probe).await)
        };
        let (sight, report) = tokio::join!(self.look_within(limits.status.saturating_sub(limits.probe)), ask);
        let mut sight = sight?;
        let runs = matches!(sight.phase, Phase::Running | Phase::Starting(_) | Phase::NotReady(_));
        let mut report = if runs { report } else { None };
        if runs && !report.as_ref().is_some_and(|report| report.reached) {
            // Nobody kept a kubeconfig, or it leads nowhere any more.
            let fresh = self.entry(left().saturating_sub(limits.probe / 2)).await.ok();
            if let Some(fresh) = fresh.filter(|fresh| {
                kept.as_ref()
                    .is_none_or(|kept| kept.access.server != fresh.access.server)
            }) {
                report = Some(probe(&fresh.access, limits.probe.min(left())).await);
            }
        }
        let told = report.as_ref().is_some_and(|report| !report.version.is_empty());
        if sight.exists() && !told && sight.version.is_empty() {
            let _ = tokio::time::timeout(left().min(Duration::from_secs(1)), self.driver.look_closer(&mut sight)).await;
        }
        Ok(self.judge(&sight, report.as_ref(), record.as_ref(), busy))
    }

    fn judge(&self, sight: &Sight, report: Option<&Report>, record: Option<&Record>, busy: bool) -> Status {
        let step = record.map(|record| record.phase);
        let (mut state, mut reason) = match &sight.phase {
            Phase::Absent | Phase::Stopped => (State::Stopped, String::new()),
            Phase::Starting(why) => (State::Starting, why.clone()),
            Phase::Incomplete(why) | Phase::NotReady(why) | Phase::Broken(why) => (State::NotReady, why.clone()),
            Phase::Running => {
                let unasked = || Some("the API server cannot be asked: its kubeconfig is not to be had".to_owned());
                match report.map_or_else(unasked, |report| report.trouble(sight.nodes)) {
                    None => (State::Ready, String::new()),
                    Some(trouble) => (State::NotReady, trouble),
                }
            }
        };
        let half_made = record.is_some_and(|record| self.is_half_made(record, sight));
        if half_made && sight.exists() && state == State::Ready {
            // Its API may answer all the same: of three servers, one is enough for that.
            (state, reason) = (State::NotReady, sight.parts.join(", "));
        }
        if busy && step == Some(Step::Creating) && state == State::Ready {
            (state, reason) = (State::NotReady, String::new());
        }
        if state != State::Ready && busy {
            (state, reason) = if let Some(Step::Stopping | Step::Destroying) = step {
                let stopping = step == Some(Step::Stopping);
                let what = if stopping { "stopped" } else { "destroyed" };
                let down = state == State::Stopped;
                let state = if down { state } else { State::NotReady };
                (state, format!("it is being {what} by another process"))
            } else {
                let detail = if reason.is_empty() {
                    reason
                } else {
                    format!(": {reason}")
                };
                (
                    State::Starting,
                    format!("it is being started by another process{detail}"),
                )
            };
        } else if state != State::Ready && sight.exists() {
            let interrupted = match step {
                Some(Step::Creating) => Some("start"),
                Some(Step::Destroying) => Some("destroy"),
                _ => None,
            };
            if let Some(what) = interrupted {
                let detail = if reason.is_empty() {
                    sight.parts.join(", ")
                } else {
                    reason
                };
                (state, reason) = (State::NotReady, format!("interrupted {what}: {detail}"));
            }
        }
        let version = report
            .map(|report| report.version.clone())
            .filter(|version| !version.is_empty());
        Status {
            state,
            driver: self.driver.name().to_owned(),
            kubernetes_version: version.unwrap_or_else(|| sight.version.clone()),
            ip_address: sight.address.clone(),
            kube_context: self.driver.names().context,
            exists: sight.exists(),
            reason,
        }
    }
}
