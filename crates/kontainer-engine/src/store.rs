//! Where an engine keeps its clusters.

mod file;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use kit::Class;

use crate::record::Cluster;

pub use file::FileStore;

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name can not be the name of a directory, or would be another place.
    #[error(
        "{0:?} can not be a cluster's name; use letters, digits, dots, dashes and underscores, beginning with a letter or digit"
    )]
    Name(String),
    /// A file can not be read.
    #[error("reading {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not a record.
    #[error("{} is damaged: it is not the record of a cluster (line {line}, column {column})", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense. The parser's own text is not told: it may quote a secret of the record.
        line: usize,
        /// The same.
        column: usize,
    },
    /// A file can not be written or removed.
    #[error("writing {} failed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or key of the record is not base64.
    #[error("the {what} of cluster {name} is not base64")]
    Pem {
        /// Which.
        what: &'static str,
        /// The cluster.
        name: String,
    },
    /// The kubeconfig can not be changed.
    #[error(transparent)]
    Kubeconfig(#[from] kube_kit::kubeconfig::FileError),
    /// Another process is at work on the cluster.
    #[error("another process is at work on cluster {0}; try again when it is done")]
    Busy(String),
}

impl StoreError {
    /// What a caller may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Name(_) => Class::Invalid,
            Self::Busy(_) => Class::Conflict,
            _ => Class::Permanent,
        }
    }
}

/// A claim on a cluster, given up when it is dropped.
pub trait Claim: Send {}

/// Where records are kept. Mirrors PersistentStore of rancher/kontainer-engine `cluster/cluster.go`.
#[async_trait]
pub trait PersistentStore: Send + Sync {
    /// Reads a record; [`None`] when there is none.
    async fn get(&self, name: &str) -> Result<Option<Cluster>, StoreError>;

    /// Writes the record.
    async fn save(&self, cluster: &Cluster) -> Result<(), StoreError>;

    /// Writes the record and makes the cluster usable for people: certificates as files, an entry in a kubeconfig.
    async fn publish(&self, cluster: &Cluster) -> Result<(), StoreError>;

    /// Removes all there is of a cluster. One that is not there is success.
    async fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// All records, sorted by name, and what could not be read.
    async fn list(&self) -> Result<(Vec<Cluster>, Vec<StoreError>), StoreError>;

    /// Claims a cluster, so that nobody else works on it.
    async fn claim(&self, name: &str) -> Result<Box<dyn Claim>, StoreError>;
}
