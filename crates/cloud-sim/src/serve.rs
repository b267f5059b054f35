//! Hosting a router on a socket.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::front::ConnectionCut;

/// How long requests under way may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `router` over plain HTTP/1.1 until `cancel`, then lets requests under way end for two seconds.
///
/// A response marked with [`ConnectionCut`] is not sent: its connection is closed. Fails when the listener does.
pub async fn serve(router: Router, listener: TcpListener, cancel: CancellationToken) -> io::Result<()> {
    accept(listener, cancel, move |stream, cancel| {
        connection(router.clone(), stream, cancel)
    })
    .await
}

/// As [`serve`], with TLS. Connections whose handshake fails are dropped.
pub async fn serve_tls(
    router: Router,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(tls);
    accept(listener, cancel, move |stream, cancel| {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        async move {
            match acceptor.accept(stream).await {
                Ok(stream) => connection(router, stream, cancel).await,
                Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            }
        }
    })
    .await
}

async fn accept<F>(
    listener: TcpListener,
    cancel: CancellationToken,
    connect: impl Fn(TcpStream, CancellationToken) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let connections = TaskTracker::new();
    // Ends those that outlive the grace.
    let abandon = CancellationToken::new();
    let _dropped = abandon.clone().drop_guard();
    loop {
        let stream = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The peer went away before it was served; the next one may not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            },
        };
        let (abandon, served) = (abandon.clone(), connect(stream, cancel.clone()));
        connections.spawn(async move {
            tokio::select! {
                () = abandon.cancelled() => {}
                () = served => {}
            }
        });
    }
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
    Ok(())
}

async fn connection<S>(router: Router, stream: S, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let response: Result<Response, Infallible> = router.oneshot(request.map(Body::new)).await;
            let Ok(response) = response;
            match response.extensions().get::<ConnectionCut>() {
                Some(cut) => Err(*cut),
                None => Ok(response),
            }
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
