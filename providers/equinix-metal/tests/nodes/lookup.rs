//! Which device a node is, and what does not count as its absence.

use cloud_provider::data::{Address, Node};
use cloud_provider::{Sighting, Unknown};
use equinix_metal_sim::{Gone, OTHER_API_KEY, OTHER_PROJECT_ID, Settings};
use kit::Class;
use serde_json::json;

use crate::harness::World;

fn id_of(sighting: &Sighting) -> &str {
    match sighting {
        Sighting::Running(metadata) => metadata.provider_id.trim_start_matches("equinixmetal://"),
        other => panic!("{other:?}"),
    }
}

fn class_of(sighting: &Sighting) -> Class {
    match sighting {
        Sighting::Unknown(Unknown::Failed(error)) => error.class(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_device_is_found_as_well_as_the_first() {
    let world = World::with(
        Settings {
            page_limit: Some(10),
            ..Settings::default()
        },
        json!({}),
    );
    for n in 0..35 {
        world.sim.add_device(&format!("n{n}"));
    }
    let names: Vec<String> = (0..35).map(|n| format!("n{n}")).collect();
    let nodes: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let seen = world.look_up_all(&nodes).await;
    assert!(seen.iter().all(|seen| matches!(seen, Sighting::Running(_))));
    assert_eq!(world.sent(), 4, "one request a page");
}

#[tokio::test(start_paused = true)]
async fn an_active_device_is_preferred_and_two_are_a_problem() {
    let world = World::new();
    let first = world.sim.add_device("twin");
    world.sim.set_device_state(&first, "deprovisioning").unwrap();
    assert!(matches!(
        world.look_up("twin", "").await,
        Sighting::Unknown(Unknown::NoMatch)
    ));
    let second = world.sim.add_device("twin");
    assert_eq!(id_of(&world.look_up("twin", "").await), second);
    let third = world.sim.add_device("twin");
    world.sim.set_device_state(&third, "inactive").unwrap();
    assert_eq!(id_of(&world.look_up("twin", "").await), second);
    world.sim.set_device_state(&third, "active").unwrap();
    let seen = world.look_up("twin", "").await;
    assert_eq!(class_of(&seen), Class::Invalid);
    let Sighting::Unknown(Unknown::Failed(error)) = seen else {
        unreachable!()
    };
    assert!(
        error.to_string().contains(&second) && error.to_string().contains(&third),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_called_otherwise_than_its_device_is_found_by_its_address() {
    let world = World::new();
    let id = world.sim.add_device("host-7");
    world.sim.add_device("host-8");
    let device = world.sim.device(&id).unwrap();
    let private = device["ip_addresses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|ip| ip["public"] == false);
    let private = private.unwrap()["address"].as_str().unwrap().to_owned();
    let named = Node {
        name: "worker-a".to_owned(),
        addresses: vec![Address::internal(private)],
        ..Node::default()
    };
    assert_eq!(id_of(&world.try_look_up(vec![named]).await.unwrap()[0]), id);
    assert!(matches!(
        world.look_up("worker-b", "").await,
        Sighting::Unknown(Unknown::NoMatch)
    ));
}

#[tokio::test(start_paused = true)]
async fn that_the_key_may_not_see_a_device_never_makes_it_gone() {
    let mut world = World::new();
    let theirs = world.sim.add_device("theirs");
    world.configure(json!({"apiKey": OTHER_API_KEY, "projectID": OTHER_PROJECT_ID}));
    let seen = world.look_up("theirs", &format!("equinixmetal://{theirs}")).await;
    assert_eq!(class_of(&seen), Class::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_failed_is_gone_only_when_the_api_says_so() {
    for (gone, expected) in [(Gone::Forbidden, false), (Gone::NotFound, true)] {
        let world = World::with(
            Settings {
                gone,
                ..Settings::default()
            },
            json!({}),
        );
        let id = world.sim.add_device("n");
        world.sim.set_device_state(&id, "failed").unwrap();
        crate::harness::minutes(1).await;
        world.sim.set_device_state(&id, "deleted").ok();
        let seen = world.look_up("n", &format!("equinixmetal://{id}")).await;
        if expected {
            assert!(matches!(seen, Sighting::Gone), "{seen:?}");
        } else {
            assert!(!matches!(seen, Sighting::Gone), "{seen:?}");
        }
    }
}
