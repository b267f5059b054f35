//! What to do about a lease, given what was seen of it: no waiting, no requests.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use super::LeaseConfig;

/// The record as it was last seen to change, and when that was on this process's own clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    lease: Option<Lease>,
    at: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// There is no lease: create this one.
    Create(Lease),
    /// It is ours, or up for grabs: put this in its place.
    Replace(Lease),
    /// Somebody else holds it.
    Wait { holder: String },
}

impl Observed {
    /// Takes note of the lease as it is now. The time counts anew only when the record has changed.
    pub(super) fn see(&mut self, lease: Lease) {
        let changed = self.lease.as_ref().is_none_or(|known| known.spec != lease.spec);
        if changed {
            self.at = Some(Instant::now());
        }
        self.lease = Some(lease);
    }

    /// Takes note of what this process itself has just written, `at` being before it was sent.
    pub(super) fn wrote(&mut self, lease: Lease, at: Instant) {
        self.lease = Some(lease);
        self.at = Some(at);
    }

    /// Forgets the lease: it is gone.
    pub(super) fn gone(&mut self) {
        *self = Self::default();
    }

    /// Who holds it as far as was seen, nobody included.
    pub(super) fn holder(&self) -> &str {
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        spec.and_then(|spec| spec.holder_identity.as_deref())
            .unwrap_or_default()
    }

    /// When the record was last seen to change.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// The lease as last seen, if `identity` holds it and it has not run out.
    pub(super) fn held_by(&self, identity: &str) -> Option<&Lease> {
        self.lease
            .as_ref()
            .filter(|_| self.holder() == identity && self.valid())
    }

    fn valid(&self) -> bool {
        let seconds = self
            .lease
            .as_ref()
            .and_then(|lease| lease.spec.as_ref()?.lease_duration_seconds)
            .unwrap_or(0);
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        self.at.is_some_and(|at| at + lasts > Instant::now())
    }

    /// What to do to get or keep the lease.
    pub(super) fn next(&self, config: &LeaseConfig, now: Timestamp) -> Step {
        let Some(lease) = &self.lease else {
            return Step::Create(Lease {
                metadata: ObjectMeta {
                    name: Some(config.name.clone()),
                    namespace: Some(config.namespace.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(claim(config, now, now, 0)),
            });
        };
        let holder = self.holder();
        if !holder.is_empty() && holder != config.identity && self.valid() {
            return Step::Wait {
                holder: holder.to_owned(),
            };
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or(0);
        let ours = if holder == config.identity {
            let since = spec.acquire_time.map_or(now, |time| time.0);
            claim(config, since, now, transitions)
        } else {
            claim(config, now, now, transitions.saturating_add(1))
        };
        // Fields that newer API servers know (strategy, preferredHolder) stay as they are.
        Step::Replace(with(
            lease,
            LeaseSpec {
                strategy: spec.strategy,
                preferred_holder: spec.preferred_holder,
                ..ours
            },
        ))
    }
}

/// The lease as its holder leaves it when it steps down: free for anybody at once.
pub(super) fn released(lease: &Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    with(
        lease,
        LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            ..spec
        },
    )
}

fn claim(config: &LeaseConfig, acquired: Timestamp, renewed: Timestamp, transitions: i32) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(config.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(config.lease_duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: Some(MicroTime(acquired)),
        renew_time: Some(MicroTime(renewed)),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    }
}

fn with(lease: &Lease, spec: LeaseSpec) -> Lease {
    Lease {
        metadata: lease.metadata.clone(),
        spec: Some(spec),
    }
}
