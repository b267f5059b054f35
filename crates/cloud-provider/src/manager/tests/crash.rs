//! Every controller dies before and after each of its requests, to the API server and to the cloud, and the world comes
//! out the same.

use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};

use super::*;

/// A part of a life, run by a whole manager.
struct Life {
    setup: fn(&World),
    /// Whether the world is as it should be in the end.
    done: fn(&World) -> bool,
}

impl Scenario for Life {
    type World = World;

    async fn setup(&self) -> World {
        let world = World::new();
        (self.setup)(&world);
        world
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        let ran = run(world, &["--leader-elect=false"]);
        let _dies = ran.stop.clone().drop_guard();
        for _ in 0..600 {
            seconds(1).await;
            if (self.done)(world) {
                // Whatever still comes, comes.
                seconds(20).await;
                return Ok(());
            }
        }
        Err("it did not come right in ten minutes".into())
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        // A new process; what is left of the old one is as good as dead.
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        let nodes: Vec<Value> = world
            .sim
            .list("nodes")
            .into_iter()
            .map(|node| {
                let network = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let network = network.into_iter().find(|condition| condition["type"] == "NetworkUnavailable");
                json!({
                    "name": node["metadata"]["name"], "spec": node["spec"], "labels": node["metadata"]["labels"],
                    "addresses": node["status"]["addresses"], "network": network.map(|condition| condition["reason"].clone()),
                })
            })
            .collect();
        let services: Vec<Value> = world
            .sim
            .list("services")
            .into_iter()
            .filter(|service| service["spec"]["type"] == "LoadBalancer")
            .map(|service| {
                let (meta, status) = (&service["metadata"], &service["status"]);
                json!({"name": meta["name"], "finalizers": meta["finalizers"], "status": status})
            })
            .collect();
        let balancers: Vec<Value> = world
            .cloud
            .balancers()
            .into_values()
            .map(|one| json!({"service": one.service, "hosts": one.hosts, "address": one.address}))
            .collect();
        let routes: Vec<String> = world.cloud.route_table().into_iter().map(|route| route.name).collect();
        json!({"nodes": nodes, "services": services, "balancers": balancers, "reserved": world.cloud.addresses().len(), "routes": routes})
    }
}

async fn survives(name: &str, life: &Life) {
    match every_cut(life).await {
        Ok(report) => println!(
            "{name}: {} crash points over {} requests",
            report.points,
            report.requests.len()
        ),
        Err(error) => panic!("{name}: {}", kit::chain(&error)),
    }
}

#[tokio::test(start_paused = true)]
async fn initialising_nodes_and_their_routes() {
    let life = Life {
        setup: |world| {
            add_node(world, 1);
            add_node(world, 2);
        },
        done: |world| {
            let untainted = (1..=2).all(|n| world.taints(&format!("n{n}")).is_empty());
            untainted && world.cloud.route_table().len() == 2
        },
    };
    survives("nodes and routes", &life).await;
}

#[tokio::test(start_paused = true)]
async fn making_a_load_balancer() {
    let life = Life {
        setup: |world| {
            add_node(world, 1);
            add_service(world, "web");
        },
        done: |world| {
            let service = world.sim.get("services", Some("default"), "web").unwrap();
            service["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
                && world
                    .cloud
                    .balancers()
                    .values()
                    .all(|balancer| balancer.hosts == ["n1"])
        },
    };
    survives("making a load balancer", &life).await;
}

#[tokio::test(start_paused = true)]
async fn removing_a_load_balancer() {
    let life = Life {
        setup: |world| {
            let mut service = json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "web", "namespace": "default", "finalizers": [FINALIZER]},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            });
            service = world.sim.create(service).unwrap();
            let plain = crate::data::Service {
                uid: service["metadata"]["uid"].as_str().unwrap().to_owned(),
                name: "web".to_owned(),
                namespace: "default".to_owned(),
                ..crate::data::Service::default()
            };
            // Half made: an address is reserved, the load balancer itself was never made.
            world.cloud.reserve(&plain);
            world.sim.delete("services", Some("default"), "web").unwrap();
        },
        done: |world| world.sim.get("services", Some("default"), "web").is_none(),
    };
    survives("removing a load balancer", &life).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_and_tainting_nodes() {
    let life = Life {
        setup: |world| {
            for n in 1..=4 {
                add_node(world, n);
                let mut node = world.node(&format!("n{n}")).unwrap();
                node["spec"]["taints"] = json!([]);
                node["spec"]["providerID"] = json!(format!("fake://i-{n}"));
                world.sim.update(node).unwrap();
            }
            world.cloud.remove("i-1");
            world.cloud.power("i-2", false);
            set_ready(world, "n1", "Unknown");
            set_ready(world, "n2", "Unknown");
        },
        done: |world| {
            let tainted = world.taints("n2").iter().any(|taint| taint["key"] == TAINT_SHUTDOWN);
            world.node("n1").is_none() && tainted && world.cloud.route_table().len() == 3
        },
    };
    survives("deleting and tainting nodes", &life).await;
}
