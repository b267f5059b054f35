use local_cluster::{Fault, Kind, State};

use crate::world::{World, config, kill, runs, until};

const PARTS: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];

fn pid(world: &World, part: &str) -> serde_json::Value {
    let text = std::fs::read(world.path("data/process/dev").join(format!("{part}.pid"))).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()["pid"].clone()
}

#[tokio::test]
async fn processes_make_a_cluster_that_stops_resumes_and_goes() {
    let world = World::with(&PARTS).await;
    let manager = world.manager("process", "dev");
    let plain = config("");
    manager.start(&plain).await.unwrap();
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.kubernetes_version.as_str()),
        (State::Ready, "v1.35.0"),
        "{}",
        status.reason
    );
    assert!(manager.limits().unwrap().contains("without nodes"));
    let pids: Vec<_> = PARTS.iter().map(|part| pid(&world, part)).collect();
    assert!(pids.iter().all(runs));
    manager.start(&plain).await.unwrap();
    assert_eq!(pid(&world, "etcd"), pids[0], "starting twice is starting once");
    let before = world.kubeconfig();
    manager.stop().await.unwrap();
    assert!(!pids.iter().any(runs));
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    manager.start(&plain).await.unwrap();
    assert_eq!(world.kubeconfig(), before, "ports and certificates stay");
    let data = world.calls("etcd");
    let dir = |call: &String| {
        call.split(' ')
            .find(|arg| arg.starts_with("--data-dir"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(dir(&data[0]), dir(&data[1]), "and the data");
    let pids: Vec<_> = PARTS.iter().map(|part| pid(&world, part)).collect();
    manager.destroy().await.unwrap();
    assert!(!pids.iter().any(runs) && !world.path("data/process/dev").exists());
    assert!(!world.kubeconfig().contains("process-dev"));
}

#[tokio::test]
async fn any_part_that_was_killed_is_brought_back() {
    let world = World::with(&PARTS).await;
    let manager = world.manager("process", "dev");
    manager.start(&config("")).await.unwrap();
    for part in PARTS {
        let victim = pid(&world, part);
        kill(&victim);
        until("its death", || !runs(&victim)).await;
        let status = manager.status().await.unwrap();
        assert_eq!(
            (status.state, status.reason),
            (State::NotReady, format!("{part} does not run"))
        );
        manager.start(&config("")).await.unwrap();
        assert_eq!(manager.status().await.unwrap().state, State::Ready);
    }
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn binaries_are_found_where_they_are_said_to_be() {
    let mut world = World::with(&PARTS[..2]).await;
    let manager = world.manager("process", "dev");
    let elsewhere = config("process: {binDir: /nowhere}");
    let error = manager.start(&elsewhere).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::BackendMissing));
    assert!(error.advice().unwrap().contains("--bin-dir"));
    std::fs::rename(world.path("bin"), world.path("assets")).unwrap();
    assert!(manager.start(&config("")).await.is_err());
    world.set("KUBEBUILDER_ASSETS", world.path("assets"));
    world.manager("process", "dev").start(&config("")).await.unwrap();
    assert!(!world.path("data/process/dev/kube-controller-manager.pid").exists());
    let calls = world.calls("kube-apiserver");
    assert!(
        calls
            .iter()
            .any(|call| call.contains("--disable-admission-plugins=ServiceAccount"))
    );
    let error = world
        .manager("process", "other")
        .start(&config("process: {kubernetesVersion: v1.20.0}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    world.manager("process", "dev").destroy().await.unwrap();
}

#[tokio::test]
async fn what_a_cluster_was_made_with_stays_until_something_else_is_said() {
    let world = World::with(&PARTS).await;
    let manager = world.manager("process", "dev");
    let last = || world.calls("kube-apiserver").pop().unwrap();
    manager.start(&config("process: {extraArgs: ['--v=4']}")).await.unwrap();
    manager.stop().await.unwrap();
    manager.start(&config("")).await.unwrap();
    assert!(last().ends_with("--v=4"), "{}", last());
    manager.stop().await.unwrap();
    world.uninstall(PARTS[2]);
    let error = manager.start(&config("")).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::BackendMissing));
    assert!(error.to_string().contains(PARTS[2]), "{error}");
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    manager
        .start(&config("process: {controllerManager: false, extraArgs: []}"))
        .await
        .unwrap();
    assert!(
        last().ends_with("--disable-admission-plugins=ServiceAccount"),
        "{}",
        last()
    );
    manager.stop().await.unwrap();
    world.install(&PARTS[2..]);
    manager.start(&config("")).await.unwrap();
    assert!(
        last().ends_with("--disable-admission-plugins=ServiceAccount"),
        "{}",
        last()
    );
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn a_part_that_ends_at_once_is_told_with_its_log() {
    let world = World::with(&PARTS).await;
    world.fault("etcd", "", "exit:1:cannot open my data");
    let error = world.manager("process", "dev").start(&config("")).await.unwrap_err();
    assert!(error.to_string().contains("cannot open my data"), "{error}");
    world.manager("process", "dev").stop().await.unwrap();
    std::fs::write(
        world.path("data/process/dev/etcd.log"),
        "the complaint of another day\n",
    )
    .unwrap();
    world.fault("etcd", "", "exit:1:cannot open my data");
    let error = world.manager("process", "dev").start(&config("")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("etcd.log says: cannot open my data"),
        "{error}"
    );
    world.manager("process", "dev").start(&config("")).await.unwrap();
    let error = world
        .manager("process", "dev")
        .start(&config("process: {extraArgs: ['--v=4']}"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("extraArgs") && error.to_string().contains("applies on restart"),
        "{error}"
    );
    world
        .manager("process", "dev")
        .restart(&config("process: {extraArgs: ['--v=4']}"))
        .await
        .unwrap();
    assert!(world.calls("kube-apiserver").last().unwrap().ends_with("--v=4"));
    world.manager("process", "dev").destroy().await.unwrap();
}

#[tokio::test]
async fn the_real_binaries_keep_what_kubectl_wrote() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(std::path::PathBuf::from) else {
        eprintln!(
            "not run: the real etcd, kube-apiserver and kubectl are looked for in KUBEBUILDER_ASSETS, which is not set"
        );
        return;
    };
    let mut world = World::with(&[]).await;
    world.host.bin_dir = Some(assets.clone());
    world.host.limits.start = Some(std::time::Duration::from_mins(2));
    let manager = world.manager("process", "dev");
    let kubectl = |line: &str| -> Vec<std::ffi::OsString> {
        let program = assets.join("kubectl").into_os_string();
        std::iter::once(program)
            .chain(line.split(' ').map(Into::into))
            .collect()
    };
    manager.start(&config("")).await.unwrap();
    let made = manager
        .exec(&kubectl("create configmap kept --from-literal=a=b"))
        .await
        .unwrap();
    assert!(made.success());
    manager.stop().await.unwrap();
    manager.start(&config("")).await.unwrap();
    assert!(manager.exec(&kubectl("get configmap kept")).await.unwrap().success());
    for part in &PARTS[..2] {
        let victim = pid(&world, part);
        kill(&victim);
        until("its death", || !runs(&victim)).await;
        manager.start(&config("")).await.unwrap();
        assert!(manager.exec(&kubectl("get configmap kept")).await.unwrap().success());
    }
    manager.destroy().await.unwrap();
    assert!(!world.path("data/process/dev").exists());
}

#[tokio::test]
async fn the_keys_are_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::with(&PARTS).await;
    world.manager("process", "dev").start(&config("")).await.unwrap();
    let certs = world.path("data/process/dev/certs");
    assert_eq!(std::fs::metadata(&certs).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(certs).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.file_name()
        );
    }
    world.manager("process", "dev").destroy().await.unwrap();
}
