//! What is put into the cluster, and what can be seen of it.

use cloud_provider::names::{TAINT_SHUTDOWN, TAINT_UNINITIALIZED};
use serde_json::{Value, json};

use super::World;
use crate::provider::Provider;

impl<P: Provider> World<P> {
    /// Makes a node as kubelet registers it: tainted and ready. More of it is merged in.
    pub fn add_node(&self, name: &str, more: &Value) {
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"taints": [{"key": TAINT_UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
        });
        merge(&mut node, more);
        self.kube.create(node).expect("this is a node");
    }

    /// Makes a node that was initialised before, and is this machine.
    pub fn add_initialised(&self, name: &str, id: &str) {
        self.add_node(name, &json!({"spec": {"taints": [], "providerID": P::provider_id(id)}}));
    }

    /// Makes a machine and its node, and gives the machine's ID.
    pub fn add_machine(&self, name: &str) -> String {
        let id = P::add_machine(&self.sim, name);
        self.add_node(name, &json!({}));
        id
    }

    /// Makes `count` machines and their nodes, `n0` and so on, and gives the machines' IDs.
    pub fn add_machines(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| self.add_machine(&format!("n{n}"))).collect()
    }

    /// A node as it is now.
    pub fn node(&self, name: &str) -> Option<Value> {
        self.kube.get("nodes", None, name)
    }

    /// The names of the nodes that were initialised.
    pub fn initialised(&self) -> Vec<String> {
        let has_id = |node: &Value| node["spec"]["providerID"].as_str().is_some_and(|id| !id.is_empty());
        let done = |node: &Value| has_id(node) && !is_tainted(node, TAINT_UNINITIALIZED);
        let nodes = self.kube.list("nodes").into_iter().filter(done);
        nodes.map(|node| text(&node["metadata"]["name"])).collect()
    }

    /// Sets a node's `Ready` condition.
    pub fn set_ready(&self, name: &str, status: &str) {
        let mut node = self.node(name).expect("the node is there");
        let conditions = node["status"]["conditions"].as_array_mut().into_iter().flatten();
        for condition in conditions.filter(|condition| condition["type"] == "Ready") {
            condition["status"] = json!(status);
        }
        self.kube.update_status(node).expect("this is a node");
    }

    /// The addresses of a node, `Type address`.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let node = self.node(name).expect("the node is there");
        let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
        addresses
            .map(|it| format!("{} {}", text(&it["type"]), text(&it["address"])))
            .collect()
    }

    /// The keys of a node's taints.
    pub fn taints(&self, name: &str) -> Vec<String> {
        taints(&self.node(name).expect("the node is there"))
    }

    /// Whether a node has the taint of machines that are switched off.
    pub fn is_shut_down(&self, name: &str) -> bool {
        self.taints(name).iter().any(|key| key == TAINT_SHUTDOWN)
    }

    /// Teaches the API server the kinds of MetalLB, and makes its namespace, `metallb-system`.
    pub fn install_metallb(&self) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "metallb-system"}});
        self.kube.create(namespace).expect("this is a namespace");
        for (plural, kind) in [
            ("ipaddresspools", "IPAddressPool"),
            ("l2advertisements", "L2Advertisement"),
            ("bgppeers", "BGPPeer"),
            ("bgpadvertisements", "BGPAdvertisement"),
        ] {
            let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": any}}});
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.metallb.io")},
                "spec": {
                    "group": "metallb.io", "scope": "Namespaced",
                    "names": {
                        "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
                    },
                    "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": schema}],
                },
            });
            self.kube.create(definition).expect("this is a definition");
        }
    }

    /// A Service of type LoadBalancer with one TCP port. More of it is merged in.
    pub fn add_service(&self, namespace: &str, name: &str, more: &Value) {
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}]},
        });
        merge(&mut service, more);
        self.kube.create(service).expect("this is a Service");
    }

    /// A Service as it is now.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Value> {
        self.kube.get("services", Some(namespace), name)
    }

    /// The addresses in a Service's status.
    pub fn ingress(&self, namespace: &str, name: &str) -> Vec<String> {
        let service = self.service(namespace, name).unwrap_or_default();
        let ingress = service["status"]["loadBalancer"]["ingress"]
            .as_array()
            .into_iter()
            .flatten();
        ingress.filter_map(|it| it["ip"].as_str().map(str::to_owned)).collect()
    }

    /// The events so far: reason, name of the object, message.
    pub fn events(&self) -> Vec<(String, String, String)> {
        let tell = |event: Value| {
            let object = &event["involvedObject"]["name"];
            (text(&event["reason"]), text(object), text(&event["message"]))
        };
        self.kube.list("events").into_iter().map(tell).collect()
    }

    /// Whether an event with this reason was told.
    pub fn told(&self, reason: &str) -> bool {
        self.events().iter().any(|event| event.0 == reason)
    }
}

/// The keys of the taints of a node.
pub(crate) fn taints(node: &Value) -> Vec<String> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.map(|taint| text(&taint["key"])).collect()
}

pub(crate) fn is_tainted(node: &Value, key: &str) -> bool {
    taints(node).iter().any(|taint| taint == key)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Merges JSON: objects by key, anything else replaces.
pub fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}
