//! Services and their addresses, run by a whole manager.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_sim::secrets::Capture;
use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use crate::harness::{World, merge};

mod audit;
mod crash;
mod defects;
mod drift;
mod life;
pub mod metallb;
mod moved;
mod neighbours;
mod publish;
mod refused;
mod removed;
mod repair;
mod secrets;
mod share;
mod side_by_side;
mod storm;

/// The value of the tag that all our blocks bear.
const OWNER: &str = "cloud-provider-phoenixnap-auto";

/// A world with a public network, whose manager gives Services addresses on it.
pub fn world(settings: Settings, more: Value) -> World {
    announced_by("kube-vip", settings, more, 1)
}

/// As [`world`], with this announcer and seed.
#[allow(clippy::needless_pass_by_value, reason = "every test makes its own")]
pub fn announced_by(announcer: &str, settings: Settings, more: Value, seed: u64) -> World {
    let mut world = World::seeded(settings, json!({}), seed);
    let network = json!({"name": "services", "location": "ASH"});
    let network = world.sim.add(Kind::PublicNetwork, network).unwrap();
    let mut config = json!({"loadbalancer": format!("{announcer}://{network}"), "location": "ASH"});
    merge(&mut config, &more);
    world.configure(config);
    let id = world.add_server("node", &json!({}));
    world.add_node(
        "node",
        &json!({"spec": {"taints": [], "providerID": format!("phoenixnap://{id}")}}),
    );
    world
}

pub fn plain_world() -> World {
    world(Settings::default(), json!({}))
}

/// Catches what this thread logs, until the second value is dropped.
pub fn caught() -> (Capture, impl Sized) {
    let capture = Capture::default();
    let dispatch = || {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(capture.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE);
        tracing::Dispatch::new(subscriber.finish())
    };
    // As long as there is only one, what another test's thread comes by first is not logged anywhere.
    let (first, second) = (dispatch(), dispatch());
    let guard = tracing::dispatcher::set_default(&second);
    (capture, (guard, first))
}

/// A block, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub id: String,
    pub cidr: String,
    pub status: String,
    pub tags: BTreeMap<String, String>,
}

impl World {
    /// The id of the public network.
    pub fn public_network(&self) -> String {
        self.sim.objects(Kind::PublicNetwork).keys().next().unwrap().clone()
    }

    /// The UID that tells this cluster from others.
    pub fn uid(&self) -> String {
        let namespace = self.kube.get("namespaces", None, "kube-system").unwrap();
        namespace["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// Makes a Service of type LoadBalancer. More of it is merged in.
    pub fn add_service(&self, name: &str, more: &Value) {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
        });
        merge(&mut service, more);
        self.kube.create(service).unwrap();
    }

    pub fn service(&self, name: &str) -> Option<Value> {
        self.kube.get("services", Some("default"), name)
    }

    /// Merges into a Service.
    pub fn change_service(&self, name: &str, more: &Value) {
        let mut service = self.service(name).unwrap();
        merge(&mut service, more);
        self.kube.update(service).unwrap();
    }

    pub fn delete_service(&self, name: &str) {
        self.kube.delete("services", Some("default"), name).unwrap();
    }

    /// Where a Service says that it is reached.
    pub fn ingress(&self, name: &str) -> Vec<String> {
        let service = self.service(name).unwrap_or_default();
        let ingress = service["status"]["loadBalancer"]["ingress"].as_array().cloned();
        let ip = |one: &Value| one["ip"].as_str().unwrap_or("no address").to_owned();
        ingress.unwrap_or_default().iter().map(ip).collect()
    }

    /// All blocks of the account.
    pub fn blocks(&self) -> Vec<Block> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tags = |block: &Value| {
            let tags = block["tags"].as_array().cloned().unwrap_or_default();
            tags.iter()
                .map(|tag| (text(&tag["name"]), text(&tag["value"])))
                .collect()
        };
        let block = |(id, block): (String, Value)| Block {
            id,
            cidr: text(&block["cidr"]),
            status: text(&block["status"]),
            tags: tags(&block),
        };
        self.sim.objects(Kind::Block).into_iter().map(block).collect()
    }

    /// Makes a block that this cluster bought, for a Service, on the network.
    pub fn add_block(&self, cidr: &str, service: &str, more: &Value) -> String {
        for name in ["usage", "cluster", "serviceNamespace", "serviceName", "delete"] {
            if !self.sim.objects(Kind::Tag).values().any(|tag| tag["name"] == name) {
                self.sim.add(Kind::Tag, json!({"name": name})).unwrap();
            }
        }
        let tag = |name: &str, value: &str| json!({"name": name, "value": value});
        let mut block = json!({
            "cidr": cidr, "status": "assigned", "target": {"network": self.public_network()},
            "tags": [
                tag("usage", OWNER), tag("cluster", &self.uid()), tag("serviceNamespace", "default"),
                tag("serviceName", service),
            ],
        });
        merge(&mut block, more);
        self.sim.add(Kind::Block, block).unwrap()
    }

    /// How many blocks were bought.
    pub fn bought(&self) -> usize {
        self.asked("POST", "/ips/v1/ip-blocks")
    }

    /// How many of these purchases came about, or may have: what the cloud refused did not.
    pub fn sold(&self) -> usize {
        let requests = self.sim.front().requests();
        let bought = requests
            .iter()
            .filter(|it| it.method == "POST" && it.path == "/ips/v1/ip-blocks");
        bought.filter(|it| it.status.is_none_or(|status| status < 400)).count()
    }

    /// The messages of the warnings about a Service.
    pub fn warnings(&self, name: &str) -> Vec<String> {
        let about = |(reason, object, message): (String, String, String)| {
            (object == name && !reason.is_empty()).then_some(message)
        };
        let told = self.events().into_iter().filter_map(about);
        let harmless = ["load balancer", "Load balancer"];
        told.filter(|text: &String| !harmless.iter().any(|end| text.ends_with(end)))
            .collect()
    }

    #[track_caller]
    pub fn until_served(&self, names: &[&str]) -> impl Future<Output = ()> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.until("services have addresses", Duration::from_mins(30), move |world| {
            names.iter().all(|name| world.ingress(name).len() == 1)
        })
    }

    #[track_caller]
    pub fn until_no_blocks(&self) -> impl Future<Output = ()> {
        self.until("no blocks are left", Duration::from_hours(1), |world| {
            world.blocks().is_empty()
        })
    }
}
