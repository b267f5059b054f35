//! All groups, versions and resources in one document, as newer clients ask for it.

use serde_json::{Value, json};

use super::{groups, versions};
use crate::resource::{Registry, Resource};
use crate::respond::{Accepted, Answer, Payload};
use crate::status::Status;

const MEDIA: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const NOT_ACCEPTABLE: &str = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Whether the client takes the aggregated form; an error when it takes nothing that there is.
pub(super) fn wanted(accepted: &[Accepted]) -> Result<bool, Status> {
    for one in accepted {
        let media = matches!(
            one.media.as_str(),
            "application/json" | "*/*" | "application/*" | "application/yaml"
        );
        match (one.as_kind.as_str(), one.version.as_str()) {
            ("APIGroupDiscoveryList", "v2") if media && one.group == "apidiscovery.k8s.io" => return Ok(true),
            ("", _) if media => return Ok(false),
            _ => {}
        }
    }
    if accepted.is_empty() {
        Ok(false)
    } else {
        Err(Status::new(406, "NotAcceptable", NOT_ACCEPTABLE))
    }
}

/// The document for `/api` (the core group) or `/apis` (all others).
pub(super) fn answer(registry: &Registry, core: bool) -> Answer {
    let names = if core { vec![String::new()] } else { groups(registry) };
    let items: Vec<Value> = names.iter().map(|name| group(registry, name)).collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    Answer::new(200, Payload::Typed(list, MEDIA.to_owned()))
}

fn group(registry: &Registry, name: &str) -> Value {
    let versions: Vec<Value> = versions(registry, name)
        .iter()
        .map(|version| {
            let found = registry.all().filter(|r| r.group == name && r.version == *version);
            let resources: Vec<Value> = found.map(|r| resource(r)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if name.is_empty() {
        json!({})
    } else {
        json!({"name": name})
    };
    json!({"metadata": metadata, "versions": versions})
}

fn kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn resource(resource: &Resource) -> Value {
    // Built-in resources leave group and version to be taken from where they stand.
    let (group, version) = if resource.custom.is_some() {
        (&*resource.group, &*resource.version)
    } else {
        ("", "")
    };
    let mut out = json!({
        "resource": resource.plural, "responseKind": kind(group, version, &resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        out["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        out["categories"] = json!(resource.categories);
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            let response = match sub.kind {
                Some((group, version, name)) => kind(group, version, name),
                None => kind(group, version, &resource.kind),
            };
            json!({"subresource": sub.name, "responseKind": response, "verbs": sub.verbs})
        })
        .collect();
    if !subresources.is_empty() {
        out["subresources"] = json!(subresources);
    }
    out
}
