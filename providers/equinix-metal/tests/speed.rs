//! What many Services on many nodes cost: requests to the provider, and time where each of them takes a while.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is test code, which clippy sees only in test functions; figures are printed"
)]

mod harness;

use std::time::Duration;

use cloud_sim::{Action, Fault};
use equinix_metal_sim::Settings;
use harness::{World, minutes};
use serde_json::json;
use tokio::time::Instant;

/// Waits until so many Services have their addresses.
async fn served(world: &World, count: usize) {
    let has = |n: usize| !world.ingress("default", &format!("s{n}")).is_empty();
    let all = |_: &World| (0..count).all(has);
    world
        .until("services have addresses", Duration::from_mins(5), all)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_services_take_less_than_a_minute_and_no_request_for_nodes_after_the_first() {
    for nodes in [20, 100] {
        let world = World::with(Settings::default(), json!({"loadbalancer": "empty://", "metro": "da"}));
        world.add_machines(nodes);
        let _ran = world.run(&[]);
        world.until_initialised(nodes).await;
        world.fault(Fault::new(Action::Delay { ms: 20 }).always());
        let before = world.sent();
        world.add_service("default", "s0", &json!({}));
        served(&world, 1).await;
        let first = world.sent() - before;
        // What new sessions still bring.
        minutes(3).await;
        let (before, began) = (world.sent(), Instant::now());
        (1..=100).for_each(|n| world.add_service("default", &format!("s{n}"), &json!({})));
        served(&world, 101).await;
        let (more, took) = (world.sent() - before, began.elapsed());
        println!("{nodes} nodes: {first} requests for the first Service, {more} for 100 more, in {took:?}");
        // Session and neighbours of each node; BGP of the project, sessions, devices, reservations.
        assert!(first <= 2 * nodes + 10, "{nodes}: {first}");
        // One each, and lists now and then.
        assert!(more <= 100 + 15, "{nodes}: {more}");
        assert!(took < Duration::from_mins(1), "{nodes}: {took:?}");
    }
}
