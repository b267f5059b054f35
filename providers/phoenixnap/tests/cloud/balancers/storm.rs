//! Hundreds of Services come and go at random while three of ten requests fail.

use std::collections::{BTreeMap, BTreeSet};

use cloud_sim::{Action, Fault};
use phoenixnap_sim::Settings;
use serde_json::{Value, json};

use super::announced_by;
use crate::harness::{World, minutes, seconds};

/// A generator of chance that is the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

fn make_it_fail(world: &World) {
    for fault in [
        Fault::status(500),
        Fault::status(503).after(),
        Fault::new(Action::DropAfter),
        Fault::new(Action::DropBefore),
        Fault::status(429).header("retry-after", "2"),
    ] {
        world.fault(Fault {
            probability: Some(0.06),
            ..fault.always()
        });
    }
}

/// Every living Service has its own address, on a block that is there.
fn check(world: &World, alive: &BTreeSet<String>) {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for name in alive {
        for address in world.ingress(name) {
            let other = holders.insert(address.clone(), name.clone());
            assert_eq!(other, None, "{address} is that of {name}, too");
        }
    }
}

async fn storm(config: Value, most: usize, seed: u64) {
    let world = announced_by("kube-vip", Settings::default(), config, seed);
    make_it_fail(&world);
    let ran = world.run(&["--concurrent-service-syncs=4"]);
    let (mut chance, mut alive, mut made) = (Chance(seed), BTreeSet::new(), 0);
    while made < 200 {
        if alive.len() < most && (alive.is_empty() || chance.below(2) == 0) {
            let name = format!("s{made}");
            world.add_service(&name, &json!({}));
            alive.insert(name);
            made += 1;
        } else {
            let name: String = alive.iter().nth(chance.below(alive.len())).unwrap().clone();
            world.delete_service(&name);
            alive.remove(&name);
        }
        seconds(chance.below(40) as u64).await;
        check(&world, &alive);
    }
    minutes(30).await;
    check(&world, &alive);
    let unserved = alive.iter().filter(|name| world.ingress(name).is_empty()).count();
    assert_eq!(unserved, 0, "{} are alive", alive.len());
    let owners: Vec<String> = world
        .blocks()
        .iter()
        .filter_map(|block| block.tags.get("serviceName").cloned())
        .collect();
    assert_eq!(
        owners.len(),
        owners.iter().collect::<BTreeSet<_>>().len(),
        "a Service has two blocks: {owners:?}"
    );
    for name in &alive {
        world.delete_service(name);
    }
    world.until_no_blocks().await;
    minutes(5).await;
    assert_eq!(world.kube.list("services").len(), 1, "the API server's own is left");
    println!(
        "200 services on seed {seed}: {} blocks bought, none left",
        world.bought()
    );
    ran.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_hundred_services_leave_no_block_behind() {
    for seed in 1..=2 {
        storm(json!({}), 6, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_services_on_shared_blocks_leave_none_behind() {
    for seed in 1..=2 {
        storm(json!({"shareIPBlocks": true, "ipBlockSize": "/28"}), 40, seed).await;
    }
}
