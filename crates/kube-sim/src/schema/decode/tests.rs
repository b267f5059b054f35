use serde_json::json;

use super::*;

fn decoded(kind: &str, mut object: Value) -> (Value, Vec<String>) {
    let found = decode(&Shape::builtin(kind), &mut object).unwrap();
    (object, found.unknown)
}

#[test]
fn unknown_members_go_and_are_named_by_path() {
    let object = json!({"kind": "Service", "metadata": {"name": "s", "nosuch": 1},
        "spec": {"ports": [{"port": 80, "portt": 1}]}, "x": 1});
    let (object, unknown) = decoded("Service", object);
    assert_eq!(unknown, ["metadata.nosuch", "spec.ports[0].portt", "x"]);
    assert_eq!(object["spec"]["ports"], json!([{"port": 80}]));
    assert_eq!(object["kind"], "Service");
}

#[test]
fn zero_values_go_unless_the_member_is_a_pointer_or_always_written() {
    let object = json!({"metadata": {"name": "", "labels": {}, "finalizers": []}, "spec": {"unschedulable": false}});
    let (object, _) = decoded("Node", object);
    assert_eq!(object["metadata"], json!({}));
    assert_eq!(object["spec"], json!({}));
    assert_eq!(object["status"]["nodeInfo"]["bootID"], "");
    let (secret, _) = decoded("Secret", json!({"immutable": false, "data": {"k": null}}));
    assert_eq!(secret["immutable"], false);
    assert_eq!(secret["data"]["k"], "");
    assert_eq!(decoded("Role", json!({"rules": []})).0["rules"], Value::Null);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    for (kind, object) in [
        ("ConfigMap", json!({"data": {"a": 1}})),
        ("ConfigMap", json!({"metadata": {"labels": ["a"]}})),
        ("Secret", json!({"data": {"a": "***"}})),
        ("Service", json!({"spec": {"ports": [{"port": "eighty"}]}})),
        ("Lease", json!({"spec": {"renewTime": "2024-01-01T00:00:00Z"}})),
        ("Lease", json!([])),
    ] {
        assert!(decode(&Shape::builtin(kind), &mut object.clone()).is_err(), "{object}");
    }
}

#[test]
fn decoding_twice_is_the_same_as_once() {
    let object = json!({"metadata": {"creationTimestamp": "2024-01-01T02:00:00+02:00"},
        "status": {"capacity": {"cpu": 4, "memory": "1024Ki"}, "conditions": [{"type": "Ready"}]}});
    let (once, _) = decoded("Node", object);
    assert_eq!(once["metadata"]["creationTimestamp"], "2024-01-01T00:00:00Z");
    assert_eq!(once["status"]["capacity"], json!({"cpu": "4", "memory": "1Mi"}));
    assert_eq!(decoded("Node", once.clone()).0, once);
}
