//! An API server on loopback, and what is in it.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube_sim::{Controllers, KubeSim};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Machine, Subject};

/// How many writes are under way at a time when the API server itself is measured.
const WRITERS: usize = 16;
/// How many images kubelet reports at most.
const IMAGES: usize = 50;

/// An API server in this process, over TLS. It stops when this is dropped.
pub struct Cluster {
    /// The server.
    pub sim: KubeSim,
    url: String,
    stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Cluster {
    /// An empty one, without controllers: nothing changes by itself.
    pub async fn start() -> Self {
        let controllers: Controllers = "none".parse().unwrap();
        let sim = KubeSim::builder().controllers(controllers).build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(kube_sim::serve::tls(sim.clone(), listener, stop.clone()));
        Self { sim, url, stop }
    }

    /// A kubeconfig for this user, who may do everything.
    pub fn kubeconfig(&self, user: &str) -> String {
        let token = format!("token-of-{user}");
        self.sim.add_token(&token, user, &["system:masters"], None);
        self.sim.kubeconfig(&self.url).replace(self.sim.admin_token(), &token)
    }

    /// Adds the nodes of these machines, of about 7 kB each: new ones with the taint, or initialised ones.
    pub fn add_nodes(&self, subject: &Subject, machines: &[Machine], initialised: bool) {
        for machine in machines {
            let mut node = node(machine);
            if initialised {
                node["spec"] = json!({ "providerID": subject.provider_id(machine) });
                node["status"]["addresses"] = json!([
                    {"type": "InternalIP", "address": machine.address},
                    {"type": "Hostname", "address": machine.name},
                ]);
            }
            (subject.node)(machine, &mut node);
            self.sim.create(node).unwrap();
        }
    }

    /// Adds Services of type LoadBalancer with these numbers.
    pub fn add_services(&self, subject: &Subject, numbers: std::ops::Range<usize>) {
        for n in numbers {
            let mut service = json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": format!("service-{n}"), "namespace": "default"},
                "spec": {"type": "LoadBalancer", "selector": {"app": format!("app-{n}")}, "ports": [{"port": 80}]},
            });
            (subject.service.unwrap())(n, &mut service);
            self.sim.create(service).unwrap();
        }
    }

    /// What kubelet says of a node.
    pub fn set_ready(&self, name: &str, ready: bool) {
        let mut node = self.sim.get("nodes", None, name).unwrap();
        for condition in node["status"]["conditions"].as_array_mut().unwrap() {
            if condition["type"] == "Ready" {
                condition["status"] = json!(if ready { "True" } else { "False" });
            }
        }
        self.sim.update_status(node).unwrap();
    }

    /// Who holds the lease of cloud controller managers; empty when nobody does.
    pub fn leader(&self) -> String {
        let lease = self
            .sim
            .get(
                "leases.coordination.k8s.io",
                Some("kube-system"),
                "cloud-controller-manager",
            )
            .unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// How long this API server takes for the two writes that every new node needs, from a client that does nothing else.
    pub async fn two_writes_each(&self, machines: &[Machine]) -> Duration {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, self.kubeconfig("baseline")).unwrap();
        let config = kube_kit::client::ClientConfig {
            kubeconfig: Some(path),
            ..Default::default()
        };
        let client = config.client("baseline", None, &kube_kit::Fence::open()).await.unwrap();
        let began = Instant::now();
        futures::stream::iter(machines)
            .for_each_concurrent(WRITERS, |machine| {
                let client = &client;
                async move {
                    let status = json!({"status": {"addresses": [
                        {"type": "InternalIP", "address": machine.address},
                        {"type": "Hostname", "address": machine.name},
                    ]}});
                    let rest =
                        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"providerID": "x://y", "taints": null}});
                    for (path, body) in [("/status", status), ("", rest)] {
                        let request = http::Request::patch(format!("/api/v1/nodes/{}{path}", machine.name))
                            .header("content-type", "application/strategic-merge-patch+json")
                            .body(body.to_string().into_bytes())
                            .unwrap();
                        client.request_text(request).await.unwrap();
                    }
                }
            })
            .await;
        began.elapsed()
    }
}

/// A new node as kubelet makes it.
fn node(machine: &Machine) -> Value {
    let images: Vec<Value> = (0..IMAGES)
        .map(|n| {
            let tagged = format!("registry.example/teams/platform-{n}/service-{n}:v1.{n}-bookworm");
            json!({"names": [tagged], "sizeBytes": 31_234_567 + n})
        })
        .collect();
    let conditions: Vec<Value> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .iter()
        .map(|kind| {
            json!({
                "type": kind, "status": if *kind == "Ready" { "True" } else { "False" },
                "reason": "KubeletIsFine", "message": "kubelet is posting ready status",
                "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    let resources = json!({"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "98298500Ki"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": machine.name,
            "labels": {
                "kubernetes.io/hostname": machine.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", "example.com/pool": "workers",
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                "example.com/network": format!("{{\"vtep\":\"{}\",\"mac\":\"0a:58:0a:f4:00:01\"}}", machine.address),
            },
        },
        "spec": {"taints": [
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
        ]},
        "status": {
            "capacity": resources, "allocatable": resources, "conditions": conditions, "images": images,
            "nodeInfo": {
                "machineID": "0123456789abcdef0123456789abcdef", "systemUUID": "01234567-89ab-cdef-0123-456789abcdef",
                "bootID": "01234567-89ab-cdef-0123-456789abcdef", "kernelVersion": "6.8.0-40-generic",
                "osImage": "Ubuntu 24.04.1 LTS", "containerRuntimeVersion": "containerd://2.0.0",
                "kubeletVersion": "v1.36.0", "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_about_seven_kilobytes() {
        let machine = Machine {
            n: 0,
            name: "node-0".to_owned(),
            id: "0".to_owned(),
            address: "10.0.0.0".to_owned(),
        };
        let size = node(&machine).to_string().len();
        assert!((6_500..7_500).contains(&size), "{size}");
    }
}
