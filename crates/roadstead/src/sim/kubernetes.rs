//! `roadstead sim kubernetes`: an API server that kubectl works against.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use cloud_sim::{BadState, Cloud, Front};
use http::StatusCode;
use kit::Clock;
use kube_sim::{Controllers, KubeSim, Snapshot};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::place::{ready, url};
use super::{Args, read_state};
use crate::failure::Failure;

/// How often the state is saved, if it changed.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Serves over TLS, always: clients of the real one expect it. With a state file, what is stored outlives the command.
pub(super) async fn run(
    args: &Args,
    clock: Clock,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let controllers: Controllers = args
        .controllers
        .parse()
        .map_err(|error: kube_sim::UnknownController| Failure::usage(error.to_string()))?;
    let built = KubeSim::builder()
        .clock(clock)
        .seed(args.seed)
        .controllers(controllers)
        .try_build();
    let sim = built.map_err(|error| Failure::other("set up the API server", error))?;
    let server = Arc::new(Server {
        start: sim.snapshot(),
        sim: sim.clone(),
        seed: args.seed,
    });
    let front = Front::new(server);
    if let Some(path) = &args.state {
        let state = read_state(path)?;
        front
            .replace(state)
            .map_err(|error| Failure::usage(format!("the state in {} makes no sense: {error}", path.display())))?;
    }
    let tls = kube_sim::serve::tls_config(&sim).map_err(|error| Failure::other("set up TLS", error))?;
    let url = url(&listener, true)?;
    let kubeconfig = KubeconfigFile::write(args.kubeconfig.clone(), &sim.kubeconfig(&url))?;
    ready(&json!({
        "sim": "kubernetes",
        "url": url,
        "control": format!("{url}/_sim"),
        "token": sim.admin_token(),
        "ca": sim.ca_pem(),
        "kubeconfig": kubeconfig.path,
    }))?;
    let saving = args
        .state
        .clone()
        .map(|path| tokio::spawn(save(sim.clone(), path, stop.clone())));
    let controlling = tokio::spawn({
        let (sim, stop) = (sim.clone(), stop.clone());
        async move { sim.run_controllers(stop).await }
    });
    let served = cloud_sim::serve_tls(router(&sim, &front), listener, Arc::new(tls), stop.clone()).await;
    stop.cancel();
    let _ = controlling.await;
    if let Some(saving) = saving {
        saving.await.unwrap_or(Ok(()))?;
    }
    served.map_err(|error| Failure::other("serve", error))
}

/// The API behind log and faults, with the control API of every simulator, and one call more.
fn router(sim: &KubeSim, front: &Front) -> Router {
    let compacted = sim.clone();
    let compact = move || async move {
        compacted.faults().compact();
        StatusCode::NO_CONTENT
    };
    Router::new()
        .route("/_sim/compact", post(compact))
        .fallback_service(front.router(sim.router()))
}

/// What the control API asks of it.
struct Server {
    sim: KubeSim,
    seed: u64,
    start: Snapshot,
}

impl Cloud for Server {
    fn clock(&self) -> &Clock {
        self.sim.clock()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn state(&self) -> Value {
        serde_json::to_value(self.sim.snapshot()).unwrap_or_default()
    }

    fn replace(&self, state: Value) -> Result<(), BadState> {
        // An empty object is the start state, here as with every simulator.
        let empty = state.as_object().is_some_and(serde_json::Map::is_empty);
        self.sim.restore(if empty {
            self.start.clone()
        } else {
            serde_json::from_value(state)?
        });
        Ok(())
    }

    fn reset(&self) {
        self.sim.restore(self.start.clone());
    }
}

/// Saves the state whenever it has changed, and a last time at the end.
async fn save(sim: KubeSim, path: PathBuf, stop: CancellationToken) -> Result<(), Failure> {
    let mut saved = None;
    loop {
        let revision = sim.revision();
        if saved != Some(revision) {
            write(&path, &sim.snapshot())?;
            saved = Some(revision);
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SAVE_EVERY) => {}
        }
    }
}

fn write(path: &Path, snapshot: &Snapshot) -> Result<(), Failure> {
    let action = format!("save the state to {}", path.display());
    let text = serde_json::to_vec(snapshot).map_err(|error| Failure::other(&action, error))?;
    kit::fs::write_private(path, &text).map_err(|error| Failure::other(&action, error))
}

/// A kubeconfig that goes with the server, or stays where the user asked for it.
struct KubeconfigFile {
    path: PathBuf,
    _dir: Option<TempDir>,
}

impl KubeconfigFile {
    fn write(asked: Option<PathBuf>, content: &str) -> Result<Self, Failure> {
        let (path, dir) = if let Some(path) = asked {
            (path, None)
        } else {
            let dir = tempfile::Builder::new().prefix("roadstead-sim-").tempdir();
            let dir = dir.map_err(|error| Failure::other("make a temporary directory", error))?;
            (dir.path().join("kubeconfig"), Some(dir))
        };
        kit::fs::write_private(&path, content.as_bytes())
            .map_err(|error| Failure::other(&format!("write {}", path.display()), error))?;
        Ok(Self { path, _dir: dir })
    }
}
