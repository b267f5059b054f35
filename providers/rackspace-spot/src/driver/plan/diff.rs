//! The smallest patch that makes one thing what it should be.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Step;
use crate::client::Taint;
use crate::driver::observe::{LivePool, Observed};
use crate::driver::ownership;
use crate::driver::state::{Pool, State};
use crate::driver::versions;

/// Only what the API lets change: version, control plane availability and webhook.
pub(super) fn cloudspace(observed: &Observed, desired: &State) -> Option<Step> {
    let found = observed.cloudspace.as_ref()?;
    let mut patch = Patch::default();
    if !desired.version.is_empty() && !versions::same(&found.spec.kubernetes_version, &desired.version) {
        patch.set(
            "kubernetesVersion",
            json!(desired.version),
            format!("Kubernetes {} to {}", found.spec.kubernetes_version, desired.version),
        );
    }
    if let Some(ha) = desired.extra.ha.filter(|ha| *ha != found.spec.ha_control_plane) {
        patch.set(
            "HAControlPlane",
            json!(ha),
            format!("highly available control plane {ha}"),
        );
    }
    if let Some(webhook) = desired.webhook.as_ref().filter(|url| **url != found.spec.webhook) {
        patch.set("webhook", json!(webhook), "preemption webhook".to_owned());
    }
    let mark = ownership::missing_mark(&found.metadata, desired);
    let (body, what) = patch.finish(mark)?;
    Some(Step::PatchCloudspace { patch: body, what })
}

/// Changes of a pool; its class and cloudspace cannot change.
pub(super) fn pool(live: &LivePool, wanted: &Pool, desired: &State) -> Option<Step> {
    let mut patch = Patch::default();
    let follows_load = live.autoscales() && wanted.autoscaling.enabled;
    let within = (wanted.autoscaling.min_nodes..=wanted.autoscaling.max_nodes).contains(&live.count);
    // Where the number follows the load it is the autoscaler's, as long as it is within the limits.
    if live.count != wanted.count && !(follows_load && within) {
        let count = if follows_load {
            live.count
                .min(wanted.autoscaling.max_nodes)
                .max(wanted.autoscaling.min_nodes)
        } else {
            wanted.count
        };
        patch.set("desired", json!(count), format!("{} to {count} machines", live.count));
    }
    if live.bid != wanted.bid && !wanted.bid.is_empty() {
        patch.set(
            "bidPrice",
            json!(wanted.bid),
            format!("bid {} to {}", live.bid, wanted.bid),
        );
    }
    let autoscaling = live.autoscaling;
    if wanted.autoscaling.enabled && autoscaling != wanted.autoscaling {
        let limits = wanted.autoscaling;
        patch.set(
            "autoscaling",
            json!(limits),
            format!("autoscaling from {} to {}", limits.min_nodes, limits.max_nodes),
        );
    } else if !wanted.autoscaling.enabled && autoscaling.enabled {
        patch.set("autoscaling", json!({"enabled": false}), "no autoscaling".to_owned());
    }
    maps(
        &mut patch,
        "customLabels",
        "labels",
        &live.labels,
        wanted.labels.as_ref(),
    );
    maps(
        &mut patch,
        "customAnnotations",
        "annotations",
        &live.annotations,
        wanted.annotations.as_ref(),
    );
    if let Some(taints) = wanted
        .taints
        .as_ref()
        .filter(|taints| sorted(taints) != sorted(&live.taints))
    {
        patch.set("customTaints", json!(taints), "taints".to_owned());
    }
    let mark = ownership::missing_label(live, desired);
    let (body, what) = patch.finish(mark)?;
    Some(Step::Patch {
        kind: live.kind,
        name: live.name.clone(),
        patch: body,
        what,
    })
}

/// A merge patch of a map names what is new, and what is gone as null.
fn maps(
    patch: &mut Patch,
    field: &str,
    what: &str,
    live: &BTreeMap<String, String>,
    wanted: Option<&BTreeMap<String, String>>,
) {
    let Some(wanted) = wanted.filter(|wanted| *wanted != live) else {
        return;
    };
    let mut change = Map::new();
    for (key, value) in wanted.iter().filter(|(key, value)| live.get(*key) != Some(value)) {
        change.insert(key.clone(), json!(value));
    }
    for key in live.keys().filter(|key| !wanted.contains_key(*key)) {
        change.insert(key.clone(), Value::Null);
    }
    patch.set(field, Value::Object(change), what.to_owned());
}

fn sorted(taints: &[Taint]) -> Vec<Taint> {
    let mut taints = taints.to_vec();
    taints.sort();
    taints
}

/// A patch of `spec` in the making.
#[derive(Default)]
struct Patch {
    spec: Map<String, Value>,
    what: Vec<String>,
}

impl Patch {
    fn set(&mut self, field: &str, value: Value, what: String) {
        self.spec.insert(field.to_owned(), value);
        self.what.push(what);
    }

    /// The patch, with the marks that are missing in `metadata`; `None` when there is nothing to change.
    fn finish(mut self, metadata: Option<Value>) -> Option<(Value, String)> {
        let mut body = Map::new();
        if let Some(metadata) = metadata {
            body.insert("metadata".to_owned(), metadata);
            self.what.push("mark as ours".to_owned());
        }
        if !self.spec.is_empty() {
            body.insert("spec".to_owned(), Value::Object(self.spec));
        }
        (!body.is_empty()).then(|| (Value::Object(body), self.what.join(", ")))
    }
}
