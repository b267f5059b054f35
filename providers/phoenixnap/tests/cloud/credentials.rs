//! Trouble with the credential never looks like a server that is not there.

use cloud_provider::{Cloud as _, Sighting, Unknown};
use cloud_sim::{Action, Fault};
use kit::Class;
use phoenixnap::PROVIDER_NAME;
use phoenixnap_sim::{CLIENT_ID, Kind, Settings};
use serde_json::json;

use crate::harness::{World, minutes};

fn id(server: &str) -> String {
    format!("{PROVIDER_NAME}://{server}")
}

#[track_caller]
fn class(seen: &Sighting) -> Class {
    match seen {
        Sighting::Unknown(Unknown::Failed(error)) => error.class(),
        other => panic!("{other:?}"),
    }
}

/// The service answers 403 for a missing server, and for a lost right. Upstream takes both for a missing server.
#[tokio::test(start_paused = true)]
async fn a_403_is_a_missing_server_only_when_the_list_can_be_read_and_lacks_it() {
    for missing_code in [403, 404] {
        let settings = Settings {
            missing_code,
            ..Settings::default()
        };
        let world = World::with(settings, json!({}));
        let here = world.add_server("n1", &json!({}));
        let seen = world.look_up("n2", &id("60c100000000000000000000")).await;
        assert!(matches!(seen, Sighting::Gone), "{missing_code}: {seen:?}");
        // The server is there, and the credential may not see it by itself.
        let refused = Fault::status(403).body(json!({"message": "no"})).on("GET", "/servers/");
        world.fault(refused.clone());
        world.fault(Fault::status(200).body(json!([])).on("GET", "/servers$"));
        let seen = world.look_up("n1", &id(&here)).await;
        assert!(matches!(seen, Sighting::Running(_)), "{missing_code}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_lost_between_two_requests_prove_nothing() {
    let world = World::new();
    let here = world.add_server("n1", &json!({}));
    // The list is late, then everything is refused.
    world.fault(Fault::status(200).body(json!([])).on("GET", "/servers$"));
    world.fault(
        Fault::status(403)
            .body(json!({"message": "no"}))
            .on("GET", "servers")
            .times(10),
    );
    let seen = world.look_up("n1", &id(&here)).await;
    assert_eq!(class(&seen), Class::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn the_page_of_a_firewall_is_no_answer_about_a_server() {
    for status in [403, 404] {
        let world = World::new();
        world.add_server("n1", &json!({}));
        let page = Fault::status(status)
            .body("<html>blocked</html>")
            .on("GET", "/servers/")
            .times(10);
        world.fault(page);
        let seen = world.look_up("n2", &id("60c1")).await;
        assert_eq!(class(&seen), Class::Permanent, "{status}");
    }
}

/// Upstream dereferences a response that there is not, and the process panics.
#[tokio::test(start_paused = true)]
async fn a_login_or_a_network_that_fails_is_an_error_and_no_panic() {
    let faults = [
        (Fault::new(Action::DropBefore).on("POST", "token"), Class::Transient),
        (
            Fault::new(Action::Truncate { bytes: None }).on("POST", "token"),
            Class::Transient,
        ),
        (Fault::status(503).on("POST", "token"), Class::Transient),
        (
            Fault::status(401)
                .body(json!({"error": "invalid_client"}))
                .on("POST", "token"),
            Class::Unauthorized,
        ),
        (
            Fault::status(400)
                .body(json!({"error": "invalid_scope"}))
                .on("POST", "token"),
            Class::Unauthorized,
        ),
        (
            Fault::status(200).body(json!({"expires_in": 300})).on("POST", "token"),
            Class::Transient,
        ),
        (Fault::status(200).body("no JSON").on("POST", "token"), Class::Transient),
        (Fault::new(Action::DropBefore).on("GET", "servers"), Class::Transient),
        (Fault::status(500).on("GET", "servers"), Class::Transient),
        (
            Fault::status(400).body(json!({"message": "bad"})).on("GET", "servers"),
            Class::Invalid,
        ),
    ];
    for (fault, expected) in faults {
        let world = World::new();
        let here = world.add_server("n1", &json!({}));
        world.fault(fault.clone().always());
        let cloud = world.cloud();
        let node = std::sync::Arc::new(cloud_provider::data::Node {
            provider_id: id(&here),
            ..cloud_provider::data::Node::default()
        });
        let error = cloud.instances().unwrap().look_up(&[node]).await.unwrap_err();
        assert_eq!(error.class(), expected, "{fault:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_token_serves_all_calls_and_is_renewed_before_its_end() {
    let world = World::new();
    world.add_machines(3);
    let _ran = world.run(&[]);
    world.until_initialised(3).await;
    assert_eq!(world.asked("POST", "/token"), 1);
    // A node that is not ready makes the manager ask every few seconds.
    world.set_ready("n0", "Unknown");
    minutes(60).await;
    let requests = world.sim.front().requests();
    let logins = requests
        .iter()
        .filter(|request| request.path.ends_with("/token"))
        .count();
    let refused = requests.iter().filter(|request| request.status == Some(401)).count();
    // A token lasts five minutes, and is renewed one minute earlier.
    assert!((10..=16).contains(&logins), "{logins}");
    assert_eq!(refused, 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_early_is_replaced_once_and_the_call_repeated() {
    let world = World::new();
    world.add_server("n1", &json!({}));
    let cloud = world.cloud();
    assert_eq!(cloud.client().servers().await.unwrap().len(), 1);
    world.sim.expire_tokens();
    assert_eq!(cloud.client().servers().await.unwrap().len(), 1);
    let told: Vec<_> = world
        .sim
        .front()
        .requests()
        .iter()
        .map(|it| (it.method.clone(), it.status))
        .collect();
    let expected = [("POST", 200), ("GET", 200), ("GET", 401), ("POST", 200), ("GET", 200)];
    assert_eq!(told, expected.map(|(method, status)| (method.to_owned(), Some(status))));
}

#[tokio::test(start_paused = true)]
async fn revoked_credentials_are_told_and_delete_nothing_and_new_rights_are_seen() {
    for patch in [json!({"revoked": true}), json!({"forbidden": true})] {
        let world = World::new();
        world.add_machines(5);
        let _ran = world.run(&[]);
        world.until_initialised(5).await;
        world.sim.change(Kind::Client, CLIENT_ID, &patch).unwrap();
        for n in 0..5 {
            world.set_ready(&format!("n{n}"), "Unknown");
        }
        minutes(60).await;
        assert_eq!(world.kube.list("nodes").len(), 5);
        let told = world
            .events()
            .iter()
            .any(|(reason, ..)| reason == "CloudProviderUnavailable");
        assert!(told, "{:?}", world.events());
        world
            .sim
            .change(Kind::Client, CLIENT_ID, &json!({"revoked": false, "forbidden": false}))
            .unwrap();
        world.add_machine("n5");
        world.until_initialised(6).await;
    }
}
