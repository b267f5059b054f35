//! From one way to the API server to the other.

use serde_json::{Value, json};

use crate::cluster::{EXTERNAL, SOON, users_balancer};
use crate::control_plane::{Plane, plane};
use crate::harness::{World, seconds};

const CLASS: &str = "metal.equinix.com/control-plane";

fn ports(world: &World) -> Vec<Value> {
    let balancer = world.sim.load_balancers().remove(0);
    let ports = balancer["ports"].as_array().cloned().unwrap_or_default();
    ports.into_iter().map(|port| port["number"].clone()).collect()
}

fn failures(world: &World) -> usize {
    let events = world.events();
    let failures = events.iter().filter(|event| event.0 == "ControlPlaneEndpointFailed");
    failures.count()
}

async fn by_balancer(plane: &mut Plane, id: &str) {
    let config = json!({"eipTag": "", "loadbalancer": "emlb:///da", "loadBalancerID": id});
    plane.world.configure(config);
    let _ran = plane.world.run(&[]);
    let leads = |world: &World| ports(world) == [json!(6443)] && world.ingress("kube-system", EXTERNAL).len() == 1;
    plane.world.until("the load balancer leads there", SOON, leads).await;
    seconds(30).await;
    let service = plane.external().unwrap();
    assert!(service["spec"].get("loadBalancerClass").is_none(), "{service}");
    let address = plane.world.sim.load_balancers()[0]["ips"][0].clone();
    assert_eq!(
        plane.world.ingress("kube-system", EXTERNAL),
        [address.as_str().unwrap()]
    );
    let annotations = &service["metadata"]["annotations"];
    assert_eq!(annotations["equinix.com/loadbalancerID"], json!(id));
    assert!(annotations.get("metallb.io/address-pool").is_none());
    assert_eq!(plane.copy().unwrap()["endpoints"][0]["addresses"], json!(["10.0.0.1"]));
}

#[tokio::test(start_paused = true)]
async fn from_an_elastic_ip_to_a_load_balancer_and_back() {
    // The class that keeps others away from the Service cannot be taken off a load balancer.
    let mut plane = plane(&json!({}));
    let id = users_balancer(&plane.world);
    let ran = plane.world.run(&[]);
    plane.until_held().await;
    plane
        .world
        .until("the service is there", SOON, |_| plane.external().is_some())
        .await;
    seconds(10).await;
    ran.end().await.unwrap();
    let before = plane.external().unwrap();
    // While no node was initialised yet.
    let failures = failures(&plane.world);
    assert_eq!(before["spec"]["loadBalancerClass"], json!(CLASS));
    by_balancer(&mut plane, &id).await;
    let after = plane.external().unwrap();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "the same Service");
    assert_eq!(after["spec"]["clusterIP"], before["spec"]["clusterIP"]);
    assert_eq!(self::failures(&plane.world), failures, "{:?}", plane.world.events());
    // And back.
    plane.world.configure(json!({
        "eipTag": crate::control_plane::TAG, "loadbalancer": "kube-vip://", "loadBalancerID": "",
    }));
    let _ran = plane.world.run(&[]);
    let back = |world: &World| world.ingress("kube-system", EXTERNAL) == [plane.eip.clone()];
    plane.world.until("the address leads there again", SOON, back).await;
    seconds(60).await;
    let service = plane.external().unwrap();
    assert_eq!(service["spec"]["loadBalancerIP"], json!(plane.eip));
    assert_eq!(plane.world.ingress("kube-system", EXTERNAL), [plane.eip.clone()]);
    assert_eq!(plane.world.sim.load_balancers().len(), 1, "the user's");
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_cut_short_is_finished() {
    let mut plane = plane(&json!({}));
    let id = users_balancer(&plane.world);
    let ran = plane.world.run(&[]);
    plane
        .world
        .until("the service is there", SOON, |_| plane.external().is_some())
        .await;
    ran.end().await.unwrap();
    // Between the two writes: it is no load balancer, and has lost its class.
    let mut service = plane.external().unwrap();
    service["spec"]["type"] = json!("ClusterIP");
    service["spec"].as_object_mut().unwrap().remove("loadBalancerClass");
    plane.world.kube.update(service).unwrap();
    by_balancer(&mut plane, &id).await;
}
