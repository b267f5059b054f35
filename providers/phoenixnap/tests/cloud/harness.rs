//! A world to test in: a simulated PhoenixNAP, an API server, a network between them and the manager, a paused clock.

use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use cloud_http::Transport;
use cloud_provider::data::Node;
use cloud_provider::manager::{Clients, Options, Process, ProcessError, flags::Parsed};
use cloud_provider::{Cloud as _, Sighting};
use cloud_sim::{Fault, Network};
use kit::Clock;
use kube_kit::Fence;
use kube_kit::metrics::Registry;
use kube_sim::KubeSim;
use phoenixnap::{Config, PhoenixNap};
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, HOST, Kind, PhoenixNapSim, Settings, TOKEN_PATH};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The host of the API server on the network.
pub const KUBERNETES: &str = "kubernetes";

/// A cluster, a cloud, and the network.
pub struct World {
    pub sim: PhoenixNapSim,
    pub kube: KubeSim,
    pub network: Network,
    pub clock: Clock,
    config: Value,
}

/// A manager that runs in the world. When this is dropped it is dead: nothing that it sends arrives any more.
pub struct Ran {
    pub stop: CancellationToken,
    dead: CancellationToken,
    pub metrics: Registry,
    ended: Option<JoinHandle<Result<(), ProcessError>>>,
}

impl Drop for Ran {
    fn drop(&mut self) {
        self.dead.cancel();
        self.stop.cancel();
    }
}

impl Ran {
    /// Waits until it ends of its own accord, and gives what came of it.
    pub async fn ended(mut self) -> Result<(), ProcessError> {
        self.ended.take().unwrap().await.unwrap()
    }

    /// Stops it, and gives what came of it.
    pub async fn end(mut self) -> Result<(), ProcessError> {
        self.stop.cancel();
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
        let sim = PhoenixNapSim::seeded(clock.clone(), settings, seed);
        let network = sim.network();
        network.host(KUBERNETES, kube.router());
        let mut world = Self {
            sim,
            kube,
            network,
            clock,
            config: json!({
                "clientID": CLIENT_ID,
                "clientSecret": CLIENT_SECRET,
                "base-url": format!("https://{HOST}"),
                "token-url": format!("https://{HOST}{TOKEN_PATH}"),
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
        Config::read(Some(self.config.to_string().as_bytes()), |_| None).unwrap()
    }

    /// A provider of this configuration, on this network.
    pub fn cloud(&self) -> Arc<PhoenixNap> {
        self.cloud_until(&CancellationToken::new())
    }

    /// A provider that is cut off once it is `dead`.
    fn cloud_until(&self, dead: &CancellationToken) -> Arc<PhoenixNap> {
        let (network, dead) = (self.network.clone(), dead.clone());
        let transport = Transport::from_service(tower::service_fn(move |request| {
            until(dead.clone(), network.clone(), request)
        }));
        Arc::new(PhoenixNap::new(self.config(), Some(transport), self.clock.clone()).unwrap())
    }

    /// What a new provider says about one node with this name and provider ID.
    pub async fn look_up(&self, name: &str, provider_id: &str) -> Sighting {
        self.look_up_all(&[(name, provider_id)]).await.remove(0)
    }

    /// What a new provider says about nodes with these names and provider IDs.
    pub async fn look_up_all(&self, nodes: &[(&str, &str)]) -> Vec<Sighting> {
        let node = |(name, provider_id): &(&str, &str)| {
            Arc::new(Node {
                name: (*name).to_owned(),
                provider_id: (*provider_id).to_owned(),
                ..Node::default()
            })
        };
        let nodes: Vec<_> = nodes.iter().map(node).collect();
        self.cloud().instances().unwrap().look_up(&nodes).await.unwrap()
    }

    /// Starts a manager that may do everything.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_as(self.kube.admin_token(), args)
    }

    /// Starts a manager that logs in to the API server with this token.
    pub fn run_as(&self, token: &str, args: &[&str]) -> Ran {
        let base = ["--cloud-provider=phoenixnap", "--secure-port=0", "--leader-elect=false"];
        let args = base.iter().chain(args).map(|arg| (*arg).to_owned());
        let options = Options::new(Parsed::parse("test", args).unwrap(), "me").unwrap();
        let (network, token) = (self.network.clone(), token.to_owned());
        let dead = CancellationToken::new();
        let cloud = self.cloud_until(&dead);
        let clients = Clients::new({
            let dead = dead.clone();
            move |purpose| {
                let client = client(&network, &token, &purpose.fence, &dead);
                Box::pin(async move { Ok(client) })
            }
        });
        let process = Process::new("test", "v0", options, cloud, clients, self.clock.clone());
        let (stop, metrics) = (CancellationToken::new(), process.metrics().clone());
        let ended = tokio::spawn({
            let stop = stop.clone();
            async move { process.run(stop).await }
        });
        Ran {
            stop,
            dead,
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

    /// Makes a server that runs, with one address of each kind, and gives its id. More of it is merged in.
    pub fn add_server(&self, name: &str, more: &Value) -> String {
        let n = self.sim.count(Kind::Server);
        let (high, low) = (n / 250, n % 250 + 2);
        let mut server = json!({
            "hostname": name, "public_ips": [format!("198.19.{high}.{low}")], "private_ips": [format!("10.1.{high}.{low}")],
        });
        merge(&mut server, more);
        self.sim.add(Kind::Server, server).unwrap()
    }

    /// Makes a server and its node, and gives the server's id.
    pub fn add_machine(&self, name: &str) -> String {
        let id = self.add_server(name, &json!({}));
        self.add_node(name, &json!({}));
        id
    }

    /// Makes `count` servers and their nodes, `n0` and so on, and gives the servers' ids.
    pub fn add_machines(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| self.add_machine(&format!("n{n}"))).collect()
    }

    /// Changes a server behind everybody's back.
    pub fn change_server(&self, id: &str, patch: &Value) {
        self.sim.change(Kind::Server, id, patch).unwrap();
    }

    /// A node as it is now.
    pub fn node(&self, name: &str) -> Option<Value> {
        self.kube.get("nodes", None, name)
    }

    /// The names of the nodes that were initialised.
    pub fn initialised(&self) -> Vec<String> {
        let has_id = |node: &Value| node["spec"]["providerID"].as_str().is_some_and(|id| !id.is_empty());
        let waits = |node: &Value| {
            let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
            taints
                .iter()
                .any(|taint| taint["key"] == cloud_provider::names::TAINT_UNINITIALIZED)
        };
        let nodes = self
            .kube
            .list("nodes")
            .into_iter()
            .filter(|node| has_id(node) && !waits(node));
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

    /// The events so far: reason, name of the object, message.
    pub fn events(&self) -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tell = |event: Value| {
            let object = &event["involvedObject"]["name"];
            (text(&event["reason"]), text(object), text(&event["message"]))
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
        requests
            .iter()
            .filter(|it| it.method == method && it.path.ends_with(path))
            .count()
    }

    /// How many requests were sent to the cloud so far, whether they arrived or not.
    pub fn sent(&self) -> usize {
        self.network
            .requests()
            .iter()
            .filter(|request| request.host != KUBERNETES)
            .count()
    }
}

/// Sends a request unless the sender is dead.
async fn until<S, R>(dead: CancellationToken, mut service: S, request: R) -> Result<S::Response, BoxError>
where
    S: tower::Service<R, Error = BoxError>,
{
    if dead.is_cancelled() {
        return Err("the process is dead".into());
    }
    service.call(request).await
}

/// A client of the cluster on this network, until it is `dead`.
pub fn client(network: &Network, token: &str, fence: &Fence, dead: &CancellationToken) -> kube::Client {
    let bearer = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let service = tower::ServiceBuilder::new()
        .layer(fence.layer())
        .map_request(move |mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, bearer.clone());
            request
        })
        .service(tower::service_fn({
            let (kube, dead) = (network.for_host(KUBERNETES), dead.clone());
            move |request| until(dead.clone(), kube.clone(), request)
        }));
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
