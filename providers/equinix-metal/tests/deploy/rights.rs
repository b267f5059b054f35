//! The rights the provider needs beyond those of every controller manager.

use std::collections::BTreeSet;

use provider_suite::rights::{Right, each_is_needed, run_as_shipped, used};
use serde_json::json;

use super::cluster::{CONFIG_MAP, EXTERNAL, RESOURCES, SOON, addressed, delete, world};
use super::harness::{Metal, World, merge, minutes};

/// Lives a while in a world with the rights that are shipped, and gives what was used of them.
async fn live(world: &World, eips: &[String]) -> BTreeSet<Right> {
    let slice = |name: &str, family: &str, address: &str| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        })
    };
    if world.service("default", "kubernetes").is_none() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}]},
        });
        world.kube.create(service).unwrap();
    }
    world.kube.apply(slice("kubernetes", "IPv4", "10.0.0.1")).unwrap();
    world.kube.apply(slice("kubernetes-6", "IPv6", "fd00::1")).unwrap();
    let ran = run_as_shipped(world, &[]);
    world.add_service("default", "web", &json!({}));
    addressed(world, "web").await;
    if !eips.is_empty() {
        ask_for_one_address_and_then_for_another(world, eips).await;
    }
    minutes(1).await;
    world
        .kube
        .delete("endpointslices.discovery.k8s.io", Some("default"), "kubernetes-6")
        .unwrap();
    minutes(1).await;
    delete(world, "web").await;
    ran.end().await.unwrap();
    used(world)
}

/// What is announced for a Service is changed, beside that of another one.
async fn ask_for_one_address_and_then_for_another(world: &World, eips: &[String]) {
    for eip in eips {
        let more = json!({"metadata": {"annotations": {"metal.equinix.com/eip-address": eip}}});
        match world.service("default", "own") {
            None => world.add_service("default", "own", &more),
            Some(mut service) => {
                merge(&mut service, &more);
                world.kube.update(service).unwrap();
            }
        }
        world
            .until("the service has the address", SOON, |world| {
                world.ingress("default", "own") == [eip.clone()]
            })
            .await;
    }
    delete(world, "own").await;
}

#[tokio::test(start_paused = true)]
async fn everything_works_with_the_shipped_rights_and_each_of_our_own_is_needed() {
    let mut all = BTreeSet::new();
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP, "emlb:///da"] {
        let mut world = world(setting);
        let mut eips = Vec::new();
        if !setting.starts_with("emlb") {
            world.sim.reserve(&["control-plane"]).unwrap();
            world.configure(json!({"eipTag": "control-plane"}));
            eips.extend([1, 2].map(|_| world.sim.reserve(&["mine"]).unwrap().1));
        }
        all.extend(live(&world, &eips).await);
        if !setting.starts_with("emlb") {
            let external = world.service("kube-system", EXTERNAL);
            assert!(external.is_some(), "{setting}: the control plane has no Service");
        }
    }
    // An apply that makes an object needs the right to create it, too.
    for (group, resource) in [("", "services"), ("discovery.k8s.io", "endpointslices")] {
        all.insert((group.to_owned(), resource.to_owned(), "create".to_owned()));
    }
    each_is_needed::<Metal>(&all);
}
