//! Nodes: each machine of a cloudspace is one, as long as it runs.

use std::collections::BTreeMap;

use kube_sim::KubeSim;
use serde_json::{Map, Value, json};

use crate::world::{Server, World, plus, stamp, text};

/// What of a node changes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeFacts {
    ready: bool,
    kubelet: String,
}

/// The taint of a node that is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Makes the nodes of an API server those of the cloudspace's machines.
pub(super) fn follow(world: &World, key: &str, kube: &KubeSim, told: &mut BTreeMap<String, NodeFacts>) {
    let kubelet = format!("v{}", world.running_version(key));
    let up = world
        .spaces
        .get(key)
        .and_then(|space| space.up_since)
        .unwrap_or(world.now);
    let mine = || world.servers.iter().filter(|(_, server)| server.cloudspace == key);
    told.retain(|name, _| {
        let stays = mine().any(|(_, server)| server.name == *name);
        if !stays {
            // Somebody may have deleted it already.
            let _ = kube.delete("nodes", None, name);
        }
        stays
    });
    for (id, server) in mine() {
        let facts = NodeFacts {
            // A machine that waited for its API server joins when that is up.
            ready: plus(server.since.max(up), world.settings.node_boot_delay) <= world.now,
            kubelet: kubelet.clone(),
        };
        match told.get(&server.name) {
            Some(known) if *known == facts => continue,
            Some(_) => update(world, kube, server, &facts),
            None => create(world, kube, id, server, &facts),
        }
        told.insert(server.name.clone(), facts);
    }
}

fn create(world: &World, kube: &KubeSim, id: &str, server: &Server, facts: &NodeFacts) {
    let pool = world.pool_of(server);
    let class = world.serverclasses.get(&server.class);
    let class_text = |pointer: &str| class.map(|class| text(class, pointer)).unwrap_or_default();
    let region = world.regions.get(class_text("/spec/region"));
    let region = region
        .map(|region| text(region, "/spec/provider/providerRegionName"))
        .unwrap_or_default();
    let custom = |field: &str| pool.and_then(|pool| pool.pointer(&format!("/spec/{field}"))).cloned();
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": server.name, "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": class_text("/spec/provider/providerFlavorID"),
        "topology.kubernetes.io/region": region,
    });
    if let (Value::Object(labels), Some(Value::Object(more))) = (&mut labels, custom("customLabels")) {
        labels.extend(more);
    }
    let taints = with_readiness(
        custom("customTaints").and_then(|taints| taints.as_array().cloned()),
        facts.ready,
    );
    let resources = json!({
        "cpu": class_text("/spec/resources/cpu"), "memory": quantity(class_text("/spec/resources/memory")),
        "pods": "110",
    });
    let mut status = Map::new();
    status.insert("capacity".to_owned(), resources.clone());
    status.insert("allocatable".to_owned(), resources);
    let addresses = json!([
        {"type": "InternalIP", "address": server.address}, {"type": "Hostname", "address": server.name},
    ]);
    status.insert("addresses".to_owned(), addresses);
    status.insert("conditions".to_owned(), json!([condition(world, facts.ready)]));
    let info = json!({
        "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": facts.kubelet, "bootID": id,
        "machineID": id.replace('-', ""), "systemUUID": id, "kernelVersion": "6.8.0", "osImage": "Ubuntu 24.04 LTS",
        "containerRuntimeVersion": "containerd://1.7.0", "kubeProxyVersion": facts.kubelet,
    });
    status.insert("nodeInfo".to_owned(), info);
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": server.name, "labels": labels, "annotations": custom("customAnnotations").unwrap_or(json!({})),
        },
        "spec": {"providerID": format!("openstack:///{id}"), "taints": taints},
        "status": status,
    });
    if let Err(error) = kube.apply(node) {
        tracing::warn!(node = server.name, ?error, "the API server refuses a node");
    }
}

/// Tells of a node what changed, and leaves the rest as whoever changed it wants it.
fn update(world: &World, kube: &KubeSim, server: &Server, facts: &NodeFacts) {
    let Some(mut node) = kube.get("nodes", None, &server.name) else {
        return;
    };
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).cloned();
    node["spec"]["taints"] = with_readiness(taints, facts.ready);
    let mut node = match kube.update(node) {
        Ok(node) => node,
        Err(error) => {
            tracing::warn!(node = server.name, ?error, "the API server refuses a change of a node");
            return;
        }
    };
    node["status"]["conditions"] = json!([condition(world, facts.ready)]);
    for field in ["kubeletVersion", "kubeProxyVersion"] {
        node["status"]["nodeInfo"][field] = facts.kubelet.clone().into();
    }
    if let Err(error) = kube.update_status(node) {
        tracing::warn!(
            node = server.name,
            ?error,
            "the API server refuses a change of a node's status"
        );
    }
}

fn with_readiness(taints: Option<Vec<Value>>, ready: bool) -> Value {
    let mut taints = taints.unwrap_or_default();
    taints.retain(|taint| text(taint, "/key") != NOT_READY);
    if !ready {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
    Value::Array(taints)
}

fn condition(world: &World, ready: bool) -> Value {
    let now = stamp(world.now);
    let (status, reason, message) = if ready {
        ("True", "KubeletReady", "kubelet is posting ready status")
    } else {
        ("False", "KubeletNotReady", "container runtime network not ready")
    };
    json!({
        "type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
        "lastHeartbeatTime": now,
    })
}

/// A size such as `3.75GB`, which means binary gigabytes, as Kubernetes writes it.
fn quantity(size: &str) -> String {
    let gigabytes: f64 = size.trim_end_matches("GB").parse().unwrap_or(0.0);
    format!("{}Mi", (gigabytes * 1024.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_gigabytes() {
        assert_eq!(quantity("3.75GB"), "3840Mi");
        assert_eq!(quantity("120GB"), "122880Mi");
        assert_eq!(quantity("much"), "0Mi");
    }
}
