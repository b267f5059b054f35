//! A world to test in: a simulated Equinix Metal, an API server, a network between them and the manager, a paused clock.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions, and no test needs all of it"
)]

use std::sync::Arc;
use std::time::Duration;

use cloud_http::Transport;
use cloud_provider::manager::{Clients, Options, Process, ProcessError, flags::Parsed};
use cloud_sim::{Fault, Network};
use equinix_metal::EquinixMetal;
use equinix_metal::config::Config;
use equinix_metal_sim::{API_HOST, API_KEY, IAM_HOST, LB_HOST, MetalSim, PROJECT_ID, Settings};
use kit::Clock;
use kube_kit::Fence;
use kube_kit::metrics::Registry;
use kube_sim::KubeSim;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The host of the API server on the network.
pub const KUBERNETES: &str = "kubernetes";

/// A cluster, a cloud, and the network.
pub struct World {
    pub sim: MetalSim,
    pub kube: KubeSim,
    pub network: Network,
    pub clock: Clock,
    config: Value,
}

/// A manager that runs in the world. It ends when this is dropped.
pub struct Ran {
    pub stop: CancellationToken,
    pub metrics: Registry,
    ended: Option<JoinHandle<Result<(), ProcessError>>>,
}

impl Drop for Ran {
    fn drop(&mut self) {
        self.stop.cancel();
        cloud_sim::evidence::leave("metrics", &self.metrics.render());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for event in self.kube.list("events") {
            cloud_sim::evidence::leave("events", &event.to_string());
        }
    }
}

impl Ran {
    /// Stops it, and gives what came of it.
    pub async fn end(mut self) -> Result<(), ProcessError> {
        self.stop.cancel();
        self.ended.take().unwrap().await.unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> Result<(), ProcessError> {
        self.ended.take().unwrap().await.unwrap()
    }
}

impl World {
    /// A world without load balancers.
    pub fn new() -> Self {
        Self::with(Settings::default(), json!({}))
    }

    /// A world whose cloud is set like this, and whose manager is configured like this beyond the credentials.
    pub fn with(settings: Settings, config: Value) -> Self {
        Self::seeded(settings, config, 1)
    }

    /// A world all of whose chance comes from `seed`.
    pub fn seeded(settings: Settings, config: Value, seed: u64) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let kube = KubeSim::builder().clock(clock.clone()).build();
        let sim = MetalSim::seeded(clock.clone(), settings, seed);
        let network = sim.network();
        network.host(KUBERNETES, kube.router());
        let mut world = Self {
            sim,
            kube,
            network,
            clock,
            config: json!({
                "apiKey": API_KEY,
                "projectID": PROJECT_ID,
                "base-url": format!("https://{API_HOST}/metal/v1"),
                "emlb-base-url": format!("https://{LB_HOST}"),
                "token-exchange-url": format!("https://{IAM_HOST}/api-keys/exchange"),
            }),
        };
        world.configure(config);
        world
    }

    /// Configures managers that are started from now on.
    pub fn configure(&mut self, more: Value) {
        if let (Value::Object(config), Value::Object(more)) = (&mut self.config, more) {
            config.extend(more);
        }
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        Config::read(Some(self.config.to_string().as_bytes()), &|_| None).unwrap()
    }

    /// A provider of this configuration, on this network.
    pub fn cloud(&self) -> Arc<EquinixMetal> {
        let transport = Transport::from_service(self.network.clone());
        Arc::new(EquinixMetal::new(self.config(), Some(transport), &self.clock).unwrap())
    }

    /// A client of the API server that may do everything.
    pub fn client(&self) -> kube::Client {
        client(&self.network, self.kube.admin_token(), &Fence::open())
    }

    /// Starts a manager that may do everything.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_as(self.kube.admin_token(), args)
    }

    /// Starts a manager that logs in with this token.
    pub fn run_as(&self, token: &str, args: &[&str]) -> Ran {
        let base = [
            "--cloud-provider=equinixmetal",
            "--secure-port=0",
            "--leader-elect=false",
        ];
        let args = base.iter().chain(args).map(|arg| (*arg).to_owned());
        let options = Options::new(Parsed::parse("test", args).unwrap(), "me").unwrap();
        let (network, token) = (self.network.clone(), token.to_owned());
        let clients = Clients::new(move |purpose| {
            let client = client(&network, &token, &purpose.fence);
            Box::pin(async move { Ok(client) })
        });
        let process = Process::new("test", "v0", options, self.cloud(), clients, self.clock.clone());
        let (stop, metrics) = (CancellationToken::new(), process.metrics().clone());
        let ended = tokio::spawn({
            let stop = stop.clone();
            async move { process.run(stop).await }
        });
        Ran {
            stop,
            metrics,
            ended: Some(ended),
        }
    }

    /// Makes a node as kubelet registers it: tainted and ready. More of it is merged in.
    pub fn add_node(&self, name: &str, more: &Value) {
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"taints": [{
                "key": cloud_provider::names::TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule",
            }]},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
        });
        merge(&mut node, more);
        self.kube.create(node).unwrap();
    }

    /// Makes a device and its node, and gives the device's ID.
    pub fn add_machine(&self, name: &str) -> String {
        let id = self.sim.add_device(name);
        self.add_node(name, &json!({}));
        id
    }

    /// Makes `count` devices and their nodes, `n0` and so on, and gives the devices' IDs.
    pub fn add_machines(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| self.add_machine(&format!("n{n}"))).collect()
    }

    /// A node as it is now.
    pub fn node(&self, name: &str) -> Option<Value> {
        self.kube.get("nodes", None, name)
    }

    /// The names of the nodes that were initialised.
    pub fn initialised(&self) -> Vec<String> {
        let has_id = |node: &Value| node["spec"]["providerID"].as_str().is_some_and(|id| !id.is_empty());
        let taints = |node: &Value| node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let waits = |node: &Value| {
            let mut taints = taints(node).into_iter();
            taints.any(|taint| taint["key"] == cloud_provider::names::TAINT_UNINITIALIZED)
        };
        let done = |node: &Value| has_id(node) && !waits(node);
        let nodes = self.kube.list("nodes").into_iter().filter(done);
        nodes
            .map(|node| node["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until so many nodes were initialised.
    #[track_caller]
    pub fn until_initialised(&self, count: usize) -> impl Future<Output = ()> {
        self.until("nodes are initialised", Duration::from_mins(20), move |world| {
            world.initialised().len() == count
        })
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let began = tokio::time::Instant::now();
            while !holds(self) {
                assert!(began.elapsed() < limit, "{at}: not within {limit:?}: {what}");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }

    /// Sets a node's `Ready` condition.
    pub fn set_ready(&self, name: &str, status: &str) {
        let mut node = self.node(name).unwrap();
        let conditions = node["status"]["conditions"].as_array_mut().unwrap();
        for condition in conditions.iter_mut().filter(|condition| condition["type"] == "Ready") {
            condition["status"] = json!(status);
        }
        self.kube.update_status(node).unwrap();
    }

    /// The addresses of a node, `Type address`.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let node = self.node(name).unwrap();
        let addresses = node["status"]["addresses"].as_array().cloned().unwrap_or_default();
        let tell = |it: &Value| format!("{} {}", it["type"].as_str().unwrap(), it["address"].as_str().unwrap());
        addresses.iter().map(tell).collect()
    }

    /// The keys of a node's taints.
    pub fn taints(&self, name: &str) -> Vec<String> {
        let node = self.node(name).unwrap();
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints
            .iter()
            .map(|taint| taint["key"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A Service of type LoadBalancer with one TCP port. More of it is merged in.
    pub fn add_service(&self, namespace: &str, name: &str, more: &Value) {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
        });
        merge(&mut service, more);
        self.kube.create(service).unwrap();
    }

    /// A Service as it is now.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Value> {
        self.kube.get("services", Some(namespace), name)
    }

    /// The addresses in a Service's status.
    pub fn ingress(&self, namespace: &str, name: &str) -> Vec<String> {
        let service = self.service(namespace, name).unwrap_or_default();
        let ingress = service["status"]["loadBalancer"]["ingress"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ingress
            .iter()
            .filter_map(|it| it["ip"].as_str().map(str::to_owned))
            .collect()
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
        self.kube.list("events").into_iter().map(tell).collect()
    }

    /// Makes the cloud misbehave.
    pub fn fault(&self, fault: Fault) {
        self.sim.front().inject(fault).unwrap();
    }

    /// How many requests the cloud got with this method and a path that ends so.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        let requests = self.sim.front().requests();
        let fits = requests
            .iter()
            .filter(|it| it.method == method && it.path.ends_with(path));
        fits.count()
    }

    /// How many requests were sent to the cloud so far, whether they arrived or not.
    pub fn sent(&self) -> usize {
        let requests = self.network.requests();
        requests.iter().filter(|request| request.host != KUBERNETES).count()
    }
}

/// A client of the cluster on this network.
pub fn client(network: &Network, token: &str, fence: &Fence) -> kube::Client {
    let bearer = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let service = tower::ServiceBuilder::new()
        .layer(fence.layer())
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            request
        })
        .service(network.for_host(KUBERNETES));
    kube::Client::new(service, "default")
}

/// Merges JSON: objects by key, anything else replaces.
pub fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

pub async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

pub async fn minutes(n: u64) {
    seconds(60 * n).await;
}
