//! A cluster and a cloud in one process, on a paused clock, with a network between them and the code under test.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cloud_sim::{Network, NetworkError};
use k8s_openapi::api::core::v1 as core;
use kit::Clock;
use kube::{Api, Client};
use kube_kit::metrics::Registry;
use kube_kit::{Broadcaster, Fence, ObjectRef, Store, Watch};
use kube_sim::KubeSim;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::controllers::{Alarms, Shared, SharedSilence};
use crate::data::{Node, Service, Slim};
use crate::memory::{MemoryCloud, Op, Reply};

/// The taint that kubelet sets on new nodes.
pub(crate) fn uninitialized() -> Value {
    json!({"key": crate::names::TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
}

/// A cluster, a cloud, and the network.
pub(crate) struct World {
    pub sim: KubeSim,
    pub cloud: MemoryCloud,
    pub network: Network,
    pub clock: Clock,
}

/// What a process that was started in the world holds. Its tasks end when it is dropped.
pub(crate) struct Process {
    pub shared: Shared,
    pub stop: CancellationToken,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(MemoryCloud::new("fake"))
    }

    pub fn with(cloud: MemoryCloud) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let sim = KubeSim::builder().clock(clock.clone()).build();
        let network = Network::new();
        network.host("kubernetes", sim.router());
        network.host("cloud", Router::new().fallback(|| async { "done" }));
        let wire = network.clone();
        cloud.script().wire(Arc::new(move |op: Op| {
            let network = wire.clone();
            Box::pin(async move {
                let request = http::Request::post(format!("https://cloud/{op:?}")).body(axum::body::Body::empty());
                match network.send(request.unwrap()).await {
                    Ok(_) => Reply::Answered,
                    Err(NetworkError::Reset(_)) => Reply::Lost,
                    Err(_) => Reply::NotSent,
                }
            })
        }));
        Self {
            sim,
            cloud,
            network,
            clock,
        }
    }

    /// A client with this token.
    pub fn client_as(&self, token: &str, fence: &Fence) -> Client {
        client(&self.network, token, fence)
    }

    /// Starts what every controller needs: stores, watches, events.
    pub fn start(&self) -> Process {
        self.start_as(self.sim.admin_token(), Fence::open())
    }

    pub fn start_as(&self, token: &str, fence: Fence) -> Process {
        let client = self.client_as(token, &fence);
        let (nodes, services) = (Store::new(), Store::new());
        let stop = CancellationToken::new();
        let broadcaster = Broadcaster::new(self.clock.clone());
        let recorder = broadcaster.recorder("cloud-controller-manager");
        let metrics = Registry::new();
        let node_watch = Watch::new(
            Api::all(client.clone()),
            "nodes",
            nodes.clone(),
            |node: Slim<core::Node>| Node::cut(node.0),
        );
        let service_watch = Watch::new(
            Api::all(client.clone()),
            "services",
            services.clone(),
            |service: Slim<core::Service>| Service::cut(service.0),
        );
        for task in [
            Box::pin(node_watch.run()) as futures::future::BoxFuture<'static, ()>,
            Box::pin(service_watch.run()),
            Box::pin(broadcaster.run(client.clone(), CancellationToken::new())),
        ] {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = task => {}
                }
            });
        }
        let lease =
            ObjectRef::new("coordination.k8s.io/v1", "Lease", "cloud-controller-manager").namespace("kube-system");
        let alarms = Alarms::new(recorder.clone(), lease, &metrics);
        let shared = Shared {
            cloud: Arc::new(self.cloud.clone()),
            client,
            nodes,
            services,
            recorder,
            alarms,
            silence: SharedSilence::default(),
            metrics,
            clock: self.clock.clone(),
            fence,
            cluster: "kubernetes".to_owned(),
        };
        Process { shared, stop }
    }

    /// A node as it is now.
    pub fn node(&self, name: &str) -> Option<Value> {
        self.sim.get("nodes", None, name)
    }

    /// The taints of a node, without the one that the API server puts on every new node.
    pub fn taints(&self, name: &str) -> Vec<Value> {
        let node = self.node(name).unwrap_or_default();
        let mut taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.retain(|taint| taint["key"] != "node.kubernetes.io/not-ready");
        taints
    }

    /// The events so far: reason, name of the object, message.
    pub fn events(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tell = |event: Value| {
            (
                text(&event["reason"]),
                text(&event["involvedObject"]["name"]),
                text(&event["message"]),
            )
        };
        self.sim.list("events").into_iter().map(tell).collect()
    }

    /// The reasons of the events about an object, sorted.
    pub fn reasons(&self, name: &str) -> Vec<String> {
        let mut reasons: Vec<_> = self
            .events()
            .into_iter()
            .filter(|event| event.1 == name)
            .map(|event| event.0)
            .collect();
        reasons.sort();
        reasons
    }

    /// How many requests were made with this method whose path ends so.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        self.sim
            .requests()
            .iter()
            .filter(|request| request.method == method && request.path.ends_with(path))
            .count()
    }
}

/// A client of the cluster on this network.
pub(crate) fn client(network: &Network, token: &str, fence: &Fence) -> Client {
    let bearer = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let service = tower::ServiceBuilder::new()
        .layer(fence.layer())
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            request
        })
        .service(network.for_host("kubernetes"));
    Client::new(service, "default")
}

pub(crate) async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

pub(crate) async fn minutes(n: u64) {
    seconds(60 * n).await;
}
