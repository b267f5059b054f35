//! Where addresses are written, and what users wrote there before.

use phoenixnap::ANNOTATION_ASSIGNED;
use phoenixnap_sim::Settings;
use serde_json::{Value, json};

use super::{plain_world, world};
use crate::harness::{World, minutes};

const KUBE_VIP: &str = "kube-vip.io/loadbalancerIPs";

fn annotation(world: &World, key: &str) -> Value {
    world.service("web").unwrap()["metadata"]["annotations"][key].clone()
}

fn spec(world: &World) -> Value {
    world.service("web").unwrap()["spec"]["loadBalancerIP"].clone()
}

fn annotated(address: &str) -> Value {
    json!({"metadata": {"annotations": {KUBE_VIP: address}}})
}

#[tokio::test(start_paused = true)]
async fn the_deprecated_field_is_left_alone_where_that_is_wanted() {
    let world = world(Settings::default(), json!({"annotationOnly": true}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    minutes(1).await;
    let address = world.ingress("web")[0].clone();
    assert_eq!(
        (spec(&world), annotation(&world, KUBE_VIP)),
        (Value::Null, json!(address))
    );
    assert_eq!(annotation(&world, ANNOTATION_ASSIGNED), address);
    world.change_service("web", &json!({"spec": {"type": "ClusterIP"}}));
    world.until_no_blocks().await;
    minutes(1).await;
    assert_eq!(
        (annotation(&world, KUBE_VIP), annotation(&world, ANNOTATION_ASSIGNED)),
        (Value::Null, Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn switching_to_annotations_and_back_changes_no_address() {
    let mut world = plain_world();
    world.add_service("web", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["web"]).await;
    let address = json!(world.ingress("web")[0]);
    assert_eq!(spec(&world), address);
    ran.end().await.unwrap();
    for only in [true, false] {
        world.configure(json!({"annotationOnly": only}));
        let ran = world.run(&[]);
        minutes(2).await;
        let expected = if only { Value::Null } else { address.clone() };
        assert_eq!(
            (spec(&world), annotation(&world, KUBE_VIP)),
            (expected, address.clone())
        );
        assert_eq!(json!(world.ingress("web")[0]), address);
        ran.end().await.unwrap();
    }
    assert_eq!(world.bought(), 1);
}

/// kube-vip announces what the annotation says: whatever else was written would be a lie.
#[tokio::test(start_paused = true)]
async fn an_annotation_of_the_user_is_taken_as_his_wish() {
    for only in [false, true] {
        let world = world(Settings::default(), json!({"annotationOnly": only}));
        world.add_block("198.51.100.0/28", "x", &json!({"tags": []}));
        world.add_service("web", &annotated("198.51.100.7"));
        let _ran = world.run(&[]);
        world.until_served(&["web"]).await;
        minutes(1).await;
        assert_eq!(
            (world.ingress("web"), world.bought()),
            (vec!["198.51.100.7".to_owned()], 0)
        );
        assert_eq!(
            (spec(&world), annotation(&world, ANNOTATION_ASSIGNED)),
            (Value::Null, Value::Null)
        );
        world.change_service("web", &json!({"spec": {"type": "ClusterIP"}}));
        minutes(2).await;
        assert_eq!(
            (annotation(&world, KUBE_VIP), world.ingress("web").len()),
            (json!("198.51.100.7"), 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_annotation_that_cannot_be_followed_is_told_and_not_overwritten() {
    for (more, told) in [
        (
            annotated("198.51.100.7"),
            "has no IP block with it: correct or remove the annotation",
        ),
        (annotated("0.0.0.0"), "has no IP block with it"),
        (annotated("dhcp"), "which is not one address"),
        (
            json!({"metadata": annotated("198.51.100.7")["metadata"], "spec": {"loadBalancerIP": "198.51.100.8"}}),
            "correct or remove one of them",
        ),
    ] {
        let world = plain_world();
        world.add_service("web", &more);
        let before = annotation(&world, KUBE_VIP);
        let _ran = world.run(&[]);
        minutes(5).await;
        assert_eq!((world.bought(), world.ingress("web").len()), (0, 0), "{more}");
        assert_eq!(annotation(&world, KUBE_VIP), before);
        let warnings = world.warnings("web");
        assert!(warnings.iter().any(|text| text.contains(told)), "{warnings:?}");
    }
}

/// Within the block that was bought for it a Service may choose, by either place.
#[tokio::test(start_paused = true)]
async fn an_annotation_that_is_changed_within_the_block_is_followed_everywhere() {
    let world = plain_world();
    world.add_block("203.0.113.64/29", "web", &json!({}));
    world.add_service("web", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["web"]).await;
    world.change_service("web", &annotated("203.0.113.68"));
    minutes(2).await;
    assert_eq!(world.ingress("web"), ["203.0.113.68"]);
    for written in [
        spec(&world),
        annotation(&world, KUBE_VIP),
        annotation(&world, ANNOTATION_ASSIGNED),
    ] {
        assert_eq!(written, "203.0.113.68");
    }
    world.delete_service("web");
    world.until_no_blocks().await;
}
