//! Waiting: what is borne, what ends it, and what is said then.

use std::time::Duration;

use cloud_http::Roots;
use cloud_sim::{Action, Fault};
use rackspace_spot_sim::{ErrorPhase, KubeconfigShape, Settings};
use tokio::time::Instant;

use crate::harness::{World, acme, world};

const GET_SPACE: &str = "/cloudspaces/c-w467n$";

async fn created(settings: Settings) -> World {
    let world = World::with(settings);
    world.create(&acme()).await.unwrap();
    world
}

async fn fails(world: &World, parts: &[&str]) -> Duration {
    let begun = Instant::now();
    let error = world.post_check().await.unwrap_err().text();
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
    begun.elapsed()
}

async fn a_few_failed_looks_are_borne_and_many_are_not() {
    let world = created(Settings::default()).await;
    world.fault(
        Fault::status(404)
            .body("<html>lost</html>")
            .on("GET", GET_SPACE)
            .times(2),
    );
    world.post_check().await.unwrap();
    let world = created(Settings::default()).await;
    world.fault(
        Fault::status(404)
            .body("<html>lost</html>")
            .on("GET", GET_SPACE)
            .times(4),
    );
    fails(&world, &["look up cloudspace c-w467n", "lost"]).await;
}

async fn error_in_passing_is_borne_and_error_for_good_is_told() {
    let phase = |after, lasts: Option<u64>| {
        Some(ErrorPhase {
            after: Duration::from_secs(after),
            lasts: lasts.map(Duration::from_secs),
            reason: "no capacity for control planes".to_owned(),
        })
    };
    let world = created(Settings {
        error_phase: phase(10, Some(60)),
        ..Settings::default()
    })
    .await;
    world.post_check().await.unwrap();
    let world = created(Settings {
        error_phase: phase(1, None),
        cp_delay: Duration::from_hours(2),
        ..Settings::default()
    })
    .await;
    let took = fails(&world, &["entered error state: no capacity for control planes"]).await;
    assert!(
        (Duration::from_mins(2)..Duration::from_mins(4)).contains(&took),
        "{took:?}"
    );
}

async fn a_reason_alone_is_no_error() {
    let world = created(Settings {
        provisioning_reason: "the object has been modified; please apply your changes to the latest version".to_owned(),
        ..Settings::default()
    })
    .await;
    world.post_check().await.unwrap();
}

async fn a_control_plane_that_never_comes_ends_by_its_limit() {
    let settings = || Settings {
        cp_delay: Duration::from_hours(9),
        ..Settings::default()
    };
    let world = created(settings()).await;
    let took = fails(&world, &["timed out after 30m0s", "Provisioning"]).await;
    assert!(took < Duration::from_mins(31), "{took:?}");
    let world = World::with(settings());
    world.create(&acme().text("controlPlaneTimeout", "3m")).await.unwrap();
    assert!(fails(&world, &["timed out after 3m0s"]).await < Duration::from_mins(4));
}

async fn it_looks_less_and_less_often() {
    let world = created(Settings {
        cp_delay: Duration::from_mins(20),
        ..Settings::default()
    })
    .await;
    let before = world.outgoing().len();
    world.post_check().await.unwrap();
    let looks = world.outgoing().split_off(before);
    let looks = looks
        .iter()
        .filter(|request| request.path.ends_with("/cloudspaces/c-w467n"))
        .count();
    assert!((70..110).contains(&looks), "{looks} looks in 20 minutes");
}

async fn losing_bids_end_the_wait_early_and_name_the_bid_that_would_win() {
    let world = world();
    world.sim.set_market("*", "0.05");
    world.create(&acme()).await.unwrap();
    let took = fails(
        &world,
        &[
            "gp.vs1.medium-iad",
            "0 of 3 machines",
            "a bid of 0.01",
            "the provider says \"Lost\"",
            "the market is at 0.05",
            "the minimum bid is 0.01",
            "bid 0.06 or more",
        ],
    )
    .await;
    assert!(took < Duration::from_mins(8), "{took:?}");
    world.sim.set_market("*", "0.01");
    world.create(&acme()).await.unwrap();
    world.post_check().await.unwrap();
}

async fn the_policy_says_how_many_nodes_are_enough() {
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":2,"bidPrice":"0.01"}]"#;
    let make = async |policy: &str| {
        let world = world();
        world.sim.set_market("ch.vs1.medium-iad", "0.09");
        let options = acme()
            .text("additionalSpotPools", more)
            .text("nodesReadyPolicy", policy)
            .text("nodesReadyTimeout", "10m");
        world.create(&options).await.unwrap();
        world
    };
    make("any").await.post_check().await.unwrap();
    let world = make("all").await;
    fails(&world, &["ready nodes", "ch.vs1.medium-iad"]).await;
    let world = make("none").await;
    world.sim.set_market("*", "0.09");
    world.post_check().await.unwrap();
}

async fn the_deletion_of_what_is_waited_for_ends_it() {
    let world = created(Settings {
        cp_delay: Duration::from_mins(20),
        ..Settings::default()
    })
    .await
    .limits(|limits| limits.deletion = Duration::ZERO);
    world.remove().await.unwrap_err();
    assert!(fails(&world, &["is being deleted"]).await < Duration::from_mins(1));
}

async fn cancelling_ends_it_at_once() {
    let world = created(Settings {
        cp_delay: Duration::from_hours(9),
        ..Settings::default()
    })
    .await;
    let cancel = world.call.cancellation().clone();
    let (took, ()) = tokio::join!(fails(&world, &["cancelled"]), async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        cancel.cancel();
    });
    assert_eq!(took.as_secs(), 100);
}

async fn a_kubeconfig_that_is_late_is_waited_for() {
    for code in [400, 404] {
        let world = created(Settings::default()).await;
        world.fault(Fault::status(code).on("POST", "generate-kubeconfig").times(3));
        world.post_check().await.unwrap();
    }
}

async fn a_kubeconfig_of_no_use_is_named_as_such() {
    for (shape, part) in [
        (KubeconfigShape::Empty, "gave no kubeconfig"),
        (KubeconfigShape::NoCurrentContext, "kubeconfig has no current-context"),
        (KubeconfigShape::DanglingContext, "not found in kubeconfig"),
        (KubeconfigShape::DanglingCluster, "not found in kubeconfig"),
    ] {
        let world = created(Settings {
            kubeconfig: shape,
            ..Settings::default()
        })
        .await;
        fails(&world, &[part]).await;
    }
}

async fn the_ca_is_taken_from_the_cluster_and_then_trusted() {
    let world = world().ready(&acme()).await;
    let roots = world.roots.lock().unwrap().clone();
    assert!(
        matches!(roots.first(), Some(Roots::Anybody)),
        "the kubeconfig says so: {roots:?}"
    );
    let Some(Roots::Pem(pem)) = roots.last() else {
        panic!("{roots:?}")
    };
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let world = World::with(Settings {
        kubeconfig: KubeconfigShape::WithCa,
        ..Settings::default()
    })
    .ready(&acme())
    .await;
    assert!(
        world
            .roots
            .lock()
            .unwrap()
            .iter()
            .all(|roots| matches!(roots, Roots::Pem(_)))
    );
}

async fn a_token_that_is_late_is_waited_for_and_one_that_never_comes_is_told() {
    for seconds in [29, 31] {
        let world = created(Settings {
            sa_token_delay: Some(Duration::from_secs(seconds)),
            ..Settings::default()
        })
        .await;
        world.post_check().await.unwrap();
    }
    let world = created(Settings {
        sa_token_delay: None,
        ..Settings::default()
    })
    .await;
    fails(&world, &["no token appeared in secret kube-system/rancher-token"]).await;
}

async fn a_binding_to_somebody_else_is_put_right() {
    let world = created(Settings::default()).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    let cluster = world.sim.kube("c-w467n").unwrap();
    let other = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "rancher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    });
    assert!(cluster.create(other).is_ok());
    world.post_check().await.unwrap();
    let right = cluster
        .get("clusterrolebindings.rbac.authorization.k8s.io", None, "rancher")
        .unwrap();
    assert_eq!(right["roleRef"]["name"], "cluster-admin");
    assert_eq!(right["subjects"][0]["name"], "rancher");
    assert_eq!(right["subjects"][0]["namespace"], "kube-system");
}

async fn a_record_that_still_works_is_kept() {
    let world = world().ready(&acme()).await;
    let first = world.info.borrow().clone();
    let before = world.outgoing().len();
    let second = world.post_check().await.unwrap();
    assert_eq!(first, second);
    let paths: Vec<String> = world
        .outgoing()
        .split_off(before)
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert!(
        !paths
            .iter()
            .any(|path| path.contains("generate-kubeconfig") || path.contains("serviceaccounts")),
        "{paths:?}"
    );
    "no longer good".clone_into(&mut world.info.borrow_mut().service_account_token);
    assert_eq!(world.post_check().await.unwrap(), first);
}

async fn a_slow_api_server_is_borne() {
    let world = created(Settings::default()).await;
    world.fault(Fault::new(Action::Delay { ms: 5000 }).on("GET", GET_SPACE).times(3));
    world.fault(Fault::new(Action::Hang).on("GET", GET_SPACE));
    world.post_check().await.unwrap();
}

scenarios![
    a_few_failed_looks_are_borne_and_many_are_not,
    error_in_passing_is_borne_and_error_for_good_is_told,
    a_reason_alone_is_no_error,
    a_control_plane_that_never_comes_ends_by_its_limit,
    it_looks_less_and_less_often,
    losing_bids_end_the_wait_early_and_name_the_bid_that_would_win,
    the_policy_says_how_many_nodes_are_enough,
    the_deletion_of_what_is_waited_for_ends_it,
    cancelling_ends_it_at_once,
    a_kubeconfig_that_is_late_is_waited_for,
    a_kubeconfig_of_no_use_is_named_as_such,
    the_ca_is_taken_from_the_cluster_and_then_trusted,
    a_token_that_is_late_is_waited_for_and_one_that_never_comes_is_told,
    a_binding_to_somebody_else_is_put_right,
    a_record_that_still_works_is_kept,
    a_slow_api_server_is_borne,
];
