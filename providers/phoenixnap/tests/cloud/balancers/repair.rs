//! What others do to blocks in use is noticed while the manager runs, and put right without anybody losing his address.

use std::time::Duration;

use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use super::{Block, OWNER, plain_world, world};
use crate::harness::{Ran, World, minutes};

/// Blocks are looked at every ten minutes.
const NOTICED: Duration = Duration::from_mins(15);

async fn served() -> (World, Ran, Block, Vec<String>) {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let (block, address) = (world.blocks()[0].clone(), world.ingress("web"));
    (world, ran, block, address)
}

fn told(world: &World, reason: &str) -> bool {
    world
        .events()
        .iter()
        .any(|(known, name, _)| known == reason && name == "web")
}

fn change(world: &World, block: &Block, patch: &Value) {
    world.sim.change(Kind::Block, &block.id, patch).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_taken_off_its_network_is_put_back() {
    let (world, _ran, block, address) = served().await;
    change(&world, &block, &json!({"status": "unassigned", "target": null}));
    let back = |world: &World| world.blocks()[0].status == "assigned";
    world.until("it is assigned again", NOTICED, back).await;
    assert_eq!((world.bought(), world.ingress("web")), (1, address));
    assert!(told(&world, "IPBlockDetached"), "{:?}", world.events());
}

#[tokio::test(start_paused = true)]
async fn tags_that_were_removed_are_put_back() {
    for count in 0..3 {
        let (world, _ran, block, address) = served().await;
        let tag = |name: &str, value: &str| json!({"name": name, "value": value});
        let left = &[tag("usage", OWNER), tag("cluster", &world.uid())][..count];
        change(&world, &block, &json!({"tags": left}));
        let back = |world: &World| world.blocks()[0].tags == block.tags;
        world.until("it has its tags again", NOTICED, back).await;
        assert_eq!((world.bought(), world.ingress("web")), (1, address), "{left:?}");
        assert!(told(&world, "IPBlockTagsRestored"), "{:?}", world.events());
        world.delete_service("web");
        world.until_no_blocks().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_tag_of_a_shared_block_is_put_back() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    world.add_service("a", &json!({}));
    world.add_service("b", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["a", "b"]).await;
    let (block, addresses) = (world.blocks()[0].clone(), [world.ingress("a"), world.ingress("b")]);
    change(&world, &block, &json!({"tags": []}));
    let back = |world: &World| world.blocks()[0].tags == block.tags;
    world.until("it has its tags again", NOTICED, back).await;
    assert_eq!(
        (world.bought(), [world.ingress("a"), world.ingress("b")]),
        (1, addresses)
    );
}

#[tokio::test(start_paused = true)]
async fn a_block_that_vanished_is_replaced_and_the_new_address_published() {
    let (world, _ran, block, _) = served().await;
    world.sim.remove(Kind::Block, &block.id).unwrap();
    // Nobody gets the old addresses meanwhile.
    world.add_block(
        &block.cidr,
        "x",
        &json!({"tags": [], "status": "unassigned", "target": null}),
    );
    let published = |world: &World| {
        let own = world
            .blocks()
            .into_iter()
            .find(|block| block.tags.contains_key("serviceName"));
        own.is_some_and(|own| own.cidr != block.cidr && world.ingress("web").iter().any(|ip| inside(&own.cidr, ip)))
    };
    world.until("the new address is published", NOTICED, published).await;
    assert!(told(&world, "IPBlockLost"), "{:?}", world.events());
}

fn inside(cidr: &str, address: &str) -> bool {
    let cidr: cloud_provider::helpers::Cidr = cidr.parse().unwrap();
    cidr.contains(address.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_given_to_another_cluster_is_left_to_it() {
    let (world, _ran, block, address) = served().await;
    let tag = |name: &str, value: &str| json!({"name": name, "value": value});
    change(
        &world,
        &block,
        &json!({"tags": [tag("usage", OWNER), tag("cluster", "another")]}),
    );
    let another = |world: &World| world.ingress("web").len() == 1 && world.ingress("web") != address;
    world.until("it has another address", NOTICED, another).await;
    let theirs = world.blocks().into_iter().find(|one| one.id == block.id).unwrap();
    assert_eq!((theirs.tags["cluster"].as_str(), theirs.tags.len()), ("another", 2));
    world.delete_service("web");
    world
        .until("only theirs is left", NOTICED, |world| world.blocks().len() == 1)
        .await;
}

/// Nothing is bought or released when everything is gone at once: somebody must look.
#[tokio::test(start_paused = true)]
async fn a_network_that_vanished_is_told_and_nothing_else_is_done() {
    let (world, _ran, _, address) = served().await;
    world.sim.remove(Kind::PublicNetwork, &world.public_network()).unwrap();
    let noticed = |world: &World| told(world, "PublicNetworkUnknown");
    world.until("it is told", NOTICED, noticed).await;
    minutes(60).await;
    assert_eq!(
        (world.bought(), world.blocks().len(), world.ingress("web")),
        (1, 1, address)
    );
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_given_to_a_server_is_told_about() {
    let (world, _ran, block, _) = served().await;
    let server = world.add_server("n1", &json!({}));
    change(&world, &block, &json!({"target": {"network": null, "server": server}}));
    world
        .until("it is told", NOTICED, |world| told(world, "IPBlockDrifted"))
        .await;
    let warnings = world.warnings("web");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("is assigned to server and not to a public network")),
        "{warnings:?}"
    );
}
