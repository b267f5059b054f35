use local_cluster::{Error, Fault, Kind, Os, State};
use serde_json::json;

use crate::world::{COLIMA, World, config};

const PLAIN: &str = "colima: {}";

async fn world() -> World {
    World::with(&COLIMA).await
}

async fn started(yaml: &str) -> World {
    let world = world().await;
    world.manager("colima", "dev").start(&config(yaml)).await.unwrap();
    world.forget_calls();
    world
}

fn edit(world: &World, field: &str, value: serde_json::Value) {
    let mut state = world.state("colima", "dev").unwrap();
    state[field] = value;
    world.set_state("colima", "dev", &state);
}

/// The calls that change something.
fn changes(world: &World) -> Vec<String> {
    let verbs = ["start ", "stop ", "delete ", "kubernetes "];
    let changing = |call: &String| verbs.iter().any(|verb| call.starts_with(verb)) && !call.contains("--help");
    world.calls("colima").into_iter().filter(changing).collect()
}

#[tokio::test]
async fn an_absent_machine_is_started_once_with_kubernetes() {
    let world = world().await;
    let manager = world.manager("colima", "dev");
    manager
        .start(&config("colima: {memory: 10GiB, cores: 4}"))
        .await
        .unwrap();
    let changes = changes(&world);
    assert_eq!(changes.len(), 1, "{changes:?}");
    for part in [
        "start --profile dev --kubernetes",
        "--memory 10",
        "--cpu 4",
        "--activate=false",
        "--template=false",
    ] {
        assert!(changes[0].contains(part), "{part}: {}", changes[0]);
    }
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.kube_context.as_str()),
        (State::Ready, "colima-dev"),
        "{}",
        status.reason
    );
    assert!(world.kubeconfig().contains("colima-dev"));
}

#[tokio::test]
async fn one_machine_may_have_several_spellings() {
    let world = world().await;
    for name in ["default", "colima"] {
        assert_eq!(world.manager("colima", name).context(), "colima");
    }
    world
        .manager("colima", "colima-dev")
        .start(&config(PLAIN))
        .await
        .unwrap();
    world.forget_calls();
    world.manager("colima", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(changes(&world).is_empty());
}

#[tokio::test]
async fn a_running_machine_that_matches_is_left_alone() {
    let world = started("colima: {memory: 10GiB}").await;
    for same in ["10GiB", "10240MiB", "10"] {
        world
            .manager("colima", "dev")
            .start(&config(&format!("colima: {{memory: {same}}}")))
            .await
            .unwrap();
    }
    assert!(changes(&world).is_empty(), "{:?}", changes(&world));
}

#[tokio::test]
async fn a_running_machine_that_differs_is_refused_before_colima_overwrites_its_profile() {
    let world = started("colima: {memory: 8GiB}").await;
    let profile = world.path("home/.colima/dev/colima.yaml");
    let before = std::fs::read_to_string(&profile).unwrap();
    let error = world
        .manager("colima", "dev")
        .start(&config("colima: {memory: 10GB}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::ConfigMismatch);
    assert!(
        error
            .to_string()
            .contains("memory: running 8GiB, requested 10GB (9.31GiB) (applies on restart)"),
        "{error}"
    );
    assert!(changes(&world).is_empty());
    assert_eq!(std::fs::read_to_string(profile).unwrap(), before);
    world
        .manager("colima", "dev")
        .restart(&config("colima: {memory: 10GB}"))
        .await
        .unwrap();
    world
        .manager("colima", "dev")
        .start(&config("colima: {memory: 10GB}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn kubernetes_is_switched_on_in_a_machine_that_runs_without() {
    let world = started(PLAIN).await;
    edit(&world, "k8s", json!(false));
    let manager = world.manager("colima", "dev");
    assert_eq!(manager.status().await.unwrap().state, State::NotReady);
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(changes(&world), ["kubernetes start --profile dev"]);
}

#[tokio::test]
async fn a_stopped_machine_takes_what_it_can_and_refuses_the_rest() {
    let world = started("colima: {memory: 4, disk: 60}").await;
    let manager = world.manager("colima", "dev");
    manager.stop().await.unwrap();
    world.forget_calls();
    let other = if cfg!(target_arch = "aarch64") {
        "x86_64"
    } else {
        "aarch64"
    };
    for fixed in [&format!("arch: {other}"), "runtime: containerd", "disk: 50"] {
        let error = manager
            .start(&config(&format!("colima: {{{fixed}}}")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::ConfigMismatch, "{fixed}");
        assert!(error.to_string().contains("needs a new cluster"), "{error}");
    }
    assert!(changes(&world).is_empty());
    manager.start(&config("colima: {memory: 6, disk: 80}")).await.unwrap();
    let state = world.state("colima", "dev").unwrap();
    assert_eq!(
        (state["memory"].as_f64(), state["disk"].as_f64()),
        (Some(6.0), Some(80.0))
    );
}

#[tokio::test]
async fn a_start_that_failed_half_way_is_not_ready_and_is_repaired() {
    let world = world().await;
    let manager = world.manager("colima", "dev");
    world.fault("colima", "start --profile", "half");
    assert!(manager.start(&config(PLAIN)).await.is_err());
    let status = manager.status().await.unwrap();
    assert_eq!(status.state, State::NotReady);
    assert!(status.reason.contains("a start failed"), "{}", status.reason);
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
}

#[tokio::test]
async fn a_broken_machine_is_repaired_once_and_never_deleted() {
    let world = started(PLAIN).await;
    edit(&world, "status", json!("Broken"));
    let manager = world.manager("colima", "dev");
    assert!(manager.status().await.unwrap().reason.contains("broken"));
    manager.start(&config(PLAIN)).await.unwrap();
    let calls = changes(&world);
    assert_eq!(calls[0], "stop --profile dev --force");
    assert!(
        calls[1].starts_with("start --profile dev") && calls.len() == 2,
        "{calls:?}"
    );
    edit(&world, "status", json!("Broken"));
    world.fault("colima", "start --profile", "broken");
    let error = manager.start(&config(PLAIN)).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Broken));
    assert_eq!(world.count("colima", "delete"), 0);
}

#[tokio::test]
async fn a_profile_in_the_environment_changes_nothing() {
    let mut world = world().await;
    world.set("COLIMA_PROFILE", "other");
    world.manager("colima", "dev").start(&config(PLAIN)).await.unwrap();
    assert_eq!(world.state("colima", "dev").unwrap()["status"], "Running");
    for call in world.log().iter().filter(|call| call["tool"] == "colima") {
        assert!(call["env"]["COLIMA_PROFILE"].is_null());
    }
    assert!(
        world.calls("colima").contains(&"list --json".to_owned()),
        "the list is not narrowed"
    );
}

#[tokio::test]
async fn destroying_removes_data_where_colima_can_and_is_checked() {
    let world = started(PLAIN).await;
    let manager = world.manager("colima", "dev");
    world.fault("colima", "delete --profile", "lie");
    assert_eq!(manager.destroy().await.unwrap_err().kind(), Kind::LeftOver);
    manager.stop().await.unwrap();
    manager.destroy().await.unwrap();
    assert_eq!(changes(&world).last().unwrap(), "delete --profile dev --force --data");
    assert!(!world.kubeconfig().contains("colima-dev"), "also when it was stopped");
    world.forget_calls();
    manager.destroy().await.unwrap();
    assert_eq!(world.count("colima", "delete"), 0);

    let mut old = World::with(&COLIMA).await;
    old.set("FAKE_VERSION", "0.8");
    old.manager("colima", "dev").start(&config(PLAIN)).await.unwrap();
    old.manager("colima", "dev").destroy().await.unwrap();
    assert_eq!(changes(&old).last().unwrap(), "delete --profile dev --force");
}

#[tokio::test]
async fn a_context_that_was_removed_comes_back() {
    let world = started(PLAIN).await;
    std::fs::remove_file(world.path("home/.kube/config")).unwrap();
    world.manager("colima", "dev").start(&config(PLAIN)).await.unwrap();
    assert!(changes(&world).is_empty());
    assert!(world.kubeconfig().contains("name: colima-dev"));
}

#[tokio::test]
async fn what_exists_on_macos_only_is_refused_elsewhere() {
    let mut world = world().await;
    let error = world
        .manager("colima", "dev")
        .start(&config("colima: {vmType: vz}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(world.log().is_empty());
    world.host.os = Os::MacOs;
    let error = world
        .manager("colima", "dev")
        .start(&config("colima: {vmType: vz}"))
        .await
        .unwrap_err();
    assert_eq!(
        error.fault(),
        Some(Fault::BackendTooOld),
        "this colima's help does not list the flag"
    );
    let error = world
        .manager("colima", "dev")
        .start(&config("colima: {vmType: vmware}"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("colima.vmType"), "{error}");
}

#[tokio::test]
async fn a_machine_of_containerd_is_resumed_without_docker() {
    let world = world().await;
    world.uninstall("docker");
    let manager = world.manager("colima", "dev");
    manager.start(&config("colima: {runtime: containerd}")).await.unwrap();
    for file in [
        "data/clusters/colima/dev.json",
        "home/.colima/_lima/colima-dev/colima.yaml",
    ] {
        manager.stop().await.unwrap();
        // The record and colima's own file: each of them is enough.
        std::fs::remove_file(world.path(file)).unwrap();
        world.forget_calls();
        manager.start(&config(PLAIN)).await.unwrap();
        let started = changes(&world);
        assert!(started[0].contains("--runtime containerd"), "{file}: {started:?}");
        manager.restart(&config("colima: {runtime: containerd}")).await.unwrap();
    }
}

#[tokio::test]
async fn what_colima_needs_is_missed_before_it_starts() {
    let world = world().await;
    world.uninstall("limactl");
    let error = world.manager("colima", "dev").start(&config(PLAIN)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Tool { tool, fault: Fault::BackendMissing, .. } if tool == "lima"),
        "{error}"
    );
    assert!(changes(&world).is_empty());
    world.uninstall("colima");
    let error = world.manager("colima", "dev").start(&config(PLAIN)).await.unwrap_err();
    assert!(error.advice().unwrap().contains("brew install colima"));
}

#[tokio::test]
async fn two_starts_at_once_are_one() {
    let world = world().await;
    let (one, two) = (world.manager("colima", "dev"), world.manager("colima", "dev"));
    let plain = config(PLAIN);
    let (first, second) = tokio::join!(one.start(&plain), two.start(&plain));
    first.unwrap();
    second.unwrap();
    assert_eq!(changes(&world).len(), 1);
}

#[tokio::test]
async fn the_kind_of_machine_is_fixed() {
    let mut world = world().await;
    world.host.os = Os::MacOs;
    world.set("FAKE_OS", "macos");
    let manager = world.manager("colima", "dev");
    manager.start(&config("colima: {vmType: vz}")).await.unwrap();
    assert!(changes(&world)[0].contains("--vm-type vz"));
    manager.stop().await.unwrap();
    world.forget_calls();
    let error = manager.start(&config("colima: {vmType: qemu}")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ConfigMismatch);
    assert!(
        error
            .to_string()
            .contains("vmType: running vz, requested qemu (needs a new cluster)"),
        "{error}"
    );
    assert!(changes(&world).is_empty());
    manager.start(&config("colima: {vmType: vz}")).await.unwrap();
}

#[tokio::test]
async fn what_a_machine_was_made_without_applies_on_restart() {
    let world = started(PLAIN).await;
    let manager = world.manager("colima", "dev");
    let asked = config("colima: {mounts: [{location: /data, writable: true}], dns: [1.1.1.1]}");
    let error = manager.start(&asked).await.unwrap_err().to_string();
    for text in [
        "mounts: running nothing, requested /data:w",
        "dns: running nothing, requested 1.1.1.1",
    ] {
        assert!(error.contains(&format!("{text} (applies on restart)")), "{error}");
    }
    assert!(changes(&world).is_empty());
    manager.restart(&asked).await.unwrap();
    assert!(
        changes(&world)[1].contains("--mount /data:w --dns 1.1.1.1"),
        "{:?}",
        changes(&world)
    );
    manager.start(&asked).await.unwrap();
}

#[tokio::test]
async fn an_amount_that_colima_cannot_take_is_told_before_it_is_called() {
    let world = world().await;
    let manager = world.manager("colima", "dev");
    for (asked, text) in [
        (
            "disk: 60GB",
            "colima.disk: colima makes disks of whole GiB, and 60GB is 55.8794GiB",
        ),
        ("rootDisk: 1536MiB", "colima.rootDisk: "),
    ] {
        let error = manager
            .start(&config(&format!("colima: {{{asked}}}")))
            .await
            .expect_err(text);
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(world.log().is_empty());
}

#[tokio::test]
async fn a_start_that_goes_on_is_starting() {
    let world = started(PLAIN).await;
    edit(&world, "half", json!(true));
    assert_eq!(
        world.manager("colima", "dev").status().await.unwrap().state,
        State::NotReady
    );
    let lock = std::fs::File::open(world.path("data/clusters/colima/dev.lock")).unwrap();
    lock.lock().unwrap();
    let status = world.manager("colima", "dev").status().await.unwrap();
    assert_eq!(status.state, State::Starting, "{}", status.reason);
}
