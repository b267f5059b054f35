//! What is measured.

use std::path::PathBuf;

use axum::Router;
use kube_sim::KubeSim;
use serde_json::Value;

/// A machine in the simulated cloud, and the node it is to become.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Counts from 0.
    pub n: usize,
    /// The name of machine and node.
    pub name: String,
    /// What follows the scheme in the provider ID.
    pub id: String,
    /// The machine's internal address.
    pub address: String,
}

/// A cloud controller manager, and all that has to be known to run it.
#[derive(Clone)]
pub struct Subject {
    /// What it is called in tables.
    pub name: &'static str,
    /// The program.
    pub binary: PathBuf,
    /// Its flags, besides those that say where cluster and configuration are and those about leases and ports.
    pub flags: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// The content of `--cloud-config`, given the URL of the cloud.
    pub config: fn(url: &str) -> String,
    /// The scheme of provider IDs, and the ID of the nth machine.
    pub scheme: &'static str,
    /// See `scheme`.
    pub id: fn(n: usize) -> String,
    /// The API of a cloud with these machines.
    pub cloud: fn(machines: &[Machine]) -> Router,
    /// What else must be in the cluster: Secrets, ConfigMaps.
    pub cluster: fn(sim: &KubeSim),
    /// What else a node must have.
    pub node: fn(machine: &Machine, node: &mut Value),
    /// What else a Service of type LoadBalancer must have; nothing when there are no load balancers.
    pub service: Option<fn(n: usize, service: &mut Value)>,
}

impl Subject {
    /// The machines of a cloud with so many.
    pub fn machines(&self, count: usize) -> Vec<Machine> {
        (0..count)
            .map(|n| Machine {
                n,
                name: format!("node-{n}"),
                id: (self.id)(n),
                address: format!("10.{}.{}.{}", n / 65536, n / 256 % 256, n % 256),
            })
            .collect()
    }

    /// The provider ID of a machine.
    pub fn provider_id(&self, machine: &Machine) -> String {
        format!("{}://{}", self.scheme, machine.id)
    }
}
