//! The cases of controllers/service/controller_test.go of `kubernetes/cloud-provider` that are about more than one step.

use super::*;
use crate::controllers::service::{hosts, stable_nodes};
use crate::data::Node;
use crate::upstream_cases::passed;

#[tokio::test(start_paused = true)]
async fn a_node_that_is_being_deleted_is_no_host() {
    let world = world(3, &["a", "b", "c"]);
    let _process = start(&world);
    seconds(5).await;
    world.cloud.script().forget();
    edit_node(&world, "n2", |node| {
        node["metadata"]["finalizers"] = json!(["example.com/hold"]);
    });
    world.sim.delete("nodes", None, "n2").unwrap();
    // As upstream, this counts when something else makes load balancers change.
    edit_node(&world, "n3", |node| {
        node["metadata"]["labels"][LABEL_EXCLUDE] = json!("false");
    });
    add_node(&world, 4);
    seconds(5).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 3);
    assert_eq!(hosts_of(&world, "a"), ["n1", "n3", "n4"]);
    passed("node changes", "being deleted");
}

#[tokio::test(start_paused = true)]
async fn successive_sets_of_nodes_reach_every_load_balancer() {
    for (name, new, total, syncs) in [("one", 1..2, 1, 3), ("two", 1..3, 2, 1), ("four", 1..5, 4, 3)] {
        let world = world(0, &["a", "b", "c", "d"]);
        let _process = start_with(&world, ServiceOptions { syncs, resync: None });
        seconds(5).await;
        world.cloud.script().forget();
        for n in new {
            add_node(&world, n);
        }
        seconds(5).await;
        assert_eq!(world.cloud.script().count(Op::SetHosts), 4, "{name}");
        assert_eq!(hosts_of(&world, "d").len(), total, "{name}");
        passed("sets of nodes", name);
    }
    // In upstream the list of nodes fails. Here it is a store, which cannot. The cloud can, and each load balancer is
    // tried again.
    for (name, syncs) in [("list fails, three workers", 3), ("list fails, one worker", 1)] {
        let world = world(1, &["a", "b", "c", "d"]);
        let process = start_with(&world, ServiceOptions { syncs, resync: None });
        seconds(5).await;
        world.cloud.script().forget();
        world.cloud.script().fail(Op::SetHosts, 4, Class::Transient);
        add_node(&world, 2);
        seconds(2).await;
        assert_eq!(hosts_of(&world, "a").len(), 1, "{name}");
        let retries = "workqueue_retries_total{name=\"service\"} 4\n";
        assert!(process.shared.metrics.render().contains(retries), "{name}");
        seconds(60).await;
        for service in ["a", "b", "c", "d"] {
            assert_eq!(hosts_of(&world, service).len(), 2, "{name}");
        }
        passed("sets of nodes", name);
    }
}

#[test]
fn every_upstream_case_of_nodes_not_equal() {
    let set = |pairs: &[(&str, &str)]| -> Vec<Arc<Node>> {
        let node = |(name, id): &(&str, &str)| {
            Arc::new(Node {
                name: (*name).to_owned(),
                provider_id: (*id).to_owned(),
                ..Node::default()
            })
        };
        pairs.iter().map(node).collect()
    };
    let known = [("n1", "x://1"), ("n2", "")];
    for (name, old, new, differ) in [
        (
            "provider IDs change",
            [("n1", ""), ("n2", "")],
            [("n1", "x://1"), ("n2", "x://2")],
            true,
        ),
        ("nothing changes", known, known, false),
        ("one node is replaced", known, [("n1", "x://1"), ("n3", "")], true),
    ] {
        assert_eq!(hosts(&set(&old)) != hosts(&set(&new)), differ, "{name}");
        passed("nodesNotEqual", name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_follows_the_address_that_is_asked_for() {
    let world = world(1, &["web"]);
    edit(&world, "web", |service| {
        service["spec"]["loadBalancerIP"] = json!("192.168.1.1");
    });
    let process = start(&world);
    seconds(5).await;
    assert!(get(&world, "web").unwrap()["status"]["loadBalancer"]["ingress"].is_array());
    passed("processServiceCreateOrUpdate", "valid");
    world.cloud.script().forget();
    edit(&world, "web", |service| {
        service["spec"]["loadBalancerIP"] = json!("192.168.1.11");
    });
    seconds(5).await;
    assert_eq!(world.cloud.script().count(Op::GetBalancer), 1, "it is ensured again");
    assert_eq!(
        process.shared.services.get("default/web").unwrap().load_balancer_ip,
        "192.168.1.11"
    );
    assert!(!world.reasons("web").contains(&"SyncLoadBalancerFailed".to_owned()));
    passed("processServiceCreateOrUpdate", "another address is asked for");
}

/// Upstream's serviceCache, in its order: what the controller remembers is what there is to look after.
#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_what_is_there() {
    let world = world(1, &["a"]);
    let process = world.start();
    let controller = run_in(&process, options());
    let keys = || {
        let mut keys: Vec<String> = controller.0.records().keys().cloned().collect();
        keys.sort();
        keys
    };
    let managed = |count: usize| {
        let line = format!("service_controller_managed_loadbalancers {count}\n");
        assert!(process.shared.metrics.render().contains(&line), "{count}");
    };
    seconds(5).await;
    assert_eq!(keys(), ["default/a"]);
    managed(1);
    passed("serviceCache", "add");
    world.sim.delete("services", Some("default"), "a").unwrap();
    seconds(5).await;
    assert_eq!(keys(), [""; 0]);
    managed(0);
    passed("serviceCache", "delete");
    world.sim.create(service("b", "LoadBalancer")).unwrap();
    seconds(5).await;
    let known = controller.0.records().get("default/b").cloned().unwrap();
    assert_eq!((known.service.name.as_str(), known.stale), ("b", false));
    passed("serviceCache", "set and get");
    world.sim.create(service("c", "LoadBalancer")).unwrap();
    seconds(5).await;
    assert_eq!(keys(), ["default/b", "default/c"]);
    passed("serviceCache", "list keys");
    let known = |key: &str| controller.0.records().contains_key(key);
    assert!(known("default/b") && !known("default/a"));
    passed("serviceCache", "get by key");
    managed(2);
    passed("serviceCache", "all");
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_finalizer_and_status_patches() {
    // What the Service has, what it is, and how many writes that takes: finalizer and status are one when both go.
    for (cases, finalizer, status, kind, writes) in [
        (
            &[("addFinalizer", "there"), ("patchStatus", "same")][..],
            true,
            true,
            "LoadBalancer",
            0,
        ),
        (&[("addFinalizer", "missing")], false, true, "LoadBalancer", 1),
        (&[("patchStatus", "added")], true, false, "LoadBalancer", 1),
        (&[], false, false, "LoadBalancer", 2),
        (&[("removeFinalizer", "missing")], false, false, "ClusterIP", 0),
        (
            &[("removeFinalizer", "there"), ("patchStatus", "empty")],
            true,
            false,
            "ClusterIP",
            1,
        ),
        (&[("patchStatus", "cleared")], true, true, "ClusterIP", 1),
    ] {
        let what = format!("{kind}, finalizer: {finalizer}, status: {status}");
        let world = world(1, &[]);
        let mut wanted = service("web", kind);
        if finalizer {
            wanted["metadata"]["finalizers"] = json!([FINALIZER]);
        }
        if status {
            // What the cloud will say, so that this is the same.
            let mut known = create_known(&world, wanted);
            if kind == "LoadBalancer" {
                known["status"]["loadBalancer"]["ingress"][0]["ip"] = json!("203.0.113.1");
                world.sim.update_status(known).unwrap();
            }
        } else {
            world.sim.create(wanted).unwrap();
        }
        world.sim.clear_requests();
        let _process = start(&world);
        seconds(5).await;
        assert_eq!(world.asked("PATCH", "/services/web/status"), writes, "{what}");
        let after = get(&world, "web").unwrap();
        let wants = kind == "LoadBalancer";
        assert_eq!(after["metadata"]["finalizers"].is_array(), wants, "{what}");
        assert_eq!(after["status"]["loadBalancer"]["ingress"].is_array(), wants, "{what}");
        for (group, case) in cases {
            passed(group, case);
        }
    }
}

/// Upstream lists five nodes by a predicate of its own: every second one fits, all others do, none does. The one predicate
/// here is being a host.
#[test]
fn every_upstream_case_of_list_with_predicates() {
    type Case = (&'static str, fn(usize) -> bool, &'static [&'static str]);
    let nodes = |is_host: fn(usize) -> bool| -> Vec<Arc<Node>> {
        let node = |n: usize| Node {
            name: format!("n{n}"),
            deleting: !is_host(n),
            ..Node::default()
        };
        (0..5).map(|n| Arc::new(node(n))).collect()
    };
    let cases: [Case; 3] = [
        ("running", |n| n % 2 == 1, &["n1", "n3"]),
        ("pending", |n| n % 2 == 0, &["n0", "n2", "n4"]),
        ("terminated", |_| false, &[]),
    ];
    for (name, is_host, expected) in cases {
        let found = stable_nodes(&nodes(is_host));
        let found: Vec<&str> = found.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(found, expected, "{name}");
        passed("listWithPredicates", name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_patch_from_a_stale_service_keeps_what_others_wrote() {
    let world = world(1, &["web"]);
    // While the cloud takes its time, somebody annotates the Service and changes its selector.
    world
        .cloud
        .script()
        .delay(Op::CreateBalancer, 1, Duration::from_secs(20));
    let _process = start(&world);
    seconds(5).await;
    edit(&world, "web", |service| {
        service["metadata"]["annotations"] = json!({"theirs": "1"});
        service["spec"]["selector"] = json!({"app": "changed"});
    });
    seconds(60).await;
    let after = get(&world, "web").unwrap();
    assert_eq!(after["metadata"]["annotations"]["theirs"], "1");
    assert_eq!(after["spec"]["selector"]["app"], "changed");
    assert_eq!(after["metadata"]["finalizers"], json!([FINALIZER]));
    assert!(after["status"]["loadBalancer"]["ingress"].is_array());
    passed("PatchService", "changed by somebody else meanwhile");
}
