//! A cloud that answers, but cannot tell about some nodes.

use super::*;
use crate::error::CloudError;

/// Five nodes, none of which lists show. Two are not ready, and asked for one of them the cloud fails.
fn cluster_with_a_riddle() -> World {
    let world = cluster(5, 2);
    world.cloud.lie(Some(Lie::Empty));
    world
}

fn refusal(class: Class) -> CloudError {
    CloudError::new(class, "not now")
}

#[tokio::test(start_paused = true)]
async fn a_node_that_the_cloud_cannot_tell_about_for_long_raises_an_alarm_and_is_left_alone() {
    let world = cluster_with_a_riddle();
    world
        .cloud
        .script()
        .fail_for(Op::GetInstance, "i-n0", usize::MAX, || refusal(Class::Unauthorized));
    let process = start(&world);
    minutes(4).await;
    assert!(process.shared.alarms.active().is_empty(), "it may pass by itself");
    minutes(3).await;
    let text = process.shared.alarms.active()[UNTOLD].clone();
    assert!(
        text.contains("what became of n0; these nodes are neither deleted nor tainted"),
        "{text}"
    );
    assert!(text.ends_with("of n0 it says: not now"), "{text}");
    let metrics = process.shared.metrics.render();
    assert!(
        metrics.contains("cloud_controller_manager_alarm{alarm=\"CloudInstancesUnknown\"} 1\n"),
        "{metrics}"
    );
    let before = world.node("n0");
    minutes(120).await;
    assert_eq!(world.node("n0"), before);
    assert_eq!(world.sim.list("nodes").len(), 5);
    let told = world.events();
    assert_eq!(told.iter().filter(|event| event.0 == UNTOLD).count(), 1, "{told:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    // Once it can tell again, it is believed.
    world.cloud.script().clear();
    minutes(2).await;
    assert!(process.shared.alarms.active().is_empty());
    assert!(
        process
            .shared
            .metrics
            .render()
            .contains("cloud_controller_manager_alarm{alarm=\"CloudInstancesUnknown\"} 0\n")
    );
}

#[tokio::test(start_paused = true)]
async fn other_nodes_are_judged_while_one_cannot_be_told_about() {
    let world = cluster_with_a_riddle();
    world
        .cloud
        .script()
        .fail_for(Op::GetInstance, "i-n0", usize::MAX, || refusal(Class::Transient));
    world.cloud.remove("i-n1");
    let _process = start(&world);
    minutes(2).await;
    assert!(world.node("n0").is_some() && world.node("n1").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_leaves_no_alarm_behind() {
    let world = cluster_with_a_riddle();
    world
        .cloud
        .script()
        .fail_for(Op::GetInstance, "i-n0", usize::MAX, || refusal(Class::Unauthorized));
    let process = start(&world);
    minutes(7).await;
    assert!(process.shared.alarms.active().contains_key(UNTOLD));
    world.sim.delete("nodes", None, "n0").unwrap();
    minutes(2).await;
    assert!(process.shared.alarms.active().is_empty());
}

/// What the cloud says of one node concerns that node: it is not asked for again too early, and the others are.
#[tokio::test(start_paused = true)]
async fn one_node_that_the_cloud_wants_to_be_left_alone_about_does_not_hold_up_the_others() {
    let world = cluster_with_a_riddle();
    let later = || {
        refusal(Class::Throttled {
            after: Some(Duration::from_mins(10)),
        })
    };
    world.cloud.script().fail_for(Op::GetInstance, "i-n0", 1, later);
    let process = start(&world);
    let asked = |id: &str| {
        let calls = world.cloud.script().calls();
        calls
            .iter()
            .filter(|call| call.op == Op::GetInstance && call.subject == id)
            .count()
    };
    minutes(5).await;
    // Another node becomes a suspect: the pace is quick again.
    world.cloud.remove("i-n2");
    set_ready(&world, "n2", "False");
    seconds(290).await;
    assert_eq!(asked("i-n0"), 1);
    assert!(asked("i-n1") > 5 && world.node("n2").is_none());
    let text = process.shared.alarms.active()[UNTOLD].clone();
    assert!(
        text.contains("what became of n0;"),
        "it could not be told for nearly ten minutes: {text}"
    );
    minutes(2).await;
    assert!(asked("i-n0") > 1 && world.node("n0").is_some());
    assert!(process.shared.alarms.active().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_and_go_do_not_bring_a_refused_look_up_forward() {
    let world = cluster(5, 1);
    let after = Some(Duration::from_mins(10));
    world
        .cloud
        .script()
        .fail(Op::ListInstances, 1, Class::Throttled { after });
    let _process = start(&world);
    for n in 1..5 {
        minutes(2).await;
        set_ready(&world, &format!("n{n}"), "False");
    }
    seconds(118).await;
    assert_eq!(world.cloud.script().count(Op::ListInstances), 1);
    minutes(1).await;
    assert!(world.cloud.script().count(Op::ListInstances) > 1);
}
