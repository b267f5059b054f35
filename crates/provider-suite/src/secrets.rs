//! Nothing that people or other programs see holds a credential.

use cloud_sim::Fault;
use cloud_sim::secrets::{Capture, assert_absent};
use serde_json::{Value, json};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::outage::ask;
use crate::provider::Provider;
use crate::world::{World, minutes};

/// The cloud says what it was given, in every field of every refusal, and none of it comes out again.
pub async fn logs_errors_events_and_metrics_hold_no_secret<P: Provider>() {
    let capture = Capture::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(capture.clone())
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    let _guard = subscriber.finish().set_default();
    let (config, mut secrets) = P::secrets();
    let world = World::<P>::with(P::Settings::default(), config);
    let id = world.add_machines(3).remove(0);
    let echo = P::refusal(&format!("bad secret {}", secrets.join(" ")));
    for (method, path) in P::ENDPOINTS {
        for status in [400, 401, 403, 422, 500, 200] {
            world.fault(Fault::status(status).body(echo.clone()).on(method, path));
        }
    }
    let ran = world.run(&[]);
    world.until_initialised(3).await;
    minutes(30).await;
    let mut texts = vec![
        P::show(&world.config(), &world.cloud()),
        ran.metrics.render(),
        format!("{:?}", world.events()),
        Value::from(world.kube.list("nodes")).to_string(),
        json!(P::front(&world.sim).requests()).to_string(),
    ];
    for status in [400, 401, 403, 409, 422] {
        world.fault(Fault::status(status).body(echo.clone()).on("GET", P::MACHINES).always());
        let seen = ask(&world, &id).await;
        let told = seen.as_ref().err().map(|error| kit::chain(error));
        texts.push(format!("{told:?} {seen:?}"));
        world.heal();
    }
    ran.end().await.unwrap();
    texts.push(capture.text());
    assert!(capture.text().contains(P::LISTS), "the log was caught");
    secrets.extend(P::issued(&world.sim));
    let searched: usize = texts.iter().map(String::len).sum();
    println!("searched {searched} bytes for {} secrets", secrets.len());
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    for text in &texts {
        assert_absent(text, &secrets);
    }
}
