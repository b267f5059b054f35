//! The cases of controllers/service/controller_test.go of `kubernetes/cloud-provider` that are about what fails, and about two
//! things at a time.

use async_trait::async_trait;

use super::*;
use crate::cloud::{Balancer, Cloud, LoadBalancers};
use crate::memory::MemoryCloud;
use crate::upstream_cases::passed;

/// A world whose Service has our finalizer, so that the first write to it is its status.
fn world_before_a_status() -> World {
    let world = world(1, &[]);
    let mut wanted = service("a", "LoadBalancer");
    wanted["metadata"]["finalizers"] = json!([FINALIZER]);
    world.sim.create(wanted).unwrap();
    world
}

fn failing_status(world: &World, status: u16, times: usize) {
    let writes = kube_sim::Matcher::any().verb("patch").resource("services/status");
    world.sim.faults().fail(writes.name("a"), status, times);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_conflicts_is_told_and_tried_again() {
    let world = world_before_a_status();
    failing_status(&world, 409, 1);
    let _process = start(&world);
    seconds(2).await;
    let events = world.events();
    let told = events.iter().find(|event| event.0 == "SyncLoadBalancerFailed").unwrap();
    let text = "Error syncing load balancer: failed to update load balancer status: ";
    assert!(told.2.starts_with(text), "{}", told.2);
    assert!(
        get(&world, "a").unwrap()["status"]["loadBalancer"]
            .get("ingress")
            .is_none()
    );
    seconds(5).await;
    assert!(get(&world, "a").unwrap()["status"]["loadBalancer"]["ingress"][0]["ip"].is_string());
    passed("processServiceCreateOrUpdate, errors", "status conflict");
}

#[tokio::test(start_paused = true)]
async fn a_status_of_a_service_that_is_gone_is_no_error() {
    let world = world_before_a_status();
    failing_status(&world, 404, usize::MAX);
    let process = start(&world);
    minutes(10).await;
    assert_eq!(world.asked("PATCH", "/services/a/status"), 1, "nobody tries again");
    assert_eq!(world.reasons("a"), ["EnsuredLoadBalancer", "EnsuringLoadBalancer"]);
    assert!(
        !process
            .shared
            .metrics
            .render()
            .contains("workqueue_retries_total{name=\"service\"}")
    );
    passed("processServiceCreateOrUpdate, errors", "status not found");
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_sync_service() {
    let world = world(1, &["external-balancer"]);
    let process = world.start();
    let controller = run_in(&process, options());
    seconds(5).await;
    world.cloud.script().forget();
    // Keys come from the store, so that one that is none names nothing that is there. Upstream tries it for ever.
    controller.0.queue.add("invalid/key/string".to_owned());
    minutes(10).await;
    assert_eq!(controller.0.queue.failures(&"invalid/key/string".to_owned()), 0);
    assert!(controller.0.queue.waiting().is_empty() && !controller.0.turns().contains_key("invalid/key/string"));
    assert!(world.cloud.script().calls().is_empty());
    passed("syncService", "bad key");

    let key = "default/external-balancer";
    assert!(controller.0.records().contains_key(key));
    edit(&world, "external-balancer", |service| {
        service["metadata"]["finalizers"] = json!([]);
    });
    world
        .sim
        .delete("services", Some("default"), "external-balancer")
        .unwrap();
    seconds(5).await;
    assert!(controller.sync(key).await.is_ok());
    assert!(!controller.0.records().contains_key(key));
    assert!(world.cloud.balancers().is_empty() && world.cloud.addresses().is_empty());
    passed("syncService", "vanished");
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_process_service_deletion() {
    let world = world(1, &["web"]);
    let process = world.start();
    let controller = run_in(&process, options());
    seconds(5).await;
    world.cloud.script().forget();
    assert!(controller.sync("default/unheard-of").await.is_ok());
    assert!(world.cloud.script().calls().is_empty());
    passed("processServiceDeletion", "unknown");

    let failure = || CloudError::new(Class::Permanent, "error Deleting the Loadbalancer");
    world.cloud.script().fail_with(Op::DeleteBalancer, 1, failure);
    edit(&world, "web", |service| service["metadata"]["finalizers"] = json!([]));
    world.sim.delete("services", Some("default"), "web").unwrap();
    seconds(2).await;
    let told = world.events();
    let text = "Error deleting load balancer: error Deleting the Loadbalancer";
    assert!(
        told.iter()
            .any(|event| (event.0.as_str(), event.2.as_str()) == ("DeleteLoadBalancerFailed", text)),
        "{told:?}"
    );
    assert!(
        controller.0.records().contains_key("default/web"),
        "it is not forgotten"
    );
    passed("processServiceDeletion", "the cloud fails");

    minutes(1).await;
    assert!(controller.0.records().is_empty() && world.cloud.balancers().is_empty());
    passed("processServiceDeletion", "done");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_keeps_the_service() {
    let world = world(1, &["web"]);
    let _process = start(&world);
    seconds(5).await;
    world.cloud.script().fail(Op::DeleteBalancer, 1, Class::Permanent);
    world.sim.delete("services", Some("default"), "web").unwrap();
    seconds(2).await;
    assert!(get(&world, "web").is_some(), "kept by its finalizer");
    assert!(world.reasons("web").contains(&"SyncLoadBalancerFailed".to_owned()));
    seconds(60).await;
    assert!(get(&world, "web").is_none() && world.cloud.balancers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_the_queues_delay() {
    type Fault = Option<fn() -> CloudError>;
    let error: Fault = Some(|| CloudError::new(Class::Permanent, "something went wrong"));
    let retry: Fault = Some(|| CloudError::pending("LB create in progress", Duration::from_secs(42)));
    for (name, fault, failures, waits) in [
        ("success", None, 0, None),
        ("error", error, 1, Some(5)),
        ("retry error", retry, 0, Some(42)),
    ] {
        let world = world(1, &["a"]);
        if let Some(fault) = fault {
            world.cloud.script().fail_with(Op::CreateBalancer, 1, fault);
        }
        let process = world.start();
        let controller = run_in(&process, options());
        while world.cloud.script().count(Op::CreateBalancer) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let queue = &controller.0.queue;
        assert_eq!(queue.failures(&"default/a".to_owned()), failures, "{name}");
        let left = queue
            .waiting()
            .first()
            .map(|(_, left)| left.as_secs_f64().round() as u64);
        assert_eq!(left, waits, "{name}");
        passed("queue delay", name);
    }
}

/// Remembers what the cloud was told of a Service's hosts: which call, which Service, which nodes.
struct Told {
    cloud: MemoryCloud,
    calls: Mutex<Vec<(&'static str, String, String)>>,
}

impl Told {
    fn note(&self, call: &'static str, service: &Service, nodes: &[Arc<Node>]) {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let call = (call, service.name.clone(), names.join(" "));
        self.calls.lock().unwrap().push(call);
    }

    fn take(&self) -> Vec<(&'static str, String, String)> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

#[async_trait]
impl Cloud for Told {
    fn name(&self) -> &str {
        Cloud::name(&self.cloud)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        Some(self)
    }
}

#[async_trait]
impl LoadBalancers for Told {
    async fn get(&self, cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        LoadBalancers::get(&self.cloud, cluster, service).await
    }

    async fn ensure(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError> {
        self.note("ensure", service, nodes);
        self.cloud.ensure(cluster, service, nodes).await
    }

    async fn update(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        self.note("update", service, nodes);
        self.cloud.update(cluster, service, nodes).await
    }

    async fn delete(&self, cluster: &str, service: &Service) -> Result<(), CloudError> {
        LoadBalancers::delete(&self.cloud, cluster, service).await
    }
}

/// Two Services; while the first is being updated, slowly, a node appears and the second is synced. The second gets the new
/// nodes once and for all.
#[tokio::test(start_paused = true)]
async fn a_slow_node_sync_does_not_bring_back_old_nodes() {
    let world = world(1, &["service1", "service2"]);
    let mut process = world.start();
    let told = Arc::new(Told {
        cloud: world.cloud.clone(),
        calls: Mutex::default(),
    });
    process.shared.cloud = Arc::clone(&told) as Arc<dyn Cloud>;
    let _controller = run_in(&process, ServiceOptions { syncs: 2, resync: None });
    seconds(5).await;
    told.take();
    // Both are to be updated; the first takes its time, and the second waits for nothing but has to be ensured.
    world.cloud.script().delay(Op::SetHosts, 1, Duration::from_secs(10));
    world.cloud.script().fail(Op::SetHosts, 1, Class::Transient);
    add_node(&world, 2);
    seconds(2).await;
    let slow = "n1 n2".to_owned();
    let mut first = told.take();
    first.sort();
    assert_eq!(
        first,
        [
            ("update", "service1".to_owned(), slow.clone()),
            ("update", "service2".to_owned(), slow)
        ]
    );
    add_node(&world, 3);
    seconds(5).await;
    // The second, which failed, comes by itself, with a full ensure and all nodes.
    let all = "n1 n2 n3".to_owned();
    let ensured = told.take();
    assert_eq!(
        ensured.iter().map(|call| (call.0, call.2.clone())).collect::<Vec<_>>(),
        [("ensure", all.clone())]
    );
    let other = if ensured[0].1 == "service1" {
        "service2"
    } else {
        "service1"
    };
    seconds(60).await;
    // The slow one follows, and nobody is told of less than all nodes any more.
    assert_eq!(told.take(), [("update", other.to_owned(), all)]);
    for name in ["service1", "service2"] {
        assert_eq!(hosts_of(&world, name), ["n1", "n2", "n3"], "{name}");
    }
    passed("slow node sync", "one update and one ensure");
}
