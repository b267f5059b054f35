//! Replays recorded conversations with a real API server (v1.36.2) against the simulation, over HTTP.
//!
//! `kube-apiserver-1.36/NAME.json` holds the requests of a scenario with the normalised answers of the real server. Every
//! scenario must pass whole; the test prints one line for each, and one for every difference.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says what it compared"
)]

mod client;
mod compare;
mod expand;
mod run;

use std::collections::BTreeSet;
use std::path::PathBuf;

use kit::Clock;
use kube_sim::{Controllers, KubeSim};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How much faster than real time the server's clock runs.
const SPEED: f64 = 20.0;

/// Every scenario there is: a file that goes missing is a failure, too.
const SCENARIOS: &[&str] = &[
    "apply-basic",
    "apply-service-endpointslice",
    "body-errors",
    "body-size",
    "compaction",
    "controllers-node-lifecycle",
    "controllers-token-secret",
    "crd-and-custom-resources",
    "crud-configmap-secret-serviceaccount",
    "crud-node-lease",
    "crud-rbac",
    "crud-service-endpoints-slices",
    "custom-resource-validation-apply",
    "deletion",
    "discovery-aggregated",
    "discovery-legacy",
    "dry-run",
    "events-two-shapes",
    "field-validation",
    "flow-service-account-bootstrap",
    "gzip",
    "health-endpoints",
    "http-keep-alive",
    "json-patch",
    "label-selectors",
    "lease-leader-election",
    "list-resource-version",
    "managed-fields-update",
    "names-and-metadata",
    "namespace-lifecycle",
    "node-status-subresource",
    "node-validation",
    "pods-minimal",
    "rbac-enforcement",
    "secret-configmap-rules",
    "service-defaults",
    "service-validation",
    "strategic-merge-node",
    "strategic-merge-service-metadata",
    "table",
    "token-request-review",
    "watch-basic",
    "watch-bookmarks-streaming-list",
    "watch-expired-closing-malformed",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/kube-apiserver-1.36")
}

fn scenario(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn needs_controllers(scenario: &Value) -> bool {
    scenario["needs"]
        .as_array()
        .is_some_and(|needs| needs.iter().any(|n| n == "controllers"))
}

/// Replays scenarios in this order against one fresh server; gives the names of those that differ.
async fn replay(names: &[&str], controllers: Controllers) -> Vec<String> {
    let start = "2026-03-01T12:00:00Z".parse().unwrap();
    let sim = KubeSim::builder()
        .clock(Clock::simulated(start, SPEED))
        .controllers(controllers)
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let server = tokio::spawn(kube_sim::serve::http(sim.clone(), listener, cancel.clone()));
    let mut failed = Vec::new();
    for name in names {
        let outcome = run::run(&sim, address, &scenario(name)).await;
        println!("{name}: {} passed, {} failed", outcome.passed, outcome.failed);
        for line in &outcome.differences {
            println!("    {line}");
        }
        if outcome.failed > 0 {
            failed.push((*name).to_owned());
        }
    }
    cancel.cancel();
    server.await.unwrap();
    failed
}

fn split() -> (Vec<&'static str>, Vec<&'static str>) {
    SCENARIOS.iter().partition(|name| needs_controllers(&scenario(name)))
}

#[test]
fn every_recorded_scenario_is_listed() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(files, SCENARIOS.iter().map(|name| (*name).to_owned()).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulation_answers_like_the_real_server() {
    let (_, plain) = split();
    assert_eq!(replay(&plain, Controllers::none()).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_the_scenarios_does_not_matter() {
    let (_, mut plain) = split();
    plain.reverse();
    assert_eq!(replay(&plain, Controllers::none()).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controllers_do_what_the_real_ones_do() {
    let (controlled, _) = split();
    assert_eq!(replay(&controlled, Controllers::all()).await, Vec::<String>::new());
}
