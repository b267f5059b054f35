//! `roadstead sim equinix-metal`.

use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
use kit::Clock;
use serde_json::{Value, json};

use super::place::Place;
use super::refused;
use crate::failure::Failure;

/// Serves a simulated Equinix Metal. The ready line has a config file for a controller manager that uses it.
pub(super) async fn run(seed: u64, clock: Clock, state: Option<Value>, place: Place) -> Result<(), Failure> {
    let sim = MetalSim::seeded(clock, Settings::default(), seed);
    if let Some(state) = state {
        sim.replace(state).map_err(|error| refused(&error))?;
    }
    let config = json!({
        "apiKey": API_KEY,
        "projectID": PROJECT_ID,
        "base-url": format!("{}/metal/v1", place.url),
        "metro": "da",
        "loadbalancer": "kube-vip://",
    });
    place
        .serve("equinix-metal", json!({"config": config}), sim.router())
        .await
}
