//! The sixteen methods of the protocol, each handed to the driver.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::calls;
use crate::call::Call;
use crate::driver::{CreateError, Driver};
use crate::logstream::{self, LOG_ID};
use crate::options::Phase;
use crate::wire::{
    Capabilities, ClusterInfo, CreateRequest, DriverFlags, DriverOptions, Empty, K8sCapabilities, KubernetesVersion,
    NodeCount, RemoveEtcdSnapshotRequest, RestoreEtcdSnapshotRequest, SaveEtcdSnapshotRequest, SetNodeCountRequest,
    SetVersionRequest, UpdateRequest, driver_server,
};

#[derive(Clone)]
pub(super) struct Service {
    driver: Arc<dyn Driver>,
    stop: CancellationToken,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("driver", &self.driver.name())
            .finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn stopping_with(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    fn call(&self, metadata: &MetadataMap) -> Call {
        let id = metadata.get(LOG_ID).and_then(|id| id.to_str().ok());
        Call::new(self.stop.child_token(), id.and_then(logstream::find))
    }
}

/// Takes a request apart and runs the driver's part of it in a task of its own.
macro_rules! run {
    ($self:ident, $request:ident, $method:literal, |$driver:ident, $call:ident, $message:ident| $work:expr) => {{
        let call = $self.call($request.metadata());
        let $message = $request.into_inner();
        let $driver = $self.driver.clone();
        calls::run($method, call, move |$call| async move { $work }).await
    }};
}

#[tonic::async_trait]
impl driver_server::Driver for Service {
    async fn create(&self, request: Request<CreateRequest>) -> Result<Response<ClusterInfo>, Status> {
        run!(self, request, "Create", |driver, call, message| {
            let given = message.driver_options.unwrap_or_default();
            // Engines do not send the error of the last attempt; one that does must not get it back as the new one's.
            let previous = message.cluster_info.map(|info| ClusterInfo {
                create_error: String::new(),
                ..info
            });
            let created = match driver.options().parse(&given, Phase::Create) {
                Ok(options) => driver.create(&call, &options, previous).await,
                Err(error) => Err(CreateError {
                    error: error.into(),
                    info: driver
                        .refused(&driver.options().parse_partial(&given), previous)
                        .map(Box::new),
                }),
            };
            match created {
                Ok(info) => Ok(info),
                Err(failed) => match failed.info {
                    None => Err(failed.error),
                    // Folded: the answer is a success, so that the state gets home.
                    Some(mut info) => {
                        info.create_error = failed.error.text();
                        tracing::warn!("Create failed, keeping what is known: {}", info.create_error);
                        Ok(*info)
                    }
                },
            }
        })
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Result<Response<ClusterInfo>, Status> {
        run!(self, request, "Update", |driver, call, message| {
            let given = message.driver_options.unwrap_or_default();
            let options = driver.options().parse(&given, Phase::Update)?;
            let info = message.cluster_info.unwrap_or_default();
            driver.update(&call, info, &options).await
        })
    }

    async fn post_check(&self, request: Request<ClusterInfo>) -> Result<Response<ClusterInfo>, Status> {
        run!(self, request, "PostCheck", |driver, call, info| {
            driver.post_check(&call, info).await
        })
    }

    async fn remove(&self, request: Request<ClusterInfo>) -> Result<Response<Empty>, Status> {
        run!(self, request, "Remove", |driver, call, info| {
            driver.remove(&call, info).await.map(|()| Empty {})
        })
    }

    async fn get_driver_create_options(&self, request: Request<Empty>) -> Result<Response<DriverFlags>, Status> {
        run!(self, request, "GetDriverCreateOptions", |driver, call, _empty| {
            Ok(driver.create_flags(&call).await)
        })
    }

    async fn get_driver_update_options(&self, request: Request<Empty>) -> Result<Response<DriverFlags>, Status> {
        run!(self, request, "GetDriverUpdateOptions", |driver, _call, _empty| {
            Ok(driver.options().update_flags().clone())
        })
    }

    async fn get_version(&self, request: Request<ClusterInfo>) -> Result<Response<KubernetesVersion>, Status> {
        run!(self, request, "GetVersion", |driver, call, info| {
            let version = driver.version(&call, info).await?;
            Ok(KubernetesVersion { version })
        })
    }

    async fn set_version(&self, request: Request<SetVersionRequest>) -> Result<Response<Empty>, Status> {
        run!(self, request, "SetVersion", |driver, call, message| {
            let version = message.version.unwrap_or_default().version;
            let info = message.info.unwrap_or_default();
            driver.set_version(&call, info, &version).await.map(|()| Empty {})
        })
    }

    async fn get_node_count(&self, request: Request<ClusterInfo>) -> Result<Response<NodeCount>, Status> {
        run!(self, request, "GetNodeCount", |driver, call, info| {
            let count = driver.cluster_size(&call, info).await?;
            Ok(NodeCount { count })
        })
    }

    async fn set_node_count(&self, request: Request<SetNodeCountRequest>) -> Result<Response<Empty>, Status> {
        run!(self, request, "SetNodeCount", |driver, call, message| {
            let count = message.count.unwrap_or_default().count;
            let info = message.info.unwrap_or_default();
            driver.set_cluster_size(&call, info, count).await.map(|()| Empty {})
        })
    }

    async fn get_capabilities(&self, request: Request<Empty>) -> Result<Response<Capabilities>, Status> {
        run!(self, request, "GetCapabilities", |driver, _call, _empty| {
            Ok(driver.capabilities().iter().copied().collect())
        })
    }

    async fn etcd_save(&self, request: Request<SaveEtcdSnapshotRequest>) -> Result<Response<Empty>, Status> {
        run!(self, request, "ETCDSave", |driver, call, message| {
            let options = driver
                .options()
                .parse_partial(&message.driver_options.unwrap_or_default());
            let info = message.info.unwrap_or_default();
            let saved = driver.etcd_save(&call, info, &options, &message.snapshot_name).await;
            saved.map(|()| Empty {})
        })
    }

    async fn etcd_restore(
        &self,
        request: Request<RestoreEtcdSnapshotRequest>,
    ) -> Result<Response<ClusterInfo>, Status> {
        run!(self, request, "ETCDRestore", |driver, call, message| {
            let options = driver
                .options()
                .parse_partial(&message.driver_options.unwrap_or_default());
            let info = message.info.unwrap_or_default();
            driver.etcd_restore(&call, info, &options, &message.snapshot_name).await
        })
    }

    async fn etcd_remove_snapshot(
        &self,
        request: Request<RemoveEtcdSnapshotRequest>,
    ) -> Result<Response<Empty>, Status> {
        run!(self, request, "ETCDRemoveSnapshot", |driver, call, message| {
            let options = driver
                .options()
                .parse_partial(&message.driver_options.unwrap_or_default());
            let info = message.info.unwrap_or_default();
            let removed = driver
                .etcd_remove_snapshot(&call, info, &options, &message.snapshot_name)
                .await;
            removed.map(|()| Empty {})
        })
    }

    async fn get_k8s_capabilities(&self, request: Request<DriverOptions>) -> Result<Response<K8sCapabilities>, Status> {
        run!(self, request, "GetK8sCapabilities", |driver, call, given| {
            let options = driver.options().parse_partial(&given);
            driver.k8s_capabilities(&call, &options).await
        })
    }

    async fn remove_legacy_service_account(&self, request: Request<ClusterInfo>) -> Result<Response<Empty>, Status> {
        run!(self, request, "RemoveLegacyServiceAccount", |driver, call, info| {
            driver
                .remove_legacy_service_account(&call, info)
                .await
                .map(|()| Empty {})
        })
    }
}
