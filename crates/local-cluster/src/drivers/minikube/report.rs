//! What minikube prints: a status per node, a list of profiles, and events.

use serde::Deserialize;

use crate::driver::Phase;
use crate::error::{Error, Fault};
use crate::settings::{Setting, Settings};
use crate::tool::{Output, classify, json_array};

/// The cluster was paused with `minikube pause`.
pub(super) const PAUSED: &str = "paused";
/// The exit code for a profile that does not exist.
const NO_PROFILE: i32 = 85;
/// The exit code of `status` is made of these: host, cluster, kubeconfig.
const STATUS_BITS: i32 = 7;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    name: String,
    host: String,
    kubelet: String,
    #[serde(rename = "APIServer")]
    api_server: String,
}

#[derive(Debug)]
pub(super) enum Seen {
    Absent,
    Nodes { phase: Phase, names: Vec<String> },
}

/// What minikube says of a machine that it could not find, or could not ask for.
const NONEXISTENT: &str = "Nonexistent";

/// Makes sense of `minikube status -o json`: an object for one node, an array for several. The exit code says more than the
/// text when there is no such profile. A machine that is told not to exist belongs to a profile that does; what is on
/// standard error then tells whether it is gone or could not be looked at (`NodeStatus` in minikube's
/// `pkg/minikube/cluster/status.go`).
pub(super) fn seen(output: &Output) -> Result<Seen, Error> {
    match output.code {
        Some(NO_PROFILE) => return Ok(Seen::Absent),
        Some(code) if (0..=STATUS_BITS).contains(&code) => {}
        _ => return Err(output.failure(fault(output))),
    }
    let nodes = match output.stdout.find(['{', '[']) {
        Some(start) if output.stdout[start..].starts_with('[') => json_array::<Node>(&output.stdout),
        Some(start) => {
            let mut stream = serde_json::Deserializer::from_str(&output.stdout[start..]).into_iter::<Node>();
            stream.next().and_then(Result::ok).map(|node| vec![node])
        }
        None => None,
    };
    let nodes: Vec<Node> = nodes
        .filter(|nodes| !nodes.is_empty() && nodes.iter().all(|node| !node.host.is_empty()))
        .ok_or_else(|| match classify(output) {
            // Who says nothing but why, is not misunderstood.
            Fault::Unknown if output.stdout.is_empty() && output.code != Some(0) => output.failure(Fault::Unknown),
            Fault::Unknown => output.unreadable("the JSON of minikube status"),
            fault => output.failure(fault),
        })?;
    if nodes.iter().any(|node| node.host == NONEXISTENT) && !is_gone(output) {
        return Err(output.failure(fault_of_text(output)));
    }
    let phase = if nodes.iter().all(|node| node.host == NONEXISTENT) {
        Phase::Stopped
    } else {
        phase(&nodes)
    };
    Ok(Seen::Nodes {
        phase,
        names: nodes.into_iter().map(|node| node.name).collect(),
    })
}

/// Whether the machine was looked for and is not there, as opposed to: could not be looked for.
fn is_gone(output: &Output) -> bool {
    let said = output.stderr.to_lowercase();
    let missing = [
        "no such container",
        "no such object",
        "domain not found",
        "does not exist",
    ];
    !said.contains("status error") || missing.iter().any(|text| said.contains(text))
}

/// Why it could not be looked for: an exit code made of bits says nothing about it.
fn fault_of_text(output: &Output) -> Fault {
    match classify(output) {
        Fault::NotFound | Fault::NotRunning => Fault::Unknown,
        fault => fault,
    }
}

fn phase(nodes: &[Node]) -> Phase {
    let first = &nodes[0];
    match first.host.as_str() {
        "Running" => {}
        "Stopped" | "Saved" | "None" => return Phase::Stopped,
        "Starting" => return Phase::Starting("the host starts".to_owned()),
        "Paused" => return Phase::Incomplete(PAUSED.to_owned()),
        "InsufficientStorage" => {
            return Phase::NotReady("the disk of the host is full (InsufficientStorage)".to_owned());
        }
        other => return Phase::NotReady(format!("the host is {other}")),
    }
    match first.api_server.as_str() {
        "Running" => {}
        "Paused" => return Phase::Incomplete(PAUSED.to_owned()),
        other => return Phase::Incomplete(format!("the API server is {other}")),
    }
    match nodes
        .iter()
        .find(|node| node.host != "Running" || node.kubelet != "Running")
    {
        Some(node) => Phase::Incomplete(format!("node {} is not running", node.name)),
        None => Phase::Running,
    }
}

/// A valid entry of `minikube profile list -o json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Profile {
    pub(super) name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    addons: std::collections::BTreeMap<String, bool>,
    #[serde(rename = "CPUs")]
    cpus: u32,
    memory: u64,
    disk_size: u64,
    driver: String,
    #[serde(rename = "KubernetesConfig")]
    kubernetes: Kubernetes,
    nodes: Vec<NodeConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Kubernetes {
    #[serde(rename = "KubernetesVersion")]
    version: String,
    container_runtime: String,
    #[serde(rename = "CNI")]
    cni: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeConfig {
    #[serde(rename = "IP")]
    ip: String,
}

#[derive(Deserialize)]
struct Profiles {
    #[serde(default)]
    valid: Option<Vec<Profile>>,
}

pub(super) fn profiles(text: &str) -> Option<Vec<Profile>> {
    let start = text.find("{\"")?;
    let found = serde_json::Deserializer::from_str(&text[start..])
        .into_iter::<Profiles>()
        .next()?
        .ok()?;
    Some(found.valid.unwrap_or_default())
}

impl Profile {
    pub(super) fn runs(&self) -> bool {
        ["Running", "OK"].contains(&self.status.as_str())
    }

    pub(super) fn version(&self) -> String {
        self.config.kubernetes.version.clone()
    }

    pub(super) fn address(&self) -> String {
        self.config
            .nodes
            .first()
            .map(|node| node.ip.clone())
            .unwrap_or_default()
    }

    pub(super) fn settings(&self) -> Settings {
        let config = &self.config;
        let size = |mib: u64| {
            (mib > 0).then(|| Setting {
                value: mib.to_string(),
                shown: crate::Size::bytes(mib * 1024 * 1024).to_string(),
            })
        };
        let text = |value: &str| (!value.is_empty()).then(|| Setting::plain(value));
        let fields = [
            ("cpus", (config.cpus > 0).then(|| Setting::plain(config.cpus))),
            ("memory", size(config.memory)),
            ("disk", size(config.disk_size)),
            (
                "nodes",
                (!config.nodes.is_empty()).then(|| Setting::plain(config.nodes.len())),
            ),
            ("driver", text(&config.driver)),
            ("containerRuntime", text(&config.kubernetes.container_runtime)),
            ("cni", text(&config.kubernetes.cni)),
            ("kubernetesVersion", text(&config.kubernetes.version)),
        ];
        let addons = config.addons.iter().map(|(name, on)| super::addon(name, *on));
        fields
            .into_iter()
            .filter_map(|(field, setting)| Some((field.to_owned(), setting?)))
            .chain(addons)
            .collect()
    }
}

/// An event of `--output=json`. Everything in its data is text.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    message: String,
    exitcode: String,
}

/// The last error event, by its exit code and message. Lines that are no events are passed over.
pub(super) fn last_error(stdout: &str) -> Option<(Fault, String)> {
    let mut events = stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line.trim()).ok());
    let last = events.rfind(|event| event.r#type == "io.k8s.sigs.minikube.error")?;
    let fault = last.data.exitcode.parse().map_or(Fault::Unknown, fault_of_code);
    Some((fault, crate::tool::redact(&last.data.message)))
}

/// The families of minikube's exit codes.
fn fault_of_code(code: i32) -> Fault {
    match code {
        23 | 26 | 29 => Fault::OutOfResources,
        27 | 37 | 57 => Fault::PermissionDenied,
        40..=49 => Fault::Network,
        69 => Fault::DaemonDown,
        83 | 89 | 93 => Fault::NotRunning,
        NO_PROFILE => Fault::NotFound,
        52 | 62 | 72 | 82 | 92 | 102 => Fault::Timeout,
        _ => Fault::Unknown,
    }
}

/// The fault that an exit code tells, or what was printed when it does not.
pub(super) fn fault(output: &Output) -> Fault {
    match output.code.map_or(Fault::Unknown, fault_of_code) {
        Fault::Unknown => classify(output),
        fault => fault,
    }
}
