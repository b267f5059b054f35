//! The container engine under k3d and kind, through its command line.

mod address;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::host::Host;
use crate::tool::{Spec, Tool, json_array};
pub(crate) use address::{address, is_remote};

macro_rules! engine_spec {
    ($name:ident, $program:literal) => {
        static $name: Spec = Spec {
            program: $program,
            advice: concat!(
                "install ",
                $program,
                ", or use the driver sim, which needs no containers"
            ),
            hidden: |_| false,
            set: &[],
        };
    };
}
engine_spec!(DOCKER, "docker");
engine_spec!(PODMAN, "podman");
engine_spec!(NERDCTL, "nerdctl");
engine_spec!(NERDCTL_LIMA, "nerdctl.lima");
engine_spec!(FINCH, "finch");

/// docker, or what stands in for it.
#[derive(Clone)]
pub(crate) struct Engine(Tool);

/// One container, of what `docker inspect` tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    name: String,
    pub(crate) state: ContainerState,
    pub(crate) config: ContainerConfig,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerState {
    pub(crate) status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerConfig {
    pub(crate) image: String,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Network>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Network {
    #[serde(default, rename = "IPAddress")]
    address: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_port: String,
}

impl Container {
    /// Its name without the slash that engines put before it.
    pub(crate) fn name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.config.labels.get(name).map_or("", String::as_str)
    }

    pub(crate) fn runs(&self) -> bool {
        self.state.status == "running"
    }

    /// The port of the host that was bound to a port of the container.
    pub(crate) fn host_port(&self, port: &str) -> Option<&str> {
        let bindings = self.host_config.port_bindings.as_ref()?.get(port)?.as_ref()?;
        bindings.first().map(|binding| binding.host_port.as_str())
    }

    /// Its first address.
    pub(crate) fn address(&self) -> String {
        let networks = self.network_settings.networks.iter().flatten();
        networks
            .map(|(_, network)| network.address.clone())
            .find(|address| !address.is_empty())
            .unwrap_or_default()
    }
}

impl Engine {
    /// The engines we know.
    pub(crate) const NAMES: [&str; 5] = ["docker", "nerdctl", "podman", "finch", "nerdctl.lima"];

    /// The engine of this name, docker when we do not know it.
    pub(crate) fn named(host: &Arc<Host>, name: &str) -> Self {
        let spec = match name {
            "podman" => &PODMAN,
            "nerdctl" => &NERDCTL,
            "nerdctl.lima" => &NERDCTL_LIMA,
            "finch" => &FINCH,
            _ => &DOCKER,
        };
        Self(Tool::new(host, spec))
    }

    /// The name of the engine that kind uses: the one it is told to, else the first it finds, else docker. In the order of
    /// kind's `DetectNodeProvider` (`pkg/cluster/provider.go`).
    pub(crate) fn of_kind(host: &Host) -> &'static str {
        let told = host.var("KIND_EXPERIMENTAL_PROVIDER").and_then(|value| value.to_str());
        let known = Self::NAMES.into_iter().find(|name| Some(*name) == told);
        let found = || Self::NAMES[..3].iter().copied().find(|name| host.find(name).is_some());
        known.or_else(found).unwrap_or("docker")
    }

    /// See [`Tool::working_on`].
    pub(crate) fn working_on(self, driver: &str, profile: &str) -> Self {
        Self(self.0.working_on(driver, profile))
    }

    /// The names of all containers with a label, running or not.
    pub(crate) async fn labelled(&self, label: &str) -> Result<Vec<String>, Error> {
        let filter = format!("label={label}");
        let output = self
            .0
            .ask(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"])
            .await?
            .success()?;
        let names: Vec<&str> = output
            .stdout
            .lines()
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        let is_name =
            |name: &&str| name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !names.iter().all(is_name) {
            return Err(output.unreadable("a list of container names"));
        }
        Ok(names.into_iter().map(ToOwned::to_owned).collect())
    }

    /// The values a label has on containers that run.
    pub(crate) async fn running_with_label(&self, label: &str) -> Result<Vec<String>, Error> {
        let (filter, format) = (format!("label={label}"), format!("{{{{.Label \"{label}\"}}}}"));
        let output = self
            .0
            .ask(&["ps", "--filter", &filter, "--format", &format])
            .await?
            .success()?;
        Ok(output.stdout.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Each of the containers named.
    pub(crate) async fn inspect(&self, names: &[String]) -> Result<Vec<Container>, Error> {
        let mut args = vec!["inspect"];
        args.extend(names.iter().map(String::as_str));
        let output = self.0.ask(&args).await?.success()?;
        json_array(&output.stdout).ok_or_else(|| output.unreadable("the JSON of docker inspect"))
    }

    /// Starts or stops containers, in the order given.
    pub(crate) async fn each(&self, verb: &str, names: &[String], limit: Duration) -> Result<(), Error> {
        let mut args = vec![verb.to_owned()];
        args.extend_from_slice(names);
        self.0.change(&args, limit).await?.success().map(drop)
    }

    /// Whether the engine answers.
    pub(crate) async fn ping(&self) -> Result<String, Error> {
        let output = self
            .0
            .ask(&["info", "--format", "{{.ServerVersion}}"])
            .await?
            .success()?;
        Ok(output.stdout.trim().to_owned())
    }
}
