use std::time::Duration;

use local_cluster::{Error, Fault, Kind, State};
use serde_json::json;

use crate::world::{Api, World, config, until};

const TOKEN: &str = "s3cr3t-join-token";
const PLAIN: &str = "k3d: {}";

async fn world() -> World {
    World::with(&["k3d", "docker"]).await
}

async fn started(yaml: &str) -> World {
    let world = world().await;
    world.manager("k3d", "dev").start(&config(yaml)).await.unwrap();
    world.forget_calls();
    world
}

fn edit(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    let mut state = world.state("k3d", "dev").unwrap();
    change(&mut state);
    world.set_state("k3d", "dev", &state);
}

#[tokio::test]
async fn an_absent_cluster_is_created_between_two_looks() {
    let world = world().await;
    let manager = world.manager("k3d", "dev");
    manager.start(&config("k3d: {servers: 1, agents: 2}")).await.unwrap();
    let calls = world.calls("k3d");
    assert!(
        calls[0].starts_with("cluster list") && calls[1].starts_with("cluster create dev"),
        "{calls:?}"
    );
    assert!(calls[2].starts_with("cluster list"), "{calls:?}");
    for part in [
        "--api-port 127.0.0.1:",
        "--timeout ",
        "--wait",
        "--kubeconfig-update-default=false",
        "--kubeconfig-switch-context=false",
        "--agents 2",
    ] {
        assert!(calls[1].contains(part), "{part}: {}", calls[1]);
    }
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.kube_context.as_str()),
        (State::Ready, "k3d-dev"),
        "{}",
        status.reason
    );
    assert_eq!(status.kubernetes_version, "v1.35.5+k3s1");
    assert_eq!(status.ip_address, "172.18.0.2");
    assert!(world.kubeconfig().contains("admin@k3d-dev"));
}

#[tokio::test]
async fn a_stopped_cluster_is_started_and_a_running_one_left_alone() {
    let world = started(PLAIN).await;
    let manager = world.manager("k3d", "dev");
    manager.stop().await.unwrap();
    let status = manager.status().await.unwrap();
    assert_eq!((status.state, status.exists), (State::Stopped, true));
    manager.stop().await.unwrap();
    assert_eq!(world.count("k3d", "cluster stop"), 1, "stopping twice is stopping once");
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(
        (
            world.count("k3d", "cluster start"),
            world.count("k3d", "cluster create")
        ),
        (1, 0)
    );
    world.forget_calls();
    manager.start(&config(PLAIN)).await.unwrap();
    let changing = ["cluster start", "cluster create", "cluster stop", "cluster delete"];
    assert!(
        changing.iter().all(|verb| world.count("k3d", verb) == 0),
        "{:?}",
        world.calls("k3d")
    );
    assert_eq!(
        world.log().len(),
        3,
        "one look, the image, the kubeconfig: {:?}",
        world.calls("k3d")
    );
}

#[tokio::test]
async fn a_running_cluster_that_differs_is_refused_field_by_field() {
    let world = started("k3d: {agents: 1}").await;
    let manager = world.manager("k3d", "dev");
    let error = manager
        .start(&config("k3d: {agents: 2, image: 'rancher/k3s:v1.34.0-k3s1'}"))
        .await
        .unwrap_err();
    let Error::ConfigMismatch(differences) = &error else {
        panic!("{error}")
    };
    let fields: Vec<_> = differences.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["agents", "image"]);
    assert!(
        error
            .to_string()
            .contains("agents: running 1, requested 2 (needs a new cluster)"),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("--recreate"));
    world.fault("docker", "inspect", "exit:1:boom");
    manager
        .start(&config("k3d: {agents: 1, image: 'rancher/k3s:v1.34.0-k3s1'}"))
        .await
        .unwrap();
    assert!(
        world.warnings().iter().any(|warning| warning.contains("image")),
        "{:?}",
        world.warnings()
    );
    assert_eq!(world.count("k3d", "cluster create"), 0);
}

#[tokio::test]
async fn a_daemon_that_is_down_is_never_an_absent_cluster() {
    let world = started(PLAIN).await;
    std::fs::write(world.path("fake/daemon_down"), "").unwrap();
    let manager = world.manager("k3d", "dev");
    assert_eq!(manager.status().await.unwrap_err().fault(), Some(Fault::DaemonDown));
    for error in [
        manager.start(&config(PLAIN)).await.unwrap_err(),
        manager.stop().await.unwrap_err(),
        manager.destroy().await.unwrap_err(),
    ] {
        assert_eq!(error.fault(), Some(Fault::DaemonDown), "{error}");
        assert!(error.advice().unwrap().contains("docker info"));
    }
    assert_eq!(
        world.count("k3d", "cluster create") + world.count("k3d", "cluster delete"),
        0
    );
    assert!(world.kubeconfig().contains("k3d-dev"), "the kubeconfig is untouched");
}

#[tokio::test]
async fn a_deletion_that_did_not_delete_is_found_out() {
    let world = started("k3d: {agents: 1}").await;
    world.fault("k3d", "cluster delete", "lie");
    let error = world.manager("k3d", "dev").destroy().await.unwrap_err();
    assert_eq!(error.kind(), Kind::LeftOver);
    assert!(
        error.to_string().contains("k3d-dev-server-0, k3d-dev-agent-0"),
        "{error}"
    );
    assert!(world.kubeconfig().contains("k3d-dev"));
    world.manager("k3d", "dev").destroy().await.unwrap();
    world.manager("k3d", "dev").destroy().await.unwrap();
    assert!(!world.kubeconfig().contains("k3d-dev"));
    assert!(world.record("k3d", "dev").is_none() && !world.path("data/kubeconfigs/k3d-dev.yaml").exists());
}

#[tokio::test]
async fn logs_before_the_json_do_not_hide_it() {
    let mut world = started(PLAIN).await;
    world.fault("k3d", "cluster list", "garbage_stdout");
    assert_eq!(world.manager("k3d", "dev").status().await.unwrap().state, State::Ready);
    world.set("LOG_LEVEL", "trace");
    world.forget_calls();
    world.manager("k3d", "dev").status().await.unwrap();
    let levels: Vec<_> = world
        .log()
        .iter()
        .filter(|call| call["tool"] == "k3d")
        .map(|call| call["env"]["LOG_LEVEL"].clone())
        .collect();
    assert!(levels.iter().all(|level| level == "warn"), "{levels:?}");
    for fault in ["truncate_json", "empty_stdout"] {
        world.fault("k3d", "cluster list", fault);
        let error = world.manager("k3d", "dev").status().await.unwrap_err();
        assert_eq!(error.fault(), Some(Fault::BadOutput), "{error}");
    }
}

#[tokio::test]
async fn the_join_token_is_never_shown() {
    let world = started(PLAIN).await;
    let manager = world.manager("k3d", "dev");
    let status = serde_json::to_string(&manager.status().await.unwrap()).unwrap();
    manager.stop().await.unwrap();
    world.fault("k3d", "cluster start", "token_leak");
    let error = manager.start(&config(PLAIN)).await.unwrap_err();
    let record = world.record("k3d", "dev").unwrap().to_string();
    let events = format!("{:?}", world.events());
    for text in [status, format!("{error} {error:?}"), record, events] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named_or_another_one_is_tried() {
    let world = world().await;
    let manager = world.manager("k3d", "dev");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = manager
        .start(&config(&format!("k3d: {{apiPort: {port}}}")))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Some(Fault::PortInUse));
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert_eq!(world.count("k3d", "cluster create"), 0, "nothing was begun");
    world.fault("k3d", "cluster create", "port_taken");
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(world.count("k3d", "cluster create"), 2);
    let calls = world.calls("k3d");
    let creations = calls.iter().filter(|call| call.starts_with("cluster create"));
    let ports: Vec<_> = creations
        .map(|call| call.split("--api-port ").nth(1).unwrap().split(' ').next())
        .collect();
    assert_ne!(ports[0], ports[1]);
}

#[tokio::test]
async fn what_a_killed_creation_left_is_told_and_not_touched() {
    let mut world = world().await;
    world.host.limits.start = Some(Duration::from_millis(700));
    world.fault("k3d", "cluster create", "partial_hang");
    let error = world
        .manager("k3d", "dev")
        .start(&config("k3d: {agents: 1}"))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Timeout));
    let pid = world.log().iter().find(|call| call["argv"][1] == "create").unwrap()["pid"].clone();
    until("the end of k3d", || !crate::world::runs(&pid)).await;
    assert!(world.path("fake/terminated").exists(), "it was asked, not killed");
    world.host.limits.start = Some(Duration::from_secs(20));
    let status = world.manager("k3d", "dev").status().await.unwrap();
    assert_eq!(status.state, State::NotReady, "{status:?}");
    assert!(status.reason.starts_with("interrupted start"), "{}", status.reason);
    let error = world
        .manager("k3d", "dev")
        .start(&config("k3d: {agents: 1}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Partial);
    assert!(error.to_string().contains("k3d-dev-server-0") && error.advice().unwrap().contains("--recreate"));
    assert_eq!(world.count("k3d", "cluster delete"), 0);
    world.manager("k3d", "dev").destroy().await.unwrap();
    world
        .manager("k3d", "dev")
        .start(&config("k3d: {agents: 1}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn twenty_starts_at_once_make_one_cluster() {
    let world = world().await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let manager = world.manager("k3d", "dev");
        starts.spawn(async move { manager.start(&config(PLAIN)).await });
    }
    while let Some(outcome) = starts.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(world.count("k3d", "cluster create"), 1);
    assert!(!world.path("fake/rolled_back_a_winner").exists());
}

#[tokio::test]
async fn servers_that_are_not_all_up_are_starting() {
    let world = started("k3d: {servers: 3}").await;
    let manager = world.manager("k3d", "dev");
    edit(&world, |state| {
        state["nodes"][1]["status"] = json!("exited");
        state["nodes"][2]["status"] = json!("exited");
    });
    let status = manager.status().await.unwrap();
    assert_eq!(
        (status.state, status.reason.as_str()),
        (State::Starting, "1 of 3 servers run")
    );
    for nodes in [&[1][..], &[0, 1, 2], &[3]] {
        edit(&world, |state| {
            for n in 0..4 {
                state["nodes"][n]["status"] = json!(if nodes.contains(&n) { "restarting" } else { "running" });
            }
        });
        let status = manager.status().await.unwrap();
        assert_eq!(status.state, State::Starting, "{nodes:?}");
        assert!(status.reason.contains("restarts"), "{}", status.reason);
    }
    edit(&world, |state| {
        for n in 0..3 {
            state["nodes"][n]["status"] = json!("running");
        }
        state["nodes"][3]["status"] = json!("exited");
    });
    let status = manager.status().await.unwrap();
    assert_eq!(status.state, State::NotReady);
    assert!(status.reason.contains("load balancer"), "{}", status.reason);
    manager.start(&config(PLAIN)).await.unwrap();
    assert_eq!(manager.status().await.unwrap().state, State::Ready);
}

#[tokio::test]
async fn a_phantom_container_is_named_as_the_cause() {
    let world = world().await;
    world.faults("k3d", "cluster list", "no_ip", 2);
    let error = world.manager("k3d", "dev").start(&config(PLAIN)).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Broken));
    assert!(error.advice().unwrap().contains("docker rm -f"));
    assert_eq!(world.count("k3d", "cluster create"), 0);
}

#[tokio::test]
async fn names_are_taken_as_they_are() {
    let world = world().await;
    assert_eq!(world.manager("k3d", "k3d-dev").context(), "k3d-k3d-dev");
    assert!(world.warnings()[0].contains("k3d-k3d-dev"));
}

#[tokio::test]
async fn the_image_tells_the_version_when_the_api_does_not() {
    let world = started(PLAIN).await;
    world.api(Api::Down);
    let status = world.manager("k3d", "dev").status().await.unwrap();
    assert_eq!(
        (status.state, status.kubernetes_version.as_str()),
        (State::NotReady, "v1.35.5+k3s1")
    );
}

#[tokio::test]
async fn the_environment_does_not_reach_k3d() {
    let mut world = world().await;
    for (name, value) in [
        ("K3D_CONFIG", "/x"),
        ("K3D_SERVERS", "5"),
        ("K3D_IMAGE_LOADBALANCER", "lb"),
        ("KUBECONFIG", "/none/of/k3ds/business"),
    ] {
        world.set(name, value);
    }
    world.host.merge = local_cluster::Merge::Never;
    world.manager("k3d", "dev").start(&config(PLAIN)).await.unwrap();
    for call in world.log().iter().filter(|call| call["tool"] == "k3d") {
        assert!(call["env"]["K3D_CONFIG"].is_null() && call["env"]["K3D_SERVERS"].is_null());
        assert_eq!(call["env"]["K3D_IMAGE_LOADBALANCER"], "lb");
        assert!(call["env"]["KUBECONFIG"].as_str().unwrap().contains("scratch"));
    }
}

#[tokio::test]
async fn the_address_in_the_kubeconfig_can_be_dialled() {
    let world = started(PLAIN).await;
    assert!(world.kubeconfig().contains("https://127.0.0.1:") && !world.kubeconfig().contains("0.0.0.0"));
    let alone = world.manager("k3d", "dev").kubeconfig().await.unwrap();
    assert!(alone.contains("current-context: k3d-dev"), "{alone}");
}

#[tokio::test]
async fn ports_that_differ_are_a_mismatch() {
    let world = started("k3d: {ports: [{port: '8080:80'}]}").await;
    let manager = world.manager("k3d", "dev");
    manager
        .start(&config("k3d: {ports: [{port: '8080:80'}]}"))
        .await
        .unwrap();
    let error = manager
        .start(&config("k3d: {ports: [{port: '8081:80'}]}"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("ports: running 8080:80, requested 8081:80"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_remembered_of_a_cluster_that_is_gone_is_not_believed_of_the_next() {
    let world = started("k3d: {network: old, agents: 1}").await;
    std::fs::remove_file(world.path("fake/k3d/dev.json")).unwrap();
    let manager = world.manager("k3d", "dev");
    manager.start(&config(PLAIN)).await.unwrap();
    let record = world.record("k3d", "dev").unwrap();
    assert!(record["spec"]["network"].is_null(), "{record}");
    manager.start(&config("k3d: {network: k3d-dev}")).await.unwrap();
    let error = manager.restart(&config("k3d: {agents: 1}")).await.unwrap_err();
    assert!(error.to_string().contains("agents: running 0, requested 1"), "{error}");
}

#[tokio::test]
async fn what_a_cluster_was_made_without_is_a_difference_too() {
    let world = started(PLAIN).await;
    let manager = world.manager("k3d", "dev");
    for (asked, text) in [
        (
            "k3sArgs: [{arg: '--disable=traefik'}]",
            "k3sArgs: running nothing, requested --disable=traefik",
        ),
        (
            "volumes: [{volume: '/a:/b'}]",
            "volumes: running nothing, requested /a:/b",
        ),
        (
            "registries: {use: [k3d-r:5000]}",
            "registries: running nothing, requested use k3d-r:5000",
        ),
        ("serversMemory: 2GiB", "serversMemory: running nothing, requested 2GiB"),
        ("network: other", "network: running k3d-dev, requested other"),
        ("apiHost: 0.0.0.0", "apiHost: running 127.0.0.1, requested 0.0.0.0"),
        (
            "ports: [{port: '8080:80'}]",
            "ports: running nothing, requested 8080:80",
        ),
        ("env: ['A=b']", "env: running nothing, requested A (values not shown)"),
    ] {
        let asked = config(&format!("k3d: {{{asked}}}"));
        let error = manager.start(&asked).await.expect_err(text);
        assert!(
            error.to_string().contains(&format!("{text} (needs a new cluster)")),
            "{error}"
        );
    }
    // Of a cluster that others made, nobody knows: that is told, and not remembered as if it were so.
    std::fs::remove_dir_all(world.path("data")).unwrap();
    let asked = config("k3d: {volumes: [{volume: '/a:/b'}], agents: 0}");
    for _ in 0..2 {
        let before = world.warnings().len();
        manager.start(&asked).await.unwrap();
        let warned = &world.warnings()[before..];
        assert!(
            warned.iter().any(|one| one.contains("cannot be told of volumes;")),
            "{warned:?}"
        );
    }
    let spec = world.record("k3d", "dev").unwrap()["spec"].clone();
    assert!(spec["volumes"].is_null() && spec["agents"]["value"] == "0", "{spec}");
    assert_eq!(
        world.count("k3d", "cluster create") + world.count("k3d", "cluster start"),
        0
    );
}

#[tokio::test]
async fn the_values_of_variables_are_shown_nowhere() {
    const SECRET: &str = "hunter2-hunter2";
    cloud_sim::evidence::plant(SECRET);
    let world = World::with(&["k3d", "colima", "limactl", "kubectl", "docker", "qemu-img"]).await;
    let mut said = Vec::new();
    for (driver, one, other) in [
        (
            "k3d",
            format!("k3d: {{env: ['DB_PASS={SECRET}@server:*', 'B=c']}}"),
            format!("k3d: {{env: ['DB_PASS={SECRET}2@server:*', 'B=c']}}"),
        ),
        (
            "colima",
            format!("colima: {{env: {{DB_PASS: {SECRET}}}}}"),
            format!("colima: {{env: {{DB_PASS: {SECRET}2}}}}"),
        ),
    ] {
        let manager = world.manager(driver, "dev");
        manager.start(&config(&one)).await.unwrap();
        assert!(
            world.calls(driver).iter().any(|call| call.contains(SECRET)),
            "{driver}: it was not used"
        );
        manager.start(&config(&one)).await.unwrap();
        let error = manager.start(&config(&other)).await.unwrap_err();
        assert!(error.to_string().contains("env: running DB_PASS"), "{driver}: {error}");
        said.push(format!("{error} {error:?}"));
        said.push(world.record(driver, "dev").unwrap().to_string());
    }
    said.push(format!("{:?}", world.events()));
    assert!(
        said.iter()
            .any(|text| text.contains("--env 'DB_PASS=***'") || text.contains("--env DB_PASS=***"))
    );
    for text in said {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// A docker context, as docker keeps it.
fn docker_context(world: &World, name: &str, address: &str) {
    let dir = world.path("home/.docker/contexts/meta/0f1e");
    std::fs::create_dir_all(&dir).unwrap();
    let meta =
        json!({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": false}}});
    std::fs::write(dir.join("meta.json"), meta.to_string()).unwrap();
    let config = json!({"auths": {}, "currentContext": name});
    std::fs::write(world.path("home/.docker/config.json"), config.to_string()).unwrap();
}

#[tokio::test]
async fn an_engine_that_a_docker_context_names_is_the_engine() {
    let mut world = world().await;
    docker_context(&world, "far", "ssh://me@10.1.2.3");
    world.manager("k3d", "dev").start(&config(PLAIN)).await.unwrap();
    let created = |world: &World| {
        let mut calls = world.calls("k3d").into_iter();
        calls.rfind(|call| call.starts_with("cluster create")).unwrap()
    };
    let api = created(&world).split("--api-port ").nth(1).unwrap().to_owned();
    assert!(!api.starts_with("127.0.0.1:"), "there, nobody could reach it: {api}");
    assert_eq!(world.record("k3d", "dev").unwrap()["dockerHost"], "ssh://me@10.1.2.3");
    // It looks absent from another engine, and that is said.
    std::fs::remove_file(world.path("fake/k3d/dev.json")).unwrap();
    std::fs::remove_file(world.path("home/.docker/config.json")).unwrap();
    world.manager("k3d", "dev").start(&config(PLAIN)).await.unwrap();
    let warned = world.warnings();
    assert!(
        warned
            .iter()
            .any(|one| one.contains("was last seen in ssh://me@10.1.2.3")),
        "{warned:?}"
    );
    assert!(created(&world).contains("--api-port 127.0.0.1:"), "{}", created(&world));
    // As docker has it: the variables win, and the usual address is the usual one.
    docker_context(&world, "far", "ssh://me@10.1.2.3");
    for (name, value, told) in [
        ("DOCKER_HOST", "unix:///var/run/docker.sock", ""),
        ("DOCKER_HOST", "tcp://10.9.9.9:2375", "tcp://10.9.9.9:2375"),
        ("DOCKER_CONTEXT", "default", ""),
        ("DOCKER_CONFIG", "/nowhere", ""),
    ] {
        world.host.env.remove(std::ffi::OsStr::new("DOCKER_HOST"));
        world.host.env.remove(std::ffi::OsStr::new("DOCKER_CONTEXT"));
        world.set(name, value);
        let manager = world.manager("k3d", "dev");
        manager.recreate(&config(PLAIN)).await.unwrap();
        assert_eq!(
            world.record("k3d", "dev").unwrap()["dockerHost"],
            told,
            "{name}={value}"
        );
    }
}
