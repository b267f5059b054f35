//! Serves a driver over gRPC on loopback.
//!
//! Mirrors rancher/kontainer-engine `types/rpc_server.go`. Differs from upstream: a panic in a driver is answered instead
//! of ending the process, a call is cancelled when its caller goes away, and reflection comes as v1 and v1alpha.

mod calls;
mod main;
mod service;
mod services;
mod stderr_log;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::coalesce::Coalesced;
use crate::driver::Driver;

pub use main::{driver_main, driver_main_with, program_name};

/// How long a call may go on after it was cancelled before it is given up.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The protocol has no authentication, so it is for this machine only.
    #[error("refusing to listen on {0}: a driver listens on loopback addresses only")]
    NotLoopback(SocketAddr),
    /// The address can not be had.
    #[error("listening on {address} failed")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It stopped serving.
    #[error("serving failed")]
    Serve(#[source] tonic::transport::Error),
}

/// A driver on a socket that is bound but not yet served. Connections made meanwhile wait.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: service::Service,
}

impl Server {
    /// Binds `address`, which must be a loopback address; port 0 takes any free port.
    pub async fn bind(driver: Arc<dyn Driver>, address: SocketAddr) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(address));
        }
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            service: service::Service::new(driver),
        })
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled. Then calls are cancelled too, get five seconds to answer, and are given up.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServerError> {
        let service = self.service.stopping_with(stop.clone());
        let services = tower::service_fn(move |request| services::serve(service.clone(), request));
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .map_ok(Coalesced::new);
        let serving = tonic::transport::Server::builder().serve_with_incoming_shutdown(
            services,
            incoming,
            stop.clone().cancelled_owned(),
        );
        let given_up = async {
            stop.cancelled().await;
            // Calls are given up after the grace time; their answers still need to get out.
            tokio::time::sleep(GRACE + Duration::from_millis(500)).await;
        };
        tokio::select! {
            served = serving => served.map_err(ServerError::Serve),
            () = given_up => Ok(()),
        }
    }
}
