//! Kubernetes made by minikube.
//!
//! minikube ignores changed sizes with a warning and exits with success, so differences are found before it is called.

mod report;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::needs::Needs;
use crate::profile;
use crate::record;
use crate::settings::{self, Applies, Setting, Settings};
use crate::status::Found;
use crate::tool::{Output, Spec, Tool, classify};
use report::Seen;

static MINIKUBE: Spec = Spec {
    program: "minikube",
    advice: "install minikube (https://minikube.sigs.k8s.io), or use the driver sim, which needs nothing",
    // Every flag has a variable as its twin.
    hidden: |name| name == "KUBECONFIG" || (name.starts_with("MINIKUBE_") && name != "MINIKUBE_HOME"),
    set: &[
        ("MINIKUBE_IN_STYLE", "false"),
        ("MINIKUBE_WANTUPDATENOTIFICATION", "false"),
    ],
};

/// One cluster of minikube.
pub struct Minikube {
    host: Arc<Host>,
    profile: String,
    tool: Tool,
}

impl Minikube {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        if profile.len() < 2 {
            return Err(profile::refuse(
                profile,
                "minikube's names have at least two characters",
            ));
        }
        let tool = Tool::new(host, &MINIKUBE)
            .with("KUBECONFIG", host.scratch(profile))
            .working_on("minikube", profile);
        Ok(Self {
            host: Arc::clone(host),
            profile: profile.to_owned(),
            tool,
        })
    }

    async fn change(&self, args: &[&str], limit: Duration) -> Result<(), Error> {
        self.host.prepare_scratch()?;
        succeeded(&self.tool.change(args, limit).await?)
    }

    async fn start(&self, config: &config::Minikube, limit: Duration) -> Result<(), Error> {
        // minikube ends a little earlier than we end it, so that it can say why.
        let args = start_line(&self.profile, config, limit.mul_f64(0.9));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.change(&args, limit).await
    }

    async fn profiles(&self) -> Result<Vec<report::Profile>, Error> {
        let output = self.tool.ask(&["profile", "list", "-o", "json"]).await?;
        report::profiles(&output.stdout).ok_or_else(|| match output.code {
            Some(0) => output.unreadable("the JSON of minikube profile list"),
            _ => output.failure(report::fault(&output)),
        })
    }
}

/// Success, or the failure that minikube's exit code and its last error event tell.
fn succeeded(output: &Output) -> Result<(), Error> {
    if output.code == Some(0) {
        return Ok(());
    }
    let (fault, message) = report::last_error(&output.stdout).unwrap_or_else(|| (report::fault(output), String::new()));
    let fault = if fault == Fault::Unknown {
        classify(output)
    } else {
        fault
    };
    if message.is_empty() {
        Err(output.failure(fault))
    } else {
        Err(Error::tool("minikube", &output.verb, fault, message))
    }
}

fn section(config: &ClusterConfig) -> Result<config::Minikube, Error> {
    config.minikube.clone().ok_or(Error::MissingDriverConfig("minikube"))
}

/// How the settings of addons begin.
const ADDON: &str = "addons.";

/// An addon as a setting of its own: minikube has some by itself, which nobody asked for.
fn addon(name: &str, on: bool) -> (String, Setting) {
    (
        format!("{ADDON}{name}"),
        Setting::plain(if on { "enabled" } else { "disabled" }),
    )
}

fn start_line(profile: &str, config: &config::Minikube, limit: Duration) -> Vec<String> {
    let mut args: Vec<String> = vec!["start".to_owned(), "-p".to_owned(), profile.to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            args.push(format!("--{name}={value}"));
        }
    };
    flag("driver", config.driver.clone());
    flag("container-runtime", config.container_runtime.clone());
    flag("cpus", config.cpus.map(|count| count.to_string()));
    flag("memory", config.memory.as_ref().map(|size| format!("{}mb", size.mib())));
    flag(
        "disk-size",
        config.disk.as_ref().map(|size| format!("{}mb", size.mib())),
    );
    flag("nodes", config.nodes.map(|count| count.to_string()));
    flag("kubernetes-version", config.kubernetes_version.clone());
    flag("cni", config.cni.clone());
    for addon in &config.addons {
        flag("addons", Some(addon.clone()));
    }
    for setting in &config.extra_config {
        flag("extra-config", Some(setting.clone()));
    }
    flag("wait-timeout", Some(format!("{}s", limit.as_secs().max(1))));
    args.extend(
        [
            "--wait=all",
            "--interactive=false",
            "--keep-context",
            "--embed-certs",
            "--output=json",
        ]
        .map(ToOwned::to_owned),
    );
    args.extend(config.start_flags.iter().cloned());
    args
}

fn version(text: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = text
        .trim_start_matches('v')
        .split(['-', '+'])
        .next()?
        .split('.')
        .map(|n| n.parse().ok());
    Some((
        numbers.next()??,
        numbers.next()??,
        numbers.next().flatten().unwrap_or(0),
    ))
}

#[async_trait]
impl Driver for Minikube {
    fn name(&self) -> &'static str {
        "minikube"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        EntryNames::all(self.profile.clone())
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_mins(10),
            stop: Duration::from_mins(3),
            destroy: Duration::from_mins(5),
        }
    }

    fn resumes_creation(&self) -> bool {
        true
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        let config = config.minikube.as_ref().ok_or(Error::MissingDriverConfig("minikube"))?;
        if let Some(text) = config
            .kubernetes_version
            .as_ref()
            .filter(|text| version(text).is_none())
        {
            return Err(Error::config(
                "minikube.kubernetesVersion",
                format!("{text:?} is no version like v1.35.0"),
            ));
        }
        if config.nodes == Some(0) || config.cpus == Some(0) {
            return Err(Error::config("minikube", "nodes and cpus are at least one"));
        }
        let mib = |size: &crate::Size| Setting {
            value: size.mib().to_string(),
            shown: size.setting().shown,
        };
        let fields = [
            ("cpus", config.cpus.map(Setting::plain)),
            ("memory", config.memory.as_ref().map(mib)),
            ("disk", config.disk.as_ref().map(mib)),
            ("nodes", config.nodes.map(Setting::plain)),
            ("driver", config.driver.as_ref().map(Setting::plain)),
            (
                "containerRuntime",
                config.container_runtime.as_ref().map(Setting::plain),
            ),
            ("cni", config.cni.as_ref().map(Setting::plain)),
            (
                "kubernetesVersion",
                config.kubernetes_version.as_ref().map(|text| Setting {
                    value: format!("v{}", text.trim_start_matches('v')),
                    shown: text.clone(),
                }),
            ),
        ];
        let list = |items: &[String]| (!items.is_empty()).then(|| Setting::plain(items.join(" ")));
        let lists = [
            ("extraConfig", list(&config.extra_config)),
            ("startFlags", list(&config.start_flags)),
        ];
        Ok(fields
            .into_iter()
            .chain(lists)
            .filter_map(|(field, setting)| Some((field.to_owned(), setting?)))
            .chain(config.addons.iter().map(|name| addon(name, true)))
            .collect())
    }

    fn creation_defaults(&self) -> Settings {
        settings::nothing(["cni", "extraConfig", "startFlags"])
    }

    fn needs(&self, config: &ClusterConfig) -> Needs {
        let config = config.minikube.clone().unwrap_or_default();
        let nodes = u64::from(config.nodes.unwrap_or(1));
        Needs {
            engine: match config.driver.as_deref() {
                None | Some("docker") => Some("docker"),
                Some("podman") => Some("podman"),
                Some(_) => None,
            },
            memory: nodes * config.memory.as_ref().map_or(0, crate::Size::in_bytes),
            disk: true,
            ..Needs::default()
        }
    }

    fn applies(&self, field: &str, have: &Setting, want: &Setting) -> Applies {
        match field {
            // Upwards only.
            "kubernetesVersion" if version(&want.value) > version(&have.value) => Applies::Restart,
            "extraConfig" | "startFlags" => Applies::Restart,
            addon if addon.starts_with(ADDON) => Applies::Restart,
            _ => Applies::Recreate,
        }
    }

    async fn look(&self) -> Result<Sight, Error> {
        let output = self.tool.ask(&["status", "-p", &self.profile, "-o", "json"]).await?;
        match report::seen(&output)? {
            Seen::Absent => Ok(Sight::of(Phase::Absent)),
            Seen::Nodes { phase, names } => {
                let mut sight = Sight::of(phase);
                sight.nodes = names.len();
                sight.parts = names;
                Ok(sight)
            }
        }
    }

    async fn look_closer(&self, sight: &mut Sight) {
        match self.profiles().await {
            Ok(profiles) => {
                if let Some(ours) = profiles.iter().find(|profile| profile.name == self.profile) {
                    sight.settings.extend(ours.settings());
                    sight.version = ours.version();
                    sight.address = ours.address();
                }
            }
            Err(error) => self
                .host
                .events
                .warn(format!("the cluster's sizes cannot be told: {}", kit::chain(&error))),
        }
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let mut section = section(config)?;
        section.driver.get_or_insert_with(|| "docker".to_owned());
        section.container_runtime.get_or_insert_with(|| "containerd".to_owned());
        self.start(&section, limit).await
    }

    async fn resume(&self, sight: &Sight, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        if matches!(&sight.phase, Phase::Incomplete(why) if why == report::PAUSED) {
            return self.change(&["unpause", "-p", &self.profile], limit).await;
        }
        // minikube refuses another driver than the cluster was made with, and takes another runtime. What is not known is
        // left to it; what is known is said, because `minikube config set` may name another one.
        let mut section = section(config)?;
        let known = |field| record::known(&self.host, "minikube", &self.profile, &sight.settings, field);
        section.driver = section.driver.or_else(|| known("driver"));
        section.container_runtime = section.container_runtime.or_else(|| known("containerRuntime"));
        self.start(&section, limit).await
    }

    async fn halt(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.change(&["stop", "-p", &self.profile, "--keep-context-active"], limit)
            .await
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.change(&["delete", "-p", &self.profile], limit).await
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        // This only writes to the kubeconfig it is given, which is ours.
        self.host.prepare_scratch()?;
        self.tool
            .ask(&["update-context", "-p", &self.profile])
            .await?
            .success()?;
        let path = self.host.scratch(&self.profile);
        std::fs::read_to_string(&path).map_err(Error::files("read", path))
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        let profiles = self.profiles().await?;
        Ok(profiles
            .iter()
            .map(|profile| Found {
                profile: profile.name.clone(),
                running: profile.runs(),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
