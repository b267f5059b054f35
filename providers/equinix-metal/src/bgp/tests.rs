use std::collections::BTreeMap;
use std::time::Duration;

use cloud_sim::{Fault, Network};
use equinix_metal_sim::{MetalSim, Settings};
use kit::{Class, Clock};
use kube_kit::Fence;
use kube_sim::KubeSim;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

/// A project with devices, and a cluster of their nodes.
struct World {
    sim: MetalSim,
    kube: KubeSim,
    network: Network,
    client: MetalClient,
}

impl World {
    fn new(nodes: usize) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let kube = KubeSim::builder().clock(clock.clone()).build();
        let sim = MetalSim::new(clock, Settings::default());
        let network = sim.network();
        network.host("kubernetes", kube.router());
        let world = Self {
            client: crate::testing::client(&sim),
            sim,
            kube,
            network,
        };
        (0..nodes).for_each(|n| drop(world.add(&format!("n{n}"))));
        world
    }

    /// Adds a device and its node; the device's ID.
    fn add(&self, name: &str) -> String {
        let id = self.sim.add_device(name);
        let spec = json!({"providerID": provider_id::of_device(&id)});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec});
        self.kube.create(node).unwrap();
        id
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        let nodes = self.kube.list("nodes").into_iter();
        nodes
            .map(|node| Arc::new(Node::cut(serde_json::from_value(node).unwrap())))
            .collect()
    }

    /// What a process begins with.
    fn bgp(&self) -> Bgp {
        let keys = br#"{"apiKey": "k", "projectID": "p"}"#;
        let config = Config::read(Some(keys), &|_| None).unwrap();
        let settings = BgpSettings {
            local_asn: config.local_asn,
            password: None,
            annotations: config.annotations,
        };
        Bgp::new(self.client.clone(), settings)
    }

    async fn speak(&self, bgp: &Bgp) -> Spoken {
        let bearer = format!("Bearer {}", self.kube.admin_token());
        let service = tower::ServiceBuilder::new()
            .map_request(move |mut request: http::Request<kube::client::Body>| {
                let headers = request.headers_mut();
                headers.insert(http::header::AUTHORIZATION, bearer.parse().unwrap());
                request
            })
            .service(self.network.for_host("kubernetes"));
        let client = kube::Client::new(service, "default");
        bgp.speak(&client, &self.nodes()).await
    }

    /// Has all of them speak.
    async fn all_speak(&self, bgp: &Bgp) {
        let spoken = self.speak(bgp).await;
        assert!(spoken.failures.is_empty(), "{:?}", spoken.failures);
    }

    /// What the API was asked since this was called last, by method and path without IDs.
    fn asked(&self) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for one in self.sim.front().requests() {
            let parts = one.path.trim_start_matches("/metal/v1/").split('/');
            let parts: Vec<&str> = parts.filter(|part| part.len() < 36).collect();
            *asked.entry(format!("{} {}", one.method, parts.join("/"))).or_default() += 1;
        }
        self.sim.front().clear_requests();
        asked
    }

    fn annotation(&self, node: &str, key: &str) -> Value {
        let node = self.kube.get("nodes", None, node).unwrap();
        node["metadata"]["annotations"][format!("metal.equinix.com/{key}")].clone()
    }
}

fn requests<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.map(|(what, times)| (what.to_owned(), times)).into()
}

async fn minutes(n: u64) {
    tokio::time::sleep(Duration::from_mins(n)).await;
}

#[test]
fn nodes_of_others_are_foreign_and_new_ones_are_not() {
    let node = |id: &str| Node {
        provider_id: id.to_owned(),
        ..Node::default()
    };
    assert!(is_foreign(&node("aws:///eu/i-1")) && !is_foreign(&node("")));
    assert!(!is_foreign(&node("packet://abc")));
    assert_eq!(device_of(&node("packet://abc")), Some("abc"));
    assert_eq!(device_of(&node("")), None);
}

#[tokio::test(start_paused = true)]
async fn many_nodes_are_looked_up_in_lists_and_only_once() {
    let world = World::new(50);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.asked();
    world.all_speak(&bgp).await;
    let asked = world.asked();
    let lists = [("GET projects/bgp/sessions", 1), ("GET projects/devices", 1)];
    let each = [("POST devices/bgp/sessions", 50), ("GET devices/bgp/neighbors", 50)];
    assert_eq!(asked, requests([lists[0], lists[1], each[0], each[1]]));
    println!("50 nodes that speak for the first time: {asked:?}");
    minutes(2).await;
    world.all_speak(&bgp).await;
    assert_eq!(
        world.asked(),
        requests([lists[0], lists[1], each[1]]),
        "new sessions are looked at again"
    );
    for _ in 0..100 {
        world.all_speak(&bgp).await;
    }
    assert_eq!(world.asked(), requests([]), "however many Services there are");
    world.all_speak(&world.bgp()).await;
    assert_eq!(
        world.asked(),
        requests([lists[0], lists[1], each[1]]),
        "after a restart"
    );
    minutes(20).await;
    assert!(bgp.is_due(&world.nodes()));
    world.all_speak(&bgp).await;
    assert_eq!(
        world.asked(),
        requests([lists[0]]),
        "whether the sessions are there still"
    );
    assert!(!bgp.is_due(&world.nodes()));
    minutes(11).await;
    world.all_speak(&bgp).await;
    assert_eq!(
        world.asked(),
        requests([lists[0], lists[1], each[1]]),
        "half an hour later"
    );
}

#[tokio::test(start_paused = true)]
async fn one_new_node_does_not_take_lists_of_all() {
    let world = World::new(20);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    assert!(!bgp.is_due(&world.nodes()));
    world.add("new");
    assert!(bgp.is_due(&world.nodes()));
    world.asked();
    world.all_speak(&bgp).await;
    let expected = [
        ("GET devices", 1),
        ("GET devices/bgp/neighbors", 1),
        ("POST devices/bgp/sessions", 1),
    ];
    assert_eq!(world.asked(), requests(expected));
    assert_eq!(world.annotation("new", "bgp-peers-1-peer-ip"), "169.254.255.2");
}

#[tokio::test(start_paused = true)]
async fn what_lists_do_not_show_is_asked_for_by_itself() {
    let world = World::new(4);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    let networks: Vec<Value> = (0..4)
        .map(|n| world.annotation(&format!("n{n}"), "network-4-private"))
        .collect();
    for (list, body) in [
        ("/bgp/sessions$", json!({"bgp_sessions": []})),
        ("/projects/[^/]+/devices$", json!({"devices": [], "meta": {}})),
    ] {
        world
            .sim
            .front()
            .inject(Fault::status(200).body(body).on("GET", list))
            .unwrap();
    }
    world.all_speak(&world.bgp()).await;
    assert_eq!(world.sim.bgp_sessions().len(), 4, "no second session");
    for (n, network) in networks.iter().enumerate() {
        assert_eq!(world.annotation(&format!("n{n}"), "network-4-private"), *network);
        assert!(network.is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_fails_is_not_asked_for_every_node() {
    let world = World::new(50);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    for path in ["/projects/", "/bgp/neighbors$"] {
        world.asked();
        let fault = Fault::status(503).on("GET", path).always();
        world.sim.front().inject(fault).unwrap();
        let spoken = world.speak(&bgp).await;
        assert_eq!(spoken.unknown.len(), 50, "{path}");
        assert_eq!(spoken.failures[49].1.class(), Class::Transient);
        let asked = world.asked().into_iter().filter(|(what, _)| what.starts_with("GET"));
        let asked: usize = asked.map(|(_, times)| times).sum();
        println!("50 nodes and an API that fails at {path}: {asked} requests");
        // A few at a time, each as often as anything is tried.
        assert!(asked <= 2 + AT_A_TIME * 6, "{path}: {asked}");
        world.sim.front().clear_faults();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    world.all_speak(&bgp).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_the_key_may_not_see_keeps_nobody_waiting() {
    let world = World::new(20);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    let hidden = world.sim.device("n0").unwrap()["id"].as_str().unwrap().to_owned();
    let fault = Fault::status(403).on("GET", &format!("/{hidden}/bgp/neighbors$"));
    world.sim.front().inject(fault.always()).unwrap();
    let spoken = world.speak(&bgp).await;
    assert_eq!((spoken.speakers.len(), spoken.failures.len()), (19, 1));
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_nothing_is_changed_at_the_provider() {
    let world = World::new(5);
    let sent = || world.asked().into_keys().any(|what| !what.starts_with("GET"));
    world.client.guard(&Fence::closed());
    let error = world.bgp().enable_project().await.unwrap_err();
    assert!(kit::chain(&error).contains("does not hold the lease"), "{error:?}");
    assert!(!sent());
    // Enabled by another process meanwhile.
    let mut state = world.sim.state();
    let terms = json!({"id": "00000000-0000-4000-8000-00000000b697", "asn": 65000, "deployment_type": "local", "status": "enabled"});
    state["projects"][0]["bgp"] = terms;
    world.sim.replace(state).unwrap();
    let spoken = world.speak(&world.bgp()).await;
    assert_eq!(spoken.failures.len(), 5);
    assert!(!sent() && world.sim.bgp_sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn peers_of_a_new_session_that_are_late_are_told_a_minute_later() {
    let world = World::new(1);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    let early = json!({"bgp_neighbors": [{
        "address_family": 4, "customer_as": 65000, "customer_ip": "10.0.0.3", "peer_as": 65530,
        "peer_ips": ["169.254.255.1"],
    }]});
    let fault = Fault::status(200).body(early).on("GET", "/bgp/neighbors$");
    world.sim.front().inject(fault).unwrap();
    world.all_speak(&bgp).await;
    assert!(world.annotation("n0", "bgp-peers-1-peer-ip").is_null());
    minutes(1).await;
    assert!(bgp.is_due(&world.nodes()));
    world.all_speak(&bgp).await;
    assert_eq!(world.annotation("n0", "bgp-peers-1-peer-ip"), "169.254.255.2");
    minutes(3).await;
    assert!(!bgp.is_due(&world.nodes()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_somebody_deleted_is_made_again_within_minutes() {
    let world = World::new(10);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    minutes(2).await;
    world.all_speak(&bgp).await;
    let mut state = world.sim.state();
    state["sessions"].as_array_mut().unwrap().remove(3);
    world.sim.replace(state).unwrap();
    assert_eq!(world.sim.bgp_sessions().len(), 9);
    minutes(6).await;
    assert!(bgp.is_due(&world.nodes()));
    world.asked();
    world.all_speak(&bgp).await;
    assert_eq!(world.sim.bgp_sessions().len(), 10);
    let asked = world.asked();
    assert_eq!(
        (asked["POST devices/bgp/sessions"], asked["GET devices/bgp/neighbors"]),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_that_speak_go_on_while_the_api_is_away_and_wait_for_it_once() {
    let world = World::new(10);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    minutes(2).await;
    world.all_speak(&bgp).await;
    world.sim.front().inject(Fault::status(503).always()).unwrap();
    minutes(6).await;
    world.asked();
    let began = Instant::now();
    for _ in 0..20 {
        world.all_speak(&bgp).await;
    }
    let asked: usize = world.asked().into_values().sum();
    assert!(asked <= 6, "{asked}");
    assert!(began.elapsed() < Duration::from_mins(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_api_without_a_list_of_sessions_is_asked_device_by_device() {
    for status in [403, 404] {
        let world = World::new(5);
        let fault = Fault::status(status).body(json!({"errors": ["no"]}));
        let fault = fault.on("GET", "/projects/[^/]+/bgp/sessions$").always();
        world.sim.front().inject(fault).unwrap();
        let bgp = world.bgp();
        bgp.enable_project().await.unwrap();
        world.all_speak(&bgp).await;
        assert_eq!(world.sim.bgp_sessions().len(), 5);
        minutes(6).await;
        world.asked();
        world.all_speak(&bgp).await;
        assert!(!world.asked().contains_key("POST devices/bgp/sessions"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_lacks_sessions_changes_nothing() {
    let world = World::new(5);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    let empty = Fault::status(200).body(json!({"bgp_sessions": []}));
    let fault = empty.on("GET", "/projects/[^/]+/bgp/sessions$").always();
    world.sim.front().inject(fault).unwrap();
    for _ in 0..4 {
        minutes(6).await;
        world.all_speak(&bgp).await;
        assert_eq!(world.sim.bgp_sessions().len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_changed_at_the_provider_reaches_the_nodes() {
    let world = World::new(3);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    minutes(2).await;
    world.all_speak(&bgp).await;
    assert_eq!(world.annotation("n2", "bgp-peers-0-bgp-pass"), "");
    let mut state = world.sim.state();
    state["projects"][0]["bgp"]["md5"] = json!("Abcdefghi1");
    world.sim.replace(state).unwrap();
    minutes(5).await;
    // As for each Service that is looked after.
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    assert_eq!(world.annotation("n2", "bgp-peers-0-bgp-pass"), "QWJjZGVmZ2hpMQ==");
}

#[tokio::test(start_paused = true)]
async fn annotations_that_somebody_took_away_come_back() {
    let world = World::new(2);
    let bgp = world.bgp();
    bgp.enable_project().await.unwrap();
    world.all_speak(&bgp).await;
    minutes(2).await;
    world.all_speak(&bgp).await;
    assert!(!bgp.is_due(&world.nodes()));
    // A node that was made anew, for the same device.
    let mut node = world.kube.get("nodes", None, "n1").unwrap();
    node["metadata"]["annotations"] = json!({});
    world.kube.update(node).unwrap();
    assert!(bgp.is_due(&world.nodes()));
    world.asked();
    world.all_speak(&bgp).await;
    assert_eq!(world.annotation("n1", "bgp-peers-0-peer-ip"), "169.254.255.1");
    assert_eq!(world.asked(), requests([]), "the provider has nothing to do with it");
}
