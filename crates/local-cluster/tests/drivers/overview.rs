use std::time::Duration;

use kit::Verdict;
use local_cluster::{Fault, Kind, Record, State, choose, list, preflight};

use crate::world::{World, config};

#[tokio::test]
async fn the_list_joins_tools_records_and_contexts() {
    let world = World::with(&["kind", "docker", "k3d"]).await;
    for (driver, name) in [("kind", "one"), ("kind", "gone"), ("k3d", "two")] {
        world
            .manager(driver, name)
            .start(&config("kind: {}\nk3d: {}"))
            .await
            .unwrap();
    }
    world.manager("k3d", "two").stop().await.unwrap();
    std::fs::remove_file(world.path("fake/kind/gone.json")).unwrap();
    world.set_state(
        "kind",
        "foreign",
        &serde_json::json!({"name": "foreign", "image": "x", "port": "1", "nodes": []}),
    );
    let text = world.kubeconfig().replace(
        "contexts:\n",
        "contexts:\n- name: kind-stale\n  context: {cluster: x, user: x}\n",
    );
    std::fs::write(world.path("home/.kube/config"), text).unwrap();
    let host = std::sync::Arc::new(world.host.clone());
    let listing = list(&world.registry, &host).await;
    let rows: Vec<_> = listing
        .clusters
        .iter()
        .map(|one| {
            (
                one.driver.as_str(),
                one.profile.as_str(),
                one.state,
                one.managed,
                one.in_kubeconfig,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("k3d", "two", "stopped", true, true),
            ("kind", "foreign", "stopped", false, false),
            ("kind", "gone", "orphaned", true, true),
            ("kind", "one", "running", true, true),
            ("kind", "stale", "orphaned", false, true),
        ]
    );
    assert!(listing.problems.is_empty(), "{:?}", listing.problems);
    std::fs::write(world.path("fake/daemon_down"), "").unwrap();
    let listing = list(&world.registry, &host).await;
    assert_eq!(listing.problems.len(), 2);
    assert!(
        listing.clusters.iter().all(|one| one.state == "unknown"),
        "{:?}",
        listing.clusters
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_a_warning() {
    let world = World::with(&["kind", "docker"]).await;
    // What cannot be a directory fails for everybody; a disk that is really full is in `hostile`.
    std::fs::create_dir_all(world.path("data/clusters/kind/dev.json")).unwrap();
    world.manager("kind", "dev").start(&config("kind: {}")).await.unwrap();
    assert!(
        world.warnings().iter().any(|warning| warning.contains("not recorded")),
        "{:?}",
        world.warnings()
    );
    assert_eq!(world.manager("kind", "dev").status().await.unwrap().state, State::Ready);
}

#[tokio::test]
async fn nobody_waits_for_a_tool_that_hangs() {
    let mut world = World::with(&["k3d", "docker"]).await;
    world.host.limits.start = Some(Duration::from_millis(300));
    for fault in ["hang", "hang_ignore_term"] {
        world.fault("k3d", "cluster create", fault);
        let error = world.manager("k3d", "dev").start(&config("k3d: {}")).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::Timeout), "{error}");
        let pid = world
            .log()
            .iter()
            .rev()
            .find(|call| call["argv"][1] == "create")
            .unwrap()["pid"]
            .clone();
        crate::world::until("its end", || !crate::world::runs(&pid)).await;
    }
}

#[tokio::test]
async fn preflight_names_what_is_wrong_and_what_to_do() {
    let mut world = World::with(&["k3d", "docker", "colima", "kubectl"]).await;
    world.host.simulator = Some(vec!["/bin/true".into()]);
    std::fs::create_dir_all(world.path("home/.kube")).unwrap();
    std::fs::write(world.path("home/.kube/config"), "{half").unwrap();
    world.fault("docker", "info", "daemon_down");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::create_dir_all(world.path("data/sim/dev")).unwrap();
    std::fs::write(world.path("data/sim/dev/sim.json"), format!("{{\"apiPort\":{port}}}")).unwrap();
    let findings = preflight(&std::sync::Arc::new(world.host.clone())).await;
    let of = |check: &str| {
        findings
            .iter()
            .find(|one| one.check.contains(check))
            .unwrap_or_else(|| panic!("{check}: {findings:#?}"))
    };
    assert_eq!(
        (of("k3d").verdict, of("minikube").verdict),
        (Verdict::Ok, Verdict::Note)
    );
    assert!(of("k3d").found.contains("v5.8.3"), "{:?}", of("k3d"));
    assert_eq!(of("container engine docker").verdict, Verdict::Warning);
    assert_eq!(of("colima: limactl").verdict, Verdict::Problem);
    assert_eq!(of("kubeconfig").verdict, Verdict::Problem);
    assert_eq!(of("sim").verdict, Verdict::Ok);
    let taken = of(&format!("port {port}"));
    assert!(
        taken.found.contains(&std::process::id().to_string()) && taken.found.contains("the sim cluster dev"),
        "{taken:?}"
    );
    for check in ["disk", "memory"] {
        assert!(!of(check).found.is_empty());
    }
    assert!(
        findings
            .iter()
            .filter(|one| one.verdict >= Verdict::Warning)
            .all(|one| one.advice.is_some()),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn the_driver_that_nobody_named_is_the_one_there_is() {
    let world = World::with(&[]).await;
    assert_eq!(choose(&world.host, "dev").driver, "sim");
    world.install(&["kind", "docker"]);
    assert_eq!(choose(&world.host, "dev").driver, "kind");
    world.install(&["k3d"]);
    assert_eq!(choose(&world.host, "dev").driver, "k3d");
    world.manager("kind", "dev").start(&config("kind: {}")).await.unwrap();
    assert_eq!(choose(&world.host, "dev").driver, "kind", "that cluster is meant");
    assert_eq!(Record::all(&world.host).len(), 1);
}

#[tokio::test]
async fn a_command_runs_with_the_clusters_kubeconfig() {
    let world = World::with(&["kind", "docker"]).await;
    let manager = world.manager("kind", "dev");
    let script = format!("cp \"$KUBECONFIG\" {}", world.path("copy").display());
    let command: Vec<std::ffi::OsString> = vec![
        "/bin/sh".into(),
        "-c".into(),
        format!("PATH=/bin:/usr/bin; {script}; exit 7").into(),
    ];
    let error = manager.exec(&command).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ClusterNotRunning);
    manager.start(&config("kind: {}")).await.unwrap();
    assert_eq!(manager.exec(&command).await.unwrap().code(), Some(7));
    assert!(
        std::fs::read_to_string(world.path("copy"))
            .unwrap()
            .contains("current-context: kind-dev")
    );
    assert_eq!(manager.version().await.unwrap(), "v1.35.5+k3s1");
    manager.stop().await.unwrap();
    assert!(manager.version().await.is_ok(), "the image still tells");
}

#[tokio::test]
async fn files_that_are_no_clusters_are_not_listed() {
    let mut world = World::with(&["colima", "limactl", "kubectl", "docker", "qemu-img"]).await;
    world.host.simulator = Some(vec!["/bin/true".into()]);
    for dir in ["data/sim", "data/process/has space", "data/mock", "home/.kube"] {
        std::fs::create_dir_all(world.path(dir)).unwrap();
    }
    std::fs::write(world.path("data/sim/.DS_Store"), "").unwrap();
    std::fs::write(world.path("data/mock/.json"), "").unwrap();
    std::fs::write(
        world.path("home/.kube/config"),
        "contexts:\n- name: colima\n  context: {cluster: x, user: x}\n",
    )
    .unwrap();
    let listing = list(&world.registry, &std::sync::Arc::new(world.host.clone())).await;
    let rows: Vec<_> = listing
        .clusters
        .iter()
        .map(|one| (one.driver.as_str(), one.profile.as_str(), one.state))
        .collect();
    assert_eq!(rows, [("colima", "default", "orphaned")], "whose machine is gone");
}

#[tokio::test]
async fn a_driver_is_installed_when_all_of_it_is() {
    let world = World::with(&["k3d", "kind", "minikube", "colima"]).await;
    let usable = |driver| local_cluster::drivers::is_installed(&world.host, driver);
    for driver in ["k3d", "kind", "colima", "auto", "process"] {
        assert!(!usable(driver), "{driver}");
    }
    assert!(
        usable("minikube") && usable("mock"),
        "minikube may use a virtual machine"
    );
    world.install(&["docker"]);
    assert!(usable("k3d") && usable("kind") && usable("auto") && !usable("colima"));
    world.install(&["limactl", "kubectl", "qemu-img"]);
    assert!(usable("colima"));
}
