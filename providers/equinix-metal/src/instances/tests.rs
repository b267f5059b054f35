use cloud_sim::Fault;
use equinix_metal_sim::{MetalSim, OTHER_PROJECT_ID, Settings};
use kit::Clock;
use serde_json::{Value, json};

use super::*;
use crate::testing::client;

fn sim() -> MetalSim {
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
    MetalSim::new(clock, Settings::default())
}

/// What is said of one node by a process that knows nothing yet; a failure of the whole look-up counts as its own.
async fn see(sim: &MetalSim, name: &str, device: Option<&str>) -> Sighting {
    let node = Arc::new(Node {
        name: name.to_owned(),
        provider_id: device.map(provider_id::of_device).unwrap_or_default(),
        ..Node::default()
    });
    match MetalInstances::new(client(sim)).look_up(&[node]).await {
        Ok(mut seen) => seen.remove(0),
        Err(error) => failed(error),
    }
}

/// All places in a value, as JSON pointers.
fn places(value: &Value, at: &str) -> Vec<String> {
    let inner: Vec<String> = match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, it)| places(it, &format!("{at}/{key}")))
            .collect(),
        Value::Array(items) => (0..)
            .zip(items)
            .flat_map(|(n, it)| places(it, &format!("{at}/{n}")))
            .collect(),
        _ => Vec::new(),
    };
    std::iter::once(at.to_owned()).chain(inner).collect()
}

#[tokio::test(start_paused = true)]
async fn a_null_anywhere_in_a_device_never_makes_it_gone() {
    let sim = sim();
    let id = sim.add_device("n1");
    let device = sim.device(&id).unwrap();
    let places = places(&device, "");
    for place in &places[1..] {
        let mut odd = device.clone();
        *odd.pointer_mut(place).unwrap() = Value::Null;
        sim.front().clear_faults();
        let list = json!({"devices": [odd], "meta": null});
        for (path, body) in [("/projects/[^/]+/devices$", list), ("/devices/[^/]+$", odd)] {
            let fault = Fault::status(200).body(body).on("GET", path);
            sim.front().inject(fault.always()).unwrap();
        }
        let (by_id, by_name) = (see(&sim, "n1", Some(&id)).await, see(&sim, "n1", None).await);
        if place == "/id" {
            assert!(matches!(by_id, Sighting::Unknown(Unknown::Failed(_))), "{by_id:?}");
        } else {
            assert!(matches!(by_id, Sighting::Running(_)), "{place}: {by_id:?}");
        }
        assert!(
            matches!(by_name, Sighting::Running(_)) || ["/id", "/hostname"].contains(&place.as_str()),
            "{place}: {by_name:?}"
        );
        assert!(!matches!(by_name, Sighting::Gone), "{place}");
    }
    println!("nulls at {} places of a device", places.len() - 1);
}

#[tokio::test(start_paused = true)]
async fn only_a_good_list_and_a_denial_of_the_api_itself_make_a_device_gone() {
    let sim = sim();
    let id = sim.add_device("n1");
    let listed = json!({"devices": [], "meta": {"current_page": 1, "last_page": 1, "total": 0}});
    let no = || json!({"errors": ["no"]});
    let other = sim.device(&id).map(|mut device| {
        device["id"] = json!("00000000-0000-4000-8000-00000000dead");
        device
    });
    let mut gone = Vec::new();
    let lists = [(200, listed), (401, no()), (403, no()), (404, no()), (500, no())];
    let devices = [
        (401, no()),
        (403, no()),
        (404, no()),
        (404, json!("404 page not found")),
        (422, no()),
        (500, no()),
        (200, other.unwrap()),
        (200, json!({})),
    ];
    for (list, list_body) in &lists {
        for (device, body) in &devices {
            sim.front().clear_faults();
            for (path, status, body) in [
                ("/projects/[^/]+/devices$", *list, list_body),
                ("/devices/[^/]+$", *device, body),
            ] {
                let fault = Fault::status(status).body(body.clone()).on("GET", path);
                sim.front().inject(fault.always()).unwrap();
            }
            match see(&sim, "n1", Some(&id)).await {
                Sighting::Gone => gone.push((*list, *device, body.clone())),
                Sighting::Unknown(Unknown::Failed(_)) => {}
                other => panic!("list {list}, device {device}: {other:?}"),
            }
        }
    }
    assert_eq!(gone, [(200, 404, no())]);
}

#[tokio::test(start_paused = true)]
async fn a_device_of_another_project_that_the_key_sees_is_there_and_one_that_it_does_not_see_is_not_gone() {
    let sim = sim();
    let id = sim.add_device_in(OTHER_PROJECT_ID, "da", "n1");
    // A user's key sees the devices of all of his projects, and this one's list has those of one.
    let seen = see(&sim, "n1", Some(&id)).await;
    assert!(matches!(seen, Sighting::Running(_)), "{seen:?}");
    let named = see(&sim, "n1", None).await;
    assert!(matches!(named, Sighting::Unknown(Unknown::NoMatch)), "{named:?}");
    let no = json!({"errors": ["You are not authorized to view this device"]});
    let fault = Fault::status(403).body(no).on("GET", &format!("/devices/{id}$"));
    sim.front().inject(fault.always()).unwrap();
    let seen = see(&sim, "n1", Some(&id)).await;
    let Sighting::Unknown(Unknown::Failed(error)) = seen else {
        panic!("{seen:?}")
    };
    assert!(error.to_string().contains("the node is kept"), "{error}");
}
