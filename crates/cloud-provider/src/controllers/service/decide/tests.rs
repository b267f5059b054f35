use serde_json::{Value, json};

use super::*;
use crate::data::ServicePort;
use crate::names::FINALIZER;
use crate::upstream_cases::passed;

fn balancer() -> Service {
    Service {
        kind: "LoadBalancer".to_owned(),
        uid: "u".to_owned(),
        ports: vec![ServicePort {
            port: 80,
            target_port: "20".to_owned(),
            ..ServicePort::default()
        }],
        external_ips: vec!["1.1.1.1".to_owned()],
        ip_families: vec!["IPv4".to_owned()],
        ..Service::default()
    }
}

fn changed(change: impl FnOnce(&mut Service)) -> Service {
    let mut service = balancer();
    change(&mut service);
    service
}

fn protocol(name: &str) -> Service {
    changed(|service| service.ports[0].app_protocol = Some(name.to_owned()))
}

fn families(names: &[&str]) -> Service {
    changed(|service| service.ip_families = names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn every_upstream_case_of_needs_update() {
    let target = |port: &str| changed(|service| service.ports[0].target_port = port.to_owned());
    let other_port = ServicePort {
        port: 8080,
        ..ServicePort::default()
    };
    for (name, old, new, expected) in [
        ("type", balancer(), changed(|s| s.kind = "ClusterIP".to_owned()), true),
        ("ports", balancer(), changed(|s| s.ports.push(other_port)), true),
        (
            "external IP count",
            balancer(),
            changed(|s| s.external_ips.push("2.2.2.2".to_owned())),
            true,
        ),
        (
            "external IPs",
            balancer(),
            changed(|s| s.external_ips = vec!["3.3.3.3".to_owned()]),
            true,
        ),
        ("UID", balancer(), changed(|s| s.uid = "other".to_owned()), true),
        (
            "traffic policy",
            balancer(),
            changed(|s| s.external_traffic_policy = "Local".to_owned()),
            true,
        ),
        (
            "health check port",
            balancer(),
            changed(|s| s.health_check_node_port = 30_123),
            true,
        ),
        ("target port number", target("20"), target("21"), true),
        ("target port name", target("22"), target("dns"), true),
        ("app protocol the same", protocol("http"), protocol("http"), false),
        (
            "one family more",
            families(&["IPv4"]),
            families(&["IPv4", "IPv6"]),
            true,
        ),
        (
            "one family less",
            families(&["IPv4", "IPv6"]),
            families(&["IPv4"]),
            true,
        ),
        ("families the same", families(&["IPv4"]), families(&["IPv4"]), false),
        ("app protocol set", balancer(), protocol("http"), true),
        ("app protocol changed", protocol("http"), protocol("tcp"), true),
    ] {
        assert_eq!(differs(&old, &new), expected, "{name}");
        passed("needsUpdate", name);
    }
}

/// What upstream compares, and has no cases for.
#[test]
fn all_that_a_load_balancer_is_made_from_counts_and_nothing_else() {
    type Change = fn(&mut Service);
    let matter: [(&str, Change); 8] = [
        ("class", |s| s.class = Some("theirs".to_owned())),
        ("port name", |s| s.ports[0].name = "http".to_owned()),
        ("node port", |s| s.ports[0].node_port = 30_000),
        ("protocol", |s| s.ports[0].protocol = "UDP".to_owned()),
        ("annotations", |s| {
            drop(s.annotations.insert("a".to_owned(), "b".to_owned()));
        }),
        ("load balancer IP", |s| s.load_balancer_ip = "1.2.3.4".to_owned()),
        ("source ranges", |s| s.source_ranges = Some(vec![])),
        ("affinity", |s| s.session_affinity_seconds = Some(5)),
    ];
    for (name, change) in matter {
        let (old, new) = (balancer(), changed(change));
        assert!(differs(&old, &new) && differs(&new, &old), "{name}");
    }
    let nothing: [(&str, Change); 6] = [
        ("identical", |_| {}),
        ("other family", |s| s.ip_families = vec!["IPv6".to_owned()]),
        ("labels", |s| drop(s.labels.insert("a".to_owned(), "b".to_owned()))),
        ("selector", |s| drop(s.selector.insert("a".to_owned(), "b".to_owned()))),
        ("finalizers", |s| s.finalizers.push(FINALIZER.to_owned())),
        ("status", |s| s.ingress.push(crate::data::Ingress::ip("1.1.1.1"))),
    ];
    for (name, change) in nothing {
        assert!(!differs(&balancer(), &changed(change)), "{name}");
    }
    let plain = |port| Service {
        kind: "ClusterIP".to_owned(),
        ports: vec![ServicePort {
            port,
            ..ServicePort::default()
        }],
        ..Service::default()
    };
    assert!(!differs(&plain(1), &plain(2)), "neither wants one");
}

#[test]
fn every_upstream_case_of_needs_cleanup() {
    for (name, finalizer, kind, deleting, needs) in [
        ("no finalizer", false, "NodePort", true, false),
        ("finalizer, another type", true, "NodePort", false, true),
        ("finalizer", true, "LoadBalancer", false, false),
        ("finalizer, being deleted", true, "LoadBalancer", true, true),
    ] {
        let finalizers = finalizer.then(|| FINALIZER.to_owned()).into_iter().collect();
        let service = Service {
            kind: kind.to_owned(),
            finalizers,
            deleting,
            ..Service::default()
        };
        assert_eq!(needs_cleanup(&service), needs, "{name}");
        passed("needsCleanup", name);
    }
}

/// A node as the API server has it: with a provider ID and ready, before `change`.
fn node(change: impl FnOnce(&mut Value)) -> Node {
    let mut node = json!({
        "metadata": {"name": "n", "labels": {}},
        "spec": {"providerID": "fake://1", "taints": []},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    change(&mut node);
    Node::cut(serde_json::from_value(node).unwrap())
}

/// What can be about a node.
#[derive(Clone, Copy)]
enum Is {
    /// The value of the label that excludes.
    Excluded(&'static str),
    Labelled,
    /// A taint with this key.
    Tainted(&'static str),
    /// The status of the condition `Ready`; none when empty.
    Ready(&'static str),
    /// A condition and its status.
    Condition(&'static str, &'static str),
    Deleting,
    ProviderId(&'static str),
}
use Is::{Condition, Deleting, Excluded, Labelled, ProviderId, Tainted};

fn with(all: &[Is]) -> Node {
    node(|node| {
        let push = |list: &mut Value, item: Value| list.as_array_mut().unwrap().push(item);
        for is in all {
            match *is {
                Excluded(value) => node["metadata"]["labels"][LABEL_EXCLUDE] = value.into(),
                Labelled => node["metadata"]["labels"]["other"] = "".into(),
                Tainted(key) => push(&mut node["spec"]["taints"], json!({"key": key, "effect": "NoSchedule"})),
                Is::Ready("") => node["status"]["conditions"] = json!([]),
                Is::Ready(status) => node["status"]["conditions"] = json!([{"type": "Ready", "status": status}]),
                Condition(kind, status) => {
                    push(
                        &mut node["status"]["conditions"],
                        json!({"type": kind, "status": status}),
                    );
                }
                Deleting => node["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
                ProviderId(id) => node["spec"]["providerID"] = id.into(),
            }
        }
    })
}

#[test]
fn every_upstream_case_of_the_node_predicates() {
    let ready = |more: Is| with(&[ProviderId(""), more]);
    for (name, node, expected) in [
        // Upstream's table asks for readiness, too, which its running code has not done since KEP-3458.
        ("nothing known", Node::default(), true),
        ("ready, provider ID", with(&[]), true),
        ("ready", with(&[ProviderId("")]), true),
        ("not ready", ready(Is::Ready("False")), true),
        ("no labels", node(|node| node["metadata"]["labels"] = json!({})), true),
        ("exclude empty", ready(Excluded("")), false),
        ("exclude false", ready(Excluded("false")), true),
        ("exclude true", ready(Excluded("true")), false),
        ("exclude foo", ready(Excluded("foo")), false),
        ("to be deleted", ready(Tainted(TAINT_TO_BE_DELETED)), false),
    ] {
        assert_eq!(is_host(&node), expected, "{name}");
        passed("node predicates", name);
    }
    for (value, included) in [
        ("0", true),
        ("f", true),
        ("FALSE", true),
        ("False", true),
        ("fAlse", false),
    ] {
        assert_eq!(is_host(&with(&[Excluded(value)])), included, "{value:?}");
    }
    assert!(
        !is_host(&with(&[Tainted(TAINT_UNINITIALIZED)])),
        "differs from upstream"
    );
    assert!(is_host(&with(&[Tainted("other")])));
    assert!(!is_host(&with(&[Deleting])));
}

const OUT: Is = Excluded("");
const GOING: Is = Tainted(TAINT_TO_BE_DELETED);
const NO_ID: Is = ProviderId("");
const OTHER_ID: Is = ProviderId("fake://1-2");
const UP: Is = Is::Ready("True");
const DOWN: Is = Is::Ready("False");
const UNSET: Is = Is::Ready("");
const FINE: Is = Condition("DiskPressure", "False");
const PRESSED: Is = Condition("DiskPressure", "True");
const OTHER: [Is; 2] = [Condition("Other", "False"), Condition("Other", "True")];

/// What a node was, what it is, and whether that matters.
type Flip = (&'static str, &'static [Is], &'static [Is], bool);

const SINGLE: &[Flip] = &[
    ("nothing", &[], &[], false),
    ("excluded", &[], &[OUT], true),
    ("included", &[OUT], &[], true),
    ("stays excluded", &[OUT], &[OUT], false),
    ("other taint comes", &[], &[Tainted("other")], false),
    ("other taint goes", &[Tainted("other")], &[], false),
    ("other label comes", &[], &[Labelled], false),
    ("other label goes", &[Labelled], &[], false),
    ("not ready stays", &[DOWN], &[DOWN], false),
    ("not ready, then unset", &[DOWN], &[UNSET], false),
    ("unset, then not ready", &[UNSET], &[DOWN], false),
    ("unset stays", &[UNSET], &[UNSET], false),
    ("not ready, pressure comes", &[DOWN, FINE], &[DOWN, PRESSED], false),
    ("not ready, pressure goes", &[DOWN, PRESSED], &[DOWN, FINE], false),
    ("other condition comes", &[OTHER[0]], &[OTHER[1]], false),
    ("other condition goes", &[OTHER[1]], &[OTHER[0]], false),
    ("deletion", &[], &[Deleting], false),
    ("provider ID comes", &[NO_ID], &[], true),
    ("provider ID comes, again", &[NO_ID], &[], true),
    ("provider ID goes", &[], &[NO_ID], true),
    ("provider ID changes", &[], &[OTHER_ID], true),
];

const TAINTED: &[Flip] = &[
    ("excluded", &[GOING], &[GOING, OUT], true),
    ("included", &[GOING, OUT], &[GOING], true),
    ("provider ID comes", &[GOING, NO_ID], &[GOING], true),
    ("provider ID goes", &[GOING], &[GOING, NO_ID], true),
    ("provider ID changes", &[GOING], &[GOING, OTHER_ID], true),
    ("ready", &[GOING, DOWN], &[GOING, UP], false),
    ("not ready", &[GOING, UP], &[GOING, DOWN], false),
];

const EXCLUDED: &[Flip] = &[
    ("tainted", &[OUT], &[OUT, GOING], false),
    ("untainted", &[OUT, GOING], &[OUT], false),
    ("ready", &[OUT, DOWN], &[OUT, UP], false),
    ("not ready", &[OUT, UP], &[OUT, DOWN], false),
    ("provider ID comes", &[OUT, NO_ID], &[OUT], true),
    ("provider ID goes", &[OUT], &[OUT, NO_ID], true),
    ("provider ID changes", &[OUT], &[OUT, OTHER_ID], true),
];

const NOT_READY: &[Flip] = &[
    ("tainted", &[DOWN], &[DOWN, GOING], false),
    ("untainted", &[DOWN, GOING], &[DOWN], false),
    ("excluded", &[DOWN], &[DOWN, OUT], true),
    ("included", &[DOWN, OUT], &[DOWN], true),
    ("provider ID comes", &[DOWN, NO_ID], &[DOWN], true),
    ("provider ID goes", &[DOWN], &[DOWN, NO_ID], true),
    ("provider ID changes", &[DOWN], &[DOWN, OTHER_ID], true),
];

const WITHOUT_ID: &[Flip] = &[
    ("excluded", &[NO_ID], &[NO_ID, OUT], true),
    ("included", &[NO_ID, OUT], &[NO_ID], true),
    ("not ready", &[NO_ID, UP], &[NO_ID, DOWN], false),
    ("ready", &[NO_ID, DOWN], &[NO_ID, UP], false),
    ("untainted", &[NO_ID, GOING], &[NO_ID], false),
    ("tainted", &[NO_ID], &[NO_ID, GOING], false),
];

#[test]
fn every_upstream_case_of_should_sync_updated_node() {
    for (group, flips) in [
        ("shouldSyncUpdatedNode", SINGLE),
        ("shouldSyncUpdatedNode, tainted", TAINTED),
        ("shouldSyncUpdatedNode, excluded", EXCLUDED),
        ("shouldSyncUpdatedNode, not ready", NOT_READY),
        ("shouldSyncUpdatedNode, no provider ID", WITHOUT_ID),
    ] {
        for (name, old, new, matters) in flips {
            assert_eq!(node_matters(&with(old), &with(new)), *matters, "{group}: {name}");
            passed(group, name);
        }
    }
}

#[test]
fn addresses_and_being_initialised_matter_as_well() {
    let moved = Node {
        addresses: vec![Address::internal("10.0.0.9")],
        ..with(&[])
    };
    assert!(node_matters(&with(&[]), &moved) && node_matters(&moved, &with(&[])));
    assert!(node_matters(&with(&[Tainted(TAINT_UNINITIALIZED)]), &with(&[])));
}
