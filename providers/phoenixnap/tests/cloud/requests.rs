//! How much the service is asked.

use crate::harness::{World, minutes};

#[tokio::test(start_paused = true)]
async fn thousands_of_nodes_take_a_login_a_list_and_little_more_in_an_hour() {
    for count in [10, 100, 1000] {
        let world = World::new();
        world.add_machines(count);
        let _ran = world.run(&[]);
        world.until_initialised(count).await;
        let first = world.sent();
        minutes(60).await;
        let hourly = world.sent() - first;
        println!("{count} nodes: {first} requests to initialise them, {hourly} in the hour after");
        assert!(first <= 5, "{count}: {first}");
        // A list and at most one login for each of twelve rounds.
        assert!(hourly <= 30, "{count}: {hourly}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_throttles_is_given_its_time() {
    let world = World::new();
    world.add_machines(5);
    let busy = cloud_sim::Fault::status(429)
        .header("retry-after", "40")
        .on("GET", "servers");
    world.fault(busy.times(2));
    let began = world.clock.now();
    let _ran = world.run(&[]);
    world.until_initialised(5).await;
    assert!(
        world.clock.since(began).as_secs() >= 80,
        "{:?}",
        world.clock.since(began)
    );
    assert!(world.sent() <= 6, "{}", world.sent());
}

#[tokio::test(start_paused = true)]
async fn each_call_is_counted_under_its_name() {
    let world = World::new();
    world.add_machine("n1");
    let ran = world.run(&[]);
    world.until_initialised(1).await;
    let told = ran.metrics.render();
    for line in [
        r#"cloud_provider_calls_total{operation="list_servers",result="success"} 1"#,
        r#"cloud_provider_calls_total{operation="look_up",result="success"} 1"#,
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}
