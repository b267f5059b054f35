//! Answers that are odd, and are answers all the same.

use cloud_provider::{Sighting, Unknown};
use phoenixnap_sim::Settings;
use serde_json::json;

use crate::harness::World;

#[tokio::test(start_paused = true)]
async fn unknown_fields_other_cases_null_lists_and_missing_fields_change_nothing() {
    let settings = Settings {
        shouting: true,
        extra_fields: true,
        null_lists: true,
        omitted: vec!["cpu".to_owned(), "tags".to_owned(), "networkConfiguration".to_owned()],
        ..Settings::default()
    };
    let world = World::with(settings, json!({}));
    let off = world.add_server("off", &json!({"status": "powered-off"}));
    world.add_server("n1", &json!({"public_ips": []}));
    world.add_node("n1", &json!({}));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    assert_eq!(world.addresses("n1"), ["Hostname n1", "InternalIP 10.1.0.3"]);
    assert!(matches!(world.look_up("off", &off).await, Sighting::ShutDown));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_servers_may_say_so_with_null() {
    let settings = Settings {
        null_lists: true,
        ..Settings::default()
    };
    let world = World::with(settings, json!({}));
    assert!(matches!(
        world.look_up("n1", "").await,
        Sighting::Unknown(Unknown::NoMatch)
    ));
}

#[tokio::test(start_paused = true)]
async fn of_servers_with_one_name_the_one_with_the_nodes_address_is_meant() {
    let world = World::new();
    world.add_server("same", &json!({}));
    let second = world.add_server("same", &json!({"private_ips": ["10.1.9.9"]}));
    world.add_node(
        "same",
        &json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.1.9.9"}]}}),
    );
    world.add_server("twin", &json!({}));
    world.add_server("twin", &json!({}));
    world.add_node("twin", &json!({}));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    assert_eq!(
        world.node("same").unwrap()["spec"]["providerID"],
        format!("phoenixnap://{second}")
    );
    let told = world.events().into_iter().find(|(_, name, _)| name == "twin");
    let (_, _, message) = told.expect("the node's owner is told");
    assert!(message.contains("2 servers have the hostname \"twin\""), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_hostname_with_capital_letters_is_that_of_the_node() {
    let world = World::new();
    let id = world.add_server("Worker-1.Example", &json!({}));
    world.add_node("worker-1.example", &json!({}));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    assert_eq!(
        world.node("worker-1.example").unwrap()["spec"]["providerID"],
        format!("phoenixnap://{id}")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_server_is_not_believed() {
    let world = World::new();
    let body = json!({"id": "other", "hostname": "n1", "status": "powered-on", "privateIpAddresses": ["10.0.0.9"]});
    world.fault(cloud_sim::Fault::status(200).body(body).on("GET", "/servers/").always());
    let seen = world.look_up("n1", "phoenixnap://60c1").await;
    assert!(matches!(seen, Sighting::Unknown(Unknown::Failed(_))), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_id_reaches_no_other_resource() {
    let world = World::new();
    let seen = world.look_up("n1", "phoenixnap://..%2f..%2fips").await;
    assert!(matches!(seen, Sighting::Gone), "{seen:?}");
    let seen = world.look_up("n1", "phoenixnap://a/../b").await;
    assert!(matches!(seen, Sighting::Unknown(Unknown::Failed(_))), "{seen:?}");
}
