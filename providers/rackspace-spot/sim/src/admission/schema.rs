//! The schemas of the kinds that clients write: known fields, their types, what is required, and the rules in CEL.

use serde_json::Value;

use crate::failure::Cause;
use crate::resource::Resource;

/// The shape a value must have.
enum Shape {
    Text,
    /// Text out of these.
    Choice(&'static [&'static str]),
    Integer,
    Boolean,
    /// Text by key.
    Map,
    List(&'static Shape),
    Fields(&'static [Field]),
}

struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

const CLOUDSPACE: [Field; 14] = [
    required("region", Shape::Text),
    required("kubernetesVersion", Shape::Text),
    optional("cni", Shape::Choice(&["calico", "cilium", "byocni"])),
    optional("deploymentType", Shape::Choice(&["gen1", "gen2"])),
    optional("cloud", Shape::Text),
    optional("HAControlPlane", Shape::Boolean),
    optional("gpuEnabled", Shape::Boolean),
    optional("webhook", Shape::Text),
    optional("type", Shape::Text),
    optional("bidRequests", Shape::List(&Shape::Text)),
    optional("onDemandRequests", Shape::List(&Shape::Text)),
    optional("networks", Shape::List(&Shape::Fields(&NETWORK))),
    optional("servers", Shape::List(&Shape::Fields(&LEGACY_SERVERS))),
    optional("clusterRef", Shape::Map),
];

const NETWORK: [Field; 2] = [required("name", Shape::Text), optional("subnet", Shape::Text)];
const LEGACY_SERVERS: [Field; 2] = [required("class", Shape::Text), required("count", Shape::Integer)];

const SPOT_POOL: [Field; 8] = [
    required("serverClass", Shape::Text),
    required("desired", Shape::Integer),
    required("bidPrice", Shape::Text),
    required("cloudSpace", Shape::Text),
    optional("autoscaling", Shape::Fields(&AUTOSCALING)),
    optional("customLabels", Shape::Map),
    optional("customAnnotations", Shape::Map),
    optional("customTaints", Shape::List(&Shape::Fields(&TAINT))),
];

const ON_DEMAND_POOL: [Field; 6] = [
    required("serverClass", Shape::Text),
    required("desired", Shape::Integer),
    required("cloudSpace", Shape::Text),
    optional("customLabels", Shape::Map),
    optional("customAnnotations", Shape::Map),
    optional("customTaints", Shape::List(&Shape::Fields(&TAINT))),
];

const AUTOSCALING: [Field; 3] = [
    required("enabled", Shape::Boolean),
    optional("minNodes", Shape::Integer),
    optional("maxNodes", Shape::Integer),
];

const TAINT: [Field; 4] = [
    required("key", Shape::Text),
    required(
        "effect",
        Shape::Choice(&["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    ),
    optional("value", Shape::Text),
    optional("timeAdded", Shape::Text),
];

fn spec_of(resource: Resource) -> Option<&'static [Field]> {
    match resource {
        Resource::CloudSpace => Some(&CLOUDSPACE),
        Resource::SpotNodePool => Some(&SPOT_POOL),
        Resource::OnDemandNodePool => Some(&ON_DEMAND_POOL),
        Resource::Region | Resource::ServerClass => None,
    }
}

/// Drops what the schema does not know.
pub(super) fn prune(resource: Resource, gpu_enabled: bool, object: &mut Value) {
    if let Value::Object(fields) = object {
        fields.retain(|key, _| ["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str()));
    }
    let (Some(known), Some(spec)) = (spec_of(resource), object.get_mut("spec")) else {
        return;
    };
    prune_fields(known, spec);
    if !gpu_enabled && let Value::Object(spec) = spec {
        spec.shift_remove("gpuEnabled");
    }
}

fn prune_fields(known: &'static [Field], value: &mut Value) {
    let Value::Object(fields) = value else { return };
    fields.retain(|key, _| known.iter().any(|field| field.name == key));
    for field in known {
        match (&field.shape, fields.get_mut(field.name)) {
            (Shape::Fields(inner), Some(value)) => prune_fields(inner, value),
            (Shape::List(Shape::Fields(inner)), Some(Value::Array(items))) => {
                for item in items {
                    prune_fields(inner, item);
                }
            }
            _ => {}
        }
    }
    // A null is as good as nothing where nothing may be null.
    fields.retain(|_, value| !value.is_null());
}

/// Notes what the schema finds wrong.
pub(super) fn validate(resource: Resource, object: &Value, causes: &mut Vec<Cause>) {
    let Some(known) = spec_of(resource) else { return };
    match object.get("spec") {
        None => causes.push(Cause::required("spec")),
        Some(spec) => check("spec", &Shape::Fields(known), spec, causes),
    }
}

fn check(path: &str, shape: &Shape, value: &Value, causes: &mut Vec<Cause>) {
    let mut expect = |right: bool, wanted: &str| {
        if !right {
            causes.push(Cause::wrong_type(path, type_of(value), wanted));
        }
    };
    match shape {
        Shape::Text => expect(value.is_string(), "string"),
        Shape::Integer => expect(value.is_i64() || value.is_u64(), "integer"),
        Shape::Boolean => expect(value.is_boolean(), "boolean"),
        Shape::Choice(choices) => match value.as_str() {
            None => expect(false, "string"),
            Some(text) if choices.contains(&text) => {}
            Some(text) => causes.push(Cause::unsupported(path, text, choices)),
        },
        Shape::Map => match value {
            Value::Object(map) => {
                for (key, value) in map {
                    check(&format!("{path}.{key}"), &Shape::Text, value, causes);
                }
            }
            _ => expect(false, "object"),
        },
        Shape::List(item) => match value {
            Value::Array(items) => {
                for (i, value) in items.iter().enumerate() {
                    check(&format!("{path}[{i}]"), item, value, causes);
                }
            }
            _ => expect(false, "array"),
        },
        Shape::Fields(known) => match value {
            Value::Object(fields) => {
                for Field { name, shape, required } in *known {
                    let path = format!("{path}.{name}");
                    match fields.get(*name) {
                        Some(value) => check(&path, shape, value, causes),
                        None if *required => causes.push(Cause::required(&path)),
                        None => {}
                    }
                }
            }
            _ => expect(false, "object"),
        },
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Notes what the rules in CEL find wrong.
pub(super) fn rules(resource: Resource, old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let text = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match resource {
        Resource::CloudSpace => {
            let pointer = "/spec/deploymentType";
            if old.is_some_and(|old| text(old, pointer) != text(new, pointer)) {
                let why = "update to the deploymentType not allowed";
                causes.push(Cause::invalid("spec", "\"object\"", why));
            }
        }
        Resource::SpotNodePool if text(new, "/spec/bidPrice").is_some_and(|price| !is_price(&price)) => {
            let why = "bidPrice can only be a positive number up to three decimal places";
            causes.push(Cause::invalid("spec.bidPrice", "\"string\"", why));
        }
        _ => {}
    }
}

/// `^\d+(\.\d{1,3})?$`
fn is_price(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        None => digits(text),
        Some((whole, fraction)) => digits(whole) && digits(fraction) && fraction.len() <= 3,
    }
}
