//! The Elastic IP of the control plane on its way from one node to another.

use cloud_sim::Fault;
use equinix_metal_sim::OTHER_PROJECT_ID;
use serde_json::json;

use crate::cluster::{SOON, told};
use crate::control_plane::{Plane, control_plane, plane};
use crate::harness::{World, merge, minutes, seconds};

/// Waits until all is quiet: the device that has the address.
async fn settled(plane: &Plane) -> String {
    let first = plane.until_held().await;
    plane.world.until_initialised(3).await;
    seconds(20).await;
    first
}

/// How often an address was taken away from a device.
fn taken_away(world: &World) -> usize {
    let requests = world.sim.front().requests();
    requests
        .iter()
        .filter(|one| one.method == "DELETE" && one.path.contains("/ips/"))
        .count()
}

fn refuses(plane: &Plane, device: &str) {
    let refusal = Fault::status(422).body("{\"errors\":[\"no\"]}");
    let path = format!("/devices/{device}/ips$");
    plane.world.fault(refusal.on("POST", &path).always());
}

fn others<'a>(plane: &'a Plane, first: &'a str) -> impl Iterator<Item = &'a String> {
    plane.devices.iter().filter(move |id| *id != first)
}

#[tokio::test(start_paused = true)]
async fn an_assignment_that_is_refused_does_not_leave_the_address_on_no_node() {
    // The Go program removes it first, and leaves it there until something happens.
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = plane.until_held().await;
    plane.world.until_initialised(3).await;
    let refused = plane.devices.iter().find(|id| **id != first).unwrap().clone();
    let path = format!("/devices/{refused}/ips$");
    plane.world.fault(
        Fault::status(422)
            .body("{\"errors\":[\"no\"]}")
            .on("POST", &path)
            .always(),
    );
    let passing = "/devices/.*/ips$";
    plane.world.fault(Fault::status(503).on("POST", passing).times(2));
    plane.healthy.set(&first, false);
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
    assert_ne!(plane.holder(), Some(refused));
}

#[tokio::test(start_paused = true)]
async fn when_nobody_takes_the_address_it_goes_back_to_where_it_was() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    for device in others(&plane, &first) {
        refuses(&plane, device);
    }
    plane.healthy.set(&first, false);
    plane
        .world
        .until("it was tried", SOON, |world| taken_away(world) > 0)
        .await;
    seconds(3).await;
    assert_eq!(plane.holder(), Some(first.clone()), "given back at once");
    minutes(10).await;
    assert_eq!(plane.holder(), Some(first.clone()));
    assert!(told(&plane.world, "ControlPlaneEndpointFailed"));
    // It is back on a node that does not answer: every minute somebody else is asked again, not every few seconds.
    let tries = taken_away(&plane.world);
    minutes(10).await;
    assert!(
        taken_away(&plane.world) - tries <= 10,
        "{}",
        taken_away(&plane.world) - tries
    );
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_holder_gets_the_address_back_when_nobody_else_takes_it() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    for device in others(&plane, &first) {
        refuses(&plane, device);
    }
    plane.cordon(&plane.name_of(&first));
    plane
        .world
        .until("it was tried", SOON, |world| taken_away(world) > 0)
        .await;
    seconds(3).await;
    assert_eq!(plane.holder(), Some(first.clone()));
    // Each try takes the API server off the net for a moment.
    minutes(60).await;
    assert_eq!(plane.holder(), Some(first));
    assert!(taken_away(&plane.world) <= 7, "{}", taken_away(&plane.world));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_not_taken_away_for_a_device_that_cannot_have_it() {
    // One in another metro, one of another project.
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    let world = &plane.world;
    for device in others(&plane, &first) {
        world.kube.delete("nodes", None, &plane.name_of(device)).unwrap();
    }
    let far = world.sim.add_device_in(equinix_metal_sim::PROJECT_ID, "ny", "far");
    let foreign = world.sim.add_device_in(OTHER_PROJECT_ID, "da", "foreign");
    for (name, id) in [("far", &far), ("foreign", &foreign)] {
        let device = world.sim.device(id).unwrap();
        let addresses = json!([{"type": "InternalIP", "address": device["ip_addresses"][2]["address"]}]);
        let mut node = control_plane(name);
        let more = json!({
            "spec": {"providerID": format!("equinixmetal://{id}"), "taints": []}, "status": {"addresses": addresses},
        });
        merge(&mut node, &more);
        world.add_node(name, &node);
        plane.healthy.set(id, true);
    }
    plane.healthy.set(&first, false);
    minutes(10).await;
    assert_eq!(plane.holder(), Some(first));
    assert_eq!(taken_away(world), 0);
    let says = |text: &str| {
        let events = world.events();
        events
            .iter()
            .any(|event| event.0 == "ControlPlaneEndpointFailed" && event.2.contains(text))
    };
    // Why the last of them could not have it.
    assert!(says("is in another project"), "{:?}", world.events());
    world.kube.delete("nodes", None, "foreign").unwrap();
    minutes(10).await;
    assert!(says("is in metro ny, the address in da"), "{:?}", world.events());
    assert_eq!(taken_away(world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_cannot_be_read_does_not_hold_up_the_others() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    let unreadable = others(&plane, &first).next().unwrap().clone();
    let path = format!("/devices/{unreadable}$");
    plane.world.fault(Fault::status(403).on("GET", &path).always());
    plane.healthy.set(&first, false);
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
    assert_ne!(plane.holder(), Some(unreadable));
}

#[tokio::test(start_paused = true)]
async fn two_holders_at_once_are_told_and_left_alone() {
    let plane = plane(&json!({}));
    let ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    ran.end().await.unwrap();
    let mut state = plane.world.sim.state();
    let assignments = state["assignments"].as_array_mut().unwrap();
    let mut second = assignments[0].clone();
    second["id"] = json!("11111111-2222-3333-4444-555555555555");
    second["device"] = json!(others(&plane, &first).next().unwrap());
    assignments.push(second);
    plane.world.sim.replace(state).unwrap();
    plane.healthy.set(&first, false);
    let _ran = plane.world.run(&[]);
    minutes(5).await;
    let text = "has more than one node assigned to it and this is currently not supported";
    assert!(plane.world.events().iter().any(|event| event.2.contains(text)));
    assert_eq!(
        (
            plane.world.sim.assignments().len(),
            taken_away(&plane.world),
            plane.moves()
        ),
        (2, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_on_a_loopback_is_checked_at_the_host() {
    // The address itself does not answer: it leads nowhere but to the load balancing inside the cluster.
    let plane = plane(&json!({"eipHealthCheckUseHostIP": true}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    plane.healthy.silence(&plane.eip);
    minutes(10).await;
    assert_eq!((plane.holder(), plane.moves()), (Some(first.clone()), 1));
    plane.healthy.set(&first, false);
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
    // Without the setting the address is what counts.
    let plane = crate::control_plane::plane(&json!({}));
    let _ran = plane.world.run(&[]);
    settled(&plane).await;
    plane.healthy.silence(&plane.eip);
    minutes(10).await;
    assert!(plane.moves() > 1);
}

#[tokio::test(start_paused = true)]
async fn the_holder_is_known_before_its_node_shows_the_address() {
    // The Go program knows the holder by its node's addresses, which are up to five minutes old.
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    let name = plane.name_of(&first);
    let shown = plane.world.addresses(&name);
    assert!(!shown.iter().any(|address| address.ends_with(&plane.eip)), "{shown:?}");
    plane.cordon(&name);
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane
        .world
        .until("it moves", std::time::Duration::from_secs(20), moved)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_lacks_the_address_stops_no_hand_over() {
    let plane = plane(&json!({}));
    let _ran = plane.world.run(&[]);
    let first = settled(&plane).await;
    let nothing = Fault::status(200).body(json!({"ip_addresses": []}));
    plane.world.fault(nothing.on("GET", "/projects/.*/ips$").always());
    plane.healthy.set(&first, false);
    let moved = |_: &World| plane.holder().is_some_and(|holder| holder != first);
    plane.world.until("it moves", SOON, moved).await;
}
