//! What stands in for upstream's getProviderID: a node is known to its cloud by the provider ID it has, and by no other.

use super::*;

/// Upstream derives an ID for nodes without one. Here such a node is left alone: it cannot be positively denied.
#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_get_provider_id() {
    for (name, id, instance, asked) in [
        ("the node has one, first interface", "fake://i-n0", true, true),
        ("the node has one, second interface", "i-n0", true, true),
        (
            "the node has none, the cloud knows its name, first interface",
            "",
            true,
            false,
        ),
        (
            "the node has none, the cloud knows its name, second interface",
            "",
            true,
            false,
        ),
        ("neither has one", "", false, false),
        (
            "the cloud does not know the name, or answers with an error",
            "",
            false,
            false,
        ),
    ] {
        let world = World::new();
        if instance {
            world.cloud.add(Instance::new("i-n0", "n0"));
        }
        let mut node = node("n0", "False");
        node["spec"]["providerID"] = json!(id);
        world.sim.create(node).unwrap();
        let _process = start(&world);
        minutes(2).await;
        assert!(world.node("n0").is_some(), "{name}");
        assert_eq!(world.cloud.script().calls().is_empty(), !asked, "{name}");
    }
}
