//! HTTPS on the secure port: a given certificate, one kept in a directory, or one made up on the spot.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

pub(super) mod certificates;
mod listen;
mod tls;

pub(crate) use listen::listen;
pub(crate) use tls::{Source, Tls};

/// How long a client may take to greet, and to say what it wants: as long as upstream's may.
const PATIENCE: Duration = Duration::from_secs(32);
/// How often a client on whose connection many requests can be under way is asked whether it is still there.
const ASK: Duration = Duration::from_secs(90);
/// How long answers under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or not ours.
    #[error("failed to create listener: failed to listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A file with certificates or a key cannot be used.
    #[error("cannot read {0}")]
    Pem(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The certificate made could not be kept.
    #[error("cannot write {0}")]
    Keep(PathBuf, #[source] io::Error),
    /// The flag makes no sense.
    #[error("--tls-sni-cert-key {0:?} is not of the form CERT,KEY[:NAME,...]")]
    Sni(String),
    /// Certificate and key do not go together.
    #[error("cannot use the certificate")]
    Tls(#[source] rustls::Error),
    /// The authorities for client certificates are none.
    #[error("cannot use the authorities for client certificates")]
    Clients(#[source] rustls::server::VerifierBuilderError),
}

/// Where TLS is read anew from, and how often: certificates and authorities are renewed while the process runs.
pub(crate) struct Reload {
    pub every: Duration,
    pub read: Box<dyn Fn() -> Result<Tls, ServeError> + Send + Sync>,
}

/// Serves until `stop` is cancelled, and a little longer to those who are being answered.
pub(crate) async fn serve(listener: TcpListener, tls: Tls, reload: Reload, router: Router, stop: CancellationToken) {
    let mut tls = Arc::new(tls);
    let connections = TaskTracker::new();
    let mut renewal = tokio::time::interval_at(tokio::time::Instant::now() + reload.every, reload.every);
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            _ = renewal.tick() => {
                match (reload.read)() {
                    Ok(fresh) => tls = Arc::new(fresh),
                    // Half written, most likely: the old ones serve until the next look.
                    Err(error) => warn!(error = %kit::chain(&error), "cannot read the certificates again"),
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: some will be closed.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(Arc::clone(&tls), stream, router.clone(), stop.clone()));
    }
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

async fn connection(tls: Arc<Tls>, stream: TcpStream, router: Router, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "TLS handshake failed"),
        Err(_) => return,
    };
    let (certified, proxied) = tls.peer(stream.get_ref().1.peer_certificates().unwrap_or_default());
    let service = router.map_request(move |request: axum::http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(certified) = &certified {
            request.extensions_mut().insert(certified.clone());
        }
        if let Some(proxied) = &proxied {
            request.extensions_mut().insert(proxied.clone());
        }
        request
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ASK);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        _ = served.as_mut() => {}
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

#[cfg(test)]
mod tests;
