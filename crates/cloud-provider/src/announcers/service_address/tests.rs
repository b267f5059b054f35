use std::collections::BTreeMap;

use super::*;

const MARK: &str = "example.com/address";
const KEY: &str = "kube-vip.io/loadbalancerIPs";

fn names() -> AddressNames {
    AddressNames {
        mark: MARK.to_owned(),
        spec: true,
        annotations: vec![KEY.to_owned()],
    }
}

fn service(ip: &str, annotations: &[(&str, &str)]) -> Service {
    Service {
        load_balancer_ip: ip.to_owned(),
        annotations: annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Service::default()
    }
}

/// What a merge patch makes of a Service.
fn patched(mut service: Service, patch: Option<&Value>) -> Service {
    let Some(patch) = patch else { return service };
    match patch.pointer("/spec/loadBalancerIP") {
        Some(Value::Null) => service.load_balancer_ip.clear(),
        Some(ip) => service.load_balancer_ip = ip.as_str().unwrap().to_owned(),
        None => {}
    }
    let changes: BTreeMap<String, Value> = patch
        .pointer("/metadata/annotations")
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .unwrap_or_default();
    for (key, value) in changes {
        match value.as_str() {
            Some(text) => service.annotations.insert(key, text.to_owned()),
            None => service.annotations.remove(&key),
        };
    }
    service
}

#[test]
fn an_address_is_written_everywhere_once_and_taken_away_again() {
    let before = service("", &[("other", "x")]);
    let patch = write(&names(), &before, "192.0.2.1");
    let after = patched(before.clone(), patch.as_ref());
    assert_eq!(after.load_balancer_ip, "192.0.2.1");
    assert_eq!(after.annotations[KEY], "192.0.2.1");
    assert_eq!(assigned(&names(), &after), Some("192.0.2.1"));
    assert_eq!(write(&names(), &after, "192.0.2.1"), None);
    let moved = patched(after.clone(), write(&names(), &after, "192.0.2.9").as_ref());
    assert_eq!(
        (moved.load_balancer_ip.as_str(), moved.annotations[KEY].as_str()),
        ("192.0.2.9", "192.0.2.9")
    );
    assert_eq!(patched(moved.clone(), clear(&names(), &moved).as_ref()), before);
}

#[test]
fn what_the_user_asked_for_stays() {
    let before = service("192.0.2.7", &[]);
    assert!(is_requested(&names(), &before));
    assert_eq!(write(&names(), &before, "192.0.2.1"), None);
    assert_eq!(clear(&names(), &before), None);
    // He changes his mind about an address that we gave: it is his from then on.
    let changed = service("192.0.2.7", &[(MARK, "192.0.2.1"), (KEY, "192.0.2.1")]);
    assert!(is_requested(&names(), &changed));
    let cleared = patched(changed.clone(), clear(&names(), &changed).as_ref());
    assert_eq!(cleared, before);
    // His own annotation is not ours to change.
    let own = service("", &[(KEY, "0.0.0.0")]);
    assert_eq!(
        patched(own.clone(), write(&names(), &own, "192.0.2.1").as_ref()).annotations[KEY],
        "0.0.0.0"
    );
}

#[test]
fn an_address_that_was_written_without_a_mark_is_adopted() {
    let before = service("192.0.2.1", &[]);
    let patch = adopt(&names(), &before, "192.0.2.1");
    let after = patched(before.clone(), patch.as_ref());
    assert_eq!(assigned(&names(), &after), Some("192.0.2.1"));
    assert_eq!(adopt(&names(), &after, "192.0.2.1"), None);
    assert_eq!(adopt(&names(), &before, "192.0.2.2"), None);
    assert_eq!(
        patched(after.clone(), clear(&names(), &after).as_ref()).load_balancer_ip,
        ""
    );
}
