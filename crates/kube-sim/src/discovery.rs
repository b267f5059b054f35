//! Which groups, versions and resources there are.

mod aggregated;

use serde_json::{Value, json};

use crate::resource::{Registry, Resource};
use crate::respond::{Answer, accepted};
use crate::server::Call;
use crate::status::Status;

/// The order of group versions: stable ones first, then by age. Built-in groups all have v1.
fn versions(registry: &Registry, group: &str) -> Vec<String> {
    let mut found: Vec<String> = registry
        .all()
        .filter(|r| r.group == group)
        .map(|r| r.version.clone())
        .collect();
    found.sort_by_key(|version| priority(version));
    found.dedup();
    found
}

/// Kubernetes' order of versions: v10, v2, v1, v11beta2, v1beta1, v1alpha1, then all others by name.
pub(crate) fn priority(version: &str) -> (u8, std::cmp::Reverse<(u64, u64)>, String) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..end].parse().ok()?;
        let (rank, minor) = match &rest[end..] {
            "" => (0, "0"),
            tail => {
                let (rank, minor) = tail
                    .strip_prefix("beta")
                    .map(|m| (1, m))
                    .or_else(|| tail.strip_prefix("alpha").map(|m| (2, m)))?;
                (rank, minor)
            }
        };
        Some((rank, std::cmp::Reverse((major, minor.parse().ok()?)), String::new()))
    };
    parse().unwrap_or((3, std::cmp::Reverse((0, 0)), version.to_owned()))
}

fn groups(registry: &Registry) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for resource in registry.all() {
        if !resource.group.is_empty() && !found.contains(&resource.group) {
            found.push(resource.group.clone());
        }
    }
    found
}

fn group(registry: &Registry, name: &str) -> Value {
    let versions: Vec<Value> = versions(registry, name)
        .iter()
        .map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn resource(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let mut out = vec![main];
    for sub in &resource.subresources {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name), "singularName": "", "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": sub.verbs,
        });
        if let Some((group, version, kind)) = sub.kind {
            entry["kind"] = json!(kind);
            if !version.is_empty() {
                entry["version"] = json!(version);
            }
            if !group.is_empty() {
                entry["group"] = json!(group);
            }
        }
        out.push(entry);
    }
    out
}

/// The answer to a path that names no object: `/api`, `/apis`, a group or a version.
pub(crate) fn answer(call: &Call) -> Answer {
    let state = call.inner.state();
    let registry = &state.registry;
    if matches!(call.info.path.trim_end_matches('/'), "/api" | "/apis") {
        match aggregated::wanted(&accepted(&call.parts.headers)) {
            Ok(true) => return aggregated::answer(registry, call.info.path.trim_end_matches('/') == "/api"),
            Ok(false) => {}
            Err(status) => return status.into(),
        }
    }
    let parts: Vec<&str> = call.info.path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["api"] => Answer::ok(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
        })),
        ["apis"] => {
            let groups: Vec<Value> = groups(registry).iter().map(|g| group(registry, g)).collect();
            Answer::ok(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["api", version] => resources(registry, "", version),
        ["apis", name] if registry.has_group(name) => {
            let mut found = group(registry, name);
            found["kind"] = json!("APIGroup");
            found["apiVersion"] = json!("v1");
            Answer::ok(found)
        }
        ["apis", name, version] => resources(registry, name, version),
        _ => Answer::not_found(),
    }
}

fn resources(registry: &Registry, group: &str, version: &str) -> Answer {
    if !registry.has_version(group, version) {
        return missing(registry, group, version);
    }
    let mut found: Vec<Value> = Vec::new();
    for one in registry.all().filter(|r| r.group == group && r.version == version) {
        found.extend(resource(one));
    }
    let qualified = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": qualified, "resources": found});
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    Answer::ok(list)
}

/// What is said about a version or resource that is not there: JSON below a group that is known, text otherwise.
pub(crate) fn missing(registry: &Registry, group: &str, _version: &str) -> Answer {
    if registry.has_group(group) {
        Status::no_such_resource().into()
    } else {
        Answer::not_found()
    }
}
