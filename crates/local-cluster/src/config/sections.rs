//! One section per driver. Names are those of the tools, in camel case.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::numbers;
use crate::size::Size;

/// A k3s in a virtual machine made by colima.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Colima {
    /// Memory of the machine.
    pub memory: Option<Size>,
    /// Its processors.
    #[serde(deserialize_with = "numbers::count")]
    pub cores: Option<u32>,
    /// Its disk for containers and images; can only grow.
    pub disk: Option<Size>,
    /// Its root disk.
    pub root_disk: Option<Size>,
    /// `host`, `aarch64` or `x86_64`; fixed at creation.
    pub arch: Option<String>,
    /// `qemu`, `vz` or `krunkit`; macOS only, fixed at creation.
    pub vm_type: Option<String>,
    /// `sshfs`, `9p` or `virtiofs`; fixed at creation.
    pub mount_type: Option<String>,
    /// `docker` or `containerd`; fixed at creation.
    pub runtime: Option<String>,
    /// The k3s release (`v1.35.0+k3s1`).
    pub kubernetes_version: Option<String>,
    /// Arguments of k3s.
    pub k3s_args: Vec<String>,
    /// The port of the API server.
    #[serde(deserialize_with = "numbers::port")]
    pub k3s_port: Option<u16>,
    /// Give the machine an address of its own; macOS only.
    pub network_address: Option<bool>,
    /// Directories of the host to mount.
    pub mounts: Vec<Mount>,
    /// Name servers of the machine.
    pub dns: Vec<String>,
    /// Environment of the machine.
    pub env: BTreeMap<String, String>,
}

/// A directory of the host inside the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// The directory.
    pub location: String,
    /// Where it appears; at the same path when left out.
    pub mount_point: Option<String>,
    /// Whether it can be written to.
    #[serde(default)]
    pub writable: bool,
}

/// A k3s in containers made by k3d.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct K3d {
    /// Servers, at least one.
    #[serde(deserialize_with = "numbers::count")]
    pub servers: Option<u32>,
    /// Agents.
    #[serde(deserialize_with = "numbers::count")]
    pub agents: Option<u32>,
    /// The k3s image.
    pub image: Option<String>,
    /// The k3s release (`v1.35.5+k3s1`), as the image `rancher/k3s` of that tag.
    pub kubernetes_version: Option<String>,
    /// The port of the API server; a free one when left out.
    #[serde(deserialize_with = "numbers::port")]
    pub api_port: Option<u16>,
    /// The address the API server listens on; 127.0.0.1 when left out.
    pub api_host: Option<String>,
    /// Ports of the host that lead into the cluster.
    pub ports: Vec<Port>,
    /// Directories and volumes inside the nodes.
    pub volumes: Vec<Volume>,
    /// Environment of the nodes (`KEY=VALUE@server:*`).
    pub env: Vec<String>,
    /// Image registries.
    pub registries: K3dRegistries,
    /// Arguments of k3s.
    pub k3s_args: Vec<K3sArg>,
    /// An existing container network.
    pub network: Option<String>,
    /// The subnet of a new network.
    pub subnet: Option<String>,
    /// Memory limit of each server.
    pub servers_memory: Option<Size>,
    /// Memory limit of each agent.
    pub agents_memory: Option<Size>,
    /// Make no load balancer.
    pub no_load_balancer: bool,
    /// How long creation may take (`5m`).
    pub timeout: Option<String>,
}

/// Something that is meant for some nodes only.
pub trait Filtered {
    /// What it is.
    fn text(&self) -> &str;
    /// The nodes it is for (`server:0`, `agent:*`, `loadbalancer`, `all`).
    fn filters(&self) -> &[String];
}

macro_rules! filtered {
    ($(#[$doc:meta])* $name:ident, $field:ident, $of:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            #[doc = $of]
            pub $field: String,
            /// The nodes it is for.
            #[serde(default)]
            pub node_filters: Vec<String>,
        }

        impl Filtered for $name {
            fn text(&self) -> &str {
                &self.$field
            }
            fn filters(&self) -> &[String] {
                &self.node_filters
            }
        }
    };
}

filtered!(
    /// A port of the host that leads into the cluster.
    Port, port, "As for `docker run -p`: `8080:80`."
);
filtered!(
    /// A directory or volume inside nodes.
    Volume, volume, "As for `docker run -v`: `/data:/data`."
);
filtered!(
    /// An argument of k3s on some nodes.
    K3sArg, arg, "The argument: `--disable=traefik`."
);

/// Image registries of a k3d cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct K3dRegistries {
    /// One to create with the cluster.
    pub create: Option<K3dRegistry>,
    /// Existing ones to connect (`k3d-registry:5000`).
    pub r#use: Vec<String>,
    /// A file of k3s registry configuration.
    pub config: Option<PathBuf>,
}

/// A registry to create.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct K3dRegistry {
    /// Its name.
    pub name: String,
    /// The address it listens on.
    pub host: Option<String>,
    /// The port it listens on.
    #[serde(default, deserialize_with = "numbers::port")]
    pub host_port: Option<u16>,
}

/// A Kubernetes in containers made by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Kind {
    /// The node image.
    pub image: Option<String>,
    /// The release (`v1.35.0`), as the image `kindest/node` of that tag.
    pub kubernetes_version: Option<String>,
    /// Control-plane nodes, at least one.
    #[serde(deserialize_with = "numbers::count")]
    pub control_planes: Option<u32>,
    /// Workers.
    #[serde(deserialize_with = "numbers::count")]
    pub workers: Option<u32>,
    /// A whole kind configuration (v1alpha4), passed on as it is; excludes the two counts above.
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// The port of the API server; kind takes a free one when left out.
    #[serde(deserialize_with = "numbers::port")]
    pub api_port: Option<u16>,
}

/// A Kubernetes made by minikube.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Minikube {
    /// minikube's own driver (`docker`, `qemu2`, …), fixed at creation; `docker` when left out.
    pub driver: Option<String>,
    /// Processors.
    #[serde(deserialize_with = "numbers::count")]
    pub cpus: Option<u32>,
    /// Memory.
    pub memory: Option<Size>,
    /// Disk.
    pub disk: Option<Size>,
    /// Nodes.
    #[serde(deserialize_with = "numbers::count")]
    pub nodes: Option<u32>,
    /// The release (`v1.35.0`).
    pub kubernetes_version: Option<String>,
    /// `containerd`, `docker` or `cri-o`, fixed at creation; `containerd` when left out.
    pub container_runtime: Option<String>,
    /// The network plug-in.
    pub cni: Option<String>,
    /// Addons to enable.
    pub addons: Vec<String>,
    /// Component settings (`kubelet.max-pods=50`).
    pub extra_config: Vec<String>,
    /// Further flags of `minikube start`.
    pub start_flags: Vec<String>,
}

/// etcd and kube-apiserver as plain processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Process {
    /// The release the binaries must be (`v1.35.0`); any when left out.
    pub kubernetes_version: Option<String>,
    /// Where the binaries are; `KUBEBUILDER_ASSETS`, the places of its own and PATH are searched when left out.
    pub bin_dir: Option<PathBuf>,
    /// Where its data goes; our own data directory when left out.
    pub data_dir: Option<PathBuf>,
    /// The port of the API server; a free one when left out, and then always the same.
    #[serde(deserialize_with = "numbers::port")]
    pub api_port: Option<u16>,
    /// The port of etcd; likewise.
    #[serde(deserialize_with = "numbers::port")]
    pub etcd_port: Option<u16>,
    /// Further flags of kube-apiserver; when left out, those it has already.
    pub extra_args: Option<Vec<String>>,
    /// Run kube-controller-manager too; when left out, if the cluster has it already, and in a new one if its binary is
    /// found.
    pub controller_manager: Option<bool>,
}

/// A simulated API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Sim {
    /// The port of the API server; a free one when left out, and then always the same.
    #[serde(deserialize_with = "numbers::port")]
    pub api_port: Option<u16>,
}
