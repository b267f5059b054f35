//! Dying at any request, before it and after it, and coming right when called again.

use std::time::Duration;

use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};
use kontainer_engine::ClusterInfo;
use serde_json::{Value, json};

use rackspace_spot_sim::Settings;

use crate::harness::{Options, World, acme};

/// What is done, and from which point on.
#[derive(Clone, Copy)]
enum Operation {
    Create,
    PostCheck,
    Update,
    Remove,
}

/// What the engine remembers of a call that died.
#[derive(Clone, Copy)]
enum Memory {
    /// The record from before the call.
    Record,
    /// Nothing at all.
    Nothing,
}

struct Life {
    operation: Operation,
    memory: Memory,
}

fn at_first() -> Options {
    acme()
        .bool("onDemandEnabled", true)
        .text("additionalSpotPools", r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":true,"minNodes":1,"maxNodes":3}]"#)
}

/// Moves autoscaling, replaces a class, changes a bid, adds and removes.
fn later() -> Options {
    acme()
        .bool("spotAutoscalingEnabled", true)
        .text("spotBidPrice", "0.02")
        .bool("onDemandEnabled", false)
        .bool("haControlPlane", true)
        .text(
            "additionalSpotPools",
            r#"[{"serverClass":"mh.vs1.medium-iad","nodeCount":2,"bidPrice":"0.03"}]"#,
        )
}

impl Scenario for Life {
    type World = World;

    async fn setup(&self) -> World {
        // Quick, so that few requests are mere looks.
        let world = World::with(Settings {
            cp_delay: Duration::from_secs(4),
            auction_period: Duration::from_secs(4),
            od_delay: Duration::from_secs(4),
            node_boot_delay: Duration::from_secs(2),
            ..Settings::default()
        });
        match self.operation {
            Operation::Create => {}
            Operation::PostCheck => drop(world.create(&at_first()).await.unwrap()),
            Operation::Update | Operation::Remove => return world.ready(&at_first()).await,
        }
        world
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        // Leaked on purpose: the simulation hands out clones of one network.
        Box::leak(Box::new(world.sim.network()))
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        match self.operation {
            Operation::Create => {
                world.create(&at_first()).await?;
            }
            Operation::PostCheck => {
                world.post_check().await?;
            }
            Operation::Update => {
                world.update(&later()).await?;
            }
            Operation::Remove => world.remove().await?,
        }
        Ok(())
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        if let (Operation::Create, Memory::Nothing) = (self.operation, self.memory) {
            *world.info.borrow_mut() = ClusterInfo::default();
        }
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        if let Operation::Update = self.operation {
            // What was told to go may take its time.
            tokio::time::sleep(Duration::from_mins(5)).await;
        }
        let info = world.info.borrow().clone();
        json!({
            "bought": world.bought(),
            "state": info.metadata,
            "told": [info.version, info.node_count, !info.service_account_token.is_empty(), info.root_ca_certificate.len() > 100,
                !info.endpoint.is_empty()],
        })
    }
}

async fn survives(operation: Operation, memory: Memory, name: &str) {
    let report = every_cut(&Life { operation, memory })
        .await
        .unwrap_or_else(|error| panic!("{}", kit::chain(&error)));
    println!(
        "{name}: {} crash points over {} requests",
        report.points,
        report.requests.len()
    );
    assert!(report.points >= 10, "{}", report.points);
}

async fn create_survives_with_its_record() {
    survives(Operation::Create, Memory::Record, "create").await;
}

async fn create_survives_without_its_record() {
    survives(Operation::Create, Memory::Nothing, "create, record lost").await;
}

async fn post_check_survives() {
    survives(Operation::PostCheck, Memory::Record, "post-check").await;
}

async fn update_survives() {
    survives(Operation::Update, Memory::Record, "update").await;
}

async fn remove_survives() {
    survives(Operation::Remove, Memory::Record, "remove").await;
}

scenarios![
    create_survives_with_its_record,
    create_survives_without_its_record,
    post_check_survives,
    update_survives,
    remove_survives,
];
