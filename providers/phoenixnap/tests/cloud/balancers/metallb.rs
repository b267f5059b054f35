//! MetalLB by layer 2 as the one who announces.

use phoenixnap_sim::Settings;
use serde_json::{Value, json};

use super::announced_by;
use crate::harness::{World, minutes};

pub fn specs(world: &World, plural: &str) -> Vec<Value> {
    let objects = world.kube.list(&format!("{plural}.metallb.io"));
    objects.into_iter().map(|mut object| object["spec"].take()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_address_has_a_pool_and_all_pools_one_advertisement() {
    let world = announced_by(
        "metallb",
        Settings::default(),
        json!({"serviceNodeSelector": "role=edge"}),
        1,
    );
    world.install_metallb();
    world.add_service("a", &json!({}));
    world.add_service("b", &json!({}));
    let _ran = world.run(&[]);
    world.until_served(&["a", "b"]).await;
    let (a, b) = (world.ingress("a")[0].clone(), world.ingress("b")[0].clone());
    let mut pools: Vec<String> = specs(&world, "ipaddresspools")
        .iter()
        .map(|spec| spec["addresses"][0].as_str().unwrap().to_owned())
        .collect();
    pools.sort();
    let mut expected = [format!("{a}/32"), format!("{b}/32")];
    expected.sort();
    assert_eq!(pools, expected);
    let advertisements = specs(&world, "l2advertisements");
    assert_eq!(advertisements.len(), 1);
    assert_eq!(advertisements[0]["ipAddressPools"], json!(["default.a", "default.b"]));
    let edge = json!([{"matchExpressions": [{"key": "role", "operator": "In", "values": ["edge"]}]}]);
    assert_eq!(advertisements[0]["nodeSelectors"], edge);
    assert_eq!(world.service("a").unwrap()["spec"]["loadBalancerIP"], a);
    for name in ["a", "b"] {
        world.delete_service(name);
    }
    world.until_no_blocks().await;
    minutes(1).await;
    assert_eq!(
        (specs(&world, "ipaddresspools"), specs(&world, "l2advertisements")),
        (vec![], vec![])
    );
}

/// Nothing is bought that nobody would announce.
#[tokio::test(start_paused = true)]
async fn without_metallb_nothing_is_bought() {
    let world = announced_by("metallb", Settings::default(), json!({}), 1);
    world.add_service("a", &json!({}));
    let _ran = world.run(&[]);
    minutes(10).await;
    assert_eq!(world.bought(), 0);
    let warnings = world.warnings("a");
    assert!(
        warnings.iter().any(|text| text.contains("install MetalLB")),
        "{warnings:?}"
    );
}

/// Two would answer for one address.
#[tokio::test(start_paused = true)]
async fn after_another_announcer_was_chosen_metallb_announces_nothing_any_more() {
    let mut world = announced_by("metallb", Settings::default(), json!({}), 1);
    world.install_metallb();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lb"}});
    world.kube.create(namespace).unwrap();
    let theirs = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": "theirs", "namespace": "metallb-system"}, "spec": {"addresses": ["192.0.2.0/24"]},
    });
    world.kube.create(theirs).unwrap();
    world.add_service("a", &json!({}));
    world.add_service("b", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["a", "b"]).await;
    ran.end().await.unwrap();
    let addresses = [world.ingress("a"), world.ingress("b")];
    let places = |world: &World| -> Vec<String> {
        let pools = world.kube.list("ipaddresspools.metallb.io");
        let place = |it: &Value| format!("{}/{}", it["metadata"]["namespace"], it["metadata"]["name"]).replace('"', "");
        let mut places: Vec<String> = pools.iter().map(place).collect();
        places.sort();
        places
    };
    // MetalLB elsewhere, then kube-vip.
    let network = world.public_network();
    world.configure(json!({"loadbalancer": format!("metallb://{network}/lb")}));
    let ran = world.run(&[]);
    minutes(2).await;
    ran.end().await.unwrap();
    assert_eq!(
        places(&world),
        ["lb/default.a", "lb/default.b", "metallb-system/theirs"]
    );
    assert_eq!(specs(&world, "l2advertisements").len(), 1);
    world.configure(json!({"loadbalancer": format!("kube-vip://{network}")}));
    let _ran = world.run(&[]);
    minutes(2).await;
    assert_eq!(places(&world), ["metallb-system/theirs"]);
    assert_eq!(specs(&world, "l2advertisements"), [Value::Null; 0]);
    assert_eq!([world.ingress("a"), world.ingress("b")], addresses);
    let written = &world.service("a").unwrap()["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"];
    assert_eq!(*written, json!(addresses[0][0]));
}

/// The setting is gone: what is announced stays so until its Service goes.
#[tokio::test(start_paused = true)]
async fn without_a_load_balancer_metallb_announces_until_the_service_goes() {
    let mut world = announced_by("metallb", Settings::default(), json!({}), 1);
    world.install_metallb();
    world.add_service("a", &json!({}));
    world.add_service("b", &json!({}));
    let ran = world.run(&[]);
    world.until_served(&["a", "b"]).await;
    ran.end().await.unwrap();
    world.configure(json!({"loadbalancer": ""}));
    let _ran = world.run(&[]);
    minutes(15).await;
    assert_eq!(specs(&world, "ipaddresspools").len(), 2);
    world.delete_service("a");
    minutes(5).await;
    assert_eq!(
        (
            world.service("a"),
            world.blocks().len(),
            specs(&world, "ipaddresspools").len()
        ),
        (None, 1, 1)
    );
}
