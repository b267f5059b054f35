//! What N nodes cost: time to initialise them, requests to the cloud and to the API server, then and per steady hour.
//!
//! `cargo bench -p cloud-provider --bench nodes -- 1000 5000`

#![allow(clippy::print_stdout, missing_docs, reason = "a program for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud_provider::manager::{Clients, Options, Process, flags::Parsed};
use cloud_provider::memory::{Instance, MemoryCloud};
use kube_sim::KubeSim;
use serde_json::json;
use tokio_util::sync::CancellationToken;

async fn measure(count: usize) -> [String; 6] {
    let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().expect("a time"), 1.0);
    let sim = KubeSim::builder().clock(clock.clone()).build();
    let cloud = MemoryCloud::new("fake");
    let taint =
        json!({"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"});
    let ready = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"}]);
    for n in 0..count {
        cloud.add(Instance::new(&n.to_string(), &format!("n{n}")).internal(&format!(
            "10.{}.{}.{}",
            n / 65536,
            n / 256 % 256,
            n % 256
        )));
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{n}")},
            "spec": {"taints": [taint]}, "status": {"conditions": ready},
        });
        sim.create(node).expect("a node");
    }
    let args = [
        "--cloud-provider=fake",
        "--secure-port=0",
        "--leader-elect=false",
        "--concurrent-node-syncs=30",
    ];
    let parsed = Parsed::parse("bench", args.map(str::to_owned)).expect("flags");
    let options = Options::new(parsed, "bench").expect("options");
    let (router, token) = (sim.router(), format!("Bearer {}", sim.admin_token()));
    let clients = Clients::new(move |purpose| {
        let bearer = http::HeaderValue::from_str(&token).expect("a header");
        let service = tower::ServiceBuilder::new()
            .layer(purpose.fence.layer())
            .map_request(move |mut request: http::Request<kube::client::Body>| {
                request
                    .headers_mut()
                    .insert(http::header::AUTHORIZATION, bearer.clone());
                request
            })
            .service(router.clone());
        let client = kube::Client::new(service, "default");
        Box::pin(async move { Ok(client) })
    });
    sim.clear_requests();
    let process = Process::new("bench", "v0", options, Arc::new(cloud.clone()), clients, clock);
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let ended = tokio::spawn({
        let stop = stop.clone();
        async move { process.run(stop).await }
    });
    let waiting = || {
        sim.list("nodes")
            .iter()
            .any(|node| node["spec"]["providerID"].as_str().is_none_or(str::is_empty))
    };
    while waiting() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let took = began.elapsed();
    // The log of the API server keeps the last ten thousand; its numbers go on.
    let asked = sim.requests().last().map_or(0, |request| request.n);
    let initial = cloud.script().calls().len();
    cloud.script().forget();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let hourly = sim.requests().last().map_or(0, |request| request.n) - asked;
    stop.cancel();
    ended.await.expect("no bug").expect("it ran");
    [
        count.to_string(),
        format!("{took:.1?}"),
        initial.to_string(),
        cloud.script().calls().len().to_string(),
        format!("{:.1}", asked as f64 / count as f64),
        hourly.to_string(),
    ]
}

fn main() {
    let mut counts: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![100, 1000];
    }
    let header = [
        "NODES",
        "INITIALISED IN",
        "CLOUD REQUESTS",
        "CLOUD REQUESTS/H",
        "API REQUESTS/NODE",
        "API REQUESTS/H",
    ];
    let mut table = kit::Table::new(header);
    for count in counts {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        table.row(runtime.expect("a runtime").block_on(measure(count)));
    }
    println!("{table}");
}
