//! Rules for metadata that hold for every kind.
//!
//! Mirrors kubernetes/apimachinery pkg/api/validation/objectmeta.go.

use serde_json::{Map, Value, json};

use crate::field::FieldError;
use crate::names;
use crate::resource::{NameRule, Resource};

const ANNOTATIONS_TOTAL: usize = 256 * 1024;
const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "foregroundDeletion", "orphan"];

/// A text member of metadata, empty when it is missing.
pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object["metadata"][member].as_str().unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]
        .get("deletionTimestamp")
        .is_some_and(|t| !t.is_null())
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The metadata of an object, made when it is missing.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let slot = &mut object["metadata"];
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("it was made an object just above")
}

/// Sets a member, or removes it when there is no value.
pub(crate) fn set(object: &mut Value, member: &str, value: Option<Value>) {
    let metadata = of(object);
    match value {
        Some(value) => {
            metadata.insert(member.to_owned(), value);
        }
        None => {
            metadata.shift_remove(member);
        }
    }
}

/// Problems with a name under a rule. A name that the server will end itself may end in a dash.
pub(crate) fn name_problems(rule: NameRule, name: &str, prefix: bool) -> Vec<String> {
    let shown = if prefix && name.len() > 1 && name.ends_with('-') {
        format!("{}a", &name[..name.len() - 1])
    } else {
        name.to_owned()
    };
    match rule {
        NameRule::Subdomain => names::dns_subdomain(&shown),
        NameRule::Label => names::dns_label(&shown),
        NameRule::PathSegment => names::path_segment(name),
    }
}

/// What is wrong with the metadata of an object.
pub(crate) fn validate(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let generate = text(object, "generateName");
    for problem in (!generate.is_empty())
        .then(|| name_problems(resource.traits.names, generate, true))
        .into_iter()
        .flatten()
    {
        errors.push(FieldError::invalid("metadata.generateName", generate, &problem));
    }
    let name = name(object);
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for problem in name_problems(resource.traits.names, name, false) {
            errors.push(FieldError::invalid("metadata.name", name, &problem));
        }
    }
    if resource.namespaced {
        for problem in names::dns_label(namespace(object)) {
            errors.push(FieldError::invalid("metadata.namespace", namespace(object), &problem));
        }
    }
    if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|g| *g < 0) {
        errors.push(FieldError::invalid(
            "metadata.generation",
            generation,
            "must be greater than or equal to 0",
        ));
    }
    errors.extend(labels("metadata.labels", &object["metadata"]["labels"]));
    errors.extend(annotations(&object["metadata"]["annotations"]));
    errors.extend(owners(&object["metadata"]["ownerReferences"]));
    errors.extend(finalizer_errors(object));
    errors
}

/// What is wrong with a map of labels.
pub(crate) fn labels(field: &str, labels: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        for problem in names::qualified_name(key) {
            errors.push(FieldError::invalid(field, key.as_str(), &problem));
        }
        let value = value.as_str().unwrap_or_default();
        for problem in names::label_value(value) {
            errors.push(FieldError::invalid(field, value, &problem));
        }
    }
    errors
}

fn annotations(annotations: &Value) -> Vec<FieldError> {
    const FIELD: &str = "metadata.annotations";
    let mut errors = Vec::new();
    let mut total = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        // The case of a key does not matter here.
        for problem in names::qualified_name(&key.to_ascii_lowercase()) {
            errors.push(FieldError::invalid(FIELD, key.as_str(), &problem));
        }
        total += key.len() + value.as_str().map_or(0, str::len);
    }
    if total > ANNOTATIONS_TOTAL {
        errors.push(FieldError::too_long(FIELD, ANNOTATIONS_TOTAL));
    }
    errors
}

fn owners(owners: &Value) -> Vec<FieldError> {
    const FIELD: &str = "metadata.ownerReferences";
    let mut errors = Vec::new();
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        let text = |member: &str| owner[member].as_str().unwrap_or_default();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        if version.is_empty() {
            errors.push(FieldError::invalid(
                format!("{FIELD}.apiVersion"),
                text("apiVersion"),
                "version must not be empty",
            ));
        }
        for member in ["kind", "name", "uid"] {
            if text(member).is_empty() {
                errors.push(FieldError::invalid(
                    format!("{FIELD}.{member}"),
                    "",
                    "must not be empty",
                ));
            }
        }
        if group.is_empty() && version == "v1" && text("kind") == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(FIELD, owner.clone(), why));
        }
        if owner["controller"] == true {
            if let Some(other) = &controller {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {other} and {}/{}",
                    text("kind"),
                    text("name")
                );
                errors.push(FieldError::invalid(FIELD, owners.clone(), &why));
            } else {
                controller = Some(format!("{}/{}", text("kind"), text("name")));
            }
        }
    }
    errors
}

fn finalizer_errors(object: &Value) -> Vec<FieldError> {
    const FIELD: &str = "metadata.finalizers";
    let mut errors = Vec::new();
    let all = finalizers(object);
    for (i, finalizer) in all.iter().enumerate() {
        let problems = names::qualified_name(finalizer);
        if !problems.is_empty() {
            errors.extend(problems.iter().map(|p| FieldError::invalid(FIELD, *finalizer, p)));
        } else if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(format!("{FIELD}[{i}]"), *finalizer, why));
        }
    }
    if all.contains(&"orphan") && all.contains(&"foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(
            FIELD,
            object["metadata"]["finalizers"].clone(),
            why,
        ));
    }
    errors
}

/// Takes over from the stored object what a writer may leave out or not change.
pub(crate) fn inherit(new: &mut Value, old: &Value) {
    let keep = |member: &str| old["metadata"].get(member).cloned();
    if text(new, "uid").is_empty() {
        set(new, "uid", keep("uid"));
    }
    set(new, "creationTimestamp", keep("creationTimestamp"));
    set(new, "generation", keep("generation"));
    set(new, "selfLink", None);
    if is_terminating(old) {
        set(new, "deletionTimestamp", keep("deletionTimestamp"));
    }
    let grace = "deletionGracePeriodSeconds";
    if new["metadata"].get(grace).is_none() {
        set(new, grace, keep(grace));
    }
}

/// What is wrong with a change of metadata.
pub(crate) fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if is_terminating(old) {
        let known = finalizers(old);
        let added: Vec<String> = finalizers(new)
            .into_iter()
            .filter(|f| !known.contains(f))
            .map(|f| format!("\"{f}\""))
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &why));
        }
    }
    for member in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (value, before) = (&new["metadata"][member], &old["metadata"][member]);
        if value != before {
            errors.push(FieldError::invalid(
                format!("metadata.{member}"),
                value.clone(),
                "field is immutable",
            ));
        }
    }
    errors.extend(labels("metadata.labels", &new["metadata"]["labels"]));
    errors.extend(annotations(&new["metadata"]["annotations"]));
    errors.extend(owners(&new["metadata"]["ownerReferences"]));
    errors
}

/// Drops owners that are named twice; returns what to tell the writer.
pub(crate) fn deduplicate_owners(object: &mut Value) -> Option<String> {
    let owners = object["metadata"].get_mut("ownerReferences")?.as_array_mut()?;
    let mut seen: Vec<Value> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    owners.retain(|owner| {
        let new = !seen.contains(owner);
        if new {
            seen.push(owner.clone());
        } else {
            twice.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        }
        new
    });
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}
