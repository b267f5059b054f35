//! controllers/node/node_controller_test.go of `kubernetes/cloud-provider`: each case with the same given and expected,
//! against a whole cluster. Upstream runs most of them twice, for two generations of its interface; we have one.

use super::provider_id::Nameless;
use super::*;
use crate::upstream_cases::passed;

const H: (&str, &str) = ("Hostname", "node0.cloud.internal");
const I: (&str, &str) = ("InternalIP", "10.0.0.1");
const E: (&str, &str) = ("ExternalIP", "132.143.154.163");
const OWN: (&str, &str) = ("Hostname", "nodeoverriden");

/// One case. What is not said is empty.
#[derive(Default)]
struct Case {
    name: &'static str,
    provider: &'static str,
    /// The instance's ID; without one there is no instance.
    id: &'static str,
    cloud: &'static [(&'static str, &'static str)],
    place: Option<(&'static str, &'static str)>,
    extra: &'static [(&'static str, &'static str)],
    elsewhere: bool,
    /// Whether the cloud tells no provider ID.
    nameless: bool,
    broken: bool,
    node_id: &'static str,
    status: &'static [(&'static str, &'static str)],
    annotation: Option<&'static str>,
    labels: &'static [(&'static str, &'static str)],
    /// Another taint besides the one that counts.
    other_taint: bool,
    untainted: bool,
    expected: Expected,
}

#[derive(Default)]
enum Expected {
    /// It is as it was.
    #[default]
    Unchanged,
    /// It is initialised: provider ID, addresses, labels.
    Done(
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static [(&'static str, &'static str)],
    ),
    /// It keeps its taint, for this reason.
    Kept(&'static str),
}

use Expected::{Done, Kept, Unchanged};

const WEST: &[(&str, &str)] = &[
    ("failure-domain.beta.kubernetes.io/zone", "us-west-1a"),
    ("topology.kubernetes.io/zone", "us-west-1a"),
    ("failure-domain.beta.kubernetes.io/region", "us-west"),
    ("topology.kubernetes.io/region", "us-west"),
];

const LABELS_18: &[(&str, &str)] = &[
    WEST[0],
    WEST[1],
    WEST[2],
    WEST[3],
    ("topology.k8s.cp/zone-id", "az1"),
    ("my.custom.label/foo", "bar"),
];
const LABELS_19: &[(&str, &str)] = &[
    WEST[0],
    WEST[1],
    WEST[2],
    WEST[3],
    ("my.custom.label/foo", "fizz"),
    ("my.custom.label/bar", "foo"),
    ("app.k8snio/bar", "foo"),
    ("k8snio/bar", "foo"),
];

fn cases() -> Vec<Case> {
    let base = || Case {
        provider: "fake",
        id: "12345",
        cloud: &[H, I, E],
        ..Case::default()
    };
    let preset = || Case {
        id: "node0.aws.12345",
        node_id: "node0.aws.12345",
        cloud: &[I, E],
        status: &[H],
        other_taint: true,
        ..base()
    };
    vec![
        Case {
            name: "the cloud's addresses",
            status: &[OWN],
            expected: Done("fake://12345", &[H, I, E], &[]),
            ..base()
        },
        Case {
            name: "own host name kept",
            cloud: &[I, E],
            status: &[OWN],
            expected: Done("fake://12345", &[I, E, OWN], &[]),
            ..base()
        },
        Case {
            name: "no addresses yet",
            expected: Done("fake://12345", &[H, I, E], &[]),
            ..base()
        },
        Case {
            name: "without the taint",
            untainted: true,
            expected: Unchanged,
            ..base()
        },
        Case {
            name: "zone and region",
            provider: "aws",
            place: Some(("us-west", "us-west-1a")),
            expected: Done("aws://12345", &[H, I, E], WEST),
            ..base()
        },
        Case {
            name: "other taints stay",
            other_taint: true,
            expected: Done("fake://12345", &[H, I, E], &[]),
            ..base()
        },
        Case {
            name: "not this cluster's",
            elsewhere: true,
            other_taint: true,
            annotation: Some("10.0.0.1"),
            expected: Unchanged,
            ..base()
        },
        Case {
            name: "provided node IP",
            annotation: Some("10.0.0.1"),
            expected: Done("node0.aws.12345", &[I, E, H], &[]),
            ..preset()
        },
        Case {
            name: "provided node IP that is none",
            annotation: Some("invalid-ip"),
            expected: Kept("InvalidNodeIP"),
            ..preset()
        },
        Case {
            name: "provided node IP unknown to the cloud",
            annotation: Some("10.0.0.2"),
            expected: Kept("InvalidNodeIP"),
            ..preset()
        },
        Case {
            name: "provider ID there already",
            id: "test-provider-id",
            node_id: "test-provider-id",
            other_taint: true,
            expected: Done("test-provider-id", &[H, I, E], &[]),
            ..base()
        },
        // Differs from upstream, which takes the taint off although it knows neither ID nor addresses.
        Case {
            name: "neither ID nor addresses",
            id: "",
            expected: Kept("InstanceNotFound"),
            ..base()
        },
        Case {
            name: "provider ID only on the node",
            nameless: true,
            node_id: "fake://12345",
            expected: Done("fake://12345", &[H, I, E], &[]),
            ..base()
        },
        Case {
            name: "additional labels",
            place: Some(("us-west", "us-west-1a")),
            extra: &[("topology.k8s.cp/zone-id", "az1"), ("my.custom.label/foo", "bar")],
            expected: Done("fake://12345", &[H, I, E], LABELS_18),
            ..base()
        },
        Case {
            name: "additional labels reserved or there",
            place: Some(("us-west", "us-west-1a")),
            extra: &[
                ("topology.kubernetes.io/region", "us-other-west"),
                ("topology.k8s.io/region", "us-other-west"),
                ("kubernetes.io/region", "us-other-west"),
                ("k8s.io/region", "us-other-west"),
                ("my.custom.label/foo", "bar"),
                ("my.custom.label/bar", "foo"),
                ("app.k8snio/bar", "foo"),
                ("k8snio/bar", "foo"),
            ],
            labels: &[("my.custom.label/foo", "fizz"), ("my.custom.label/bar", "foo")],
            expected: Done("fake://12345", &[H, I, E], LABELS_19),
            ..base()
        },
        Case {
            name: "the cloud fails",
            broken: true,
            expected: Kept("LookUpFailed"),
            ..base()
        },
        Case {
            name: "no provider ID anywhere",
            nameless: true,
            expected: Kept("NoProviderID"),
            ..base()
        },
    ]
}

fn addresses(list: &[(&str, &str)]) -> Value {
    list.iter()
        .map(|(kind, address)| json!({"type": kind, "address": address}))
        .collect()
}

async fn run(case: &Case) {
    let name = case.name;
    let world = World::with(MemoryCloud::new(case.provider));
    if !case.id.is_empty() {
        let mut instance = Instance::new(case.id, "node0");
        for (kind, address) in case.cloud {
            instance = instance.address(match *kind {
                "Hostname" => Address::hostname(*address),
                "InternalIP" => Address::internal(*address),
                _ => Address::external(*address),
            });
        }
        if let Some((region, zone)) = case.place {
            instance = instance.place(region, zone);
        }
        for (key, value) in case.extra {
            instance = instance.label(key, value);
        }
        world
            .cloud
            .add(if case.elsewhere { instance.elsewhere() } else { instance });
    }
    if case.broken {
        world
            .cloud
            .script()
            .fail(Op::ListInstances, usize::MAX, Class::Permanent);
    }
    let other = json!({"key": "ImproveCoverageTaint", "value": "true", "effect": "NoSchedule"});
    let mut taints = if case.other_taint { vec![other.clone()] } else { vec![] };
    if !case.untainted {
        taints.push(uninitialized());
    }
    let labels: BTreeMap<_, _> = case.labels.iter().copied().collect();
    let annotations: BTreeMap<_, _> = case
        .annotation
        .iter()
        .map(|value| (names::ANNOTATION_PROVIDED_NODE_IP, *value))
        .collect();
    let ready = json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"});
    world
        .sim
        .create(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "node0", "labels": labels, "annotations": annotations},
            "spec": {"providerID": case.node_id, "taints": taints},
            "status": {"addresses": addresses(case.status), "conditions": [ready]},
        }))
        .unwrap();
    let before = world.node("node0").unwrap();
    let mut process = world.start();
    if case.nameless {
        process.shared.cloud = Arc::new(Nameless(world.cloud.clone()));
    }
    let _process = run_in(process, options());
    seconds(10).await;
    let after = world.node("node0").unwrap();
    let texts = |value: &Value| value.as_object().cloned().unwrap_or_default();
    match case.expected {
        Unchanged => assert_eq!(after, before, "{name}"),
        Done(id, list, labels) => {
            let left = if case.other_taint { vec![other] } else { vec![] };
            assert_eq!(world.taints("node0"), left, "{name}");
            assert_eq!(after["spec"]["providerID"], id, "{name}");
            assert_eq!(after["status"]["addresses"], addresses(list), "{name}");
            let expected: serde_json::Map<_, _> = labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect();
            assert_eq!(texts(&after["metadata"]["labels"]), expected, "{name}");
            assert_eq!(after["status"]["conditions"], before["status"]["conditions"], "{name}");
        }
        Kept(reason) => {
            assert_eq!(after["spec"], before["spec"], "{name}");
            assert_eq!(after["status"]["addresses"], before["status"]["addresses"], "{name}");
            assert_eq!(
                condition(&world, "node0").map(|found| found.1).as_deref(),
                Some(reason),
                "{name}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_sync_node() {
    let cases = cases();
    for case in &cases {
        run(case).await;
        passed("syncNode", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn addresses_of_a_tainted_node_are_not_updated() {
    let world = World::new();
    world.cloud.add(instance(1));
    let mut node = new_node("node-1");
    node["metadata"]["annotations"] = json!({names::ANNOTATION_PROVIDED_NODE_IP: "192.0.2.1"});
    world.sim.create(node).unwrap();
    let _process = start(&world);
    minutes(30).await;
    assert_eq!(world.node("node-1").unwrap()["status"]["addresses"], Value::Null);
    passed("addresses of a tainted node", "not updated");
}

/// Upstream's reconcileNodeLabels, against a cluster: the zone, region and type of a node under their old names and under
/// their new ones.
#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_reconcile_node_labels() {
    let values = ["foo", "bar", "t1.micro"];
    for (name, stable) in [
        ("beta labels alone", None),
        ("all agree", Some(values)),
        ("stable labels differ", Some(["wrong", "wrong", "wrong"])),
    ] {
        let world = World::new();
        let keys = [names::LABEL_ZONE, names::LABEL_REGION, names::LABEL_INSTANCE_TYPE];
        let mut labels = BTreeMap::new();
        for (n, [new, old]) in keys.iter().enumerate() {
            labels.insert(*old, values[n]);
            labels.extend(stable.map(|stable| (*new, stable[n])));
        }
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node0", "labels": labels}});
        world.sim.create(node).unwrap();
        let _process = start(&world);
        seconds(5).await;
        let node = world.node("node0").unwrap();
        for (n, key) in keys.iter().enumerate().flat_map(|(n, keys)| keys.map(|key| (n, key))) {
            assert_eq!(node["metadata"]["labels"][key], values[n], "{name}: {key}");
        }
        let writes = usize::from(stable != Some(values));
        assert_eq!(world.asked("PATCH", "/nodes/node0"), writes, "{name}");
        passed("reconcileNodeLabels", name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_over_a_hundred_nodes_asks_the_cloud_once_however_many_workers_there_are() {
    for (name, updates) in [
        ("1 worker", 1),
        ("5 workers", 5),
        ("10 workers", 10),
        ("30 workers", 30),
    ] {
        let world = World::new();
        for n in 0..100 {
            world.cloud.add(instance(n));
            let mut node = new_node(&format!("node-{n}"));
            node["spec"] = json!({"providerID": format!("fake://i-{n}")});
            world.sim.create(node).unwrap();
        }
        world
            .cloud
            .script()
            .delay(Op::ListInstances, usize::MAX, Duration::from_millis(10));
        let _process = start_with(&world, NodeOptions { updates, ..options() });
        seconds(30).await;
        assert_eq!(world.cloud.script().calls().len(), 1, "upstream asks a hundred times");
        assert!((0..100).all(|n| world.node(&format!("node-{n}")).unwrap()["status"]["addresses"].is_array()));
        passed("UpdateNodeStatus", name);
    }
}
