//! The election itself.

use k8s_openapi::api::coordination::v1::Lease;
use kit::Clock;
use kube::api::{Api, PostParams};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::decide::{Observed, Step, released};
use super::{LeaseConfig, LeaseConfigError, LeaseStatus};
use crate::events::{ObjectRef, Recorder};
use crate::fence::Fence;
use crate::metrics::{Counter, Gauge, Registry};

/// A candidate never waits longer than this for its next look at the lease.
const WAIT: Duration = Duration::from_secs(2);

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to stop before the lease was ever won.
    NeverLed,
    /// Asked to stop, or the work ended by itself; the lease was given back.
    Released,
    /// The lease could not be renewed in time. The process had better exit.
    Lost,
}

/// A candidate for one lease.
pub struct Elector {
    config: LeaseConfig,
    leases: Api<Lease>,
    clock: Clock,
    fence: Fence,
    status: LeaseStatus,
    observed: Observed,
    recorder: Option<Recorder>,
    metrics: Option<(Gauge, Counter)>,
}

impl Elector {
    /// A candidate.
    ///
    /// The client must not repeat requests by itself, must give up on one after half the renew deadline, and must not
    /// stand behind `fence`, which is opened for as long as the lease is held.
    pub fn new(
        client: &kube::Client,
        config: LeaseConfig,
        clock: Clock,
        fence: Fence,
    ) -> Result<Self, LeaseConfigError> {
        config.validate()?;
        fence.close();
        Ok(Self {
            leases: Api::namespaced(client.clone(), &config.namespace),
            config,
            clock,
            fence,
            status: LeaseStatus::default(),
            observed: Observed::default(),
            recorder: None,
            metrics: None,
        })
    }

    /// Tells who became and who stopped being leader in events on the Lease.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Keeps `leader_election_master_status` and `leader_election_slowpath_total`.
    #[must_use]
    pub fn metrics(mut self, registry: &Registry) -> Self {
        let master = registry.gauge(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
            &["name"],
        );
        let slow = registry.counter(
            "leader_election_slowpath_total",
            "Total number of slow path exercised in renewing leader leases.",
            &["name"],
        );
        master.set(&[&self.config.name], 0.0);
        self.metrics = Some((master, slow));
        self
    }

    /// How the election stands.
    pub fn status(&self) -> LeaseStatus {
        self.status.clone()
    }

    /// Waits for the lease, works while it is held, and gives it back.
    ///
    /// `work` gets a token that is cancelled when it must end: because `stop` was, or because the lease was lost. In the
    /// first case the lease is renewed until the work has ended, and only then released, so that the successor starts
    /// when nothing is under way any more. In the second case no write passes the fence from that moment on, and the work
    /// is dropped where it stands.
    pub async fn run<F>(mut self, stop: CancellationToken, work: impl FnOnce(CancellationToken) -> F) -> Ended
    where
        F: Future<Output = ()>,
    {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::NeverLed,
            () = self.acquire() => {}
        }
        self.announce("became leader");
        let token = stop.child_token();
        let mut work = std::pin::pin!(work(token.clone()));
        let lost = tokio::select! {
            () = &mut work => false,
            () = self.renew() => true,
        };
        if lost {
            self.fence.close();
            error!(lease = %self.config.name, "leaderelection lost");
            token.cancel();
            // What is still under way is dropped with the future, before anything else happens.
        } else {
            // Told before it is given back: afterwards this process says nothing more.
            self.announce("stopped leading");
            self.release().await;
        }
        self.set_leading(false);
        if lost { Ended::Lost } else { Ended::Released }
    }

    async fn acquire(&mut self) {
        info!(lease = %self.config.name, namespace = %self.config.namespace, "attempting to acquire leader lease");
        while !self.try_once().await {
            // Differs from client-go, which waits one to 2.2 retry periods: one request a second is nothing, and a lease
            // that was given back is to be taken within two.
            let period = self.config.retry_period.min(WAIT);
            tokio::time::sleep(period.mul_f64(0.4 + 0.4 * fastrand::f64())).await;
        }
        self.set_leading(true);
    }

    /// Renews for as long as it can. Returns when the renew deadline has passed since the last success.
    async fn renew(&mut self) {
        loop {
            tokio::time::sleep(self.config.retry_period).await;
            let deadline = Instant::now() + self.config.renew_deadline;
            let renewed = tokio::time::timeout_at(deadline, async {
                while !self.try_once().await {
                    tokio::time::sleep(self.config.retry_period).await;
                }
            })
            .await;
            if renewed.is_err() {
                return;
            }
            self.set_leading(true);
        }
    }

    /// One try to get or keep the lease. Whatever fails, the answer is no.
    async fn try_once(&mut self) -> bool {
        // While we hold it, what we wrote last is what is there: one request instead of two.
        if let Some(held) = self.observed.held_by(&self.config.identity).cloned() {
            if let Step::Replace(lease) = self.observed.next(&self.config, self.clock.now())
                && self.put(lease, &held).await
            {
                return true;
            }
            if let Some((_, slow)) = &self.metrics {
                slow.inc(&[&self.config.name]);
            }
        }
        match self.leases.get_opt(&self.config.name).await {
            Ok(Some(lease)) => self.observed.see(lease),
            Ok(None) => self.observed.gone(),
            Err(error) => {
                tell(&error, "cannot read the lease");
                return false;
            }
        }
        let known = self.observed.holder().to_owned();
        self.status.set(self.status.is_leading(), &known, self.observed.at());
        match self.observed.next(&self.config, self.clock.now()) {
            Step::Wait { holder } => {
                debug!(%holder, "lease is held by another");
                false
            }
            Step::Create(lease) => {
                let sent = Instant::now();
                match self.leases.create(&PostParams::default(), &lease).await {
                    Ok(lease) => self.won(lease, sent),
                    Err(error) => {
                        tell(&error, "cannot create the lease");
                        false
                    }
                }
            }
            Step::Replace(lease) => {
                let base = lease.clone();
                self.put(lease, &base).await
            }
        }
    }

    async fn put(&mut self, mut lease: Lease, base: &Lease) -> bool {
        lease
            .metadata
            .resource_version
            .clone_from(&base.metadata.resource_version);
        let sent = Instant::now();
        match self
            .leases
            .replace(&self.config.name, &PostParams::default(), &lease)
            .await
        {
            Ok(lease) => self.won(lease, sent),
            Err(error) => {
                tell(&error, "cannot update the lease");
                false
            }
        }
    }

    fn won(&mut self, lease: Lease, sent: Instant) -> bool {
        self.observed.wrote(lease, sent);
        // Others count from when they see the renewal, which is later than when it was sent.
        self.fence.extend(sent, self.config.lease_duration);
        true
    }

    /// Gives the lease back if it is still ours, again on conflict, for at most the renew deadline.
    async fn release(&mut self) {
        let deadline = Instant::now() + self.config.renew_deadline;
        // Nothing of ours may be written once another may lead.
        self.fence.close();
        let done = tokio::time::timeout_at(deadline, async {
            loop {
                let lease = match self.leases.get(&self.config.name).await {
                    Ok(lease) => lease,
                    Err(error) => return Err(error),
                };
                let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
                if holder != Some(self.config.identity.as_str()) {
                    return Ok(());
                }
                let free = released(&lease, self.clock.now());
                match self
                    .leases
                    .replace(&self.config.name, &PostParams::default(), &free)
                    .await
                {
                    Ok(_) => return Ok(()),
                    Err(kube::Error::Api(status)) if status.is_conflict() => {}
                    Err(error) => return Err(error),
                }
            }
        })
        .await;
        match done {
            Ok(Ok(())) => info!(lease = %self.config.name, "lease released"),
            Ok(Err(error)) => {
                error!(lease = %self.config.name, error = %kit::chain(&error), "cannot release the lease");
            }
            Err(_) => error!(lease = %self.config.name, "no time left to release the lease"),
        }
    }

    fn set_leading(&self, leading: bool) {
        self.status.set(leading, self.observed.holder(), self.observed.at());
        if let Some((master, _)) = &self.metrics {
            master.set(&[&self.config.name], if leading { 1.0 } else { 0.0 });
        }
    }

    fn announce(&self, what: &str) {
        info!(lease = %self.config.name, identity = %self.config.identity, "{what}");
        if let Some(recorder) = &self.recorder {
            let lease =
                ObjectRef::new("coordination.k8s.io/v1", "Lease", &self.config.name).namespace(&self.config.namespace);
            recorder.normal(&lease, "LeaderElection", format!("{} {what}", self.config.identity));
        }
    }
}

/// That another candidate was quicker is nothing to talk about. Everything else keeps this one from ever leading.
fn tell(error: &kube::Error, what: &str) {
    if crate::retry::class(error) == kit::Class::Conflict {
        debug!(error = %kit::chain(error), "{what}");
    } else {
        warn!(error = %kit::chain(error), "{what}");
    }
}
