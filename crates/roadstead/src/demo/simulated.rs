//! How the simulated providers of the demo are served.

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How much faster than the real providers the simulated ones are.
pub(super) const SPEED: f64 = 60.0;

/// A listener on loopback, and its URL.
pub(super) async fn listen(scheme: &str) -> Result<(TcpListener, String), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| Failure::other("listen on loopback", error))?;
    let address = listener.local_addr();
    let address = address.map_err(|error| Failure::other("read the listening address", error))?;
    Ok((listener, format!("{scheme}://{address}")))
}

/// Serves a simulated provider on loopback until `stop`: its URL.
pub(super) async fn serve(router: Router, stop: CancellationToken) -> Result<String, Failure> {
    let (listener, url) = listen("http").await?;
    tokio::spawn(async move {
        if let Err(error) = cloud_sim::serve(router, listener, stop).await {
            tracing::error!(%error, "the simulated provider stopped");
        }
    });
    Ok(url)
}
