//! Services come and go at random while the provider fails three requests in ten.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cluster::{RESOURCES, metallb, reserved, world};
use crate::harness::{minutes, seconds};

async fn come_and_go(setting: &str, seed: u64, steps: usize) {
    let world = world(setting);
    let _ran = world.run(&["--concurrent-service-syncs=4"]);
    world.until_initialised(2).await;
    world.storm();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut there: BTreeSet<String> = BTreeSet::new();
    for _ in 0..steps {
        let name = format!("s{}", random.u8(0..8));
        let exists = world.service("default", &name).is_some();
        if there.remove(&name) {
            world.kube.delete("services", Some("default"), &name).unwrap();
        } else if !exists {
            world.add_service("default", &name, &json!({}));
            there.insert(name);
        }
        seconds(random.u64(0..15)).await;
    }
    world.sim.front().clear_faults();
    minutes(12).await;
    let mut addresses = BTreeSet::new();
    for name in &there {
        let ingress = world.ingress("default", name);
        assert_eq!(
            ingress.len(),
            1,
            "{setting} {seed}: {name} {:?}",
            world.service("default", name)
        );
        addresses.extend(ingress);
    }
    assert_eq!(addresses.len(), there.len(), "{setting} {seed}: no address twice");
    let services = world.kube.list("services").into_iter();
    let left = services.filter(|one| one["spec"]["type"] == "LoadBalancer").count();
    assert_eq!(left, there.len(), "{setting} {seed}: what was deleted is gone");
    let faults = world
        .sim
        .front()
        .requests()
        .iter()
        .filter(|one| one.fault.is_some())
        .count();
    if setting.starts_with("emlb") {
        assert_eq!(world.sim.load_balancers().len(), there.len(), "{setting} {seed}");
        assert_eq!(
            world.sim.leaks()["pools"].as_array().map_or(0, Vec::len),
            0,
            "{setting} {seed}"
        );
    } else {
        let held: BTreeSet<String> = reserved(&world).into_iter().map(|one| one.0).collect();
        assert_eq!(
            reserved(&world).len(),
            there.len(),
            "{setting} {seed}: none left, none doubled"
        );
        assert_eq!(held, addresses);
        let pools = if setting == RESOURCES { there.len() } else { 0 };
        assert_eq!(metallb(&world, "ipaddresspools").len(), pools, "{setting} {seed}");
    }
    println!(
        "{setting}: {steps} steps, {faults} faults, {} services in the end",
        there.len()
    );
    assert!(faults > 20);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_services_come_and_go_and_nothing_is_left_or_doubled() {
    come_and_go(RESOURCES, 1, 200).await;
}

#[tokio::test(start_paused = true)]
async fn so_it_is_with_kube_vip() {
    come_and_go("kube-vip://", 2, 200).await;
}

#[tokio::test(start_paused = true)]
async fn so_it_is_with_load_balancers() {
    come_and_go("emlb:///da", 3, 200).await;
}
