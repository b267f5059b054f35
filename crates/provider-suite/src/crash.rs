//! The manager dies before and after each of its requests, to the API server and to the cloud, and the cluster comes out
//! the same.

use std::time::Duration;

use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::provider::Provider;
use crate::world::{World, seconds};

/// Demands that an operation survives being killed at each request, and prints at how many points it was.
pub async fn survives<S: Scenario>(name: &str, scenario: &S) {
    match every_cut(scenario).await {
        Ok(report) => {
            let requests = report.requests.len();
            println!("{name}: {} crash points over {requests} requests", report.points);
        }
        Err(error) => panic!("{name}: {}", kit::chain(&error)),
    }
}

/// What a crash scenario does while its manager runs: waits until it is done, and `rest` longer, for whatever still comes.
pub async fn comes_about(done: impl Fn() -> bool, limit: Duration, rest: Duration) -> Result<(), BoxError> {
    let began = Instant::now();
    while began.elapsed() < limit {
        seconds(1).await;
        if done() {
            tokio::time::sleep(rest).await;
            return Ok(());
        }
    }
    Err(format!("it did not come right in {limit:?}").into())
}

/// Something that happens to nodes.
struct Life<P: Provider> {
    setup: fn(&World<P>),
    done: fn(&World<P>) -> bool,
}

impl<P: Provider> Scenario for Life<P> {
    type World = World<P>;

    async fn setup(&self) -> World<P> {
        let world = World::new();
        (self.setup)(&world);
        world
    }

    fn network<'a>(&self, world: &'a World<P>) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World<P>) -> Result<(), BoxError> {
        let _ran = world.run(&[]);
        comes_about(|| (self.done)(world), Duration::from_mins(10), Duration::from_secs(20)).await
    }

    async fn recover(&self, world: &World<P>) -> Result<(), BoxError> {
        self.run(world).await
    }

    async fn end_state(&self, world: &World<P>) -> Value {
        let node = |node: Value| {
            json!({
                "name": node["metadata"]["name"], "spec": node["spec"], "labels": node["metadata"]["labels"],
                "addresses": node["status"]["addresses"],
            })
        };
        let nodes: Vec<Value> = world.kube.list("nodes").into_iter().map(node).collect();
        json!({"nodes": nodes, "cloud": P::end_state(&world.sim)})
    }
}

/// New nodes.
pub async fn initialising_nodes_survives_every_crash<P: Provider>() {
    let life = Life::<P> {
        setup: |world| {
            world.add_machines(3);
        },
        done: |world| world.initialised().len() == 3,
    };
    survives("initialising nodes", &life).await;
}

/// One machine of four is gone and one is off.
pub async fn deleting_and_tainting_nodes_survives_every_crash<P: Provider>() {
    let life = Life::<P> {
        setup: |world| {
            for n in 0..4 {
                let name = format!("n{n}");
                let id = P::add_machine(&world.sim, &name);
                world.add_initialised(&name, &id);
                match n {
                    0 => P::remove_machine(&world.sim, &id),
                    1 => P::switch_off(&world.sim, &id),
                    _ => {}
                }
            }
            world.set_ready("n0", "Unknown");
            world.set_ready("n1", "Unknown");
        },
        done: |world| world.node("n0").is_none() && world.is_shut_down("n1"),
    };
    survives("deleting and tainting nodes", &life).await;
}
