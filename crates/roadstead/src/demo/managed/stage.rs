//! What it is played on: an API server, a simulated provider, a place for a kubeconfig; later the controller manager.

use std::path::PathBuf;

use cloud_provider::manager::flags::Parsed;
use cloud_provider::manager::{Clients, Options, Process};
use kit::Clock;
use kube_kit::client::ClientConfig;
use kube_sim::KubeSim;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::simulated::listen;
use super::Rental;
use crate::failure::Failure;

const COMMAND: &str = "roadstead-demo";
const NAMESPACE: &str = "default";

/// Everything that is needed, gone when it is dropped.
pub(super) struct Stage<R> {
    pub(super) rental: R,
    pub(super) kube: KubeSim,
    pub(super) stop: CancellationToken,
    dir: TempDir,
    running: CancellationToken,
    _running: DropGuard,
}

impl<R: Rental> Stage<R> {
    pub(super) async fn set(rental: R, stop: CancellationToken) -> Result<Self, Failure> {
        let kube = KubeSim::builder().try_build();
        let kube = kube.map_err(|error| Failure::other("set up the API server", error))?;
        let running = CancellationToken::new();
        let (listener, url) = listen("https").await?;
        tokio::spawn({
            let (kube, running) = (kube.clone(), running.clone());
            async move {
                if let Err(error) = kube_sim::serve::tls(kube, listener, running).await {
                    tracing::error!(%error, "the API server stopped");
                }
            }
        });
        tokio::spawn({
            let (kube, running) = (kube.clone(), running.clone());
            async move { kube.run_controllers(running).await }
        });
        let dir = tempfile::Builder::new().prefix("roadstead-demo-").tempdir();
        let dir = dir.map_err(|error| Failure::other("make a temporary directory", error))?;
        let stage = Self {
            rental,
            stop,
            _running: running.clone().drop_guard(),
            running,
            dir,
            kube,
        };
        let written = kit::fs::write_private(&stage.kubeconfig(), stage.kube.kubeconfig(&url).as_bytes());
        written.map_err(|error| Failure::other("write the kubeconfig", error))?;
        Ok(stage)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Starts the controller manager, which looks more often than it would at real machines.
    pub(super) fn start_manager(&self) -> Result<(), Failure> {
        let args = [
            &format!("--cloud-provider={}", R::NAME),
            "--secure-port=0",
            "--leader-elect=false",
            "--node-monitor-period=500ms",
            "--node-deletion-grace-period=2s",
        ];
        let parsed = Parsed::parse(COMMAND, args.map(str::to_owned));
        let parsed = parsed.map_err(|error| Failure::other("read the manager's flags", error))?;
        let options = Options::new(parsed, COMMAND);
        let options = options.map_err(|error| Failure::other("read the manager's flags", error))?;
        let config = ClientConfig {
            kubeconfig: Some(self.kubeconfig()),
            master: None,
            rate: None,
            requests: None,
            pod: None,
        };
        let clients = Clients::new(move |purpose| {
            let config = config.clone();
            Box::pin(async move { config.client(COMMAND, purpose.timeout, &purpose.fence).await })
        });
        let process = Process::new(COMMAND, "", options, self.rental.cloud()?, clients, Clock::system());
        let running = self.running.clone();
        tokio::spawn(async move {
            if let Err(error) = process.run(running).await {
                tracing::error!("the controller manager stopped: {}", kit::chain(&error));
            }
        });
        Ok(())
    }

    /// Registers a node as kubelet does when it is told that a controller manager will come.
    pub(super) fn register(&self, name: &str) -> Result<(), Failure> {
        self.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"taints": [
                {"key": cloud_provider::names::TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule"},
            ]},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
        }))
    }

    /// Has a node's kubelet fall silent, as Kubernetes tells it.
    pub(super) fn fall_silent(&self, name: &str) -> Result<(), Failure> {
        let mut node = self.node(name).unwrap_or_default();
        node["status"]["conditions"] = json!([
            {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"},
        ]);
        let updated = self.kube.update_status(node);
        updated
            .map(drop)
            .map_err(|error| Failure::other("update a node", error))
    }

    pub(super) fn expose(&self, name: &str) -> Result<(), Failure> {
        self.create(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
        }))
    }

    pub(super) fn withdraw(&self, name: &str) -> Result<(), Failure> {
        let deleted = self.kube.delete("services", Some(NAMESPACE), name);
        deleted
            .map(drop)
            .map_err(|error| Failure::other("delete a Service", error))
    }

    pub(super) fn node(&self, name: &str) -> Option<Value> {
        self.kube.get("nodes", None, name)
    }

    pub(super) fn service(&self, name: &str) -> Option<Value> {
        self.kube.get("services", Some(NAMESPACE), name)
    }

    fn create(&self, object: Value) -> Result<(), Failure> {
        let created = self.kube.create(object);
        created
            .map(drop)
            .map_err(|error| Failure::other("create an object", error))
    }
}
