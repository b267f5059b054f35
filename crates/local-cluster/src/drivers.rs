//! One module per driver.

pub mod auto;
pub(crate) mod colima;
pub(crate) mod daemon;
pub(crate) mod engine;
pub(crate) mod k3d;
pub(crate) mod kind;
pub(crate) mod minikube;
pub mod mock;
pub(crate) mod process;
pub(crate) mod sim;

use std::sync::Arc;

use crate::driver::Driver;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::Lifecycle;
use crate::manager::Manager;
use crate::registry::Registry;

pub use auto::Auto;
pub use colima::Colima;
pub use k3d::K3d;
pub use kind::Kind;
pub use minikube::Minikube;
pub use mock::Mock;
pub use process::Process;
pub use sim::Sim;

fn managed(host: &Arc<Host>, driver: impl Driver + 'static) -> Arc<dyn Manager> {
    Arc::new(Lifecycle::new(Arc::clone(host), Arc::new(driver)))
}

/// Every driver: `auto`, `colima`, `k3d`, `kind`, `minikube`, `mock`, `process` and `sim`. This is the place to add one.
///
/// # Errors
/// Never in practice: the names are distinct.
pub fn standard() -> Result<Registry, Error> {
    let registry = Registry::new();
    registry.register("auto", |host, profile| Ok(Arc::new(Auto::new(host, profile)?)))?;
    registry.register("colima", |host, profile| Ok(managed(host, Colima::new(host, profile)?)))?;
    registry.register("k3d", |host, profile| Ok(managed(host, K3d::new(host, profile)?)))?;
    registry.register("kind", |host, profile| Ok(managed(host, Kind::new(host, profile)?)))?;
    registry.register("minikube", |host, profile| {
        Ok(managed(host, Minikube::new(host, profile)?))
    })?;
    registry.register("mock", |host, profile| Ok(Arc::new(Mock::kept(host, profile)?)))?;
    registry.register("process", |host, profile| {
        Ok(managed(host, Process::new(host, profile)?))
    })?;
    registry.register("sim", |host, profile| Ok(managed(host, Sim::new(host, profile)?)))?;
    Ok(registry)
}

/// A port that a `process` or `sim` cluster has for good.
pub(crate) struct KeptPort {
    /// The cluster, for messages.
    pub(crate) cluster: String,
    pub(crate) port: u16,
    /// Whether the program that listens there does not run.
    pub(crate) waits: bool,
}

/// The ports of all `process` and `sim` clusters.
pub(crate) fn kept_ports(host: &Host) -> Vec<KeptPort> {
    process::kept_ports(host)
        .into_iter()
        .chain(sim::kept_ports(host))
        .collect()
}

/// Whether the programs a driver needs are on this machine. Whether they work is another question: see [`crate::preflight()`].
pub fn is_installed(host: &Host, driver: &str) -> bool {
    match driver {
        "auto" => Auto::driver_for(&host.os).is_ok_and(|chosen| is_installed(host, chosen)),
        "process" => ["etcd", "kube-apiserver"]
            .iter()
            .all(|name| process::find(host, None, name).is_some()),
        "sim" => host.simulator.is_some(),
        "mock" => true,
        tool => {
            let machine = || colima::programs(&host.os, &crate::config::Colima::default());
            let beside: Vec<&str> = match tool {
                "k3d" => vec!["docker"],
                "kind" => vec![engine::Engine::of_kind(host)],
                "colima" => machine().iter().map(|program| program.name).collect(),
                _ => Vec::new(),
            };
            std::iter::once(tool)
                .chain(beside)
                .all(|name| host.find(name).is_some())
        }
    }
}
