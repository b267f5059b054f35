//! Runs drivers and keeps their clusters.
//!
//! Mirrors EngineService of rancher/kontainer-engine `service/service.go`: every operation starts a driver of its own and
//! stops it again. Differs from upstream: the driver is watched all the time, an early end is noticed at once and told with
//! the last lines it wrote, and it is always stopped and reaped.

mod error;
mod process;
mod running;
mod source;

use std::fmt;
use std::sync::Arc;

use kit::Clock;

use crate::lifecycle::Lifecycle;
use crate::observe::Reporter;
use crate::record::Cluster;
use crate::store::PersistentStore;
use crate::wire::{Capabilities, DriverFlags, DriverOptions, K8sCapabilities};
use running::Running;

pub use error::EngineError;
pub use source::{DriverSource, Force, Patience, Watch};

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
            driver_path: driver.place(),
            ..Cluster::default()
        };
        let work = async |life: &Lifecycle<'_>| life.create(cluster, options).await;
        self.run(driver, watch, Some(name), work).await
    }

    /// Remembers that this is the driver of a cluster from now on, because its program has moved. Stored once the driver has
    /// answered there. Another driver is refused: it would not know what there is to change and to remove.
    pub async fn set_driver(&self, driver: &DriverSource, name: &str, watch: &Watch) -> Result<(), EngineError> {
        let stored = self.store.get(name).await?;
        let stored = stored.ok_or_else(|| EngineError::NotFound(name.to_owned()))?;
        let (given, place) = (driver.name(), driver.place());
        if !stored.driver_name.is_empty() && stored.driver_name != given {
            return Err(EngineError::OtherDriver {
                cluster: name.to_owned(),
                driver: stored.driver_name,
                given,
            });
        }
        if stored.driver_name == given && stored.driver_path == place {
            return Ok(());
        }
        let work = async |life: &Lifecycle<'_>| life.set_driver(name, given, place).await;
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
