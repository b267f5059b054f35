//! The contract: what can be done to a cluster, whatever runs it.

use std::ffi::OsString;
use std::process::ExitStatus;

use async_trait::async_trait;

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::status::{Found, Status};

/// One cluster: a driver and a profile name. Mirrors the `Manager` of GitLab Caproni's cluster package, with the methods
/// its authors planned added.
///
/// Every method may be called at any time, by any number of tasks and processes; changes to one cluster happen one after
/// the other. A dropped future stops what it was doing: the tool it runs is told to terminate.
#[async_trait]
pub trait Manager: Send + Sync {
    /// The driver's name; for `auto`, the one it chose.
    fn driver(&self) -> &str;

    /// The name of the cluster's kubeconfig context. A pure function of driver and profile.
    fn context(&self) -> String;

    /// What this kind of cluster cannot do, in one sentence; `None` when it is a whole Kubernetes.
    fn limits(&self) -> Option<&'static str> {
        None
    }

    /// Makes the cluster run and waits until it takes work: creates it, resumes it, or does nothing.
    ///
    /// # Errors
    /// [`Error::MissingDriverConfig`] and [`Error::InvalidConfig`] before anything is touched; [`Error::ConfigMismatch`]
    /// when a cluster exists that differs in a way starting cannot change; [`Error::ClusterNotReady`] when it came up
    /// but does not take work in time; [`Error::Partial`] when an earlier creation was interrupted.
    async fn start(&self, config: &ClusterConfig) -> Result<(), Error>;

    /// Stops it gracefully, keeping its data. A cluster that does not run, or is not there, is no error.
    async fn stop(&self) -> Result<(), Error>;

    /// Removes it with all its data, and its kubeconfig entries. A cluster that is not there is no error.
    async fn destroy(&self) -> Result<(), Error>;

    /// Looks at it. Answers within five seconds, also when everything hangs.
    ///
    /// # Errors
    /// When the state cannot be told: that is neither *stopped* nor *absent*.
    async fn status(&self) -> Result<Status, Error>;

    /// Stops and starts it, which applies what can be changed that way.
    async fn restart(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.stop().await?;
        self.start(config).await
    }

    /// Destroys it, with all its data, and creates it anew. What can be found out before, is: a cluster that could not be
    /// made as asked for is not destroyed.
    async fn recreate(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.destroy().await?;
        self.start(config).await
    }

    /// Runs a program with `KUBECONFIG` pointing at the cluster alone, its input and output being ours.
    ///
    /// # Errors
    /// [`Error::ClusterNotRunning`], that the program cannot be started, or that it did not end within
    /// [`crate::Limits::exec`].
    async fn exec(&self, command: &[OsString]) -> Result<ExitStatus, Error>;

    /// The version of Kubernetes it runs.
    ///
    /// # Errors
    /// [`Error::ClusterNotRunning`] and [`Error::ClusterNotReady`].
    async fn version(&self) -> Result<String, Error> {
        let status = self.status().await?;
        if !status.kubernetes_version.is_empty() {
            return Ok(status.kubernetes_version);
        }
        if status.state == crate::State::Stopped {
            return Err(Error::ClusterNotRunning(status.kube_context));
        }
        Err(Error::ClusterNotReady {
            reason: status.reason,
            advice: "try again in a moment".to_owned(),
        })
    }

    /// A kubeconfig with this cluster alone, fetched freshly from it.
    ///
    /// # Errors
    /// [`Error::ClusterNotRunning`], or what the tool says.
    async fn kubeconfig(&self) -> Result<String, Error>;

    /// All clusters the driver's tool knows, also those that were made without us.
    async fn list(&self) -> Result<Vec<Found>, Error>;
}
