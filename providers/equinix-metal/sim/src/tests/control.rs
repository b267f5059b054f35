use serde_json::{Value, json};

use super::{Client, start};
use crate::{MetalSim, PROJECT_ID, Settings};

#[tokio::test(start_paused = true)]
async fn a_state_can_be_taken_and_given_back() {
    let client = Client::new(Settings::default());
    let id = client.order(json!({"hostname": "n1"})).await;
    client.wait(11.0).await;
    let (_, address) = client.sim.reserve(&["t"]).unwrap();
    client.sim.assign(&id, &address).unwrap();
    client
        .post_own("bgp-configs", json!({"deployment_type": "local"}))
        .await;
    client
        .post(&format!("devices/{id}/bgp/sessions"), json!({"address_family": "ipv4"}))
        .await;
    let state = client.sim.state();
    let other = start(Settings::default());
    other.replace(state.clone()).unwrap();
    assert_eq!(other.state(), state);
    assert_eq!(
        (other.devices(), other.assignments()),
        (client.sim.devices(), client.sim.assignments())
    );
    other.replace(json!({})).unwrap();
    assert_eq!(other.state(), start(Settings::default()).state());
}

#[tokio::test(start_paused = true)]
async fn states_that_do_not_fit_together_are_refused_and_change_nothing() {
    let sim = start(Settings::default());
    sim.add_device("n1");
    let before = sim.state();
    for (state, expected) in [
        (json!([]), "the state must be an object"),
        (json!({"tea": 1}), "unknown field \"tea\""),
        (
            json!({"devices": [{"id": "a"}, {"id": "a"}]}),
            "devices: two have the id a",
        ),
        (
            json!({"devices": [{"id": "a", "metro": "xx"}]}),
            "devices[a]: there is no metro xx",
        ),
        (
            json!({"devices": [{"id": "a", "plan": "xx"}]}),
            "devices[a]: there is no plan xx",
        ),
        (
            json!({"devices": [{"id": "a", "project": "xx"}]}),
            "devices[a]: there is no project xx",
        ),
        (json!({"devices": [{"state": "tea"}]}), "unknown variant `tea`"),
        (
            json!({"reservations": [{"id": "r", "cidr": 64}]}),
            "reservations[r]: cidr must be between 8 and 32",
        ),
        (
            json!({"reservations": [{"id": "r", "network": "x"}]}),
            "reservations[r]: \"x\" is no address",
        ),
        (
            json!({"assignments": [{"id": "s", "device": "d"}]}),
            "assignments[s]: its device is not there",
        ),
        (
            json!({"sessions": [{"id": "s", "device": "d"}]}),
            "sessions[s]: its device is not there",
        ),
        (
            json!({"settings": {"page_limit": 0}}),
            "settings.page_limit must be at least 1",
        ),
        (
            json!({"settings": {"oddities": [{"kind": "null_fields", "path": "("}]}}),
            "not a regular expression",
        ),
    ] {
        let error = sim.replace(state.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{state}: {error}");
    }
    assert_eq!(sim.state(), before);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_state_and_another_seed_another() {
    let run = async |seed| {
        let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let client = Client::of(MetalSim::seeded(clock, Settings::default(), seed), crate::API_KEY);
        client.order(json!({})).await;
        client.wait(30.0).await;
        client.sim.reserve(&[]).unwrap();
        client.sim.state().to_string()
    };
    assert_eq!(run(7).await, run(7).await);
    assert_ne!(run(7).await, run(8).await);
}

#[tokio::test(start_paused = true)]
async fn machines_change_without_anybody_asking() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    for (name, body, status) in [
        (id.as_str(), json!({"state": "inactive"}), 204),
        ("n1", json!({"state": "failed"}), 204),
        ("n1", json!({"state": "tea"}), 422),
        ("n2", json!({"state": "active"}), 404),
        ("n1", json!({"status": "active"}), 400),
    ] {
        assert_eq!(
            client
                .control("POST", &format!("devices/{name}/state"), body)
                .await
                .status,
            status
        );
    }
    assert_eq!(client.get(&format!("devices/{id}")).await.text_at("/state"), "failed");
    client.wait(6.0).await;
    assert_eq!(client.get(&format!("devices/{id}")).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn leaks_are_what_a_controller_marked_and_nobody_uses() {
    let client = Client::new(Settings::default());
    let device = client.sim.add_device("n1");
    let tag = "usage=cloud-provider-equinix-metal-auto";
    let (leaked, _) = client.sim.reserve(&[tag]).unwrap();
    let (_, used) = client.sim.reserve(&[tag]).unwrap();
    client.sim.assign(&device, &used).unwrap();
    client.sim.reserve(&["mine"]).unwrap();
    let leaks = client.control("GET", "leaks", Value::Null).await.json;
    assert_eq!(leaks["reservations"].as_array().unwrap().len(), 1);
    assert_eq!(leaks["reservations"][0]["id"], json!(leaked));
    assert_eq!(leaks["pools"], json!([]));
    // The control calls of all clouds are there, too.
    assert_eq!(
        client.control("GET", "state", Value::Null).await.json["devices"][0]["id"],
        json!(device)
    );
    assert_eq!(client.control("GET", "tea", Value::Null).await.status, 404);
    let log = client.sim.front().requests();
    assert!(log.is_empty(), "control calls are logged: {log:?}");
    client.get_own("devices").await;
    assert_eq!(
        client.sim.front().requests()[0].path,
        format!("/metal/v1/projects/{PROJECT_ID}/devices")
    );
}
