//! Managers that run in a [`World`](crate::World): they can be stopped, and they can die.

use axum::BoxError;
use cloud_provider::manager::ProcessError;
use cloud_sim::Network;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use kube_kit::Fence;
use kube_kit::metrics::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceBuilder, service_fn};

/// The host of the API server on the network.
pub const KUBERNETES: &str = "kubernetes";

/// A manager. When this is dropped it is dead, as a process that was killed: nothing that it sends arrives any more, and it
/// hears no answers.
pub struct Ran {
    /// Cancel it to tell the manager to end, as SIGTERM does.
    pub stop: CancellationToken,
    /// Its metrics.
    pub metrics: Registry,
    pub(crate) dead: CancellationToken,
    pub(crate) ended: Option<JoinHandle<Result<(), ProcessError>>>,
}

impl Ran {
    /// Tells it to end, and gives what came of it.
    pub async fn end(self) -> Result<(), ProcessError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends of its own accord, and gives what came of it.
    pub async fn ended(mut self) -> Result<(), ProcessError> {
        let ended = self.ended.take().expect("it ends once");
        ended.await.expect("it does not panic")
    }

    /// Kills it.
    pub fn kill(self) {}
}

impl Drop for Ran {
    fn drop(&mut self) {
        self.dead.cancel();
        // What is left of it in this process need not go on.
        self.stop.cancel();
        cloud_sim::evidence::leave("metrics", &self.metrics.render());
    }
}

/// Brings requests to `service` until the sender is `dead`.
pub(crate) async fn until_dead<S, R>(
    dead: CancellationToken,
    mut service: S,
    request: R,
) -> Result<S::Response, BoxError>
where
    S: Service<R, Error = BoxError>,
{
    let killed = || Err("the process is dead".into());
    if dead.is_cancelled() {
        return killed();
    }
    let answer = service.call(request).await;
    if dead.is_cancelled() { killed() } else { answer }
}

/// A client of the cluster on this network, which logs in with this token.
pub fn client(network: &Network, token: &str, fence: &Fence) -> kube::Client {
    mortal_client(network, token, fence, &CancellationToken::new())
}

/// As [`client`], until it is `dead`.
pub(crate) fn mortal_client(network: &Network, token: &str, fence: &Fence, dead: &CancellationToken) -> kube::Client {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("tokens are plain text");
    let (kube, dead) = (network.for_host(KUBERNETES), dead.clone());
    let service = ServiceBuilder::new()
        .layer(fence.layer())
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        })
        .service(service_fn(move |request| {
            until_dead(dead.clone(), kube.clone(), request)
        }));
    kube::Client::new(service, "default")
}
