//! The setting `loadbalancer` is removed while Services have addresses.

use std::time::Duration;

use serde_json::{Value, json};

use super::plain_world;
use crate::harness::{World, minutes};

/// A world in which `names` were served, and whose next manager has no load balancer.
pub async fn without_load_balancer(names: &[&str]) -> World {
    let mut world = plain_world();
    for name in names {
        world.add_service(name, &json!({}));
    }
    let ran = world.run(&[]);
    world.until_served(names).await;
    ran.end().await.unwrap();
    world.configure(json!({"loadbalancer": ""}));
    world
}

#[tokio::test(start_paused = true)]
async fn services_keep_their_addresses_until_they_go_and_then_their_blocks_go_too() {
    let world = without_load_balancer(&["stays", "goes", "changes"]).await;
    let (address, cluster_ip) = (world.ingress("stays"), json!({"spec": {"type": "ClusterIP"}}));
    let ran = world.run(&[]);
    world.add_service("new", &json!({}));
    minutes(15).await;
    let told = world
        .events()
        .into_iter()
        .filter(|(reason, ..)| reason == "LoadBalancerNotConfigured");
    assert_eq!(told.count(), 3);
    assert!(
        ran.metrics
            .render()
            .contains("phoenixnap_ip_blocks{state=\"in-use\"} 3")
    );
    world.delete_service("goes");
    world.change_service("changes", &cluster_ip);
    let gone = |world: &World| world.service("goes").is_none() && world.blocks().len() == 1;
    world
        .until("their blocks are given back", Duration::from_mins(3), gone)
        .await;
    let changed = world.service("changes").unwrap();
    let left = &changed["metadata"]["annotations"];
    assert!(left.as_object().is_none_or(serde_json::Map::is_empty), "{left}");
    assert_eq!(changed["metadata"].get("finalizers"), None);
    assert_eq!(
        (changed["spec"].get("loadBalancerIP"), world.ingress("changes").len()),
        (None, 0)
    );
    minutes(60).await;
    let new = world.service("new").unwrap();
    assert_eq!(
        (world.ingress("new").len(), new["metadata"].get("finalizers")),
        (0, None)
    );
    assert_eq!((world.ingress("stays"), world.bought()), (address, 3));
    world.delete_service("stays");
    world.until_no_blocks().await;
    minutes(1).await;
    assert!(world.service("stays").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_the_original_left_goes_as_well() {
    let mut world = plain_world();
    world.configure(json!({"loadbalancer": ""}));
    world.add_block("203.0.113.64/29", "web", &json!({}));
    let finalizers = json!({"finalizers": [cloud_provider::names::FINALIZER]});
    world.add_service(
        "web",
        &json!({"metadata": finalizers, "spec": {"loadBalancerIP": "203.0.113.66"}}),
    );
    // Another controller's, which has nothing to do with us.
    world.add_service("foreign", &json!({"metadata": finalizers}));
    let _ran = world.run(&[]);
    world.delete_service("web");
    world.delete_service("foreign");
    world.until_no_blocks().await;
    minutes(2).await;
    assert_eq!((world.service("web"), world.service("foreign").is_some()), (None, true));
}

#[tokio::test(start_paused = true)]
async fn set_again_everything_is_looked_after_again() {
    let mut world = without_load_balancer(&["web"]).await;
    let address = world.ingress("web");
    let ran = world.run(&[]);
    minutes(5).await;
    ran.end().await.unwrap();
    let setting = format!("kube-vip://{}", world.public_network());
    world.configure(json!({"loadbalancer": setting}));
    let _ran = world.run(&[]);
    world.add_service("new", &json!({}));
    world.until_served(&["new"]).await;
    assert_eq!((world.ingress("web"), world.bought()), (address, 2));
}

/// A cluster that never had load balancers is asked about once.
#[tokio::test(start_paused = true)]
async fn where_nothing_is_left_nothing_is_looked_for() {
    let mut world = plain_world();
    world.configure(json!({"loadbalancer": Value::Null}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    minutes(180).await;
    assert_eq!(world.asked("GET", "/ips/v1/ip-blocks"), 1);
}
