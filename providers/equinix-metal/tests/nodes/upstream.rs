//! The cases of `metal/cloud_test.go` and `metal/devices_test.go` of the Go program, asked as the controllers ask.

use cloud_provider::data::Node;
use cloud_provider::names::ANNOTATION_PROVIDED_NODE_IP;
use cloud_provider::{Cloud, Sighting, Unknown};
use serde_json::json;

use crate::harness::World;

/// An ID that no device has.
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";

/// A sighting in a word, or the addresses.
fn tell(sighting: &Sighting) -> String {
    match sighting {
        Sighting::Running(metadata) => {
            let tell = |address: &cloud_provider::data::Address| format!("{}={}", address.kind, address.address);
            metadata.addresses.iter().map(tell).collect::<Vec<_>>().join(" ")
        }
        Sighting::ShutDown => "shut down".to_owned(),
        Sighting::Gone => "gone".to_owned(),
        Sighting::Unknown(Unknown::NoMatch) => "no match".to_owned(),
        Sighting::Unknown(Unknown::Foreign) => "foreign".to_owned(),
        Sighting::Unknown(Unknown::Failed(error)) => format!("error: {error}"),
    }
}

/// The addresses of a device by family, as the simulation gave them.
fn address(world: &World, id: &str, public: bool) -> String {
    let device = world.sim.device(id).unwrap();
    let mut all = device["ip_addresses"].as_array().unwrap().iter();
    let found = all.find(|it| it["address_family"] == 4 && it["public"] == public);
    found.unwrap()["address"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_interfaces_of_the_cloud_are_those_of_the_original() {
    let world = World::new();
    let cloud = world.cloud();
    assert!(cloud.load_balancers().is_none(), "no setting, no load balancers");
    assert!(cloud.instances().is_some());
    assert!(cloud.routes().is_none());
    assert_eq!(cloud.name(), "equinixmetal");
    assert!(cloud.has_cluster_id());
    println!("upstream cases of cloud_test.go: 7 (clusters is no interface any more)");
}

#[tokio::test(start_paused = true)]
async fn addresses_types_zones_and_existence_are_told_as_by_the_original() {
    let world = World::new();
    let id = world.sim.add_device("known");
    let (public, private) = (address(&world, &id, true), address(&world, &id, false));
    let all = format!("Hostname=known ExternalIP={public} InternalIP={private}");
    let mut cases = 0;
    for (name, provider_id, expected) in [
        ("", String::new(), "error: node name cannot be empty string".to_owned()),
        ("thisdoesnotexist", String::new(), "no match".to_owned()),
        ("known", NOBODY.to_owned(), "gone".to_owned()),
        ("known", format!("equinixmetal://{NOBODY}"), "gone".to_owned()),
        (
            "known",
            format!("aws://{NOBODY}"),
            "error: provider name from providerID should be equinixmetal, was aws".to_owned(),
        ),
        (
            "known",
            "equinixmetal://a://b".to_owned(),
            "error: unexpected providerID format: equinixmetal://a://b, format should be: 'device-id' or \
             'equinixmetal://device-id'"
                .to_owned(),
        ),
        ("known", format!("equinixmetal://{id}"), all.clone()),
        ("other", format!("equinixmetal://{id}"), all.clone()),
        ("other", format!("packet://{id}"), all.clone()),
        ("other", id.clone(), all.clone()),
        ("known", String::new(), all.clone()),
    ] {
        cases += 1;
        assert_eq!(
            tell(&world.look_up(name, &provider_id).await),
            expected,
            "{name} {provider_id}"
        );
    }
    // The original asks the same of each of its methods; here one look-up answers them all.
    let Sighting::Running(metadata) = world.look_up("known", "").await else {
        panic!("it runs")
    };
    assert_eq!(metadata.provider_id, format!("equinixmetal://{id}"));
    assert_eq!(metadata.instance_type, "c3.small.x86");
    assert_eq!(metadata.region, "da");
    println!("upstream cases of devices_test.go: {cases} look-ups for 36 calls");
}

#[tokio::test(start_paused = true)]
async fn the_address_that_kubelet_was_given_comes_first() {
    let world = World::new();
    let id = world.sim.add_device("known");
    let (public, private) = (address(&world, &id, true), address(&world, &id, false));
    let node = Node {
        name: "known".to_owned(),
        annotations: [(ANNOTATION_PROVIDED_NODE_IP.to_owned(), "10.100.0.1".to_owned())]
            .into_iter()
            .collect(),
        ..Node::default()
    };
    assert_eq!(
        tell(&world.try_look_up(vec![node]).await.unwrap()[0]),
        format!("Hostname=known InternalIP=10.100.0.1 ExternalIP={public} InternalIP={private}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_off_is_off_and_any_other_is_not() {
    let world = World::new();
    let id = world.sim.add_device("known");
    let mut cases = 0;
    for (state, expected) in [
        ("active", false),
        ("inactive", true),
        ("powering_off", false),
        ("powering_on", false),
        ("reinstalling", false),
        ("deprovisioning", false),
    ] {
        world.sim.set_device_state(&id, state).unwrap();
        for provider_id in [format!("equinixmetal://{id}"), format!("packet://{id}"), id.clone()] {
            cases += 1;
            let seen = world.look_up("x", &provider_id).await;
            assert_eq!(
                matches!(seen, Sighting::ShutDown),
                expected,
                "{state} {provider_id}: {seen:?}"
            );
            assert_eq!(
                matches!(seen, Sighting::Running(_)),
                !expected,
                "{state} {provider_id}: {seen:?}"
            );
        }
    }
    println!("upstream cases of InstanceShutdown: {cases}");
}

#[tokio::test(start_paused = true)]
async fn nodes_of_other_providers_are_not_ours() {
    let cloud = World::new().cloud();
    for (id, ours) in [
        (format!("equinixmetal://{NOBODY}"), true),
        (format!("packet://{NOBODY}"), true),
        (NOBODY.to_owned(), true),
        (format!("aws://{NOBODY}"), false),
        ("k3s://n1".to_owned(), false),
        ("some-vm".to_owned(), false),
    ] {
        assert_eq!(cloud.owns(&id), ours, "{id}");
    }
    assert_eq!(json!(cloud.name()), "equinixmetal");
}
