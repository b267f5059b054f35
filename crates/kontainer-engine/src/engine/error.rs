//! Why an operation did not succeed.

use std::path::PathBuf;
use std::time::Duration;

use kit::Class;

use crate::capability::Capability;
use crate::client::ClientError;
use crate::server::ServerError;
use crate::store::StoreError;

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is such a cluster. Rancher compares this text and then updates.
    #[error("cluster already exists")]
    Exists,
    /// There is no such cluster.
    #[error("{0} not found")]
    NotFound(String),
    /// Creating the cluster has not ended yet, or was interrupted.
    #[error("cluster {0} has not been created")]
    NotCreated(String),
    /// The cluster was made by another driver than the one given.
    #[error("cluster {cluster} was made by driver {driver}, not by {given}")]
    OtherDriver {
        /// The cluster.
        cluster: String,
        /// Its driver.
        driver: String,
        /// The one given.
        given: String,
    },
    /// The driver does not offer the operation.
    #[error("no {} capability available", capability_name(*.0))]
    Unable(Capability),
    /// A call to the driver failed.
    #[error("{action} cluster {cluster} failed")]
    Call {
        /// What was being done.
        action: &'static str,
        /// To which cluster.
        cluster: String,
        /// What the driver said.
        #[source]
        source: ClientError,
    },
    /// The driver does not say what it can do.
    #[error("asking the driver failed")]
    Capabilities(#[source] ClientError),
    /// The driver's program can not be run.
    #[error("starting driver {} failed", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The driver's process ended although nobody stopped it.
    #[error("driver {driver} ended unexpectedly ({how}){}", told(.tail))]
    Ended {
        /// The driver.
        driver: String,
        /// Exit code or signal.
        how: String,
        /// The last lines it wrote to stderr.
        tail: Vec<String>,
    },
    /// The driver runs but does not answer.
    #[error("driver {driver} did not answer within {}: {last}{}", kit::go_duration::format(*.within), told(.tail))]
    Silent {
        /// The driver.
        driver: String,
        /// How long it was asked.
        within: Duration,
        /// The last answer.
        last: ClientError,
        /// The last lines it wrote to stderr.
        tail: Vec<String>,
    },
    /// A built-in driver can not be served.
    #[error("serving the built-in driver failed")]
    Serve(#[from] ServerError),
    /// The operation was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A record was not read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Exists | Self::NotCreated(_) => Class::Conflict,
            Self::NotFound(_) => Class::NotFound,
            Self::OtherDriver { .. } | Self::Unable(_) => Class::Invalid,
            Self::Call { source, .. } | Self::Capabilities(source) => source.class(),
            Self::Start { .. } | Self::Serve(_) => Class::Permanent,
            Self::Ended { .. } | Self::Silent { .. } | Self::Cancelled => Class::Transient,
            Self::Store(source) => source.class(),
        }
    }
}

fn capability_name(capability: Capability) -> &'static str {
    match capability {
        Capability::GetVersion => "get-version",
        Capability::SetVersion => "set-version",
        Capability::GetClusterSize => "get-cluster-size",
        Capability::SetClusterSize => "set-cluster-size",
        Capability::EtcdBackup => "etcd-backup",
    }
}

fn told(tail: &[String]) -> String {
    if tail.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", tail.join("\n  "))
}
