//! The simulated cloud: a map behind two routes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use cloud_sim::{BadState, Cloud, Front, Network};
use http::{HeaderMap, StatusCode};
use kit::Clock;
use serde_json::{Value, json};

pub const HOST: &str = "shed.sim";
/// Whose machines these are. Any other key has an account without machines.
pub const KEY: &str = "planted-key-of-the-shed";

type Machines = Mutex<BTreeMap<String, Value>>;

struct Account {
    machines: Machines,
    made: AtomicUsize,
    clock: Clock,
    seed: u64,
}

impl Cloud for Account {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn state(&self) -> Value {
        json!(*self.machines.lock().unwrap())
    }

    fn replace(&self, state: Value) -> Result<(), BadState> {
        let machines = serde_json::from_value(state).map_err(|error| BadState::new(error.to_string()))?;
        *self.machines.lock().unwrap() = machines;
        Ok(())
    }

    fn reset(&self) {
        self.machines.lock().unwrap().clear();
    }
}

pub struct Simulation {
    pub front: Front,
    pub network: Network,
    account: Arc<Account>,
}

impl Simulation {
    pub fn new(clock: Clock, seed: u64) -> Self {
        let account = Arc::new(Account {
            machines: Mutex::default(),
            made: AtomicUsize::new(0),
            clock,
            seed,
        });
        let sim = Self {
            front: Front::new(account.clone()),
            network: Network::new(),
            account,
        };
        sim.network.host(HOST, sim.router());
        sim
    }

    pub fn router(&self) -> Router {
        let api = Router::new()
            .route("/machines", get(list))
            .route("/machines/{id}", get(one))
            .with_state(self.account.clone());
        self.front.router(api)
    }

    pub fn machines(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.account.machines.lock().unwrap()
    }

    pub fn add(&self, name: &str) -> String {
        let n = self.account.made.fetch_add(1, Ordering::Relaxed);
        let (id, address) = (format!("m{n}"), format!("10.0.{}.{}", n / 250, n % 250 + 1));
        let machine = json!({"id": id, "name": name, "address": address, "on": true});
        self.machines().insert(id.clone(), machine);
        id
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    headers.get("x-auth-token").is_some_and(|key| key == KEY)
}

async fn list(State(account): State<Arc<Account>>, headers: HeaderMap) -> Json<Value> {
    let machines = account.machines.lock().unwrap();
    let shown: Vec<&Value> = machines.values().filter(|_| is_ours(&headers)).collect();
    Json(json!({ "machines": shown }))
}

async fn one(State(account): State<Arc<Account>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match account.machines.lock().unwrap().get(&id) {
        Some(machine) if is_ours(&headers) => Json(machine.clone()).into_response(),
        _ => (StatusCode::NOT_FOUND, Json(json!({"error": "no such machine"}))).into_response(),
    }
}
