//! A cloud that misbehaves.

use std::time::Duration;

use cloud_sim::{Action, Fault};
use tokio::time::Instant;

use crate::harness::{World, acme, world};
use rackspace_spot_sim::Settings;

async fn passing_server_errors_are_outlasted() {
    for code in [500, 502, 503, 504] {
        let world = world();
        world.fault(Fault::status(code).on("GET", "/apis/").times(3));
        world.fault(Fault::status(code).on("POST", "/apis/ngpc").times(2));
        world.ready(&acme()).await;
    }
}

async fn a_server_that_asks_for_patience_gets_it() {
    let world = world();
    world.fault(
        Fault::status(429)
            .header("retry-after", "20")
            .on("POST", "/spotnodepools$"),
    );
    let begun = Instant::now();
    world.create(&acme()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(20));
    assert_eq!(
        world.writes(),
        ["POST cloudspaces", "POST spotnodepools", "POST spotnodepools"]
    );
}

async fn answers_that_make_no_sense_are_errors_and_not_panics() {
    for body in [
        "{\"kind\":",
        "<html>502</html>",
        "null",
        "[]",
        "\"text\"",
        "{\"items\": 7, \"spec\": 7}",
    ] {
        let world = world();
        world.fault(Fault::status(200).body(body).on("GET", "/apis/").always());
        assert!(!world.create(&acme()).await.unwrap_err().text().is_empty(), "{body}");
        let world = World::with(Settings::default()).ready(&acme()).await;
        world.fault(Fault::status(200).body(body).on("GET", "/cloudspaces/").times(2));
        let _ = world.post_check().await;
    }
    let world = world();
    world.fault(
        Fault::status(500)
            .body("x".repeat(200_000))
            .on("GET", "/regions")
            .always(),
    );
    let error = world.create(&acme()).await.unwrap_err().text();
    assert!(error.len() < 1000, "{}", error.len());
    world.sim.front().clear_faults();
    world.fault(
        Fault::new(Action::Truncate { bytes: None })
            .on("GET", "/apis/")
            .times(2),
    );
    world.create(&acme()).await.unwrap();
}

async fn lists_of_many_pages_are_read_whole() {
    let more: Vec<String> = (0..5)
        .map(|n| format!(r#"{{"serverClass":"ch.vs1.medium-iad","nodeCount":{n},"bidPrice":"0.02"}}"#))
        .collect();
    let options = acme().text("additionalSpotPools", &format!("[{}]", more.join(",")));
    let world = World::with(Settings {
        list_page_size: Some(2),
        auto_label: false,
        ..Settings::default()
    })
    .ready(&options)
    .await;
    let before = world.writes().len();
    world.update(&options).await.unwrap();
    assert_eq!(world.writes().len(), before);
    assert_eq!(world.pools().len(), 6);
    world.remove().await.unwrap();
    assert_eq!(world.pools().len(), 0);
}

/// Nearly a third of all calls fail, each in its own way.
fn storm(world: &World) {
    for action in [
        Fault::status(429).header("retry-after", "1").action,
        Fault::status(500).action,
        Fault::status(503).action,
        Fault::status(502).after().action,
        Action::DropBefore,
        Action::DropAfter,
        Action::Hang,
    ] {
        let mut fault = Fault::new(action).always();
        fault.probability = Some(0.05);
        world.fault(fault);
    }
}

async fn every_operation_comes_right_in_a_storm() {
    let calm = World::with(Settings::default());
    let options = acme().bool("onDemandEnabled", true);
    let changed = acme()
        .int("spotNodeCount", 4)
        .text("spotBidPrice", "0.02")
        .bool("onDemandEnabled", false);
    calm.create(&options).await.unwrap();
    calm.post_check().await.unwrap();
    calm.update(&changed).await.unwrap();
    calm.post_check().await.unwrap();
    let expected = calm.bought()["spotnodepools"].clone();
    for seed in 1..=8 {
        let world = World::seeded(Settings::default(), seed);
        storm(&world);
        // An engine calls again after a failure, a few times.
        until(async || world.create(&options).await.is_ok()).await;
        until(async || world.post_check().await.is_ok()).await;
        until(async || world.update(&changed).await.is_ok()).await;
        until(async || world.post_check().await.is_ok()).await;
        assert_eq!(world.bought()["spotnodepools"], expected, "seed {seed}");
        until(async || world.set_size(6).await.is_ok()).await;
        until(async || world.set_version("1.33.0").await.is_ok()).await;
        until(async || world.remove().await.is_ok()).await;
        assert_eq!(
            (world.objects("cloudspaces").len(), world.pools().len()),
            (0, 0),
            "seed {seed}"
        );
    }
}

async fn an_import_comes_right_in_a_storm() {
    let importing = acme()
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", "theirs");
    for seed in 1..=8 {
        let world = World::seeded(Settings::default(), seed);
        crate::create::foreign(&world, "theirs").await;
        storm(&world);
        until(async || world.create(&importing).await.is_ok()).await;
        until(async || world.post_check().await.is_ok()).await;
        let scaled = importing.clone().int("spotNodeCount", 5);
        until(async || world.update(&scaled).await.is_ok()).await;
        assert_eq!(world.pools()[0]["spec"]["desired"], 5, "seed {seed}");
        until(async || world.remove().await.is_ok()).await;
        assert_eq!(
            (world.objects("cloudspaces").len(), world.pools().len()),
            (1, 1),
            "seed {seed}"
        );
    }
}

async fn until(again: impl AsyncFn() -> bool) {
    for _ in 0..4 {
        if again().await {
            return;
        }
    }
    panic!("it does not come right");
}

scenarios![
    passing_server_errors_are_outlasted,
    a_server_that_asks_for_patience_gets_it,
    answers_that_make_no_sense_are_errors_and_not_panics,
    lists_of_many_pages_are_read_whole,
    every_operation_comes_right_in_a_storm,
    an_import_comes_right_in_a_storm,
];
