//! PhoenixNAP, as the story of a managed cluster needs it.

use std::sync::Arc;

use cloud_provider::Cloud;
use cloud_sim::{BadState, Front};
use kit::Clock;
use phoenixnap::{Config, PROVIDER_NAME, PhoenixNap};
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, Kind, PhoenixNapSim, Settings, TOKEN_PATH};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::managed::{Rental, play as play_managed};
use super::simulated::{SPEED, serve};
use super::{Keep, Played};
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(keep: Keep, stop: CancellationToken) -> Result<Played, Failure> {
    play_managed(Servers::open().await?, keep, stop).await
}

/// A simulated PhoenixNAP with a public network for Services.
struct Servers {
    sim: PhoenixNapSim,
    url: String,
    network: String,
    _running: DropGuard,
}

impl Servers {
    async fn open() -> Result<Self, Failure> {
        let clock = Clock::simulated(jiff::Timestamp::now(), SPEED);
        let sim = PhoenixNapSim::seeded(clock, Settings::default(), 1);
        let network = sim.add(Kind::PublicNetwork, json!({"name": "services", "location": "ASH"}));
        let network = network.map_err(wrong)?;
        let running = CancellationToken::new();
        let url = serve(sim.router(), running.clone()).await?;
        Ok(Self {
            sim,
            url,
            network,
            _running: running.drop_guard(),
        })
    }
}

impl Rental for Servers {
    const TITLE: &'static str = "PhoenixNAP";
    const NAME: &'static str = PROVIDER_NAME;
    const ADDRESSES: [&'static str; 2] = ["IP block", "IP blocks"];

    fn front(&self) -> &Front {
        self.sim.front()
    }

    fn cloud(&self) -> Result<Arc<dyn Cloud>, Failure> {
        let config = json!({
            "clientID": CLIENT_ID, "clientSecret": CLIENT_SECRET, "location": "ASH",
            "base-url": self.url, "token-url": format!("{}{TOKEN_PATH}", self.url),
            "loadbalancer": format!("kube-vip://{}", self.network),
        });
        let config = Config::read(Some(config.to_string().as_bytes()), |_| None);
        let config = config.map_err(|error| Failure::other("configure the provider", error))?;
        let cloud = PhoenixNap::new(config, None, Clock::system());
        Ok(Arc::new(
            cloud.map_err(|error| Failure::other("set up the provider", error))?,
        ))
    }

    fn rent(&self, name: &str) -> Result<String, Failure> {
        let n = self.sim.objects(Kind::Server).len() + 2;
        let server = json!({
            "hostname": name, "public_ips": [format!("198.51.100.{n}")], "private_ips": [format!("10.0.0.{n}")],
        });
        self.sim.add(Kind::Server, server).map_err(wrong)
    }

    fn switch_off(&self, id: &str) -> Result<(), Failure> {
        self.sim
            .change(Kind::Server, id, &json!({"status": "powered-off"}))
            .map_err(wrong)
    }

    fn give_back(&self, id: &str) -> Result<(), Failure> {
        self.sim.remove(Kind::Server, id).map_err(wrong)
    }

    fn addresses(&self) -> usize {
        self.sim.objects(Kind::Block).len()
    }
}

fn wrong(error: BadState) -> Failure {
    Failure::other("set up the simulated provider", error)
}
