//! The life of a cluster, from end to end.

use crate::harness::{acme, world};

async fn a_cluster_is_made_checked_changed_and_removed() {
    let world = world();
    world.create(&acme()).await.unwrap();
    let info = world.post_check().await.unwrap();
    assert!(info.endpoint.starts_with("https://"), "{}", info.endpoint);
    assert!(!info.root_ca_certificate.is_empty() && !info.service_account_token.is_empty());
    assert_eq!((info.version.as_str(), info.node_count), ("1.33.0", 3));
    world.update(&acme().int("spotNodeCount", 5)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 5);
    assert_eq!(world.size().await.unwrap(), 5);
    assert_eq!(world.version().await.unwrap(), "1.33.0");
    world.remove().await.unwrap();
    assert_eq!(
        world.bought(),
        serde_json::json!({"cloudspaces": [], "spotnodepools": [], "ondemandnodepools": []})
    );
}

scenarios![a_cluster_is_made_checked_changed_and_removed];
