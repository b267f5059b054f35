//! Runs drivers and keeps their clusters.
//!
//! Mirrors EngineService of rancher/kontainer-engine `service/service.go`: every operation starts a driver of its own and
//! stops it again. Differs from upstream: the driver is watched all the time, an early end is noticed at once and told with
//! the last lines it wrote, and it is always stopped and reaped.

mod process;
mod running;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kit::{Class, Clock};
use tokio_util::sync::CancellationToken;

use crate::capability::Capability;
use crate::client::ClientError;
use crate::driver::Driver;
use crate::lifecycle::Lifecycle;
use crate::observe::{Observer, Reporter};
use crate::record::Cluster;
use crate::server::ServerError;
use crate::store::{PersistentStore, StoreError};
use crate::wire::{Capabilities, DriverFlags, DriverOptions, K8sCapabilities};
use running::Running;

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
            Self::Unable(_) => Class::Invalid,
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

/// Where a driver comes from.
#[derive(Clone)]
pub enum DriverSource {
    /// A program, started with a port as its only argument.
    Program(PathBuf),
    /// A driver of this program, served in it over a real socket.
    BuiltIn(Arc<dyn Driver>),
}

impl DriverSource {
    /// The driver's name: for a program what follows `kontainer-engine-driver-` in its file name, up to the first dash,
    /// underscore or dot, as Rancher cuts it; without that prefix the whole file name.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn(driver) => driver.name().to_owned(),
            Self::Program(path) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                match file.strip_prefix("kontainer-engine-driver-") {
                    Some(rest) => rest.split(['-', '_', '.']).next().unwrap_or_default().to_owned(),
                    None => file,
                }
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Program(path) => Some(path),
            Self::BuiltIn(_) => None,
        }
    }
}

impl fmt::Debug for DriverSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) => f.debug_tuple("Program").field(path).finish(),
            Self::BuiltIn(driver) => f.debug_tuple("BuiltIn").field(&driver.name()).finish(),
        }
    }
}

/// Who follows an operation, and who may end it.
#[derive(Clone)]
pub struct Watch {
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

impl Watch {
    /// Tells `observer`, ends with `cancel`. A cancelled operation gives its driver time to say what it has done so far,
    /// and stores that.
    pub fn new(observer: Arc<dyn Observer>, cancel: CancellationToken) -> Self {
        Self { observer, cancel }
    }

    /// Nobody follows, nobody ends it.
    pub fn nobody() -> Self {
        Self::new(
            Arc::new(|_: Duration, _: &crate::observe::Event| {}),
            CancellationToken::new(),
        )
    }
}

/// How long an engine waits for its drivers.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the first answer. Rancher gives about 96 s.
    pub start: Duration,
    /// After SIGTERM, before SIGKILL.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(100),
            stop: Duration::from_secs(10),
        }
    }
}

/// Runs operations on clusters: starts the driver, does the work, stores what comes of it, stops the driver.
///
/// Dropping the future of an operation kills the driver's process.
#[derive(Clone)]
pub struct Engine {
    store: Arc<dyn PersistentStore>,
    clock: Clock,
    patience: Patience,
}

impl Engine {
    /// An engine that keeps its clusters in `store`.
    pub fn new(store: Arc<dyn PersistentStore>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            patience: Patience::default(),
        }
    }

    /// Waits for drivers as long as this says.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn PersistentStore> {
        &self.store
    }

    /// The options of [`Self::create`].
    pub async fn create_flags(&self, driver: &DriverSource, watch: &Watch) -> Result<DriverFlags, EngineError> {
        let work = async |life: &Lifecycle<'_>| life.client.create_flags().await.map_err(EngineError::Capabilities);
        self.run(driver, watch, None, work).await
    }

    /// The options of [`Self::update`].
    pub async fn update_flags(&self, driver: &DriverSource, watch: &Watch) -> Result<DriverFlags, EngineError> {
        let work = async |life: &Lifecycle<'_>| life.client.update_flags().await.map_err(EngineError::Capabilities);
        self.run(driver, watch, None, work).await
    }

    /// What the driver can do.
    pub async fn capabilities(&self, driver: &DriverSource, watch: &Watch) -> Result<Capabilities, EngineError> {
        let work = async |life: &Lifecycle<'_>| life.client.capabilities().await.map_err(EngineError::Capabilities);
        self.run(driver, watch, None, work).await
    }

    /// What clusters made with these options can do.
    pub async fn k8s_capabilities(
        &self,
        driver: &DriverSource,
        options: DriverOptions,
        watch: &Watch,
    ) -> Result<K8sCapabilities, EngineError> {
        let work = async |life: &Lifecycle<'_>| {
            let answer = life.client.k8s_capabilities(options).await;
            answer.map_err(EngineError::Capabilities)
        };
        self.run(driver, watch, None, work).await
    }

    /// Creates a cluster, or goes on with a creation that failed or was interrupted.
    pub async fn create(
        &self,
        driver: &DriverSource,
        name: &str,
        options: DriverOptions,
        watch: &Watch,
    ) -> Result<Cluster, EngineError> {
        let cluster = Cluster {
            name: name.to_owned(),
            driver_name: driver.name(),
            driver_path: driver
                .path()
                .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())),
            ..Cluster::default()
        };
        let work = async |life: &Lifecycle<'_>| life.create(cluster, options).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Makes a cluster what the options say.
    pub async fn update(
        &self,
        driver: &DriverSource,
        name: &str,
        options: DriverOptions,
        watch: &Watch,
    ) -> Result<Cluster, EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.update(name, options).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Removes a cluster. With [`Force::Yes`] its record goes even when the driver fails.
    pub async fn remove(
        &self,
        driver: &DriverSource,
        name: &str,
        force: Force,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.remove(name, force == Force::Yes).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// The Kubernetes version.
    pub async fn version(&self, driver: &DriverSource, name: &str, watch: &Watch) -> Result<String, EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.version(name).await;
        self.run(driver, watch, None, work).await
    }

    /// Changes the Kubernetes version.
    pub async fn set_version(
        &self,
        driver: &DriverSource,
        name: &str,
        version: &str,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.set_version(name, version).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// The number of nodes.
    pub async fn cluster_size(&self, driver: &DriverSource, name: &str, watch: &Watch) -> Result<i64, EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.cluster_size(name).await;
        self.run(driver, watch, None, work).await
    }

    /// Changes the number of nodes.
    pub async fn set_cluster_size(
        &self,
        driver: &DriverSource,
        name: &str,
        count: i64,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.set_cluster_size(name, count).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Has the driver look again and stores endpoint, CA and token.
    pub async fn generate_service_account(
        &self,
        driver: &DriverSource,
        name: &str,
        watch: &Watch,
    ) -> Result<Cluster, EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.generate_service_account(name).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Deletes the service account of old versions of Rancher.
    pub async fn remove_legacy_service_account(
        &self,
        driver: &DriverSource,
        name: &str,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.remove_legacy_service_account(name).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Saves an etcd snapshot.
    pub async fn etcd_save(
        &self,
        driver: &DriverSource,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.etcd_save(name, options, snapshot).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Restores an etcd snapshot.
    pub async fn etcd_restore(
        &self,
        driver: &DriverSource,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
        watch: &Watch,
    ) -> Result<Cluster, EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.etcd_restore(name, options, snapshot).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Deletes an etcd snapshot.
    pub async fn etcd_remove_snapshot(
        &self,
        driver: &DriverSource,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
        watch: &Watch,
    ) -> Result<(), EngineError> {
        self.known(name).await?;
        let work = async |life: &Lifecycle<'_>| life.etcd_remove_snapshot(name, options, snapshot).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Says so before a driver is started for nothing.
    async fn known(&self, name: &str) -> Result<(), EngineError> {
        match self.store.get(name).await? {
            Some(_) => Ok(()),
            None => Err(EngineError::NotFound(name.to_owned())),
        }
    }

    /// Starts the driver, does `work` with it while watching it, and stops it. `claimed` is the cluster that nobody else may
    /// work on meanwhile.
    async fn run<T>(
        &self,
        driver: &DriverSource,
        watch: &Watch,
        claimed: Option<&str>,
        work: impl AsyncFnOnce(&Lifecycle<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let _claim = match claimed {
            Some(name) => Some(self.store.claim(name).await?),
            None => None,
        };
        let report = Reporter::new(watch.observer.clone(), &self.clock);
        // Boxed, because both are large and every operation has a copy.
        let starting = Box::pin(Running::start(driver, &report, self.patience, &watch.cancel));
        let mut running = starting.await?;
        let life = Lifecycle {
            client: running.client(),
            store: self.store.as_ref(),
            report,
        };
        let done = Box::pin(running.supervise(work(&life), &watch.cancel)).await;
        // Its connection keeps a driver from ending gracefully.
        drop(life);
        running.stop().await;
        done
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Whether a record is removed even when the driver can not remove the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// No: the record stays, so that the removal can be tried again.
    No,
    /// Yes: what is left at the provider is left there.
    Yes,
}
