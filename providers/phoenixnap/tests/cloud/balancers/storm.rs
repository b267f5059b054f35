//! Hundreds of Services come and go at random while three of ten requests fail: everybody gets an address of his own in
//! time, nobody has two blocks for long, everything that went is gone in time, and in the end nothing is left.

use std::collections::BTreeMap;

use phoenixnap_sim::Settings;
use serde_json::{Value, json};

use super::announced_by;
use crate::harness::{World, seconds};

/// How long a Service may have to wait for its address, and how long one that goes may be there, while requests fail.
const IN_TIME: u64 = 10;

/// What there should be, and since when.
struct Watch {
    world: World,
    /// Services, and the second at which they were made.
    alive: BTreeMap<String, u64>,
    /// Services that were deleted, and when.
    going: BTreeMap<String, u64>,
    /// Services with two blocks that are not on their way out, and since when.
    doubled: BTreeMap<String, u64>,
    served: u64,
    slowest: u64,
    now: u64,
}

impl Watch {
    fn new(world: World) -> Self {
        let none = BTreeMap::new;
        Self {
            world,
            alive: none(),
            going: none(),
            doubled: none(),
            served: 0,
            slowest: 0,
            now: 0,
        }
    }

    fn make(&mut self, name: &str) {
        self.world.add_service(name, &json!({}));
        self.alive.insert(name.to_owned(), self.now);
    }

    fn delete(&mut self, name: &str) {
        self.world.delete_service(name);
        self.alive.remove(name);
        self.going.insert(name.to_owned(), self.now);
    }

    /// Lets time pass, and looks every few seconds.
    async fn wait(&mut self, length: u64) {
        let end = self.now + length;
        while self.now < end {
            let step = (end - self.now).min(10);
            seconds(step).await;
            self.now += step;
            self.look();
        }
    }

    fn look(&mut self) {
        let (world, now) = (&self.world, self.now);
        let late = |since: u64| now - since > IN_TIME * 60;
        let mut holders: BTreeMap<String, &str> = BTreeMap::new();
        for (name, made) in &self.alive {
            let addresses = world.ingress(name);
            assert!(
                !(addresses.is_empty() && late(*made)),
                "{name} waits for its address: {:?}",
                world.warnings(name)
            );
            for address in addresses {
                let other = holders.insert(address.clone(), name);
                assert_eq!(other, None, "{address} is that of {name}, too");
            }
        }
        self.going.retain(|name, since| {
            let there = world.service(name).is_some();
            assert!(
                !(there && late(*since)),
                "{name} does not go: {:?}",
                world.warnings(name)
            );
            if !there {
                self.served += 1;
                self.slowest = self.slowest.max(now - *since);
            }
            there
        });
        let mut owned: BTreeMap<String, usize> = BTreeMap::new();
        for block in world.blocks() {
            if let Some(owner) = block
                .tags
                .get("serviceName")
                .filter(|_| !block.tags.contains_key("delete"))
            {
                *owned.entry(owner.clone()).or_default() += 1;
            }
        }
        self.doubled
            .retain(|name, _| owned.get(name).is_some_and(|count| *count > 1));
        for (name, _) in owned.into_iter().filter(|(_, count)| *count > 1) {
            let since = *self.doubled.entry(name.clone()).or_insert(now);
            assert!(!late(since), "{name} has had two blocks for {} s", now - since);
        }
    }
}

async fn storm(config: Value, most: usize, seed: u64) {
    let mut watch = Watch::new(announced_by("kube-vip", Settings::default(), config, seed));
    watch.world.storm();
    let ran = watch.world.run(&["--concurrent-service-syncs=4"]);
    let (mut random, mut made) = (fastrand::Rng::with_seed(seed), 0);
    while made < 200 {
        let alive = watch.alive.len();
        if alive < most && (alive == 0 || random.bool()) {
            watch.make(&format!("s{made}"));
            made += 1;
        } else {
            let name = watch.alive.keys().nth(random.usize(..alive)).unwrap().clone();
            watch.delete(&name);
        }
        let pause = random.u64(..40);
        watch.wait(pause).await;
    }
    watch.wait(IN_TIME * 60 + 5).await;
    let last: Vec<String> = watch.alive.keys().cloned().collect();
    for name in &last {
        assert_eq!(watch.world.ingress(name).len(), 1, "{name}");
        watch.delete(name);
    }
    watch.wait(IN_TIME * 60 + 5).await;
    assert!(watch.going.is_empty() && watch.served == 200, "{:?}", watch.going);
    assert_eq!(
        watch.world.kube.list("services").len(),
        1,
        "the API server's own is left"
    );
    watch.world.until_no_blocks().await;
    println!(
        "200 services on seed {seed}: {} blocks bought, none left; the last to go took {} s",
        watch.world.bought(),
        watch.slowest
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
