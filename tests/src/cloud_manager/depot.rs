//! The framework's own example, `crates/cloud-provider/examples/depot.rs`, and the cloud it is made for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Machine, Subject};

const PAGE: usize = 1000;

/// The framework itself: this binary is the example `depot`.
pub fn subject(binary: PathBuf) -> Subject {
    Subject {
        name: "framework",
        binary,
        flags: vec!["--cloud-provider=depot".to_owned()],
        env: Vec::new(),
        config: |url| format!("url: {url}\n"),
        scheme: "depot",
        id: |n| format!("m-{n}"),
        cloud,
        cluster: |_| {},
        node: |_, _| {},
        service: Some(|_, _| {}),
    }
}

struct Depot {
    machines: Vec<Value>,
    balancers: Mutex<BTreeMap<String, Value>>,
}

fn cloud(machines: &[Machine]) -> Router {
    let machine = |machine: &Machine| {
        json!({
            "id": machine.id, "name": machine.name, "address": machine.address,
            "size": "large", "zone": "east", "on": true,
        })
    };
    let depot = Arc::new(Depot {
        machines: machines.iter().map(machine).collect(),
        balancers: Mutex::default(),
    });
    Router::new()
        .route("/v1/machines", get(list))
        .route("/v1/machines/{id}", get(one))
        .route("/v1/balancers/{name}", get(balancer).put(put).delete(remove))
        .with_state(depot)
}

async fn list(State(depot): State<Arc<Depot>>, Query(query): Query<BTreeMap<String, usize>>) -> Json<Value> {
    let from = query.get("page").copied().unwrap_or_default() * PAGE;
    let page: Vec<_> = depot.machines.iter().skip(from).take(PAGE).cloned().collect();
    Json(json!({ "machines": page, "more": depot.machines.len() > from + PAGE }))
}

async fn one(State(depot): State<Arc<Depot>>, Path(id): Path<String>) -> Response {
    found(
        depot
            .machines
            .iter()
            .find(|machine| machine["id"] == id.as_str())
            .cloned(),
    )
}

async fn balancer(State(depot): State<Arc<Depot>>, Path(name): Path<String>) -> Response {
    found(depot.balancers.lock().unwrap().get(&name).cloned())
}

async fn put(State(depot): State<Arc<Depot>>, Path(name): Path<String>, Json(wanted): Json<Value>) -> Response {
    let mut balancers = depot.balancers.lock().unwrap();
    let address = match balancers.get(&name) {
        Some(known) => known["address"].clone(),
        None => json!(format!("203.0.{}.{}", balancers.len() / 250, balancers.len() % 250 + 1)),
    };
    let made = json!({ "address": address, "wanted": wanted });
    balancers.insert(name, made.clone());
    Json(made).into_response()
}

async fn remove(State(depot): State<Arc<Depot>>, Path(name): Path<String>) -> Response {
    found(depot.balancers.lock().unwrap().remove(&name))
}

fn found(value: Option<Value>) -> Response {
    value.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |value| Json(value).into_response(),
    )
}

/// The framework itself, as it is in the tree.
pub fn built() -> Subject {
    subject(super::example("cloud-provider", "depot"))
}
