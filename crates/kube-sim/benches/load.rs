//! What the simulation costs with 5,000 nodes and 2,000 services in it, asked in-process: `cargo bench -p kube-sim --bench load`.
//!
//! Everything goes through the router, so that parsing, rights, validation, field ownership and encoding are in the figures.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot measure should stop")]
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube_sim::{Controllers, KubeSim};
use serde_json::{Value, json};
use tower::ServiceExt;

const NODES: usize = 5_000;
const SERVICES: usize = 2_000;
/// Status patches for the sustained rate: more than twice the history, so that it is full before the end.
const WRITES: usize = 25_000;
const WATCHERS: usize = 10;
const WATCHED_RATE: u32 = 200;
const WATCHED_WRITES: usize = 600;
const LISTS: usize = 10;

const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// A node as a kubelet writes it: addresses, resources, conditions, and the images that make up most of it.
fn node(n: usize) -> Value {
    let image = |i: usize| {
        let name = format!("registry.example.com/team-{}/component-{i}", i % 7);
        json!({"names": [format!("{name}@sha256:{:064x}", n * 100 + i), format!("{name}:v1.{i}.{n}")], "sizeBytes": 30_000_000 + i})
    };
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "KubeletHasWhatItNeeds", "message": "kubelet has what it needs",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let resources = json!({"cpu": "16", "memory": "65536Mi", "pods": "110", "ephemeral-storage": "100Gi"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("node-{n:05}"), "labels": {
            "kubernetes.io/hostname": format!("node-{n:05}"), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("zone-{}", n % 3), "node.kubernetes.io/instance-type": "large",
        }},
        "spec": {"providerID": format!("cloud://{n}"), "podCIDR": format!("10.{}.{}.0/24", n / 256, n % 256)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": format!("172.16.{}.{}", n / 256, n % 256)},
                {"type": "Hostname", "address": format!("node-{n:05}")}],
            "capacity": resources, "allocatable": resources,
            "conditions": [condition("MemoryPressure", "False"), condition("DiskPressure", "False"),
                condition("PIDPressure", "False"), condition("Ready", "True")],
            "images": (0..20).map(image).collect::<Vec<_>>(),
            "nodeInfo": {"machineID": format!("{n:032x}"), "kubeletVersion": "v1.36.2", "osImage": "Linux", "architecture": "amd64"},
        },
    })
}

fn service(n: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("service-{n:05}")},
        "spec": {"type": if n.is_multiple_of(10) { "LoadBalancer" } else { "ClusterIP" }, "selector": {"app": format!("app-{n}")},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
}

/// What a kubelet does every few seconds.
fn heartbeat(n: usize) -> Value {
    let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", n / 3600 % 24, n / 60 % 60, n % 60);
    json!({"status": {"conditions": [{"type": "Ready", "lastHeartbeatTime": time, "message": format!("beat {n}")}]}})
}

async fn send(sim: &KubeSim, method: Method, path: &str, media: &str, body: Vec<u8>) -> Bytes {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Authorization", format!("Bearer {}", sim.admin_token()))
        .header("Content-Type", media)
        .header("User-Agent", "kubelet/v1.36.2")
        .body(Body::from(body))
        .unwrap();
    let response = sim.router().oneshot(request).await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn beat(sim: &KubeSim, n: usize) {
    let path = format!("/api/v1/nodes/node-{:05}/status", n % NODES);
    send(
        sim,
        Method::PATCH,
        &path,
        STRATEGIC,
        heartbeat(n).to_string().into_bytes(),
    )
    .await;
}

async fn create(sim: &KubeSim, path: &str, object: &Value) {
    send(
        sim,
        Method::POST,
        path,
        "application/json",
        object.to_string().into_bytes(),
    )
    .await;
}

/// Resident memory in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Watches nodes until it has seen as many events as there will be; gives when each came, by its number.
async fn watch(sim: KubeSim, from: u64) -> Vec<Instant> {
    let request = Request::get(format!("/api/v1/nodes?watch=1&resourceVersion={from}"))
        .header("Authorization", format!("Bearer {}", sim.admin_token()))
        .body(Body::empty())
        .unwrap();
    let response = sim.router().oneshot(request).await.unwrap();
    let mut lines = response.into_body().into_data_stream();
    let mut seen = Vec::new();
    while seen.len() < WATCHED_WRITES {
        lines.next().await.unwrap().unwrap();
        seen.push(Instant::now());
    }
    seen
}

/// How long each event took to each watcher, in milliseconds, sorted.
async fn deliveries(sim: &KubeSim) -> Vec<f64> {
    let from = sim.revision();
    let watchers: Vec<_> = (0..WATCHERS).map(|_| tokio::spawn(watch(sim.clone(), from))).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut tick = tokio::time::interval(Duration::from_secs(1) / WATCHED_RATE);
    for n in 0..WATCHED_WRITES {
        tick.tick().await;
        // From the moment the write is asked for: what it costs itself is a part of the delay.
        written.lock().unwrap().push(Instant::now());
        beat(sim, WRITES + n).await;
    }
    let mut delays = Vec::new();
    for watcher in watchers {
        let seen = watcher.await.unwrap();
        let written = written.lock().unwrap();
        delays.extend(
            seen.iter()
                .zip(&*written)
                .map(|(seen, written)| (*seen - *written).as_secs_f64() * 1e3),
        );
    }
    delays.sort_by(f64::total_cmp);
    delays
}

#[tokio::main]
async fn main() {
    let sim = KubeSim::builder().controllers(Controllers::none()).build();
    let mut table = kit::Table::new(["FIGURE", "MEASURED"]);
    let mut row = |name: String, value: String| table.row([name, value]);

    let nodes: Vec<Value> = (0..NODES).map(node).collect();
    let size = nodes[0].to_string().len();
    let before = resident();
    let begun = Instant::now();
    for object in &nodes {
        create(&sim, "/api/v1/nodes", object).await;
    }
    row(
        format!("Node creations, objects of {:.1} kB as sent", size as f64 / 1e3),
        format!("{:.0} /s", NODES as f64 / begun.elapsed().as_secs_f64()),
    );
    let held = resident() - before;
    row(
        "memory of a stored node".to_owned(),
        format!("{:.1} kB", held / NODES as f64 / 1e3),
    );

    for n in 0..SERVICES {
        create(&sim, "/api/v1/namespaces/default/services", &service(n)).await;
    }
    let begun = Instant::now();
    for n in 0..100 {
        create(&sim, "/api/v1/namespaces/default/services", &service(SERVICES + n)).await;
    }
    row(
        format!("Service creation beside {SERVICES} others"),
        format!("{:.3} ms", begun.elapsed().as_secs_f64() * 1e3 / 100.0),
    );

    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..LISTS {
        let begun = Instant::now();
        bytes = send(&sim, Method::GET, "/api/v1/nodes", "", Vec::new()).await.len();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    row(
        format!("list of {NODES} nodes, {:.0} MB (median)", bytes as f64 / 1e6),
        format!("{:.0} ms", percentile(&times, 0.5)),
    );
    let path = "/api/v1/nodes?labelSelector=kubernetes.io/hostname%3Dnode-00042";
    let begun = Instant::now();
    for _ in 0..LISTS {
        send(&sim, Method::GET, path, "", Vec::new()).await;
    }
    row(
        format!("list that selects one of {NODES} nodes"),
        format!("{:.2} ms", begun.elapsed().as_secs_f64() * 1e3 / LISTS as f64),
    );

    let begun = Instant::now();
    let mut grown = Vec::new();
    for n in 0..WRITES {
        beat(&sim, n).await;
        if (n + 1) % (WRITES / 5) == 0 {
            grown.push(format!("{:.0}", resident() / 1e6));
        }
    }
    row(
        "status patches sustained".to_owned(),
        format!("{:.0} /s", WRITES as f64 / begun.elapsed().as_secs_f64()),
    );
    row(
        format!("memory after each {} of them", WRITES / 5),
        format!("{} MB", grown.join(", ")),
    );

    let delays = deliveries(&sim).await;
    row(
        format!("delivery to {WATCHERS} watchers at {WATCHED_RATE} writes/s, p50"),
        format!("{:.2} ms", percentile(&delays, 0.5)),
    );
    row(
        "the same, p99".to_owned(),
        format!("{:.2} ms", percentile(&delays, 0.99)),
    );
    println!("{NODES} nodes, {SERVICES} services, in-process\n\n{table}");
}
