//! What is sent: texts, documents, patches, tokens and messages, some of them well-formed.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// A text that means something somewhere, or any text.
#[rustfmt::skip]
pub fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "", "a", "s", "w", "None", "10.96.0.9", "TCP", "NodePort", "ClusterIP", "ExternalName", "delete", "replace",
        "merge", "1Gi", "-1", "0", "18446744073709551616", "2026-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "%",
        "\u{0}", "é\u{301}", "v1", "Node", "Service", "example.com/x", "NoSchedule", "InternalIP", "Apply",
        "FieldsV1", "orphan", "kubernetes",
    ];
    prop_oneof![3 => select(KNOWN).prop_map(str::to_owned), 1 => ".{0,12}"]
}

#[rustfmt::skip]
fn member() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "metadata", "spec", "status", "name", "namespace", "labels", "annotations", "finalizers", "ownerReferences",
        "uid", "managedFields", "fieldsV1", "manager", "operation", "time", "resourceVersion", "generation",
        "deletionTimestamp", "ports", "port", "targetPort", "nodePort", "protocol", "type", "clusterIP",
        "clusterIPs", "ipFamilies", "healthCheckNodePort", "externalTrafficPolicy", "sessionAffinity",
        "sessionAffinityConfig", "selector", "loadBalancer", "ingress", "taints", "key", "effect", "podCIDR",
        "podCIDRs", "addresses", "conditions", "capacity", "providerID", "$patch", "$retainKeys",
        "$setElementOrder/ports", "$deleteFromPrimitiveList/finalizers", "f:spec", "k:{}", "v:1", ".", "apiVersion",
        "kind", "",
    ];
    select(KNOWN).prop_map(str::to_owned)
}

/// Any value, with members that objects and patches have.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => select(&[0, 1, -1, 80, 30_000, 32_768, i64::MAX, i64::MIN][..]).prop_map(|n| json!(n)),
        1 => any::<f64>().prop_map(|n| json!(n)),
        1 => Just(json!(u64::MAX)),
        5 => word().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            5 => prop::collection::vec((member(), inner), 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// A value, often somewhere where the kinds have something.
#[rustfmt::skip]
pub fn document() -> impl Strategy<Value = Value> {
    const PLACES: &[&str] = &[
        "", "metadata", "spec", "status", "metadata/labels", "metadata/annotations", "metadata/finalizers",
        "metadata/managedFields", "metadata/managedFields/*", "metadata/managedFields/*/fieldsV1",
        "metadata/ownerReferences/*", "metadata/name", "metadata/resourceVersion", "metadata/uid", "spec/ports",
        "spec/ports/*", "spec/ports/*/nodePort", "spec/ports/*/port", "spec/clusterIP", "spec/clusterIPs",
        "spec/clusterIPs/*", "spec/ipFamilies", "spec/type", "spec/taints", "spec/taints/*", "spec/podCIDRs",
        "spec/sessionAffinityConfig", "spec/selector", "status/addresses/*", "status/conditions/*",
        "status/loadBalancer/ingress/*", "status/capacity",
    ];
    (select(PLACES), value()).prop_map(|(place, value)| {
        let steps = place.split('/').filter(|step| !step.is_empty()).rev();
        steps.fold(value, |inner, step| {
            if step == "*" {
                json!([inner])
            } else {
                json!({ step: inner })
            }
        })
    })
}

/// Where an operation of a JSON patch points.
pub fn pointer() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        3 => member(),
        2 => select(&["0", "1", "9", "-", "-1", "01", "99999999999999999999"][..]).prop_map(str::to_owned),
    ];
    prop_oneof![
        6 => prop::collection::vec(step, 0..4).prop_map(|steps| steps.iter().fold(String::new(), |all, s| all + "/" + s)),
        1 => word(),
    ]
}

/// One operation of a JSON patch.
pub fn operation() -> impl Strategy<Value = Value> {
    let op = select(&["add", "remove", "replace", "move", "copy", "test", "none"][..]);
    (op, pointer(), pointer(), value())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

/// Text for a URL: bytes that it cannot have are escaped, some escapes are broken.
pub fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/!$'()*,;:@=%+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
        out
    })
}

/// Pieces of label and field selectors in any order.
pub fn selector() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "l",
            "x",
            "=",
            "==",
            "!=",
            "!",
            ",",
            " in ",
            " notin ",
            "(",
            ")",
            "()",
            "metadata.name",
            "spec.unschedulable",
            "a",
            "é",
            "/",
            "\\",
            "\"",
            ".",
            " ",
            "<",
            ">",
            "1",
            "-",
            "status.phase",
            "\u{7f}",
        ][..],
    );
    prop_oneof![4 => prop::collection::vec(piece, 0..8).prop_map(|p| p.concat()), 1 => ".{0,20}"]
}

/// A continue token as lists give it.
pub fn encoded(token: &Value) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

/// A field of a message whose payload is shorter than 128 bytes.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(payload.len()).unwrap_or(127)], payload].concat()
}

/// A body that names a kind and has these fields in its object: number, wire type, payload.
pub fn envelope(version: &str, kind: &str, fields: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let kind = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
    let message = fields.iter().flat_map(|(number, wire, payload)| match wire {
        2 => field(*number, payload),
        wire => [&[number << 3 | wire], &payload[..]].concat(),
    });
    [field(1, &kind), field(2, &message.collect::<Vec<u8>>())].concat()
}
