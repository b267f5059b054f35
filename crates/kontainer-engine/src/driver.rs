//! The contract of a cluster driver.

use async_trait::async_trait;

use crate::call::Call;
use crate::capability::Capability;
use crate::error::DriverError;
use crate::options::{OptionTable, Options};
use crate::wire::{ClusterInfo, DriverFlags, K8sCapabilities};

/// Why a cluster was not created, and what is known of it so far.
///
/// With an `info` the server answers success and puts the error into the info's `create_error` ("folding"), so that the
/// engine keeps the state and the next attempt can go on from it. So from the first call that may have created something
/// on, errors carry an info.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct CreateError {
    /// What went wrong.
    #[source]
    pub error: DriverError,
    /// What to keep. Boxed, as it is large and results are moved around.
    pub info: Option<Box<ClusterInfo>>,
}

impl CreateError {
    /// An error that leaves something to keep.
    pub fn keeping(error: impl Into<DriverError>, info: ClusterInfo) -> Self {
        Self {
            error: error.into(),
            info: Some(Box::new(info)),
        }
    }
}

impl From<DriverError> for CreateError {
    fn from(error: DriverError) -> Self {
        Self { error, info: None }
    }
}

/// A cluster driver: what Rancher, or any other engine, calls to have clusters made.
///
/// Mirrors the interface of rancher/kontainer-engine `types/types.go`. Engines start a fresh process for every operation
/// and kill it afterwards: nothing survives but the [`ClusterInfo`] that is returned. Every method may be called again
/// after a crash at any point, and must then do the rest, not everything twice.
///
/// Waiting must end soon after [`Call::cancelled`].
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The driver's name: lower-case letters and digits, as in `kontainer-engine-driver-NAME`.
    fn name(&self) -> &'static str;

    /// The one declaration of the driver's options.
    fn options(&self) -> &OptionTable;

    /// The flags of Create, as engines are told them. They must be there at once and without credentials: a driver that asks
    /// somebody for a default has a second or two, and never makes a secret one, because engines show defaults to everybody.
    async fn create_flags(&self, _call: &Call) -> DriverFlags {
        self.options().create_flags().clone()
    }

    /// What the driver can do beyond creating, updating and removing. Engines refuse what is not listed.
    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    /// Creates the cluster. `previous` is what an earlier attempt left; it may be absent even when there was one, so an
    /// existing cluster must also be found by its name.
    async fn create(
        &self,
        call: &Call,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateError>;

    /// What to store of a cluster whose options make no sense, so that [`Driver::create`] was not called. `options` are those
    /// that do. With `None` the engine keeps what it has, and if that is nothing, the driver will be asked to remove a cluster
    /// that it knows nothing of.
    fn refused(&self, _options: &Options, _previous: Option<ClusterInfo>) -> Option<ClusterInfo> {
        None
    }

    /// Makes the cluster what the options say. Returns `info` with what changed: every field is stored, none is merged.
    async fn update(&self, call: &Call, info: ClusterInfo, options: &Options) -> Result<ClusterInfo, DriverError>;

    /// Waits until the cluster is usable, and returns `info` with endpoint, CA (base64 of the PEM), version, node count
    /// and a long-lived service account token filled in.
    async fn post_check(&self, call: &Call, info: ClusterInfo) -> Result<ClusterInfo, DriverError>;

    /// Deletes the cluster. A cluster that is not there is success.
    async fn remove(&self, call: &Call, info: ClusterInfo) -> Result<(), DriverError>;

    /// The Kubernetes version that runs.
    async fn version(&self, _call: &Call, _info: ClusterInfo) -> Result<String, DriverError> {
        Err(DriverError::not_implemented("reading the Kubernetes version"))
    }

    /// Changes the Kubernetes version.
    async fn set_version(&self, _call: &Call, _info: ClusterInfo, _version: &str) -> Result<(), DriverError> {
        Err(DriverError::not_implemented("changing the Kubernetes version"))
    }

    /// The number of nodes.
    async fn cluster_size(&self, _call: &Call, _info: ClusterInfo) -> Result<i64, DriverError> {
        Err(DriverError::not_implemented("reading the number of nodes"))
    }

    /// Changes the number of nodes.
    async fn set_cluster_size(&self, _call: &Call, _info: ClusterInfo, _count: i64) -> Result<(), DriverError> {
        Err(DriverError::not_implemented("changing the number of nodes"))
    }

    /// Deletes the service account that old versions of Rancher made. Rancher fails the whole cluster when this fails, so
    /// a driver that never made one says that all is well.
    async fn remove_legacy_service_account(&self, _call: &Call, _info: ClusterInfo) -> Result<(), DriverError> {
        Ok(())
    }

    /// Saves an etcd snapshot.
    async fn etcd_save(
        &self,
        _call: &Call,
        _info: ClusterInfo,
        _options: &Options,
        _snapshot: &str,
    ) -> Result<(), DriverError> {
        Err(no_etcd())
    }

    /// Restores an etcd snapshot.
    async fn etcd_restore(
        &self,
        _call: &Call,
        _info: ClusterInfo,
        _options: &Options,
        _snapshot: &str,
    ) -> Result<ClusterInfo, DriverError> {
        Err(no_etcd())
    }

    /// Deletes an etcd snapshot.
    async fn etcd_remove_snapshot(
        &self,
        _call: &Call,
        _info: ClusterInfo,
        _options: &Options,
        _snapshot: &str,
    ) -> Result<(), DriverError> {
        Err(no_etcd())
    }

    /// What the clusters made with these options can do. The options may be incomplete; this must not fail for that.
    async fn k8s_capabilities(&self, _call: &Call, _options: &Options) -> Result<K8sCapabilities, DriverError> {
        Ok(K8sCapabilities::default())
    }
}

fn no_etcd() -> DriverError {
    DriverError::permanent("ETCD backup operations are not implemented")
}
