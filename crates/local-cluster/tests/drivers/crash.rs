//! Commands that are killed, and what the next one makes of it.

use std::process::Stdio;
use std::time::Duration;

use local_cluster::{Kind, State};
use serde_json::json;

use crate::world::{Api, World, config, driving, kill, runs, until};

fn drive(world: &World, verb: &str, driver: &str) -> std::process::Child {
    driving(world, verb, driver).stderr(Stdio::null()).spawn().unwrap()
}

fn simulated(world: &mut World) {
    world.install(&["sim"]);
    world.host.simulator = Some(vec![world.path("bin/sim").into_os_string()]);
}

#[tokio::test]
async fn the_simulated_cluster_keeps_its_state_and_leaves_nothing() {
    let mut world = World::with(&[]).await;
    simulated(&mut world);
    let manager = world.manager("sim", "dev");
    let begun = std::time::Instant::now();
    manager.start(&config("")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.kube_context.as_str()),
        (State::Ready, "sim-dev"),
        "{}",
        status.reason
    );
    assert!(manager.limits().unwrap().contains("runs no containers"));
    let port = |world: &World| world.kubeconfig().split("127.0.0.1:").nth(1).unwrap()[..5].to_owned();
    let before = port(&world);
    manager.stop().await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("data/sim/dev/state.json")).unwrap(),
        "1"
    );
    manager.start(&config("")).await.unwrap();
    assert_eq!(port(&world), before, "the port stays");
    manager.stop().await.unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("data/sim/dev/state.json")).unwrap(),
        "2",
        "and what was saved"
    );
    manager.start(&config("")).await.unwrap();
    let text = std::fs::read(world.path("data/sim/dev/sim.pid")).unwrap();
    let pid = serde_json::from_slice::<serde_json::Value>(&text).unwrap()["pid"].clone();
    kill(&pid);
    until("its death", || !runs(&pid)).await;
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    manager.start(&config("")).await.unwrap();
    let log = std::fs::read_to_string(world.path("data/sim/dev/sim.log")).unwrap();
    assert!(
        !log.contains("kubernetes"),
        "what it answers has its token in it: {log}"
    );
    manager.destroy().await.unwrap();
    assert!(!world.path("data/sim/dev").exists() && !world.kubeconfig().contains("sim-dev"));
}

/// Completes what a killed command began. One that was killed within the moment in which it held the lock of the kubeconfig,
/// which by kubectl's rules has no owner, leaves that behind: then it is told what to do, and doing so suffices.
async fn complete(world: &World, command: impl AsyncFn() -> Result<(), local_cluster::Error>) {
    match command().await {
        Err(local_cluster::Error::KubeconfigLocked { advice, .. }) => {
            let lock = world.path("home/.kube/config.lock");
            assert!(advice.contains(&format!("rm {}", lock.display())), "{advice}");
            std::fs::remove_file(lock).unwrap();
            command().await.unwrap();
        }
        done => done.unwrap(),
    }
}

#[tokio::test]
async fn a_killed_start_of_a_background_cluster_is_completed_by_the_next() {
    for delay in [0, 5, 10, 15, 20, 30, 40, 60, 90] {
        let mut world = World::with(&[]).await;
        simulated(&mut world);
        let mut child = drive(&world, "start", "sim");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let manager = world.manager("sim", "dev");
        complete(&world, async || manager.start(&config("")).await).await;
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "after {delay} ms");
        let mut child = drive(&world, "destroy", "sim");
        tokio::time::sleep(Duration::from_millis(delay / 2)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        complete(&world, async || manager.destroy().await).await;
        assert!(!manager.status().await.unwrap().exists, "after {delay} ms");
        let servers: Vec<_> = world.log().into_iter().filter(|call| call["tool"] == "sim").collect();
        assert!(!servers.iter().any(|call| runs(&call["pid"])), "after {delay} ms");
    }
}

#[tokio::test]
async fn a_killed_start_of_processes_is_completed_by_the_next() {
    for delay in [5, 15, 25, 40, 60, 90, 130] {
        let world = World::with(&["etcd", "kube-apiserver", "kube-controller-manager"]).await;
        let mut child = drive(&world, "start", "process");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let manager = world.manager("process", "dev");
        complete(&world, async || manager.start(&config("")).await).await;
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "after {delay} ms");
        complete(&world, async || manager.destroy().await).await;
        let parts = world.log().into_iter().filter(|call| call["tool"] != "drive");
        let left: Vec<_> = parts.filter(|call| runs(&call["pid"])).collect();
        assert!(left.is_empty(), "after {delay} ms: {left:?}");
    }
}

#[tokio::test]
async fn a_killed_start_of_containers_is_completed_or_told() {
    for delay in [0, 10, 20, 30, 40, 50, 70, 100] {
        let world = World::with(&["k3d", "docker"]).await;
        let mut child = drive(&world, "start", "k3d");
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // k3d itself was not killed and goes on.
        let creations = || {
            world
                .log()
                .into_iter()
                .filter(|call| call["argv"][1] == "create")
                .collect::<Vec<_>>()
        };
        until("the end of k3d", || !creations().iter().any(|call| runs(&call["pid"]))).await;
        let manager = world.manager("k3d", "dev");
        match manager.start(&config("k3d: {}")).await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), Kind::Partial, "after {delay} ms: {error}");
                manager.destroy().await.unwrap();
                manager.start(&config("k3d: {}")).await.unwrap();
            }
        }
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "after {delay} ms");
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_tool_and_frees_the_lock() {
    let world = World::with(&["k3d", "docker"]).await;
    world.fault("k3d", "cluster create", "partial_hang");
    let mut child = drive(&world, "start", "k3d");
    until("half a cluster", || world.state("k3d", "dev").is_some()).await;
    let status = world.manager("k3d", "dev").status().await.unwrap();
    assert_eq!(status.state, State::Starting, "{}", status.reason);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let tool = world.log().iter().find(|call| call["argv"][1] == "create").unwrap()["pid"].clone();
    until("the end of k3d", || !runs(&tool)).await;
    assert_eq!(world.record("k3d", "dev").unwrap()["phase"], "creating");
    let status = world.manager("k3d", "dev").status().await.unwrap();
    assert_eq!(status.state, State::NotReady);
    assert!(status.reason.starts_with("interrupted start"), "{}", status.reason);
}

#[tokio::test]
async fn an_interrupted_destruction_is_told_and_completed() {
    let mut world = World::with(&["k3d", "docker"]).await;
    world.manager("k3d", "dev").start(&config("k3d: {}")).await.unwrap();
    world.fault("k3d", "cluster delete", "hang");
    let mut child = drive(&world, "destroy", "k3d");
    until("the deletion", || {
        world.path("data/clusters/k3d/dev.tool").exists() && world.count("k3d", "cluster delete") == 1
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let orphan = world.log().iter().find(|call| call["argv"][1] == "delete").unwrap()["pid"].clone();
    world.host.limits.start = Some(Duration::from_millis(100));
    let manager = world.manager("k3d", "dev");
    let error = manager.start(&config("k3d: {}")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert!(
        error
            .to_string()
            .contains(&format!("process {orphan}, which an interrupted command left running")),
        "{error}"
    );
    assert!(error.advice().unwrap().contains(&format!("kill {orphan}")));
    let findings = local_cluster::preflight(&std::sync::Arc::new(world.host.clone())).await;
    let told = findings.iter().find(|one| one.check == "k3d cluster dev").unwrap();
    assert!(
        told.found.contains(&format!("process {orphan} goes on with it"))
            && !told.advice.as_ref().unwrap().contains("destroy"),
        "{told:?}"
    );
    kill(&orphan);
    until("its end", || !runs(&orphan)).await;
    world.host.limits.start = Some(Duration::from_secs(20));
    let manager = world.manager("k3d", "dev");
    let error = manager.start(&config("k3d: {}")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Partial);
    assert!(
        error
            .to_string()
            .starts_with("the removal of the k3d cluster dev was interrupted"),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("destroy removes what is left"));
    manager.destroy().await.unwrap();
    manager.start(&config("k3d: {}")).await.unwrap();
}

#[tokio::test]
async fn a_tool_that_nobody_could_note_in_time_is_found() {
    use std::os::unix::process::CommandExt as _;
    let mut world = World::with(&["k3d", "docker"]).await;
    world.manager("k3d", "dev").start(&config("k3d: {}")).await.unwrap();
    // As it is left by a command that is killed between announcing the tool and noting its process ID.
    let mark = "1-17";
    let note = json!({"pid": 0, "began": "", "mark": mark}).to_string();
    std::fs::write(world.path("data/clusters/k3d/dev.tool"), &note).unwrap();
    let mut tool = std::process::Command::new("/bin/sleep")
        .arg("600")
        .env("ROADSTEAD_CHANGE", mark)
        .process_group(0)
        .spawn()
        .unwrap();
    world.host.limits.stop = Some(Duration::from_millis(100));
    let error = world.manager("k3d", "dev").stop().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Locked, "{error}");
    assert!(error.to_string().contains(&format!("process {}", tool.id())), "{error}");
    assert_eq!(world.count("k3d", "cluster stop"), 0);
    tool.kill().unwrap();
    tool.wait().unwrap();
    world.host.limits.stop = None;
    world.manager("k3d", "dev").stop().await.unwrap();
    // And that is what is announced: of each tool before it begins.
    assert!(!world.path("data/clusters/k3d/dev.tool").exists());
    let log = world.log();
    let stopped = log.iter().find(|call| call["argv"][1] == "stop").unwrap();
    assert!(
        stopped["env"]["ROADSTEAD_CHANGE"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}-", std::process::id()))
    );
    assert!(
        log.iter()
            .filter(|call| call["argv"][1] == "list")
            .all(|call| call["env"]["ROADSTEAD_CHANGE"].is_null())
    );
}

#[tokio::test]
async fn what_a_killed_command_left_running_is_waited_for() {
    let world = World::with(&["kind", "docker"]).await;
    world.fault("kind", "create", "slow:400");
    let mut child = drive(&world, "start", "kind");
    until("the creation", || world.count("kind", "create") == 1).await;
    until("its note", || {
        std::fs::metadata(world.path("data/clusters/kind/dev.tool")).is_ok_and(|note| note.len() > 0)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let manager = world.manager("kind", "dev");
    let status = manager.status().await.unwrap();
    assert_ne!(status.state, State::Ready, "{status:?}");
    manager.start(&config("kind: {}")).await.unwrap();
    assert_eq!(world.count("kind", "create"), 1, "what it made is used");
    assert!(!world.path("data/clusters/kind/dev.tool").exists());
}

#[tokio::test]
async fn many_processes_at_once_make_one_cluster() {
    let world = World::with(&["k3d", "docker"]).await;
    let starts: Vec<_> = (0..8).map(|_| driving(&world, "start", "k3d")).collect();
    let starts = starts.into_iter().map(|mut start| {
        start.stderr(Stdio::piped());
        tokio::process::Command::from(start).output()
    });
    for output in futures::future::join_all(starts).await {
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.count("k3d", "cluster create"), 1);
    assert!(!world.path("fake/rolled_back_a_winner").exists());
}

#[tokio::test]
async fn a_lock_that_is_not_freed_is_told_with_its_holder() {
    let mut world = World::with(&["kind", "docker"]).await;
    world.api(Api::NotReady);
    let mut child = drive(&world, "start", "kind");
    until("a cluster", || world.state("kind", "dev").is_some()).await;
    world.host.limits.stop = Some(Duration::from_millis(100));
    let error = world.manager("kind", "dev").stop().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert!(
        error
            .to_string()
            .contains(&format!("worked on by process {}", child.id())),
        "{error}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    world.host.limits.stop = None;
    world.manager("kind", "dev").stop().await.unwrap();
    assert_eq!(world.record("kind", "dev").unwrap()["phase"], json!("creating"));
}
