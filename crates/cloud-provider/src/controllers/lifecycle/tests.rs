use kit::Class;
use serde_json::{Value, json};

use super::*;
use crate::controllers::observe::{UNAVAILABLE, UNTOLD};
use crate::memory::{Instance, Lie, Op};
use crate::testing::{Process, World, minutes, seconds, uninitialized};

mod untold;
mod upstream;

fn start(world: &World) -> Process {
    let process = world.start();
    let options = LifecycleOptions {
        period: Duration::from_secs(5),
        guard: GuardOptions::default(),
    };
    let controller = LifecycleController::new(&process.shared, options).unwrap();
    let stop = process.stop.clone();
    tokio::spawn(async move { controller.run(stop).await });
    process
}

fn ready(status: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": "x"}])
}

fn node(name: &str, status: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"providerID": format!("fake://i-{name}")}, "status": {"conditions": ready(status)},
    })
}

/// A cluster of `count` nodes with their instances; the first `not_ready` are not ready.
fn cluster(count: usize, not_ready: usize) -> World {
    let world = World::new();
    for n in 0..count {
        world.cloud.add(Instance::new(&format!("i-n{n}"), &format!("n{n}")));
        world
            .sim
            .create(node(&format!("n{n}"), if n < not_ready { "Unknown" } else { "True" }))
            .unwrap();
    }
    world
}

fn set_ready(world: &World, name: &str, status: &str) {
    let mut node = world.node(name).unwrap();
    node["status"]["conditions"] = ready(status);
    world.sim.update_status(node).unwrap();
}

fn taints(world: &World, name: &str) -> Vec<String> {
    world
        .taints(name)
        .iter()
        .map(|taint| taint["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_taint_goes_when_the_node_is_ready_again_and_costs_one_write_each_way() {
    let world = cluster(3, 1);
    world.cloud.power("i-n0", false);
    let _process = start(&world);
    minutes(30).await;
    assert_eq!(taints(&world, "n0"), [TAINT_SHUTDOWN]);
    assert_eq!(
        world.taints("n0"),
        [json!({"key": TAINT_SHUTDOWN, "effect": "NoSchedule"})]
    );
    assert_eq!(
        (world.asked("PATCH", "/nodes/n0"), world.asked("GET", "/nodes/n0")),
        (1, 0)
    );
    world.cloud.power("i-n0", true);
    minutes(5).await;
    assert_eq!(taints(&world, "n0"), [TAINT_SHUTDOWN], "switched on is not ready");
    set_ready(&world, "n0", "True");
    seconds(10).await;
    assert!(taints(&world, "n0").is_empty());
    assert_eq!(
        (world.asked("PATCH", "/nodes/n0"), world.asked("GET", "/nodes/n0")),
        (2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn other_taints_and_conflicts_are_respected() {
    let world = cluster(3, 1);
    let mut node = world.node("n0").unwrap();
    node["spec"]["taints"] = json!([{"key": "mine", "value": "1", "effect": "NoExecute"}]);
    world.sim.update(node).unwrap();
    world.cloud.power("i-n0", false);
    world
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("patch").resource("nodes"), 409, 2);
    let _process = start(&world);
    seconds(20).await;
    assert_eq!(taints(&world, "n0"), ["mine", TAINT_SHUTDOWN]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_never_initialised_is_not_deleted() {
    let world = cluster(3, 0);
    let mut fresh = node("fresh", "False");
    fresh["spec"]["taints"] = json!([uninitialized()]);
    world.sim.create(fresh).unwrap();
    let _process = start(&world);
    minutes(60).await;
    assert!(world.node("fresh").is_some());
    assert!(world.cloud.script().calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_nodes_are_all_ready_asks_the_cloud_nothing() {
    let world = cluster(50, 0);
    let _process = start(&world);
    minutes(60).await;
    assert!(world.cloud.script().calls().is_empty());
    assert!(world.sim.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test(start_paused = true)]
async fn one_node_that_stays_not_ready_is_asked_for_once_a_minute_in_the_long_run() {
    let world = cluster(50, 1);
    let _process = start(&world);
    minutes(60).await;
    let asked = world.cloud.script().calls().len();
    assert!((55..70).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_instance_is_gone_goes_within_a_minute_and_only_that_one() {
    let world = cluster(5, 0);
    let process = start(&world);
    seconds(30).await;
    world.cloud.remove("i-n0");
    set_ready(&world, "n0", "Unknown");
    seconds(60).await;
    assert!(world.node("n0").is_none());
    assert_eq!(world.sim.list("nodes").len(), 4);
    assert!(
        process
            .shared
            .metrics
            .render()
            .contains("node_lifecycle_controller_deleted_nodes_total 1\n")
    );
    assert!(process.shared.alarms.active().is_empty());
}

/// Whatever the cloud does for an hour, while some nodes are not ready: no node goes, no taint changes, and the alarm is
/// clear.
#[tokio::test(start_paused = true)]
async fn an_hour_of_every_kind_of_nonsense_deletes_and_taints_nothing() {
    type Fault = (&'static str, fn(&World), &'static str);
    let faults: [Fault; 9] = [
        (
            "outage",
            |world| {
                world
                    .cloud
                    .script()
                    .fail(Op::ListInstances, usize::MAX, Class::Transient);
            },
            UNAVAILABLE,
        ),
        (
            "401",
            |world| {
                world
                    .cloud
                    .script()
                    .fail(Op::ListInstances, usize::MAX, Class::Unauthorized);
            },
            UNAVAILABLE,
        ),
        (
            "403 on single look-ups",
            |world| {
                world.cloud.lie(Some(Lie::Empty));
                world
                    .cloud
                    .script()
                    .fail(Op::GetInstance, usize::MAX, Class::Unauthorized);
            },
            // Nothing is known of any node for an hour, although the cloud answers: somebody must hear of it.
            UNTOLD,
        ),
        (
            "404 on the list",
            |world| {
                world
                    .cloud
                    .script()
                    .fail(Op::ListInstances, usize::MAX, Class::NotFound);
            },
            UNAVAILABLE,
        ),
        (
            "429",
            |world| {
                let after = Some(Duration::from_secs(30));
                world
                    .cloud
                    .script()
                    .fail(Op::ListInstances, usize::MAX, Class::Throttled { after });
            },
            UNAVAILABLE,
        ),
        (
            "hanging",
            |world| {
                world
                    .cloud
                    .script()
                    .delay(Op::ListInstances, usize::MAX, Duration::from_hours(9));
            },
            UNAVAILABLE,
        ),
        ("empty list", |world| world.cloud.lie(Some(Lie::Empty)), ""),
        ("truncated list", |world| world.cloud.lie(Some(Lie::Truncated(3))), ""),
        ("everything denied", |world| world.cloud.lie(Some(Lie::Denied)), ALARM),
    ];
    for (name, fault, alarm) in faults {
        let world = cluster(9, 2);
        let process = start(&world);
        fault(&world);
        minutes(60).await;
        assert_eq!(world.sim.list("nodes").len(), 9, "{name}");
        assert!((0..9).all(|n| taints(&world, &format!("n{n}")).is_empty()), "{name}");
        let active = process.shared.alarms.active();
        assert_eq!(active.keys().copied().collect::<Vec<_>>().concat(), alarm, "{name}");
        if alarm == ALARM {
            assert_eq!(world.reasons("n0"), ["NodeDeletionHeld"], "{name}");
            let node = world.node("n0").unwrap();
            let held = node["status"]["conditions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|c| c["type"] == CONDITION_INSTANCE);
            assert_eq!(held.unwrap()["reason"], "DeletionHeld");
            assert!(
                process
                    .shared
                    .metrics
                    .render()
                    .contains("node_lifecycle_controller_deletion_held 1\n")
            );
        }
        world.cloud.script().clear();
        world.cloud.lie(None);
        minutes(15).await;
        assert!(process.shared.alarms.active().is_empty(), "{name}: it is over");
        let node = world.node("n0").unwrap();
        let marked = node["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["type"] == CONDITION_INSTANCE);
        assert!(marked.is_none_or(|condition| condition["status"] == "True"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletions_that_fail_are_told_and_tried_again() {
    let world = cluster(5, 1);
    world.cloud.remove("i-n0");
    world.sim.faults().fail(kube_sim::Matcher::any().verb("delete"), 500, 2);
    let _process = start(&world);
    minutes(2).await;
    assert!(world.node("n0").is_none());
    assert!(world.reasons("n0").contains(&"DeletingNodeFailed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_came_back_under_the_same_name_is_not_deleted_in_its_predecessors_place() {
    let world = cluster(5, 1);
    world.cloud.remove("i-n0");
    let _process = start(&world);
    seconds(20).await;
    world.sim.delete("nodes", None, "n0").unwrap();
    world.sim.create(node("n0", "Unknown")).unwrap();
    seconds(20).await;
    assert!(world.node("n0").is_some(), "it has its own grace time");
}
