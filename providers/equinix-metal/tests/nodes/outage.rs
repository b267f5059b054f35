//! Hours in which the cloud is wrong, gone, or out of its mind: no node is lost.

use cloud_sim::Fault;
use serde_json::{Value, json};

use crate::harness::{World, minutes};

/// Nodes in the world of each outage.
const NODES: usize = 20;

/// Runs an hour of this outage, with a fifth of the nodes not ready, and counts the nodes that are missed afterwards.
async fn an_hour_of(name: &str, world: &World, begin: impl Fn(&World), end: impl Fn(&World)) {
    world.add_machines(NODES);
    let ran = world.run(&[]);
    world.until_initialised(NODES).await;
    begin(world);
    for n in 0..NODES / 5 {
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    minutes(60).await;
    let missed = NODES - world.kube.list("nodes").len();
    println!("an hour of {name}: {missed} nodes deleted");
    assert_eq!(missed, 0, "{name}");
    let tainted = (0..NODES).filter(|n| {
        let taints = world.taints(&format!("n{n}"));
        taints.iter().any(|key| key == cloud_provider::names::TAINT_SHUTDOWN)
    });
    assert_eq!(tainted.count(), 0, "{name}");
    end(world);
    minutes(10).await;
    assert_eq!(world.initialised().len(), NODES, "{name}");
    ran.end().await.unwrap();
}

fn errors(status: u16, body: Value) -> impl Fn(&World) {
    move |world: &World| world.fault(Fault::status(status).body(body.clone()).times(1_000_000))
}

fn heal(world: &World) {
    world.sim.front().clear_faults();
}

#[tokio::test(start_paused = true)]
async fn refused_keys_delete_nothing() {
    for status in [401, 403] {
        let world = World::new();
        an_hour_of(
            &status.to_string(),
            &world,
            errors(status, json!({"errors": ["no"]})),
            heal,
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_api_deletes_nothing() {
    for status in [404, 429, 500, 503] {
        let world = World::new();
        an_hour_of(
            &status.to_string(),
            &world,
            errors(status, json!({"errors": ["no"]})),
            heal,
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_out_of_reach_deletes_nothing() {
    let world = World::new();
    let cut = |world: &World| world.fault(Fault::new(cloud_sim::Action::DropBefore).times(1_000_000));
    an_hour_of("cut connections", &world, cut, heal).await;
}

/// A list that is there and wrong.
fn list(devices: Value) -> impl Fn(&World) {
    move |world: &World| {
        let body = json!({"devices": devices, "meta": {"current_page": 1, "last_page": 1, "total": 0}});
        world.fault(
            Fault::status(200)
                .body(body)
                .on("GET", "/projects/[^/]+/devices$")
                .times(1_000_000),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_deletes_nothing() {
    let world = World::new();
    an_hour_of("an empty list", &world, list(json!([])), heal).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_and_a_key_that_may_see_no_device_delete_nothing() {
    let world = World::new();
    let begin = |world: &World| {
        list(json!([]))(world);
        world.fault(
            Fault::status(403)
                .body(json!({"errors": ["no"]}))
                .on("GET", "/devices/")
                .times(1_000_000),
        );
    };
    an_hour_of("an empty list and 403", &world, begin, heal).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_and_an_api_that_denies_every_device_delete_nothing() {
    let world = World::new();
    let begin = |world: &World| {
        list(json!([]))(world);
        world.fault(
            Fault::status(404)
                .body(json!({"errors": ["Not found"]}))
                .on("GET", "/devices/")
                .times(1_000_000),
        );
    };
    an_hour_of("an empty list and 404", &world, begin, heal).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_without_its_tail_deletes_nothing() {
    let world = World::new();
    let begin = |world: &World| {
        let first: Vec<Value> = world.sim.devices().into_iter().take(NODES / 2).collect();
        list(json!(first))(world);
    };
    an_hour_of("a truncated list", &world, begin, heal).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_off_in_the_middle_deletes_nothing() {
    let world = World::new();
    let cut = |world: &World| {
        world.fault(Fault::new(cloud_sim::Action::Truncate { bytes: None }).times(1_000_000));
    };
    an_hour_of("cut-off answers", &world, cut, heal).await;
}

#[tokio::test(start_paused = true)]
async fn with_three_of_ten_requests_failing_all_nodes_come_up_and_none_goes() {
    for seed in 1..=3 {
        let world = World::seeded(equinix_metal_sim::Settings::default(), json!({}), seed);
        for fault in [
            Fault::status(500),
            Fault::status(503).after(),
            Fault::new(cloud_sim::Action::DropAfter),
        ] {
            world.fault(Fault {
                // Three of these make three in ten.
                probability: Some(0.112),
                ..fault.times(1_000_000)
            });
        }
        let ids = world.add_machines(50);
        let ran = world.run(&[]);
        world.until_initialised(50).await;
        world.sim.set_device_state(&ids[7], "deleted").unwrap();
        world.set_ready("n7", "Unknown");
        world
            .until("the node is deleted", std::time::Duration::from_mins(20), |world| {
                world.node("n7").is_none()
            })
            .await;
        minutes(60).await;
        assert_eq!(world.initialised().len(), 49);
        ran.end().await.unwrap();
    }
}
