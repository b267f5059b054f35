use std::time::{Duration, Instant};

use local_cluster::{ClusterConfig, Fault, State};

use crate::world::{ALL, Api, COLIMA, World, config};

const PLAIN: &str = "kind: {}";

async fn started() -> World {
    let world = World::with(&["kind", "docker"]).await;
    world.manager("kind", "dev").start(&config(PLAIN)).await.unwrap();
    world
}

async fn reason(world: &World, mode: Api) -> String {
    world.api(mode);
    let status = world.manager("kind", "dev").status().await.unwrap();
    assert_eq!(status.state, State::NotReady, "{mode:?}");
    status.reason
}

#[tokio::test]
async fn the_checks_that_failed_are_named() {
    let world = started().await;
    let reason = reason(&world, Api::NotReady).await;
    assert_eq!(
        reason,
        "the API server is not ready: poststarthook/rbac/bootstrap-roles, etcd"
    );
    world.api(Api::TokenOnly);
    let status = world.manager("kind", "dev").status().await.unwrap();
    assert_eq!(
        status.state,
        State::Ready,
        "the credentials of the kubeconfig are used: {}",
        status.reason
    );
}

#[tokio::test]
async fn nodes_have_to_be_there_and_ready() {
    let world = started().await;
    assert_eq!(
        reason(&world, Api::NodesUnknown).await,
        "node node-0 is not ready (Ready is Unknown)"
    );
    assert_eq!(reason(&world, Api::NoNodes).await, "0 of 1 nodes are ready");
}

#[tokio::test]
async fn an_api_that_hangs_is_not_waited_for() {
    let world = started().await;
    let begun = Instant::now();
    let reason = reason(&world, Api::Hangs).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(reason.contains("does not answer"), "{reason}");
    let begun = Instant::now();
    assert!(!self::reason(&world, Api::Down).await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn status_answers_within_five_seconds_when_everything_hangs() {
    let world = World::with(&ALL).await;
    let tools = ["k3d", "kind", "minikube", "colima"];
    for driver in tools {
        world
            .manager(driver, "dev")
            .start(&ClusterConfig::defaults(driver))
            .await
            .unwrap();
    }
    world.api(Api::Hangs);
    // The tool first, then what it stands on, then both; the API server always.
    for hanging in [&["docker"][..], &["k3d", "kind", "minikube", "colima", "docker"]] {
        for tool in hanging {
            world.faults(tool, "", "hang_ignore_term", 99);
        }
        let asked = tools.map(|driver| {
            let manager = world.manager(driver, "dev");
            async move {
                let begun = Instant::now();
                let status = manager.status().await;
                (driver, status, begun.elapsed())
            }
        });
        for (driver, status, took) in futures::future::join_all(asked).await {
            assert!(took < Duration::from_secs(5), "{driver}: {took:?}");
            match status {
                Ok(status) => assert!(
                    status.exists && status.state == State::NotReady && !status.reason.is_empty(),
                    "{driver}: {status:?}"
                ),
                Err(error) => assert_eq!(error.fault(), Some(Fault::Timeout), "{driver}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn status_has_a_stable_form() {
    let world = started().await;
    let status = world.manager("kind", "dev").status().await.unwrap();
    let json = serde_json::to_value(&status).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "state",
            "driver",
            "kubernetesVersion",
            "ipAddress",
            "kubeContext",
            "exists",
            "reason"
        ]
    );
    assert_eq!(json["state"], "ready");
    let absent = serde_json::to_value(world.manager("kind", "none").status().await.unwrap()).unwrap();
    assert_eq!(absent["state"], "stopped");
    assert_eq!((&absent["exists"], &absent["ipAddress"]), (&false.into(), &"".into()));
    for (state, text) in [(State::Starting, "starting"), (State::NotReady, "not-ready")] {
        assert_eq!(serde_json::to_value(state).unwrap(), text);
        assert_eq!(state.to_string(), text);
    }
}

#[tokio::test]
async fn asking_runs_side_by_side_and_adds_little() {
    let world = World::with(&COLIMA).await;
    world
        .manager("colima", "dev")
        .start(&config("colima: {}"))
        .await
        .unwrap();
    world.fault("colima", "list", "slow:300");
    world.fault("colima", "status", "slow:300");
    let begun = Instant::now();
    world.manager("colima", "dev").status().await.unwrap();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(580),
        "{took:?}"
    );
}
