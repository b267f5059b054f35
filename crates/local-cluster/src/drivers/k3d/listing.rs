//! What `k3d cluster list -o json` tells. Fields without a JSON name in k3d keep their Go names. Only what is needed is
//! read: the listing contains the cluster's token.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::driver::{Phase, Sight};
use crate::settings::Setting;
use crate::status::Found;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    pub(super) name: String,
    #[serde(default)]
    network: Network,
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default)]
    servers_running: usize,
    #[serde(default)]
    servers_count: usize,
    #[serde(default)]
    agents_running: usize,
    #[serde(default)]
    agents_count: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default, rename = "portMappings")]
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    #[serde(default, rename = "serverOpts")]
    server: Server,
    #[serde(default, rename = "State")]
    state: State,
    #[serde(default, rename = "IP")]
    address: Address,
}

#[derive(Debug, Default, Deserialize)]
struct Server {
    #[serde(default, rename = "kubeAPI")]
    api: Option<Api>,
}

#[derive(Debug, Default, Deserialize)]
struct Api {
    #[serde(default, rename = "Binding")]
    binding: Binding,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_ip: String,
    host_port: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
    status: String,
}

#[derive(Debug, Default, Deserialize)]
struct Address {
    #[serde(default, rename = "IP")]
    ip: String,
}

impl Cluster {
    pub(super) fn found(&self) -> Found {
        Found {
            profile: self.name.clone(),
            running: self.servers_running > 0,
        }
    }

    pub(super) fn sight(&self) -> Sight {
        let mut sight = Sight::of(self.phase());
        sight.nodes = self.servers_count + self.agents_count;
        sight.parts = self.nodes.iter().map(|node| node.name.clone()).collect();
        let server = self.nodes.iter().find(|node| node.role == "server");
        sight.address = server.map(|server| server.address.ip.clone()).unwrap_or_default();
        let mut put = |field: &str, value: String| sight.settings.insert(field.to_owned(), Setting::plain(value));
        put("servers", self.servers_count.to_string());
        put("agents", self.agents_count.to_string());
        put(
            "noLoadBalancer",
            (!self.nodes.iter().any(|node| node.role == "loadbalancer")).to_string(),
        );
        if let Some(api) = server.and_then(|server| server.server.api.as_ref()) {
            put("apiPort", api.binding.host_port.clone());
            if !api.binding.host_ip.is_empty() {
                put("apiHost", api.binding.host_ip.clone());
            }
        }
        if !self.network.name.is_empty() {
            put("network", self.network.name.clone());
        }
        put("ports", self.host_ports().join(" "));
        sight
    }

    fn phase(&self) -> Phase {
        let restarting: Vec<_> = self.with_status("restarting");
        if !restarting.is_empty() {
            return Phase::Starting(format!("{} restarts", restarting.join(", ")));
        }
        if self.servers_running == 0 {
            return Phase::Stopped;
        }
        if self.servers_running < self.servers_count {
            return Phase::Starting(format!(
                "{} of {} servers run",
                self.servers_running, self.servers_count
            ));
        }
        let balancer = self
            .nodes
            .iter()
            .find(|node| node.role == "loadbalancer" && !node.state.running);
        if let Some(balancer) = balancer {
            return Phase::Incomplete(format!(
                "the load balancer {} is {}",
                balancer.name, balancer.state.status
            ));
        }
        if self.agents_running < self.agents_count {
            return Phase::Incomplete(format!("{} of {} agents run", self.agents_running, self.agents_count));
        }
        Phase::Running
    }

    fn with_status(&self, status: &str) -> Vec<&str> {
        self.nodes
            .iter()
            .filter(|node| node.state.status == status)
            .map(|node| node.name.as_str())
            .collect()
    }

    /// The ports of the host that lead into the cluster, without the API server's, as `HOST:CONTAINER`, sorted.
    fn host_ports(&self) -> Vec<String> {
        let mut ports: Vec<String> = self
            .nodes
            .iter()
            .flat_map(|node| node.ports.iter().flatten())
            .filter(|(inside, _)| inside.as_str() != "6443/tcp")
            .flat_map(|(inside, bound)| {
                let inside = inside.trim_end_matches("/tcp");
                bound
                    .iter()
                    .flatten()
                    .map(move |binding| format!("{}:{inside}", binding.host_port))
            })
            .collect();
        ports.sort();
        ports.dedup();
        ports
    }
}
