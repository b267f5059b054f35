//! What the original gets wrong, one by one, as far as Services are concerned.

use cloud_sim::{Action, Fault};
use equinix_metal_sim::{Oddity, OddityKind, Settings};
use serde_json::json;

use crate::cluster::{RESOURCES, SOON, addressed, reserved, told, without_machines, world};
use crate::harness::{World, minutes, seconds};

#[tokio::test(start_paused = true)]
async fn a_reservation_of_a_vrf_is_passed_over() {
    let world = without_machines(Settings::default(), RESOURCES);
    world.add_machines(1);
    world.sim.reserve(&["mine"]).unwrap();
    let mut state = world.sim.state();
    let table = state["reservations"].as_array_mut().unwrap();
    let mut vrf = table.iter().find(|one| one["tags"] == json!(["mine"])).unwrap().clone();
    vrf["id"] = json!("11111111-2222-3333-4444-555555555555");
    vrf["type"] = json!("vrf");
    vrf["network"] = json!("10.200.0.0");
    table.insert(0, vrf);
    world.sim.replace(state).unwrap();
    let _ran = world.run(&[]);
    // By the tag that both have: the VRF's address is not the one that is meant.
    let more = json!({"metadata": {"annotations": {"metal.equinix.com/eip-tag": "mine"}}});
    world.add_service("default", "web", &more);
    assert_ne!(addressed(&world, "web").await, "10.200.0.0");
}

#[tokio::test(start_paused = true)]
async fn null_fields_and_words_nobody_heard_of_are_no_disaster() {
    for kind in [OddityKind::NullFields, OddityKind::UnknownEnum] {
        let settings = Settings {
            oddities: vec![Oddity {
                kind,
                path: Some("/ips$|/bgp".to_owned()),
            }],
            ..Settings::default()
        };
        let world = without_machines(settings, "kube-vip://");
        world.add_machines(1);
        let _ran = world.run(&[]);
        world.add_service("default", "web", &json!({}));
        minutes(3).await;
        world.sim.set(|settings| settings.oddities.clear());
        addressed(&world, "web").await;
        seconds(10).await;
        assert_eq!(reserved(&world).len(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_reserves_nothing_twice() {
    for action in [Action::DropAfter, Action::Truncate { bytes: Some(3) }] {
        let world = world(RESOURCES);
        let _ran = world.run(&[]);
        world.until_initialised(2).await;
        world.fault(Fault::new(action).on("POST", "/projects/.*/ips$"));
        world.add_service("default", "web", &json!({}));
        addressed(&world, "web").await;
        assert_eq!(reserved(&world).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_lag_behind_leave_no_second_reservation() {
    let settings = Settings {
        list_lag: std::time::Duration::from_secs(20),
        ..Settings::default()
    };
    let world = without_machines(settings, "kube-vip://");
    world.add_machines(1);
    let _ran = world.run(&["--load-balancer-resync-period=1m"]);
    world.until_initialised(1).await;
    world.fault(Fault::new(Action::DropAfter).on("POST", "/projects/.*/ips$"));
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    minutes(5).await;
    assert_eq!(reserved(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_reservation_goes_last_so_that_nothing_else_is_left() {
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    seconds(5).await;
    world.fault(Fault::status(500).on("DELETE", "/ips/").times(20));
    world.kube.delete("services", Some("default"), "web").unwrap();
    world
        .until("it is told", SOON, |world| told(world, "SyncLoadBalancerFailed"))
        .await;
    let service = world.service("default", "web").unwrap();
    assert!(
        !service["metadata"]["finalizers"].as_array().unwrap().is_empty(),
        "there is something left to do"
    );
    let gone = |world: &World| world.service("default", "web").is_none();
    world.until("the service is gone", 10 * SOON, gone).await;
    assert!(reserved(&world).is_empty());
    assert!(crate::cluster::metallb(&world, "ipaddresspools").is_empty());
}

#[tokio::test(start_paused = true)]
async fn bgp_is_not_enabled_because_asking_failed_nor_where_nobody_needs_it() {
    let world = world("kube-vip://");
    world.fault(Fault::status(500).on("GET", "/bgp-config$").times(20));
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    minutes(1).await;
    assert_eq!(
        world.asked("GET", "/bgp-config") + world.asked("POST", "/bgp-configs"),
        0,
        "no Service needs it"
    );
    world.add_service("default", "web", &json!({}));
    world
        .until("it is told", SOON, |world| told(world, "SyncLoadBalancerFailed"))
        .await;
    assert_eq!(world.asked("POST", "/bgp-configs"), 0);
    assert!(reserved(&world).is_empty(), "nothing is paid for that cannot be used");
    let has_address = |world: &World| !world.ingress("default", "web").is_empty();
    world.until("the service has an address", 10 * SOON, has_address).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_stops_nobody() {
    // The process died of the first answer that did not come.
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    world.fault(Fault::new(Action::DropBefore).always());
    world.add_service("default", "web", &json!({}));
    minutes(20).await;
    world.sim.front().clear_faults();
    world
        .until("the service has an address", 4 * SOON, |world| {
            !world.ingress("default", "web").is_empty()
        })
        .await;
    assert_eq!(reserved(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_reservations_than_a_page_has_are_found() {
    let settings = Settings {
        page_limit: Some(3),
        ..Settings::default()
    };
    let world = without_machines(settings, "kube-vip://");
    world.add_machines(1);
    for n in 0..10 {
        world.sim.reserve(&[&format!("other-{n}")]).unwrap();
    }
    let ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    let address = addressed(&world, "web").await;
    ran.end().await.unwrap();
    let _ran = world.run(&["--load-balancer-resync-period=1m"]);
    minutes(5).await;
    assert_eq!(
        reserved(&world).into_iter().map(|one| one.0).collect::<Vec<_>>(),
        [address]
    );
}
