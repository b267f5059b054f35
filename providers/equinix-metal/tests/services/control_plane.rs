//! The way to the API server from outside.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use equinix_metal_sim::Settings;
use serde_json::{Value, json};

use crate::cluster::{EXTERNAL, SOON, told, users_balancer, without_machines};
use crate::harness::{World, merge, minutes, seconds};

pub const TAG: &str = "control-plane";

/// The devices whose API server answers, and the addresses that nobody answers at.
#[derive(Clone, Default)]
pub struct Healthy {
    devices: Arc<Mutex<BTreeSet<String>>>,
    silent: Arc<Mutex<BTreeSet<String>>>,
}

impl Healthy {
    pub fn set(&self, device: &str, healthy: bool) {
        let mut devices = self.devices.lock().unwrap();
        if healthy {
            devices.insert(device.to_owned());
        } else {
            devices.remove(device);
        }
    }

    pub fn silence(&self, address: &str) {
        self.silent.lock().unwrap().insert(address.to_owned());
    }

    fn answers(&self, device: &str, address: &str) -> bool {
        self.devices.lock().unwrap().contains(device) && !self.silent.lock().unwrap().contains(address)
    }
}

/// A world with three control-plane nodes whose API servers answer at every address that their devices have, and a tagged
/// Elastic IP that is on none of them.
pub struct Plane {
    pub world: World,
    pub devices: Vec<String>,
    pub eip: String,
    pub healthy: Healthy,
}

pub fn control_plane(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""}}})
}

pub fn plane(more: &Value) -> Plane {
    let mut config = json!({"eipTag": TAG});
    merge(&mut config, more);
    let mut world = without_machines(Settings::default(), "kube-vip://");
    world.configure(config);
    let (_, eip) = world.sim.reserve(&[TAG]).unwrap();
    let healthy = Healthy::default();
    let mut devices = Vec::new();
    for n in 0..3 {
        let name = format!("cp{n}");
        let id = world.sim.add_device(&name);
        world.add_node(&name, &control_plane(&name));
        healthy.set(&id, true);
        devices.push(id);
    }
    let (sim, alive) = (world.sim.clone(), healthy.clone());
    world.network.resolver(move |host| {
        let (address, port) = host.rsplit_once(':')?;
        if port != "6443" {
            return None;
        }
        let has = |device: &Value| {
            let addresses = device["ip_addresses"].as_array().into_iter().flatten();
            addresses.into_iter().any(|one| one["address"] == json!(address))
        };
        let device = sim.devices().into_iter().find(has)?;
        let answers = alive.answers(device["id"].as_str()?, address);
        answers.then(|| Router::new().route("/healthz", get(|| async { "ok" })))
    });
    world
        .kube
        .create(slice("kubernetes", "kubernetes", &["10.0.0.1"]))
        .unwrap();
    Plane {
        world,
        devices,
        eip,
        healthy,
    }
}

pub fn slice(name: &str, service: &str, addresses: &[&str]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        "endpoints": [{"addresses": addresses, "conditions": {"ready": true}}],
    })
}

impl Plane {
    /// The device that has the Elastic IP.
    pub fn holder(&self) -> Option<String> {
        let all = self.world.sim.assignments();
        let ours: Vec<&Value> = all.iter().filter(|one| one["address"] == json!(self.eip)).collect();
        assert!(ours.len() < 2, "on more than one device: {ours:?}");
        let href = ours.first()?["assigned_to"]["href"].as_str()?.to_owned();
        href.rsplit('/').next().map(str::to_owned)
    }

    pub async fn until_held(&self) -> String {
        self.world
            .until("somebody has the address", SOON, |_| self.holder().is_some())
            .await;
        self.holder().unwrap()
    }

    pub fn external(&self) -> Option<Value> {
        self.world.service("kube-system", EXTERNAL)
    }

    pub fn copy(&self) -> Option<Value> {
        self.world
            .kube
            .get("endpointslices.discovery.k8s.io", Some("kube-system"), EXTERNAL)
    }

    /// How often the address was given to a device.
    pub fn moves(&self) -> usize {
        let requests = self.world.sim.front().requests();
        let given = requests
            .iter()
            .filter(|one| one.method == "POST" && one.path.ends_with("/ips"));
        given
            .filter(|one| one.path.contains("/devices/") && one.status == Some(201))
            .count()
    }

    pub fn cordon(&self, name: &str) {
        let mut node = self.world.node(name).unwrap();
        node["spec"]["unschedulable"] = json!(true);
        let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
        match node["spec"]["taints"].as_array_mut() {
            Some(taints) => taints.push(taint),
            None => node["spec"]["taints"] = json!([taint]),
        }
        self.world.kube.update(node).unwrap();
    }

    pub fn name_of(&self, device: &str) -> String {
        let device = self.world.sim.device(device).unwrap();
        device["hostname"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn the_address_is_given_to_a_node_and_the_api_server_is_found_behind_it() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    plane.until_held().await;
    plane
        .world
        .until("the copies are there", SOON, |_| plane.copy().is_some())
        .await;
    let service = plane.external().unwrap();
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["loadBalancerIP"], json!(plane.eip));
    // 443 leads nowhere (#171): the API server listens on 6443.
    assert_eq!(service["spec"]["ports"][0]["port"], 6443);
    // MetalLB and kube-vip would announce it on workers (#258, kube-vip 397).
    assert_eq!(service["spec"]["loadBalancerClass"], "metal.equinix.com/control-plane");
    assert_eq!(
        service["status"]["loadBalancer"]["ingress"],
        json!([{"ip": plane.eip, "ipMode": "VIP"}])
    );
    assert_eq!(plane.copy().unwrap()["endpoints"][0]["addresses"], json!(["10.0.0.1"]));
    // It goes on quietly: nothing moves, nothing is written, the provider is hardly asked.
    seconds(60).await;
    let holder = plane.holder();
    plane.world.kube.clear_requests();
    let (sent, lists) = (plane.world.sent(), plane.world.asked("GET", "/ips"));
    minutes(10).await;
    assert_eq!((plane.holder(), plane.moves()), (holder, 1));
    assert!(
        plane.world.asked("GET", "/ips") - lists <= 2,
        "{}",
        plane.world.sent() - sent
    );
    let writes: Vec<_> = plane
        .world
        .kube
        .requests()
        .into_iter()
        .filter(|one| one.path.contains(EXTERNAL))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn one_failed_probe_moves_nothing_and_three_in_a_row_do() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = plane.until_held().await;
    seconds(60).await;
    plane.healthy.set(&first, false);
    seconds(7).await;
    plane.healthy.set(&first, true);
    minutes(2).await;
    assert_eq!(
        (plane.holder().as_deref(), plane.moves()),
        (Some(first.as_str()), 1),
        "a blink moves nothing"
    );
    plane.healthy.set(&first, false);
    let began = tokio::time::Instant::now();
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(told(&plane.world, "ElasticIPMoved"));
    minutes(5).await;
    assert_eq!(plane.moves(), 2, "and stays");
}

#[tokio::test(start_paused = true)]
async fn the_choice_is_the_same_every_time() {
    let mut holders = BTreeSet::new();
    for _ in 0..3 {
        let plane = plane(&json!({}));
        let _ran = plane.world.run(&[]);
        let device = plane.until_held().await;
        holders.insert(plane.name_of(&device));
    }
    assert_eq!(holders, ["cp0".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_holder_is_left_and_one_that_does_not_hold_it_changes_nothing() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = plane.until_held().await;
    plane.world.until_initialised(3).await;
    plane.cordon("cp2");
    plane.world.kube.delete("nodes", None, "cp2").unwrap();
    minutes(2).await;
    assert_eq!(plane.holder(), Some(first.clone()));
    plane.cordon(&plane.name_of(&first));
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_node_is_deleted_is_left() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = plane.until_held().await;
    plane.world.until_initialised(3).await;
    plane.world.kube.delete("nodes", None, &plane.name_of(&first)).unwrap();
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_when_nobody_answers() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = plane.until_held().await;
    for device in &plane.devices {
        plane.healthy.set(device, false);
    }
    minutes(5).await;
    assert_eq!((plane.holder(), plane.moves()), (Some(first), 1));
    assert!(told(&plane.world, "ControlPlaneEndpointFailed"));
}

#[tokio::test(start_paused = true)]
async fn slices_of_other_services_are_not_mirrored() {
    // The Go program sends the API server's traffic to any Service in `default`.
    let plane = plane(&json!({}));
    plane.world.kube.create(slice("web-1", "web", &["10.66.6.6"])).unwrap();
    let _ran = plane.world.run(&[]);
    plane
        .world
        .until("the copy is there", SOON, |_| plane.copy().is_some())
        .await;
    plane.world.kube.create(slice("web-2", "web", &["10.66.6.7"])).unwrap();
    minutes(2).await;
    let text = plane.copy().unwrap()["endpoints"].to_string();
    assert_eq!(text, r#"[{"addresses":["10.0.0.1"],"conditions":{"ready":true}}]"#);
    let mut source = plane
        .world
        .kube
        .get("endpointslices.discovery.k8s.io", Some("default"), "kubernetes")
        .unwrap();
    source["endpoints"][0]["addresses"] = json!(["10.0.0.2"]);
    plane.world.kube.update(source).unwrap();
    let follows = |_: &World| plane.copy().unwrap()["endpoints"][0]["addresses"] == json!(["10.0.0.2"]);
    plane.world.until("the copy follows", SOON, follows).await;
}

#[tokio::test(start_paused = true)]
async fn what_others_changed_in_the_service_is_put_right() {
    let plane = plane(&json!({"apiServerPort": 7443}));
    let _ran = plane.world.run(&[]);
    plane
        .world
        .until("the service is there", SOON, |_| plane.external().is_some())
        .await;
    let mut service = plane.external().unwrap();
    assert_eq!(service["spec"]["ports"][0]["port"], 7443);
    service["spec"]["ports"][0]["port"] = json!(443);
    plane.world.kube.update(service).unwrap();
    let right = |_: &World| plane.external().unwrap()["spec"]["ports"][0]["port"] == json!(7443);
    plane.world.until("it is put right", SOON, right).await;
    plane
        .world
        .kube
        .delete("services", Some("kube-system"), EXTERNAL)
        .unwrap();
    plane
        .world
        .until("it comes back", SOON, |_| plane.external().is_some())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_tag_is_told() {
    let mut world = without_machines(Settings::default(), "kube-vip://");
    world.configure(json!({"eipTag": "nobody-has-it"}));
    let _ran = world.run(&[]);
    world
        .until("it is told", SOON, |world| told(world, "ControlPlaneEndpointFailed"))
        .await;
    let text = "elastic IP not found. Please verify you have one with the expected tag: nobody-has-it";
    assert!(world.events().iter().any(|event| event.2.contains(text)));
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_leads_to_the_control_plane_and_is_never_deleted() {
    let mut world = without_machines(Settings::default(), "emlb:///da");
    let first = users_balancer(&world);
    world.configure(json!({"loadBalancerID": first}));
    world.sim.add_device("cp0");
    world.add_node("cp0", &control_plane("cp0"));
    world
        .kube
        .create(slice("kubernetes", "kubernetes", &["10.0.0.1"]))
        .unwrap();
    let _ran = world.run(&[]);
    let has_port = |world: &World| {
        let ports = world.sim.load_balancers()[0]["ports"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ports.iter().any(|port| port["number"] == 6443)
    };
    world
        .until("the load balancer leads to the control plane", SOON, has_port)
        .await;
    world
        .until("the service says so", SOON, |world| {
            !world.ingress("kube-system", EXTERNAL).is_empty()
        })
        .await;
    world.kube.delete("services", Some("kube-system"), EXTERNAL).unwrap();
    minutes(1).await;
    assert_eq!(world.sim.load_balancers().len(), 1);
    assert!(has_port(&world));
}

#[tokio::test(start_paused = true)]
async fn excluded_nodes_get_no_traffic_from_the_load_balancer() {
    const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
    let mut world = without_machines(Settings::default(), "emlb:///da");
    let id = users_balancer(&world);
    world.configure(json!({"loadBalancerID": id}));
    for name in ["cp0", "cp1"] {
        world.sim.add_device(name);
        world.add_node(name, &control_plane(name));
    }
    world.add_machine("worker");
    world
        .kube
        .create(slice("kubernetes", "kubernetes", &["10.0.0.1"]))
        .unwrap();
    let _ran = world.run(&[]);
    world.until_initialised(3).await;
    let origins = |world: &World| -> BTreeSet<String> {
        let state = world.sim.state();
        let origins = state["balancer_origins"].as_array().cloned().unwrap_or_default();
        origins
            .iter()
            .filter_map(|one| one["target"].as_str().map(str::to_owned))
            .collect()
    };
    let external = |names: &[&str]| -> BTreeSet<String> {
        let addresses = names.iter().flat_map(|name| world.addresses(name));
        let external = addresses.filter_map(|one| one.strip_prefix("ExternalIP ").map(str::to_owned));
        external.collect()
    };
    let exclude = |name: &str, excluded: bool| {
        let mut node = world.node(name).unwrap();
        let labels = node["metadata"]["labels"].as_object_mut().unwrap();
        if excluded {
            labels.insert(EXCLUDE.to_owned(), json!(""));
        } else {
            labels.remove(EXCLUDE);
        }
        world.kube.update(node).unwrap();
    };
    for (what, change, expected) in [
        ("those of the control plane", None, vec!["cp0", "cp1"]),
        ("one is excluded", Some(("cp0", true)), vec!["cp1"]),
        ("all are, as kubeadm has it", Some(("cp1", true)), vec!["worker"]),
        ("one is back", Some(("cp0", false)), vec!["cp0"]),
    ] {
        if let Some((name, excluded)) = change {
            exclude(name, excluded);
        }
        world
            .until(what, SOON, |world| origins(world) == external(&expected))
            .await;
    }
}
