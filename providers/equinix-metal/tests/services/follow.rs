//! Nodes change, and what was said about them follows: soon, and nothing else.

use cloud_sim::Fault;
use equinix_metal_sim::Settings;
use serde_json::{Value, json};

use crate::cluster::{RESOURCES, SOON, addressed, bgp_annotations, metallb, told, without_machines, world};
use crate::harness::{World, minutes, seconds};

/// A node's annotation about its BGP sessions.
fn says(world: &World, node: &str, key: &str) -> Value {
    world.node(node).unwrap()["metadata"]["annotations"][format!("metal.equinix.com/{key}")].clone()
}

/// Requests to MetalLB's resources: method and what kind they are of.
fn to_metallb(world: &World) -> Vec<(String, String)> {
    let requests = world.kube.requests().into_iter();
    let to_metallb = requests.filter(|one| one.path.contains("/metallb.io/"));
    to_metallb
        .map(|one| {
            let kind = one.path.split("/metallb-system/").nth(1).unwrap_or_default();
            let kind = kind.split('/').next().unwrap_or_default();
            (one.method, kind.to_owned())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn annotations_that_somebody_changed_are_put_right_at_once() {
    // #412: never refreshed once they were there.
    let world = world("kube-vip://");
    let _ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    seconds(30).await;
    let asked = world.sent();
    let mut node = world.node("n0").unwrap();
    node["metadata"]["annotations"]["metal.equinix.com/bgp-peers-0-peer-ip"] = json!("192.0.2.99");
    node["metadata"]["annotations"]["metal.equinix.com/bgp-peers-7-peer-ip"] = json!("192.0.2.99");
    node["metadata"]["annotations"]["example.com/theirs"] = json!("theirs");
    world.kube.update(node).unwrap();
    seconds(10).await;
    assert_eq!(says(&world, "n0", "bgp-peers-0-peer-ip"), "169.254.255.1");
    assert!(says(&world, "n0", "bgp-peers-7-peer-ip").is_null());
    assert_eq!(world.sent() - asked, 0, "the provider is not asked for it");
    // The Go program writes all annotations as it knew them.
    let theirs = &world.node("n0").unwrap()["metadata"]["annotations"]["example.com/theirs"];
    assert_eq!(*theirs, "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_moved_to_another_address_speaks_from_there() {
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    // Long enough for new sessions to be old ones, which are believed for half an hour.
    minutes(5).await;
    let before = says(&world, "n0", "bgp-peers-0-src-ip");
    let mut state = world.sim.state();
    let mut moved = 0;
    for device in state["devices"].as_array_mut().unwrap() {
        for nic in device["nics"].as_array_mut().unwrap() {
            if nic["address"] == before {
                nic["address"] = json!("10.64.0.77");
                moved += 1;
            }
        }
    }
    assert_eq!(moved, 1);
    world.sim.replace(state).unwrap();
    // The node's own addresses are looked at every five minutes.
    minutes(6).await;
    assert_eq!(says(&world, "n0", "bgp-peers-0-src-ip"), "10.64.0.77");
    let sources = metallb(&world, "bgppeers").into_iter();
    let sources: Vec<Value> = sources.map(|(_, spec)| spec["sourceAddress"].clone()).collect();
    assert!(
        sources.contains(&json!("10.64.0.77")) && !sources.contains(&before),
        "{sources:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_matches_nothing_is_told_and_followed_when_it_does() {
    for setting in [RESOURCES, "kube-vip://", "emlb:///da"] {
        let mut world = without_machines(Settings::default(), setting);
        world.configure(json!({"bgpNodeSelector": "bgp=yes"}));
        world.add_machines(2);
        let _ran = world.run(&[]);
        world.until_initialised(2).await;
        world.add_service("default", "web", &json!({}));
        addressed(&world, "web").await;
        world
            .until("it is told", SOON, |world| told(world, "NoNodeSelected"))
            .await;
        let text = "bgpNodeSelector matches none of 2 nodes";
        assert!(
            world
                .events()
                .iter()
                .any(|event| event.1 == "web" && event.2.contains(text)),
            "{setting}"
        );
        if setting.starts_with("emlb") {
            continue;
        }
        let mut node = world.node("n0").unwrap();
        node["metadata"]["labels"]["bgp"] = json!("yes");
        world.kube.update(node).unwrap();
        seconds(10).await;
        assert_eq!(bgp_annotations(&world, "n0").len(), 11, "{setting}");
        assert_eq!(
            metallb(&world, "bgppeers").len(),
            if setting == RESOURCES { 2 } else { 0 }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_for_long_has_nothing_announced_anew() {
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    let id = world.sim.device("n1").unwrap()["id"].as_str().unwrap().to_owned();
    let refusal = Fault::status(422).body("{\"errors\":[\"no\"]}");
    world.fault(refusal.on("POST", &format!("/devices/{id}/bgp/sessions")).always());
    for name in ["a", "b"] {
        world.add_service("default", name, &json!({}));
        addressed(&world, name).await;
    }
    minutes(3).await;
    world.kube.clear_requests();
    let tried = world.asked("POST", &format!("/devices/{id}/bgp/sessions"));
    minutes(10).await;
    assert!(
        world.asked("POST", &format!("/devices/{id}/bgp/sessions")) > tried,
        "it is tried again"
    );
    assert!(to_metallb(&world).is_empty(), "{:?}", to_metallb(&world));
    world.sim.front().clear_faults();
    world
        .until("the other node speaks, too", SOON, |world| {
            metallb(world, "bgppeers").len() == 4
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_costs_metallb_what_it_changes_and_no_more() {
    let world = without_machines(Settings::default(), RESOURCES);
    let nodes = 5;
    world.add_machines(nodes);
    let _ran = world.run(&[]);
    world.until_initialised(nodes).await;
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        world.kube.clear_requests();
        world.add_service("default", name, &json!({}));
        addressed(&world, name).await;
        seconds(20).await;
        let requests = to_metallb(&world);
        let count = |wanted: &str, of: &str| {
            requests
                .iter()
                .filter(|(method, kind)| method == wanted && kind == of)
                .count()
        };
        println!("{name}: {} requests: {requests:?}", requests.len());
        let (first, peers) = (n == 0, 2 * nodes);
        assert_eq!(count("POST", "ipaddresspools"), 1);
        assert_eq!(count("PATCH", "ipaddresspools"), 0);
        assert_eq!(count("POST", "bgpadvertisements"), usize::from(first));
        assert_eq!(count("PATCH", "bgpadvertisements"), usize::from(!first));
        assert_eq!(count("POST", "bgppeers"), if first { peers } else { 0 });
        // Each remembers the Services that need it: that is one write for each, and never a second one.
        assert_eq!(count("PATCH", "bgppeers"), if first { 0 } else { peers });
    }
    world.kube.clear_requests();
    minutes(20).await;
    assert!(
        to_metallb(&world).is_empty(),
        "nothing changes: {:?}",
        to_metallb(&world)
    );
}
