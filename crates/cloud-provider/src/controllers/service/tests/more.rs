//! The cases of controllers/service/controller_test.go of `kubernetes/cloud-provider` that are about more than one step.

use super::*;
use crate::controllers::service::{differs, hosts, stable_nodes};
use crate::data::{Node, Service};

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
}

#[tokio::test(start_paused = true)]
async fn successive_sets_of_nodes_reach_every_load_balancer() {
    let world = world(0, &["a", "b", "c", "d"]);
    let _process = start_with(&world, ServiceOptions { syncs: 3, resync: None });
    seconds(5).await;
    for (new, total) in [(vec![1], 1), (vec![2], 2), (vec![3, 4], 4)] {
        world.cloud.script().forget();
        for n in new {
            add_node(&world, n);
        }
        seconds(5).await;
        assert_eq!(world.cloud.script().count(Op::SetHosts), 4, "{total} nodes");
        assert_eq!(hosts_of(&world, "d").len(), total);
    }
    // Upstream's other two are a list of nodes that fails: here it is the store, which cannot. The cloud can, and each
    // load balancer is tried again.
    world.cloud.script().forget();
    world.cloud.script().fail(Op::SetHosts, 4, Class::Transient);
    add_node(&world, 5);
    seconds(2).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 4);
    assert_eq!(hosts_of(&world, "a").len(), 4);
    seconds(60).await;
    for service in ["a", "b", "c", "d"] {
        assert_eq!(hosts_of(&world, service).len(), 5, "{service}");
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
    let old = set(&[("n1", "x://1"), ("n2", "x://2")]);
    for (new, differ) in [
        (set(&[("n1", "x://3"), ("n2", "x://4")]), true),
        (set(&[("n1", "x://1"), ("n2", "x://2")]), false),
        (set(&[("n1", "x://1"), ("n3", "x://2")]), true),
    ] {
        assert_eq!(hosts(&old) != hosts(&new), differ, "{new:?}");
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
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_service_deletion() {
    // A key that nothing is known of.
    let world = world(1, &[]);
    let _process = start(&world);
    world.sim.create(service("plain", "ClusterIP")).unwrap();
    world.sim.delete("services", Some("default"), "plain").unwrap();
    seconds(5).await;
    assert!(world.cloud.script().calls().is_empty());
    // The cloud refuses, and then does it.
    world.sim.create(service("web", "LoadBalancer")).unwrap();
    seconds(5).await;
    world.cloud.script().fail(Op::DeleteBalancer, 1, Class::Permanent);
    world.sim.delete("services", Some("default"), "web").unwrap();
    seconds(2).await;
    assert!(get(&world, "web").is_some(), "kept by its finalizer");
    assert!(world.reasons("web").contains(&"SyncLoadBalancerFailed".to_owned()));
    seconds(60).await;
    assert!(get(&world, "web").is_none() && world.cloud.balancers().is_empty());
}

/// Upstream's serviceCache, in its order: what the controller remembers is what there is to look after.
#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_what_is_there() {
    let world = world(1, &["a"]);
    let process = start(&world);
    let managed = || {
        let text = process.shared.metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with("service_controller_managed_loadbalancers "));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    seconds(5).await;
    assert_eq!(managed(), "1");
    world.sim.delete("services", Some("default"), "a").unwrap();
    seconds(5).await;
    assert_eq!(managed(), "0");
    for (name, count) in [("b", "1"), ("c", "2")] {
        world.sim.create(service(name, "LoadBalancer")).unwrap();
        seconds(5).await;
        assert_eq!(managed(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_finalizer_and_status_patches() {
    // What the Service has, what it is to be, and how many writes that takes.
    for (finalizer, status, kind, writes, what) in [
        (true, true, "LoadBalancer", 0, "finalizer present, same status"),
        (false, true, "LoadBalancer", 1, "finalizer absent, same status"),
        (true, false, "LoadBalancer", 1, "finalizer present, status added"),
        (false, false, "LoadBalancer", 2, "finalizer absent, status added"),
        (false, false, "ClusterIP", 0, "nothing to remove, empty to empty"),
        (true, false, "ClusterIP", 1, "finalizer removed, empty to empty"),
        (true, false, "NodePort", 1, "the same for another type"),
        // A status that is cleared is among the cases of syncLoadBalancerIfNeeded.
    ] {
        let world = world(1, &[]);
        let mut wanted = service("web", kind);
        if finalizer {
            wanted["metadata"]["finalizers"] = json!([FINALIZER]);
        }
        world.sim.create(wanted).unwrap();
        if status {
            let mut now = get(&world, "web").unwrap();
            now["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}});
            world.sim.update_status(now).unwrap();
        }
        world.sim.clear_requests();
        let _process = start(&world);
        seconds(5).await;
        assert_eq!(world.asked("PATCH", "/services/web/status"), writes, "{what}");
        let after = get(&world, "web").unwrap();
        let wants = kind == "LoadBalancer";
        assert_eq!(after["metadata"]["finalizers"].is_array(), wants, "{what}");
        assert_eq!(after["status"]["loadBalancer"]["ingress"].is_array(), wants, "{what}");
    }
}

#[test]
fn every_upstream_case_of_list_with_predicates() {
    let nodes: Vec<Arc<Node>> = (0..5)
        .map(|n| {
            Arc::new(Node {
                name: format!("n{n}"),
                deleting: n % 2 == 0,
                ..Node::default()
            })
        })
        .collect();
    let names = |nodes: &[Arc<Node>]| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&stable_nodes(&nodes)), ["n1", "n3"], "some");
    let all: Vec<_> = nodes.iter().filter(|node| !node.deleting).cloned().collect();
    assert_eq!(names(&stable_nodes(&all)), ["n1", "n3"], "all");
    let none: Vec<_> = nodes.iter().filter(|node| node.deleting).cloned().collect();
    assert!(stable_nodes(&none).is_empty(), "none");
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
    assert!(!differs(&Service::default(), &Service::default()));
}
