//! `roadstead sim kubernetes`: an API server that kubectl works against.

use std::path::PathBuf;

use kit::Clock;
use kube_sim::{Controllers, KubeSim};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Args, ready, url};
use crate::failure::Failure;

/// Serves over TLS, always: clients of the real one expect it.
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
    let url = url(&listener, true)?;
    let kubeconfig = KubeconfigFile::write(args.kubeconfig.clone(), &sim.kubeconfig(&url))?;
    ready(&json!({
        "sim": "kubernetes",
        "url": url,
        "token": sim.admin_token(),
        "ca": sim.ca_pem(),
        "kubeconfig": kubeconfig.path,
    }))?;
    let served = kube_sim::serve::tls(sim, listener, stop).await;
    served.map_err(|error| Failure::other("serve", error))
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
