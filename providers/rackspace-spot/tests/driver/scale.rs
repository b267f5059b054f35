//! Size and version on their own.

use serde_json::json;

use crate::harness::{acme, world};

async fn the_size_is_the_total_and_the_primary_pool_makes_the_difference() {
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":2,"bidPrice":"0.02"}]"#;
    let world = world()
        .ready(&acme().text("additionalSpotPools", more).bool("onDemandEnabled", true))
        .await;
    assert_eq!(world.size().await.unwrap(), 6);
    world.set_size(10).await.unwrap();
    assert_eq!(world.size().await.unwrap(), 10);
    let primary = world
        .pools()
        .into_iter()
        .find(|pool| pool["spec"]["serverClass"] == "gp.vs1.medium-iad")
        .unwrap();
    assert_eq!(primary["spec"]["desired"], 7);
    world.set_size(3).await.unwrap();
    let error = world.set_size(2).await.unwrap_err().text();
    assert!(error.contains("the other pools have 3 machines"), "{error}");
    assert!(world.set_size(-1).await.is_err() && world.set_size(1_000_000).await.is_err());
}

async fn autoscaling_is_left_as_it_is() {
    let options = acme()
        .bool("spotAutoscalingEnabled", true)
        .int("spotAutoscalingMinNodes", 2)
        .int("spotAutoscalingMaxNodes", 5);
    let world = world().ready(&options).await;
    world.set_size(4).await.unwrap();
    let spec = world.pools()[0]["spec"].clone();
    assert_eq!(
        spec["autoscaling"],
        json!({"enabled": true, "minNodes": 2, "maxNodes": 5})
    );
    assert_eq!(spec["desired"], 4);
    let error = world.set_size(6).await.unwrap_err().text();
    assert!(error.contains("from 2 to 5"), "{error}");
}

async fn an_upgrade_is_real_and_waited_for() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.31")).await;
    assert_eq!(world.version().await.unwrap(), "1.31.1");
    world.set_version("1.32").await.unwrap();
    assert_eq!(world.version().await.unwrap(), "1.32.9");
    assert_eq!(
        world.objects("cloudspaces")[0]["status"]["currentKubernetesVersion"],
        "1.32.9"
    );
    let before = world.writes().len();
    world.set_version("1.32.9").await.unwrap();
    assert!(world.set_version("1.31.1").await.is_err() && world.set_version("latest").await.is_err());
    assert_eq!(world.writes().len(), before);
}

scenarios![
    the_size_is_the_total_and_the_primary_pool_makes_the_difference,
    autoscaling_is_left_as_it_is,
    an_upgrade_is_real_and_waited_for,
];
