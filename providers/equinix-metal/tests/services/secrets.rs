//! Nothing that people or other programs see of load balancers and of the control plane holds a credential.

use cloud_sim::Fault;
use cloud_sim::secrets::{Capture, assert_absent};
use equinix_metal_sim::API_KEY;
use serde_json::json;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cluster::{CONFIG_MAP, RESOURCES, SOON, told, users_balancer};
use crate::control_plane::plane;
use crate::harness::{World, minutes};

const PASSWORD: &str = "Planted0BgpPass9";

/// The tokens that the API key was exchanged for.
fn tokens(world: &World) -> Vec<String> {
    let state = world.sim.state();
    let tokens = state["balancer_tokens"].as_object().cloned().unwrap_or_default();
    tokens.into_iter().map(|(token, _)| token).collect()
}

/// Answers with everything secret in them.
fn indiscretions(world: &World) {
    let body = json!({"errors": [format!("bad key {API_KEY} and {PASSWORD}")]});
    for (method, path) in [
        ("POST", "/projects/.*/ips$"),
        ("GET", "/projects/.*/ips$"),
        ("DELETE", "/ips/"),
        ("POST", "/devices/.*/ips$"),
        ("GET", "/bgp/neighbors$"),
        ("POST", "/bgp/sessions$"),
        ("POST", "/bgp-configs$"),
        ("GET", "/bgp-config$"),
        ("POST", "/v1/"),
        ("DELETE", "/v1/"),
    ] {
        for status in [403, 422] {
            world.fault(Fault::status(status).body(body.clone()).on(method, path));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn load_balancers_and_the_control_plane_tell_no_secret() {
    // With one subscriber, a place that another test comes by first is asked only whether that test listens, and stays mute.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let mut searched = 0;
    for setting in ["kube-vip://", RESOURCES, CONFIG_MAP, "emlb:///da"] {
        let capture = Capture::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(capture.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE);
        let _guard = subscriber.finish().set_default();
        let emlb = setting.starts_with("emlb");
        let mut plane = plane(&json!({"bgpPass": PASSWORD, "loadbalancer": setting}));
        if emlb {
            let id = users_balancer(&plane.world);
            plane.world.configure(json!({"eipTag": "", "loadBalancerID": id}));
        }
        let world = &plane.world;
        world.config().log();
        world.until_initialised(0).await;
        indiscretions(world);
        let ran = world.run(&[]);
        world.add_service("default", "web", &json!({}));
        let has_address = |world: &World| !world.ingress("default", "web").is_empty();
        world.until("the service has an address", 10 * SOON, has_address).await;
        if !emlb {
            // A hand-over, and its faults.
            let first = plane.until_held().await;
            plane.healthy.set(&first, false);
            minutes(5).await;
        }
        world.kube.delete("services", Some("default"), "web").unwrap();
        let gone = |world: &World| world.service("default", "web").is_none();
        world.until("the service is gone", 10 * SOON, gone).await;
        assert!(told(world, "SyncLoadBalancerFailed"), "{setting}: the faults were met");
        let cloud = world.cloud();
        let tokens = tokens(world);
        assert_eq!(tokens.is_empty(), !emlb);
        let texts = [
            capture.text(),
            format!("{:?} {:?}", world.config(), cloud.client()),
            ran.metrics.render(),
            json!(world.kube.list("events")).to_string(),
            json!(world.kube.list("services")).to_string(),
            json!(world.kube.list("endpointslices.discovery.k8s.io")).to_string(),
            json!(world.kube.list("leases.coordination.k8s.io")).to_string(),
        ];
        ran.end().await.unwrap();
        assert!(capture.text().contains("default/web"), "the log was caught");
        let mut secrets = vec![API_KEY, PASSWORD];
        secrets.extend(tokens.iter().map(String::as_str));
        for text in &texts {
            assert_absent(text, &secrets);
            searched += text.len();
        }
    }
    println!("searched {searched} bytes for keys, passwords and tokens");
}
