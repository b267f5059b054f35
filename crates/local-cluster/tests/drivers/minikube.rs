use local_cluster::{Fault, Kind, State};
use serde_json::json;

use crate::world::{World, config};

const PLAIN: &str = "minikube: {}";

async fn started(yaml: &str) -> World {
    let world = World::with(&["minikube", "docker"]).await;
    world.manager("minikube", "dev").start(&config(yaml)).await.unwrap();
    world.forget_calls();
    world
}

fn edit(world: &World, host: &str, api: &str) {
    let mut state = world.state("minikube", "dev").unwrap();
    state["host"] = json!(host);
    state["api"] = json!(api);
    world.set_state("minikube", "dev", &state);
}

#[tokio::test]
async fn every_state_of_minikube_is_understood() {
    let world = started(PLAIN).await;
    let manager = world.manager("minikube", "dev");
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.kube_context.as_str()),
        (State::Ready, "dev"),
        "{}",
        status.reason
    );
    edit(&world, "Stopped", "Stopped");
    let status = manager.status().await.unwrap();
    assert_eq!((status.state, status.exists), (State::Stopped, true));
    edit(&world, "Running", "Paused");
    let status = manager.status().await.unwrap();
    assert_eq!((status.state, status.reason.as_str()), (State::NotReady, "paused"));
    edit(&world, "InsufficientStorage", "Running");
    let status = manager.status().await.unwrap();
    assert_eq!(status.state, State::NotReady);
    assert!(status.reason.contains("InsufficientStorage"), "{}", status.reason);
    let status = world.manager("minikube", "absent").status().await.unwrap();
    assert_eq!((status.state, status.exists), (State::Stopped, false));
    world.fault("minikube", "status", "exit:1:panic: oh no");
    assert!(manager.status().await.is_err());
}

#[tokio::test]
async fn a_stale_kubeconfig_is_repaired() {
    let world = started(PLAIN).await;
    std::fs::write(world.path("fake/misconfigured"), "").unwrap();
    let manager = world.manager("minikube", "dev");
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    std::fs::remove_file(world.path("home/.kube/config")).unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(
        (
            world.count("minikube", "update-context"),
            world.count("minikube", "start")
        ),
        (1, 0)
    );
    assert!(world.kubeconfig().contains("name: dev"));
}

#[tokio::test]
async fn a_paused_cluster_is_unpaused() {
    let world = started(PLAIN).await;
    edit(&world, "Running", "Paused");
    world.manager("minikube", "dev").start(&config(PLAIN)).await.unwrap();
    assert_eq!(
        (world.count("minikube", "unpause"), world.count("minikube", "start")),
        (1, 0)
    );
}

#[tokio::test]
async fn several_nodes_are_read() {
    let world = started("minikube: {nodes: 2}").await;
    assert_eq!(
        world.manager("minikube", "dev").status().await.unwrap().state,
        State::Ready
    );
}

#[tokio::test]
async fn what_minikube_would_ignore_is_refused() {
    let world = started("minikube: {cpus: 2, kubernetesVersion: v1.34.0}").await;
    let manager = world.manager("minikube", "dev");
    for (asked, text) in [
        ("cpus: 4", "cpus: running 2, requested 4 (needs a new cluster)"),
        (
            "memory: 8GiB",
            "memory: running 4GiB, requested 8GiB (needs a new cluster)",
        ),
        (
            "kubernetesVersion: v1.33.0",
            "kubernetesVersion: running v1.34.0, requested v1.33.0 (needs a new cluster)",
        ),
        ("kubernetesVersion: v1.35.0", "(applies on restart)"),
        (
            "driver: qemu2",
            "driver: running docker, requested qemu2 (needs a new cluster)",
        ),
    ] {
        let error = manager
            .start(&config(&format!("minikube: {{{asked}}}")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::ConfigMismatch);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(world.count("minikube", "start"), 0);
}

#[tokio::test]
async fn a_stopped_cluster_resumes_as_it_was_made() {
    let world = started("minikube: {driver: kvm2, containerRuntime: docker}").await;
    let manager = world.manager("minikube", "dev");
    let line = || {
        let mut calls = world.calls("minikube").into_iter();
        calls.rfind(|call| call.starts_with("start")).unwrap()
    };
    let made = |field: &str| world.state("minikube", "dev").unwrap()[field].clone();
    // By its profile, by the record when the profile is not told, and by minikube itself without either.
    manager.stop().await.unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    assert!(
        line().contains("--driver=kvm2 --container-runtime=docker "),
        "{}",
        line()
    );
    world.faults("minikube", "profile list", "exit:1:no answer", 3);
    manager.restart(&config("minikube: {driver: kvm2}")).await.unwrap();
    assert!(line().contains("--driver=kvm2 "), "{}", line());
    assert_eq!((made("driver"), made("runtime")), (json!("kvm2"), json!("docker")));
    world.faults("minikube", "profile list", "exit:1:no answer", 9);
    manager.stop().await.unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    assert!(line().contains("--driver=kvm2 "), "{}", line());
    manager.stop().await.unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    manager.start(&config(PLAIN)).await.unwrap();
    assert!(
        !line().contains("--driver") && !line().contains("--container-runtime"),
        "{}",
        line()
    );
    assert_eq!((made("driver"), made("runtime")), (json!("kvm2"), json!("docker")));
    manager.stop().await.unwrap();
    std::fs::remove_dir_all(world.path("data")).unwrap();
    let other = config("minikube: {driver: docker}");
    let error = manager.start(&other).await.unwrap_err();
    assert!(
        error.to_string().contains("created using the \"kvm2\" driver"),
        "{error}"
    );
}

#[tokio::test]
async fn stopping_keeps_the_context() {
    let world = started(PLAIN).await;
    world.manager("minikube", "dev").stop().await.unwrap();
    assert_eq!(
        world
            .calls("minikube")
            .iter()
            .filter(|call| *call == "stop -p dev --keep-context-active")
            .count(),
        1
    );
    assert!(world.kubeconfig().contains("name: dev"));
}

#[tokio::test]
async fn the_reason_of_a_failure_is_in_its_events() {
    let world = World::with(&["minikube", "docker"]).await;
    world.fault("minikube", "start", "out_of_memory");
    let error = world
        .manager("minikube", "dev")
        .start(&config(PLAIN))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Some(Fault::OutOfResources));
    assert!(error.to_string().contains("too little memory"), "{error}");
}

#[tokio::test]
async fn variables_do_not_act_as_flags() {
    let mut world = World::with(&["minikube", "docker"]).await;
    world.set("MINIKUBE_PROFILE", "other");
    world.set("MINIKUBE_HOME", "/somewhere");
    world.manager("minikube", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(world.state("minikube", "dev").is_some());
    for call in world.log().into_iter().filter(|call| call["tool"] == "minikube") {
        assert!(call["env"]["MINIKUBE_PROFILE"].is_null());
        assert_eq!(call["env"]["MINIKUBE_HOME"], "/somewhere");
    }
    world.manager("minikube", "dev").destroy().await.unwrap();
    assert!(world.state("minikube", "dev").is_none() && !world.kubeconfig().contains("name: dev"));
}

#[tokio::test]
async fn a_machine_that_cannot_be_looked_at_is_neither_absent_nor_stopped() {
    let world = started(PLAIN).await;
    let manager = world.manager("minikube", "dev");
    let before = world.kubeconfig();
    std::fs::write(world.path("fake/daemon_down"), "").unwrap();
    for error in [
        manager.status().await.unwrap_err(),
        manager.start(&config(PLAIN)).await.unwrap_err(),
        manager.stop().await.unwrap_err(),
        manager.destroy().await.unwrap_err(),
    ] {
        assert_eq!(error.fault(), Some(Fault::DaemonDown), "{error}");
    }
    assert_eq!(world.kubeconfig(), before);
    assert!(world.record("minikube", "dev").is_some(), "nothing is forgotten");
    assert_eq!(world.count("minikube", "delete") + world.count("minikube", "start"), 0);
}

#[tokio::test]
async fn a_profile_whose_machine_is_gone_is_there_and_can_be_started_or_removed() {
    let world = started("minikube: {nodes: 2}").await;
    let manager = world.manager("minikube", "dev");
    edit(&world, "Nonexistent", "Nonexistent");
    let status = manager.status().await.unwrap();
    assert_eq!((status.state, status.exists), (State::Stopped, true), "{status:?}");
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(world.count("minikube", "start"), 1);
    edit(&world, "Nonexistent", "Nonexistent");
    manager.destroy().await.unwrap();
    assert_eq!(world.count("minikube", "delete"), 1);
    assert!(world.state("minikube", "dev").is_none());
}

#[tokio::test]
async fn addons_and_settings_that_a_running_cluster_lacks_are_told() {
    let world = started("minikube: {extraConfig: [kubelet.max-pods=50]}").await;
    let manager = world.manager("minikube", "dev");
    for (asked, text) in [
        (
            "addons: [ingress]",
            "addons.ingress: running disabled, requested enabled (applies on restart)",
        ),
        (
            "extraConfig: [kubelet.max-pods=60]",
            "extraConfig: running kubelet.max-pods=50, requested kubelet.max-pods=60 (applies on restart)",
        ),
        (
            "startFlags: [--v=1]",
            "startFlags: running nothing, requested --v=1 (applies on restart)",
        ),
        (
            "cni: calico",
            "cni: running nothing, requested calico (needs a new cluster)",
        ),
    ] {
        let asked = config(&format!("minikube: {{{asked}}}"));
        let error = manager.start(&asked).await.expect_err(text);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(world.count("minikube", "start"), 0);
    let with_it = config("minikube: {addons: [ingress, storage-provisioner]}");
    manager.restart(&with_it).await.unwrap();
    assert_eq!(
        world.state("minikube", "dev").unwrap()["addons"]["ingress"],
        json!(true)
    );
    manager.start(&with_it).await.unwrap();
}
