//! controllers/service/controller_test.go of `kubernetes/cloud-provider`: the same given and expected, against a whole
//! cluster and a cloud that keeps what it is told.

use super::*;
use crate::upstream_cases::passed;

/// syncLoadBalancerIfNeeded: the Service, whether it has a load balancer, what the cloud is asked to do, how many
/// patches.
#[tokio::test(start_paused = true)]
async fn every_case_of_sync_load_balancer_if_needed() {
    type Change = fn(&mut Value);
    type Case = (&'static str, &'static str, Change, bool, &'static [Op], usize);
    let finalizer: Change = |service| service["metadata"]["finalizers"] = json!([FINALIZER]);
    let cases: [Case; 8] = [
        ("ClusterIP", "ClusterIP", |_| {}, false, &[], 0),
        (
            "UDP",
            "LoadBalancer",
            |service| service["spec"]["ports"][0]["protocol"] = json!("UDP"),
            false,
            &[Op::CreateBalancer],
            2,
        ),
        ("TCP", "LoadBalancer", |_| {}, false, &[Op::CreateBalancer], 2),
        (
            "SCTP",
            "LoadBalancer",
            |service| service["spec"]["ports"][0]["protocol"] = json!("SCTP"),
            false,
            &[Op::CreateBalancer],
            2,
        ),
        (
            "class",
            "LoadBalancer",
            |service| service["spec"]["loadBalancerClass"] = json!("c.io/x"),
            false,
            &[],
            0,
        ),
        (
            "ClusterIP with finalizer",
            "ClusterIP",
            finalizer,
            true,
            &[Op::DeleteBalancer],
            1,
        ),
        (
            "being deleted",
            "LoadBalancer",
            finalizer,
            true,
            &[Op::DeleteBalancer],
            1,
        ),
        (
            "finalizer already",
            "LoadBalancer",
            finalizer,
            false,
            &[Op::CreateBalancer],
            1,
        ),
    ];
    for (name, kind, change, exists, ops, patches) in &cases {
        let world = world(1, &[]);
        let mut wanted = service("web", kind);
        change(&mut wanted);
        let made = if *exists {
            create_known(&world, wanted)
        } else {
            world.sim.create(wanted).unwrap()
        };
        if *exists {
            if *kind == "LoadBalancer" {
                world.sim.delete("services", Some("default"), "web").unwrap();
            }
            let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
            let made = crate::data::Service {
                uid,
                name: "web".to_owned(),
                namespace: "default".to_owned(),
                ..Default::default()
            };
            crate::LoadBalancers::ensure(&world.cloud, "kubernetes", &made, &[])
                .await
                .unwrap();
            world.cloud.script().forget();
        }
        world.sim.clear_requests();
        let _process = start(&world);
        seconds(5).await;
        let calls = world.cloud.script().calls();
        let made: Vec<Op> = calls
            .iter()
            .map(|call| call.op)
            .filter(|op| matches!(op, Op::CreateBalancer | Op::DeleteBalancer))
            .collect();
        assert_eq!(made, *ops, "{name}");
        assert_eq!(world.asked("PATCH", "/services/web/status"), *patches, "{name}");
        if *exists {
            assert!(world.cloud.balancers().is_empty(), "{name}");
            let left = get(&world, "web").unwrap_or_default();
            assert!(
                left["status"]["loadBalancer"].get("ingress").is_none(),
                "{name}: {left}"
            );
        }
        if *ops == [Op::CreateBalancer] {
            let made = world.cloud.balancers().into_values().next().unwrap();
            assert_eq!((made.service.as_str(), made.ports), ("default/web", vec![80]), "{name}");
        }
        passed("syncLoadBalancerIfNeeded", name);
    }
}

/// updateLoadBalancerHosts: the Services, and how many of them get to know of a change of nodes.
#[tokio::test(start_paused = true)]
async fn every_case_of_update_load_balancer_hosts() {
    const LB: &str = "LoadBalancer";
    let cases: [(&str, &[&str], usize, usize); 7] = [
        ("no Services", &[], 1, 0),
        ("none wants one", &["ClusterIP", "NodePort"], 2, 0),
        ("one", &[LB], 3, 1),
        ("three", &[LB, LB, LB], 4, 3),
        ("two of four", &["NodePort", LB, LB, "ClusterIP"], 5, 2),
        ("one and one of no type", &[LB, "ExternalName"], 1, 1),
        ("four, two workers", &[LB, LB, LB, LB], 2, 4),
    ];
    for (name, kinds, syncs, updates) in cases {
        let world = world(2, &[]);
        for (n, kind) in kinds.iter().enumerate() {
            let mut wanted = service(&format!("s{n}"), kind);
            if *kind == "ExternalName" {
                wanted["spec"]["externalName"] = json!("example.com");
            }
            world.sim.create(wanted).unwrap();
        }
        let _process = start_with(&world, ServiceOptions { syncs, resync: None });
        seconds(5).await;
        world.cloud.script().forget();
        add_node(&world, 3);
        seconds(5).await;
        assert_eq!(world.cloud.script().calls().len(), updates, "{kinds:?}");
        assert_eq!(world.cloud.script().count(Op::SetHosts), updates, "{kinds:?}");
        passed("updateLoadBalancerHosts", name);
    }
}

/// Node changes under the stable node set, three Services: how many updates, and the hosts afterwards.
#[tokio::test(start_paused = true)]
async fn every_case_of_node_changes() {
    type Change = fn(&World);
    let trigger: Change = |world| edit_node(world, "n3", |node| node["metadata"]["labels"]["x"] = json!("y"));
    let cases: [(&str, Change, usize, &str); 10] = [
        ("none", |_| {}, 0, "n1 n2 n3"),
        ("added", |world| add_node(world, 4), 3, "n1 n2 n3 n4"),
        (
            "not ready",
            |world| {
                let mut node = world.node("n2").unwrap();
                node["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
                world.sim.update_status(node).unwrap();
            },
            0,
            "n1 n2 n3",
        ),
        (
            "ready",
            |world| {
                let mut node = world.node("n2").unwrap();
                node["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
                world.sim.update_status(node).unwrap();
            },
            0,
            "n1 n2 n3",
        ),
        (
            "to be deleted, alone",
            |world| {
                edit_node(world, "n2", |node| {
                    node["spec"]["taints"] = json!([{"key": TAINT_TO_BE_DELETED, "effect": "NoSchedule"}]);
                });
            },
            0,
            "n1 n2 n3",
        ),
        (
            "to be deleted",
            |world| {
                edit_node(world, "n2", |node| {
                    node["spec"]["taints"] = json!([{"key": TAINT_TO_BE_DELETED, "effect": "NoSchedule"}]);
                });
                add_node(world, 4);
            },
            3,
            "n1 n3 n4",
        ),
        (
            "excluded",
            |world| {
                edit_node(world, "n2", |node| {
                    node["metadata"]["labels"][LABEL_EXCLUDE] = json!("");
                });
            },
            3,
            "n1 n3",
        ),
        (
            "removed",
            |world| drop(world.sim.delete("nodes", None, "n3").unwrap()),
            3,
            "n1 n2",
        ),
        (
            "unrelated",
            |world| {
                edit_node(world, "n2", |node| {
                    node["spec"]["taints"] = json!([{"key": "other", "effect": "NoSchedule"}]);
                });
            },
            0,
            "n1 n2 n3",
        ),
        ("unrelated label", trigger, 0, "n1 n2 n3"),
    ];
    for (name, change, updates, expected) in cases {
        let world = world(3, &["a"]);
        for local in ["b", "c"] {
            let mut wanted = service(local, "LoadBalancer");
            wanted["spec"]["externalTrafficPolicy"] = json!("Local");
            world.sim.create(wanted).unwrap();
        }
        let _process = start(&world);
        seconds(5).await;
        world.cloud.script().forget();
        change(&world);
        seconds(5).await;
        assert_eq!(world.cloud.script().count(Op::SetHosts), updates, "{name}");
        for service in ["a", "b", "c"] {
            assert_eq!(hosts_of(&world, service).join(" "), expected, "{name}");
        }
        if !matches!(name, "to be deleted, alone" | "unrelated label") {
            passed("node changes", name);
        }
    }
}

/// The node sync tries each load balancer once; the rest is for the Services' own back-off.
#[tokio::test(start_paused = true)]
async fn a_node_is_added_and_the_first_try_fails() {
    let world = world(2, &["a", "b", "c"]);
    let process = start(&world);
    seconds(5).await;
    world.cloud.script().forget();
    world.cloud.script().fail(Op::SetHosts, 3, Class::Transient);
    add_node(&world, 3);
    seconds(3).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 3);
    assert_eq!(hosts_of(&world, "a"), ["n1", "n2"]);
    minutes(1).await;
    for service in ["a", "b", "c"] {
        assert_eq!(hosts_of(&world, service), ["n1", "n2", "n3"]);
    }
    let metrics = process.shared.metrics.render();
    assert!(
        metrics.contains("service_controller_loadbalancer_sync_total 3\n"),
        "{metrics}"
    );
    passed("node changes", "added, first try fails");
}

#[tokio::test(start_paused = true)]
async fn provider_ids_that_change_and_nodes_that_are_replaced_are_changes() {
    let world = world(1, &["a", "b"]);
    let _process = start(&world);
    seconds(5).await;
    world.cloud.script().forget();
    world.sim.delete("nodes", None, "n1").unwrap();
    add_node(&world, 2);
    seconds(5).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 2, "both changes in one go");
    assert_eq!(hosts_of(&world, "a"), ["n2"]);
    world.sim.delete("nodes", None, "n2").unwrap();
    seconds(5).await;
    assert!(world.reasons("a").contains(&"UnAvailableLoadBalancer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_of_another_controller_is_left_to_it() {
    let world = world(1, &["a"]);
    world
        .cloud
        .script()
        .fail_with(Op::GetBalancer, usize::MAX, || CloudError::ImplementedElsewhere);
    let _process = start(&world);
    seconds(5).await;
    add_node(&world, 2);
    minutes(10).await;
    assert_eq!(world.cloud.script().calls().len(), 1);
    let service = get(&world, "a").unwrap();
    assert_eq!(service["metadata"]["finalizers"], json!([FINALIZER]));
    assert!(service["status"]["loadBalancer"].get("ingress").is_none());
    assert_eq!(world.reasons("a"), ["EnsuringLoadBalancer"]);
}
