//! How much the API is asked.

use equinix_metal_sim::Settings;
use serde_json::json;

use crate::harness::{Metal, World};

#[tokio::test(start_paused = true)]
async fn the_list_is_read_while_the_nodes_are() {
    provider_suite::requests::the_list_is_read_while_the_nodes_are::<Metal>().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_by_name_take_a_request_a_page_and_three_more_at_most() {
    let settings = Settings {
        page_limit: Some(10),
        ..Settings::default()
    };
    let world = World::with(settings, json!({}));
    world.add_machines(100);
    let _ran = world.run(&[]);
    world.until_initialised(100).await;
    println!("100 nodes by name, 10 devices a page: {} requests", world.sent());
    assert!(world.sent() <= 10 + 3, "{}", world.sent());
}

#[tokio::test(start_paused = true)]
async fn an_api_that_throttles_is_given_its_time() {
    let settings = Settings {
        rate_limit: Some(equinix_metal_sim::RateLimit {
            limit: 3,
            window: std::time::Duration::from_mins(1),
        }),
        page_limit: Some(5),
        ..Settings::default()
    };
    let world = World::with(settings, json!({}));
    world.add_machines(20);
    let _ran = world.run(&[]);
    world.until_initialised(20).await;
    let refused = world
        .sim
        .front()
        .requests()
        .iter()
        .filter(|it| it.status == Some(429))
        .count();
    println!("20 nodes at 3 requests a minute: {refused} refused");
    assert!((1..=5).contains(&refused), "{refused}");
}
