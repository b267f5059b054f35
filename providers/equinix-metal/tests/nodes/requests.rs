//! How much the API is asked.

use equinix_metal_sim::Settings;
use serde_json::json;

use crate::harness::{World, minutes};

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
async fn many_nodes_take_a_request_a_page_and_little_more_in_an_hour() {
    // What is true of a thousand a page is true of a hundred, in a tenth of the time.
    const PAGE: usize = 100;
    for count in [20, 301] {
        let settings = Settings {
            page_limit: Some(PAGE),
            ..Settings::default()
        };
        let world = World::with(settings, json!({}));
        world.add_machines(count);
        let _ran = world.run(&[]);
        world.until_initialised(count).await;
        let (pages, first) = (count.div_ceil(PAGE), world.sent());
        minutes(60).await;
        let hourly = world.sent() - first;
        println!(
            "{count} nodes, {PAGE} devices a page: {first} requests to initialise them, {hourly} in the hour after"
        );
        assert!(first <= pages + 3, "{count}: {first}");
        assert!(hourly <= 12 * pages + 12, "{count}: {hourly}");
    }
}

#[tokio::test(start_paused = true)]
async fn controllers_that_ask_at_the_same_time_share_a_list() {
    use cloud_provider::Cloud as _;
    let world = World::new();
    for n in 0..10 {
        world.sim.add_device(&format!("n{n}"));
    }
    let cloud = world.cloud();
    let node = |n: usize| {
        std::sync::Arc::new(cloud_provider::data::Node {
            name: format!("n{n}"),
            ..cloud_provider::data::Node::default()
        })
    };
    let asks = (0..10).map(|n| {
        let (cloud, node) = (cloud.clone(), node(n));
        async move { cloud.instances().unwrap().look_up(&[node]).await.unwrap().len() }
    });
    assert_eq!(futures::future::join_all(asks).await.iter().sum::<usize>(), 10);
    assert_eq!(world.sent(), 1);
    crate::harness::seconds(6).await;
    cloud.instances().unwrap().look_up(&[node(1)]).await.unwrap();
    assert_eq!(world.sent(), 2, "an old list is not believed");
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

#[tokio::test(start_paused = true)]
async fn each_call_is_counted_under_its_name() {
    let world = World::new();
    world.add_machine("n1");
    let ran = world.run(&[]);
    world.until_initialised(1).await;
    let told = ran.metrics.render();
    for line in [
        r#"cloud_provider_calls_total{operation="list_devices",result="success"} 1"#,
        r#"cloud_provider_calls_total{operation="look_up",result="success"} 1"#,
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}
