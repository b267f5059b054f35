//! Notices nodes that fall silent: their conditions turn unknown and they are tainted.
//!
//! Mirrors kubernetes/kubernetes pkg/controller/nodelifecycle: a node shows that it is alive through its Lease in
//! kube-node-lease or through its status. Pods are not evicted.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Controller;
use crate::meta;
use crate::ops::{State, Target};
use crate::schema::format_time;
use crate::sim::Inner;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const WATCHED: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is known of a node: its last sign of life, and when that was seen here.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    seen: BTreeMap<String, (Value, Timestamp)>,
}

impl Controller for Nodes {
    fn watches(&self) -> &'static [&'static str] {
        &["nodes", "leases.coordination.k8s.io"]
    }

    fn rest(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn reconcile(&mut self, inner: &Inner) -> Option<Timestamp> {
        let mut state = inner.state();
        let now = inner.clock.now();
        let grace = SignedDuration::try_from(inner.grace).ok()?;
        let mut next: Option<Timestamp> = None;
        let mut alive = BTreeMap::new();
        for ((_, name), node) in state.store.list("nodes", "") {
            let uid = meta::text(&node, "uid").to_owned();
            let sign = sign_of_life(&state, &name, &node);
            let since = match self.seen.get(&uid) {
                Some((before, at)) if *before == sign => *at,
                _ => now,
            };
            alive.insert(uid, (sign, since));
            let due = since.checked_add(grace).unwrap_or(now);
            let silent = due <= now;
            if !silent {
                next = Some(next.map_or(due, |n| n.min(due)));
            }
            update(inner, &mut state, &name, &node, silent);
        }
        self.seen = alive;
        next
    }
}

fn condition<'a>(node: &'a Value, kind: &str) -> Option<&'a Value> {
    node["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)
}

/// The renewals of the lease and the heartbeats of the status; when they change, the node lives.
fn sign_of_life(state: &State, name: &str, node: &Value) -> Value {
    let lease = state.store.get("leases.coordination.k8s.io", "kube-node-lease", name);
    let heartbeat = condition(node, "Ready").map(|c| (c["lastHeartbeatTime"].clone(), c["status"].clone()));
    let reported = heartbeat.filter(|(_, status)| *status != "Unknown").map(|(at, _)| at);
    json!([lease.map(|l| l["spec"]["renewTime"].clone()), reported])
}

fn update(inner: &Inner, state: &mut State, name: &str, node: &Value, silent: bool) {
    let Some(resource) = state.registry.by_name("nodes").cloned() else {
        return;
    };
    let target = Target {
        resource: &resource,
        namespace: "",
        name,
    };
    let now = format_time(inner.clock.now());
    if silent {
        let mut changed = node.clone();
        darken(&mut changed, &now);
        if changed != *node {
            let mut write = inner.write("kube-controller-manager");
            "status".clone_into(&mut write.subresource);
            // A write in between wakes us again.
            let _ = state.update(target, &write, |_, _| Ok(changed));
        }
    }
    let Ok(current) = state.get(target) else { return };
    let mut changed = Value::clone(&current);
    taint(&mut changed, &now);
    if changed != *current {
        let _ = state.update(target, &inner.write("kube-controller-manager"), |_, _| Ok(changed));
    }
}

/// All watched conditions become unknown.
fn darken(node: &mut Value, now: &str) {
    let created = node["metadata"]["creationTimestamp"].clone();
    let mut conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for kind in WATCHED {
        match conditions.iter_mut().find(|c| c["type"] == *kind) {
            Some(found) if found["status"] == "Unknown" => {}
            Some(found) => {
                found["status"] = json!("Unknown");
                found["reason"] = json!("NodeStatusUnknown");
                found["message"] = json!("Kubelet stopped posting node status.");
                found["lastTransitionTime"] = json!(now);
            }
            None => conditions.push(json!({
                "type": kind, "status": "Unknown", "lastHeartbeatTime": created, "lastTransitionTime": now,
                "reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status.",
            })),
        }
    }
    node["status"]["conditions"] = json!(conditions);
}

/// The NoSchedule taint that fits the Ready condition.
fn taint(node: &mut Value, now: &str) {
    let wanted = match condition(node, "Ready").map(|c| c["status"].clone()) {
        Some(status) if status == "True" => None,
        Some(status) if status == "Unknown" => Some(UNREACHABLE),
        Some(_) => Some(NOT_READY),
        // Nothing is known yet: the taint of the admission stays.
        None => return,
    };
    let before = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let ours = |t: &Value| t["effect"] == "NoSchedule" && (t["key"] == NOT_READY || t["key"] == UNREACHABLE);
    let mut taints: Vec<Value> = before
        .iter()
        .filter(|t| !ours(t) || wanted.is_some_and(|w| t["key"] == w))
        .cloned()
        .collect();
    if let Some(key) = wanted
        && !taints.iter().any(ours)
    {
        taints.insert(0, json!({"key": key, "effect": "NoSchedule", "timeAdded": now}));
    }
    if taints == before {
        return;
    }
    if taints.is_empty() {
        if let Some(spec) = node["spec"].as_object_mut() {
            spec.shift_remove("taints");
        }
    } else {
        node["spec"]["taints"] = json!(taints);
    }
}
