//! A Service gets its address, keeps it, and gives it back.

use phoenixnap::ANNOTATION_ASSIGNED;
use phoenixnap_sim::Settings;
use serde_json::{Value, json};

use super::{OWNER, plain_world, world};
use crate::harness::{minutes, seconds};

/// I.1 1: the original writes an empty address first.
#[tokio::test(start_paused = true)]
async fn the_first_status_is_the_right_one() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    let mut seen: Vec<Vec<String>> = Vec::new();
    for _ in 0..600 {
        seconds(1).await;
        let now = world.ingress("web");
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let address = seen.last().unwrap()[0].clone();
    assert!(
        seen.len() <= 2 && seen[..seen.len() - 1].iter().all(Vec::is_empty),
        "{seen:?}"
    );
    let blocks = world.blocks();
    assert_eq!(
        (blocks.len(), world.bought(), blocks[0].status.as_str()),
        (1, 1, "assigned")
    );
    let (network, bits) = blocks[0].cidr.split_once('/').unwrap();
    let third = u32::from(network.parse::<std::net::Ipv4Addr>().unwrap()) + 2;
    assert_eq!(
        (std::net::Ipv4Addr::from(third).to_string(), bits),
        (address.clone(), "29")
    );
    let said: Vec<(&str, &str)> = blocks[0]
        .tags
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let uid = world.uid();
    let expected = [
        ("cluster", uid.as_str()),
        ("serviceName", "web"),
        ("serviceNamespace", "default"),
        ("usage", OWNER),
    ];
    assert_eq!(said, expected);
    let service = world.service("web").unwrap();
    assert_eq!(service["spec"]["loadBalancerIP"], address);
    assert_eq!(
        service["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"],
        address
    );
    assert_eq!(service["metadata"]["annotations"][ANNOTATION_ASSIGNED], address);
    assert_eq!(world.warnings("web"), Vec::<String>::new());
}

/// I.1 10: the original says that it is done while the block still costs money.
#[tokio::test(start_paused = true)]
async fn a_service_stays_until_its_block_is_given_back() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    world.delete_service("web");
    for _ in 0..600 {
        seconds(1).await;
        if world.service("web").is_none() {
            break;
        }
    }
    assert!(world.service("web").is_none());
    assert_eq!(world.blocks(), []);
    assert_eq!(world.warnings("web"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_changed_and_changed_back_ends_with_one_block() {
    let world = plain_world();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    world.change_service("web", &json!({"spec": {"type": "ClusterIP"}}));
    world.until_no_blocks().await;
    minutes(1).await;
    let service = world.service("web").unwrap();
    assert_eq!(service["spec"].get("loadBalancerIP"), None);
    let left = service["metadata"]["annotations"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty);
    assert!(left && world.ingress("web").is_empty(), "{service}");
    world.change_service("web", &json!({"spec": {"type": "LoadBalancer"}}));
    world.until_served(&["web"]).await;
    // Away and back in a second: the old block goes, and there is another.
    world.change_service("web", &json!({"spec": {"type": "ClusterIP"}}));
    seconds(1).await;
    world.change_service("web", &json!({"spec": {"type": "LoadBalancer"}}));
    minutes(15).await;
    assert_eq!((world.blocks().len(), world.ingress("web").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_original_left_is_adopted() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "web", &json!({}));
    world.add_service(
        "web",
        &json!({"spec": {"loadBalancerIP": "203.0.113.66"}, "status": {"loadBalancer": {"ingress": [{"ip": ""}]}}}),
    );
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    minutes(2).await;
    assert_eq!(
        (world.ingress("web"), world.bought()),
        (vec!["203.0.113.66".to_owned()], 0)
    );
    world.delete_service("web");
    world.until_no_blocks().await;
    minutes(1).await;
    assert!(world.service("web").is_none());
}

/// I.1 9: more than one block is a permanent error in the original.
#[tokio::test(start_paused = true)]
async fn of_two_blocks_the_one_in_use_is_kept_and_the_other_given_back() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "web", &json!({"created": "2026-01-01T00:00:00Z"}));
    let kept = world.add_block("203.0.113.72/29", "web", &json!({"created": "2026-01-01T00:01:00Z"}));
    world.add_service("web", &json!({"spec": {"loadBalancerIP": "203.0.113.74"}}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    minutes(15).await;
    let left: Vec<String> = world.blocks().into_iter().map(|block| block.id).collect();
    assert_eq!(
        (left, world.ingress("web")),
        (vec![kept], vec!["203.0.113.74".to_owned()])
    );
}

/// I.1 2: the original takes the first block off the network again and again.
#[tokio::test(start_paused = true)]
async fn marked_blocks_are_given_back_each_from_its_own_network() {
    let world = plain_world();
    let other = json!({"name": "other", "location": "ASH"});
    let other = world.sim.add(phoenixnap_sim::Kind::PublicNetwork, other).unwrap();
    let marked = |world: &crate::harness::World| {
        let tag = |name: &str, value: &str| json!({"name": name, "value": value});
        json!({"tags": [tag("usage", OWNER), tag("cluster", &world.uid()), tag("delete", "true")]})
    };
    for (n, more) in [
        json!({}),
        json!({"status": "error unassigning"}),
        json!({"target": {"network": other}}),
        json!({"status": "unassigned", "target": Value::Null}),
    ]
    .iter()
    .enumerate()
    {
        let mut block = marked(&world);
        crate::harness::merge(&mut block, more);
        world.add_block(&format!("203.0.113.{}/29", n * 8), "gone", &block);
    }
    let foreign = json!({"tags": [{"name": "delete", "value": "true"}], "status": "unassigned", "target": null});
    let foreign = world.add_block("203.0.113.128/29", "x", &foreign);
    let _ran = world.run(&[]);
    minutes(5).await;
    let left: Vec<String> = world.blocks().into_iter().map(|block| block.id).collect();
    assert_eq!(left, [foreign]);
}

/// A network takes ten blocks: told before anything is bought.
#[tokio::test(start_paused = true)]
async fn the_eleventh_service_is_told_why_it_has_to_wait_and_served_when_there_is_room() {
    let world = world(
        Settings {
            busy_networks_refuse: true,
            ..Settings::default()
        },
        json!({}),
    );
    let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    for name in &names {
        world.add_service(name, &json!({}));
    }
    let _ran = world.run(&[]);
    world
        .until_served(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    world.add_service("late", &json!({}));
    minutes(15).await;
    assert_eq!((world.bought(), world.ingress("late").len()), (10, 0));
    let warnings = world.warnings("late");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("has 10 IP blocks, and takes 10")),
        "{warnings:?}"
    );
    world.delete_service("s3");
    world.until_served(&["late"]).await;
    assert_eq!(world.bought(), 11);
}

/// I.1 7: the original buys a block, and leaks it.
#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_had_buys_nothing() {
    let world = plain_world();
    world.add_service("web", &json!({"spec": {"loadBalancerIP": "198.51.100.7"}}));
    let _ran = world.run(&[]);
    minutes(5).await;
    assert_eq!((world.bought(), world.ingress("web").len()), (0, 0));
    let warnings = world.warnings("web");
    assert!(
        warnings.iter().any(|text| text.contains("has no IP block with it")),
        "{warnings:?}"
    );
    // Once the network has it, it is used, and it is not ours to give back.
    let brought = json!({"tags": []});
    world.add_block("198.51.100.0/28", "x", &brought);
    world.until_served(&["web"]).await;
    world.delete_service("web");
    minutes(5).await;
    assert!(world.service("web").is_none());
    assert_eq!(world.blocks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_a_member_of_the_network_has_is_passed_over() {
    let world = plain_world();
    let network = world.public_network();
    world.add_block("203.0.113.64/29", "web", &json!({}));
    let ips = json!({"public_networks": [{"id": network, "ips": ["203.0.113.66"]}]});
    world.add_server("n1", &ips);
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    assert_eq!(world.ingress("web"), ["203.0.113.67"]);
}

#[tokio::test(start_paused = true)]
async fn without_load_balancers_services_are_left_alone() {
    let world = crate::harness::World::new();
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(5).await;
    assert!(world.ingress("web").is_empty());
    assert_eq!(world.service("web").unwrap()["metadata"].get("finalizers"), None);
}

/// A steady cluster costs little: what is looked at is looked at seldom.
#[tokio::test(start_paused = true)]
async fn services_that_have_their_addresses_cost_twelve_requests_an_hour() {
    let world = plain_world();
    for n in 0..5 {
        world.add_service(&format!("s{n}"), &json!({}));
    }
    let _ran = world.run(&[]);
    world.until_served(&["s0", "s1", "s2", "s3", "s4"]).await;
    minutes(15).await;
    let asked = || {
        let requests = world.sim.front().requests();
        let about = |path: &str| path.contains("ip-blocks") || path.contains("public-networks");
        requests.iter().filter(|it| about(&it.path)).count()
    };
    let before = asked();
    minutes(60).await;
    let hourly = asked() - before;
    println!("5 services: {hourly} requests about blocks and networks an hour");
    assert!(hourly <= 14, "{hourly}");
}

/// Whoever reads the annotation and whoever reads the spec must announce the same address.
#[tokio::test(start_paused = true)]
async fn an_address_that_is_changed_in_the_spec_is_changed_everywhere() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "web", &json!({}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    assert_eq!(world.ingress("web"), ["203.0.113.66"]);
    world.change_service("web", &json!({"spec": {"loadBalancerIP": "203.0.113.68"}}));
    minutes(2).await;
    let annotation = |name: &str| world.service("web").unwrap()["metadata"]["annotations"][name].clone();
    assert_eq!(world.ingress("web"), ["203.0.113.68"]);
    assert_eq!(annotation("kube-vip.io/loadbalancerIPs"), "203.0.113.68");
    assert_eq!(annotation(ANNOTATION_ASSIGNED), "203.0.113.68");
    world.change_service("web", &json!({"spec": {"type": "ClusterIP"}}));
    world.until_no_blocks().await;
    minutes(1).await;
    assert_eq!(annotation("kube-vip.io/loadbalancerIPs"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_wish_for_the_address_of_another_takes_nothing_away() {
    let world = crate::balancers::world(Settings::default(), json!({"shareIPBlocks": true}));
    world.add_service("holder", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["holder"]).await;
    let address = world.ingress("holder");
    world.add_service("envious", &json!({"spec": {"loadBalancerIP": address[0]}}));
    minutes(2).await;
    ran.end().await.unwrap();
    // Everything is ensured once more.
    let _ran = world.run(&[]);
    minutes(10).await;
    assert_eq!((world.ingress("holder"), world.ingress("envious").len()), (address, 0));
    let warnings = world.warnings("envious");
    assert!(
        warnings.iter().any(|text| text.contains("another service has it")),
        "{warnings:?}"
    );
}

/// What waits for ever must not do so in silence.
#[tokio::test(start_paused = true)]
async fn a_block_that_does_not_move_is_told_after_a_while() {
    let stuck = Settings {
        assigning: phoenixnap_sim::Outcome::Stuck,
        ..Settings::default()
    };
    let world = world(stuck, json!({}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(20).await;
    let told = world
        .events()
        .into_iter()
        .find(|(reason, ..)| reason == "IPBlockPending");
    assert!(
        told.is_some_and(|(_, _, text)| text.contains("is assigning")),
        "{:?}",
        world.events()
    );
}
