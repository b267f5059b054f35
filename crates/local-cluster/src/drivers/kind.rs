//! Kubernetes in containers, made by kind.
//!
//! kind has no command to stop or start a cluster and no JSON: the container engine is asked and told instead. Creation
//! exits with success when its wait runs out, so kind does not wait at all: we do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use crate::config::{self, ClusterConfig};
use crate::driver::{Deadlines, Driver, EntryNames, Phase, Sight};
use crate::drivers::engine::{Container, Engine};
use crate::error::Error;
use crate::host::Host;
use crate::needs::Needs;
use crate::profile;
use crate::settings::{self, Applies, Setting, Settings};
use crate::status::Found;
use crate::tool::{Spec, Tool};

static KIND: Spec = Spec {
    program: "kind",
    advice: "install kind (https://kind.sigs.k8s.io), or use the driver sim, which needs nothing",
    hidden: |name| ["KIND_CLUSTER_NAME", "KUBECONFIG"].contains(&name),
    set: &[],
};

const CLUSTER_LABEL: &str = "io.x-k8s.kind.cluster";
const ROLE_LABEL: &str = "io.x-k8s.kind.role";
/// Container names have a limit; kind warns above this.
const LONGEST_NAME: usize = 50;

/// One cluster of kind.
pub struct Kind {
    host: Arc<Host>,
    profile: String,
    tool: Tool,
    engine: Engine,
}

impl Kind {
    /// The cluster of this name.
    ///
    /// # Errors
    /// [`Error::InvalidProfile`].
    pub fn new(host: &Arc<Host>, profile: &str) -> Result<Self, Error> {
        profile::check(profile)?;
        profile::lower_case(profile)?;
        profile::no_longer_than(profile, LONGEST_NAME)?;
        let scratch = host.scratch(&format!("kind-{profile}"));
        Ok(Self {
            host: Arc::clone(host),
            profile: profile.to_owned(),
            tool: Tool::new(host, &KIND)
                .with("KUBECONFIG", scratch)
                .working_on("kind", profile),
            engine: Engine::named(host, Engine::of_kind(host)).working_on("kind", profile),
        })
    }

    fn scratch(&self) -> String {
        self.host.scratch(&self.names().context).to_string_lossy().into_owned()
    }

    async fn nodes(&self) -> Result<Vec<Container>, Error> {
        // The engine would answer without it, and be blamed when it is missing too.
        self.host.need(KIND.program, KIND.advice)?;
        let names = self
            .engine
            .labelled(&format!("{CLUSTER_LABEL}={}", self.profile))
            .await?;
        if names.is_empty() {
            Ok(Vec::new())
        } else {
            self.engine.inspect(&names).await
        }
    }

    /// The order in which nodes are started: whatever others need comes first.
    async fn nodes_in_order(&self) -> Result<Vec<String>, Error> {
        let mut nodes = self.nodes().await?;
        let rank = |node: &Container| match node.label(ROLE_LABEL) {
            "external-load-balancer" => 0,
            "control-plane" => 1,
            _ => 2,
        };
        nodes.sort_by(|a, b| (rank(a), a.name()).cmp(&(rank(b), b.name())));
        Ok(nodes.iter().map(|node| node.name().to_owned()).collect())
    }

    /// kind takes its configuration from a file only.
    fn write_config(&self, config: &config::Kind) -> Result<String, Error> {
        let value = cluster_file(config);
        let path = self.host.scratch(&format!("kind-{}.config", self.profile));
        if !self.host.dry_run {
            self.host.prepare_scratch()?;
            let text =
                serde_saphyr::to_string(&value).map_err(|error| Error::config("kind.config", error.to_string()))?;
            kit::fs::write_private(&path, text.as_bytes()).map_err(Error::files("write", &path))?;
        }
        Ok(path.to_string_lossy().into_owned())
    }
}

fn cluster_file(config: &config::Kind) -> serde_json::Value {
    if let Some(whole) = &config.config {
        return serde_json::Value::Object(whole.clone());
    }
    let node = |role: &'static str| json!({ "role": role });
    let planes = std::iter::repeat_n(node("control-plane"), config.control_planes.unwrap_or(1) as usize);
    let workers = std::iter::repeat_n(node("worker"), config.workers.unwrap_or(0) as usize);
    let mut file = json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": planes.chain(workers).collect::<Vec<_>>(),
    });
    if let Some(port) = config.api_port {
        file["networking"] = json!({ "apiServerPort": port });
    }
    file
}

/// An image without its digest: the tag is what people ask for, and who pins a digest still means that tag.
fn tag_of(image: &str) -> String {
    let image = image.split('@').next().unwrap_or(image);
    image.strip_prefix("docker.io/").unwrap_or(image).to_owned()
}

fn version_of(image: &str) -> String {
    let tag = tag_of(image);
    let tag = tag.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
    if tag.starts_with('v') {
        tag.to_owned()
    } else {
        String::new()
    }
}

fn sight_of(nodes: &[Container]) -> Sight {
    let running = nodes.iter().filter(|node| node.runs()).count();
    let mut sight = Sight::of(match nodes {
        [] => Phase::Absent,
        _ if running == 0 => Phase::Stopped,
        _ if nodes.iter().any(|node| node.state.status == "restarting") => {
            Phase::Starting("a node restarts".to_owned())
        }
        _ if running < nodes.len() => Phase::Incomplete(format!("{running} of {} nodes run", nodes.len())),
        _ => Phase::Running,
    });
    let role = |name: &str| nodes.iter().filter(|node| node.label(ROLE_LABEL) == name).count();
    let (planes, workers) = (role("control-plane"), role("worker"));
    sight.nodes = planes + workers;
    sight.parts = nodes.iter().map(|node| node.name().to_owned()).collect();
    if nodes.is_empty() {
        return sight;
    }
    let mut put = |field: &str, value: String| sight.settings.insert(field.to_owned(), Setting::plain(value));
    put("controlPlanes", planes.to_string());
    put("workers", workers.to_string());
    if let Some(plane) = nodes.iter().find(|node| node.label(ROLE_LABEL) == "control-plane") {
        put("image", tag_of(&plane.config.image));
        if let Some(port) = plane.host_port("6443/tcp") {
            put("apiPort", port.to_owned());
        }
        sight.version = version_of(&plane.config.image);
        sight.address = plane.address();
    }
    sight
}

#[async_trait]
impl Driver for Kind {
    fn name(&self) -> &'static str {
        "kind"
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn names(&self) -> EntryNames {
        EntryNames::all(format!("kind-{}", self.profile))
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines {
            start: Duration::from_mins(5),
            stop: Duration::from_mins(1),
            destroy: Duration::from_mins(2),
        }
    }

    fn wants(&self, config: &ClusterConfig) -> Result<Settings, Error> {
        let config = config.kind.as_ref().ok_or(Error::MissingDriverConfig("kind"))?;
        if config.image.is_some() && config.kubernetes_version.is_some() {
            return Err(Error::config(
                "kind",
                "image and kubernetesVersion say the same thing: give one",
            ));
        }
        if config.config.is_some()
            && (config.control_planes.is_some() || config.workers.is_some() || config.api_port.is_some())
        {
            return Err(Error::config(
                "kind.config",
                "it is the whole configuration: leave out the node counts and apiPort",
            ));
        }
        if config.control_planes == Some(0) {
            return Err(Error::config("kind.controlPlanes", "a cluster has at least one"));
        }
        config::check_port("kind.apiPort", config.api_port)?;
        let mut wants = Settings::new();
        let mut put = |field: &str, value: Option<String>| {
            if let Some(value) = value {
                wants.insert(field.to_owned(), Setting::plain(value));
            }
        };
        put("image", node_image(config).as_deref().map(tag_of));
        put("controlPlanes", config.control_planes.map(|count| count.to_string()));
        put("workers", config.workers.map(|count| count.to_string()));
        put("apiPort", config.api_port.map(|port| port.to_string()));
        if let Some(whole) = &config.config {
            let nodes = whole.get("nodes").and_then(serde_json::Value::as_array);
            let role = |name: &str| {
                nodes
                    .iter()
                    .flat_map(|nodes| nodes.iter())
                    .filter(|node| node["role"] == name)
                    .count()
            };
            put("controlPlanes", Some(role("control-plane").max(1).to_string()));
            put("workers", Some(role("worker").to_string()));
            put("config", Some(serde_json::Value::Object(whole.clone()).to_string()));
        }
        Ok(wants)
    }

    fn creation_defaults(&self) -> Settings {
        let seen =
            [("controlPlanes", "1"), ("workers", "0")].map(|(field, value)| (field.to_owned(), Setting::plain(value)));
        settings::nothing(["config"]).into_iter().chain(seen).collect()
    }

    fn needs(&self, config: &ClusterConfig) -> Needs {
        let config = config.kind.clone().unwrap_or_default();
        let whole = serde_json::Value::Object(config.config.unwrap_or_default());
        let inside = |node: &serde_json::Value| {
            let mappings = node["extraPortMappings"].as_array().cloned().unwrap_or_default();
            mappings.into_iter().map(|mapping| mapping["hostPort"].clone())
        };
        let nodes = whole["nodes"].as_array().cloned().unwrap_or_default();
        let mapped = nodes.iter().flat_map(inside);
        let asked = std::iter::once(whole["networking"]["apiServerPort"].clone()).chain(mapped);
        let asked = asked.filter_map(|port| u16::try_from(port.as_u64()?).ok());
        Needs {
            engine: Some(Engine::of_kind(&self.host)),
            ports: config
                .api_port
                .into_iter()
                .chain(asked.filter(|port| *port != 0))
                .collect(),
            disk: true,
            ..Needs::default()
        }
    }

    fn applies(&self, _field: &str, _have: &Setting, _want: &Setting) -> Applies {
        Applies::Recreate
    }

    async fn look(&self) -> Result<Sight, Error> {
        Ok(sight_of(&self.nodes().await?))
    }

    async fn create(&self, config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        let config = config.kind.as_ref().ok_or(Error::MissingDriverConfig("kind"))?;
        let (file, scratch) = (self.write_config(config)?, self.scratch());
        let mut args = vec!["create", "cluster", "--name", &self.profile, "--config", &file];
        args.extend(["--wait", "0s", "--kubeconfig", &scratch]);
        let image = node_image(config);
        if let Some(image) = &image {
            args.extend(["--image", image]);
        }
        self.tool.change(&args, limit).await?.success().map(drop)
    }

    async fn resume(&self, _sight: &Sight, _config: &ClusterConfig, limit: Duration) -> Result<(), Error> {
        self.engine.each("start", &self.nodes_in_order().await?, limit).await
    }

    async fn halt(&self, sight: &Sight, limit: Duration) -> Result<(), Error> {
        self.engine.each("stop", &sight.parts, limit).await
    }

    async fn remove(&self, _sight: &Sight, limit: Duration) -> Result<(), Error> {
        let scratch = self.scratch();
        let args = ["delete", "cluster", "--name", &self.profile, "--kubeconfig", &scratch];
        self.tool.change(&args, limit).await?.success().map(drop)
    }

    async fn kubeconfig(&self) -> Result<String, Error> {
        Ok(self
            .tool
            .ask(&["get", "kubeconfig", "--name", &self.profile])
            .await?
            .success()?
            .stdout)
    }

    async fn all(&self) -> Result<Vec<Found>, Error> {
        let clusters = self.tool.ask(&["get", "clusters"]);
        let running = self.engine.running_with_label(CLUSTER_LABEL);
        let (clusters, running) = tokio::join!(clusters, running);
        let (clusters, running) = (clusters?.success()?, running?);
        let names = clusters.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(names
            .map(|name| Found {
                profile: name.to_owned(),
                running: running.iter().any(|one| one == name),
            })
            .collect())
    }
}

fn node_image(config: &config::Kind) -> Option<String> {
    let release = config.kubernetes_version.as_ref();
    config
        .image
        .clone()
        .or_else(|| release.map(|version| format!("kindest/node:{version}")))
}
