use std::time::Duration;

use local_cluster::{Fault, Kind, State};
use serde_json::json;

use crate::world::{Api, World, config};

const PLAIN: &str = "kind: {}";

async fn started(yaml: &str) -> World {
    let world = World::with(&["kind", "docker"]).await;
    world.manager("kind", "dev").start(&config(yaml)).await.unwrap();
    world.forget_calls();
    world
}

#[tokio::test]
async fn success_of_kind_is_not_readiness() {
    let mut world = World::with(&["kind", "docker"]).await;
    world.api(Api::NodesUnknown);
    world.host.limits.start = Some(Duration::from_millis(400));
    let error = world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ClusterNotReady);
    assert!(
        error
            .to_string()
            .starts_with("cluster is not ready: node node-0 is not ready"),
        "{error}"
    );
    assert!(world.state("kind", "dev").is_some(), "it is left for a look");
}

#[tokio::test]
async fn stopping_and_starting_is_done_with_the_containers() {
    let world = started("kind: {controlPlanes: 1, workers: 2}").await;
    let manager = world.manager("kind", "dev");
    manager.stop().await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    manager.stop().await.unwrap();
    assert_eq!(
        world
            .calls("docker")
            .iter()
            .filter(|call| call.starts_with("stop"))
            .count(),
        1
    );
    manager.start(&config(PLAIN)).await.unwrap();
    let started: Vec<_> = world
        .calls("docker")
        .into_iter()
        .filter(|call| call.starts_with("start"))
        .collect();
    assert_eq!(started, ["start dev-control-plane dev-worker dev-worker2"]);
    assert_eq!(world.count("kind", "create"), 0);
    let status = manager.status().await.unwrap();
    assert_eq!((status.state, status.ip_address.as_str()), (State::Ready, "172.19.0.2"));
}

#[tokio::test]
async fn a_complaint_about_a_kubeconfig_that_is_not_ours_is_a_warning() {
    let world = started(PLAIN).await;
    world.fault("kind", "delete cluster", "locked_kubeconfig");
    world.manager("kind", "dev").destroy().await.unwrap();
    assert!(
        world.warnings().iter().any(|warning| warning.contains("lock")),
        "{:?}",
        world.warnings()
    );
    assert!(!world.kubeconfig().contains("kind-dev"));
}

#[tokio::test]
async fn no_clusters_is_an_empty_list() {
    let world = World::with(&["kind", "docker"]).await;
    assert!(world.manager("kind", "dev").list().await.unwrap().is_empty());
    let world = started(PLAIN).await;
    let found = world.manager("kind", "other").list().await.unwrap();
    assert!(found.len() == 1 && found[0].profile == "dev" && found[0].running);
}

#[tokio::test]
async fn a_name_in_the_environment_is_not_used() {
    let mut world = World::with(&["kind", "docker"]).await;
    world.set("KIND_CLUSTER_NAME", "other");
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(world.state("kind", "dev").is_some() && world.state("kind", "other").is_none());
    assert!(
        world
            .log()
            .iter()
            .filter(|call| call["tool"] == "kind")
            .all(|call| call["env"]["KIND_CLUSTER_NAME"].is_null())
    );
}

#[tokio::test]
async fn a_pinned_image_is_compared_by_its_tag() {
    let world = started(PLAIN).await;
    let manager = world.manager("kind", "dev");
    manager
        .start(&config("kind: {image: 'kindest/node:v1.35.0'}"))
        .await
        .unwrap();
    manager
        .start(&config("kind: {kubernetesVersion: v1.35.0}"))
        .await
        .unwrap();
    let error = manager
        .start(&config("kind: {kubernetesVersion: v1.34.0}"))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("image: running kindest/node:v1.35.0, requested kindest/node:v1.34.0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_whole_configuration_is_passed_on() {
    let yaml = "kind:\n  config:\n    kind: Cluster\n    apiVersion: kind.x-k8s.io/v1alpha4\n    nodes:\n    - role: control-plane\n    - role: worker\n";
    let world = started(yaml).await;
    assert_eq!(
        world.state("kind", "dev").unwrap()["nodes"].as_array().unwrap().len(),
        2
    );
    world.manager("kind", "dev").start(&config(yaml)).await.unwrap();
    let both = config(&format!("{yaml}  workers: 1\n"));
    assert_eq!(
        world.manager("kind", "dev").start(&both).await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn a_daemon_that_is_down_is_told_as_such() {
    let world = started(PLAIN).await;
    std::fs::write(world.path("fake/daemon_down"), "").unwrap();
    for outcome in [
        world.manager("kind", "dev").destroy().await,
        world.manager("kind", "dev").start(&config(PLAIN)).await,
    ] {
        assert_eq!(outcome.unwrap_err().fault(), Some(Fault::DaemonDown));
    }
    assert_eq!(world.count("kind", "delete") + world.count("kind", "create"), 0);
}

#[tokio::test]
async fn some_nodes_down_is_not_ready_and_start_brings_them_back() {
    let world = started("kind: {workers: 1}").await;
    let mut state = world.state("kind", "dev").unwrap();
    state["nodes"][1]["status"] = json!("exited");
    world.set_state("kind", "dev", &state);
    let manager = world.manager("kind", "dev");
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::NotReady, "1 of 2 nodes run")
    );
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
}

#[tokio::test]
async fn what_others_depend_on_is_started_first() {
    let world = started("kind: {controlPlanes: 2, workers: 1}").await;
    let mut state = world.state("kind", "dev").unwrap();
    // As kind makes it, which is after the others.
    let balancer = json!({"name": "dev-external-load-balancer", "role": "external-load-balancer", "status": "running"});
    state["nodes"].as_array_mut().unwrap().push(balancer);
    world.set_state("kind", "dev", &state);
    let manager = world.manager("kind", "dev");
    assert_eq!(
        manager.status().await.unwrap().state,
        State::Ready,
        "the balancer is no node"
    );
    manager.stop().await.unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    let started: Vec<_> = world
        .calls("docker")
        .into_iter()
        .filter(|call| call.starts_with("start"))
        .collect();
    let order = "start dev-external-load-balancer dev-control-plane dev-control-plane2 dev-worker";
    assert_eq!(started, [order]);
}

#[tokio::test]
async fn the_engine_that_kind_finds_is_asked() {
    let mut world = World::with(&["kind", "podman"]).await;
    let manager = world.manager("kind", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    assert!(local_cluster::drivers::is_installed(&world.host, "kind"));
    world.set("KIND_EXPERIMENTAL_PROVIDER", "nerdctl.lima");
    let error = world.manager("kind", "dev").status().await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::BackendMissing));
    assert!(error.to_string().contains("nerdctl.lima"), "{error}");
    assert!(!local_cluster::drivers::is_installed(&world.host, "kind"));
}

#[tokio::test]
async fn a_whole_configuration_for_a_cluster_made_without_is_a_difference() {
    let world = started(PLAIN).await;
    let whole = config("kind: {config: {networking: {disableDefaultCNI: true}}}");
    let error = world.manager("kind", "dev").start(&whole).await.unwrap_err();
    assert!(
        error.to_string().contains("config: running nothing, requested"),
        "{error}"
    );
}
