//! Nothing that people or other programs see holds a credential.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_sim::Fault;
use cloud_sim::secrets::{Capture, assert_absent};
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET};
use serde_json::json;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::harness::{World, minutes};

#[tokio::test(start_paused = true)]
async fn logs_errors_events_and_metrics_hold_no_secret() {
    let capture = Capture::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(capture.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE);
    let _guard = subscriber.finish().set_default();
    let world = World::new();
    world.config().tell();
    world.add_machines(3);
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    // A service that says what it was given, in every field.
    let echo = format!("bad secret {CLIENT_SECRET} in Basic {basic}");
    for status in [400, 401, 500, 200] {
        let body = json!({"message": echo, "error_description": echo, "error": CLIENT_SECRET, "id": echo});
        world.fault(Fault::status(status).body(body.clone()).on("GET", "servers"));
        world.fault(Fault::status(status).body(body).on("POST", "token"));
    }
    let ran = world.run(&[]);
    world.until_initialised(3).await;
    minutes(30).await;
    let tokens: Vec<String> = match world.sim.state()["tokens"].take() {
        serde_json::Value::Object(tokens) => tokens.keys().cloned().collect(),
        other => panic!("{other}"),
    };
    assert!(!tokens.is_empty());
    let token = tokens[0].clone();
    world.fault(
        Fault::status(409)
            .body(json!({"message": format!("{echo} {token}")}))
            .on("GET", "servers"),
    );
    let cloud = world.cloud();
    let error = cloud.client().server("x").await.unwrap_err();
    let texts = [
        capture.text(),
        format!("{:?} {:?}", world.config(), cloud.client()),
        ran.metrics.render(),
        format!("{:?}", world.events()),
        world.kube.list("nodes").iter().map(ToString::to_string).collect(),
        format!("{error} {}", error.reason()),
    ];
    ran.end().await.unwrap();
    assert!(capture.text().contains("list servers"), "the log was caught");
    let mut secrets = vec![CLIENT_SECRET, basic.as_str()];
    secrets.extend(tokens.iter().map(String::as_str).filter(|known| *known != token));
    for text in &texts {
        assert_absent(text, &secrets);
    }
    let searched: usize = texts.iter().map(String::len).sum();
    println!("searched {searched} bytes for {} secrets", secrets.len());
}
