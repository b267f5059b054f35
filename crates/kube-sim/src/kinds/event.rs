//! Events: one kind with two shapes. The store keeps the core one.
//!
//! Mirrors kubernetes/kubernetes pkg/apis/core/validation/events.go and pkg/apis/events/v1/conversion.go.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::names;

/// Members that have another name in events.k8s.io: there, and in core.
const RENAMED: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// Written in core even when they are empty.
const ALWAYS_IN_CORE: &[&str] = &["reportingComponent", "reportingInstance"];
const IMMUTABLE: &[&str] = &[
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "reportingComponent",
    "reportingInstance",
    "action",
    "related",
];
const NOTE: usize = 1024;
const TEXT: usize = 128;

/// Core events: hardly anything is required.
#[derive(Debug)]
pub(crate) struct Event;

/// An event in the shape of events.k8s.io, from the stored one.
pub(crate) fn to_v1(core: &Value) -> Value {
    rename(
        core,
        |name| RENAMED.iter().find(|(_, c)| *c == name).map(|(v1, _)| *v1),
        |out| {
            for member in ["reportingController", "reportingInstance"] {
                if out.get(member).is_some_and(|v| v == "") {
                    out.shift_remove(member);
                }
            }
        },
    )
}

/// An event in the shape that is stored, from the one of events.k8s.io.
pub(crate) fn to_core(v1: &Value) -> Value {
    rename(
        v1,
        |name| RENAMED.iter().find(|(v, _)| *v == name).map(|(_, core)| *core),
        |out| {
            for member in ALWAYS_IN_CORE {
                out.entry(*member).or_insert_with(|| json!(""));
            }
            out.insert("apiVersion".to_owned(), json!("v1"));
        },
    )
}

fn rename(
    object: &Value,
    name: impl Fn(&str) -> Option<&'static str>,
    finish: impl Fn(&mut Map<String, Value>),
) -> Value {
    let mut out = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        out.insert(name(key).map_or_else(|| key.clone(), str::to_owned), value.clone());
    }
    finish(&mut out);
    Value::Object(out)
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_default()
}

impl Rules for Event {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        common(object, "reportingComponent")
    }
}

/// Events as events.k8s.io takes them: more is required, and most of it never changes.
#[derive(Debug)]
pub(crate) struct EventV1;

impl Rules for EventV1 {
    fn to_storage(&self, object: Value) -> Value {
        to_core(&object)
    }

    fn stored_as_seen<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        Cow::Owned(to_v1(object))
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = common(object, "reportingController");
        if object["eventTime"].is_null() {
            errors.push(FieldError::required("eventTime", ""));
        }
        errors.extend(series(object));
        let kind = text(object, "type");
        if !matches!(kind, "Normal" | "Warning") {
            errors.push(FieldError::invalid("type", "", &format!("has invalid value: {kind}")));
        }
        let set = |member: &str| {
            object
                .get(member)
                .is_some_and(|v| !v.is_null() && *v != json!({}) && *v != 0)
        };
        for member in ["firstTimestamp", "lastTimestamp", "count", "source"] {
            if set(member) {
                errors.push(FieldError::invalid(member, "", "needs to be unset"));
            }
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = common(new, "reportingController");
        for &member in IMMUTABLE {
            if new.get(member) != old.get(member) {
                errors.push(FieldError::invalid(member, new[member].clone(), "field is immutable"));
            }
        }
        errors.extend(series(new));
        errors
    }
}

fn series(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(series) = object.get("series") {
        if series["count"].as_i64().unwrap_or(0) < 2 {
            errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
        }
        if series["lastObservedTime"].is_null() {
            errors.push(FieldError::required("series.lastObservedTime", ""));
        }
    }
    errors
}

fn common(object: &Value, controller_field: &str) -> Vec<FieldError> {
    cloud_sim::evidence::leave("events", &object.to_string());
    let mut errors = Vec::new();
    let namespace = text(&object["metadata"], "namespace");
    let involved = text(&object["involvedObject"], "namespace");
    let at_home = if involved.is_empty() {
        matches!(namespace, "" | "default")
    } else {
        involved == namespace
    };
    if !at_home {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            involved,
            "does not match event.namespace",
        ));
    }
    if object["eventTime"].is_null() {
        return errors;
    }
    let controller = text(object, "reportingComponent");
    if controller.is_empty() {
        errors.push(FieldError::required(controller_field, ""));
    } else {
        let problems = names::qualified_name(controller);
        errors.extend(
            problems
                .iter()
                .map(|p| FieldError::invalid(controller_field, controller, p)),
        );
    }
    for member in ["reportingInstance", "action", "reason"] {
        let value = text(object, member);
        if value.is_empty() {
            errors.push(FieldError::required(member, ""));
        } else if value.len() > TEXT {
            errors.push(FieldError::invalid(
                member,
                "",
                &format!("can have at most {TEXT} characters"),
            ));
        }
    }
    if text(object, "message").len() > NOTE {
        errors.push(FieldError::invalid(
            "message",
            "",
            &format!("can have at most {NOTE} characters"),
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_shapes_are_one_event() {
        let v1 = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "regarding": {"kind": "Node"},
            "note": "n", "eventTime": null, "reportingController": "c", "reportingInstance": "i", "deprecatedCount": 2,
        });
        let core = to_core(&v1);
        assert_eq!(core["involvedObject"]["kind"], "Node");
        assert_eq!(core["count"], 2);
        let mut back = to_v1(&core);
        back["apiVersion"] = json!("events.k8s.io/v1");
        assert_eq!(back, v1);
    }
}
