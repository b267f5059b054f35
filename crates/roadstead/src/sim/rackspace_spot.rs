//! `roadstead sim rackspace-spot`.

use kit::Clock;
use rackspace_spot_sim::{ACME_TOKEN, Settings, SpotSim};
use serde_json::{Value, json};

use super::place::Place;
use super::refused;
use crate::failure::Failure;

/// Serves a simulated Rackspace Spot. The ready line has an organization and a token for it.
pub(super) async fn run(seed: u64, clock: Clock, state: Option<Value>, place: Place) -> Result<(), Failure> {
    let sim = SpotSim::seeded(clock, Settings::default(), seed);
    if let Some(state) = state {
        sim.replace(state).map_err(|error| refused(&error))?;
    }
    tokio::spawn(sim.live(place.stop.clone()));
    let needs = json!({"organization": "acme", "refreshToken": ACME_TOKEN});
    place.serve("rackspace-spot", needs, sim.router()).await
}
