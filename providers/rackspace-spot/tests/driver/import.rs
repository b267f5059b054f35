//! Importing a cloudspace that is there.

use cloud_sim::{Action, Fault};

use crate::create::{foreign, foreign_pool};
use crate::harness::{Options, World, acme, world};

const SECOND: &str = "00000000-0000-4000-8000-000000000002";

fn importing(name: &str) -> Options {
    defaults()
        .without("rackspaceSpotRegion")
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", name)
}

/// What Rancher sends with every call: the defaults of all fields.
fn defaults() -> Options {
    acme()
        .text("kubernetesVersion", "1.33.0")
        .text("spotServerClass", "gp.vs1.medium-iad")
        .int("spotNodeCount", 3)
        .text("spotBidPrice", "0.01")
        .bool("spotAutoscalingEnabled", false)
        .bool("onDemandEnabled", false)
        .text("additionalSpotPools", "[]")
}

async fn there() -> World {
    let world = world();
    foreign(&world, "theirs").await;
    foreign_pool(&world, "theirs", SECOND).await;
    world
}

async fn an_imported_cloudspace_is_described_and_not_touched() {
    let world = there().await;
    let (bought, writes) = (world.bought(), world.writes());
    let info = world.create(&importing("Theirs")).await.unwrap();
    assert_eq!(info.node_count, 4);
    assert!(info.metadata["state"].contains("\"imported\":true") && info.metadata["state"].contains(SECOND));
    world.post_check().await.unwrap();
    world.update(&defaults()).await.unwrap();
    world.remove().await.unwrap();
    assert_eq!(world.bought(), bought);
    assert_eq!(world.writes(), writes);
}

async fn an_imported_cloudspace_can_be_scaled_but_gets_no_pools() {
    let world = there().await;
    world.create(&importing("theirs")).await.unwrap();
    let before = world.writes().len();
    world.update(&defaults().int("spotNodeCount", 5)).await.unwrap();
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","bidPrice":"0.02"}]"#;
    world
        .update(&defaults().int("spotNodeCount", 5).text("additionalSpotPools", more))
        .await
        .unwrap();
    assert_eq!(world.writes().split_off(before), ["PATCH spotnodepools"]);
    assert_eq!(world.pools().len(), 2);
}

async fn a_wish_for_the_default_counts_once_it_is_news() {
    let world = there().await;
    world.create(&importing("theirs")).await.unwrap();
    let desired = |world: &World| {
        let counts = world.pools().into_iter().map(|pool| pool["spec"]["desired"].as_i64());
        counts.flatten().sum::<i64>()
    };
    let (world, messages) = world.listening();
    world.update(&defaults()).await.unwrap();
    assert_eq!(desired(&world), 4);
    let told = messages();
    assert!(
        told.contains("spot-node-count") && told.contains("did not change since the last call"),
        "{told}"
    );
    world.update(&defaults().int("spotNodeCount", 5)).await.unwrap();
    assert_eq!(desired(&world), 7);
    world.update(&defaults().int("spotNodeCount", 3)).await.unwrap();
    assert_eq!(desired(&world), 5, "3 is the default, and a wish all the same");
}

async fn an_update_that_only_names_the_default_counts_where_the_import_named_nothing() {
    let world = there().await;
    let bare = acme()
        .without("rackspaceSpotRegion")
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", "theirs");
    world.create(&bare).await.unwrap();
    let before = world.writes().len();
    world
        .update_exactly(&Options::default().int("spot-node-count", 3))
        .await
        .unwrap();
    assert_eq!(world.writes().split_off(before), ["PATCH spotnodepools"]);
}

async fn a_cloudspace_without_pools_stays_without() {
    let world = world().ready(&acme().int("spotNodeCount", 1)).await;
    let mut state = world.sim.state();
    state["spotnodepools"] = match &state["spotnodepools"] {
        serde_json::Value::Array(_) => serde_json::json!([]),
        _ => serde_json::json!({}),
    };
    world.sim.replace(state).unwrap();
    *world.info.borrow_mut() = kontainer_engine::ClusterInfo::default();
    let before = world.writes().len();
    world.create(&importing("c-w467n")).await.unwrap();
    world.update(&defaults()).await.unwrap();
    assert_eq!(world.writes().len(), before);
}

async fn what_cannot_be_imported_is_told() {
    let world = world();
    let missing = world.create(&importing("nowhere")).await.unwrap_err().text();
    assert!(
        missing.contains("cloudspace \"nowhere\" not found: use create mode"),
        "{missing}"
    );
    let unnamed = world.create(&importing("")).await.unwrap_err().text();
    assert!(
        unnamed.contains("invalid cloudspace name: name cannot be empty"),
        "{unnamed}"
    );
    for key in ["rackspaceSpotRefreshToken", "rackspaceSpotOrganization"] {
        let incomplete = importing("x").without(key);
        let error = world.create_with(&incomplete, None).await.unwrap_err().text();
        assert!(error.contains("is required"), "{error}");
    }
    world.fault(Fault::new(Action::DropBefore).on("GET", "/cloudspaces/").always());
    let broken = world.create(&importing("x")).await.unwrap_err().text();
    assert!(broken.contains("failed to look up cloudspace \"x\""), "{broken}");
    assert_eq!(world.writes(), Vec::<String>::new());
    let before = world.outgoing().len();
    world.remove().await.unwrap();
    assert_eq!(
        world.outgoing().len(),
        before,
        "an import makes nothing, so there is nothing to look for"
    );
}

scenarios![
    an_imported_cloudspace_is_described_and_not_touched,
    an_imported_cloudspace_can_be_scaled_but_gets_no_pools,
    a_wish_for_the_default_counts_once_it_is_news,
    an_update_that_only_names_the_default_counts_where_the_import_named_nothing,
    a_cloudspace_without_pools_stays_without,
    what_cannot_be_imported_is_told,
];
