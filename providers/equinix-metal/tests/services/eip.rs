//! Services with an Elastic IP: the whole life, whoever announces it.

use std::sync::Arc;

use cloud_provider::Cloud;
use cloud_provider::controllers::service::orphans;
use cloud_provider::data::Service;
use cloud_sim::Fault;
use equinix_metal_sim::Settings;
use kube_kit::Fence;
use serde_json::json;

use crate::cluster::{
    CONFIG_MAP, RESOURCES, SOON, USAGE, addressed, bgp_annotations, config_map, context, delete, metallb, reserved,
    told, without_machines, world,
};
use crate::harness::{merge, seconds};

#[tokio::test(start_paused = true)]
async fn two_services_live_and_die_with_every_back_end_that_speaks_bgp() {
    for setting in ["kube-vip://", "empty://", RESOURCES, CONFIG_MAP] {
        let world = world(setting);
        let _ran = world.run(&[]);
        world.add_service("default", "a", &json!({}));
        world.add_service("default", "b", &json!({}));
        let (a, b) = (addressed(&world, "a").await, addressed(&world, "b").await);
        assert_ne!(a, b, "{setting}");
        assert_eq!(reserved(&world).len(), 2, "{setting}");
        let service = world.service("default", "a").unwrap();
        assert_eq!(service["spec"]["loadBalancerIP"], json!(a));
        assert_eq!(
            service["metadata"]["annotations"]["metal.equinix.com/eip-assigned"],
            json!(a)
        );
        let for_kube_vip = &service["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"];
        assert_eq!(*for_kube_vip == json!(a), setting == "kube-vip://");
        // Both nodes speak BGP and say so; they were looked at once each, not once for each Service.
        assert_eq!(world.sim.bgp_sessions().len(), 2);
        for node in ["n0", "n1"] {
            assert_eq!(bgp_annotations(&world, node).len(), 11, "{setting}");
        }
        assert_eq!(world.asked("GET", "/bgp/neighbors"), 2, "{setting}");
        assert!(world.asked("GET", "/bgp/sessions") <= 2, "{setting}");
        assert_eq!(world.asked("POST", "/bgp-configs"), 1);
        delete(&world, "a").await;
        assert_eq!(reserved(&world).into_iter().map(|one| one.0).collect::<Vec<_>>(), [b]);
        assert_eq!(
            bgp_annotations(&world, "n0").len(),
            11,
            "the other Service still needs them"
        );
        delete(&world, "b").await;
        assert!(reserved(&world).is_empty());
        for node in ["n0", "n1"] {
            assert!(bgp_annotations(&world, node).is_empty(), "{setting}");
        }
        assert!(metallb(&world, "ipaddresspools").is_empty() && metallb(&world, "bgppeers").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stops_being_a_load_balancer_and_becomes_one_again_gets_a_new_address() {
    // #206: the old address was taken for one that the user had asked for.
    let world = world("kube-vip://");
    let _ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    let mut service = world.service("default", "web").unwrap();
    service["spec"]["type"] = json!("ClusterIP");
    world.kube.update(service).unwrap();
    world
        .until("the address is released", SOON, |world| reserved(world).is_empty())
        .await;
    seconds(10).await;
    let mut service = world.service("default", "web").unwrap();
    assert!(service["spec"].get("loadBalancerIP").is_none(), "{service}");
    service["spec"]["type"] = json!("LoadBalancer");
    world.kube.update(service).unwrap();
    let address = addressed(&world, "web").await;
    assert_eq!(reserved(&world), [(address, reserved(&world)[0].1.clone())]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_the_user_asks_for_is_used_and_never_released() {
    // Unusable in the Go program since 3.7: no status, and nothing cleaned up afterwards.
    for (setting, by) in [
        ("kube-vip://", "spec"),
        (RESOURCES, "spec"),
        (RESOURCES, "annotation"),
        (CONFIG_MAP, "tag"),
    ] {
        let world = world(setting);
        let (_, mine) = world.sim.reserve(&["mine"]).unwrap();
        let _ran = world.run(&[]);
        let more = match by {
            "spec" => json!({"spec": {"loadBalancerIP": mine}}),
            "annotation" => json!({"metadata": {"annotations": {"metal.equinix.com/eip-address": mine}}}),
            _ => json!({"metadata": {"annotations": {"metal.equinix.com/eip-tag": "mine"}}}),
        };
        world.add_service("default", "web", &more);
        assert_eq!(addressed(&world, "web").await, mine, "{setting} {by}");
        assert!(reserved(&world).is_empty(), "none was reserved besides");
        if setting == RESOURCES {
            assert_eq!(
                metallb(&world, "ipaddresspools")[0].1["addresses"],
                json!([format!("{mine}/32")])
            );
        }
        delete(&world, "web").await;
        assert!(metallb(&world, "ipaddresspools").is_empty() && metallb(&world, "bgppeers").is_empty());
        assert!(!config_map(&world).contains(&mine));
        assert!(
            world.sim.reservations().iter().any(|one| one["address"] == json!(mine)),
            "{setting} {by}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_nobody_reserved_is_used_with_a_warning_and_nonsense_is_refused() {
    let world = world("empty://");
    let _ran = world.run(&[]);
    world.add_service("default", "lab", &json!({"spec": {"loadBalancerIP": "10.99.0.1"}}));
    assert_eq!(addressed(&world, "lab").await, "10.99.0.1");
    world
        .until("a warning", SOON, |world| told(world, "AddressNotReserved"))
        .await;
    let bad = json!({"metadata": {"annotations": {"metal.equinix.com/eip-address": "nonsense"}}});
    world.add_service("default", "bad", &bad);
    world
        .until("a refusal", SOON, |world| told(world, "SyncLoadBalancerFailed"))
        .await;
    assert!(
        world
            .events()
            .iter()
            .any(|event| event.2.contains("\"nonsense\" is asked for, but is no IP address"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_older_version_reserved_and_wrote_is_adopted() {
    let world = world("kube-vip://");
    let uid = world.kube.get("namespaces", None, "kube-system").unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let cluster = format!("cluster={uid}");
    // The tag of default/nginx, from the documentation of the Go program.
    let tags = [USAGE, "service=l7RnKS8k48oG3Qv3Pxx8FzEMj3X3E5c8JPOIzyLWWdY=", &cluster];
    let (_, old) = world.sim.reserve(&tags).unwrap();
    // #154: another cluster in the same project.
    let (_, other) = world.sim.reserve(&[tags[0], tags[1], "cluster=other"]).unwrap();
    let _ran = world.run(&[]);
    world.add_service("default", "nginx", &json!({"spec": {"loadBalancerIP": old}}));
    assert_eq!(addressed(&world, "nginx").await, old);
    assert_eq!(reserved(&world).len(), 2);
    delete(&world, "nginx").await;
    assert_eq!(
        reserved(&world).into_iter().map(|one| one.0).collect::<Vec<_>>(),
        [other]
    );
}

#[tokio::test(start_paused = true)]
async fn the_place_is_chosen_in_the_order_of_the_original() {
    let mut world = without_machines(Settings::default(), "empty://");
    world.configure(json!({"metro": "da", "facility": "sv15"}));
    world.add_machines(1);
    let _ran = world.run(&[]);
    let annotated = |metro: &str, facility: &str| {
        let mut annotations = json!({});
        for (key, value) in [
            ("metal.equinix.com/eip-metro", metro),
            ("metal.equinix.com/eip-facility", facility),
        ] {
            if !value.is_empty() {
                merge(&mut annotations, &json!({key: value}));
            }
        }
        json!({"metadata": {"annotations": annotations}})
    };
    for (name, metro, facility, expected) in [("a", "sv", "", "sv"), ("b", "", "", "da"), ("c", "ny", "sv15", "ny")] {
        world.add_service("default", name, &annotated(metro, facility));
        let address = addressed(&world, name).await;
        let all = world.sim.reservations();
        let found = all.iter().find(|one| one["address"] == json!(address)).unwrap();
        assert_eq!(found["metro"]["code"], expected, "{name}");
    }
    let mut nowhere = without_machines(Settings::default(), "empty://");
    nowhere.configure(json!({"metro": ""}));
    nowhere.add_machines(1);
    let _ran = nowhere.run(&[]);
    nowhere.add_service("default", "web", &json!({}));
    nowhere
        .until("a refusal", SOON, |world| told(world, "SyncLoadBalancerFailed"))
        .await;
    let text = "unable to create load balancer when no IP, region or zone specified, either globally or on service";
    assert!(nowhere.events().iter().any(|event| event.2.contains(text)));
}

#[tokio::test(start_paused = true)]
async fn only_selected_nodes_speak_bgp_and_those_of_others_are_left_alone() {
    let mut world = without_machines(Settings::default(), RESOURCES);
    world.configure(json!({"bgpNodeSelector": "bgp=yes"}));
    for (name, label) in [("n0", "yes"), ("n1", "no")] {
        world.sim.add_device(name);
        world.add_node(name, &json!({"metadata": {"labels": {"bgp": label}}}));
    }
    let foreign = json!({"metadata": {"labels": {"bgp": "yes"}}, "spec": {"providerID": "aws:///i-1", "taints": []}});
    world.add_node("elsewhere", &foreign);
    let _ran = world.run(&[]);
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    assert_eq!(world.sim.bgp_sessions().len(), 1);
    assert!(bgp_annotations(&world, "n1").is_empty() && bgp_annotations(&world, "elsewhere").is_empty());
    let peers: Vec<String> = metallb(&world, "bgppeers").into_iter().map(|peer| peer.0).collect();
    assert_eq!(peers, ["n0-0", "n0-1"]);
    // Not selected any more.
    let mut node = world.node("n0").unwrap();
    node["metadata"]["labels"]["bgp"] = json!("no");
    world.kube.update(node).unwrap();
    world
        .until("the node falls silent", SOON, |world| {
            bgp_annotations(world, "n0").is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_speak_bgp_yet_holds_nobody_up_and_follows() {
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    let id = world.sim.device("n1").unwrap()["id"].as_str().unwrap().to_owned();
    world.fault(
        Fault::status(422)
            .body("{\"errors\":[\"no\"]}")
            .on("POST", &format!("/devices/{id}/bgp/sessions"))
            .times(4),
    );
    world.add_service("default", "web", &json!({}));
    addressed(&world, "web").await;
    let hosts = |world: &crate::harness::World| metallb(world, "bgppeers").len();
    assert_eq!(hosts(&world), 2, "n0 speaks");
    assert!(told(&world, "BGPSessionFailed"));
    world
        .until("n1 speaks, too", 10 * SOON, |world| {
            metallb(world, "bgppeers").len() == 4
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn more_addresses_than_a_session_takes_are_told() {
    let world = world("empty://");
    let _ran = world.run(&[]);
    for n in 0..11 {
        world.add_service("default", &format!("s{n:02}"), &json!({}));
        addressed(&world, &format!("s{n:02}")).await;
        seconds(2).await;
        assert_eq!(told(&world, "BGPPrefixLimit"), n == 10, "{n}");
    }
    // Still once for each node.
    assert_eq!(world.asked("GET", "/bgp/neighbors"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_no_service_has_any_more_is_found_and_left_alone() {
    for setting in [RESOURCES, "emlb:///da"] {
        let world = world(setting);
        let ran = world.run(&[]);
        world.add_service("default", "web", &json!({}));
        world.add_service("default", "lost", &json!({}));
        addressed(&world, "web").await;
        addressed(&world, "lost").await;
        ran.end().await.unwrap();
        // Deleted by force while nobody looked.
        let mut lost = world.service("default", "lost").unwrap();
        lost["metadata"]["finalizers"] = json!([]);
        world.kube.update(lost).unwrap();
        world.kube.delete("services", Some("default"), "lost").unwrap();
        // Nothing is written: the fence is closed.
        let context = context(&world, &Fence::closed());
        let cloud = world.cloud();
        cloud.initialize(&context).await.unwrap();
        let services = world.kube.list("services").into_iter();
        let services = services.map(|one| Arc::new(Service::cut(serde_json::from_value(one).unwrap())));
        let services: Vec<Arc<Service>> = services.collect();
        let balancers = cloud.load_balancers().unwrap();
        let found = orphans(balancers, "kubernetes", &services).await.unwrap().unwrap();
        assert_eq!(found.len(), 1, "{setting}: {found:?}");
        assert!(
            found[0]
                .name
                .starts_with("usage=cloud-provider-equinix-metal-auto:service="),
            "{found:?}"
        );
        if setting == RESOURCES {
            assert_eq!(
                found[0].service.as_deref(),
                Some("default/lost"),
                "MetalLB remembers its name"
            );
            assert_eq!(reserved(&world).len(), 2);
        }
        context.stop.cancel();
    }
}
