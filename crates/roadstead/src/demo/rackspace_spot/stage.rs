//! What the demo plays on: a simulated provider, the driver, an engine, a place to remember the cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Clock;
use kontainer_engine::{DriverSource, Engine, FileStore};
use rackspace_spot::SpotDriver;
use rackspace_spot_sim::SpotSim;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::demo::simulated::{SPEED, serve};
use crate::failure::Failure;

/// Everything the demo needs, gone when it is dropped.
pub(super) struct Stage {
    pub(super) sim: SpotSim,
    pub(super) engine: Engine,
    pub(super) driver: DriverSource,
    pub(super) stop: CancellationToken,
    store: Arc<FileStore>,
    _dir: TempDir,
    _running: DropGuard,
}

impl Stage {
    pub(super) async fn set(stop: CancellationToken) -> Result<Self, Failure> {
        let sim = SpotSim::seeded(
            Clock::simulated(jiff::Timestamp::now(), SPEED),
            rackspace_spot_sim::Settings::default(),
            1,
        );
        let running = CancellationToken::new();
        let url = serve(sim.router(), running.clone()).await?;
        tokio::spawn(sim.live(running.clone()));

        // The one thing that differs from the real provider: where it is. It is also looked at more often, as it is faster.
        let mut settings = rackspace_spot::Settings::from_env().map_err(|error| Failure::usage(kit::chain(&error)))?;
        settings.oauth_url.clone_from(&url);
        settings.api_url = url;
        settings.refresh_token = None;
        settings.access_token = None;
        settings.limits.poll_first = Duration::from_millis(50);
        settings.limits.poll_most = Duration::from_millis(400);

        let dir = tempfile::Builder::new()
            .prefix("roadstead-demo-")
            .tempdir()
            .map_err(|error| Failure::other("make a temporary directory", error))?;
        let store = Arc::new(FileStore::new(dir.path(), Clock::system()));
        Ok(Self {
            sim,
            engine: Engine::new(store.clone(), Clock::system()),
            driver: DriverSource::BuiltIn(Arc::new(SpotDriver::new(settings))),
            stop,
            store,
            _dir: dir,
            _running: running.drop_guard(),
        })
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.store.kubeconfig()
    }
}
