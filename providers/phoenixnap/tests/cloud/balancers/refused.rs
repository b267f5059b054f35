//! Calls that are refused again and again are made ever more seldom, and told.

use cloud_sim::Fault;
use phoenixnap_sim::{Outcome, Settings};
use serde_json::json;

use super::world;
use crate::harness::{World, minutes};

fn failing() -> World {
    let settings = Settings {
        assigning: Outcome::Error,
        ..Settings::default()
    };
    world(settings, json!({}))
}

/// How many requests other than reads were made to networks and blocks.
fn tries(world: &World) -> usize {
    let requests = world.sim.front().requests();
    let writes = requests
        .iter()
        .filter(|it| it.method != "GET" && it.path.contains("ip-blocks"));
    writes.count()
}

/// The block is in an error, and whoever would withdraw it is told that there is no such thing.
#[tokio::test(start_paused = true)]
async fn a_block_that_can_be_neither_assigned_nor_withdrawn_is_tried_ever_more_seldom() {
    for status in [403, 404] {
        let world = failing();
        let refused = Fault::status(status).body(json!({"message": "not yours"}));
        world.fault(refused.on("DELETE", "/public-networks/").always());
        world.add_service("web", &json!({}));
        let _ran = world.run(&[]);
        minutes(60).await;
        let tried = tries(&world);
        println!("{status}: {tried} tries in an hour");
        assert!((5..=40).contains(&tried), "{status}: {tried}");
        let told = world.warnings("web");
        assert!(
            told.iter()
                .any(|text| text.contains("unable to remove block") && text.contains("not yours")),
            "{told:?}"
        );
        world.sim.front().clear_faults();
        world.sim.set(|settings| settings.assigning = Outcome::Done);
        world.until_served(&["web"]).await;
        assert_eq!((world.bought(), world.blocks().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_takes_no_block_is_tried_ever_more_seldom() {
    let world = failing();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(60).await;
    let tried = tries(&world);
    println!("{tried} tries in an hour");
    assert!((5..=60).contains(&tried), "{tried}");
    assert_eq!(world.bought(), 1);
}

/// Something is refused although the block is there for all to see.
#[tokio::test(start_paused = true)]
async fn a_block_that_may_not_be_given_back_is_tried_ever_more_seldom_and_told() {
    for (method, path) in [
        ("PUT", "/tags$"),
        ("DELETE", "/public-networks/"),
        ("DELETE", "/ips/v1/"),
    ] {
        let world = world(Settings::default(), json!({}));
        world.add_service("web", &json!({}));
        let _ran = world.run(&[]);
        world.until_served(&["web"]).await;
        let before = tries(&world);
        let refused = Fault::status(403).body(json!({"message": "not yours"}));
        world.fault(refused.on(method, path).always());
        world.delete_service("web");
        minutes(60).await;
        let tried = tries(&world) - before;
        println!("{method} {path}: {tried} tries in an hour");
        assert!((5..=45).contains(&tried), "{method} {path}: {tried}");
        let told = world.warnings("web");
        assert!(told.iter().any(|text| text.contains("not yours")), "{told:?}");
        world.sim.front().clear_faults();
        world.until_no_blocks().await;
        minutes(6).await;
        assert!(world.service("web").is_none());
    }
}

/// What is under way for long is asked about once a minute.
#[tokio::test(start_paused = true)]
async fn a_block_that_does_not_move_is_looked_at_less_and_less() {
    let settings = Settings {
        assigning: Outcome::Stuck,
        ..Settings::default()
    };
    let world = world(settings, json!({}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(60).await;
    let looks = world.asked("GET", "/ips/v1/ip-blocks");
    println!("{looks} looks in an hour");
    assert!(looks <= 110, "{looks}");
}
