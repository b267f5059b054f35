//! Creating: what it makes, and what it does when it is called again.

use cloud_sim::{Action, Fault};
use kontainer_engine::ClusterInfo;
use rackspace_spot_sim::{ACME_COLLEAGUE_TOKEN, Settings};
use serde_json::{Value, json};

use crate::harness::{World, acme, world};

const SPACES: &str = "/cloudspaces$";
const SPOT: &str = "/spotnodepools$";
const OWNER: &str = "roadstead.dev/owner";

/// Makes a cloudspace as somebody else would, with one pool in it.
pub async fn foreign(world: &World, name: &str) {
    let token = login(world).await;
    let space = json!({"apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": name, "namespace": "org-acme0001"},
        "spec": {"deploymentType": "gen2", "cloud": "default", "region": "us-east-iad-1", "cni": "calico",
            "kubernetesVersion": "1.32.9", "HAControlPlane": false}});
    post(world, &token, "cloudspaces", &space).await;
    foreign_pool(world, name, "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11").await;
}

pub async fn foreign_pool(world: &World, space: &str, name: &str) {
    let token = login(world).await;
    let pool = json!({"apiVersion": "ngpc.rxt.io/v1", "kind": "SpotNodePool", "metadata": {"name": name, "namespace": "org-acme0001"},
        "spec": {"serverClass": "gp.vs1.large-iad", "desired": 2, "bidPrice": "0.02", "cloudSpace": space}});
    post(world, &token, "spotnodepools", &pool).await;
}

async fn login(world: &World) -> String {
    let form = format!(
        "grant_type=refresh_token&client_id={}&refresh_token={}",
        world.settings.client_id,
        rackspace_spot_sim::ACME_TOKEN
    );
    let request = http::Request::post("https://login.spot.sim/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(form))
        .unwrap();
    let response = world.sim.network().send(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["id_token"].as_str().unwrap().to_owned()
}

async fn post(world: &World, token: &str, kind: &str, object: &Value) {
    let request = http::Request::post(format!(
        "https://spot.sim/apis/ngpc.rxt.io/v1/namespaces/org-acme0001/{kind}"
    ))
    .header("authorization", format!("Bearer {token}"))
    .header("content-type", "application/json")
    .body(axum::body::Body::from(object.to_string()))
    .unwrap();
    let response = world.sim.network().send(request).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
}

async fn what_was_asked_for_is_what_is_bought() {
    let world = world();
    let options = acme()
        .text("cni", "cilium")
        .text("kubernetesVersion", "1.32")
        .bool("haControlPlane", true)
        .text("preemptionWebhookUrl", "https://hook.example/x")
        .text("spotServerClass", "gp.vs1.large-iad")
        .int("spotNodeCount", 2)
        .text("spotBidPrice", "0.04")
        .text("spotNodeLabels", "team=a")
        .text("spotNodeTaints", "spot=yes:PreferNoSchedule")
        .text(
            "additionalSpotPools",
            r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":true,"minNodes":1,"maxNodes":4,"labels":{"a":"b"}}]"#,
        )
        .bool("onDemandEnabled", true)
        .text("onDemandServerClass", "gp.vs1.medium-iad")
        .text("additionalOnDemandPools", r#"[{"serverClass":"mh.vs1.medium-iad","nodeCount":1}]"#);
    let info = world.create(&options).await.unwrap();
    assert_eq!(info.node_count, 5);
    let space = &world.objects("cloudspaces")[0];
    assert_eq!(space["metadata"]["annotations"][OWNER], "c-w467n");
    assert_eq!(space["metadata"]["annotations"]["roadstead.dev/made-by"], "auth0|acme");
    assert_eq!(space["spec"]["HAControlPlane"], true);
    assert_eq!(space["spec"]["kubernetesVersion"], "1.32.9");
    assert_eq!(
        (&space["spec"]["cni"], &space["spec"]["webhook"]),
        (&json!("cilium"), &json!("https://hook.example/x"))
    );
    let pools = world.pools();
    assert_eq!((pools.len(), world.objects("ondemandnodepools").len()), (2, 2));
    let large = pools
        .iter()
        .find(|pool| pool["spec"]["serverClass"] == "gp.vs1.large-iad")
        .unwrap();
    assert_eq!(large["metadata"]["labels"][OWNER], "c-w467n");
    assert_eq!(large["spec"]["customLabels"], json!({"team": "a"}));
    assert_eq!(
        large["spec"]["customTaints"],
        json!([{"key": "spot", "value": "yes", "effect": "PreferNoSchedule"}])
    );
    let scaled = pools
        .iter()
        .find(|pool| pool["spec"]["serverClass"] == "ch.vs1.medium-iad")
        .unwrap();
    assert_eq!(
        scaled["spec"]["autoscaling"],
        json!({"enabled": true, "minNodes": 1, "maxNodes": 4})
    );
}

async fn every_spelling_of_an_option_is_read() {
    for options in [
        acme().text("kubernetesVersion", "1.31.1").int("spotNodeCount", 1),
        acme().text("kubernetes-version", "1.31.1").int("spot-node-count", 1),
        acme().text("k8sVersion", "1.31.1").text("spotNodeCount", "1"),
    ] {
        let world = world();
        world.create(&options).await.unwrap();
        assert_eq!(world.objects("cloudspaces")[0]["spec"]["kubernetesVersion"], "1.31.1");
        assert_eq!(world.pools()[0]["spec"]["desired"], 1);
    }
}

async fn creating_again_with_or_without_its_record_buys_nothing_more() {
    let options = acme().bool("onDemandEnabled", true);
    let world = world();
    let info = world.create(&options).await.unwrap();
    let (bought, writes) = (world.bought(), world.writes());
    world.create_with(&options, Some(info)).await.unwrap();
    world.create_with(&options, None).await.unwrap();
    world.create_with(&options, Some(ClusterInfo::default())).await.unwrap();
    assert_eq!(world.bought(), bought);
    assert_eq!(world.writes(), writes);
}

async fn going_on_with_a_cloudspace_of_which_no_record_is_left_is_said_aloud() {
    for (named, told) in [
        (true, "made by the same user, auth0|acme"),
        (false, "neither it nor the credentials say"),
    ] {
        let (world, messages) = World::with(Settings {
            named_users: named,
            ..Settings::default()
        })
        .listening();
        let info = world.create(&acme()).await.unwrap();
        world.create_with(&acme(), Some(info)).await.unwrap();
        let all = messages();
        assert!(!all.contains("is there already"), "{all}");
        world.create_with(&acme(), None).await.unwrap();
        let all = messages();
        assert!(
            all.contains(told) && all.contains("for a cluster called \"c-w467n\""),
            "{all}"
        );
        assert_eq!((world.objects("cloudspaces").len(), world.pools().len()), (1, 1));
    }
}

async fn two_people_who_give_one_name_do_not_share_a_cluster() {
    let world = world().ready(&acme()).await;
    let mine = world.info.borrow().clone();
    let before = world.bought();
    let writes = world.writes().len();
    let theirs = acme().text("rackspaceSpotRefreshToken", ACME_COLLEAGUE_TOKEN);
    // Their engine remembers nothing at first, then what it was refused with.
    world.info.replace(ClusterInfo::default());
    let error = world.create_with(&theirs, None).await.unwrap_err().text();
    assert!(error.contains("(user auth0|acme made it)"), "{error}");
    for _ in 0..2 {
        let error = world.create(&theirs).await.unwrap_err().text();
        assert!(
            error.contains("exists already and was not made for this cluster"),
            "{error}"
        );
        let error = world.post_check().await.unwrap_err().text();
        assert!(error.contains("was not made for this cluster"), "{error}");
    }
    world.remove().await.unwrap();
    assert_eq!((world.bought(), world.writes().len()), (before.clone(), writes));
    // Whoever made it may hand the cluster on: once it stands in a record, the credentials may be anybody's.
    world.info.replace(mine);
    world.create(&theirs).await.unwrap();
    assert_eq!((world.bought(), world.writes().len()), (before, writes));
    world.remove().await.unwrap();
    assert_eq!(world.objects("cloudspaces").len(), 0);
}

async fn two_people_who_create_one_name_at_the_same_moment_get_one_cluster_and_one_refusal() {
    let world = world();
    // Ours is sent after theirs, and both looked before either was there.
    let theirs = acme().text("rackspaceSpotRefreshToken", ACME_COLLEAGUE_TOKEN);
    world
        .sim
        .set(|settings| settings.read_lag = std::time::Duration::from_secs(5));
    world.create_with(&theirs, None).await.unwrap();
    let bought = world.bought();
    let mut record = None;
    for _ in 0..3 {
        let error = world.create_with(&acme(), record.take()).await.unwrap_err();
        assert_eq!(error.class(), kit::Class::Conflict, "{}", error.text());
        record = Some(world.info.borrow().clone());
    }
    assert_eq!(world.bought(), bought);
}

async fn creation_that_dies_between_its_parts_is_completed_by_the_next() {
    for (path, skip) in [(SPOT, 0), (SPOT, 1), ("/ondemandnodepools$", 0)] {
        for with_record in [true, false] {
            let options = acme().bool("onDemandEnabled", true).text(
                "additionalSpotPools",
                r#"[{"serverClass":"ch.vs1.medium-iad","bidPrice":"0.02"}]"#,
            );
            let whole = world();
            whole.create(&options).await.unwrap();
            let world = world();
            world.fault(Fault::status(422).on("POST", path).skip(skip));
            let error = world.create(&options).await.unwrap_err();
            assert!(error.text().contains("pool"), "{}", error.text());
            let record = with_record.then(|| world.info.borrow().clone());
            assert_ne!(
                *world.info.borrow(),
                ClusterInfo::default(),
                "what was begun must be known"
            );
            world.create_with(&options, record).await.unwrap();
            assert_eq!(world.bought(), whole.bought(), "{path} {skip} {with_record}");
        }
    }
}

async fn a_post_whose_answer_is_lost_is_settled_by_looking() {
    let whole = world();
    whole.create(&acme()).await.unwrap();
    for path in [SPACES, SPOT] {
        for fault in [
            Fault::new(Action::DropBefore),
            Fault::new(Action::DropAfter),
            Fault::status(502),
            Fault::status(500).after(),
            Fault::status(504).after().body("<html>gateway timeout</html>"),
            Fault::new(Action::Hang),
            Fault::new(Action::Truncate { bytes: None }),
        ] {
            let world = world();
            world.fault(fault.clone().on("POST", path));
            world.create(&acme()).await.unwrap();
            assert_eq!(world.bought(), whole.bought(), "{fault:?}");
        }
    }
}

async fn what_was_just_made_may_be_invisible_for_a_while() {
    let world = world();
    world
        .sim
        .set(|settings| settings.read_lag = std::time::Duration::from_secs(3));
    for path in [SPACES, SPOT] {
        world.fault(Fault::status(500).after().on("POST", path));
    }
    world.create(&acme()).await.unwrap();
    world.post_check().await.unwrap();
    assert_eq!((world.objects("cloudspaces").len(), world.pools().len()), (1, 1));
}

async fn somebody_elses_cloudspace_of_that_name_is_refused_again_and_again() {
    let world = world();
    foreign(&world, "c-w467n").await;
    let before = world.bought();
    let writes = world.writes().len();
    for _ in 0..2 {
        let error = world.create(&acme()).await.unwrap_err().text();
        assert!(
            error.contains("exists already and was not made for this cluster") && error.contains("import"),
            "{error}"
        );
    }
    world.remove().await.unwrap();
    assert_eq!(world.bought(), before);
    assert_eq!(world.writes().len(), writes, "not even removing touches it");
}

async fn a_cloudspace_on_its_way_out_is_waited_for() {
    let world = world()
        .ready(&acme())
        .await
        .limits(|limits| limits.deletion = std::time::Duration::from_secs(1));
    world.remove().await.unwrap_err();
    assert_eq!(world.objects("cloudspaces")[0]["status"]["phase"], "Deleting");
    let world = world.limits(|limits| limits.deletion = std::time::Duration::from_mins(10));
    world.create_with(&acme(), None).await.unwrap();
    world.post_check().await.unwrap();
    assert_eq!((world.objects("cloudspaces").len(), world.pools().len()), (1, 1));
}

async fn a_cloudspace_that_will_not_go_ends_creation_with_its_name() {
    let world = world()
        .ready(&acme())
        .await
        .limits(|limits| limits.deletion = std::time::Duration::from_mins(2));
    world.sim.set(|settings| settings.stuck_finalizers = true);
    world.remove().await.unwrap_err();
    let error = world.create_with(&acme(), None).await.unwrap_err().text();
    assert!(error.contains("c-w467n is still being deleted"), "{error}");
}

async fn the_price_feed_is_not_needed() {
    let world = world();
    world.fault(Fault::status(500).on("GET", "percentiles").always());
    world.ready(&acme()).await;
}

async fn an_organization_without_billing_is_told_so() {
    let world = world();
    let options = acme()
        .text("rackspaceSpotRefreshToken", rackspace_spot_sim::PENNILESS_TOKEN)
        .text("rackspaceSpotOrganization", "penniless");
    let error = world.create(&options).await.unwrap_err().text();
    assert!(error.to_lowercase().contains("billing"), "{error}");
}

async fn no_pool_is_bought_twice_while_bids_lose() {
    let world = world();
    world.sim.set_market("*", "0.09");
    world.create(&acme()).await.unwrap();
    let bought = world.bought();
    for _ in 0..2 {
        let error = world.post_check().await.unwrap_err().text();
        for part in [
            "has won 0 of 3 machines at a bid of 0.01",
            "the market is at 0.09",
            "the minimum bid is 0.01",
            "bid 0.10 or more",
        ] {
            assert!(error.contains(part), "{error}");
        }
        world.create(&acme()).await.unwrap();
    }
    assert_eq!(world.bought(), bought);
    assert_eq!(world.writes(), ["POST cloudspaces", "POST spotnodepools"]);
}

async fn cancelling_stops_it_and_keeps_the_record() {
    let world = world();
    world.fault(Fault::new(Action::Hang).on("POST", SPOT).always());
    let cancel = world.call.cancellation().clone();
    let options = acme();
    let (error, ()) = tokio::join!(world.create(&options), async {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        cancel.cancel();
    });
    assert!(error.unwrap_err().text().contains("cancelled"));
    assert!(world.info.borrow().metadata["state"].contains("c-w467n"));
}

async fn bids_are_rounded_up_only_where_that_was_asked_for() {
    let world = world();
    let options = acme().text("spotBidPrice", "0.05");
    world.create(&options).await.unwrap_err();
    world.create(&options.bool("roundBidUp", true)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["bidPrice"], "0.06");
}

async fn zero_machines_are_zero_machines() {
    let world = world();
    world.create(&acme().int("spotNodeCount", 0)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 0);
    let info = world.post_check().await.unwrap();
    assert_eq!(info.node_count, 0);
}

async fn the_pool_of_somebody_else_does_not_become_ours_by_being_named() {
    const FOREIGN: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11";
    let world = world().ready(&acme()).await;
    foreign_pool(&world, "c-w467n", FOREIGN).await;
    let foreign = || {
        let pool = world
            .pools()
            .into_iter()
            .find(|pool| pool["metadata"]["name"] == FOREIGN);
        pool.map(|pool| (pool["spec"].clone(), pool["metadata"]["labels"].clone()))
    };
    let before = foreign();
    // As after a failed attempt: Create comes again, and again with what it answered. The class is nobody's, so that no
    // pool of ours answers to the wish.
    let options = acme()
        .text("spotNodePoolName", FOREIGN)
        .text("spotServerClass", "gp.vs1.xlarge-iad");
    for _ in 0..3 {
        // Refused or answered with a pool of our own: both are right.
        let _ = world.create(&options).await;
        assert_eq!(foreign(), before, "somebody else's pool was touched");
    }
}

scenarios![
    the_pool_of_somebody_else_does_not_become_ours_by_being_named,
    what_was_asked_for_is_what_is_bought,
    every_spelling_of_an_option_is_read,
    creating_again_with_or_without_its_record_buys_nothing_more,
    going_on_with_a_cloudspace_of_which_no_record_is_left_is_said_aloud,
    two_people_who_give_one_name_do_not_share_a_cluster,
    two_people_who_create_one_name_at_the_same_moment_get_one_cluster_and_one_refusal,
    creation_that_dies_between_its_parts_is_completed_by_the_next,
    a_post_whose_answer_is_lost_is_settled_by_looking,
    what_was_just_made_may_be_invisible_for_a_while,
    somebody_elses_cloudspace_of_that_name_is_refused_again_and_again,
    a_cloudspace_on_its_way_out_is_waited_for,
    a_cloudspace_that_will_not_go_ends_creation_with_its_name,
    the_price_feed_is_not_needed,
    an_organization_without_billing_is_told_so,
    no_pool_is_bought_twice_while_bids_lose,
    cancelling_stops_it_and_keeps_the_record,
    bids_are_rounded_up_only_where_that_was_asked_for,
    zero_machines_are_zero_machines,
];
