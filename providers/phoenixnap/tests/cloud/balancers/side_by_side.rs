//! Services do not wait for each other's calls.

use std::time::Duration;

use cloud_sim::{Action, Fault};
use phoenixnap_sim::Settings;
use serde_json::json;
use tokio::time::Instant;

use super::{plain_world, world};
use crate::harness::{World, seconds};

/// How long a slow call takes: less than the client gives it.
const SLOW: Duration = Duration::from_secs(25);
const FOUR: &[&str] = &["--concurrent-service-syncs=4"];

fn slow(world: &World, method: &str, path: &str) {
    let ms = u64::try_from(SLOW.as_millis()).unwrap();
    world.fault(Fault::new(Action::Delay { ms }).on(method, path));
}

/// When each of these Services had its address.
async fn served(world: &World, names: &[&str]) -> Vec<Duration> {
    let began = Instant::now();
    let mut took = vec![None; names.len()];
    while took.iter().any(Option::is_none) {
        assert!(began.elapsed() < Duration::from_mins(5), "{took:?}");
        for (name, took) in names.iter().zip(&mut took) {
            if took.is_none() && !world.ingress(name).is_empty() {
                *took = Some(began.elapsed());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn one_slow_call_keeps_nobody_else_waiting() {
    let undisturbed = {
        let world = plain_world();
        world.add_service("a", &json!({}));
        let _ran = world.run(FOUR);
        served(&world, &["a"]).await[0]
    };
    for (method, path) in [
        ("POST", "/ips/v1/ip-blocks$"),
        ("POST", "/public-networks/.*/ip-blocks$"),
        ("GET", "/public-networks/"),
        ("GET", "/ips/v1/ip-blocks$"),
    ] {
        let world = plain_world();
        let ran = world.run(FOUR);
        seconds(30).await;
        slow(&world, method, path);
        let names = ["a", "b", "c", "d"];
        for name in names {
            world.add_service(name, &json!({}));
        }
        let mut took = served(&world, &names).await;
        took.sort();
        println!("one {method} {path} takes {SLOW:?}: {took:.1?}");
        assert!(
            took[2] <= undisturbed + Duration::from_secs(1),
            "{method} {path}: {took:?}"
        );
        assert!(took[3] >= SLOW, "nothing was slow: {took:?}");
        assert_eq!((world.bought(), world.blocks().len()), (4, 4));
        ran.end().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn giving_a_block_back_slowly_keeps_nobody_waiting_either() {
    let world = plain_world();
    world.add_service("old", &json!({}));
    let _ran = world.run(FOUR);
    world.until_served(&["old"]).await;
    slow(&world, "PUT", "/tags$");
    world.delete_service("old");
    seconds(1).await;
    world.add_service("new", &json!({}));
    let took = served(&world, &["new"]).await[0];
    assert!(took < SLOW, "{took:?}");
    assert!(world.service("old").is_some(), "nothing was slow");
    world
        .until("the old one is gone", Duration::from_mins(5), |world| {
            world.service("old").is_none()
        })
        .await;
}

/// The last places of a network are not sold twice, however many buy at the same moment.
#[tokio::test(start_paused = true)]
async fn those_who_buy_at_the_same_moment_buy_no_more_than_the_network_takes() {
    let world = plain_world();
    for n in 0..8 {
        world.add_block(&format!("203.0.113.{}/29", n * 8), "x", &json!({"tags": []}));
    }
    for n in 0..6 {
        world.add_service(&format!("s{n}"), &json!({}));
    }
    let ms = 20_000;
    world.fault(
        Fault::new(Action::Delay { ms })
            .on("POST", "/ips/v1/ip-blocks$")
            .times(2),
    );
    let _ran = world.run(&["--concurrent-service-syncs=6"]);
    seconds(600).await;
    let served = (0..6).filter(|n| world.ingress(&format!("s{n}")).len() == 1).count();
    assert_eq!((world.bought(), served, world.blocks().len()), (2, 2, 10));
}

/// A cloud that takes a minute for a block takes little more for the blocks of many.
#[tokio::test(start_paused = true)]
async fn those_who_do_not_fit_into_one_block_wait_for_several_at_once() {
    let world = world(
        Settings::default(),
        json!({"shareIPBlocks": true, "ipBlockSize": "/30"}),
    );
    let names = ["a", "b", "c", "d"];
    world.add_service(names[0], &json!({}));
    let _ran = world.run(FOUR);
    let one = served(&world, &names[..1]).await[0];
    for name in &names[1..] {
        world.add_service(name, &json!({}));
    }
    let took = served(&world, &names[1..]).await;
    println!("one: {one:?}, three more: {took:?}");
    assert!(
        took.iter().all(|took| *took < 2 * one),
        "{took:?}, where one takes {one:?}"
    );
    assert_eq!((world.bought(), world.blocks().len()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_wants_to_be_left_alone_keeps_nobody_from_an_address_that_is_there() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    world.add_service("a", &json!({}));
    let _ran = world.run(FOUR);
    served(&world, &["a"]).await;
    world.fault(Fault::status(429).header("retry-after", "60").on("GET", ".*").always());
    for name in ["b", "c", "d"] {
        world.add_service(name, &json!({}));
    }
    let took = served(&world, &["b", "c", "d"]).await;
    assert!(took.iter().all(|took| *took < Duration::from_secs(2)), "{took:?}");
    assert_eq!(world.bought(), 1);
}

/// A slow purchase keeps nobody from the next one.
#[tokio::test(start_paused = true)]
async fn those_who_need_a_shared_block_each_buy_at_the_same_time() {
    let world = world(
        Settings::default(),
        json!({"shareIPBlocks": true, "ipBlockSize": "/30"}),
    );
    let ran = world.run(FOUR);
    seconds(30).await;
    let ms = u64::try_from(SLOW.as_millis()).unwrap();
    let purchases = Fault::new(Action::Delay { ms }).on("POST", "/ips/v1/ip-blocks$");
    world.fault(purchases.always());
    let names = ["a", "b", "c"];
    for name in names {
        world.add_service(name, &json!({}));
    }
    let took = served(&world, &names).await;
    assert!(took.iter().all(|took| (SLOW..2 * SLOW).contains(took)), "{took:?}");
    assert_eq!((world.bought(), world.blocks().len()), (3, 3));
    ran.end().await.unwrap();
}

/// The only worker goes on with others, and a wait of a few seconds is nothing to tell anybody.
#[tokio::test(start_paused = true)]
async fn who_is_to_look_again_in_a_moment_keeps_no_worker() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    world.add_block("203.0.113.64/28", "x", &json!({"tags": []}));
    let asks = |address: &str| json!({"spec": {"loadBalancerIP": address}});
    let _ran = world.run(&[]);
    world.add_service("first", &asks("203.0.113.66"));
    world.until_served(&["first"]).await;
    let wait = Fault::status(429).header("retry-after", "4");
    world.fault(wait.on("GET", "/ips/v1/ip-blocks$"));
    world.add_service("waits", &json!({}));
    seconds(2).await;
    world.add_service("asks", &asks("203.0.113.67"));
    seconds(1).await;
    assert_eq!(
        world.ingress("asks"),
        ["203.0.113.67"],
        "it had to wait for the other one"
    );
    assert!(world.ingress("waits").is_empty());
    world.until_served(&["waits"]).await;
    assert!(world.warnings("waits").is_empty(), "{:?}", world.warnings("waits"));
}

#[tokio::test(start_paused = true)]
async fn whose_a_block_is_that_many_ask_for_is_asked_once() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    let id = world.add_block("203.0.113.64/28", "x", &json!({"tags": []}));
    let _ran = world.run(FOUR);
    seconds(30).await;
    let names = ["a", "b", "c", "d"];
    for (n, name) in names.iter().enumerate() {
        let address = format!("203.0.113.{}", 66 + n);
        world.add_service(name, &json!({"spec": {"loadBalancerIP": address}}));
    }
    served(&world, &names).await;
    assert_eq!(world.asked("GET", &format!("/ips/v1/ip-blocks/{id}")), 1);
    assert_eq!(world.bought(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_share_a_block_buy_one_together() {
    let world = world(Settings::default(), json!({"shareIPBlocks": true}));
    let names = ["a", "b", "c", "d"];
    for name in names {
        world.add_service(name, &json!({}));
    }
    slow(&world, "POST", "/ips/v1/ip-blocks$");
    let _ran = world.run(FOUR);
    let took = served(&world, &names).await;
    assert!(took.iter().all(|took| *took >= SLOW), "{took:?}");
    assert_eq!((world.bought(), world.blocks().len()), (1, 1));
    let assigned = world.sim.front().requests();
    let assigned = assigned
        .iter()
        .filter(|it| it.method == "POST" && it.path.contains("/public-networks/"));
    assert_eq!(assigned.count(), 1, "four of them assigned it");
}
