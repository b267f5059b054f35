//! Another public network is configured while Services have addresses on the first.

use std::time::Duration;

use phoenixnap_sim::Kind;
use serde_json::{Value, json};

use super::plain_world;
use crate::harness::{World, minutes};

/// The network that a block is on.
fn network_of(world: &World, block: &str) -> Value {
    world.sim.object(Kind::Block, block).unwrap()["target"]["network"].clone()
}

#[tokio::test(start_paused = true)]
async fn services_stay_where_they_are_and_new_ones_go_to_the_new_network() {
    let mut world = plain_world();
    let first = world.public_network();
    world.add_service("web", &json!({}));
    world.add_service("other", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["web", "other"]).await;
    ran.end().await.unwrap();
    let second = json!({"name": "second", "location": "ASH"});
    let second = world.sim.add(Kind::PublicNetwork, second).unwrap();
    world.configure(json!({"loadbalancer": format!("kube-vip://{second}")}));
    let before = [world.ingress("web"), world.ingress("other")];
    let block = |world: &World, service: &str| {
        let mut blocks = world.blocks().into_iter();
        blocks.find(|block| block.tags["serviceName"] == service).unwrap().id
    };
    let ran = world.run(&[]);
    world.add_service("new", &json!({}));
    world.until_served(&["new"]).await;
    minutes(30).await;
    assert_eq!([world.ingress("web"), world.ingress("other")], before);
    assert_eq!(network_of(&world, &block(&world, "web")), first);
    assert_eq!(
        (network_of(&world, &block(&world, "new")), world.bought()),
        (json!(second), 3)
    );
    let warnings = world.warnings("web");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains(&format!("is on public network {first}"))),
        "{warnings:?}"
    );
    assert!(!warnings.iter().any(|text| text.contains("failed")), "{warnings:?}");
    let metrics = ran.metrics.render();
    assert!(
        metrics.contains("phoenixnap_ip_blocks{state=\"elsewhere\"} 2"),
        "{metrics}"
    );
    // Taken off by hand, it follows, and keeps its address.
    let moving = block(&world, "web");
    let off = json!({"status": "unassigned", "target": null});
    world.sim.change(Kind::Block, &moving, &off).unwrap();
    world
        .until("it is on the new network", Duration::from_mins(15), |world| {
            network_of(world, &moving) == second
                && world.sim.object(Kind::Block, &moving).unwrap()["status"] == "assigned"
        })
        .await;
    assert_eq!(world.ingress("web"), before[0]);
    for name in ["web", "other", "new"] {
        world.delete_service(name);
    }
    world.until_no_blocks().await;
}
