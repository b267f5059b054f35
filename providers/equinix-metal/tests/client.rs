//! The client against the simulated API: every endpoint, and what the API does that a client must bear.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod harness;

use std::time::Duration;

use cloud_sim::{Action, Fault};
use equinix_metal::client::emlb::NewOrigin;
use equinix_metal::client::{Assignments, BgpRequest, Device, MetalClient, MetalResult, ReservationRequest};
use equinix_metal::config::EMLB_LOCATIONS;
use equinix_metal_sim::{Oddity, OddityKind, Settings};
use harness::World;
use http::StatusCode;
use kit::Class;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

/// The provider of EMLB load balancers.
const EMLB: &str = "loadpvd-gOB_-byp5ebFo7A3LHv2B";

fn client(world: &World) -> MetalClient {
    world.cloud().client().clone()
}

/// All devices of the project.
async fn devices(client: &MetalClient) -> MetalResult<Vec<Device>> {
    let mut devices = Vec::new();
    client.each_device(|device| devices.push(device)).await?;
    Ok(devices)
}

fn request(tags: &[&str]) -> ReservationRequest {
    ReservationRequest {
        kind: "public_ipv4".to_owned(),
        quantity: 1,
        metro: Some("da".to_owned()),
        fail_on_approval_required: true,
        details: "for a test".to_owned(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..ReservationRequest::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_is_reserved_assigned_taken_back_and_released() {
    let world = World::new();
    let (client, device) = (client(&world), world.sim.add_device("n1"));
    let made = client.reserve(&request(&["service=a b/+=", "x"])).await.unwrap();
    assert_eq!(made.kind, "public_ipv4");
    assert_eq!(made.tags, ["service=a b/+=", "x"]);
    let assignment = client.assign(&device, &made.address).await.unwrap();
    assert_eq!(assignment.assigned_to.id(), device);
    let listed = client.reservations(Assignments::Included).await.unwrap();
    let found = listed.iter().find(|it| it.id == made.id).unwrap();
    assert_eq!(found.assignments[0].assigned_to.id(), device);
    assert_eq!(found.assignments[0].id(), assignment.id());
    let listed = client.reservations(Assignments::Links).await.unwrap();
    let found = listed.iter().find(|it| it.id == made.id).unwrap();
    assert_eq!(found.assignments[0].id(), assignment.id(), "from the link");
    assert_eq!(client.reservation(&made.id).await.unwrap().address, made.address);
    let shown = client.device(&device).await.unwrap();
    assert!(
        shown
            .ip_addresses
            .iter()
            .any(|ip| ip.address == made.address && !ip.management)
    );
    for _ in 0..2 {
        client.unassign(assignment.id()).await.unwrap();
    }
    for _ in 0..2 {
        client.release(&made.id).await.unwrap();
    }
    assert!(client.reservation(&made.id).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn the_blocks_of_addresses_come_only_when_asked_for() {
    let world = World::new();
    let (client, id) = (client(&world), world.sim.add_device("n1"));
    let network = |device: &equinix_metal::client::Device| {
        let private = device.ip_addresses.iter().find(|ip| !ip.public).unwrap();
        private.parent_block.network.clone()
    };
    assert_eq!(network(&client.device(&id).await.unwrap()), "");
    let with = client.device_with_blocks(&id).await.unwrap();
    assert_ne!(network(&with), "");
    let all = client.devices_with_blocks().await.unwrap();
    assert_eq!(network(&all[0]), network(&with));
}

#[tokio::test(start_paused = true)]
async fn bgp_is_enabled_once_and_sessions_are_found_again() {
    let world = World::new();
    let (client, device) = (client(&world), world.sim.add_device("n1"));
    assert!(!client.bgp_config().await.unwrap().is_enabled());
    let md5 = SecretString::from("Planted0BgpPass9");
    let request = BgpRequest {
        asn: 64512,
        md5: Some(md5.clone()),
        use_case: "kubernetes-load-balancer".to_owned(),
    };
    client.enable_bgp(&request).await.unwrap();
    let config = client.bgp_config().await.unwrap();
    assert!(config.is_enabled());
    assert_eq!(config.asn, 64512);
    assert_eq!(config.md5.as_ref().unwrap().expose_secret(), md5.expose_secret());
    let refused = Some(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(client.enable_bgp(&request).await.unwrap_err().status(), refused);
    let session = client.create_bgp_session(&device, "ipv4").await.unwrap();
    let again = client.create_bgp_session(&device, "ipv4").await;
    assert_eq!(again.unwrap_err().status(), refused);
    assert_eq!(client.bgp_sessions(&device).await.unwrap()[0].id, session.id);
    assert_eq!(client.project_bgp_sessions().await.unwrap()[0].device.id(), device);
    let neighbor = client.bgp_neighbors(&device).await.unwrap().remove(0);
    assert_eq!(
        (neighbor.address_family, neighbor.customer_as, neighbor.peer_as),
        (4, 64512, 65530)
    );
    assert_eq!(neighbor.peer_ips, ["169.254.255.1", "169.254.255.2"]);
    let told = format!("{config:?} {neighbor:?} {request:?}");
    assert!(!told.contains(md5.expose_secret()), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_is_put_together_and_taken_apart() {
    let world = World::new();
    let client = client(&world);
    let emlb = client.emlb();
    let location = EMLB_LOCATIONS[0].1;
    let id = emlb.create_load_balancer("lb", location, EMLB).await.unwrap();
    let pool = emlb.create_pool("lb-pool-80", "tcp").await.unwrap();
    let origin = NewOrigin {
        name: "lb-pool-80-origin-0".to_owned(),
        target: "198.51.100.1".to_owned(),
        port_number: 30080,
    };
    let origin = emlb.create_origin(&pool, &origin).await.unwrap();
    let port = emlb.create_port(&id, "lb-port-80", 80, &[&pool]).await.unwrap();
    harness::seconds(10).await;
    let made = emlb.load_balancer(&id).await.unwrap();
    assert_eq!((made.name.as_str(), made.ips.len()), ("lb", 1));
    assert_eq!(
        (made.ports[0].number, made.pools[0][0].id.as_str()),
        (80, pool.as_str())
    );
    assert_eq!(emlb.load_balancers().await.unwrap().len(), 1);
    assert_eq!(made.ports[0].id, port);
    assert_eq!(emlb.pools().await.unwrap()[0].name, "lb-pool-80");
    assert_eq!(emlb.origins(&pool).await.unwrap()[0].id, origin);
    let other = emlb.create_pool("other", "tcp").await.unwrap();
    emlb.change_port_pools(&port, &[&other], &[&pool]).await.unwrap();
    let changed = emlb.load_balancer(&id).await.unwrap();
    assert_eq!(changed.ports[0].pool_ids, [other.as_str()]);
    for _ in 0..2 {
        emlb.delete_origin(&origin).await.unwrap();
        emlb.delete_port(&port).await.unwrap();
        emlb.delete_pool(&pool).await.unwrap();
        emlb.delete_pool(&other).await.unwrap();
        emlb.delete_load_balancer(&id).await.unwrap();
    }
    assert!(emlb.load_balancer(&id).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_bought_once_for_all_and_again_when_it_ends_or_is_refused() {
    let world = World::new();
    let (cloud, bought) = (world.cloud(), || world.asked("POST", "/api-keys/exchange"));
    let list = || async { cloud.client().emlb().load_balancers().await.unwrap() };
    futures::future::join_all((0..20).map(|_| list())).await;
    assert_eq!(bought(), 1, "twenty at once buy one");
    harness::minutes(58).await;
    list().await;
    assert_eq!(bought(), 1);
    harness::minutes(2).await;
    list().await;
    assert_eq!(bought(), 2, "a new one before the old one ends");
    world.fault(Fault::status(401).on("GET", "/loadbalancers$"));
    list().await;
    assert_eq!(bought(), 3, "a refused one is replaced once");
    world.fault(Fault::status(401).on("POST", "/api-keys/exchange").times(100));
    harness::minutes(70).await;
    let error = cloud.client().emlb().load_balancers().await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_their_end() {
    let world = World::with(
        Settings {
            page_limit: Some(3),
            ..Settings::default()
        },
        json!({}),
    );
    for n in 0..8 {
        world.sim.reserve(&[&format!("n={n}")]).unwrap();
    }
    let listed = client(&world).reservations(Assignments::Links).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .filter(|it| it.tags.iter().any(|tag| tag.starts_with("n=")))
            .count(),
        8
    );
    assert_eq!(world.asked("GET", "/ips"), 3);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_reservations_at_about_the_same_time_shares_a_list() {
    let world = World::new();
    let client = client(&world);
    let list = || async { client.reservations(Assignments::Links).await.unwrap().len() };
    futures::future::join_all((0..100).map(|_| list())).await;
    assert_eq!(world.asked("GET", "/ips"), 1);
    let before = list().await;
    world.sim.reserve(&["somebody else's"]).unwrap();
    harness::seconds(4).await;
    assert_eq!(list().await, before + 1, "an old list is not believed");
    assert_eq!(world.asked("GET", "/ips"), 2);
    world.sim.reserve(&["another one"]).unwrap();
    let now = client.reservations(Assignments::Included).await.unwrap();
    assert_eq!(now.len(), before + 2, "who wants assignments does not get an old list");
}

#[tokio::test(start_paused = true)]
async fn what_this_client_did_shows_at_once_although_lists_are_late() {
    let settings = Settings {
        list_lag: Duration::from_secs(20),
        ..Settings::default()
    };
    let world = World::with(settings, json!({}));
    let client = client(&world);
    let shown = async |id: &str| {
        let listed = client.reservations(Assignments::Links).await.unwrap();
        listed.iter().filter(|it| it.id == id).count()
    };
    assert_eq!(shown("none").await, 0);
    let made = client.reserve(&request(&["x"])).await.unwrap();
    // The shared list, one that is late, and one that shows it.
    for pause in [0, 5, 60, 180] {
        harness::seconds(pause).await;
        assert_eq!(shown(&made.id).await, 1, "{pause} s later");
    }
    client.release(&made.id).await.unwrap();
    for pause in [0, 5, 60, 180] {
        harness::seconds(pause).await;
        assert_eq!(shown(&made.id).await, 0, "{pause} s later");
    }
}

#[tokio::test(start_paused = true)]
async fn reservations_of_vrfs_and_of_kinds_to_come_are_read() {
    let world = World::new();
    let body = json!({"ip_addresses": [
        {"id": "v", "type": "vrf", "vrf": {"id": "x"}, "address_family": 4, "cidr": 24, "network": "10.9.0.0",
         "netmask": null, "gateway": null, "state": "created", "tags": null, "created_by": {"href": "/x"}},
        {"id": "n", "type": "brand_new", "what": [1], "address": null, "assignments": null, "metro": null},
        {"id": "p", "type": "public_ipv4", "address": "192.0.2.1", "tags": ["a"], "assignments": [{"href": "/metal/v1/ips/q"}]},
    ], "meta": {"last_page": null, "current_page": null, "next": null}});
    world.fault(Fault::status(200).body(body).on("GET", "/ips$"));
    let listed = client(&world).reservations(Assignments::Links).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed[0].is_vrf() && !listed[1].is_vrf() && listed[0].tags.is_empty());
    assert_eq!(listed[2].assignments[0].id(), "q");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_its_list_is_not_an_empty_list() {
    let world = World::new();
    for body in [
        json!({}),
        json!({"errors": []}),
        json!([]),
        json!(null),
        json!({"ip_addresses": 5}),
    ] {
        world.fault(Fault::status(200).body(body.clone()).on("GET", "/ips$").times(10));
        let error = client(&world).reservations(Assignments::Links).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{body}");
        world.sim.front().clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_ends() {
    let world = World::new();
    let body = json!({"devices": [{"id": "a"}], "meta": {"current_page": 1, "last_page": 4_000_000_000_u32}});
    world.fault(Fault::status(200).body(body).on("GET", "/devices$").times(1_000_000));
    let error = devices(&client(&world)).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(world.sent() <= 1000, "{}", world.sent());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_whose_answer_was_lost_is_not_made_again_blindly() {
    let world = World::new();
    for fault in [
        Fault::new(Action::DropAfter),
        Fault::status(500).after(),
        Fault::status(504).after(),
    ] {
        let before = world.sim.reservations().len();
        world.fault(fault.on("POST", "/ips$"));
        let error = client(&world).reserve(&request(&["x"])).await.unwrap_err();
        assert!(error.is_ambiguous(), "{error}");
        assert_eq!(world.sim.reservations().len(), before + 1, "{error}");
    }
    // What was certainly not done is done again.
    let before = world.sim.reservations().len();
    world.fault(Fault::status(429).on("POST", "/ips$").times(2));
    client(&world).reserve(&request(&["x"])).await.unwrap();
    assert_eq!(world.sim.reservations().len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_hangs_is_given_up_on() {
    let world = World::new();
    world.fault(Fault::new(Action::Hang).times(1000));
    let (client, began) = (client(&world), tokio::time::Instant::now());
    let error = devices(&client).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    assert!(began.elapsed() < Duration::from_mins(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nulls_everywhere_break_nothing() {
    let oddities = vec![Oddity {
        kind: OddityKind::NullFields,
        path: None,
    }];
    let world = World::with(
        Settings {
            oddities,
            ..Settings::default()
        },
        json!({}),
    );
    let (client, device) = (client(&world), world.sim.add_device("n1"));
    world.sim.reserve(&["x"]).unwrap();
    assert_eq!(devices(&client).await.unwrap()[0].plan.slug, "");
    assert!(client.reservations(Assignments::Included).await.is_ok());
    assert!(!client.bgp_config().await.unwrap().is_enabled());
    assert!(client.bgp_neighbors(&device).await.unwrap().is_empty());
    // Without a token there is nothing to log in with: an error, and no panic.
    assert!(client.emlb().load_balancers().await.is_err());
}
