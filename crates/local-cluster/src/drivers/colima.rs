//! k3s in a virtual machine, made by colima.
//!
//! Two of colima's habits shape this: starting a machine that runs does nothing but overwrites its configuration file, so
//! what runs is read from the file the machine was booted with; and its kubeconfig handling has no lock, so it only ever
//! sees a file of ours.

mod machine;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::needs::Needs;
use crate::preflight;
use crate::profile;
use crate::record;
use crate::settings::{self, Applies, Setting, Settings};
use crate::status::Found;
use crate::tool::{Spec, Tool, is_log};
use machine::{Instance, Live};
pub(crate) use plan::programs;

static COLIMA: Spec = Spec {
    program: "colima",
    advice: "install colima (brew install colima), or use the driver sim, which needs nothing",
    hidden: |name| ["COLIMA_PROFILE", "COLIMA_SAVE_CONFIG", "KUBECONFIG"].contains(&name),
    set: &[],
};

/// The machine runs without Kubernetes.
const NO_KUBERNETES: &str = "the machine runs, but not Kubernetes in it";
/// An earlier start failed between the machine and what runs in it.
const HALF_STARTED: &str = "a start failed after the machine came up, or is in progress";

/// One cluster of colima.
pub struct Colima {
    host: Arc<Host>,
    /// The short name: `default`, or whatever comes after `colima-`.
    profile: String,
    tool: Tool,
}

impl Colima {
    /// The cluster of this name. `colima-dev` and `dev` are one; `colima`, `default` are the one without a name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        let short = match profile.strip_prefix("colima-").unwrap_or(profile) {
            "colima" => "default",
            other => other,
        };
        profile::check(short)?;
        let mut colima = Self {
            host: Arc::clone(host),
            profile: short.to_owned(),
            tool: Tool::new(host, &COLIMA).working_on("colima", short),
        };
        let scratch = host.scratch(&colima.id());
        colima.tool = colima.tool.with("KUBECONFIG", scratch);
        Ok(colima)
    }

    /// What colima calls the machine, and the kubeconfig entries.
    fn id(&self) -> String {
        if self.profile == "default" {
            "colima".to_owned()
        } else {
            format!("colima-{}", self.profile)
        }
    }

    async fn instances(&self) -> Result<Vec<Instance>, Error> {
        let output = self.tool.ask(&["list", "--json"]).await?.success()?;
        // What is neither a machine nor a log is no answer, and no answer is not an empty list.
        let lines = output.stdout.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !is_log(line));
        lines
            .map(|line| serde_json::from_str(line).map_err(|_| output.unreadable("the JSON lines of colima list")))
            .collect()
    }

    async fn instance(&self) -> Result<Option<Instance>, Error> {
        Ok(self
            .instances()
            .await?
            .into_iter()
            .find(|instance| instance.name == self.profile))
    }

    async fn start(&self, section: &config::Colima, limit: Duration) -> Result<(), Error> {
        // What colima would only find out after it overwrote the profile.
        let needs = Needs {
            programs: programs(&self.host.os, section),
            ..Needs::default()
        };
        preflight::programs(&self.host, "colima", &needs)?;
        let args = self.start_line(section).await?;
        self.host.prepare_scratch()?;
        self.tool.change(&args, limit).await?.success().map(drop)
    }

    async fn start_line(&self, section: &config::Colima) -> Result<Vec<String>, Error> {
        let help = self.tool.ask(&["start", "--help"]).await?;
        plan::start(&self.profile, section, &format!("{}{}", help.stdout, help.stderr))
    }

    async fn halt_machine(&self, force: bool, limit: Duration) -> Result<(), Error> {
        let mut args = vec!["stop", "--profile", &self.profile];
        if force {
            args.push("--force");
        }
        self.tool.change(&args, limit).await?.success().map(drop)
    }
}

#[async_trait]
impl Driver for Colima {
    fn name(&self) -> &'static str {
        "colima"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        EntryNames::all(self.id())
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_mins(10),
            stop: Duration::from_mins(2),
            destroy: Duration::from_mins(3),
        }
    }

    fn resumes_creation(&self) -> bool {
        true
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        plan::wants(
            config.colima.as_ref().ok_or(Error::MissingDriverConfig("colima"))?,
            &self.host.os,
        )
    }

    fn creation_defaults(&self) -> Settings {
        settings::nothing(["mounts", "dns", "env"])
    }

    fn needs(&self, config: &ClusterConfig) -> Needs {
        let config = config.colima.clone().unwrap_or_default();
        Needs {
            programs: programs(&self.host.os, &config),
            ports: config.k3s_port.into_iter().collect(),
            memory: config.memory.as_ref().map_or(0, crate::Size::in_bytes),
            disk: true,
            ..Needs::default()
        }
    }

    async fn rehearse(&self, config: &ClusterConfig) -> Result<(), Error> {
        let section = config.colima.as_ref().ok_or(Error::MissingDriverConfig("colima"))?;
        self.start_line(section).await.map(drop)
    }

    fn applies(&self, field: &str, have: &Setting, want: &Setting) -> Applies {
        plan::applies(field, have, want)
    }

    async fn look(&self) -> Result<Sight, Error> {
        let question = ["status", "--profile", &self.profile, "--json"];
        let (instance, live) = tokio::join!(self.instance(), self.tool.ask(&question));
        let Some(instance) = instance? else {
            return Ok(Sight::of(Phase::Absent));
        };
        let phase = match instance.status.as_str() {
            "Running" => match Live::of(&live?) {
                Live::Kubernetes => Phase::Running,
                Live::NoKubernetes => Phase::Incomplete(NO_KUBERNETES.to_owned()),
                Live::HalfStarted => Phase::Incomplete(HALF_STARTED.to_owned()),
                Live::Unknown(error) => return Err(error),
            },
            "Stopped" | "Uninitialized" => Phase::Stopped,
            "Installing" => Phase::Starting("the machine is being installed".to_owned()),
            "Broken" => Phase::Broken("lima calls the machine broken, as after an unclean shutdown".to_owned()),
            other => {
                return Err(Error::tool(
                    "colima",
                    "list",
                    Fault::BadOutput,
                    format!("the machine's status is {other:?}"),
                ));
            }
        };
        let mut sight = Sight::of(phase);
        sight.settings = machine::settings(&self.host, &self.id(), &instance);
        sight.version = sight
            .settings
            .get("kubernetesVersion")
            .map(|version| version.value.clone())
            .unwrap_or_default();
        sight.address = instance.address;
        sight.parts = vec![format!("the machine {}", self.id())];
        Ok(sight)
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let section = config.colima.as_ref().ok_or(Error::MissingDriverConfig("colima"))?;
        self.start(section, limit).await
    }

    async fn resume(&self, sight: &Sight, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let mut section = config.colima.clone().ok_or(Error::MissingDriverConfig("colima"))?;
        // Fixed at creation; it decides which programs are needed.
        let known = || record::known(&self.host, "colima", &self.profile, &sight.settings, "runtime");
        section.runtime = section.runtime.or_else(known);
        match &sight.phase {
            Phase::Incomplete(why) if why == NO_KUBERNETES => {
                self.host.prepare_scratch()?;
                let args = ["kubernetes", "start", "--profile", &self.profile];
                return self.tool.change(&args, limit).await?.success().map(drop);
            }
            Phase::Incomplete(_) => self.halt_machine(false, limit).await?,
            Phase::Broken(_) => {
                self.host.events.detail("repair it: stop it by force, then start");
                self.halt_machine(true, limit).await?;
            }
            _ => {}
        }
        self.start(&section, limit).await?;
        if !self.host.dry_run
            && self
                .instance()
                .await?
                .is_some_and(|instance| instance.status == "Broken")
        {
            return Err(Error::tool(
                "colima",
                "start",
                Fault::Broken,
                "the machine is still broken after a repair",
            )
            .advise(format!(
                "colima stop --force --profile {0} and colima start --profile {0} tell more; deleting the machine \
                     would remove its data and was not done",
                self.profile
            )));
        }
        Ok(())
    }

    async fn halt(&self, sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.halt_machine(matches!(sight.phase, Phase::Broken(_)), limit).await
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        // Without the first flag it asks, and takes no answer for a no; without the second, data stays (since 0.9).
        let mut args = vec!["delete", "--profile", &self.profile, "--force"];
        let help = self.tool.ask(&["delete", "--help"]).await?;
        if plan::lists(&format!("{}{}", help.stdout, help.stderr), "--data") {
            args.push("--data");
        }
        self.tool.change(&args, limit).await?.success().map(drop)
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        let args = [
            "ssh",
            "--profile",
            &self.profile,
            "--",
            "sudo",
            "cat",
            "/etc/rancher/k3s/k3s.yaml",
        ];
        Ok(self.tool.ask(&args).await?.success()?.stdout)
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        let instances = self.instances().await?;
        Ok(instances
            .into_iter()
            .map(|instance| Found {
                running: instance.status == "Running",
                profile: instance.name,
            })
            .collect())
    }
}
