//! The manager dies before and after each of its requests, and no block is leaked or bought twice.

use std::time::Duration;

use axum::BoxError;
use cloud_sim::crash::Scenario;
use cloud_sim::{Action, Fault, Network};
use phoenixnap_sim::{Kind, Settings};
use provider_suite::crash::{comes_about, survives};
use serde_json::{Value, json};

use super::announced_by;
use super::metallb::specs;
use crate::harness::World;

/// A thing that happens to Services.
struct Life {
    settings: Settings,
    announcer: &'static str,
    config: Value,
    /// What there is before.
    before: &'static [&'static str],
    /// What happens.
    happens: fn(&mut World),
    /// Whether it came about.
    done: fn(&World) -> bool,
    /// How many minutes later everything has come that still comes.
    settled: u64,
    /// Whether a block more may be bought meanwhile, which is given back.
    may_buy_twice: bool,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            announcer: "kube-vip",
            config: json!({}),
            before: &[],
            happens: |_| {},
            done: |_| true,
            settled: 1,
            may_buy_twice: false,
        }
    }
}

impl Scenario for Life {
    type World = World;

    async fn setup(&self) -> World {
        let mut world = announced_by(self.announcer, self.settings.clone(), self.config.clone(), 1);
        world.install_metallb();
        for name in self.before {
            world.add_service(name, &json!({}));
        }
        if !self.before.is_empty() {
            let ran = world.run(&[]);
            world.until_served(self.before).await;
            ran.end().await.unwrap();
        }
        (self.happens)(&mut world);
        world
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        let _ran = world.run(&[]);
        let rest = Duration::from_mins(self.settled);
        comes_about(|| (self.done)(world), Duration::from_mins(20), rest).await
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
        let bought = (!self.may_buy_twice).then(|| world.bought());
        json!({
            "services": services, "blocks": blocks, "tags": world.sim.objects(Kind::Tag).len(), "bought": bought,
            "pools": specs(world, "ipaddresspools").len(), "advertised": specs(world, "l2advertisements"),
        })
    }
}

fn served(world: &World, names: &[&str]) -> bool {
    names.iter().all(|name| world.ingress(name).len() == 1)
}

#[tokio::test(start_paused = true)]
async fn giving_an_address_survives_every_crash() {
    let life = Life {
        happens: |world| world.add_service("web", &json!({})),
        done: |world| served(world, &["web"]),
        ..Life::default()
    };
    survives("giving an address", &life).await;
}

#[tokio::test(start_paused = true)]
async fn taking_an_address_away_survives_every_crash() {
    let life = Life {
        before: &["web", "other"],
        happens: |world| world.delete_service("web"),
        done: |world| world.service("web").is_none(),
        ..Life::default()
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
        ..Life::default()
    };
    survives("sharing blocks", &life).await;
}

/// A successor that reads a list which lags behind may buy once more; what is too much goes.
#[tokio::test(start_paused = true)]
async fn giving_an_address_under_lag_survives_every_crash() {
    let life = Life {
        settings: Settings {
            list_lag: Duration::from_secs(40),
            ..Settings::default()
        },
        happens: |world| world.add_service("web", &json!({})),
        done: |world| served(world, &["web"]),
        settled: 45,
        may_buy_twice: true,
        ..Life::default()
    };
    survives("giving an address under lag", &life).await;
}

#[tokio::test(start_paused = true)]
async fn a_purchase_whose_answer_is_lost_survives_every_crash() {
    let life = Life {
        happens: |world| {
            world.fault(Fault::new(Action::DropAfter).on("POST", "/ips/v1/ip-blocks$"));
            world.add_service("web", &json!({}));
        },
        done: |world| served(world, &["web"]),
        settled: 5,
        ..Life::default()
    };
    survives("a purchase whose answer is lost", &life).await;
}

#[tokio::test(start_paused = true)]
async fn changing_the_type_survives_every_crash() {
    let life = Life {
        before: &["web"],
        happens: |world| world.change_service("web", &json!({"spec": {"type": "ClusterIP"}})),
        done: |world| world.blocks().is_empty() && world.ingress("web").is_empty(),
        ..Life::default()
    };
    survives("changing the type", &life).await;
}

#[tokio::test(start_paused = true)]
async fn giving_spare_blocks_back_survives_every_crash() {
    let life = Life {
        before: &["web"],
        happens: |world| {
            world.add_block("198.51.100.0/29", "web", &json!({}));
            world.add_block(
                "198.51.100.8/29",
                "web",
                &json!({"status": "unassigned", "target": null}),
            );
        },
        done: |world| world.blocks().len() == 1,
        ..Life::default()
    };
    survives("giving spare blocks back", &life).await;
}

#[tokio::test(start_paused = true)]
async fn announcing_by_metallb_survives_every_crash() {
    let life = Life {
        announcer: "metallb",
        before: &["a"],
        happens: |world| {
            world.add_service("b", &json!({}));
            world.delete_service("a");
        },
        done: |world| served(world, &["b"]) && world.service("a").is_none() && world.blocks().len() == 1,
        ..Life::default()
    };
    survives("announcing by MetalLB", &life).await;
}

#[tokio::test(start_paused = true)]
async fn winding_up_survives_every_crash() {
    let life = Life {
        announcer: "metallb",
        before: &["goes", "stays"],
        happens: |world| {
            world.configure(json!({"loadbalancer": ""}));
            world.delete_service("goes");
        },
        done: |world| world.service("goes").is_none() && world.blocks().len() == 1,
        ..Life::default()
    };
    survives("winding up", &life).await;
}

#[tokio::test(start_paused = true)]
async fn choosing_another_announcer_survives_every_crash() {
    let life = Life {
        announcer: "metallb",
        before: &["web"],
        happens: |world| {
            let network = world.public_network();
            world.configure(json!({"loadbalancer": format!("kube-vip://{network}")}));
        },
        done: |world| specs(world, "ipaddresspools").is_empty(),
        ..Life::default()
    };
    survives("choosing another announcer", &life).await;
}

#[tokio::test(start_paused = true)]
async fn putting_tags_back_survives_every_crash() {
    let life = Life {
        before: &["web"],
        happens: |world| {
            let id = world.blocks()[0].id.clone();
            world.sim.change(Kind::Block, &id, &json!({"tags": []})).unwrap();
        },
        done: |world| world.blocks()[0].tags.len() == 4,
        ..Life::default()
    };
    survives("putting tags back", &life).await;
}
