//! Hours in which the cloud is wrong, gone, or out of its mind: no node is lost.

use std::time::Duration;

use cloud_sim::{Action, Fault};
use phoenixnap_sim::{Kind, Settings};
use serde_json::{Value, json};

use crate::harness::{World, minutes};

/// Nodes in the world of each outage.
const NODES: usize = 20;

/// Runs an hour of these faults, with a fifth of the nodes not ready, and counts the nodes that are missed afterwards.
async fn an_hour_of(name: &str, faults: impl IntoIterator<Item = Fault>) {
    let world = World::new();
    world.add_machines(NODES);
    let ran = world.run(&[]);
    world.until_initialised(NODES).await;
    for fault in faults {
        world.fault(fault.always());
    }
    for n in 0..NODES / 5 {
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    minutes(60).await;
    let missed = NODES - world.kube.list("nodes").len();
    println!("an hour of {name}: {missed} nodes deleted");
    assert_eq!(missed, 0, "{name}");
    let tainted = (0..NODES).filter(|n| {
        let taints = world.taints(&format!("n{n}"));
        taints.iter().any(|key| key == cloud_provider::names::TAINT_SHUTDOWN)
    });
    assert_eq!(tainted.count(), 0, "{name}");
    world.sim.front().clear_faults();
    world.add_machine("late");
    minutes(10).await;
    assert_eq!(world.initialised().len(), NODES + 1, "{name}");
    ran.end().await.unwrap();
}

fn refused(status: u16) -> Fault {
    Fault::status(status).body(json!({"message": "no"}))
}

fn list(body: Value) -> Fault {
    Fault::status(200).body(body).on("GET", "/servers$")
}

#[tokio::test(start_paused = true)]
async fn an_api_that_refuses_everything_deletes_nothing() {
    for status in [400, 401, 403, 404, 406, 409, 429, 500, 502, 503] {
        an_hour_of(&status.to_string(), [refused(status)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_out_of_reach_deletes_nothing() {
    an_hour_of("cut connections", [Fault::new(Action::DropBefore)]).await;
    an_hour_of("silence", [Fault::new(Action::Hang)]).await;
    an_hour_of("cut-off answers", [Fault::new(Action::Truncate { bytes: None })]).await;
    an_hour_of("no JSON", [Fault::status(200).body("<html>maintenance</html>")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_down_deletes_nothing() {
    for status in [401, 500] {
        let refused = Fault::status(status)
            .body(json!({"error": "invalid_client"}))
            .on("POST", "/token$");
        an_hour_of(&format!("logins refused with {status}"), [refused]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_are_wrong_delete_nothing() {
    an_hour_of("an empty list", [list(json!([]))]).await;
    an_hour_of("a list of null", [list(Value::Null)]).await;
    let other = json!([{"id": "60c1", "hostname": "other", "status": "powered-on"}]);
    an_hour_of("a list of others", [list(other.clone())]).await;
    an_hour_of(
        "an empty list and 403",
        [list(json!([])), refused(403).on("GET", "/servers/")],
    )
    .await;
    an_hour_of(
        "a list of others and 403",
        [list(other), refused(403).on("GET", "/servers/")],
    )
    .await;
    an_hour_of(
        "an empty list and 404",
        [list(json!([])), refused(404).on("GET", "/servers/")],
    )
    .await;
    an_hour_of("403 for each server alone", [refused(403).on("GET", "/servers/")]).await;
}

#[tokio::test(start_paused = true)]
async fn with_three_of_ten_requests_failing_all_nodes_come_up_and_none_goes() {
    for seed in 1..=3 {
        let world = World::seeded(Settings::default(), json!({}), seed);
        for fault in [
            Fault::status(500),
            Fault::status(503).after(),
            Fault::new(Action::DropAfter),
        ] {
            world.fault(Fault {
                probability: Some(0.1),
                ..fault.always()
            });
        }
        let ids = world.add_machines(50);
        let ran = world.run(&[]);
        world.until_initialised(50).await;
        world.sim.remove(Kind::Server, &ids[7]).unwrap();
        world.set_ready("n7", "Unknown");
        let gone = |world: &World| world.node("n7").is_none();
        world.until("the node is deleted", Duration::from_mins(20), gone).await;
        minutes(60).await;
        assert_eq!(world.initialised().len(), 49);
        ran.end().await.unwrap();
    }
}
