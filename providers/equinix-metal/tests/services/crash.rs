//! The manager dies before and after each of its requests, and everything comes out the same.

use std::time::Duration;

use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::Scenario;
use provider_suite::crash::{comes_about, survives};
use serde_json::{Value, json};

use crate::cluster::{CONFIG_MAP, RESOURCES, bgp_annotations, config_map, metallb, reserved, world};
use crate::control_plane::{Plane, plane};
use crate::harness::{World, seconds};

/// How long it may take until all is right again.
const LONG: Duration = Duration::from_mins(10);

struct Life {
    setting: &'static str,
    /// Services that are there in the end; those that were there before and are not wanted any more are deleted.
    before: &'static [&'static str],
    after: &'static [&'static str],
}

impl Life {
    fn done(&self, world: &World) -> bool {
        let services = world.kube.list("services").into_iter();
        let names: Vec<String> = services
            .filter(|one| one["spec"]["type"] == "LoadBalancer")
            .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        names == self.after && self.after.iter().all(|name| !world.ingress("default", name).is_empty())
    }
}

impl Scenario for Life {
    type World = World;

    async fn setup(&self) -> World {
        let world = world(self.setting);
        let ran = world.run(&[]);
        world.until_initialised(2).await;
        for name in self.before {
            world.add_service("default", name, &json!({}));
            crate::cluster::addressed(&world, name).await;
        }
        seconds(20).await;
        ran.end().await.unwrap();
        for name in self.before.iter().filter(|name| !self.after.contains(name)) {
            world.kube.delete("services", Some("default"), name).unwrap();
        }
        for name in self.after.iter().filter(|name| !self.before.contains(name)) {
            world.add_service("default", name, &json!({}));
        }
        world
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        let _ran = world.run(&[]);
        comes_about(|| self.done(world), LONG, Duration::from_secs(25)).await
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        let services = world.kube.list("services").into_iter();
        let services: Vec<Value> = services
            .filter(|one| one["spec"]["type"] == "LoadBalancer")
            .map(|one| {
                let meta = &one["metadata"];
                json!({
                    "name": meta["name"], "finalizers": meta["finalizers"], "status": one["status"]["loadBalancer"],
                    "ip": one["spec"]["loadBalancerIP"], "assigned": meta["annotations"]["metal.equinix.com/eip-assigned"],
                })
            })
            .collect();
        let balancers: Vec<Value> = world
            .sim
            .load_balancers()
            .iter()
            .map(|one| json!({"name": one["name"], "ports": one["ports"].as_array().map(Vec::len)}))
            .collect();
        let addresses: Vec<String> = reserved(world).into_iter().map(|one| one.0).collect();
        let of_balancers = world.sim.load_balancers().into_iter();
        let of_balancers = of_balancers.filter_map(|one| one["ips"][0].as_str().map(str::to_owned));
        let in_use: Vec<String> = addresses.iter().cloned().chain(of_balancers).collect();
        let nodes = ["n0", "n1"].map(|node| bgp_annotations(world, node));
        let state = json!({
            "services": services, "reserved": addresses, "balancers": balancers,
            "pools": metallb(world, "ipaddresspools"), "peers": metallb(world, "bgppeers"),
            "advertisements": metallb(world, "bgpadvertisements"), "config": config_map(world),
            "sessions": world.sim.bgp_sessions().len(),
            "nodes": nodes,
            "leaks": world.sim.leaks()["pools"],
        });
        // Which address it is does not matter: a request that was under way when the process died may have taken one.
        let text = in_use.iter().zip(0..).fold(state.to_string(), |text, (address, n)| {
            text.replace(&format!("{address}\""), &format!("<address {n}>\""))
                .replace(&format!("{address}/"), &format!("<address {n}>/"))
        });
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn making_a_service_survives_every_crash() {
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP, "emlb:///da"] {
        let life = Life {
            setting,
            before: &[],
            after: &["web"],
        };
        survives(&format!("making, {setting}"), &life).await;
    }
}

#[tokio::test(start_paused = true)]
async fn deleting_a_service_survives_every_crash() {
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP, "emlb:///da"] {
        let life = Life {
            setting,
            before: &["web"],
            after: &[],
        };
        survives(&format!("deleting, {setting}"), &life).await;
    }
}

#[tokio::test(start_paused = true)]
async fn taking_up_what_is_there_survives_every_crash() {
    for setting in [RESOURCES, "emlb:///da"] {
        let life = Life {
            setting,
            before: &["a", "b"],
            after: &["b", "c"],
        };
        survives(&format!("changing, {setting}"), &life).await;
    }
}

/// The holder of the Elastic IP falls silent.
struct HandOver;

impl Scenario for HandOver {
    type World = (Plane, String);

    async fn setup(&self) -> Self::World {
        let plane = plane(&json!({}));
        let ran = plane.world.run(&[]);
        let holder = plane.until_held().await;
        plane.world.until_initialised(3).await;
        seconds(30).await;
        ran.end().await.unwrap();
        plane.healthy.set(&holder, false);
        (plane, holder)
    }

    fn network<'a>(&self, (plane, _): &'a Self::World) -> &'a Network {
        &plane.world.network
    }

    async fn run(&self, (plane, holder): &Self::World) -> Result<(), BoxError> {
        let _ran = plane.world.run(&[]);
        let moved = || plane.holder().is_some_and(|now| now != *holder);
        comes_about(moved, LONG, Duration::from_secs(15)).await
    }

    async fn recover(&self, world: &Self::World) -> Result<(), BoxError> {
        self.run(world).await
    }

    async fn end_state(&self, (plane, _): &Self::World) -> Value {
        let service = plane.external().unwrap_or_default();
        let slice = plane.copy().unwrap_or_default();
        json!({
            "holder": plane.holder(), "spec": service["spec"]["ports"], "status": service["status"],
            "endpoints": slice["endpoints"], "assignments": plane.world.sim.assignments().len(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn handing_the_elastic_ip_over_survives_every_crash() {
    survives("handing over", &HandOver).await;
}
