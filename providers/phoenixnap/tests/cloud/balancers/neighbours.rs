//! Other clusters in the same account, on the same public network.

use serde_json::{Value, json};

use super::{OWNER, plain_world};
use crate::harness::{World, minutes};

fn tags(cluster: &str, service: &str) -> Value {
    let tag = |name: &str, value: &str| json!({"name": name, "value": value});
    json!({"tags": [
        tag("usage", OWNER), tag("cluster", cluster), tag("serviceNamespace", "default"), tag("serviceName", service),
    ]})
}

/// Two clusters would answer for one address.
#[tokio::test(start_paused = true)]
async fn an_address_in_a_block_of_another_cluster_is_not_given() {
    let world = plain_world();
    let theirs = world.add_block("203.0.113.64/29", "x", &tags("another-cluster", "web"));
    world.add_block(
        "203.0.113.72/29",
        "x",
        &json!({"tags": [{"name": "cluster", "value": "word-of-the-user"}]}),
    );
    for (name, address) in [("web", "203.0.113.67"), ("brought", "203.0.113.75")] {
        world.add_service(name, &json!({"spec": {"loadBalancerIP": address}}));
    }
    let _ran = world.run(&[]);
    world.until_served(&["brought"]).await;
    minutes(5).await;
    assert_eq!((world.ingress("web").len(), world.bought()), (0, 0));
    let told = world.warnings("web");
    assert!(
        told.iter()
            .any(|text| text.contains("is that of cluster another-cluster")),
        "{told:?}"
    );
    world.delete_service("web");
    minutes(5).await;
    assert!(world.service("web").is_none());
    assert!(
        world
            .blocks()
            .iter()
            .any(|block| block.id == theirs && block.status == "assigned")
    );
}

/// Whose a block is must be known before an address of it is given.
#[tokio::test(start_paused = true)]
async fn a_block_that_cannot_be_read_gives_no_address() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "x", &json!({"tags": []}));
    world.add_service("web", &json!({"spec": {"loadBalancerIP": "203.0.113.67"}}));
    let refused = cloud_sim::Fault::status(403).body(json!({"message": "no"}));
    world.fault(refused.on("GET", "/ip-blocks/").always());
    let _ran = world.run(&[]);
    minutes(5).await;
    assert_eq!(world.ingress("web").len(), 0);
    let told = world.warnings("web");
    assert!(
        told.iter()
            .any(|text| text.contains("unable to tell whose block 203.0.113.64/29")),
        "{told:?}"
    );
    world.sim.front().clear_faults();
    world.until_served(&["web"]).await;
}

/// The manifest of a Service was copied with all that stands in it.
#[tokio::test(start_paused = true)]
async fn a_service_copied_from_another_cluster_gets_an_address_of_its_own() {
    let world = plain_world();
    let theirs = world.add_block("203.0.113.64/29", "x", &tags("another-cluster", "web"));
    let address = "203.0.113.66";
    let written = json!({phoenixnap::ANNOTATION_ASSIGNED: address, "kube-vip.io/loadbalancerIPs": address});
    world.add_service(
        "web",
        &json!({"metadata": {"annotations": written}, "spec": {"loadBalancerIP": address}}),
    );
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    assert_ne!(world.ingress("web"), [address]);
    assert_eq!(annotation(&world, "web"), world.ingress("web")[0]);
    world.delete_service("web");
    minutes(15).await;
    let left: Vec<String> = world.blocks().into_iter().map(|block| block.id).collect();
    assert_eq!(left, [theirs]);
}

fn annotation(world: &World, name: &str) -> String {
    let service = world.service(name).unwrap();
    let text = service["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"].as_str();
    text.unwrap_or_default().to_owned()
}
