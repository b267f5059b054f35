//! The manager dies before and after each of its requests, and no block is leaked or bought twice.

use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};
use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use super::world;
use crate::harness::{World, minutes, seconds};

/// A thing that happens to Services.
struct Life {
    config: Value,
    /// What there is before.
    before: &'static [&'static str],
    /// What happens.
    happens: fn(&World),
    /// Whether it came about.
    done: fn(&World) -> bool,
}

impl Scenario for Life {
    type World = World;

    async fn setup(&self) -> World {
        let world = world(Settings::default(), self.config.clone());
        for name in self.before {
            world.add_service(name, &json!({}));
        }
        if !self.before.is_empty() {
            let ran = world.run(&[]);
            world.until_served(self.before).await;
            ran.end().await.unwrap();
        }
        (self.happens)(&world);
        world
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        let _ran = world.run(&[]);
        for _ in 0..240 {
            seconds(5).await;
            if (self.done)(world) {
                // Whatever still comes, comes.
                minutes(1).await;
                return Ok(());
            }
        }
        Err("it did not come right in twenty minutes".into())
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        let service = |mut service: Value| {
            let metadata = service["metadata"].take();
            json!({
                "name": metadata["name"], "finalizers": metadata["finalizers"],
                "addressed": service["spec"].get("loadBalancerIP").is_some(),
                "marked": metadata["annotations"].as_object().map_or(0, serde_json::Map::len),
                "ingress": service["status"]["loadBalancer"]["ingress"].as_array().map_or(0, Vec::len),
            })
        };
        let services: Vec<Value> = world.kube.list("services").into_iter().map(service).collect();
        let mut blocks: Vec<Value> = world
            .blocks()
            .into_iter()
            .map(|block| json!({"status": block.status, "service": block.tags.get("serviceName")}))
            .collect();
        blocks.sort_by_key(ToString::to_string);
        json!({
            "services": services, "blocks": blocks, "tags": world.sim.objects(Kind::Tag).len(), "bought": world.bought(),
        })
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

fn served(world: &World, names: &[&str]) -> bool {
    names.iter().all(|name| world.ingress(name).len() == 1)
}

#[tokio::test(start_paused = true)]
async fn giving_an_address_survives_every_crash() {
    let life = Life {
        config: json!({}),
        before: &[],
        happens: |world| world.add_service("web", &json!({})),
        done: |world| served(world, &["web"]),
    };
    survives("giving an address", &life).await;
}

#[tokio::test(start_paused = true)]
async fn taking_an_address_away_survives_every_crash() {
    let life = Life {
        config: json!({}),
        before: &["web", "other"],
        happens: |world| world.delete_service("web"),
        done: |world| world.service("web").is_none(),
    };
    survives("taking an address away", &life).await;
}

#[tokio::test(start_paused = true)]
async fn sharing_blocks_survives_every_crash() {
    let life = Life {
        config: json!({"shareIPBlocks": true, "ipBlockSize": "/30"}),
        before: &["a"],
        happens: |world| {
            world.add_service("b", &json!({}));
            world.delete_service("a");
        },
        done: |world| served(world, &["b"]) && world.service("a").is_none() && world.blocks().len() == 1,
    };
    survives("sharing blocks", &life).await;
}
