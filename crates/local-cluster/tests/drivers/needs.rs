//! What is looked at before a cluster is created.

use std::net::TcpListener;

use local_cluster::{Error, Fault, Kind, State};

use crate::world::{COLIMA, World, config};

#[tokio::test]
async fn an_engine_that_is_down_is_told_before_anything_begins() {
    for (driver, tools, engine) in [
        ("minikube", vec!["minikube", "docker"], "docker"),
        ("k3d", vec!["k3d", "docker"], "docker"),
        ("kind", vec!["kind", "docker"], "docker"),
    ] {
        let world = World::with(&tools).await;
        world.fault(engine, "info", "daemon_down");
        let all = config("k3d: {}\nkind: {}\nminikube: {}");
        let error = world.manager(driver, "dev").start(&all).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::DaemonDown), "{driver}: {error}");
        assert!(
            error.advice().unwrap().contains("start the container engine"),
            "{driver}"
        );
        assert!(
            world.state(driver, "dev").is_none() && world.record(driver, "dev").is_none(),
            "{driver}"
        );
        world.manager(driver, "dev").start(&all).await.unwrap();
        assert_eq!(world.count(engine, "info"), 2, "{driver}");
        world.forget_calls();
        world.manager(driver, "dev").start(&all).await.unwrap();
        world.manager(driver, "dev").stop().await.unwrap();
        world.manager(driver, "dev").start(&all).await.unwrap();
        assert_eq!(
            world.count(engine, "info"),
            0,
            "{driver}: only when something is created"
        );
    }
}

#[tokio::test]
async fn the_engine_that_is_asked_is_the_one_that_is_used() {
    let mut world = World::with(&["minikube", "docker", "podman", "kind"]).await;
    world.fault("podman", "info", "daemon_down");
    let podman = config("minikube: {driver: podman}");
    let error = world.manager("minikube", "dev").start(&podman).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::DaemonDown), "{error}");
    assert!(error.to_string().contains("Podman"), "{error}");
    world.fault("docker", "info", "daemon_down");
    let machine = config("minikube: {driver: qemu2}");
    world.manager("minikube", "dev").start(&machine).await.unwrap();
    assert_eq!(world.count("docker", ""), 0, "a virtual machine needs no engine");
    world.set("KIND_EXPERIMENTAL_PROVIDER", "podman");
    world.manager("kind", "dev").start(&config("kind: {}")).await.unwrap();
    assert_eq!(world.count("docker", ""), 0);
    assert_eq!(world.manager("kind", "dev").status().await.unwrap().state, State::Ready);
}

#[tokio::test]
async fn what_colima_runs_is_missed_before_it_is_called() {
    for (missing, tool_called) in [
        ("limactl", "lima"),
        ("kubectl", "kubectl"),
        ("docker", "docker"),
        ("qemu-img", "qemu"),
    ] {
        let world = World::with(&COLIMA).await;
        world.uninstall(missing);
        let error = world
            .manager("colima", "dev")
            .start(&config("colima: {}"))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Tool { tool, fault: Fault::BackendMissing, .. } if tool == tool_called),
            "{missing}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("{missing} is not on PATH, and colima needs it")),
            "{error}"
        );
        assert!(error.advice().unwrap().contains("install"), "{missing}");
        assert_eq!(world.count("colima", "start"), 0, "{missing}");
        if missing == "docker" {
            let containerd = config("colima: {runtime: containerd}");
            world.manager("colima", "dev").start(&containerd).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_owner_before_anything_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = World::with(&["k3d", "kind", "docker"]).await;
    for (driver, yaml) in [
        ("k3d", format!("k3d: {{apiPort: {port}}}")),
        ("k3d", format!("k3d: {{ports: [{{port: '0.0.0.0:{port}:80'}}]}}")),
        (
            "k3d",
            format!("k3d: {{registries: {{create: {{name: r, hostPort: {port}}}}}}}"),
        ),
        ("kind", format!("kind: {{apiPort: {port}}}")),
        (
            "kind",
            format!("kind: {{config: {{networking: {{apiServerPort: {port}}}}}}}"),
        ),
        (
            "kind",
            format!(
                "kind: {{config: {{nodes: [{{role: control-plane, extraPortMappings: [{{hostPort: {port}}}]}}]}}}}"
            ),
        ),
    ] {
        let error = world.manager(driver, "dev").start(&config(&yaml)).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::PortInUse), "{yaml}");
        let text = error.to_string();
        assert!(
            text.contains(&port.to_string()) && text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
        assert!(world.state(driver, "dev").is_none(), "{yaml}");
    }
}

#[tokio::test]
async fn more_memory_than_there_is_is_warned_of() {
    let world = World::with(&COLIMA).await;
    world
        .manager("colima", "dev")
        .start(&config("colima: {memory: 99TiB}"))
        .await
        .unwrap();
    let warned = world
        .warnings()
        .into_iter()
        .any(|warning| warning.contains("and the cluster may use 101376.0 GiB"));
    assert!(warned, "{:?}", world.warnings());
}

#[tokio::test]
async fn what_could_not_be_made_anew_is_not_destroyed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let mut world = World::with(&[
        "k3d",
        "docker",
        "colima",
        "limactl",
        "kubectl",
        "qemu-img",
        "etcd",
        "kube-apiserver",
        "sim",
    ])
    .await;
    world.host.simulator = Some(vec![world.path("bin/sim").into_os_string()]);
    let plain = config("k3d: {}\ncolima: {}");
    for driver in ["k3d", "colima", "process", "sim"] {
        world.manager(driver, "dev").start(&plain).await.unwrap();
    }
    let port = world.state("k3d", "dev").unwrap()["port"].as_str().unwrap().to_owned();
    for (driver, yaml) in [
        ("k3d", format!("k3d: {{apiPort: {taken}}}")),
        ("k3d", "k3d: {servers: 0}".to_owned()),
        ("colima", "colima: {vmType: vz}".to_owned()),
        ("process", format!("process: {{apiPort: {taken}}}")),
        ("process", "process: {kubernetesVersion: v1.20.0}".to_owned()),
        ("process", "process: {controllerManager: true}".to_owned()),
        ("sim", format!("sim: {{apiPort: {taken}}}")),
    ] {
        let manager = world.manager(driver, "dev");
        let error = manager.recreate(&config(&yaml)).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Invalid | Kind::Tool(_)), "{yaml}: {error}");
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "{yaml}");
    }
    world.fault("docker", "info", "daemon_down");
    assert!(world.manager("k3d", "dev").recreate(&plain).await.is_err());
    assert_eq!(world.count("k3d", "cluster delete"), 0);
    // The port it has itself is no obstacle.
    let same = config(&format!("k3d: {{apiPort: {port}, agents: 1}}"));
    world.manager("k3d", "dev").recreate(&same).await.unwrap();
    assert_eq!(world.count("k3d", "cluster delete"), 1);
    assert_eq!(world.state("k3d", "dev").unwrap()["nodes"].as_array().unwrap().len(), 3);
    for driver in ["process", "sim"] {
        world.manager(driver, "dev").recreate(&plain).await.unwrap();
        world.manager(driver, "dev").destroy().await.unwrap();
    }
}
