//! The manager dies before and after each of its requests, and the cluster comes out the same.

use axum::BoxError;
use cloud_provider::names::TAINT_SHUTDOWN;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};
use serde_json::{Value, json};

use crate::harness::{World, seconds};

struct Life {
    setup: fn(&World),
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
        let _ran = world.run(&[]);
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
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        let nodes: Vec<Value> = world
            .kube
            .list("nodes")
            .into_iter()
            .map(|node| {
                json!({
                    "name": node["metadata"]["name"], "spec": node["spec"], "labels": node["metadata"]["labels"],
                    "addresses": node["status"]["addresses"],
                })
            })
            .collect();
        json!({ "nodes": nodes, "leaks": world.sim.leaks() })
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
async fn initialising_nodes_survives_every_crash() {
    let life = Life {
        setup: |world| {
            world.add_machines(3);
        },
        done: |world| world.initialised().len() == 3,
    };
    survives("initialising nodes", &life).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_and_tainting_nodes_survives_every_crash() {
    let life = Life {
        setup: |world| {
            for n in 0..4 {
                let name = format!("n{n}");
                let id = world.sim.add_device(&name);
                world.add_node(
                    &name,
                    &json!({"spec": {"taints": [], "providerID": format!("equinixmetal://{id}")}}),
                );
                match n {
                    0 => world.sim.set_device_state(&id, "deleted").unwrap(),
                    1 => world.sim.set_device_state(&id, "inactive").unwrap(),
                    _ => {}
                }
            }
            world.set_ready("n0", "Unknown");
            world.set_ready("n1", "Unknown");
        },
        done: |world| world.node("n0").is_none() && world.taints("n1").iter().any(|key| key == TAINT_SHUTDOWN),
    };
    survives("deleting and tainting nodes", &life).await;
}
