//! Worlds with load balancers, and what can be seen of them.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_provider::Context;
use cloud_provider::data::Service;
use equinix_metal_sim::{PROJECT_ID, Settings};
use kube_kit::metrics::Registry;
use kube_kit::{Broadcaster, Fence, Store};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::{World, client};

pub const USAGE: &str = "usage=cloud-provider-equinix-metal-auto";
pub const RESOURCES: &str = "metallb:///metallb-system?crdConfiguration=true";
pub const CONFIG_MAP: &str = "metallb:///metallb-system/config";
pub const EXTERNAL: &str = "cloud-provider-equinix-metal-kubernetes-external";
/// How long a Service may take.
pub const SOON: Duration = Duration::from_mins(3);

/// A world with this `loadbalancer` and two machines.
pub fn world(setting: &str) -> World {
    let world = without_machines(Settings::default(), setting);
    world.add_machines(2);
    world
}

pub fn without_machines(settings: Settings, setting: &str) -> World {
    let world = World::with(settings, json!({"loadbalancer": setting, "metro": "da"}));
    world.install_metallb();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": "metallb-system"},
        "data": {"config": "bfd-profiles: [{name: fast}]\n"},
    });
    world.kube.create(map).unwrap();
    world
}

/// The reservations that bear the provider's mark: address and ID.
pub fn reserved(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = world.sim.reservations().into_iter();
    let ours = all.filter(|one| one["tags"].as_array().is_some_and(|tags| tags.contains(&json!(USAGE))));
    ours.map(|one| (text(&one["address"]), text(&one["id"]))).collect()
}

/// The objects of a kind of MetalLB's: name and spec.
pub fn metallb(world: &World, plural: &str) -> Vec<(String, Value)> {
    let all = world.kube.list(&format!("{plural}.metallb.io")).into_iter();
    all.map(|one| {
        (
            one["metadata"]["name"].as_str().unwrap().to_owned(),
            one["spec"].clone(),
        )
    })
    .collect()
}

/// What stands in MetalLB's config map.
pub fn config_map(world: &World) -> String {
    let map = world.kube.get("configmaps", Some("metallb-system"), "config").unwrap();
    map["data"]["config"].as_str().unwrap_or_default().to_owned()
}

/// The keys of a node's annotations about BGP.
pub fn bgp_annotations(world: &World, node: &str) -> BTreeSet<String> {
    let node = world.node(node).unwrap();
    let annotations = node["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| key.starts_with("metal.equinix.com/"))
        .collect()
}

/// Waits until a Service has its address, and gives it.
pub async fn addressed(world: &World, name: &str) -> String {
    world
        .until("the service has an address", SOON, |world| {
            !world.ingress("default", name).is_empty()
        })
        .await;
    world.ingress("default", name).remove(0)
}

/// Deletes a Service and waits until it is gone.
pub async fn delete(world: &World, name: &str) {
    world.kube.delete("services", Some("default"), name).unwrap();
    world
        .until("the service is gone", SOON, |world| {
            world.service("default", name).is_none()
        })
        .await;
}

/// What a manager would give a provider, behind this fence, without nodes and Services. Its events are written.
pub fn context(world: &World, fence: &Fence) -> Context {
    let client = client(&world.network, world.kube.admin_token(), fence);
    let (broadcaster, stop) = (Broadcaster::new(world.clock.clone()), CancellationToken::new());
    let recorder = broadcaster.recorder("test");
    tokio::spawn(broadcaster.run(client.clone(), stop.clone()));
    Context {
        client,
        nodes: Store::new(),
        services: Store::new(),
        cluster: "kubernetes".to_owned(),
        recorder,
        metrics: Registry::new(),
        clock: world.clock.clone(),
        fence: fence.clone(),
        stop,
        tasks: TaskTracker::new(),
    }
}

/// A Service as providers see it.
pub fn cut(world: &World, name: &str) -> Service {
    let service = world.service("default", name).unwrap();
    Service::cut(serde_json::from_value(service).unwrap())
}

/// Makes a load balancer at the provider, as a user does: its ID.
pub fn users_balancer(world: &World) -> String {
    let mut state = world.sim.state();
    let id = "loadbal-the-users-own";
    let balancer =
        json!({"id": id, "project": PROJECT_ID, "name": "the-users-own", "location": "lctnloc--uxs0GLeAELHKV8GxO_AI"});
    state["balancers"].as_array_mut().unwrap().push(balancer);
    world.sim.replace(state).unwrap();
    id.to_owned()
}

/// Whether an event with this reason was told.
pub fn told(world: &World, reason: &str) -> bool {
    world.events().iter().any(|event| event.0 == reason)
}
