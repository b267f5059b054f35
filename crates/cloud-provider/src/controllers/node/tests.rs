use std::collections::BTreeMap;

use kit::Class;
use serde_json::{Value, json};

use super::*;
use crate::data::Address;
use crate::memory::{Instance, Lie, MemoryCloud, Op};
use crate::names;
use crate::testing::{Process, World, minutes, seconds, uninitialized};

mod patience;
mod provider_id;
mod upstream;

fn options() -> NodeOptions {
    NodeOptions {
        status_frequency: Duration::from_mins(5),
        syncs: 1,
        updates: 1,
        refresh_labels: false,
    }
}

fn start(world: &World) -> Process {
    start_with(world, options())
}

fn start_with(world: &World, options: NodeOptions) -> Process {
    run_in(world.start(), options)
}

fn run_in(process: Process, options: NodeOptions) -> Process {
    let controller = NodeController::new(&process.shared, options).unwrap();
    let stop = process.stop.clone();
    tokio::spawn(async move { controller.run(stop).await });
    process
}

fn new_node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": [uninitialized()]}})
}

fn instance(n: usize) -> Instance {
    Instance::new(&format!("i-{n}"), &format!("node-{n}")).internal(&format!("10.0.{}.{}", n / 250, n % 250 + 1))
}

fn is_tainted(world: &World, name: &str) -> bool {
    assert!(world.node(name).is_some(), "{name} is gone");
    !world.taints(name).is_empty()
}

fn condition(world: &World, name: &str) -> Option<(String, String)> {
    let node = world.node(name).unwrap();
    let found = node["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == names::CONDITION_INITIALIZED)?;
    Some((
        found["status"].as_str()?.to_owned(),
        found["reason"].as_str()?.to_owned(),
    ))
}

#[tokio::test(start_paused = true)]
async fn a_new_node_gets_everything_and_in_two_writes() {
    let world = World::new();
    world.cloud.add(
        instance(1)
            .instance_type("m1.small")
            .place("west", "west-1")
            .label("mine/rack", "7"),
    );
    world.sim.create(new_node("node-1")).unwrap();
    let process = start(&world);
    seconds(5).await;
    let node = world.node("node-1").unwrap();
    assert!(!is_tainted(&world, "node-1"));
    assert_eq!(node["spec"]["providerID"], "fake://i-1");
    assert_eq!(
        node["status"]["addresses"],
        json!([{"type": "InternalIP", "address": "10.0.0.2"}])
    );
    let labels = &node["metadata"]["labels"];
    for (key, value) in [
        ("topology.kubernetes.io/zone", "west-1"),
        ("failure-domain.beta.kubernetes.io/zone", "west-1"),
        ("topology.kubernetes.io/region", "west"),
        ("failure-domain.beta.kubernetes.io/region", "west"),
        ("node.kubernetes.io/instance-type", "m1.small"),
        ("beta.kubernetes.io/instance-type", "m1.small"),
        ("mine/rack", "7"),
    ] {
        assert_eq!(labels[key], value, "{key}");
    }
    assert_eq!(
        (
            world.asked("PATCH", "/nodes/node-1/status"),
            world.asked("PATCH", "/nodes/node-1")
        ),
        (1, 1)
    );
    assert_eq!(world.asked("GET", "/nodes/node-1"), 0);
    assert_eq!(world.reasons("node-1"), ["Synced"]);
    let text = process.shared.metrics.render();
    assert!(
        text.contains("node_controller_initial_node_sync_delay_seconds_count 1\n"),
        "{text}"
    );
    assert!(text.contains("node_controller_cloud_provider_taint_removal_delay_seconds_bucket{le=\"4\"} 1\n"));
}

#[tokio::test(start_paused = true)]
async fn addresses_are_always_there_before_the_taint_goes() {
    let world = World::new();
    world.cloud.add(instance(1));
    world.sim.create(new_node("node-1")).unwrap();
    world
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("patch").resource("nodes/status"), 503, 3);
    let _process = start(&world);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let node = world.node("node-1").unwrap();
        let addressed = node["status"]["addresses"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        assert!(addressed || is_tainted(&world, "node-1"));
    }
    assert!(!is_tainted(&world, "node-1"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_nodes_are_initialised_with_few_requests_to_the_cloud() {
    for count in [1, 1200] {
        let world = World::new();
        for n in 0..count {
            world.cloud.add(instance(n));
            world.sim.create(new_node(&format!("node-{n}"))).unwrap();
        }
        let _process = start_with(&world, NodeOptions { syncs: 10, ..options() });
        seconds(60).await;
        assert!((0..count).all(|n| !is_tainted(&world, &format!("node-{n}"))));
        let requests = world.cloud.script().calls().len();
        assert!(
            requests <= count.div_ceil(1000) + 3,
            "{requests} requests for {count} nodes"
        );
        world.cloud.script().forget();
        world.sim.clear_requests();
        minutes(60).await;
        let requests = world.cloud.script().calls().len();
        assert!(
            requests <= 12 * count.div_ceil(1000) + 12,
            "{requests} requests in an hour of {count} nodes"
        );
        let writes = world
            .sim
            .requests()
            .iter()
            .filter(|request| request.method != "GET")
            .count();
        assert_eq!(writes, 0, "a steady cluster is not written to");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_arrive_over_time_are_initialised_within_a_second() {
    let world = World::new();
    let _process = start(&world);
    for n in 0..10 {
        world.cloud.add(instance(n));
        world.sim.create(new_node(&format!("node-{n}"))).unwrap();
        seconds(1).await;
        assert!(!is_tainted(&world, &format!("node-{n}")), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_node_is_not_initialised_stands_on_it_until_it_is() {
    let world = World::new();
    world.cloud.add(Instance::new("i-1", "node-1"));
    world.sim.create(new_node("node-1")).unwrap();
    world.sim.create(new_node("node-2")).unwrap();
    let _process = start(&world);
    seconds(30).await;
    let says = |name: &str| condition(&world, name).map(|(status, reason)| format!("{status} {reason}"));
    assert_eq!(says("node-1").as_deref(), Some("False NoAddresses"));
    assert_eq!(says("node-2").as_deref(), Some("False InstanceNotFound"));
    assert!(is_tainted(&world, "node-1") && is_tainted(&world, "node-2"));
    assert_eq!(
        world.reasons("node-1"),
        ["InitializationFailed"],
        "one event, counted up"
    );
    assert_eq!(
        world.asked("PATCH", "/nodes/node-1/status"),
        1,
        "the condition is written once"
    );
    world.cloud.add(instance(1));
    world.cloud.add(instance(2).shut_down());
    minutes(10).await;
    assert_eq!(says("node-1").as_deref(), Some("True Initialized"));
    assert!(!is_tainted(&world, "node-1"));
    assert_eq!(says("node-2").as_deref(), Some("False InstanceShutDown"));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_away_for_an_hour_changes_nothing_and_raises_an_alarm() {
    for class in [
        Class::Transient,
        Class::Unauthorized,
        Class::Throttled {
            after: Some(Duration::from_secs(90)),
        },
    ] {
        let world = World::new();
        for n in 0..20 {
            world.cloud.add(instance(n));
            world.sim.create(new_node(&format!("node-{n}"))).unwrap();
        }
        world.cloud.script().fail(Op::ListInstances, usize::MAX, class);
        let process = start(&world);
        minutes(60).await;
        assert!((0..20).all(|n| is_tainted(&world, &format!("node-{n}"))));
        assert!(process.shared.alarms.active().contains_key("CloudProviderUnavailable"));
        assert_eq!(condition(&world, "node-3").unwrap().1, "LookUpFailed");
        assert!(
            world.cloud.script().calls().len() < 40,
            "{}",
            world.cloud.script().calls().len()
        );
        world.cloud.script().clear();
        minutes(6).await;
        assert!((0..20).all(|n| !is_tainted(&world, &format!("node-{n}"))), "{class:?}");
        assert!(process.shared.alarms.active().is_empty());
        assert_eq!(condition(&world, "node-3").unwrap().0, "True");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_lists_neither_initialise_nor_break_anything() {
    let world = World::new();
    for n in 0..3 {
        world.cloud.add(instance(n));
        world.sim.create(new_node(&format!("node-{n}"))).unwrap();
    }
    world.cloud.lie(Some(Lie::Truncated(1)));
    let _process = start(&world);
    seconds(30).await;
    assert_eq!((0..3).filter(|n| is_tainted(&world, &format!("node-{n}"))).count(), 2);
    world.cloud.lie(None);
    minutes(2).await;
    assert_eq!((0..3).filter(|n| is_tainted(&world, &format!("node-{n}"))).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_resolved_from_the_node_as_it_is_now() {
    let world = World::new();
    world.cloud.add(instance(1));
    world.sim.create(new_node("node-1")).unwrap();
    world
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("patch").resource("nodes"), 409, 3);
    let _process = start(&world);
    seconds(5).await;
    assert!(!is_tainted(&world, "node-1"));
    assert_eq!(world.asked("GET", "/nodes/node-1"), 3);
    assert_eq!(world.cloud.script().calls().len(), 1, "the cloud is not asked again");
}

#[tokio::test(start_paused = true)]
async fn changed_addresses_reach_the_node_in_their_order_and_equal_ones_cause_no_write() {
    let world = World::new();
    let dual = |first: &str, second: &str| Instance::new("i-1", "node-1").internal(first).internal(second);
    world.cloud.add(dual("10.0.0.1", "fd00::1"));
    world.sim.create(new_node("node-1")).unwrap();
    let _process = start(&world);
    minutes(20).await;
    assert_eq!(
        world.asked("PATCH", "/nodes/node-1/status"),
        1,
        "two addresses of one type are no change"
    );
    world.cloud.add(dual("fd00::1", "10.0.0.1"));
    minutes(6).await;
    let listed = world.node("node-1").unwrap()["status"]["addresses"].clone();
    let expected = json!([{"type": "InternalIP", "address": "fd00::1"}, {"type": "InternalIP", "address": "10.0.0.1"}]);
    assert_eq!(listed, expected);
    assert_eq!(world.asked("PATCH", "/nodes/node-1/status"), 2);
}

#[tokio::test(start_paused = true)]
async fn nodes_of_other_clouds_are_left_alone() {
    let world = World::new();
    let mut foreign = new_node("on-prem");
    foreign["spec"]["providerID"] = json!("metal://7");
    world.sim.create(foreign).unwrap();
    let process = start(&world);
    minutes(30).await;
    assert!(is_tainted(&world, "on-prem"));
    assert!(world.cloud.script().calls().is_empty());
    assert!(world.events().is_empty());
    assert_eq!(condition(&world, "on-prem"), None);
    drop(process);
}

#[tokio::test(start_paused = true)]
async fn labels_follow_the_cloud_only_when_asked_to() {
    for refresh_labels in [false, true] {
        let world = World::new();
        world
            .cloud
            .add(instance(1).place("west", "west-1").label("mine/rack", "7"));
        world.sim.create(new_node("node-1")).unwrap();
        let _process = start_with(
            &world,
            NodeOptions {
                refresh_labels,
                ..options()
            },
        );
        seconds(5).await;
        world
            .cloud
            .add(instance(1).place("west", "west-1").label("mine/rack", "8"));
        minutes(6).await;
        let expected = if refresh_labels { "8" } else { "7" };
        assert_eq!(
            world.node("node-1").unwrap()["metadata"]["labels"]["mine/rack"],
            expected
        );
    }
}

#[tokio::test(start_paused = true)]
async fn after_being_told_to_stop_nothing_new_is_begun() {
    let world = World::new();
    for n in 0..50 {
        world.cloud.add(instance(n));
        world.sim.create(new_node(&format!("node-{n}"))).unwrap();
    }
    world.sim.faults().delay(
        kube_sim::Matcher::any().verb("patch"),
        Duration::from_secs(1),
        usize::MAX,
    );
    let process = start(&world);
    seconds(10).await;
    process.stop.cancel();
    seconds(5).await;
    let done = (0..50).filter(|n| !is_tainted(&world, &format!("node-{n}"))).count();
    assert!((1..10).contains(&done), "{done}");
    for n in 0..50 {
        let node = world.node(&format!("node-{n}")).unwrap();
        let addressed = node["status"]["addresses"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        assert_eq!(
            addressed,
            !is_tainted(&world, &format!("node-{n}")),
            "what was begun was finished"
        );
    }
}

#[test]
fn a_cloud_without_instances_has_no_such_controller() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let offers = crate::memory::Offers {
            instances: false,
            load_balancers: true,
            routes: true,
        };
        let world = World::with(MemoryCloud::new("fake").offering(offers));
        assert!(NodeController::new(&world.start().shared, options()).is_none());
    });
}
