//! `roadstead sim phoenixnap`.

use kit::Clock;
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, Kind, PhoenixNapSim, Settings, TOKEN_PATH};
use serde_json::{Value, json};

use super::place::Place;
use super::refused;
use crate::failure::Failure;

/// Serves a simulated PhoenixNAP. It begins with a public network, and the ready line has a config file for a controller
/// manager that uses it; with a state of the caller's, only what that state has.
pub(super) async fn run(seed: u64, clock: Clock, state: Option<Value>, place: Place) -> Result<(), Failure> {
    let sim = PhoenixNapSim::seeded(clock, Settings::default(), seed);
    let mut config = json!({
        "clientID": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "base-url": place.url,
        "token-url": format!("{}{TOKEN_PATH}", place.url),
    });
    if let Some(state) = state {
        sim.replace(state).map_err(|error| refused(&error))?;
    } else {
        let network = sim
            .add(Kind::PublicNetwork, json!({"name": "services"}))
            .map_err(|error| refused(&error))?;
        config["location"] = "ASH".into();
        config["loadbalancer"] = format!("kube-vip://{network}").into();
    }
    place.serve("phoenixnap", json!({"config": config}), sim.router()).await
}
