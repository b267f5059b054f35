//! Nothing that people or other programs see of load balancers holds a credential.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_sim::Fault;
use cloud_sim::secrets::assert_absent;
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET};
use serde_json::{Value, json};

use super::{caught, plain_world};
use crate::harness::World;

/// The APIs say what they were given, in every field of every refusal, to every call that load balancers make.
#[tokio::test(start_paused = true)]
async fn services_events_and_logs_hold_no_secret() {
    let (capture, _guard) = caught();
    let world = plain_world();
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let echo = format!("bad secret {CLIENT_SECRET} in Basic {basic}");
    let body = json!({"message": echo, "validationErrors": [echo], "id": echo, "cidr": echo});
    let calls = [
        ("GET", "/ips/v1/ip-blocks$"),
        ("GET", "/public-networks/"),
        ("GET", "/tag-manager/"),
        ("POST", "/tag-manager/"),
        ("POST", "/ips/v1/ip-blocks$"),
        ("POST", "/public-networks/"),
        ("PUT", "/tags$"),
        ("DELETE", "/public-networks/"),
        ("DELETE", "/ips/v1/"),
    ];
    for (method, path) in calls {
        for status in [400, 401, 403, 404, 500] {
            world.fault(Fault::status(status).body(body.clone()).on(method, path));
        }
    }
    world.add_service("web", &json!({}));
    let ran = world.run(&[]);
    // Each refusal is answered with a longer wait.
    let patience = Duration::from_hours(12);
    let served = |world: &World| world.ingress("web").len() == 1;
    world.until("it has an address", patience, served).await;
    world.delete_service("web");
    let gone = |world: &World| world.blocks().is_empty() && world.service("web").is_none();
    world.until("it is gone", patience, gone).await;
    let spent: Vec<_> = world
        .sim
        .front()
        .requests()
        .into_iter()
        .filter(|it| it.fault.is_some())
        .collect();
    assert!(spent.len() >= 40, "{} refusals", spent.len());
    let Value::Object(tokens) = world.sim.state()["tokens"].take() else {
        panic!("there are no tokens");
    };
    let texts = [
        ran.metrics.render(),
        format!("{:?}", world.events()),
        Value::from(world.kube.list("services")).to_string(),
        capture.text(),
    ];
    assert!(capture.text().contains("bought an IP block"), "the log was caught");
    let mut secrets = vec![CLIENT_SECRET, basic.as_str()];
    secrets.extend(tokens.keys().map(String::as_str));
    for text in &texts {
        assert_absent(text, &secrets);
    }
    ran.end().await.unwrap();
}
