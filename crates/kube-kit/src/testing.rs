//! A simulated API server that can be unplugged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::Clock;
use kube::Client;
use kube_sim::KubeSim;
use tower::{BoxError, ServiceExt as _};

use crate::fence::Fence;

/// The server, and the plug.
pub(crate) struct Server {
    pub sim: KubeSim,
    pub clock: Clock,
    unplugged: Arc<AtomicBool>,
}

impl Server {
    pub fn new() -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let sim = KubeSim::builder().clock(clock.clone()).build();
        Self {
            sim,
            clock,
            unplugged: Arc::default(),
        }
    }

    /// While it is unplugged, connections are refused.
    pub fn unplug(&self, unplugged: bool) {
        self.unplugged.store(unplugged, Ordering::Relaxed);
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.fenced(&Fence::open())
    }

    /// An administrator's client behind a fence.
    pub fn fenced(&self, fence: &Fence) -> Client {
        let bearer = http::HeaderValue::from_str(&format!("Bearer {}", self.sim.admin_token())).unwrap();
        let router = self.sim.router();
        let unplugged = Arc::clone(&self.unplugged);
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            let (router, unplugged) = (router.clone(), Arc::clone(&unplugged));
            async move {
                if unplugged.load(Ordering::Relaxed) {
                    return Err(BoxError::from("connection refused"));
                }
                router
                    .oneshot(request.map(axum::body::Body::new))
                    .await
                    .map_err(BoxError::from)
            }
        });
        Client::new(tower::Layer::layer(&fence.layer(), service), "default")
    }

    /// The requests so far whose path ends in `path`, by method.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        self.sim
            .requests()
            .iter()
            .filter(|request| request.method == method && request.path.ends_with(path))
            .count()
    }
}
