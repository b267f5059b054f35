//! etcd and kube-apiserver as plain processes: a real API without containers, in the manner of controller-runtime's
//! envtest, but kept between commands.

mod binaries;
mod certs;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::drivers::KeptPort;
use crate::drivers::daemon::Daemon;
use crate::error::{Error, Fault};
use crate::event::Event;
use crate::host::{Host, absolute};
use crate::ports;
use crate::probe;
use crate::profile;
use crate::settings::{Applies, Setting, Settings};
use crate::status::Found;
use binaries::Binaries;
pub(crate) use binaries::find;

const LIMITS: &str = "this is a real Kubernetes API without nodes: Pods stay Pending; without kube-controller-manager there \
                      is no garbage collection, and namespaces are not emptied";

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLERS: &str = "kube-controller-manager";
/// In the order they are started; they are stopped the other way round.
const PARTS: [&str; 3] = [ETCD, API_SERVER, CONTROLLERS];

/// One cluster of processes.
pub struct Process {
    host: Arc<Host>,
    profile: String,
    dir: PathBuf,
}

/// What is kept of one in its directory, besides certificates and data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Kept {
    pub(crate) api_port: u16,
    pub(crate) etcd_port: u16,
    pub(crate) peer_port: u16,
    /// etcd's data.
    pub(crate) data: PathBuf,
    /// The release of kube-apiserver.
    pub(crate) version: String,
    pub(crate) extra_args: Vec<String>,
    /// Whether the controller manager belongs to it.
    pub(crate) controllers: bool,
    /// When the certificates end, in seconds since 1970.
    pub(crate) certificates_end: i64,
}

/// The names of all clusters of a kind: the directories below this one that have a name a cluster may have.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| profile::check(name).is_ok())
        .collect();
    names.sort();
    names
}

impl Process {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        let dir = host.data.join("process").join(profile);
        Ok(Self {
            host: Arc::clone(host),
            profile: profile.to_owned(),
            dir,
        })
    }

    fn kept(&self) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(self.dir.join("cluster.json")).ok()?).ok()
    }

    /// The same for whoever builds on it. A damaged file is an error then: a new one would begin with other ports and no data.
    fn kept_whole(&self) -> Result<Option<Kept>, Error> {
        let path = self.dir.join("cluster.json");
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::files("read", path)(error)),
            Ok(text) => {
                let kept = serde_json::from_slice(&text).map_err(|error| Error::files("read", path)(error.into()));
                kept.map(Some)
            }
        }
    }

    fn part(&self, name: &'static str) -> Daemon<'_> {
        Daemon::new(&self.dir, name)
    }

    fn certs(&self) -> PathBuf {
        self.dir.join("certs")
    }

    async fn run(&self, section: &config::Process, before: Option<Kept>, limit: Duration) -> Result<(), Error> {
        let binaries = Binaries::find(&self.host, section)?;
        let version = binaries.version(&self.host).await?;
        plan::refuse_version(section, &version)?;
        if self.host.dry_run {
            let plan = |free| self.plan(section, before, &binaries, &version, free);
            let kept = ports::choose(&self.host, plan).await?;
            for (name, program) in binaries.parts(kept.controllers) {
                let args = plan::args(name, &kept, &self.certs());
                let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
                let line = crate::tool::command_line(&program.to_string_lossy(), &words);
                self.host.events.tell(Event::Command { line });
            }
            return Ok(());
        }
        let chosen = before.is_none();
        match self.bring_up(section, before, &binaries, &version, limit).await {
            // What was chosen was free a moment ago. What was asked for is refused again.
            Err(error) if chosen && error.fault() == Some(Fault::PortInUse) => {
                self.host.events.detail("a port was taken meanwhile: try others");
                let begun = self.kept_whole()?.map(|kept| self.with_other_ports(kept));
                self.bring_up(section, begun, &binaries, &version, limit).await
            }
            outcome => outcome,
        }
    }

    /// Starts what does not run yet.
    async fn bring_up(
        &self,
        section: &config::Process,
        before: Option<Kept>,
        binaries: &Binaries,
        version: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let begin = |free| {
            let kept = self.plan(section, before, binaries, version, free)?;
            // Before the first of them is started: half a cluster is worse than none.
            for (name, _) in binaries.parts(kept.controllers) {
                for port in plan::ports_of(name, &kept).into_iter().filter(|_| self.is_down(name)) {
                    ports::refuse_taken(name, port)?;
                }
            }
            self.prepare(kept)
        };
        let kept = ports::choose(&self.host, begin).await?;
        let mut parts = binaries.parts(kept.controllers);
        parts.retain(|(name, _)| self.is_down(name));
        for (name, program) in parts {
            self.host.events.detail(format!("start {name}"));
            let part = self.part(name);
            part.spawn(&self.host, program, &plan::args(name, &kept, &self.certs()))?;
            let answers = |access, path| async move {
                part.until(limit, || probe::answers(&access, path, Duration::from_secs(2)))
                    .await
            };
            match name {
                ETCD => {
                    let access = certs::etcd_access(&self.certs(), kept.etcd_port)?;
                    answers(access, "/health").await?;
                }
                API_SERVER => {
                    let access = certs::admin_access(&self.certs(), kept.api_port)?;
                    answers(access, "/readyz").await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_down(&self, part: &'static str) -> bool {
        self.part(part).running().is_none()
    }

    /// The same without the ports of parts that are down: these get others.
    fn with_other_ports(&self, mut kept: Kept) -> Kept {
        if self.is_down(ETCD) {
            (kept.etcd_port, kept.peer_port) = (0, 0);
        }
        if self.is_down(API_SERVER) {
            kept.api_port = 0;
        }
        kept
    }

    /// What the cluster is to be, from what it was and what is asked for.
    fn plan(
        &self,
        section: &config::Process,
        before: Option<Kept>,
        binaries: &Binaries,
        version: &str,
        free: [u16; 3],
    ) -> Result<Kept, Error> {
        let had = before.as_ref().map(|kept| kept.controllers);
        let controllers = section.controller_manager.or(had);
        if controllers == Some(true) && binaries.controllers.is_none() {
            return Err(binaries::missing(CONTROLLERS));
        }
        let before = before.unwrap_or_default();
        let port = |wanted: Option<u16>, had: u16, free: u16| wanted.unwrap_or(if had == 0 { free } else { had });
        let data = match (&section.data_dir, before.data.as_os_str().is_empty()) {
            (_, false) => before.data.clone(),
            (Some(dir), true) => absolute(dir).join(format!("{}-etcd", self.profile)),
            (None, true) => self.dir.join("etcd"),
        };
        Ok(Kept {
            api_port: port(section.api_port, before.api_port, free[0]),
            etcd_port: port(section.etcd_port, before.etcd_port, free[1]),
            peer_port: port(None, before.peer_port, free[2]),
            data,
            version: version.to_owned(),
            extra_args: section.extra_args.clone().unwrap_or(before.extra_args),
            controllers: controllers.unwrap_or(binaries.controllers.is_some()),
            certificates_end: before.certificates_end,
        })
    }

    /// Directories, certificates and the file that keeps the plan.
    fn prepare(&self, mut kept: Kept) -> Result<Kept, Error> {
        for dir in [&self.dir, &self.certs(), &kept.data] {
            kit::fs::create_private_dir(dir).map_err(Error::files("create", dir))?;
        }
        let fresh = certs::ensure(&self.certs(), kept.certificates_end)?;
        kept.certificates_end = fresh;
        let kubeconfig = certs::kubeconfig(&self.certs(), kept.api_port)?;
        let path = self.certs().join("kubeconfig.yaml");
        kit::fs::write_private(&path, kubeconfig.as_bytes()).map_err(Error::files("write", path))?;
        let path = self.dir.join("cluster.json");
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| Error::files("write", &path)(error.into()))?;
        kit::fs::write_private(&path, &text).map_err(Error::files("write", path))?;
        Ok(kept)
    }

    /// On a dry run.
    fn tell_ends(&self) {
        for name in PARTS.into_iter().rev() {
            self.part(name).tell_end(&self.host);
        }
    }

    async fn halt_parts(&self, limit: Duration) -> Result<(), Error> {
        for name in PARTS.into_iter().rev() {
            self.part(name).terminate(limit).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        EntryNames::all(format!("process-{}", self.profile))
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_mins(2),
            stop: Duration::from_mins(1),
            destroy: Duration::from_mins(1),
        }
    }

    fn limits(&self) -> Option<&'static str> {
        Some(LIMITS)
    }

    fn resumes_creation(&self) -> bool {
        true
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        let Some(section) = &config.process else {
            return Ok(Settings::new());
        };
        config::check_port("process.apiPort", section.api_port)?;
        config::check_port("process.etcdPort", section.etcd_port)?;
        if section.api_port.is_some() && section.api_port == section.etcd_port {
            return Err(Error::config("process.etcdPort", "it is the API server's port too"));
        }
        Ok(plan::wants(section))
    }

    async fn rehearse(&self, config: &ClusterConfig) -> Result<(), Error> {
        let section = config.process.clone().unwrap_or_default();
        let binaries = Binaries::find(&self.host, &section)?;
        plan::refuse_version(&section, &binaries.version(&self.host).await?)?;
        if section.controller_manager == Some(true) && binaries.controllers.is_none() {
            return Err(binaries::missing(CONTROLLERS));
        }
        // Ports of the cluster that is there will be free.
        let kept = self.kept().unwrap_or_default();
        let own = [kept.api_port, kept.etcd_port, kept.peer_port];
        for port in [section.api_port, section.etcd_port].into_iter().flatten() {
            if !own.contains(&port) {
                ports::refuse_taken("process", port)?;
            }
        }
        Ok(())
    }

    fn applies(&self, field: &str, _have: &Setting, _want: &Setting) -> Applies {
        if field == "dataDir" {
            Applies::Recreate
        } else {
            Applies::Restart
        }
    }

    async fn look(&self) -> Result<Sight, Error> {
        if !self.dir.exists() {
            return Ok(Sight::of(Phase::Absent));
        }
        let kept = self.kept();
        let expected = &PARTS[..if kept.as_ref().is_some_and(|kept| kept.controllers) {
            3
        } else {
            2
        }];
        let running: Vec<_> = PARTS
            .iter()
            .filter_map(|name| Some((*name, self.part(name).running()?)))
            .collect();
        let down: Vec<_> = expected
            .iter()
            .filter(|name| !running.iter().any(|(up, _)| up == *name))
            .copied()
            .collect();
        let mut sight = Sight::of(if running.is_empty() {
            Phase::Stopped
        } else if down.is_empty() {
            if kept
                .as_ref()
                .is_some_and(|kept| certs::have_ended(kept.certificates_end))
            {
                Phase::Incomplete("its certificates have ended; start renews them".to_owned())
            } else {
                Phase::Running
            }
        } else {
            Phase::Incomplete(format!("{} does not run", down.join(", ")))
        });
        sight.nodes = 0;
        sight.parts = running
            .iter()
            .map(|(name, pid)| format!("{name} (process {pid})"))
            .collect();
        sight.parts.push(self.dir.display().to_string());
        if let Some(kept) = kept {
            sight.settings = plan::settings(&kept, &self.dir);
            sight.version = kept.version;
            sight.address = if running.is_empty() {
                String::new()
            } else {
                "127.0.0.1".to_owned()
            };
        }
        Ok(sight)
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        // On a dry run of making it anew, the one that is there still says what it was.
        let section = config.process.clone().unwrap_or_default();
        self.run(&section, None, limit).await
    }

    async fn resume(&self, _sight: &Sight, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let section = config.process.clone().unwrap_or_default();
        self.run(&section, self.kept_whole()?, limit).await
    }

    async fn halt(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        if self.host.dry_run {
            self.tell_ends();
            return Ok(());
        }
        self.halt_parts(limit).await
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        if self.host.dry_run {
            self.tell_ends();
            super::daemon::tell_removal(&self.host, &self.dir);
            return Ok(());
        }
        self.halt_parts(limit.min(Duration::from_secs(10))).await?;
        if let Some(kept) = self.kept()
            && kept.data.exists()
        {
            std::fs::remove_dir_all(&kept.data).map_err(Error::files("remove", kept.data))?;
        }
        std::fs::remove_dir_all(&self.dir).map_err(Error::files("remove", &self.dir))
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        let kept = self.kept().ok_or_else(|| {
            Error::tool(
                "process",
                "kubeconfig",
                Fault::NotRunning,
                "the cluster was never started",
            )
        })?;
        certs::kubeconfig(&self.certs(), kept.api_port)
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        let root = self.host.data.join("process");
        Ok(names_in(&root)
            .into_iter()
            .map(|profile| Found {
                running: Daemon::new(&root.join(&profile), API_SERVER).running().is_some(),
                profile,
            })
            .collect())
    }
}

/// The ports of all of them.
pub(crate) fn kept_ports(host: &Host) -> Vec<KeptPort> {
    let root = host.data.join("process");
    let mut ports = Vec::new();
    for profile in names_in(&root) {
        let dir = root.join(&profile);
        let Ok(text) = std::fs::read(dir.join("cluster.json")) else {
            continue;
        };
        let Ok(kept) = serde_json::from_slice::<Kept>(&text) else {
            continue;
        };
        for name in PARTS {
            let waits = Daemon::new(&dir, name).running().is_none();
            let of = plan::ports_of(name, &kept).into_iter();
            ports.extend(of.map(|port| KeptPort {
                cluster: format!("the process cluster {profile}"),
                port,
                waits,
            }));
        }
    }
    ports
}
