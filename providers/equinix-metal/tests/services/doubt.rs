//! Lists that lack what is there: nothing is bought, moved or released because of them.

use cloud_sim::Fault;
use serde_json::{Value, json};

use crate::cluster::{CONFIG_MAP, RESOURCES, SOON, addressed, reserved, told, world};
use crate::harness::{World, minutes, seconds};

const RESYNC: &str = "--load-balancer-resync-period=1m";
const LIST: &str = "/projects/.*/ips$";
const ONE: &str = "/ips/[0-9a-f-]+$";

/// From now on lists show these reservations, and no others.
fn lists_show(world: &World, reservations: &[Value]) {
    let body = json!({"ip_addresses": reservations});
    world.fault(Fault::status(200).body(body).on("GET", LIST).always());
}

fn bought(world: &World) -> usize {
    let requests = world.sim.front().requests();
    let bought = requests
        .iter()
        .filter(|one| one.method == "POST" && one.path.ends_with("/ips"));
    bought.filter(|one| one.path.contains("/projects/")).count()
}

/// A Service that has its address, and no manager that remembers it.
async fn served(setting: &str) -> (World, String) {
    let world = world(setting);
    let ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    let address = addressed(&world, "web").await;
    seconds(10).await;
    ran.end().await.unwrap();
    (world, address)
}

fn assert_untouched(world: &World, address: &str, before: &[(String, String)]) {
    assert_eq!((reserved(world).as_slice(), bought(world)), (before, 1));
    assert_eq!(world.ingress("default", "web"), [address]);
    let service = world.service("default", "web").unwrap();
    assert_eq!(service["spec"]["loadBalancerIP"], json!(address));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_moves_no_service_and_hides_nothing_that_is_to_be_released() {
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP] {
        let (world, address) = served(setting).await;
        let before = reserved(&world);
        lists_show(&world, &[]);
        let _ran = world.run(&[RESYNC]);
        minutes(10).await;
        assert_untouched(&world, &address, &before);
        world.kube.delete("services", Some("default"), "web").unwrap();
        let gone = |world: &World| world.service("default", "web").is_none();
        world.until("the service is gone", SOON, gone).await;
        assert!(
            reserved(&world).is_empty(),
            "{setting}: what is not listed is released, too"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_list_does_not_move_a_service_to_a_spare_reservation() {
    let (world, address) = served("kube-vip://").await;
    let used = world
        .sim
        .reservations()
        .into_iter()
        .find(|one| one["address"] == json!(address))
        .unwrap();
    let tags: Vec<&str> = used["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let (spare, _) = world.sim.reserve(&tags).unwrap();
    let shown = world
        .sim
        .reservations()
        .into_iter()
        .find(|one| one["id"] == json!(spare))
        .unwrap();
    lists_show(&world, &[shown]);
    let _ran = world.run(&[RESYNC]);
    minutes(10).await;
    assert_eq!(world.ingress("default", "web"), std::slice::from_ref(&address));
    assert_eq!(
        reserved(&world),
        [(address, used["id"].as_str().unwrap().to_owned())],
        "the spare one went"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_not_gone() {
    // 403 says that the key may not see it, and the list may lack it for the same reason.
    let (world, address) = served(RESOURCES).await;
    let before = reserved(&world);
    lists_show(&world, &[]);
    world.fault(Fault::status(403).on("GET", ONE).always());
    let _ran = world.run(&[RESYNC]);
    minutes(10).await;
    assert_untouched(&world, &address, &before);
    assert!(told(&world, "SyncLoadBalancerFailed"));
    world.kube.delete("services", Some("default"), "web").unwrap();
    minutes(10).await;
    assert!(
        world.service("default", "web").is_some(),
        "there is something left to do"
    );
    assert_eq!(reserved(&world), before);
    world.sim.front().clear_faults();
    let gone = |world: &World| world.service("default", "web").is_none();
    world.until("the service is gone", 3 * SOON, gone).await;
    assert!(reserved(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_somebody_released_is_replaced_once_that_is_certain() {
    let (world, address) = served("kube-vip://").await;
    let mut state = world.sim.state();
    let rows = state["reservations"].as_array_mut().unwrap();
    rows.retain(|one| one["network"] != json!(address));
    world.sim.replace(state).unwrap();
    let _ran = world.run(&[RESYNC]);
    seconds(10).await;
    assert_eq!(
        (bought(&world), world.asked("GET", &reservation(&world))),
        (1, 1),
        "looked at, not believed yet"
    );
    world
        .until("another is reserved", SOON, |world| bought(world) == 2)
        .await;
    minutes(3).await;
    assert_eq!((reserved(&world).len(), bought(&world)), (1, 2));
    assert_eq!(world.ingress("default", "web"), [reserved(&world)[0].0.clone()]);
}

/// The reservation that is noted at the Service.
fn reservation(world: &World) -> String {
    let service = world.service("default", "web").unwrap();
    let noted = &service["metadata"]["annotations"]["metal.equinix.com/eip-reservation"];
    noted.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_address_that_nothing_is_known_about_waits_for_the_list_and_says_so() {
    let (world, address) = served("kube-vip://").await;
    let (before, noted) = (reserved(&world), reservation(&world));
    assert_eq!(noted, before[0].1);
    let mut service = world.service("default", "web").unwrap();
    let annotations = service["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("metal.equinix.com/eip-reservation");
    world.kube.update(service).unwrap();
    lists_show(&world, &[]);
    let _ran = world.run(&[RESYNC]);
    minutes(10).await;
    assert_untouched(&world, &address, &before);
    assert!(told(&world, "AddressInDoubt"), "{:?}", world.events());
    world.sim.front().clear_faults();
    world
        .until("it is noted again", SOON, |world| reservation(world) == noted)
        .await;
    assert_untouched(&world, &address, &before);
}

#[tokio::test(start_paused = true)]
async fn an_address_of_the_users_leaves_no_doubt_behind() {
    let world = world("empty://");
    let _ran = world.run(&[RESYNC]);
    let lab = json!({"metadata": {"annotations": {"metal.equinix.com/eip-address": "10.99.0.1"}}});
    world.add_service("default", "web", &lab);
    assert_eq!(addressed(&world, "web").await, "10.99.0.1");
    world
        .until("it is noted", SOON, |world| reservation(world) == "none")
        .await;
    // Not asked for any more: it gets its own.
    let mut service = world.service("default", "web").unwrap();
    let annotations = service["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("metal.equinix.com/eip-address");
    world.kube.update(service).unwrap();
    world
        .until("it has its own", SOON, |world| {
            let own: Vec<String> = reserved(world).into_iter().map(|one| one.0).collect();
            own.len() == 1 && world.ingress("default", "web") == own
        })
        .await;
    assert_eq!(reservation(&world), reserved(&world)[0].1);
}
