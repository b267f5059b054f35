//! Two cloud controller managers at a time: real processes, real sockets, real signals, short leases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::time::{Duration, Instant};

use kube_sim::LoggedRequest;
use roadstead_tests::cloud_manager::{Manager, depot, measure::World, within};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: &[&str] = &[
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
    // Slow enough that there is something left to do.
    "--concurrent-node-syncs=1",
    "--kube-api-qps=100",
    "--kube-api-burst=1",
];

/// Waits until somebody else than `before` leads, and gives the name.
async fn next_leader(world: &World<'_>, before: &str, manager: &Manager) -> String {
    let seen = within(PATIENCE, || {
        let leader = world.cluster.leader();
        (!leader.is_empty() && leader != before).then_some(leader)
    });
    seen.await.unwrap_or_else(|| panic!("nobody leads:\n{}", manager.log()))
}

/// The writes of this user that were carried out after the request with this number.
fn writes_after(requests: &[LoggedRequest], user: &str, after: u64) -> Vec<LoggedRequest> {
    let is_write = |request: &&LoggedRequest| {
        request.n > after && request.user == user && request.method != "GET" && request.status < 400
    };
    requests.iter().filter(is_write).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_past_its_lease_writes_nothing_when_it_wakes_up() {
    let subject = depot::built();
    let world = World::new(&subject, 300, false).await;
    let mut first = world.start("first", SHORT);
    let leader = next_leader(&world, "", &first).await;
    let busy = within(PATIENCE, || {
        let requests = world.cluster.sim.requests();
        (writes_after(&requests, "first", 0).len() > 60).then_some(())
    });
    busy.await.expect("it is at work");
    let second = world.start("second", SHORT);
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.signal(Signal::STOP);
    let frozen = world.cluster.sim.requests().last().unwrap().n;
    next_leader(&world, &leader, &second).await;
    // What was done shows before the request that did it is in the log.
    let taken = within(PATIENCE, || {
        let requests = world.cluster.sim.requests();
        let taken = requests.iter().find(|request| {
            request.user == "second"
                && request.method == "PUT"
                && request.path.contains("/leases/")
                && request.status == 200
        });
        taken.map(|request| request.n)
    });
    let taken = taken.await.expect("the lease was taken over");
    assert!(taken > frozen);
    first.signal(Signal::CONT);
    let (code, _) = first
        .ended(PATIENCE)
        .await
        .expect("it notices that it does not lead any more");
    assert_eq!(code, Some(1), "{}", first.log());
    assert!(first.log().contains("leaderelection lost"), "{}", first.log());
    world.initialised(&second).await;
    let requests = world.cluster.sim.requests();
    let written = writes_after(&requests, "first", taken);
    assert!(written.is_empty(), "{written:#?}");
    assert!(
        writes_after(&requests, "second", taken).len() > 100,
        "there was enough left to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_is_gone_and_replaced_within_two_seconds() {
    let subject = depot::built();
    let world = World::new(&subject, 3, false).await;
    let mut first = world.start("first", &[]);
    let leader = next_leader(&world, "", &first).await;
    world.initialised(&first).await;
    let second = world.start("second", &[]);
    let waiting = within(PATIENCE, || {
        let requests = world.cluster.sim.requests();
        requests.iter().any(|request| request.user == "second").then_some(())
    });
    waiting.await.expect("there is a second one");
    let began = Instant::now();
    first.signal(Signal::TERM);
    let (code, took) = first.ended(PATIENCE).await.expect("it ends");
    assert_eq!(code, Some(0), "{}", first.log());
    assert!(took < Duration::from_secs(2), "{took:?}");
    let last = world.cluster.sim.requests().last().unwrap().n;
    next_leader(&world, &leader, &second).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(writes_after(&world.cluster.sim.requests(), "first", last).is_empty());
}
