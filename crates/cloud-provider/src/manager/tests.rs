use std::collections::BTreeSet;
use std::time::Duration;

use kube_kit::Fence;
use kube_sim::LoggedRequest;
use serde_json::{Value, json};

use super::*;
use crate::memory::{Instance, Lie, MemoryCloud, Op};
use crate::names::{FINALIZER, TAINT_SHUTDOWN};
use crate::testing::{World, minutes, seconds, uninitialized};
use crate::{names, rbac};

mod crash;
mod shown;
mod two;

fn options(args: &[&str]) -> Options {
    let base = [
        "--cloud-provider=fake",
        "--secure-port=0",
        "--cluster-cidr=10.120.0.0/16",
    ];
    let args = base.iter().chain(args).map(|arg| (*arg).to_owned());
    Options::new(flags::Parsed::parse("test", args).unwrap(), "me").unwrap()
}

/// Clients of the world with this token.
fn clients(world: &World, token: &str) -> Clients {
    let (network, token) = (world.network.clone(), token.to_owned());
    Clients::new(move |purpose| {
        let client = crate::testing::client(&network, &token, &purpose.fence);
        Box::pin(async move { Ok(client) })
    })
}

/// A manager that runs in the world.
struct Ran {
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<Result<(), ProcessError>>,
    metrics: kube_kit::metrics::Registry,
    board: board::Board,
}

fn run(world: &World, args: &[&str]) -> Ran {
    run_as(world, world.sim.admin_token(), args)
}

fn run_as(world: &World, token: &str, args: &[&str]) -> Ran {
    let cloud = Arc::new(world.cloud.clone());
    let process = Process::new(
        "test",
        "v0",
        options(args),
        cloud,
        clients(world, token),
        world.clock.clone(),
    );
    Ran::start(process)
}

impl Ran {
    fn start(process: Process) -> Self {
        let (stop, metrics, board) = (CancellationToken::new(), process.metrics().clone(), process.board());
        let until = stop.clone();
        let ended = tokio::spawn(async move { process.run(until).await });
        Self {
            stop,
            ended,
            metrics,
            board,
        }
    }
}

fn lease(world: &World) -> Value {
    world
        .sim
        .get(
            "leases.coordination.k8s.io",
            Some("kube-system"),
            "cloud-controller-manager",
        )
        .unwrap()["spec"]
        .clone()
}

fn ready(status: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": "x"}])
}

fn add_node(world: &World, n: usize) {
    let (id, name) = (format!("i-{n}"), format!("n{n}"));
    world
        .cloud
        .add(Instance::new(&id, &name).internal(&format!("10.0.0.{n}")));
    world
        .sim
        .create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"taints": [uninitialized()], "podCIDR": format!("10.120.{n}.0/24"), "podCIDRs": [format!("10.120.{n}.0/24")]},
            "status": {"conditions": ready("True")},
        }))
        .unwrap();
}

fn set_ready(world: &World, name: &str, status: &str) {
    let mut node = world.node(name).unwrap();
    let conditions = node["status"]["conditions"].as_array_mut().unwrap();
    for condition in conditions.iter_mut().filter(|condition| condition["type"] == "Ready") {
        condition["status"] = json!(status);
    }
    world.sim.update_status(node).unwrap();
}

fn add_service(world: &World, name: &str) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    });
    world.sim.create(service).unwrap();
}

/// A life in a cluster that makes every controller do everything it can do.
async fn a_full_life(world: &World) {
    for n in 1..=5 {
        add_node(world, n);
    }
    add_service(world, "web");
    minutes(1).await;
    assert!((1..=5).all(|n| world.taints(&format!("n{n}")).is_empty()));
    assert_eq!(world.cloud.balancers().len(), 1);
    assert_eq!(world.cloud.route_table().len(), 5);
    world.cloud.power("i-1", false);
    set_ready(world, "n1", "Unknown");
    seconds(20).await;
    assert_eq!(world.taints("n1")[0]["key"], TAINT_SHUTDOWN);
    world.cloud.remove("i-1");
    minutes(2).await;
    assert!(world.node("n1").is_none());
    assert_eq!(world.cloud.route_table().len(), 4);
    assert_eq!(world.cloud.balancers().values().next().unwrap().hosts.len(), 4);
    world.sim.delete("services", Some("default"), "web").unwrap();
    seconds(30).await;
    assert!(world.cloud.balancers().is_empty() && world.cloud.addresses().is_empty());
    assert!(world.sim.get("services", Some("default"), "web").is_none());
}

/// What is granted and used: resource, verb, and the object's name where that matters.
type Right = (String, String, Option<String>);

/// Lives a full life with the shipped rights and these flags, and gives what was used of them.
async fn live_with_the_shipped_rights(args: &[&str]) -> BTreeSet<Right> {
    let world = World::new();
    for object in rbac::objects() {
        let kind = object["kind"].as_str().unwrap().to_owned();
        world
            .sim
            .apply(object)
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    }
    let user = "system:serviceaccount:kube-system:cloud-controller-manager";
    world.sim.add_token(
        "ccm",
        user,
        &["system:serviceaccounts", "system:serviceaccounts:kube-system"],
        None,
    );
    world.sim.clear_requests();
    let ran = run_as(&world, "ccm", args);
    // Conflicts make it read nodes one by one.
    world
        .sim
        .faults()
        .fail(kube_sim::Matcher::any().verb("patch").resource("nodes"), 409, 1);
    a_full_life(&world).await;
    // An event that is repeated is patched.
    world.cloud.script().fail(Op::ReserveAddress, 3, kit::Class::Transient);
    add_service(&world, "again");
    minutes(2).await;
    ran.stop.cancel();
    ran.ended.await.unwrap().unwrap();
    let requests = world.sim.requests();
    let refused: Vec<_> = requests.iter().filter(|request| request.status == 403).collect();
    assert!(refused.is_empty(), "{args:?}: {refused:?}");
    requests.into_iter().map(right).collect()
}

#[tokio::test(start_paused = true)]
async fn everything_works_with_the_shipped_rights_and_each_of_them_is_needed() {
    let mut used = live_with_the_shipped_rights(&[]).await;
    used.extend(live_with_the_shipped_rights(&["--enable-leader-migration"]).await);
    let granted: BTreeSet<Right> = rbac::CLUSTER
        .iter()
        .chain(rbac::LEASE)
        .flat_map(|rule| {
            let name = rule.name.map(str::to_owned);
            let right = move |verb: &&str| (rule.resource.to_owned(), (*verb).to_owned(), name.clone());
            rule.verbs.iter().map(right)
        })
        .collect();
    assert_eq!(used, granted, "the roles grant what is used, no less and no more");
}

/// What a request needs. The names of leases alone matter: creating cannot be confined to one.
fn right(request: LoggedRequest) -> Right {
    let LoggedRequest {
        resource, verb, name, ..
    } = request;
    let named = resource == "leases" && !name.is_empty();
    (resource, verb, named.then_some(name))
}

#[test]
fn the_shipped_manifest_is_what_the_code_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/rbac.yaml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, rbac::manifest()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        rbac::manifest(),
        "run the test with UPDATE=1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_is_told_to_stop_winds_up_and_gives_the_lease_back_at_once() {
    let world = World::new();
    let ran = run(&world, &[]);
    for n in 1..=3 {
        add_node(&world, n);
    }
    seconds(10).await;
    assert_eq!(lease(&world)["holderIdentity"], "me");
    let text = ran.metrics.render();
    for line in [
        "leader_election_master_status{name=\"cloud-controller-manager\"} 1",
        "running_managed_controllers{name=\"cloud-node\",manager=\"cloud-controller-manager\"} 1",
        "running_managed_controllers{name=\"route\",manager=\"cloud-controller-manager\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    ran.stop.cancel();
    let began = tokio::time::Instant::now();
    ran.ended.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(lease(&world)["holderIdentity"], "");
    assert!(
        ran.metrics
            .render()
            .contains("running_managed_controllers{name=\"cloud-node\",manager=\"cloud-controller-manager\"} 0")
    );
    world.sim.clear_requests();
    world.cloud.script().forget();
    add_node(&world, 9);
    minutes(10).await;
    assert!(
        world.sim.requests().is_empty(),
        "nothing is left running: {:?}",
        world.sim.requests()
    );
    assert!(world.cloud.script().calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_it_is_told_to_stop_is_finished_first() {
    let world = World::new();
    add_node(&world, 1);
    let ran = run(&world, &[]);
    seconds(5).await;
    world
        .cloud
        .script()
        .delay(Op::CreateBalancer, 1, Duration::from_secs(10));
    add_service(&world, "web");
    seconds(2).await;
    ran.stop.cancel();
    seconds(3).await;
    assert_eq!(lease(&world)["holderIdentity"], "me", "the lease is kept meanwhile");
    ran.ended.await.unwrap().unwrap();
    let service = world.sim.get("services", Some("default"), "web").unwrap();
    assert_eq!(service["metadata"]["finalizers"], json!([FINALIZER]));
    assert!(service["status"]["loadBalancer"]["ingress"][0]["ip"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_lost_its_lease_ends_and_writes_nothing_more_anywhere() {
    let world = World::new();
    let ran = run(&world, &[]);
    add_node(&world, 1);
    seconds(10).await;
    let mut stolen = world
        .sim
        .get(
            "leases.coordination.k8s.io",
            Some("kube-system"),
            "cloud-controller-manager",
        )
        .unwrap();
    stolen["spec"]["holderIdentity"] = json!("thief");
    stolen["spec"]["leaseDurationSeconds"] = json!(3600);
    world.sim.update(stolen).unwrap();
    // Something is slow in the cloud while the lease goes, and more work keeps coming.
    world
        .cloud
        .script()
        .delay(Op::ReserveAddress, 1, Duration::from_secs(30));
    add_service(&world, "web");
    let ended = tokio::time::timeout(Duration::from_mins(1), ran.ended)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(ended, Err(ProcessError::Lost)));
    world.sim.clear_requests();
    world.cloud.script().forget();
    add_node(&world, 2);
    add_service(&world, "more");
    minutes(30).await;
    let writes: Vec<_> = world
        .sim
        .requests()
        .into_iter()
        .filter(|request| request.method != "GET")
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(world.cloud.script().calls().iter().all(|call| call.op.reads()));
}

#[tokio::test(start_paused = true)]
async fn a_standby_reads_and_writes_nothing_but_the_lease_and_takes_over() {
    let world = World::new();
    let first = run(&world, &[]);
    seconds(5).await;
    let cloud = Arc::new(world.cloud.clone());
    let mut second = options(&[]);
    second.election.as_mut().unwrap().identity = "second".to_owned();
    let token = world.sim.admin_token().to_owned();
    let process = Process::new(
        "test",
        "v0",
        second,
        cloud,
        clients(&world, &token),
        world.clock.clone(),
    );
    let stop = CancellationToken::new();
    let ended = tokio::spawn(async move { process.run(stop).await });
    minutes(5).await;
    assert_eq!(world.cloud.script().count(Op::Initialize), 1);
    first.stop.cancel();
    first.ended.await.unwrap().unwrap();
    add_node(&world, 1);
    seconds(10).await;
    assert_eq!(lease(&world)["holderIdentity"], "second");
    assert!(world.taints("n1").is_empty());
    ended.abort();
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_ten_minutes_costs_the_lease_and_no_storm() {
    // Without election: the controllers themselves must live through it.
    let world = World::new();
    let ran = run(&world, &["--leader-elect=false"]);
    add_node(&world, 1);
    minutes(1).await;
    world.network.cut(cloud_sim::Cut::Before(world.network.sent() + 1));
    world.sim.faults().drop_watches();
    minutes(10).await;
    assert!(!ran.ended.is_finished());
    world.network.heal();
    world.sim.clear_requests();
    add_node(&world, 2);
    minutes(2).await;
    assert!(world.taints("n2").is_empty());
    assert!(world.sim.requests().len() < 20, "{:#?}", world.sim.requests());
    world.sim.faults().compact();
    world.sim.faults().drop_watches();
    add_node(&world, 3);
    minutes(2).await;
    assert!(world.taints("n3").is_empty(), "410 is survived, too");
    ran.stop.cancel();
    ran.ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_does_not_come_up_ends_the_process_and_gives_the_lease_back() {
    let world = World::new();
    world.cloud.script().fail(Op::Initialize, 1, kit::Class::Unauthorized);
    let ended = run(&world, &[]).ended.await.unwrap();
    let text = kit::chain(&ended.unwrap_err());
    assert_eq!(
        text,
        "Cloud provider could not be initialized: Initialize failed as scripted"
    );
    assert_eq!(lease(&world)["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_a_cloud_that_denies_everything_changes_nothing_in_the_cluster() {
    let world = World::new();
    let ran = run(&world, &[]);
    for n in 1..=6 {
        add_node(&world, n);
    }
    minutes(1).await;
    for n in 1..=2 {
        set_ready(&world, &format!("n{n}"), "Unknown");
    }
    world.cloud.lie(Some(Lie::Denied));
    minutes(60).await;
    assert_eq!(world.sim.list("nodes").len(), 6);
    assert!((1..=6).all(|n| world.taints(&format!("n{n}")).is_empty()));
    assert!(
        ran.metrics
            .render()
            .contains("cloud_controller_manager_alarm{alarm=\"NodeDeletionHeld\"} 1")
    );
    assert!(
        world
            .reasons("cloud-controller-manager")
            .contains(&"NodeDeletionHeld".to_owned())
    );
    ran.stop.cancel();
    ran.ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn controllers_that_migrate_run_under_their_own_lease() {
    let world = World::new();
    let ran = run(&world, &["--enable-leader-migration"]);
    seconds(10).await;
    let leases = world.sim.list("leases.coordination.k8s.io");
    let mut held: Vec<_> = leases
        .iter()
        .filter(|lease| lease["spec"]["holderIdentity"] == "me")
        .map(|lease| lease["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    held.sort();
    assert_eq!(
        held,
        ["cloud-controller-manager", "cloud-provider-extraction-migration"]
    );
    a_full_life(&world).await;
    ran.stop.cancel();
    ran.ended.await.unwrap().unwrap();
}

/// Controllers that lost their lease must not be missing from a process that looks well.
#[tokio::test(start_paused = true)]
async fn whoever_loses_the_second_lease_ends() {
    let world = World::new();
    let ran = run(&world, &["--enable-leader-migration"]);
    seconds(10).await;
    let name = "cloud-provider-extraction-migration";
    let mut lease = world
        .sim
        .get("leases.coordination.k8s.io", Some("kube-system"), name)
        .unwrap();
    lease["spec"]["holderIdentity"] = "another".into();
    world.sim.update(lease).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(2), ran.ended).await;
    assert!(matches!(ended.unwrap().unwrap(), Err(ProcessError::Lost)));
}

#[tokio::test]
async fn registering_a_cloud_twice_and_asking_for_one_that_is_not_there_are_errors() {
    let make = |_| Ok(Arc::new(MemoryCloud::new("fake")) as Arc<dyn Cloud>);
    let manager = || Manager::new("ccm", "v1").cloud("fake", make).unwrap();
    assert_eq!(
        manager().cloud("fake", make).err().unwrap().to_string(),
        "Cloud provider \"fake\" was registered twice"
    );
    let mut out = Vec::new();
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    for (given, text) in [
        (vec!["--cloud-provider=other"], "unknown cloud provider \"other\""),
        (vec!["--nosuch"], "unknown flag: --nosuch"),
        (vec!["extra"], "\"ccm\" does not take any arguments, got [\"extra\"]"),
        (vec![], "--cloud-provider cannot be empty"),
        (
            vec!["--cloud-provider=fake", "--cloud-config=/nowhere"],
            "Couldn't open cloud provider configuration /nowhere: No such file or directory (os error 2)",
        ),
    ] {
        let error = manager().try_run(args(&given), &mut out).await.unwrap_err();
        assert_eq!(kit::chain(&error), text);
    }
    manager().try_run(args(&["--version"]), &mut out).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "ccm v1\n");
    let _ = (Fence::open(), names::FINALIZER);
}
