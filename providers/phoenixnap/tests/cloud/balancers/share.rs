//! Several Services on one block.

use std::collections::BTreeSet;

use phoenixnap_sim::Settings;
use serde_json::json;

use super::world;
use crate::harness::minutes;

#[tokio::test(start_paused = true)]
async fn twelve_services_fit_on_three_blocks_and_give_them_back() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
    for name in &names {
        world.add_service(name, &json!({}));
    }
    let _ran = world.run(&["--concurrent-service-syncs=4"]);
    world
        .until_served(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let addresses: BTreeSet<String> = names.iter().flat_map(|name| world.ingress(name)).collect();
    assert_eq!((addresses.len(), world.blocks().len(), world.bought()), (12, 3, 3));
    // A block goes with its last Service.
    for name in &names[..11] {
        world.delete_service(name);
    }
    minutes(15).await;
    assert_eq!((world.blocks().len(), world.ingress("s11").len()), (1, 1));
    world.delete_service("s11");
    world.until_no_blocks().await;
    minutes(2).await;
    assert!(names.iter().all(|name| world.service(name).is_none()));
}

#[tokio::test(start_paused = true)]
async fn sharing_can_be_switched_on_and_off_without_anybody_losing_his_address() {
    let mut world = world(Settings::default(), json!({}));
    world.add_service("own", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["own"]).await;
    ran.end().await.unwrap();
    world.configure(json!({"shareIPBlocks": true, "ipBlockSize": "/28"}));
    let ran = world.run(&[]);
    world.add_service("shared", &json!({}));
    world.until_served(&["shared"]).await;
    ran.end().await.unwrap();
    world.configure(json!({"shareIPBlocks": false}));
    let before = [world.ingress("own"), world.ingress("shared")];
    let _ran = world.run(&[]);
    minutes(30).await;
    assert_eq!([world.ingress("own"), world.ingress("shared")], before);
    let sizes: BTreeSet<String> = world
        .blocks()
        .iter()
        .map(|block| block.cidr[block.cidr.len() - 3..].to_owned())
        .collect();
    assert_eq!((sizes, world.bought()), (["/28", "/29"].map(str::to_owned).into(), 2));
    world.delete_service("shared");
    world.delete_service("own");
    world.until_no_blocks().await;
}

#[tokio::test(start_paused = true)]
async fn a_shared_block_that_nobody_came_to_use_is_given_back() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    world.add_service("web", &json!({}));
    let ran = world.run(&[]);
    world
        .until("bought", std::time::Duration::from_mins(2), |world| world.bought() == 1)
        .await;
    world.delete_service("web");
    minutes(2).await;
    ran.end().await.unwrap();
    let _ran = world.run(&[]);
    world.until_no_blocks().await;
}
