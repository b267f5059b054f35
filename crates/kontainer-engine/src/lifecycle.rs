//! What is done with a cluster, step by step, and what is stored after each.
//!
//! Mirrors rancher/kontainer-engine `cluster/cluster.go`. Differs from upstream: what a driver returns is stored at once;
//! an interrupted creation goes on from what is stored; an update ends as `Running`.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::Capability;
use crate::client::{Client, ClientError};
use crate::engine::EngineError;
use crate::flatten::add_metadata;
use crate::observe::Reporter;
use crate::record::{Cluster, status};
use crate::store::PersistentStore;
use crate::wire::{ClusterInfo, DriverOptions};

/// One operation on one cluster, with a driver that is up.
pub(crate) struct Lifecycle<'a> {
    pub(crate) client: Client,
    pub(crate) store: &'a dyn PersistentStore,
    pub(crate) report: Reporter,
}

impl Lifecycle<'_> {
    /// Creates `cluster`, which names the driver and the cluster, or goes on with a creation that failed.
    pub(crate) async fn create(&self, cluster: Cluster, options: DriverOptions) -> Result<Cluster, EngineError> {
        let stored = self.store.get(&cluster.name).await?;
        let mut cluster = match stored {
            None => cluster,
            Some(mut stored) if is_there(&stored) => {
                // Whatever was going on when the engine stopped, an update takes it from here; and whatever driver was
                // given now, the one that made it stays the one that knows how to remove it.
                self.set_status(&mut stored, status::RUNNING).await?;
                return Err(EngineError::Exists);
            }
            Some(stored) => Cluster {
                driver_name: cluster.driver_name,
                driver_path: cluster.driver_path,
                ..stored
            },
        };
        let previous = match cluster.status.as_str() {
            status::ERROR => {
                self.report
                    .info(format!("cluster {} previously failed to create", cluster.name));
                Some(cluster.info())
            }
            // Interrupted: only with notes is there something to go on from.
            _ => (!cluster.metadata.is_empty()).then(|| cluster.info()),
        };
        match self.create_and_check(&mut cluster, options, previous).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // The first error is the one to tell.
                if let Err(second) = self.set_status(&mut cluster, status::ERROR).await {
                    self.report.warn(kit::chain(&second));
                }
                Err(error)
            }
        }
    }

    async fn create_and_check(
        &self,
        cluster: &mut Cluster,
        options: DriverOptions,
        previous: Option<ClusterInfo>,
    ) -> Result<(), EngineError> {
        self.set_status(cluster, status::PRE_CREATING).await?;
        let options = self.options(cluster, options).await?;
        self.set_status(cluster, status::CREATING).await?;
        match self.client.create(options, previous).await {
            Ok(info) => cluster.take(info),
            Err(failed) => {
                if let Some(info) = failed.info {
                    cluster.take(*info);
                    self.store.save(cluster).await?;
                }
                return Err(called("creating", cluster, failed.error));
            }
        }
        self.check(cluster).await
    }

    /// Stores which driver the cluster has from now on, and where its program is.
    pub(crate) async fn set_driver(
        &self,
        name: &str,
        driver: String,
        path: Option<PathBuf>,
    ) -> Result<(), EngineError> {
        let mut cluster = self.stored(name).await?;
        cluster.driver_name = driver;
        cluster.driver_path = path;
        Ok(self.store.save(&cluster).await?)
    }

    /// Makes an existing cluster what the options say.
    pub(crate) async fn update(&self, name: &str, options: DriverOptions) -> Result<Cluster, EngineError> {
        let mut cluster = self.stored(name).await?;
        match cluster.status.as_str() {
            status::ERROR => return self.create(cluster, options).await,
            status::PRE_CREATING | status::CREATING => return Err(EngineError::NotCreated(name.to_owned())),
            _ => {}
        }
        let options = self.options(&cluster, options).await?;
        self.set_status(&mut cluster, status::UPDATING).await?;
        let updated = self.client.update(cluster.info(), options).await;
        cluster.take(updated.map_err(|error| called("updating", &cluster, error))?);
        self.check(&mut cluster).await?;
        Ok(cluster)
    }

    /// Waits until the cluster is usable and publishes it as running.
    async fn check(&self, cluster: &mut Cluster) -> Result<(), EngineError> {
        self.set_status(cluster, status::POST_CHECKING).await?;
        let checked = self.client.post_check(cluster.info()).await;
        cluster.take(checked.map_err(|error| called("checking", cluster, error))?);
        status::RUNNING.clone_into(&mut cluster.status);
        self.store.publish(cluster).await?;
        self.report.status(status::RUNNING);
        Ok(())
    }

    /// Removes the cluster and then its record. With `force` the record goes even when the driver fails.
    pub(crate) async fn remove(&self, name: &str, force: bool) -> Result<(), EngineError> {
        let cluster = self.stored(name).await?;
        if let Err(error) = self.client.remove(cluster.info()).await {
            if !force {
                return Err(called("removing", &cluster, error));
            }
            self.report.warn(format!(
                "removing cluster {name} with driver {} failed: {error}. Check for stray resources on cloud provider: \
                 its record is removed all the same",
                cluster.driver_name
            ));
        }
        Ok(self.store.remove(name).await?)
    }

    /// Has the driver look again and publishes what it says: endpoint, CA, a token.
    pub(crate) async fn generate_service_account(&self, name: &str) -> Result<Cluster, EngineError> {
        let mut cluster = self.stored(name).await?;
        let checked = self.client.post_check(cluster.info()).await;
        cluster.take(checked.map_err(|error| called("checking", &cluster, error))?);
        self.store.publish(&cluster).await?;
        Ok(cluster)
    }

    /// Deletes the service account of old versions of Rancher.
    pub(crate) async fn remove_legacy_service_account(&self, name: &str) -> Result<(), EngineError> {
        let cluster = self.stored(name).await?;
        let removed = self.client.remove_legacy_service_account(cluster.info()).await;
        removed.map_err(|error| called("removing the legacy service account of", &cluster, error))
    }

    /// The Kubernetes version.
    pub(crate) async fn version(&self, name: &str) -> Result<String, EngineError> {
        let cluster = self.stored(name).await?;
        self.need(Capability::GetVersion).await?;
        let version = self.client.version(cluster.info()).await;
        version.map_err(|error| called("reading the version of", &cluster, error))
    }

    /// Changes the Kubernetes version.
    pub(crate) async fn set_version(&self, name: &str, version: &str) -> Result<(), EngineError> {
        let mut cluster = self.stored(name).await?;
        let able = self.need(Capability::SetVersion).await?;
        let set = self.client.set_version(cluster.info(), version).await;
        set.map_err(|error| called("changing the version of", &cluster, error))?;
        // Differs from upstream, which leaves the old version in its list.
        if able.has(Capability::GetVersion)
            && let Ok(version) = self.client.version(cluster.info()).await
        {
            cluster.version = version;
            self.store.save(&cluster).await?;
        }
        Ok(())
    }

    /// The number of nodes.
    pub(crate) async fn cluster_size(&self, name: &str) -> Result<i64, EngineError> {
        let cluster = self.stored(name).await?;
        self.need(Capability::GetClusterSize).await?;
        let size = self.client.cluster_size(cluster.info()).await;
        size.map_err(|error| called("reading the size of", &cluster, error))
    }

    /// Changes the number of nodes.
    pub(crate) async fn set_cluster_size(&self, name: &str, count: i64) -> Result<(), EngineError> {
        let mut cluster = self.stored(name).await?;
        let able = self.need(Capability::SetClusterSize).await?;
        let set = self.client.set_cluster_size(cluster.info(), count).await;
        set.map_err(|error| called("changing the size of", &cluster, error))?;
        // Differs from upstream, which leaves the old number in its list.
        if able.has(Capability::GetClusterSize)
            && let Ok(count) = self.client.cluster_size(cluster.info()).await
        {
            cluster.node_count = count;
            self.store.save(&cluster).await?;
        }
        Ok(())
    }

    /// Saves an etcd snapshot.
    pub(crate) async fn etcd_save(
        &self,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<(), EngineError> {
        let cluster = self.stored(name).await?;
        let options = self.options(&cluster, options).await?;
        let saved = self.client.etcd_save(cluster.info(), options, snapshot).await;
        saved.map_err(|error| called("saving etcd of", &cluster, error))
    }

    /// Restores an etcd snapshot and waits until the cluster is usable again.
    pub(crate) async fn etcd_restore(
        &self,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<Cluster, EngineError> {
        let mut cluster = self.stored(name).await?;
        let options = self.options(&cluster, options).await?;
        let restored = self.client.etcd_restore(cluster.info(), options, snapshot).await;
        cluster.take(restored.map_err(|error| called("restoring etcd of", &cluster, error))?);
        self.check(&mut cluster).await?;
        Ok(cluster)
    }

    /// Deletes an etcd snapshot.
    pub(crate) async fn etcd_remove_snapshot(
        &self,
        name: &str,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<(), EngineError> {
        let cluster = self.stored(name).await?;
        let options = self.options(&cluster, options).await?;
        let removed = self
            .client
            .etcd_remove_snapshot(cluster.info(), options, snapshot)
            .await;
        removed.map_err(|error| called("deleting an etcd snapshot of", &cluster, error))
    }

    async fn stored(&self, name: &str) -> Result<Cluster, EngineError> {
        let found = self.store.get(name).await?;
        found.ok_or_else(|| EngineError::NotFound(name.to_owned()))
    }

    /// The options of a call: the user's, the cluster's name, and of the driver's notes what can do no harm.
    async fn options(&self, cluster: &Cluster, mut options: DriverOptions) -> Result<DriverOptions, EngineError> {
        options.string_options.insert("name".to_owned(), cluster.name.clone());
        if !cluster.metadata.is_empty() {
            let asked = |error| called("asking for the options of", cluster, error);
            let create = self.client.create_flags().await.map_err(asked)?;
            let update = self.client.update_flags().await.map_err(asked)?;
            add_metadata(&mut options, &cluster.metadata, &[&create, &update]);
        }
        Ok(options)
    }

    async fn need(&self, capability: Capability) -> Result<crate::Capabilities, EngineError> {
        let able = self.client.capabilities().await.map_err(EngineError::Capabilities)?;
        if able.has(capability) {
            Ok(able)
        } else {
            Err(EngineError::Unable(capability))
        }
    }

    async fn set_status(&self, cluster: &mut Cluster, status: &str) -> Result<(), EngineError> {
        if cluster.status != status {
            status.clone_into(&mut cluster.status);
            self.report.status(status);
        }
        Ok(self.store.save(cluster).await?)
    }
}

/// Whether a cluster was made, and is not to be made again.
fn is_there(cluster: &Cluster) -> bool {
    matches!(
        cluster.status.as_str(),
        status::UPDATING | status::RUNNING | status::POST_CHECKING | status::INIT
    )
}

fn called(action: &'static str, cluster: &Cluster, source: ClientError) -> EngineError {
    EngineError::Call {
        action,
        cluster: cluster.name.clone(),
        source,
    }
}
