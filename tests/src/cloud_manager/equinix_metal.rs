//! The cloud controller manager of Equinix Metal, and the simulated project it looks after.

use std::path::PathBuf;

use axum::Router;
use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
use serde_json::{Value, json};

use super::{Machine, Subject};

/// The manager; this binary is `cloud-provider-equinix-metal`.
pub fn subject(binary: PathBuf) -> Subject {
    Subject {
        name: "equinix-metal",
        binary,
        flags: Vec::new(),
        env: Vec::new(),
        config: |url| {
            json!({
                "apiKey": API_KEY, "projectID": PROJECT_ID, "base-url": format!("{url}/metal/v1"),
                "loadbalancer": "empty://", "metro": "da",
            })
            .to_string()
        },
        scheme: "equinixmetal",
        id: |n| format!("00000000-0000-4000-8000-{n:012}"),
        cloud,
        cluster: |_| {},
        node: |_, _| {},
        service: Some(|_, _| {}),
    }
}

/// The simulated service with these devices, each with one private address.
fn cloud(machines: &[Machine]) -> Router {
    let sim = MetalSim::new(kit::Clock::system(), Settings::default());
    sim.add_device("model");
    let mut state = sim.state();
    let model = state["devices"][0].take();
    let devices: Vec<Value> = machines.iter().map(|machine| device(&model, machine)).collect();
    state["devices"] = devices.into();
    sim.replace(state).unwrap();
    sim.router()
}

/// The model as this machine.
fn device(model: &Value, machine: &Machine) -> Value {
    let mut device = model.clone();
    device["id"] = json!(machine.id);
    device["hostname"] = json!(machine.name);
    let nics = device["nics"].as_array_mut().unwrap();
    nics.retain(|nic| nic["family"] == 4 && nic["public"] == false);
    for nic in nics {
        nic["id"] = json!(format!("00000000-0000-4000-9000-{:012}", machine.n));
        nic["address"] = json!(machine.address);
    }
    device
}
