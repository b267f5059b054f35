//! MetalLB: what stands in its resources and its config map over the life of Services.

use serde_json::json;

use crate::cluster::{CONFIG_MAP, RESOURCES, SOON, addressed, config_map, delete, metallb, reserved, told, world};
use crate::harness::seconds;

#[tokio::test(start_paused = true)]
async fn resources_follow_services_and_nodes() {
    let world = world(RESOURCES);
    let _ran = world.run(&[]);
    world.add_service("default", "a", &json!({}));
    let a = addressed(&world, "a").await;
    let pools = metallb(&world, "ipaddresspools");
    assert_eq!(
        pools[0],
        (
            "default.a".to_owned(),
            json!({"addresses": [format!("{a}/32")], "autoAssign": false})
        )
    );
    let names = |world: &crate::harness::World| -> Vec<String> {
        metallb(world, "bgppeers").into_iter().map(|peer| peer.0).collect()
    };
    assert_eq!(names(&world), ["n0-0", "n0-1", "n1-0", "n1-1"]);
    assert_eq!(metallb(&world, "bgpadvertisements")[0].0, "equinix-metal-bgp-adv");
    world.add_service("default", "b", &json!({}));
    addressed(&world, "b").await;
    // A node comes, a node goes.
    world.add_machine("n2");
    world
        .until("the new node speaks", SOON, |world| {
            metallb(world, "bgppeers").len() == 6
        })
        .await;
    world.kube.delete("nodes", None, "n0").unwrap();
    world
        .until("the old node is silent", SOON, |world| {
            metallb(world, "bgppeers").len() == 4
        })
        .await;
    assert_eq!(names(&world), ["n1-0", "n1-1", "n2-0", "n2-1"]);
    let selectors = &metallb(&world, "bgppeers")[0].1["nodeSelectors"];
    assert_eq!(
        selectors.as_array().unwrap().len(),
        3,
        "one for the node, two that remember Services"
    );
    delete(&world, "a").await;
    assert_eq!(
        metallb(&world, "bgpadvertisements")[0].1["ipAddressPools"],
        json!(["default.b"])
    );
    delete(&world, "b").await;
    for kind in ["ipaddresspools", "bgppeers", "bgpadvertisements"] {
        assert!(metallb(&world, kind).is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_config_map_follows_services_and_nodes_and_keeps_what_users_wrote() {
    let world = world(CONFIG_MAP);
    let _ran = world.run(&[]);
    world.add_service("default", "a", &json!({}));
    let a = addressed(&world, "a").await;
    let text = config_map(&world);
    for part in [
        "bfd-profiles",
        "default/a",
        &format!("{a}/32"),
        "169.254.255.1",
        "169.254.255.2",
        "source-address",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // #89: peers of nodes that left stayed.
    let ip = |name: &str| -> String {
        let addresses = world.addresses(name);
        let internal = addresses.iter().find_map(|one| one.strip_prefix("InternalIP "));
        internal.unwrap().to_owned()
    };
    let (gone, stays) = (ip("n0"), ip("n1"));
    assert!(text.contains(&gone) && text.contains(&stays));
    world.kube.delete("nodes", None, "n0").unwrap();
    world
        .until("the old node is silent", SOON, |world| {
            !config_map(world).contains(&gone)
        })
        .await;
    assert!(config_map(&world).contains(&stays));
    delete(&world, "a").await;
    let text = config_map(&world);
    assert!(
        text.contains("bfd-profiles") && !text.contains("169.254") && !text.contains("default/a"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reserved_while_metallb_is_missing() {
    // The Go program reserves an address each time somebody asks for one, and then fails.
    for (setting, text) in [
        (
            "metallb:///nowhere/config",
            "unable to get metallb configmap nowhere:config",
        ),
        (RESOURCES, "the cluster knows no IPAddressPool"),
    ] {
        let world = world(setting);
        if setting == RESOURCES {
            let definitions = "customresourcedefinitions.apiextensions.k8s.io";
            world
                .kube
                .delete(definitions, None, "ipaddresspools.metallb.io")
                .unwrap();
        }
        let _ran = world.run(&[]);
        world.add_service("default", "web", &json!({}));
        world
            .until("it is told", SOON, |world| told(world, "SyncLoadBalancerFailed"))
            .await;
        assert!(
            world.events().iter().any(|event| event.2.contains(text)),
            "{:?}",
            world.events()
        );
        assert!(reserved(&world).is_empty(), "{setting}");
        // And it can be deleted.
        delete(&world, "web").await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_when_nothing_changes() {
    for setting in [RESOURCES, CONFIG_MAP, "kube-vip://", "emlb:///da"] {
        let world = world(setting);
        let _ran = world.run(&["--load-balancer-resync-period=1m"]);
        world.add_service("default", "web", &json!({}));
        addressed(&world, "web").await;
        seconds(20).await;
        world.kube.clear_requests();
        seconds(300).await;
        let writes: Vec<String> = world
            .kube
            .requests()
            .into_iter()
            .filter(|request| request.method != "GET" && !request.path.contains("/events"))
            .map(|request| format!("{} {}", request.method, request.path))
            .collect();
        assert!(writes.is_empty(), "{setting}: {writes:?}");
    }
}
