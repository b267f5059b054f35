use kit::Class;
use serde_json::{Value, json};

use super::*;
use crate::memory::{Instance, MemoryBalancer, Op};
use crate::names::{FINALIZER, LABEL_EXCLUDE, TAINT_TO_BE_DELETED};
use crate::testing::{Process, World, minutes, seconds};

mod errors;
mod more;
mod upstream;
mod waits;

fn options() -> ServiceOptions {
    ServiceOptions { syncs: 1, resync: None }
}

fn start(world: &World) -> Process {
    start_with(world, options())
}

fn start_with(world: &World, options: ServiceOptions) -> Process {
    let process = world.start();
    run_in(&process, options);
    process
}

fn run_in(process: &Process, options: ServiceOptions) -> ServiceController {
    let controller = ServiceController::new(&process.shared, options).unwrap();
    let (running, stop) = (controller.clone(), process.stop.clone());
    tokio::spawn(async move { running.run(stop).await });
    controller
}

fn service(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": kind, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    })
}

/// A Service whose load balancer was reached at 8.8.8.8, and which has been made another type since.
fn create_known(world: &World, mut wanted: Value) -> Value {
    let kind = wanted["spec"]["type"].take();
    wanted["spec"]["type"] = json!("LoadBalancer");
    let mut known = world.sim.create(wanted).unwrap();
    known["status"] = json!({"loadBalancer": {"ingress": [{"ip": "8.8.8.8"}]}});
    let mut known = world.sim.update_status(known).unwrap();
    known["spec"]["type"] = kind;
    world.sim.update(known).unwrap()
}

fn add_node(world: &World, n: usize) {
    world.cloud.add(Instance::new(&format!("i-{n}"), &format!("n{n}")));
    world
        .sim
        .create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{n}")},
            "spec": {"providerID": format!("fake://i-{n}")},
            "status": {"addresses": [{"type": "InternalIP", "address": format!("10.0.0.{n}")}]},
        }))
        .unwrap();
}

/// A world with so many nodes and one Service of type LoadBalancer for each name.
fn world(nodes: usize, services: &[&str]) -> World {
    let world = World::new();
    for n in 1..=nodes {
        add_node(&world, n);
    }
    for name in services {
        world.sim.create(service(name, "LoadBalancer")).unwrap();
    }
    world
}

fn get(world: &World, name: &str) -> Option<Value> {
    world.sim.get("services", Some("default"), name)
}

fn edit_node(world: &World, name: &str, change: impl FnOnce(&mut Value)) {
    let mut node = world.node(name).unwrap();
    change(&mut node);
    world.sim.update(node).unwrap();
}

fn edit(world: &World, name: &str, change: impl FnOnce(&mut Value)) {
    let mut service = get(world, name).unwrap();
    change(&mut service);
    world.sim.update(service).unwrap();
}

fn hosts_of(world: &World, name: &str) -> Vec<String> {
    let of = |balancer: &MemoryBalancer| balancer.service == format!("default/{name}");
    world
        .cloud
        .balancers()
        .into_values()
        .find(of)
        .map(|balancer| balancer.hosts)
        .unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_service_gets_its_load_balancer_and_gives_it_back() {
    let world = world(2, &["web"]);
    let _process = start(&world);
    seconds(5).await;
    let made = get(&world, "web").unwrap();
    assert_eq!(made["metadata"]["finalizers"], json!([FINALIZER]));
    assert_eq!(made["status"]["loadBalancer"]["ingress"][0]["ip"], "203.0.113.1");
    assert_eq!(hosts_of(&world, "web"), ["n1", "n2"]);
    assert_eq!(world.reasons("web"), ["EnsuredLoadBalancer", "EnsuringLoadBalancer"]);
    world.sim.delete("services", Some("default"), "web").unwrap();
    seconds(5).await;
    assert!(get(&world, "web").is_none());
    assert!(world.cloud.balancers().is_empty() && world.cloud.addresses().is_empty());
    let reasons = world.reasons("web");
    assert_eq!(reasons[..2], ["DeletedLoadBalancer", "DeletingLoadBalancer"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_changes_its_type_gives_its_load_balancer_back() {
    let world = world(1, &["web"]);
    let _process = start(&world);
    seconds(5).await;
    edit(&world, "web", |service| service["spec"]["type"] = json!("ClusterIP"));
    seconds(5).await;
    let left = get(&world, "web").unwrap();
    assert!(
        left["metadata"].get("finalizers").is_none_or(|list| list == &json!([])),
        "{left}"
    );
    assert!(left["status"]["loadBalancer"].get("ingress").is_none_or(Value::is_null));
    assert!(world.cloud.balancers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn removing_our_finalizer_leaves_those_of_others() {
    let world = World::new();
    let mut mine = service("web", "ClusterIP");
    mine["metadata"]["finalizers"] = json!(["example.com/theirs", FINALIZER]);
    world.sim.create(mine).unwrap();
    let _process = start(&world);
    seconds(5).await;
    assert_eq!(
        get(&world, "web").unwrap()["metadata"]["finalizers"],
        json!(["example.com/theirs"])
    );
    assert_eq!(
        world.cloud.script().count(Op::DeleteBalancer),
        1,
        "also when the cloud shows none: half-made parts go"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_with_a_class_is_another_controllers_finalizer_included() {
    let world = World::new();
    let mut theirs = service("web", "LoadBalancer");
    theirs["spec"]["loadBalancerClass"] = json!("example.com/other");
    theirs["metadata"]["finalizers"] = json!([FINALIZER]);
    world.sim.create(theirs).unwrap();
    let _process = start(&world);
    seconds(5).await;
    world.sim.delete("services", Some("default"), "web").unwrap();
    minutes(10).await;
    assert_eq!(
        get(&world, "web").unwrap()["metadata"]["finalizers"],
        json!([FINALIZER])
    );
    assert!(world.cloud.script().calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_ensures_everything_once_and_tells_nobody() {
    let world = world(2, &["a", "b"]);
    drop({
        let process = start(&world);
        seconds(5).await;
        process
    });
    let told = world.events().len();
    world.cloud.script().forget();
    world.sim.clear_requests();
    let _process = start(&world);
    minutes(60).await;
    assert_eq!(world.events().len(), told);
    assert_eq!(world.cloud.script().calls().len(), 2, "one look each");
    assert!(world.sim.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test(start_paused = true)]
async fn node_changes_reach_load_balancers_and_addresses_are_node_changes() {
    let world = world(2, &["a", "b"]);
    let process = start_with(&world, ServiceOptions { syncs: 2, ..options() });
    seconds(5).await;
    world.cloud.script().forget();
    let mut node = world.node("n1").unwrap();
    node["status"]["addresses"][0]["address"] = json!("10.0.9.9");
    world.sim.update_status(node).unwrap();
    seconds(5).await;
    assert_eq!(world.cloud.script().count(Op::SetHosts), 2);
    let text = process.shared.metrics.render();
    assert!(text.contains("service_controller_loadbalancer_sync_total 2\n"));
    assert!(text.contains("service_controller_managed_loadbalancers 2\n"));
    assert!(world.reasons("a").contains(&"UpdatedLoadBalancer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_is_followed_by_a_full_ensure() {
    let world = world(1, &["a"]);
    let process = start(&world);
    seconds(5).await;
    world.cloud.script().forget();
    world.cloud.script().fail(Op::SetHosts, 1, Class::Transient);
    add_node(&world, 2);
    seconds(10).await;
    assert_eq!(hosts_of(&world, "a"), ["n1", "n2"]);
    assert_eq!(
        world.cloud.script().count(Op::GetBalancer),
        1,
        "the ensure looked first"
    );
    let events = world.events();
    let failed = events
        .iter()
        .find(|event| event.0 == "UpdateLoadBalancerFailed")
        .unwrap();
    assert!(
        failed
            .2
            .contains("with new hosts [n1 n2] [node names limited, total number of nodes: 2], error: "),
        "{}",
        failed.2
    );
    assert!(
        process
            .shared
            .metrics
            .render()
            .contains("service_controller_nodesync_error_total 1\n")
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_cloud_is_no_failure_and_comes_back_when_it_said() {
    let world = world(1, &["a"]);
    let pending = || CloudError::pending("LB create in progress", Duration::from_secs(42));
    world.cloud.script().fail_with(Op::CreateBalancer, 3, pending);
    let process = start(&world);
    seconds(41).await;
    assert_eq!(world.cloud.script().count(Op::CreateBalancer), 1);
    seconds(2).await;
    assert_eq!(world.cloud.script().count(Op::CreateBalancer), 2);
    minutes(3).await;
    assert_eq!(hosts_of(&world, "a"), ["n1"]);
    // Four tries are one beginning: repeated, it would take the place of what people must read.
    assert_eq!(world.reasons("a"), ["EnsuredLoadBalancer", "EnsuringLoadBalancer"]);
    let told = world.sim.list("events").into_iter().map(|event| event["count"].clone());
    assert!(told.clone().all(|count| count == 1), "{:?}", told.collect::<Vec<_>>());
    assert!(
        !process
            .shared
            .metrics
            .render()
            .contains("workqueue_retries_total{name=\"service\"}")
    );
    assert_eq!(world.cloud.addresses().len(), 1);

    world.cloud.script().fail_with(Op::DeleteBalancer, 1, pending);
    world.sim.delete("services", Some("default"), "a").unwrap();
    seconds(41).await;
    assert!(get(&world, "a").is_some());
    seconds(3).await;
    assert!(get(&world, "a").is_none(), "also when deleting");
    assert!(world.reasons("a").contains(&"DeletingLoadBalancer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_and_come_back_ever_later() {
    let world = world(1, &["a"]);
    world.cloud.script().fail(Op::ReserveAddress, 4, Class::Transient);
    let _process = start(&world);
    let mut at = Vec::new();
    for second in 0..120 {
        let made = world.cloud.script().count(Op::ReserveAddress);
        if made > at.len() {
            at.push(second);
        }
        seconds(1).await;
    }
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [5, 10, 20, 40]);
    assert!(world.reasons("a").contains(&"SyncLoadBalancerFailed".to_owned()));
    assert_eq!(hosts_of(&world, "a"), ["n1"]);
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_when_that_is_asked_for() {
    for resync in [None, Some(Duration::from_mins(10))] {
        let world = world(1, &["a"]);
        let _process = start_with(&world, ServiceOptions { resync, ..options() });
        seconds(5).await;
        let name = world.cloud.balancers().keys().next().unwrap().clone();
        world.cloud.drop_balancer(&name);
        minutes(12).await;
        assert_eq!(world.cloud.balancers().len(), usize::from(resync.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_vanished_or_was_made_anew_leaves_nothing_behind() {
    let world = world(1, &["a", "b"]);
    let _process = start(&world);
    seconds(5).await;
    // Somebody takes the finalizer off and the Service goes at once; another takes its name.
    for name in ["a", "b"] {
        edit(&world, name, |service| service["metadata"]["finalizers"] = json!([]));
        world.sim.delete("services", Some("default"), name).unwrap();
    }
    world.sim.create(service("b", "LoadBalancer")).unwrap();
    seconds(10).await;
    let left: Vec<_> = world
        .cloud
        .balancers()
        .into_values()
        .map(|balancer| balancer.service)
        .collect();
    assert_eq!(left, ["default/b"]);
    assert_eq!(world.cloud.addresses().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_the_cloud_is_not_written_to() {
    let world = world(1, &["a"]);
    let process = world.start_as(world.sim.admin_token(), kube_kit::Fence::closed());
    run_in(&process, options());
    minutes(5).await;
    assert!(
        world.cloud.script().calls().iter().all(|call| call.op.reads()),
        "{:?}",
        world.cloud.script().calls()
    );
    assert!(world.sim.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test(start_paused = true)]
async fn the_audit_finds_load_balancers_without_a_service_and_touches_nothing() {
    let world = world(1, &["a", "b"]);
    let process = start(&world);
    seconds(5).await;
    process.stop.cancel();
    seconds(1).await;
    edit(&world, "a", |service| service["metadata"]["finalizers"] = json!([]));
    world.sim.delete("services", Some("default"), "a").unwrap();
    let later = world.start();
    later.shared.services.synced().await;
    world.cloud.script().forget();
    let found = orphans(
        later.shared.cloud.load_balancers().unwrap(),
        "kubernetes",
        &later.shared.services.list(),
    )
    .await;
    let found = found.unwrap().unwrap();
    assert_eq!(
        found.iter().map(|orphan| orphan.service.as_deref()).collect::<Vec<_>>(),
        [Some("default/a")]
    );
    assert!(world.cloud.script().calls().iter().all(|call| call.op.reads()));
}
