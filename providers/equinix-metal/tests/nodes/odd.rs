//! Answers that are right, and written as nobody expected.

use cloud_sim::Fault;
use equinix_metal_sim::{Oddity, OddityKind, Settings};
use serde_json::json;

use crate::harness::{World, minutes};

fn odd(kind: OddityKind) -> World {
    let oddities = vec![Oddity { kind, path: None }];
    World::with(
        Settings {
            oddities,
            ..Settings::default()
        },
        json!({}),
    )
}

#[tokio::test(start_paused = true)]
async fn unknown_words_and_wrong_content_types_are_read() {
    for kind in [OddityKind::UnknownEnum, OddityKind::WrongContentType] {
        let world = odd(kind);
        world.add_machine("n1");
        let _ran = world.run(&[]);
        world.until_initialised(1).await;
        let node = world.node("n1").unwrap();
        let labels = &node["metadata"]["labels"];
        assert_eq!(labels["topology.kubernetes.io/region"], "da", "{kind:?}");
        assert_eq!(labels["node.kubernetes.io/instance-type"], "c3.small.x86", "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_passed_over() {
    let world = World::new();
    world.add_machine("n1");
    let mut device = world.sim.devices().remove(0);
    for part in ["", "/plan", "/metro", "/ip_addresses/0"] {
        device.pointer_mut(part).unwrap()["x_brand_new"] = json!({"since": 2027, "of": ["what", null]});
    }
    let body = json!({"devices": [device], "meta": {"x": {}}, "x_brand_new": []});
    world.fault(Fault::status(200).body(body).on("GET", "/devices$").times(1_000_000));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
}

#[tokio::test(start_paused = true)]
async fn nulls_are_read_as_nothing() {
    let world = odd(OddityKind::NullFields);
    let id = world.add_machine("n1");
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let node = world.node("n1").unwrap();
    assert_eq!(node["spec"]["providerID"], format!("equinixmetal://{id}"));
    assert!(node["metadata"]["labels"]["topology.kubernetes.io/zone"].is_null());
    minutes(10).await;
    assert!(world.node("n1").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_is_an_error_and_not_an_empty_project() {
    let world = odd(OddityKind::EmptyBody);
    world.add_machine("n1");
    let ran = world.run(&[]);
    minutes(5).await;
    assert!(world.initialised().is_empty());
    world.sim.set(|settings| settings.oddities.clear());
    world.until_initialised(1).await;
    ran.end().await.unwrap();
}
