//! The cells of built-in kinds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use crate::meta;

const NONE: &str = "<none>";

/// The columns after the name: name and priority.
pub(super) fn columns(kind: &str) -> &'static [(&'static str, i64)] {
    match kind {
        "Node" => &[
            ("Status", 0),
            ("Roles", 0),
            ("Age", 0),
            ("Version", 0),
            ("Internal-IP", 1),
            ("External-IP", 1),
            ("OS-Image", 1),
            ("Kernel-Version", 1),
            ("Container-Runtime", 1),
        ],
        "Service" => &[
            ("Type", 0),
            ("Cluster-IP", 0),
            ("External-IP", 0),
            ("Port(s)", 0),
            ("Age", 0),
            ("Selector", 1),
        ],
        "Pod" => &[
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            ("Age", 0),
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
        "Event" => &[
            ("Last Seen", 0),
            ("Type", 0),
            ("Reason", 0),
            ("Object", 0),
            ("Subobject", 1),
            ("Source", 1),
            ("Message", 0),
            ("First Seen", 1),
            ("Count", 1),
        ],
        "ConfigMap" => &[("Data", 0), ("Age", 0)],
        "Secret" => &[("Type", 0), ("Data", 0), ("Age", 0)],
        "Namespace" => &[("Status", 0), ("Age", 0)],
        "Lease" => &[("Holder", 0), ("Age", 0)],
        "Endpoints" => &[("Endpoints", 0), ("Age", 0)],
        "EndpointSlice" => &[("AddressType", 0), ("Ports", 0), ("Endpoints", 0), ("Age", 0)],
        "RoleBinding" | "ClusterRoleBinding" => &[
            ("Role", 0),
            ("Age", 0),
            ("Users", 1),
            ("Groups", 1),
            ("ServiceAccounts", 1),
        ],
        "Role" | "ClusterRole" | "CustomResourceDefinition" => &[("Created At", 0)],
        _ => &[("Age", 0)],
    }
}

fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn or_none(text: String) -> String {
    if text.is_empty() { NONE.to_owned() } else { text }
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    or_none(parts.into_iter().collect::<Vec<_>>().join(","))
}

/// At most `max` of the texts, and how many more there are.
fn some(all: &[String], max: usize) -> String {
    let shown = all[..all.len().min(max)].join(",");
    if all.len() > max {
        format!("{shown} + {} more...", all.len() - max)
    } else {
        or_none(shown)
    }
}

fn size(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

/// The cells of one object.
pub(super) fn cells(kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut out = vec![json!(meta::name(object))];
    let created = age(&object["metadata"]["creationTimestamp"], now);
    match kind {
        "Node" => out.extend(node(object, &created)),
        "Service" => out.extend(service(object, &created)),
        "Pod" => out.extend(pod(object, &created)),
        "Event" => {
            out = event(object, now);
        }
        "ConfigMap" => out.extend([
            json!(size(&object["data"]) + size(&object["binaryData"])),
            json!(created),
        ]),
        "Secret" => out.extend([object["type"].clone(), json!(size(&object["data"])), json!(created)]),
        "Namespace" => out.extend([object["status"]["phase"].clone(), json!(created)]),
        "Lease" => out.extend([json!(text(object, "/spec/holderIdentity")), json!(created)]),
        "Endpoints" => out.extend([json!(endpoints(object)), json!(created)]),
        "EndpointSlice" => out.extend(slice(object, &created)),
        "RoleBinding" | "ClusterRoleBinding" => out.extend(binding(object, &created)),
        "Role" | "ClusterRole" | "CustomResourceDefinition" => {
            out.push(object["metadata"]["creationTimestamp"].clone());
        }
        _ => out.push(json!(created)),
    }
    out
}

fn node(object: &Value, created: &str) -> Vec<Value> {
    let ready = items(object, "/status/conditions")
        .iter()
        .find(|c| c["type"] == "Ready");
    let mut status = match ready.map(|c| text(c, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if object["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<String> = object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role.to_owned()),
            _ if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    roles.sort();
    let address = |kind: &str| {
        let found = items(object, "/status/addresses").iter().find(|a| a["type"] == kind);
        or_none(found.map(|a| text(a, "/address").to_owned()).unwrap_or_default())
    };
    let info = |member: &str| text(object, &format!("/status/nodeInfo/{member}")).to_owned();
    let unknown = |text: String| if text.is_empty() { "<unknown>".to_owned() } else { text };
    let kernel = match (info("kernelVersion"), info("architecture")) {
        (kernel, _) if kernel.is_empty() => "<unknown>".to_owned(),
        (kernel, architecture) if architecture.is_empty() => kernel,
        (kernel, architecture) => format!("{kernel} ({architecture})"),
    };
    let out = [
        status,
        joined(roles),
        created.to_owned(),
        info("kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        unknown(info("osImage")),
        kernel,
        unknown(info("containerRuntimeVersion")),
    ];
    out.into_iter().map(Value::from).collect()
}

fn service(object: &Value, created: &str) -> Vec<Value> {
    let kind = text(object, "/spec/type");
    let external: Vec<String> = items(object, "/spec/externalIPs")
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    let external = match kind {
        "LoadBalancer" => {
            let ingress = items(object, "/status/loadBalancer/ingress");
            let mut all: Vec<String> = ingress
                .iter()
                .map(|i| {
                    if i.get("ip").is_some() {
                        text(i, "/ip").to_owned()
                    } else {
                        text(i, "/hostname").to_owned()
                    }
                })
                .collect();
            all.extend(external);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => text(object, "/spec/externalName").to_owned(),
        _ => joined(external),
    };
    let ports = items(object, "/spec/ports").iter().map(|port| {
        let node_port = port.get("nodePort").map(|n| format!(":{n}")).unwrap_or_default();
        format!("{}{node_port}/{}", port["port"], text(port, "/protocol"))
    });
    let address = or_none(text(object, "/spec/clusterIP").to_owned());
    let out = [
        kind.to_owned(),
        address,
        external,
        joined(ports),
        created.to_owned(),
        labels(&object["spec"]["selector"]),
    ];
    out.into_iter().map(Value::from).collect()
}

fn labels(map: &Value) -> String {
    let mut pairs: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    joined(pairs)
}

fn pod(object: &Value, created: &str) -> Vec<Value> {
    let containers = items(object, "/spec/containers").len();
    let statuses = items(object, "/status/containerStatuses");
    let ready = statuses.iter().filter(|s| s["ready"] == true).count();
    let restarts: i64 = statuses.iter().filter_map(|s| s["restartCount"].as_i64()).sum();
    let phase = if meta::is_terminating(object) {
        "Terminating"
    } else {
        text(object, "/status/phase")
    };
    let show = |pointer: &str| json!(or_none(text(object, pointer).to_owned()));
    vec![
        json!(format!("{ready}/{containers}")),
        json!(phase),
        json!(restarts.to_string()),
        json!(created),
        show("/status/podIP"),
        show("/spec/nodeName"),
        show("/status/nominatedNodeName"),
        json!(NONE),
    ]
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    // Both shapes: the names of members differ.
    let either = |a: &str, b: &str| {
        object
            .pointer(a)
            .or_else(|| object.pointer(b))
            .cloned()
            .unwrap_or_default()
    };
    let involved = either("/involvedObject", "/regarding");
    let seen = |member: Value| {
        if member.is_null() {
            object["eventTime"].clone()
        } else {
            member
        }
    };
    let count = either("/count", "/deprecatedCount").as_i64().unwrap_or(1);
    let what = format!(
        "{}/{}",
        text(&involved, "/kind").to_lowercase(),
        text(&involved, "/name")
    );
    vec![
        json!(age(&seen(either("/lastTimestamp", "/deprecatedLastTimestamp")), now)),
        object["type"].clone(),
        object["reason"].clone(),
        json!(what),
        json!(text(&involved, "/fieldPath")),
        either("/source/component", "/reportingController"),
        either("/message", "/note"),
        json!(age(&seen(either("/firstTimestamp", "/deprecatedFirstTimestamp")), now)),
        json!(count),
    ]
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(object, "/subsets") {
        for address in items(subset, "/addresses") {
            let ports = items(subset, "/ports");
            if ports.is_empty() {
                all.push(text(address, "/ip").to_owned());
            }
            all.extend(
                ports
                    .iter()
                    .map(|port| format!("{}:{}", text(address, "/ip"), port["port"])),
            );
        }
    }
    some(&all, 3)
}

fn slice(object: &Value, created: &str) -> Vec<Value> {
    let ports: Vec<String> = items(object, "/ports").iter().map(|p| p["port"].to_string()).collect();
    let addresses: Vec<String> = items(object, "/endpoints")
        .iter()
        .flat_map(|e| items(e, "/addresses"))
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let ports = if ports.is_empty() {
        "<unset>".to_owned()
    } else {
        some(&ports, 3)
    };
    let addresses = if addresses.is_empty() {
        "<unset>".to_owned()
    } else {
        some(&addresses, 3)
    };
    [
        text(object, "/addressType").to_owned(),
        ports,
        addresses,
        created.to_owned(),
    ]
    .into_iter()
    .map(Value::from)
    .collect()
}

fn binding(object: &Value, created: &str) -> Vec<Value> {
    let role = format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
    let subjects = |kind: &str| {
        let names = items(object, "/subjects").iter().filter(|s| s["kind"] == kind);
        let names: Vec<String> = names
            .map(|s| match text(s, "/namespace") {
                "" => text(s, "/name").to_owned(),
                namespace => format!("{namespace}/{}", text(s, "/name")),
            })
            .collect();
        names.join(", ")
    };
    [
        role,
        created.to_owned(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
    .into_iter()
    .map(Value::from)
    .collect()
}
