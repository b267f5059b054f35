//! Two managers: who leads, and what one that ends or dies leaves to the other.

use std::time::Duration;

use cloud_sim::{Action, Fault};

use crate::provider::Provider;
use crate::world::{World, minutes, seconds, text};

const ELECT: &[&str] = &["--leader-elect=true"];

fn leader<P: Provider>(world: &World<P>) -> String {
    let lease = world.kube.get(
        "leases.coordination.k8s.io",
        Some("kube-system"),
        "cloud-controller-manager",
    );
    text(&lease.unwrap_or_default()["spec"]["holderIdentity"])
}

/// SIGTERM: what is under way is finished, the lease is given back, and the other leads long before it would have ended.
pub async fn a_leader_that_is_told_to_stop_hands_over_at_once<P: Provider>() {
    let world = World::<P>::new();
    world.add_machines(3);
    let first = world.run_named("first", ELECT);
    world.until_initialised(3).await;
    let second = world.run_named("second", ELECT);
    seconds(10).await;
    assert_eq!(leader(&world), "first");
    first.end().await.unwrap();
    assert_eq!(leader(&world), "", "the lease is given back");
    world.add_machine("late");
    let done = |world: &World<P>| world.initialised().len() == 4;
    world.until("the other leads", Duration::from_secs(8), done).await;
    assert_eq!(leader(&world), "second");
    second.end().await.unwrap();
}

/// A leader that is killed holds its lease until that ends, and then the other takes over what was half done.
pub async fn a_leader_that_dies_is_replaced_when_its_lease_ends<P: Provider>() {
    let world = World::<P>::new();
    world.add_machines(3);
    let first = world.run_named("first", ELECT);
    world.until_initialised(3).await;
    let _second = world.run_named("second", ELECT);
    seconds(10).await;
    first.kill();
    world.add_machine("late");
    seconds(8).await;
    assert_eq!((leader(&world).as_str(), world.initialised().len()), ("first", 3));
    let done = |world: &World<P>| world.initialised().len() == 4;
    world.until("the other leads", Duration::from_secs(20), done).await;
    assert_eq!(leader(&world), "second");
}

/// The world itself: a manager that is dead sends nothing and hears nothing, not even what it asked for while it lived.
pub async fn a_manager_that_died_changes_nothing_any_more<P: Provider>() {
    let world = World::<P>::new();
    world.fault(Fault::new(Action::Delay { ms: 5000 }).on("GET", P::MACHINES));
    world.add_machines(3);
    let ran = world.run(&[]);
    world
        .until("it asked the cloud", Duration::from_secs(5), |world| {
            world.asked("GET", P::MACHINES) > 0
        })
        .await;
    ran.kill();
    let sent = world.network.sent();
    minutes(10).await;
    assert!(world.initialised().is_empty());
    assert_eq!(world.network.sent(), sent);
    let _ran = world.run(&[]);
    world.until_initialised(3).await;
}
