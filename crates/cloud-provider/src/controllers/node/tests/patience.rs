//! Who asks again, and when: nobody before the cloud wants to be asked, whatever happens to nodes meanwhile.

use super::*;
use crate::controllers::lifecycle::{GuardOptions, LifecycleController, LifecycleOptions};

/// A node that waits, whose instance no list shows.
fn world_with_a_node_to_ask_for() -> World {
    let world = World::new();
    world.cloud.add(instance(1));
    world.cloud.lie(Some(Lie::Empty));
    let mut node = new_node("node-1");
    node["spec"]["providerID"] = json!("fake://i-1");
    world.sim.create(node).unwrap();
    world
}

fn throttled(seconds: u64) -> Class {
    Class::Throttled {
        after: Some(Duration::from_secs(seconds)),
    }
}

fn heartbeat(world: &World, n: u64) {
    let mut node = world.node("node-1").unwrap();
    let beat = json!([{"type": "Ready", "status": "False", "reason": "x", "message": n.to_string()}]);
    node["status"]["conditions"] = beat;
    world.sim.update_status(node).unwrap();
}

fn annotate(world: &World, n: u64) {
    let mut node = world.node("node-1").unwrap();
    node["metadata"]["annotations"] = json!({ "somebody": n.to_string() });
    world.sim.update(node).unwrap();
}

#[tokio::test(start_paused = true)]
async fn neither_our_own_words_nor_those_of_others_bring_a_node_forward_that_is_to_be_asked_for_later() {
    let world = world_with_a_node_to_ask_for();
    world.cloud.script().fail(Op::GetInstance, 1, throttled(90));
    let _process = start(&world);
    seconds(2).await;
    assert_eq!(
        condition(&world, "node-1").unwrap().1,
        "LookUpFailed",
        "this write must wake nobody"
    );
    for n in 0..8 {
        assert_eq!(world.cloud.script().count(Op::GetInstance), 1, "after {} s", 2 + 10 * n);
        heartbeat(&world, n);
        annotate(&world, n);
        seconds(10).await;
    }
    seconds(6).await;
    assert_eq!(world.cloud.script().count(Op::GetInstance), 1);
    seconds(4).await;
    assert_eq!(world.cloud.script().count(Op::GetInstance), 2);
    assert!(!is_tainted(&world, "node-1"));
    assert_eq!(world.reasons("node-1"), ["InitializationFailed", "Synced"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_failed_waits_although_something_is_written_to_its_status() {
    let world = world_with_a_node_to_ask_for();
    world.cloud.script().fail(Op::GetInstance, usize::MAX, Class::Permanent);
    let _process = start(&world);
    let mut asked = Vec::new();
    for n in 0..80 {
        asked.push(world.cloud.script().count(Op::GetInstance));
        heartbeat(&world, n);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // Every half second, the first after half of one: tries after 0, 1, 3, 7, 15 and 31 seconds, and a moment for each.
    let tries: Vec<usize> = asked.iter().copied().filter(|count| *count > 0).collect();
    assert_eq!(tries.last(), Some(&6), "{asked:?}");
    assert_eq!(tries[..2], [1, 1], "{asked:?}");
}

/// A change that may help is looked at soon, unless the cloud said when.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_put_right_need_not_wait() {
    let world = world_with_a_node_to_ask_for();
    world.cloud.lie(None);
    let mut node = world.node("node-1").unwrap();
    node["metadata"]["annotations"] = json!({ names::ANNOTATION_PROVIDED_NODE_IP: "192.0.2.1" });
    world.sim.update(node).unwrap();
    let _process = start(&world);
    minutes(30).await;
    assert_eq!(condition(&world, "node-1").unwrap().1, "InvalidNodeIP");
    let mut node = world.node("node-1").unwrap();
    node["metadata"]["annotations"] = json!({ names::ANNOTATION_PROVIDED_NODE_IP: "10.0.0.2" });
    world.sim.update(node).unwrap();
    seconds(2).await;
    assert!(!is_tainted(&world, "node-1"));
}

/// New nodes, the pass over all nodes and the watch over those that are not ready: each asks, and each is refused for all.
#[tokio::test(start_paused = true)]
async fn what_one_controller_was_told_holds_for_all() {
    let world = World::new();
    for n in 0..4 {
        world.cloud.add(instance(n));
        let mut node = new_node(&format!("node-{n}"));
        node["spec"] = json!({ "providerID": format!("fake://i-{n}") });
        world.sim.create(node).unwrap();
    }
    world.cloud.script().fail(Op::ListInstances, 1, throttled(300));
    let process = world.start();
    let often = NodeOptions {
        status_frequency: Duration::from_secs(10),
        ..options()
    };
    let nodes = NodeController::new(&process.shared, often).unwrap();
    let watch = LifecycleOptions {
        period: Duration::from_secs(5),
        guard: GuardOptions::default(),
    };
    let watch = LifecycleController::new(&process.shared, watch).unwrap();
    let (one, other) = (process.stop.clone(), process.stop.clone());
    tokio::spawn(async move { nodes.run(one).await });
    tokio::spawn(async move { watch.run(other).await });
    seconds(5).await;
    world.cloud.add(instance(9));
    world.sim.create(new_node("node-9")).unwrap();
    seconds(290).await;
    assert_eq!(
        world.cloud.script().calls().len(),
        1,
        "{:?}",
        world.cloud.script().calls()
    );
    assert_eq!(
        process.shared.alarms.active().keys().copied().collect::<Vec<_>>(),
        [crate::controllers::observe::UNAVAILABLE]
    );
    minutes(3).await;
    assert!(process.shared.alarms.active().is_empty());
    assert!(!is_tainted(&world, "node-9"));
}

#[tokio::test(start_paused = true)]
async fn of_nodes_that_are_gone_nothing_is_remembered() {
    let world = World::new();
    let process = world.start();
    let controller = NodeController::new(&process.shared, options()).unwrap();
    let (running, stop) = (controller.clone(), process.stop.clone());
    tokio::spawn(async move { running.run(stop).await });
    for n in 0..5 {
        world.cloud.add(instance(n));
        let name = format!("node-{n}");
        world.sim.create(new_node(&name)).unwrap();
        // Gone before the controller has seen what it wrote.
        while is_tainted(&world, &name) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.sim.delete("nodes", None, &name).unwrap();
    }
    minutes(2).await;
    assert!(process.shared.nodes.is_empty());
    assert_eq!(controller.written().len(), 0);
}
