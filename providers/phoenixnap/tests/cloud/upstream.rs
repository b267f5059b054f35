//! The cases of the original's own tests (`phoenixnap/cloud_test.go`, `phoenixnap/instances_test.go`), by its names.

use cloud_provider::{Cloud as _, Metadata, Sighting, Unknown};
use phoenixnap::ProviderId;
use serde_json::json;

use crate::harness::World;

/// An id that no server has.
const UNKNOWN: &str = "5f0a7c5e-0b7e-4f55-9d5c-0c1b6f1f4f11";

fn running(seen: Sighting) -> Metadata {
    match seen {
        Sighting::Running(metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(seen: &Sighting, told: &str) {
    match seen {
        Sighting::Unknown(Unknown::Failed(error)) => assert!(error.to_string().starts_with(told), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn cloud_answers_what_it_is_and_offers() {
    let cloud = World::new().cloud();
    assert!(cloud.load_balancers().is_none(), "LoadBalancerDefaultDisabled");
    assert!(
        cloud.instances().is_some() && cloud.routes().is_none(),
        "Instances, Routes"
    );
    assert_eq!(cloud.name(), "phoenixnap", "ProviderName");
    assert!(cloud.has_cluster_id(), "HasClusterID");
}

#[tokio::test(start_paused = true)]
async fn node_addresses() {
    let world = World::new();
    let id = world.add_server("ccm-node", &json!({}));
    let prefixed = format!("phoenixnap://{id}");
    failed(&world.look_up("", "").await, "node name cannot be empty");
    let seen = world.look_up("ccm-test", "").await;
    assert!(
        matches!(seen, Sighting::Unknown(Unknown::NoMatch)),
        "empty ID: {seen:?}"
    );
    for unknown in ["phoenixnap://abc123", &format!("phoenixnap://{UNKNOWN}")] {
        let seen = world.look_up("ccm-test", unknown).await;
        assert!(matches!(seen, Sighting::Gone), "{unknown}: {seen:?}");
    }
    for (name, provider_id) in [("ccm-node", prefixed.as_str()), ("other", &prefixed), ("ccm-node", "")] {
        let metadata = running(world.look_up(name, provider_id).await);
        let told: Vec<String> = metadata
            .addresses
            .iter()
            .map(|it| format!("{} {}", it.kind, it.address))
            .collect();
        let expected = ["Hostname ccm-node", "ExternalIP 198.19.0.2", "InternalIP 10.1.0.2"];
        assert_eq!(told, expected, "{name} {provider_id}");
    }
}

#[tokio::test(start_paused = true)]
async fn instance_type_and_region() {
    let world = World::new();
    let id = world.add_server("ccm-node", &json!({"type": "d1.c1.small", "location": "ASH"}));
    let seen = world.look_up("ccm-test", "").await;
    assert!(
        matches!(seen, Sighting::Unknown(Unknown::NoMatch)),
        "empty name: {seen:?}"
    );
    for unknown in ["thisdoesnotexist", UNKNOWN] {
        let seen = world.look_up("ccm-test", unknown).await;
        assert!(matches!(seen, Sighting::Gone), "{unknown}: {seen:?}");
    }
    let metadata = running(world.look_up("ccm-node", &format!("phoenixnap://{id}")).await);
    assert_eq!(
        (metadata.instance_type.as_str(), metadata.region.as_str()),
        ("d1.c1.small", "ASH")
    );
    assert_eq!(metadata.zone, "");
}

#[tokio::test(start_paused = true)]
async fn instance_exists() {
    let world = World::new();
    let id = world.add_server("ccm-node", &json!({}));
    assert_eq!(
        ProviderId::parse("").unwrap_err().to_string(),
        "providerID cannot be empty string"
    );
    for gone in [UNKNOWN.to_owned(), format!("phoenixnap://{UNKNOWN}")] {
        let seen = world.look_up("ccm-node", &gone).await;
        assert!(matches!(seen, Sighting::Gone), "{gone}: {seen:?}");
    }
    let told = ProviderId::parse(&format!("aws://{UNKNOWN}")).unwrap_err().to_string();
    assert!(
        told.starts_with("provider name from providerID should be phoenixnap"),
        "{told}"
    );
    let foreign = world.look_up("ccm-node", &format!("aws://{UNKNOWN}")).await;
    assert!(matches!(foreign, Sighting::Unknown(Unknown::Foreign)), "{foreign:?}");
    for there in [id.clone(), format!("phoenixnap://{id}")] {
        running(world.look_up("ccm-node", &there).await);
    }
}

#[tokio::test(start_paused = true)]
async fn instance_shutdown() {
    let world = World::new();
    let on = world.add_server("on", &json!({}));
    let off = world.add_server("off", &json!({"status": "powered-off"}));
    for provider_id in [on.clone(), format!("phoenixnap://{on}")] {
        running(world.look_up("on", &provider_id).await);
    }
    for provider_id in [off.clone(), format!("phoenixnap://{off}")] {
        let seen = world.look_up("off", &provider_id).await;
        assert!(matches!(seen, Sighting::ShutDown), "{seen:?}");
    }
    failed(
        &world.look_up("on", &format!("phoenixnap://{on}://x")).await,
        "unexpected providerID format: ",
    );
}
