//! The `process` driver as a supervisor: certificates, logs, ports, binaries and process IDs over a cluster's life. The
//! played API server is ready as long as it reaches its etcd over TLS, and keeps its objects there.

use std::process::{Command, Stdio};

use base64::Engine as _;
use local_cluster::{Fault, Kind, State};
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{World, config, kill, runs, until};

const PARTS: [&str; 2] = ["etcd", "kube-apiserver"];
const DIR: &str = "data/process/dev";
const OBJECT: &str = "/api/v1/namespaces/default/configmaps/kept";

async fn started() -> World {
    let world = World::with(&PARTS).await;
    world.manager("process", "dev").start(&config("")).await.unwrap();
    world
}

fn pid(world: &World, part: &str) -> Value {
    let text = std::fs::read(world.path(DIR).join(format!("{part}.pid"))).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["pid"].clone()
}

fn kept(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.path(DIR).join("cluster.json")).unwrap()).unwrap()
}

fn certificates_end(world: &World, seconds_from_now: i64) {
    let mut plan = kept(world);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    plan["certificatesEnd"] = json!(i64::try_from(now.as_secs()).unwrap() + seconds_from_now);
    std::fs::write(world.path(DIR).join("cluster.json"), plan.to_string()).unwrap();
}

fn certificate(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.path(DIR).join("certs").join(name)).unwrap()
}

/// The administrator, by what stands in a kubeconfig.
fn administrator(kubeconfig: &str) -> Client {
    let of = |key: &str| {
        let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key));
        let text = line.unwrap_or_else(|| panic!("no {key}: {kubeconfig}")).trim();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let server = kubeconfig.split("server: https://").nth(1).unwrap();
    Client {
        address: server.split_whitespace().next().unwrap().to_owned(),
        ca: of("certificate-authority-data:"),
        certificate: of("client-certificate-data:"),
        key: of("client-key-data:"),
    }
}

#[tokio::test]
async fn objects_are_kept_over_a_stop_and_the_death_of_any_part() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    let kubeconfig = manager.kubeconfig().await.unwrap();
    let admin = administrator(&kubeconfig);
    assert_eq!(admin.call("PUT", OBJECT, "a: b").await.unwrap().0, 200);
    manager.stop().await.unwrap();
    assert!(admin.call("GET", OBJECT, "").await.is_none());
    manager.start(&config("")).await.unwrap();
    assert_eq!(admin.call("GET", OBJECT, "").await.unwrap(), (200, "a: b".to_owned()));
    for part in PARTS {
        let victim = pid(&world, part);
        kill(&victim);
        until("its death", || !runs(&victim)).await;
        let other = PARTS.iter().find(|other| **other != part).unwrap();
        let untouched = pid(&world, other);
        manager.start(&config("")).await.unwrap();
        assert_eq!(pid(&world, other), untouched, "the part that runs is left alone");
        assert_eq!(admin.call("GET", OBJECT, "").await.unwrap().1, "a: b", "{part}");
    }
    // Of another authority: nobody.
    let stranger = Client {
        ca: admin.ca.clone(),
        ..administrator(&{
            let other = World::with(&PARTS).await;
            let manager = other.manager("process", "dev");
            manager.start(&config("")).await.unwrap();
            manager.kubeconfig().await.unwrap()
        })
    };
    let stranger = Client {
        address: admin.address.clone(),
        ..stranger
    };
    assert!(stranger.call("GET", OBJECT, "").await.is_none());
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn certificates_are_renewed_in_time_and_old_kubeconfigs_still_trust_the_server() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    let before = manager.kubeconfig().await.unwrap();
    let files = [
        "apiserver.crt",
        "admin.crt",
        "etcd.crt",
        "serving-ca.crt",
        "client-ca.crt",
        "etcd-ca.crt",
        "sa.pub",
    ];
    let old: Vec<_> = files.iter().map(|name| certificate(&world, name)).collect();
    manager.stop().await.unwrap();
    manager.start(&config("")).await.unwrap();
    assert_eq!(certificate(&world, "apiserver.crt"), old[0], "there is time");
    manager.stop().await.unwrap();
    certificates_end(&world, 29 * 24 * 3600);
    manager.start(&config("")).await.unwrap();
    for (name, old) in files.iter().zip(&old) {
        let renewed = ["apiserver.crt", "admin.crt", "etcd.crt"].contains(name);
        assert_eq!(certificate(&world, name) != *old, renewed, "{name}");
    }
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    assert_ne!(manager.kubeconfig().await.unwrap(), before);
    assert!(
        world.kubeconfig().contains(
            &manager
                .kubeconfig()
                .await
                .unwrap()
                .lines()
                .last()
                .unwrap()
                .trim()
                .to_owned()
        ),
        "the user's file has the new one"
    );
    assert_eq!(administrator(&before).call("GET", "/readyz", "").await.unwrap().0, 200);
    let end = kept(&world)["certificatesEnd"].as_i64().unwrap();
    let year = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 364 * 24 * 3600;
    assert!(end > i64::try_from(year).unwrap(), "{end}");
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn certificates_that_ended_while_it_runs_are_told_and_renewed_without_a_stop() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    let pids = PARTS.map(|part| pid(&world, part));
    certificates_end(&world, 3600);
    assert_eq!(
        manager.status().await.unwrap().state,
        State::Ready,
        "they are good still"
    );
    certificates_end(&world, -1);
    let status = manager.status().await.unwrap();
    assert_eq!(status.state, State::NotReady);
    assert!(
        status.reason.contains("certificates have ended; start renews them"),
        "{}",
        status.reason
    );
    let old = certificate(&world, "admin.crt");
    manager.start(&config("")).await.unwrap();
    assert_ne!(certificate(&world, "admin.crt"), old);
    assert_eq!(PARTS.map(|part| pid(&world, part)), pids);
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn certificates_that_were_lost_are_made_again() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    for lost in ["admin.key", "etcd-ca.key", "sa.key", "serving-ca.crt"] {
        manager.stop().await.unwrap();
        std::fs::remove_file(world.path(DIR).join("certs").join(lost)).unwrap();
        manager
            .start(&config(""))
            .await
            .unwrap_or_else(|error| panic!("{lost}: {error}"));
        assert_eq!(manager.status().await.unwrap().state, State::Ready, "{lost}");
    }
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn a_long_log_is_set_aside_at_a_start() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    let log = world.path(DIR).join("etcd.log");
    manager.stop().await.unwrap();
    std::fs::write(&log, "short\n").unwrap();
    manager.start(&config("")).await.unwrap();
    assert!(
        std::fs::read_to_string(&log).unwrap().starts_with("short"),
        "it goes on"
    );
    manager.stop().await.unwrap();
    std::fs::File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(10 * 1024 * 1024 + 1)
        .unwrap();
    manager.start(&config("")).await.unwrap();
    assert!(log.metadata().unwrap().len() < 1024 * 1024);
    assert!(world.path(DIR).join("etcd.log.1").metadata().unwrap().len() > 10 * 1024 * 1024);
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    manager.destroy().await.unwrap();
    assert!(!world.path(DIR).exists());
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_named_and_nothing_is_started() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    manager.stop().await.unwrap();
    for field in ["apiPort", "etcdPort", "peerPort"] {
        let port = u16::try_from(kept(&world)[field].as_u64().unwrap()).unwrap();
        let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        world.forget_calls();
        let error = manager.start(&config("")).await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::PortInUse), "{field}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("port {port}")) && text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
        let begun: Vec<_> = world
            .log()
            .into_iter()
            .filter(|call| call["argv"][0] != "--version")
            .collect();
        assert!(begun.is_empty(), "{field}: {begun:?}");
        let status = manager.status().await.unwrap();
        assert_eq!((status.state, status.exists), (State::Stopped, true));
        drop(taken);
    }
    manager.start(&config("")).await.unwrap();
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn each_binary_may_be_named_by_itself() {
    let mut world = World::with(&PARTS).await;
    std::fs::rename(world.path("bin/etcd"), world.path("my-etcd")).unwrap();
    std::fs::rename(world.path("bin/kube-apiserver"), world.path("my-api")).unwrap();
    // The played programs go by their name.
    for (name, target) in [("etcd", "my-etcd"), ("kube-apiserver", "my-api")] {
        std::fs::create_dir_all(world.path(&format!("own/{name}"))).unwrap();
        std::fs::rename(world.path(target), world.path(&format!("own/{name}/{name}"))).unwrap();
    }
    world.set("TEST_ASSET_ETCD", world.path("own/etcd/etcd"));
    world.set(
        "TEST_ASSET_KUBE_APISERVER",
        world.path("own/kube-apiserver/kube-apiserver"),
    );
    let manager = world.manager("process", "dev");
    manager.start(&config("")).await.unwrap();
    manager.destroy().await.unwrap();
    // Who names a program means that one, also when there is another.
    world.install(&PARTS);
    world.set("TEST_ASSET_ETCD", world.path("nowhere"));
    let error = world.manager("process", "dev").start(&config("")).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::BackendMissing));
    assert!(error.to_string().starts_with("there is no etcd"), "{error}");
}

#[tokio::test]
async fn a_process_that_got_the_id_of_ours_is_neither_believed_nor_ended() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    let files: Vec<_> = PARTS.map(|part| world.path(DIR).join(format!("{part}.pid"))).into();
    let before: Vec<_> = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    manager.stop().await.unwrap();
    let mut stranger = Command::new("/bin/sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    for (file, text) in files.iter().zip(before) {
        let mut identity: Value = serde_json::from_str(&text).unwrap();
        identity["pid"] = json!(stranger.id());
        std::fs::write(file, identity.to_string()).unwrap();
    }
    assert_eq!(manager.status().await.unwrap().state, State::Stopped);
    manager.stop().await.unwrap();
    manager.start(&config("")).await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
    manager.destroy().await.unwrap();
    assert!(runs(&json!(stranger.id())), "it is nobody's business");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_part_that_hangs_is_not_ready_and_can_be_stopped() {
    let mut world = started().await;
    world.host.limits.stop = Some(std::time::Duration::from_millis(300));
    let manager = world.manager("process", "dev");
    let frozen = pid(&world, "etcd");
    let frozen = rustix::process::Pid::from_raw(i32::try_from(frozen.as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(frozen, rustix::process::Signal::STOP).unwrap();
    let begun = std::time::Instant::now();
    let status = manager.status().await.unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(status.state, State::NotReady, "{status:?}");
    manager.stop().await.unwrap();
    assert!(
        !runs(&json!(frozen.as_raw_nonzero().get())),
        "it does not listen to reason"
    );
    manager.start(&config("")).await.unwrap();
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn an_api_server_that_never_gets_ready_is_told_in_time_and_left_for_a_look() {
    let mut world = World::with(&PARTS).await;
    world.host.limits.start = Some(std::time::Duration::from_millis(700));
    world.faults("kube-apiserver", "--etcd", "hang", 1);
    let error = world.manager("process", "dev").start(&config("")).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Timeout), "{error}");
    assert!(error.to_string().contains("kube-apiserver.log"), "{error}");
    let status = world.manager("process", "dev").status().await.unwrap();
    assert_eq!(status.state, State::NotReady, "{status:?}");
    world.manager("process", "dev").destroy().await.unwrap();
    let parts = world.log().into_iter().filter(|call| call["tool"] != "drive");
    assert!(!parts.into_iter().any(|call| runs(&call["pid"])));
    let error = world.manager("process", "dev").version().await.unwrap_err();
    assert_eq!(error.kind(), Kind::ClusterNotRunning);
}

#[tokio::test]
async fn what_etcd_would_take_from_the_environment_does_not_reach_it() {
    let mut world = World::with(&PARTS).await;
    world.set("ETCD_CONFIG_FILE", "/etc/etcd.yaml");
    world.set("ETCD_NAME", "other");
    world.set("ETCDCTL_API", "3");
    let manager = world.manager("process", "dev");
    manager.start(&config("")).await.unwrap();
    for call in world.log().into_iter().filter(|call| call["argv"][0] != "--version") {
        let env = &call["env"];
        assert!(
            env["ETCD_CONFIG_FILE"].is_null() && env["ETCD_NAME"].is_null(),
            "{call}"
        );
        assert_eq!(env["ETCDCTL_API"], "3");
    }
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn paths_mean_the_same_in_every_directory() {
    let mut world = World::with(&PARTS).await;
    let file = world.path("home/cluster.yaml");
    std::fs::create_dir(world.path("home/bin")).unwrap();
    for part in PARTS {
        std::fs::rename(world.path("bin").join(part), world.path("home/bin").join(part)).unwrap();
    }
    std::fs::write(&file, "process: {binDir: bin, dataDir: data}").unwrap();
    let in_file = local_cluster::ClusterConfig::from_file(&file).unwrap();
    let manager = world.manager("process", "dev");
    manager.start(&in_file).await.unwrap();
    assert!(world.path("home/data/dev-etcd/member").exists(), "beside the file");
    manager.start(&in_file).await.unwrap();
    let error = manager
        .start(&config("process: {dataDir: /elsewhere}"))
        .await
        .unwrap_err();
    let home = world.path("home/data").display().to_string();
    assert!(
        error.to_string().contains(&format!(
            "dataDir: running {home}, requested /elsewhere (needs a new cluster)"
        )),
        "{error}"
    );
    manager.destroy().await.unwrap();
    assert!(!world.path("home/data/dev-etcd").exists());
    // From the command line they count from where that is typed.
    let here = std::env::current_dir().unwrap();
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(world.path("home/bin").strip_prefix("/").unwrap());
    world.host.bin_dir = Some(relative);
    let manager = world.manager("process", "dev");
    manager.start(&config("")).await.unwrap();
    let error = manager
        .start(&config("process: {dataDir: /elsewhere}"))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("dataDir: running nothing, requested /elsewhere"),
        "{error}"
    );
    manager.destroy().await.unwrap();
}

#[tokio::test]
async fn a_damaged_plan_is_told_and_not_replaced() {
    let world = started().await;
    let manager = world.manager("process", "dev");
    manager.stop().await.unwrap();
    let plan = world.path(DIR).join("cluster.json");
    let whole = std::fs::read(&plan).unwrap();
    std::fs::write(&plan, &whole[..whole.len() / 2]).unwrap();
    let error = manager.start(&config("")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Files);
    assert!(error.to_string().contains("cluster.json"), "{error}");
    assert_eq!(std::fs::read(&plan).unwrap(), whole[..whole.len() / 2]);
    std::fs::write(&plan, &whole).unwrap();
    manager.start(&config("")).await.unwrap();
    manager.stop().await.unwrap();
    std::fs::write(&plan, "").unwrap();
    manager.destroy().await.unwrap();
    assert!(!world.path(DIR).exists(), "it can be given up");
}
