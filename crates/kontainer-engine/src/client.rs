//! Calls a driver.
//!
//! Mirrors rancher/kontainer-engine `types/rpc_client.go`: what a driver says is told as it stands, everything else with
//! its gRPC code. Connecting is lazy and nothing is retried here.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use kit::Class;
use tokio::net::TcpStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::coalesce::Coalesced;
use crate::logstream::LOG_ID;
use crate::wire::driver_client::DriverClient;
use crate::wire::{
    Capabilities, ClusterInfo, CreateRequest, DriverFlags, DriverOptions, Empty, K8sCapabilities, KubernetesVersion,
    MAX_MESSAGE_BYTES, NodeCount, RemoveEtcdSnapshotRequest, RestoreEtcdSnapshotRequest, SaveEtcdSnapshotRequest,
    SetNodeCountRequest, SetVersionRequest, UpdateRequest,
};

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The driver said so, in these words.
    #[error("{0}")]
    Driver(String),
    /// The call did not get through, or the driver does not know it.
    #[error("rpc error: code = {} desc = {message}", go_name(*.code))]
    Rpc {
        /// The gRPC code.
        code: Code,
        /// Its description.
        message: String,
    },
}

impl ClientError {
    /// What a caller may do about it. A driver's own errors carry no class over the protocol and count as permanent.
    pub fn class(&self) -> Class {
        match self {
            Self::Driver(_) => Class::Permanent,
            Self::Rpc { code, .. } => match code {
                Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => Class::Transient,
                Code::OutOfRange | Code::InvalidArgument | Code::ResourceExhausted => Class::Invalid,
                _ => Class::Permanent,
            },
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match (status.code(), status.source()) {
            // A status that the driver sent has no source; those made here, out of a broken connection, do.
            (Code::Unknown, None) if !message.is_empty() => Self::Driver(message),
            (code, None) => Self::Rpc { code, message },
            (code, Some(source)) => Self::Rpc {
                code: if code == Code::Unknown { Code::Unavailable } else { code },
                message: match kit::chain(source) {
                    cause if message.is_empty() || cause.starts_with(&message) => cause,
                    cause => format!("{message}: {cause}"),
                },
            },
        }
    }
}

/// The name Go's gRPC gives a code.
fn go_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".to_owned(),
        Code::Cancelled => "Canceled".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Why a cluster was not created, and what the driver knows of it so far.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct CreateFailed {
    /// What went wrong.
    #[source]
    pub error: ClientError,
    /// What to keep for the next attempt.
    pub info: Option<Box<ClusterInfo>>,
}

/// A connection to one driver.
#[derive(Clone, Debug)]
pub struct Client {
    driver: DriverClient<Channel>,
    log_id: Option<MetadataValue<tonic::metadata::Ascii>>,
}

impl Client {
    /// A client of the driver at `address`. Nothing is sent before the first call, so this needs no driver to be there,
    /// but it must be called within a tokio runtime.
    pub fn new(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a socket address makes a URI");
        let connector = tower::service_fn(move |_| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(TokioIo::new(Coalesced::new(stream)))
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        Self {
            driver: DriverClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES),
            log_id: None,
        }
    }

    /// Sends the id of a [`LogStream`](crate::logstream::LogStream) with each call.
    #[must_use]
    pub fn with_log_id(mut self, id: &str) -> Self {
        self.log_id = id.parse().ok();
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(id) = &self.log_id {
            request.metadata_mut().insert(LOG_ID, id.clone());
        }
        request
    }

    /// Creates a cluster.
    pub async fn create(
        &self,
        options: DriverOptions,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, CreateFailed> {
        let request = self.request(CreateRequest {
            driver_options: Some(options),
            cluster_info: previous,
        });
        match self.driver.clone().create(request).await {
            Err(status) => Err(CreateFailed {
                error: status.into(),
                info: None,
            }),
            Ok(answer) => {
                let info = answer.into_inner();
                if info.create_error.is_empty() {
                    return Ok(info);
                }
                Err(CreateFailed {
                    error: ClientError::Driver(info.create_error.clone()),
                    info: Some(Box::new(info)),
                })
            }
        }
    }

    /// Changes a cluster.
    pub async fn update(&self, info: ClusterInfo, options: DriverOptions) -> Result<ClusterInfo, ClientError> {
        let request = self.request(UpdateRequest {
            cluster_info: Some(info),
            driver_options: Some(options),
        });
        answer(self.driver.clone().update(request).await)
    }

    /// Waits until a cluster is usable.
    pub async fn post_check(&self, info: ClusterInfo) -> Result<ClusterInfo, ClientError> {
        answer(self.driver.clone().post_check(self.request(info)).await)
    }

    /// Deletes a cluster.
    pub async fn remove(&self, info: ClusterInfo) -> Result<(), ClientError> {
        nothing(self.driver.clone().remove(self.request(info)).await)
    }

    /// The flags of [`Self::create`].
    pub async fn create_flags(&self) -> Result<DriverFlags, ClientError> {
        answer(
            self.driver
                .clone()
                .get_driver_create_options(self.request(Empty {}))
                .await,
        )
    }

    /// The flags of [`Self::update`].
    pub async fn update_flags(&self) -> Result<DriverFlags, ClientError> {
        answer(
            self.driver
                .clone()
                .get_driver_update_options(self.request(Empty {}))
                .await,
        )
    }

    /// The Kubernetes version of a cluster.
    pub async fn version(&self, info: ClusterInfo) -> Result<String, ClientError> {
        answer(self.driver.clone().get_version(self.request(info)).await).map(|answer| answer.version)
    }

    /// Changes the Kubernetes version of a cluster.
    pub async fn set_version(&self, info: ClusterInfo, version: &str) -> Result<(), ClientError> {
        let request = self.request(SetVersionRequest {
            info: Some(info),
            version: Some(KubernetesVersion {
                version: version.to_owned(),
            }),
        });
        nothing(self.driver.clone().set_version(request).await)
    }

    /// The number of nodes of a cluster.
    pub async fn cluster_size(&self, info: ClusterInfo) -> Result<i64, ClientError> {
        answer(self.driver.clone().get_node_count(self.request(info)).await).map(|answer| answer.count)
    }

    /// Changes the number of nodes of a cluster.
    pub async fn set_cluster_size(&self, info: ClusterInfo, count: i64) -> Result<(), ClientError> {
        let request = self.request(SetNodeCountRequest {
            info: Some(info),
            count: Some(NodeCount { count }),
        });
        nothing(self.driver.clone().set_node_count(request).await)
    }

    /// What the driver can do. Engines use it to see whether a driver is up.
    pub async fn capabilities(&self) -> Result<Capabilities, ClientError> {
        answer(self.driver.clone().get_capabilities(self.request(Empty {})).await)
    }

    /// What clusters made with these options can do.
    pub async fn k8s_capabilities(&self, options: DriverOptions) -> Result<K8sCapabilities, ClientError> {
        answer(self.driver.clone().get_k8s_capabilities(self.request(options)).await)
    }

    /// Deletes the service account that old versions of Rancher made.
    pub async fn remove_legacy_service_account(&self, info: ClusterInfo) -> Result<(), ClientError> {
        nothing(
            self.driver
                .clone()
                .remove_legacy_service_account(self.request(info))
                .await,
        )
    }

    /// Saves an etcd snapshot.
    pub async fn etcd_save(
        &self,
        info: ClusterInfo,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<(), ClientError> {
        let request = self.request(SaveEtcdSnapshotRequest {
            info: Some(info),
            driver_options: Some(options),
            snapshot_name: snapshot.to_owned(),
        });
        nothing(self.driver.clone().etcd_save(request).await)
    }

    /// Restores an etcd snapshot.
    pub async fn etcd_restore(
        &self,
        info: ClusterInfo,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<ClusterInfo, ClientError> {
        let request = self.request(RestoreEtcdSnapshotRequest {
            info: Some(info),
            driver_options: Some(options),
            snapshot_name: snapshot.to_owned(),
        });
        answer(self.driver.clone().etcd_restore(request).await)
    }

    /// Deletes an etcd snapshot.
    pub async fn etcd_remove_snapshot(
        &self,
        info: ClusterInfo,
        options: DriverOptions,
        snapshot: &str,
    ) -> Result<(), ClientError> {
        let request = self.request(RemoveEtcdSnapshotRequest {
            info: Some(info),
            driver_options: Some(options),
            snapshot_name: snapshot.to_owned(),
        });
        nothing(self.driver.clone().etcd_remove_snapshot(request).await)
    }
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, ClientError> {
    Ok(answer?.into_inner())
}

fn nothing(answer: Result<Response<Empty>, Status>) -> Result<(), ClientError> {
    answer?;
    Ok(())
}
