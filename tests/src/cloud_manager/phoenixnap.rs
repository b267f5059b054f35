//! The cloud controller manager of PhoenixNAP, and the simulated account it looks after.

use std::path::PathBuf;

use axum::Router;
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, Kind, PhoenixNapSim, Settings, TOKEN_PATH};
use serde_json::{Value, json};

use super::{Machine, Subject};

/// The public network that Services have their addresses on.
const NETWORK: &str = "60c1000000000000000000ff";
/// How many Services have an address of a block that is bought: a network takes ten, with thirteen addresses each. The
/// others ask for addresses of a large block that was brought there.
const BOUGHT: usize = 100;

/// The manager; this binary is `cloud-provider-phoenixnap`.
pub fn subject(binary: PathBuf) -> Subject {
    Subject {
        name: "phoenixnap",
        binary,
        // Calls of one Service keep no other waiting.
        flags: vec!["--concurrent-service-syncs=10".to_owned()],
        env: Vec::new(),
        config: |url| {
            json!({
                "clientID": CLIENT_ID, "clientSecret": CLIENT_SECRET, "base-url": url,
                "token-url": format!("{url}{TOKEN_PATH}"), "location": "ASH",
                "loadbalancer": format!("kube-vip://{NETWORK}"), "shareIPBlocks": true, "ipBlockSize": "/28",
            })
            .to_string()
        },
        scheme: "phoenixnap",
        id: |n| format!("60c1{n:020}"),
        cloud,
        cluster: |_| {},
        node: |_, _| {},
        service: Some(service),
    }
}

/// The simulated service with these servers, and a network with one large block. Blocks move at once: what the manager
/// takes is measured, not what the cloud does.
fn cloud(machines: &[Machine]) -> Router {
    let settings = Settings {
        polls: Some(1),
        token_lifetime: std::time::Duration::from_hours(24),
        ..Settings::default()
    };
    let sim = PhoenixNapSim::new(kit::Clock::system(), settings);
    let mut state = sim.state();
    let servers = machines.iter().map(|machine| {
        let server = json!({"hostname": machine.name, "private_ips": [machine.address]});
        (machine.id.clone(), server)
    });
    state["servers"] = servers.collect::<serde_json::Map<String, Value>>().into();
    sim.replace(state).unwrap();
    let network = json!({"name": "services", "location": "ASH"});
    sim.change(Kind::PublicNetwork, NETWORK, &network).unwrap();
    let brought = json!({"cidr": "198.51.96.0/20", "status": "assigned", "target": {"network": NETWORK}});
    sim.add(Kind::Block, brought).unwrap();
    sim.router()
}

/// The nth Service, beyond those that are given any address.
fn service(n: usize, service: &mut Value) {
    if let Some(n) = n.checked_sub(BOUGHT) {
        let n = n + 2;
        service["spec"]["loadBalancerIP"] = json!(format!("198.51.{}.{}", 96 + n / 256, n % 256));
    }
}
