//! Leader election on a `coordination.k8s.io/v1` Lease with the semantics of client-go's `tools/leaderelection`.
//!
//! No remote clock is ever believed: a lease is held for as long as its record has not changed for the duration it
//! states, counted from the moment *this* process first saw that record.
//!
//! ```text
//! acquire ── every retry period, with jitter ──► leading ── every retry period ──► renewed ─┐
//!    ▲                                             │   ▲──────────────────────────────────┘
//!    │                                             ├─ renew deadline passed ─► lost: fence closed, work cancelled
//!    └─ held by another                            └─ asked to stop ─► work ends ─► released
//! ```

use std::time::Duration;

mod decide;
mod elector;
mod status;

pub use elector::{Elector, Ended};
pub use status::LeaseStatus;

/// How far a wait between two tries to get the lease may be stretched at random.
const JITTER: f64 = 1.2;

/// Which lease, as whom, and how long things take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// Where the Lease is. Default `kube-system`.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who this process is: unique among all that may hold the lease.
    pub identity: String,
    /// How long others wait, after the last renewal they saw, before they take the lease. Default 15 s.
    pub lease_duration: Duration,
    /// How long the holder tries to renew before it gives up. Default 10 s.
    pub renew_deadline: Duration,
    /// How long to wait between two tries. Default 2 s.
    pub retry_period: Duration,
}

/// Why a [`LeaseConfig`] makes no sense. The texts are client-go's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseConfigError {
    /// The lease would end before its holder gives up.
    #[error("leaseDuration must be greater than renewDeadline")]
    LeaseDuration,
    /// There would be no time for a second try.
    #[error("renewDeadline must be greater than retryPeriod*JitterFactor")]
    RenewDeadline,
    /// A time is zero.
    #[error("{0} must be greater than zero")]
    Zero(&'static str),
    /// Nobody could be told from anybody.
    #[error("Lock identity is empty")]
    Identity,
}

impl LeaseConfig {
    /// The defaults, for this lease in `kube-system`.
    pub fn new(name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    /// Whether the times go together.
    pub fn validate(&self) -> Result<(), LeaseConfigError> {
        if self.lease_duration <= self.renew_deadline {
            return Err(LeaseConfigError::LeaseDuration);
        }
        if self.renew_deadline <= self.retry_period.mul_f64(JITTER) {
            return Err(LeaseConfigError::RenewDeadline);
        }
        for (name, time) in [
            ("leaseDuration", self.lease_duration),
            ("renewDeadline", self.renew_deadline),
            ("retryPeriod", self.retry_period),
        ] {
            if time.is_zero() {
                return Err(LeaseConfigError::Zero(name));
            }
        }
        if self.identity.is_empty() {
            return Err(LeaseConfigError::Identity);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
