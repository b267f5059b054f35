//! Equinix Metal, as the story of a managed cluster needs it.

use std::sync::Arc;

use cloud_provider::Cloud;
use cloud_sim::{BadState, Front};
use equinix_metal::EquinixMetal;
use equinix_metal::config::Config;
use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
use kit::Clock;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::managed::{Rental, play as play_managed};
use super::simulated::{SPEED, serve};
use super::{Keep, Played};
use crate::failure::Failure;

/// Plays it.
pub(super) async fn play(keep: Keep, stop: CancellationToken) -> Result<Played, Failure> {
    play_managed(Devices::open().await?, keep, stop).await
}

/// A simulated Equinix Metal.
struct Devices {
    sim: MetalSim,
    url: String,
    _running: DropGuard,
}

impl Devices {
    async fn open() -> Result<Self, Failure> {
        let clock = Clock::simulated(jiff::Timestamp::now(), SPEED);
        let sim = MetalSim::seeded(clock, Settings::default(), 1);
        let running = CancellationToken::new();
        let url = serve(sim.router(), running.clone()).await?;
        Ok(Self {
            sim,
            url,
            _running: running.drop_guard(),
        })
    }
}

impl Rental for Devices {
    const TITLE: &'static str = "Equinix Metal";
    const NAME: &'static str = "equinixmetal";
    const ADDRESSES: [&'static str; 2] = ["Elastic IP", "Elastic IPs"];

    fn front(&self) -> &Front {
        self.sim.front()
    }

    fn cloud(&self) -> Result<Arc<dyn Cloud>, Failure> {
        let config = json!({
            "apiKey": API_KEY, "projectID": PROJECT_ID, "metro": "da", "loadbalancer": "kube-vip://",
            "base-url": format!("{}/metal/v1", self.url),
        });
        let config = Config::read(Some(config.to_string().as_bytes()), &|_| None);
        let config = config.map_err(|error| Failure::other("configure the provider", error))?;
        let cloud = EquinixMetal::new(config, None, &Clock::system());
        Ok(Arc::new(
            cloud.map_err(|error| Failure::other("set up the provider", error))?,
        ))
    }

    fn rent(&self, name: &str) -> Result<String, Failure> {
        Ok(self.sim.add_device(name))
    }

    fn switch_off(&self, id: &str) -> Result<(), Failure> {
        self.sim.set_device_state(id, "inactive").map_err(wrong)
    }

    fn give_back(&self, id: &str) -> Result<(), Failure> {
        self.sim.set_device_state(id, "deleted").map_err(wrong)
    }

    fn addresses(&self) -> usize {
        let public = |one: &&Value| one["type"] == "public_ipv4" && one["management"] != true;
        self.sim.reservations().iter().filter(public).count()
    }
}

fn wrong(error: BadState) -> Failure {
    Failure::other("set up the simulated provider", error)
}
