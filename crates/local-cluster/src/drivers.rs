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

/// The ports that stopped `process` and `sim` clusters will listen on again, with the cluster's name.
pub(crate) fn kept_ports(host: &Host) -> Vec<(String, u16)> {
    process::kept_ports(host)
        .into_iter()
        .chain(sim::kept_ports(host))
        .collect()
}

/// Whether what a driver needs is on this machine. Whether it works is another question: see [`crate::preflight()`].
pub fn is_installed(host: &Host, driver: &str) -> bool {
    match driver {
        "auto" => Auto::driver_for(&host.os).is_ok_and(|chosen| host.find(chosen).is_some()),
        "process" => ["etcd", "kube-apiserver"]
            .iter()
            .all(|name| process::find(host, None, name).is_some()),
        "sim" => host.simulator.is_some(),
        "mock" => true,
        tool => host.find(tool).is_some(),
    }
}
