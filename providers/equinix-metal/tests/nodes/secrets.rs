//! Nothing that people or other programs see holds a credential.

use cloud_sim::Fault;
use cloud_sim::secrets::{Capture, assert_absent};
use equinix_metal_sim::API_KEY;
use serde_json::json;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::harness::{World, minutes};

const PASSWORD: &str = "Planted0BgpPass9";

#[tokio::test(start_paused = true)]
async fn logs_errors_events_and_metrics_hold_no_secret() {
    let capture = Capture::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(capture.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE);
    let _guard = subscriber.finish().set_default();
    let mut world = World::new();
    world.configure(json!({"bgpPass": PASSWORD}));
    world.config().log();
    world.add_machines(3);
    // An API that says what it was given.
    for status in [400, 401, 403, 422, 500, 200] {
        let body = json!({"errors": [format!("bad key {API_KEY} and {PASSWORD}")], "devices": API_KEY});
        world.fault(Fault::status(status).body(body));
    }
    let ran = world.run(&[]);
    world.until_initialised(3).await;
    minutes(30).await;
    let cloud = world.cloud();
    let mut texts = vec![
        capture.text(),
        format!("{:?} {:?}", world.config(), cloud.client()),
        ran.metrics.render(),
        format!("{:?}", world.events()),
        json!(world.kube.list("nodes")).to_string(),
    ];
    world.fault(Fault::status(422).body(json!({"errors": [API_KEY]})));
    let error = cloud.client().device("x").await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    ran.end().await.unwrap();
    assert!(capture.text().contains("list devices"), "the log was caught");
    for text in &texts {
        assert_absent(text, &[API_KEY, PASSWORD]);
    }
    println!(
        "searched {} bytes for 2 secrets",
        texts.iter().map(String::len).sum::<usize>()
    );
}
