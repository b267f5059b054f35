//! The server on a socket.

use std::io;
use std::sync::Arc;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sim::KubeSim;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No serving certificate.
    #[error("cannot make the serving certificate")]
    Certificate(#[source] rcgen::Error),
    /// The certificate and key do not make a TLS configuration.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// Serves HTTP on `listener` and runs the controllers, until `cancel`.
pub async fn http(sim: KubeSim, listener: TcpListener, cancel: CancellationToken) {
    accept(sim, listener, None, cancel).await;
}

/// What a TLS server in front of the simulation needs: a certificate signed by the simulation's authority, for 127.0.0.1,
/// ::1, localhost and the hosts that the builder was given.
pub fn tls_config(sim: &KubeSim) -> Result<ServerConfig, ServeError> {
    let (certificate, key) = sim.0.authority.issue(&sim.0.hosts).map_err(ServeError::Certificate)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ServeError::Tls)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(ServeError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves HTTPS with [`tls_config`] on `listener` and runs the controllers, until `cancel`.
pub async fn tls(sim: KubeSim, listener: TcpListener, cancel: CancellationToken) -> Result<(), ServeError> {
    let config = tls_config(&sim)?;
    accept(sim, listener, Some(TlsAcceptor::from(Arc::new(config))), cancel).await;
    Ok(())
}

async fn accept(sim: KubeSim, listener: TcpListener, acceptor: Option<TlsAcceptor>, cancel: CancellationToken) {
    let tasks = TaskTracker::new();
    let controllers = sim.clone();
    let stop = cancel.clone();
    tasks.spawn(async move { controllers.run_controllers(stop).await });
    loop {
        let stream = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let (sim, acceptor, cancel) = (sim.clone(), acceptor.clone(), cancel.clone());
        tasks.spawn(async move {
            if let Err(error) = connection(&sim, stream, acceptor, cancel).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(
    sim: &KubeSim,
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    cancel: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    match acceptor {
        None => speak(sim, stream, cancel).await,
        Some(acceptor) => {
            let stream: io::Result<_> = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                stream = acceptor.accept(stream) => stream,
            };
            speak(sim, stream?, cancel).await
        }
    }
}

/// Speaks HTTP/1.1 until the client goes or the server stops. Watches do not hold up the stop: they are cut.
async fn speak<S>(
    sim: &KubeSim,
    stream: S,
    cancel: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = TowerToHyperService::new(sim.router());
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = cancel.cancelled() => Ok(()),
        result = connection => result.map_err(Into::into),
    }
}
