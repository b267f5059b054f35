use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use kit::Class;
use kube_kit::metrics::Registry;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::CloudError;
use crate::controllers::observe::Asked;

#[test]
fn the_environment_says_where_traces_go() {
    let ask = |pairs: &[(&str, &str)]| {
        let env: std::collections::BTreeMap<_, _> = pairs.iter().copied().collect();
        endpoint(|name| env.get(name).map(|text| (*text).to_owned()))
    };
    let (base, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    assert_eq!(ask(&[]), None);
    assert_eq!(ask(&[(base, "")]), None);
    assert_eq!(
        ask(&[(base, "http://c:4318/")]).as_deref(),
        Some("http://c:4318/v1/traces")
    );
    assert_eq!(
        ask(&[(base, "http://c"), (traces, "http://d/x")]).as_deref(),
        Some("http://d/x")
    );
}

/// Whether these bytes are somewhere in those.
fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn what_the_cloud_is_asked_reaches_the_collector() {
    let bodies: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&bodies);
    let collect = move |headers: axum::http::HeaderMap, body: axum::body::Bytes| async move {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        kept.lock().unwrap().extend_from_slice(&body);
    };
    let router = Router::new().route("/v1/traces", post(collect));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let telemetry = Telemetry::start(&url, "cloud-provider-test").unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let asked = Asked::new(&Registry::new());
    let work = async {
        let outer = tracing::debug_span!("reconcile", otel.name = "reconcile service", service = "default/web");
        let fails = async { Err::<(), _>(CloudError::new(Class::Throttled { after: None }, "later")) };
        let call = asked.time("ensure_load_balancer", fails);
        let _ = tracing::Instrument::instrument(call, outer).await;
        tracing::debug_span!(target: "hyper", "noise").in_scope(|| {});
    };
    work.with_subscriber(subscriber).await;
    telemetry.shutdown().await;
    let body = bodies.lock().unwrap().clone();
    for text in [
        "cloud-provider-test",
        "reconcile service",
        "default/web",
        "ensure_load_balancer",
        "throttled",
    ] {
        assert!(holds(&body, text), "{text} is not among the {} bytes", body.len());
    }
    assert!(!holds(&body, "noise"));
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nothing_up() {
    let telemetry = Telemetry::start("http://127.0.0.1:1/v1/traces", "test").unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    async { tracing::debug_span!("lost").in_scope(|| {}) }
        .with_subscriber(subscriber)
        .await;
    tokio::time::timeout(2 * PATIENCE, telemetry.shutdown()).await.unwrap();
}
