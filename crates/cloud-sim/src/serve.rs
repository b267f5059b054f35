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
use hyper_util::rt::TokioIo;
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
                Ok((stream, _)) => {
                    // Only speed is lost when it cannot be set.
                    let _ = stream.set_nodelay(true);
                    stream
                }
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
    // No timers: on a paused clock they would end connections that merely wait.
    let serving = http1::Builder::new()
        .header_read_timeout(None)
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http_body_util::BodyExt;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::TlsConnector;

    use super::*;

    #[tokio::test]
    async fn over_tls_requests_are_answered_and_bad_handshakes_do_no_harm() {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "secret" }));
        let served = tokio::spawn(serve_tls(router, listener, Arc::new(server), cancel.clone()));

        drop(TcpStream::connect(address).await.unwrap());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(client))
            .connect(name, socket)
            .await
            .unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", "localhost")
            .body(Body::empty())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "secret");

        // The idle connection does not hold up the end.
        cancel.cancel();
        served.await.unwrap().unwrap();
        let _ = connection.await.unwrap();
    }
}
