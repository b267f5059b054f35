//! The one way all clusters are started, stopped, destroyed and looked at: look, decide, act, look again, remember.

mod attached;
mod end;
mod memory;
mod start;
mod status;

use std::ffi::OsString;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kit::Backoff;
use tokio::time::Instant;

use crate::config::ClusterConfig;
use crate::driver::{Driver, Phase, Sight};
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::identity::Identity;
use crate::kubeconfig::Entry;
use crate::lock::Lock;
use crate::manager::Manager;
use crate::record;
use crate::status::{Found, Status};

/// A [`Manager`] out of a [`Driver`]: locks, records, verification, kubeconfig and readiness are the same for all.
pub struct Lifecycle {
    host: Arc<Host>,
    driver: Arc<dyn Driver>,
}

/// When a change has to be done by.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

impl Lifecycle {
    /// The manager of the driver's cluster.
    pub fn new(host: Arc<Host>, driver: Arc<dyn Driver>) -> Self {
        Self { host, driver }
    }

    /// The cluster, for messages.
    fn title(&self) -> String {
        format!("the {} cluster {}", self.driver.name(), self.driver.profile())
    }

    fn deadline(chosen: Option<Duration>, usual: Duration) -> Deadline {
        Deadline(Instant::now() + chosen.unwrap_or(usual))
    }

    async fn lock(&self, deadline: Deadline) -> Result<Option<Lock>, Error> {
        if self.host.dry_run {
            return Ok(None);
        }
        let path = record::lock_path(&self.host, self.driver.name(), self.driver.profile());
        let title = self.title();
        let events = &self.host.events;
        let waiting = |holder: &str| events.phase(format!("wait for {holder}, which is working on {title}"));
        let lock = Lock::acquire(path, &title, deadline.left(), waiting).await?;
        self.wait_for_orphan(deadline).await?;
        Ok(Some(lock))
    }

    /// The tool that a killed command left running, if it runs still.
    fn orphan(&self) -> Option<Identity> {
        let note = record::tool_path(&self.host, self.driver.name(), self.driver.profile());
        Identity::load(&note)?.running()
    }

    /// A tool does not end with the command that ran it, and two of them would destroy each other's work.
    async fn wait_for_orphan(&self, deadline: Deadline) -> Result<(), Error> {
        let mut waits = Backoff::new(Duration::from_millis(10), Duration::from_millis(500)).factor(1.5);
        while let Some(orphan) = self.orphan() {
            let holder = format!("process {}, which an interrupted command left running", orphan.pid);
            self.host.events.phase(format!("wait for {holder}"));
            if deadline.left().is_zero() {
                return Err(Error::Locked {
                    cluster: self.title(),
                    holder,
                    advice: format!("wait for it, or end it (kill {}) and try again", orphan.pid),
                });
            }
            let wait = waits.next().unwrap_or_default().min(deadline.left());
            tokio::time::sleep(wait).await;
        }
        let note = record::tool_path(&self.host, self.driver.name(), self.driver.profile());
        let _ = std::fs::remove_file(note);
        Ok(())
    }

    async fn look(&self) -> Result<Sight, Error> {
        self.look_within(self.host.limits.look).await
    }

    async fn look_within(&self, limit: Duration) -> Result<Sight, Error> {
        tokio::time::timeout(limit, self.driver.look())
            .await
            .unwrap_or_else(|_| {
                let message = format!("it does not answer within {}", kit::go_duration::format(limit));
                Err(Error::tool(self.driver.name(), "status", Fault::Timeout, message)
                    .advise("the state cannot be told; look at the tool itself"))
            })
    }

    async fn entry(&self, limit: Duration) -> Result<Entry, Error> {
        let text = tokio::time::timeout(limit, self.driver.kubeconfig())
            .await
            .unwrap_or_else(|_| {
                let message = format!("it does not answer within {}", kit::go_duration::format(limit));
                Err(Error::tool(self.driver.name(), "kubeconfig", Fault::Timeout, message))
            })?;
        Entry::read(&text, self.driver.names())
    }

    /// The kubeconfig of a cluster that runs.
    async fn running_entry(&self) -> Result<Entry, Error> {
        match self.look().await?.phase {
            Phase::Absent | Phase::Stopped => Err(Error::ClusterNotRunning(self.title())),
            _ => self.entry(self.host.limits.look).await,
        }
    }
}

#[async_trait]
impl Manager for Lifecycle {
    fn driver(&self) -> &str {
        self.driver.name()
    }

    fn context(&self) -> String {
        self.driver.names().context
    }

    fn limits(&self) -> Option<&'static str> {
        self.driver.limits()
    }

    async fn start(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.start_cluster(config).await
    }

    async fn stop(&self) -> Result<(), Error> {
        self.stop_cluster().await
    }

    async fn destroy(&self) -> Result<(), Error> {
        self.destroy_cluster().await
    }

    async fn status(&self) -> Result<Status, Error> {
        self.cluster_status().await
    }

    async fn restart(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.restart_cluster(config).await
    }

    async fn recreate(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.recreate_cluster(config).await
    }

    async fn exec(&self, command: &[OsString]) -> Result<ExitStatus, Error> {
        let (program, args) = command
            .split_first()
            .ok_or_else(|| Error::config("the command", "it is empty"))?;
        let path = self.running_entry().await?.save(&self.host)?;
        let mut child = tokio::process::Command::new(program);
        child
            .args(args)
            .env_clear()
            .envs(&self.host.env)
            .env("KUBECONFIG", path);
        let name = program.to_string_lossy();
        attached::run(&name, child, self.host.limits.exec, self.host.limits.grace).await
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        self.running_entry().await?.to_yaml()
    }

    async fn list(&self) -> Result<Vec<Found>, Error> {
        let limit = self.host.limits.look;
        tokio::time::timeout(limit, self.driver.all())
            .await
            .unwrap_or_else(|_| {
                let message = format!("it does not answer within {}", kit::go_duration::format(limit));
                Err(Error::tool(self.driver.name(), "list", Fault::Timeout, message))
            })
    }
}
