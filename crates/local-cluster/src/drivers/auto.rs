//! The driver that fits the operating system.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Colima, K3d, managed};
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::host::{Host, Os};
use crate::manager::Manager;
use crate::status::{Found, Status};

/// colima on macOS, k3d on Linux and Windows, by the operating system alone: what is installed does not change which
/// cluster a name means. A configuration with both sections works everywhere.
pub struct Auto(Arc<dyn Manager>);

impl Auto {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`] on other systems; [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        Ok(Self(match Self::driver_for(&host.os)? {
            "colima" => managed(host, Colima::new(host, profile)?),
            _ => managed(host, K3d::new(host, profile)?),
        }))
    }

    /// The name of the driver it chooses on an operating system.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`] when there is none.
    pub fn driver_for(os: &Os) -> Result<&'static str, Error> {
        match os {
            Os::MacOs => Ok("colima"),
            Os::Linux | Os::Windows => Ok("k3d"),
            Os::Other(name) => Err(Error::DriverNotFound {
                name: format!("auto on {name}"),
                known: ["colima", "k3d"].map(ToOwned::to_owned).into(),
            }),
        }
    }
}

#[async_trait]
impl Manager for Auto {
    fn driver(&self) -> &str {
        self.0.driver()
    }
    fn context(&self) -> String {
        self.0.context()
    }
    fn limits(&self) -> Option<&'static str> {
        self.0.limits()
    }
    async fn start(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.0.start(config).await
    }
    async fn stop(&self) -> Result<(), Error> {
        self.0.stop().await
    }
    async fn destroy(&self) -> Result<(), Error> {
        self.0.destroy().await
    }
    async fn status(&self) -> Result<Status, Error> {
        self.0.status().await
    }
    async fn restart(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.0.restart(config).await
    }
    async fn recreate(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.0.recreate(config).await
    }
    async fn exec(&self, command: &[OsString]) -> Result<ExitStatus, Error> {
        self.0.exec(command).await
    }
    async fn kubeconfig(&self) -> Result<String, Error> {
        self.0.kubeconfig().await
    }
    async fn list(&self) -> Result<Vec<Found>, Error> {
        self.0.list().await
    }
}
