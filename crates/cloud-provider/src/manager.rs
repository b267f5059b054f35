//! The manager: turns a [`Cloud`] into a cloud controller manager with the flags, ports, metrics, events and leases of
//! the Go ones.
//!
//! ```text
//! flags ─► cloud config ─► your Cloud ─► election ─► Cloud::initialize ─► controllers ─► SIGTERM: wind up, release
//!                              secure port: /healthz /livez /readyz /metrics /configz /debug/state /debug/flags/v /
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kit::{Clock, exit};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cloud::Cloud;
use crate::error::CloudError;

mod admin;
mod audit;
mod auth;
mod board;
mod clients;
pub mod flags;
mod group;
pub mod health;
mod logs;
pub mod migration;
pub mod options;
mod page;
mod process;
mod serve;
mod state;
#[cfg(feature = "otel")]
mod telemetry;
mod trust;

pub use clients::{Clients, Purpose};
pub use options::{Options, OptionsError};
pub use process::{Process, ProcessError};
pub use serve::ServeError;

/// Makes a cloud from the content of `--cloud-config`, if there is one. Must have no effect on the cloud: it runs on
/// standby replicas, too.
pub type Factory = Box<dyn Fn(Option<Vec<u8>>) -> Result<Arc<dyn Cloud>, CloudError> + Send + Sync>;

/// Two clouds of one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Cloud provider \"{0}\" was registered twice")]
pub struct Twice(pub &'static str);

/// Why the manager did not come up, or went down.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The command line makes no sense.
    #[error(transparent)]
    Flags(#[from] flags::FlagError),
    /// The flags do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The configuration cannot be read.
    #[error("Couldn't open cloud provider configuration {path}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such cloud.
    #[error("unknown cloud provider \"{0}\"")]
    UnknownCloud(String),
    /// The cloud does not take its configuration.
    #[error("Cloud provider could not be initialized: could not init cloud provider \"{name}\"")]
    Cloud {
        /// The cloud.
        name: String,
        /// Why.
        #[source]
        source: CloudError,
    },
    /// The cloud cannot tell clusters apart.
    #[error(
        "no ClusterID found.  A ClusterID is required for the cloud provider to function properly.  \
         This check can be bypassed by setting the allow-untagged-cloud option"
    )]
    NoClusterId,
    /// It ran, and ended badly.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A program that runs clouds.
pub struct Manager {
    command: String,
    version: String,
    clouds: BTreeMap<&'static str, Factory>,
}

impl Manager {
    /// A program of this name and version that knows no cloud yet.
    pub fn new(command: &str, version: &str) -> Self {
        Self {
            command: command.to_owned(),
            version: version.to_owned(),
            clouds: BTreeMap::new(),
        }
    }

    /// Adds a cloud.
    pub fn cloud(
        mut self,
        name: &'static str,
        factory: impl Fn(Option<Vec<u8>>) -> Result<Arc<dyn Cloud>, CloudError> + Send + Sync + 'static,
    ) -> Result<Self, Twice> {
        if self.clouds.insert(name, Box::new(factory)).is_some() {
            return Err(Twice(name));
        }
        Ok(self)
    }

    /// All that a program's `main` has to do: runs with the process's arguments, as [`Manager::run`] does, on one thread.
    /// There is little to compute, and one thread needs a third of the memory of several.
    pub fn main(self) -> std::process::ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let code = match runtime {
            Ok(runtime) => runtime.block_on(self.run(std::env::args().skip(1))),
            Err(error) => {
                let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {error}\n").as_bytes());
                exit::FAILED
            }
        };
        code.into()
    }

    /// Runs until it is told to stop by SIGTERM or SIGINT, or cannot go on. Takes the arguments after the program's name;
    /// gives the exit code. To be called once, from `main`.
    pub async fn run(self, args: impl IntoIterator<Item = String>) -> u8 {
        let mut stdout = std::io::stdout();
        match self.try_run(args, &mut stdout).await {
            Ok(()) => exit::OK,
            Err(problem) => {
                let text = kit::chain(&problem);
                error!("{text}");
                // Without a logger yet, nobody would see it.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {text}\n").as_bytes());
                exit::FAILED
            }
        }
    }

    async fn try_run(
        &self,
        args: impl IntoIterator<Item = String>,
        out: &mut (dyn std::io::Write + Send),
    ) -> Result<(), ManagerError> {
        let parsed = flags::Parsed::parse(&self.command, args)?;
        // Whoever reads the output may have gone away; that is no reason to fail.
        if parsed.help {
            let about = format!("{} keeps a Kubernetes cluster and its cloud in step.", self.command);
            let _ = write!(out, "{}", flags::help(&self.command, &about));
            return Ok(());
        }
        if parsed.is_given("version") && parsed.text("version") != "false" {
            let _ = writeln!(out, "{} {}", self.command, self.version);
            return Ok(());
        }
        let (traces, verbosity) = logs::init(&parsed, &self.command);
        let options = Options::new(parsed, &identity())?;
        info!(version = %self.version, "{}", self.command);
        for (name, value) in options.parsed.values() {
            info!("FLAG: --{name}={value:?}");
        }
        for (name, why) in options.parsed.idle() {
            warn!("--{name} is accepted and has no effect: {why}");
        }
        let cloud = self.make_cloud(&options).await?;
        // Another one may have been installed by a library: either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clients = Clients::from_flags(&options.parsed, &self.command, &self.version);
        if options.parsed.bool("audit") {
            return Ok(audit::audit(&options, &*cloud, &clients, out).await?);
        }
        let stop = CancellationToken::new();
        tokio::spawn(signals(stop.clone()));
        let process = Process::new(&self.command, &self.version, options, cloud, clients, Clock::system());
        let ended = Box::pin(process.verbosity(verbosity).run(stop)).await;
        traces.end().await;
        Ok(ended?)
    }

    async fn make_cloud(&self, options: &Options) -> Result<Arc<dyn Cloud>, ManagerError> {
        let name = &options.cloud;
        let factory = self
            .clouds
            .get(name.as_str())
            .ok_or_else(|| ManagerError::UnknownCloud(name.clone()))?;
        let config = match &options.cloud_config {
            None => None,
            Some(path) => {
                let broken = |source| ManagerError::Config {
                    path: path.clone(),
                    source,
                };
                Some(tokio::fs::read(path).await.map_err(broken)?)
            }
        };
        let cloud = factory(config).map_err(|source| ManagerError::Cloud {
            name: name.clone(),
            source,
        })?;
        if !cloud.has_cluster_id() {
            if !options.parsed.bool("allow-untagged-cloud") {
                return Err(ManagerError::NoClusterId);
            }
            warn!(
                "detected a cluster without a ClusterID.  A ClusterID will be required in the future.  Please tag your cluster to avoid any future issues"
            );
        }
        Ok(cloud)
    }
}

/// Who this process is in elections.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| host.trim().to_owned());
    format!("{host}_{}", uuid::Uuid::new_v4())
}

/// Cancels `stop` at the first signal and ends the process at the second.
async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return error!("cannot listen for signals");
    };
    for again in [false, true] {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        if again {
            std::process::exit(i32::from(exit::FAILED));
        }
        info!("stopping; a second signal ends this at once");
        stop.cancel();
    }
}

#[cfg(test)]
mod tests;
