//! A simulated API server in the background: no containers, no nodes, nothing to install.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::drivers::KeptPort;
use crate::drivers::daemon::{Daemon, flag};
use crate::error::{Error, Fault};
use crate::event::Event;
use crate::host::{Host, is_program};
use crate::ports;
use crate::profile;
use crate::settings::{Applies, Setting, Settings};
use crate::status::Found;

const LIMITS: &str = "this is a simulated Kubernetes API: it keeps objects and answers kubectl, but has no nodes and runs no \
                      containers; for those use k3d, kind, minikube or colima";

/// One simulated cluster.
pub struct Sim {
    host: Arc<Host>,
    profile: String,
    dir: PathBuf,
}

/// What is kept of one in its directory, besides the objects.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    api_port: u16,
}

impl Sim {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        let dir = host.data.join("sim").join(profile);
        Ok(Self {
            host: Arc::clone(host),
            profile: profile.to_owned(),
            dir,
        })
    }

    fn daemon(&self) -> Daemon<'_> {
        Daemon::new(&self.dir, "sim")
    }

    fn kept(&self) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(self.dir.join("sim.json")).ok()?).ok()
    }

    fn kubeconfig_file(&self) -> PathBuf {
        self.dir.join("kubeconfig.yaml")
    }

    /// The simulator, and the words that come before our flags.
    fn program(&self) -> Result<(PathBuf, Vec<OsString>), Error> {
        let missing = |message: String| Error::tool("sim", "start", Fault::BackendMissing, message);
        let command = self.host.simulator.clone().unwrap_or_default();
        let Some((program, words)) = command.split_first() else {
            return Err(missing("no simulator comes with this program".to_owned()));
        };
        let program = PathBuf::from(program);
        if !is_program(&program) {
            return Err(missing(format!("{} is not a program", program.display())));
        }
        Ok((program, words.to_vec()))
    }

    /// Writes down that this port is the cluster's.
    fn keep(&self, port: u16) -> Result<u16, Error> {
        if self.host.dry_run {
            return Ok(port);
        }
        kit::fs::create_private_dir(&self.dir).map_err(Error::files("create", &self.dir))?;
        let path = self.dir.join("sim.json");
        let text = serde_json::to_vec(&Kept { api_port: port });
        let text = text.map_err(|error| Error::files("write", &path)(error.into()))?;
        kit::fs::write_private(&path, &text).map_err(Error::files("write", path))?;
        Ok(port)
    }

    async fn run(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let wanted = config.sim.as_ref().and_then(|section| section.api_port);
        let kept = self.kept().map(|kept| kept.api_port);
        let (program, args) = self.program()?;
        let mut port = wanted.or(kept);
        if let Some(taken) = port {
            // On a dry run of a restart it is this cluster's own server that listens there still.
            let own = self.daemon().running().is_some() && kept == port;
            if !own && !ports::is_free(taken) {
                if wanted.is_some() || self.host.dry_run {
                    ports::refuse_taken("sim", taken)?;
                }
                self.host.events.warn(format!(
                    "port {taken}, which this cluster had, is taken: it gets another one"
                ));
                port = None;
            }
        }
        if let Some(port) = port {
            let port = self.keep(port)?;
            return self.serve_on(port, &program, args, limit).await;
        }
        let port = ports::choose(&self.host, |[port]| self.keep(port)).await?;
        match self.serve_on(port, &program, args.clone(), limit).await {
            // It was free a moment ago, and nobody asked for this one.
            Err(error) if error.fault() == Some(Fault::PortInUse) => {
                self.host.events.detail("the port was taken meanwhile: try another");
                let port = ports::choose(&self.host, |[port]| self.keep(port)).await?;
                self.serve_on(port, &program, args, limit).await
            }
            outcome => outcome,
        }
    }

    async fn serve_on(&self, port: u16, program: &Path, mut args: Vec<OsString>, limit: Duration) -> Result<(), Error> {
        flag(&mut args, "listen", format!("127.0.0.1:{port}"));
        flag(&mut args, "kubeconfig", self.kubeconfig_file());
        flag(&mut args, "state", self.dir.join("state.json"));
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        self.host.events.tell(Event::Command {
            line: crate::tool::command_line(&program.to_string_lossy(), &words),
        });
        if self.host.dry_run {
            return Ok(());
        }
        let state = self.dir.join("state.json");
        if !state.exists() {
            kit::fs::write_private(&state, b"{}").map_err(Error::files("write", state))?;
        }
        // It is written anew when the server listens: an old one would be believed too early.
        let _ = std::fs::remove_file(self.kubeconfig_file());
        let daemon = self.daemon();
        daemon.spawn(&self.host, program, &args)?;
        daemon.until(limit, || async { self.kubeconfig_file().exists() }).await
    }
}

#[async_trait]
impl Driver for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        EntryNames::all(format!("sim-{}", self.profile))
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_secs(30),
            stop: Duration::from_secs(30),
            destroy: Duration::from_secs(30),
        }
    }

    fn limits(&self) -> Option<&'static str> {
        Some(LIMITS)
    }

    fn resumes_creation(&self) -> bool {
        true
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        let port = config.sim.as_ref().and_then(|section| section.api_port);
        config::check_port("sim.apiPort", port)?;
        Ok(port
            .map(|port| ("apiPort".to_owned(), Setting::plain(port)))
            .into_iter()
            .collect())
    }

    async fn rehearse(&self, config: &ClusterConfig) -> Result<(), Error> {
        self.program()?;
        let wanted = config.sim.as_ref().and_then(|section| section.api_port);
        let own = self.kept().map(|kept| kept.api_port);
        match wanted.filter(|port| Some(*port) != own) {
            Some(port) => ports::refuse_taken("sim", port),
            None => Ok(()),
        }
    }

    fn applies(&self, _field: &str, _have: &Setting, _want: &Setting) -> Applies {
        Applies::Restart
    }

    async fn look(&self) -> Result<Sight, Error> {
        if !self.dir.exists() {
            return Ok(Sight::of(Phase::Absent));
        }
        let pid = self.daemon().running();
        let mut sight = Sight::of(if pid.is_some() { Phase::Running } else { Phase::Stopped });
        sight.nodes = 0;
        sight.address = if pid.is_some() {
            "127.0.0.1".to_owned()
        } else {
            String::new()
        };
        sight.parts = pid.map(|pid| format!("process {pid}")).into_iter().collect();
        sight.parts.push(self.dir.display().to_string());
        if let Some(kept) = self.kept() {
            sight
                .settings
                .insert("apiPort".to_owned(), Setting::plain(kept.api_port));
        }
        Ok(sight)
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        self.run(config, limit).await
    }

    async fn resume(&self, _sight: &Sight, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        self.run(config, limit).await
    }

    async fn halt(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        if self.host.dry_run {
            self.daemon().tell_end(&self.host);
            return Ok(());
        }
        self.daemon().terminate(limit).await
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        if self.host.dry_run {
            self.daemon().tell_end(&self.host);
            super::daemon::tell_removal(&self.host, &self.dir);
            return Ok(());
        }
        self.daemon().terminate(limit.min(Duration::from_secs(5))).await?;
        std::fs::remove_dir_all(&self.dir).map_err(Error::files("remove", &self.dir))
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        std::fs::read_to_string(self.kubeconfig_file()).map_err(Error::files("read", self.kubeconfig_file()))
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        let names = super::process::names_in(&self.host.data.join("sim"));
        Ok(names
            .into_iter()
            .map(|profile| {
                let dir = self.host.data.join("sim").join(&profile);
                Found {
                    running: Daemon::new(&dir, "sim").running().is_some(),
                    profile,
                }
            })
            .collect())
    }
}

/// The ports of all of them.
pub(crate) fn kept_ports(host: &Host) -> Vec<KeptPort> {
    let root = host.data.join("sim");
    super::process::names_in(&root)
        .into_iter()
        .filter_map(|profile| {
            let dir = root.join(&profile);
            let kept: Kept = serde_json::from_slice(&std::fs::read(dir.join("sim.json")).ok()?).ok()?;
            Some(KeptPort {
                cluster: format!("the sim cluster {profile}"),
                port: kept.api_port,
                waits: Daemon::new(&dir, "sim").running().is_none(),
            })
        })
        .collect()
}
