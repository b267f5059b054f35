//! Services that wait: for the cloud, or because they failed.

use super::*;

fn throttled(seconds: u64) -> CloudError {
    let after = Some(Duration::from_secs(seconds));
    CloudError::new(Class::Throttled { after }, "slow down")
}

/// A Service whose load balancer is there and is about to be changed.
async fn changed(script: impl FnOnce(&World)) -> (World, Process) {
    let world = world(1, &["a"]);
    let process = start(&world);
    seconds(5).await;
    world.cloud.script().forget();
    script(&world);
    edit(&world, "a", |service| service["spec"]["ports"][0]["port"] = json!(8080));
    seconds(1).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 1);
    (world, process)
}

#[tokio::test(start_paused = true)]
async fn nodes_that_change_do_not_bring_a_service_forward_that_waits_for_the_cloud() {
    let pending = || CloudError::pending("still moving", Duration::from_secs(42));
    let (world, _process) = changed(|world| world.cloud.script().fail_with(Op::SetHosts, 1, pending)).await;
    for n in 2..8 {
        add_node(&world, n);
        seconds(6).await;
    }
    assert_eq!(world.cloud.script().count(Op::SetHosts), 1, "36 seconds later");
    seconds(8).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 2, "one change for all of it");
    assert_eq!(hosts_of(&world, "a").len(), 7);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_change_do_not_bring_a_service_forward_that_failed() {
    let (world, _process) = changed(|world| world.cloud.script().fail(Op::SetHosts, 4, Class::Transient)).await;
    let mut tries = Vec::new();
    for n in 2..62 {
        add_node(&world, n);
        seconds(1).await;
        tries.push(world.cloud.script().count(Op::SetHosts));
    }
    // After 5, 10 and 20 seconds more.
    assert_eq!((tries[0], tries[10], tries[30], tries[59]), (1, 2, 3, 4), "{tries:?}");
    minutes(2).await;
    assert_eq!(hosts_of(&world, "a").len(), 61);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_while_a_load_balancer_is_made_are_not_forgotten() {
    let world = world(1, &["a"]);
    world
        .cloud
        .script()
        .delay(Op::CreateBalancer, 1, Duration::from_secs(30));
    let _process = start(&world);
    seconds(10).await;
    add_node(&world, 2);
    seconds(10).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 0);
    seconds(15).await;
    assert_eq!(hosts_of(&world, "a"), ["n1", "n2"]);
    assert_eq!(world.cloud.script().count(Op::SetHosts), 1);
}

/// A change of the Service itself is acted on at once while something is under way, but not while the cloud refuses.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_edited_waits_only_for_a_cloud_that_refuses() {
    let pending = || CloudError::pending("still moving", Duration::from_mins(10));
    for (refuses, tries) in [(false, 2), (true, 1)] {
        let error = move || if refuses { throttled(600) } else { pending() };
        let (world, _process) = changed(|world| world.cloud.script().fail_with(Op::SetHosts, 1, error)).await;
        edit(&world, "a", |service| service["spec"]["ports"][0]["port"] = json!(9090));
        seconds(590).await;
        assert_eq!(world.cloud.script().count(Op::SetHosts), tries, "refuses: {refuses}");
        seconds(20).await;
        assert_eq!(world.cloud.script().count(Op::SetHosts), 2, "refuses: {refuses}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_wants_to_be_asked_again_at_once_is_not_asked_without_a_pause() {
    for error in [
        || CloudError::pending("any moment now", Duration::ZERO),
        || throttled(0),
    ] {
        let world = world(1, &["a"]);
        world.cloud.script().fail_with(Op::CreateBalancer, 1000, error);
        let _process = start(&world);
        minutes(1).await;
        let tries = world.cloud.script().count(Op::CreateBalancer);
        assert!((55..=61).contains(&tries), "{tries}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_wants_to_be_left_alone_again_and_again_is_told_of_now_and_then() {
    let world = world(1, &["a"]);
    world
        .cloud
        .script()
        .fail_with(Op::CreateBalancer, 1000, || throttled(1));
    let _process = start(&world);
    minutes(12).await;
    assert!(world.cloud.script().count(Op::CreateBalancer) > 700);
    let told = world.sim.list("events").into_iter();
    let mut told = told.filter(|event| event["reason"] == "SyncLoadBalancerFailed");
    let event = told.next().unwrap();
    assert_eq!((&event["count"], told.next()), (&json!(3), None), "{event}");
}

#[tokio::test(start_paused = true)]
async fn a_resync_does_not_bring_a_waiting_service_forward() {
    let world = world(1, &["a"]);
    let options = ServiceOptions {
        resync: Some(Duration::from_mins(1)),
        ..options()
    };
    let _process = start_with(&world, options);
    seconds(30).await;
    world.cloud.script().forget();
    let pending = || CloudError::pending("still moving", Duration::from_mins(10));
    world.cloud.script().fail_with(Op::SetHosts, 1, pending);
    add_node(&world, 2);
    minutes(9).await;
    assert_eq!(
        world.cloud.script().calls().len(),
        1,
        "{:?}",
        world.cloud.script().calls()
    );
    minutes(2).await;
    assert_eq!(hosts_of(&world, "a"), ["n1", "n2"]);
}

#[tokio::test(start_paused = true)]
async fn of_services_that_are_gone_nothing_is_remembered() {
    let world = world(1, &["a", "b", "c"]);
    let process = world.start();
    let controller = run_in(&process, options());
    seconds(5).await;
    world.cloud.script().fail(Op::DeleteBalancer, 2, Class::Transient);
    edit(&world, "b", |service| service["spec"]["type"] = json!("ClusterIP"));
    edit(&world, "c", |service| service["metadata"]["finalizers"] = json!([]));
    for name in ["a", "c"] {
        world.sim.delete("services", Some("default"), name).unwrap();
    }
    minutes(1).await;
    assert!(world.cloud.balancers().is_empty());
    assert!(controller.0.records().is_empty() && controller.0.turns().is_empty());
    assert!(controller.0.queue.waiting().is_empty());
}
