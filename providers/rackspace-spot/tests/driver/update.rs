//! Changing a cluster: what is sent, in which order, and what is not sent.

use cloud_sim::Fault;
use serde_json::json;

use crate::create::foreign_pool;
use crate::harness::{Options, World, acme, world};

const FOREIGN: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11";

/// The writes of one update.
async fn writes(world: &World, options: &Options) -> Vec<String> {
    let before = world.writes().len();
    world.update(options).await.unwrap();
    world.writes().split_off(before)
}

async fn an_update_that_changes_nothing_writes_nothing() {
    let options = acme()
        .bool("onDemandEnabled", true)
        .text("spotNodeLabels", "a=b")
        .text(
            "additionalSpotPools",
            r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":true,"minNodes":1,"maxNodes":3},
                {"serverClass":"ch.vs1.medium-iad","nodeCount":2,"bidPrice":"0.02"}]"#,
        );
    let world = world().ready(&options).await;
    let first = world.info.borrow().clone();
    for _ in 0..2 {
        assert_eq!(writes(&world, &options).await, Vec::<String>::new());
        assert_eq!(*world.info.borrow(), first, "the record is the same to the byte");
        world.post_check().await.unwrap();
        assert_eq!(*world.info.borrow(), first);
    }
    assert_eq!(
        writes(&world, &Options::default()).await,
        Vec::<String>::new(),
        "nothing said is nothing changed"
    );
}

async fn further_on_demand_pools_without_a_first_one_are_not_bought_twice() {
    let further = r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":1}]"#;
    let options = acme().text("additionalOnDemandPools", further);
    let world = world().ready(&options).await;
    assert_eq!(world.objects("ondemandnodepools").len(), 1);
    for _ in 0..2 {
        assert_eq!(writes(&world, &options).await, Vec::<String>::new());
    }
    // A first one comes beside it, once.
    let both = options.clone().bool("onDemandEnabled", true);
    assert_eq!(writes(&world, &both).await, ["POST ondemandnodepools"]);
    assert_eq!(writes(&world, &both).await, Vec::<String>::new());
    assert_eq!(world.objects("ondemandnodepools").len(), 2);
}

async fn only_what_differs_is_sent() {
    let world = world().ready(&acme()).await;
    assert_eq!(
        writes(&world, &acme().int("spotNodeCount", 4)).await,
        ["PATCH spotnodepools"]
    );
    assert_eq!(world.pools()[0]["spec"]["desired"], 4);
    assert_eq!(
        writes(&world, &acme().int("spotNodeCount", 4).text("spotBidPrice", "0.03")).await,
        ["PATCH spotnodepools"]
    );
    assert_eq!(world.pools()[0]["spec"]["bidPrice"], "0.03");
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","bidPrice":"0.02"}]"#;
    let options = acme()
        .int("spotNodeCount", 4)
        .text("spotBidPrice", "0.03")
        .text("additionalSpotPools", more);
    assert_eq!(writes(&world, &options).await, ["POST spotnodepools"]);
    assert_eq!(
        writes(&world, &options.text("additionalSpotPools", "[]")).await,
        ["DELETE spotnodepools"]
    );
}

async fn an_old_bid_off_the_new_ladder_does_not_stand_in_the_way() {
    let world = world();
    world
        .sim
        .set(|settings| settings.ladder = rackspace_spot_sim::Ladder::Off);
    let world = world.ready(&acme()).await;
    let mut state = world.sim.state();
    let pools = &mut state["spotnodepools"];
    let first = match pools {
        serde_json::Value::Array(list) => &mut list[0],
        other => other.as_object_mut().unwrap().values_mut().next().unwrap(),
    };
    first["spec"]["bidPrice"] = json!("0.05");
    world.sim.replace(state).unwrap();
    let state = world.info.borrow().metadata["state"].replace("\"0.01\"", "\"0.05\"");
    world.info.borrow_mut().metadata.insert("state".to_owned(), state);
    world
        .sim
        .set(|settings| settings.ladder = rackspace_spot_sim::Ladder::July2026);
    world
        .update(&acme().text("spotBidPrice", "0.05").int("spotNodeCount", 1))
        .await
        .unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 1);
}

async fn autoscaling_moves_without_two_pools_having_it() {
    let pool = |autoscaling: bool| {
        format!(
            r#"[{{"serverClass":"ch.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":{autoscaling},"minNodes":1,"maxNodes":3}}]"#
        )
    };
    let first = acme()
        .bool("spotAutoscalingEnabled", true)
        .text("additionalSpotPools", &pool(false));
    let second = acme()
        .bool("spotAutoscalingEnabled", false)
        .text("additionalSpotPools", &pool(true));
    let world = world().ready(&first).await;
    assert_eq!(
        writes(&world, &second).await,
        ["PATCH spotnodepools", "PATCH spotnodepools"]
    );
    assert_eq!(
        writes(&world, &first).await,
        ["PATCH spotnodepools", "PATCH spotnodepools"]
    );
    let on = world
        .pools()
        .iter()
        .filter(|pool| pool["spec"]["autoscaling"]["enabled"] == true)
        .count();
    assert_eq!(on, 1);
}

async fn a_pool_with_autoscaling_goes_before_another_gets_it() {
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":true,"minNodes":1,"maxNodes":3}]"#;
    let world = world().ready(&acme().text("additionalSpotPools", more)).await;
    let options = acme()
        .bool("spotAutoscalingEnabled", true)
        .text("additionalSpotPools", "[]");
    assert_eq!(
        writes(&world, &options).await,
        ["DELETE spotnodepools", "PATCH spotnodepools"]
    );
    let other = r#"[{"serverClass":"mh.vs1.medium-iad","nodeCount":1,"bidPrice":"0.02","autoscaling":true,"minNodes":1,"maxNodes":3}]"#;
    let options = acme()
        .bool("spotAutoscalingEnabled", false)
        .text("additionalSpotPools", other);
    assert_eq!(
        writes(&world, &options).await,
        ["PATCH spotnodepools", "POST spotnodepools"]
    );
}

async fn what_an_autoscaler_chose_stays() {
    let options = acme()
        .bool("spotAutoscalingEnabled", true)
        .int("spotNodeCount", 2)
        .int("spotAutoscalingMaxNodes", 8);
    let world = world().ready(&options).await;
    world.set_size(6).await.unwrap();
    assert_eq!(writes(&world, &options).await, Vec::<String>::new());
    assert_eq!(world.pools()[0]["spec"]["desired"], 6);
    world.update(&options.int("spotAutoscalingMaxNodes", 4)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 4);
}

async fn another_class_means_a_new_pool_first_and_the_old_one_last() {
    let world = world().ready(&acme().bool("onDemandEnabled", true)).await;
    let options = acme()
        .bool("onDemandEnabled", true)
        .text("spotServerClass", "gp.vs1.large-iad")
        .text("onDemandServerClass", "gp.vs1.large-iad");
    assert_eq!(
        writes(&world, &options).await,
        [
            "POST spotnodepools",
            "POST ondemandnodepools",
            "DELETE spotnodepools",
            "DELETE ondemandnodepools"
        ]
    );
    assert_eq!(writes(&world, &options).await, Vec::<String>::new());
    let back = acme().bool("onDemandEnabled", true);
    world.update(&back).await.unwrap();
    world.post_check().await.unwrap();
    let left: Vec<_> = world
        .pools()
        .iter()
        .map(|pool| pool["spec"]["serverClass"].clone())
        .collect();
    assert!(left.contains(&json!("gp.vs1.medium-iad")), "{left:?}");
}

async fn the_old_pool_stays_while_the_new_one_wins_nothing() {
    let world = world().ready(&acme()).await;
    world.sim.set_market("gp.vs1.large-iad", "0.50");
    let error = world
        .update(&acme().text("spotServerClass", "gp.vs1.large-iad"))
        .await
        .unwrap_err()
        .text();
    assert!(
        error.contains("0 of 3 machines") && error.contains("is kept"),
        "{error}"
    );
    assert_eq!(world.pools().len(), 2);
    world.sim.set_market("gp.vs1.large-iad", "0.01");
    world
        .update(&acme().text("spotServerClass", "gp.vs1.large-iad"))
        .await
        .unwrap();
    assert_eq!(
        world
            .writes()
            .iter()
            .filter(|write| *write == "POST spotnodepools")
            .count(),
        2
    );
}

async fn pools_of_others_are_left_alone() {
    let world = world().ready(&acme()).await;
    foreign_pool(&world, "c-w467n", FOREIGN).await;
    let more = r#"[{"serverClass":"gp.vs1.large-iad","nodeCount":2,"bidPrice":"0.02"}]"#;
    assert_eq!(
        writes(&world, &acme().text("additionalSpotPools", more)).await,
        ["POST spotnodepools"]
    );
    assert_eq!(
        writes(&world, &acme().text("additionalSpotPools", "[]")).await,
        ["DELETE spotnodepools"]
    );
    assert!(world.pools().iter().any(|pool| pool["metadata"]["name"] == FOREIGN));
    let named = format!(r#"[{{"name":"{FOREIGN}","serverClass":"gp.vs1.large-iad","bidPrice":"0.02"}}]"#);
    let error = world
        .update(&acme().text("additionalSpotPools", &named))
        .await
        .unwrap_err()
        .text();
    assert!(error.contains("was not made by this driver"), "{error}");
}

async fn version_webhook_and_availability_are_changed() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.32.9")).await;
    let options = acme()
        .text("kubernetesVersion", "1.33.0")
        .text("preemptionWebhookUrl", "https://hook.example")
        .bool("haControlPlane", true);
    assert_eq!(writes(&world, &options).await, ["PATCH cloudspaces"]);
    let info = world.post_check().await.unwrap();
    assert_eq!(info.version, "1.33.0", "the check waits for the upgrade");
    let spec = world.objects("cloudspaces")[0]["spec"].clone();
    assert_eq!(
        (&spec["HAControlPlane"], &spec["webhook"]),
        (&json!(true), &json!("https://hook.example"))
    );
    assert_eq!(writes(&world, &options).await, Vec::<String>::new());
    world.update(&options.text("preemptionWebhookUrl", "-")).await.unwrap();
    assert_eq!(world.objects("cloudspaces")[0]["spec"]["webhook"], "");
}

async fn versions_go_up_and_only_one_minor_at_a_time() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.31.1")).await;
    for (version, part) in [("1.33.0", "upgrade to 1.32.9 first"), ("1.30.10", "cannot go down")] {
        let error = world
            .update(&acme().text("kubernetesVersion", version))
            .await
            .unwrap_err()
            .text();
        assert!(error.contains(part), "{error}");
    }
}

async fn an_upgrade_made_elsewhere_is_no_obstacle() {
    let options = acme().text("kubernetesVersion", "1.32.9");
    let world = world().ready(&options).await;
    world.set_version("1.33.0").await.unwrap();
    assert_eq!(world.version().await.unwrap(), "1.33.0");
    assert_eq!(
        writes(&world, &options.int("spotNodeCount", 1)).await,
        ["PATCH spotnodepools"]
    );
}

async fn zero_and_false_are_values() {
    let world = world().ready(&acme().bool("onDemandEnabled", true)).await;
    world
        .update(&acme().int("spotNodeCount", 0).bool("onDemandEnabled", false))
        .await
        .unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 0);
    assert!(
        world
            .objects("ondemandnodepools")
            .iter()
            .all(|pool| !pool["metadata"]["deletionTimestamp"].is_null())
    );
}

async fn a_conflict_is_read_again_and_patched_again() {
    let world = world().ready(&acme()).await;
    world.fault(Fault::status(409).on("PATCH", "spotnodepools").times(2));
    world.update(&acme().int("spotNodeCount", 4)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 4);
    world.fault(Fault::status(409).on("PATCH", "spotnodepools").always());
    let error = world.update(&acme().int("spotNodeCount", 5)).await.unwrap_err().text();
    assert!(error.contains("keeps changing"), "{error}");
}

async fn a_value_from_the_state_does_not_hide_one_the_user_gave() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.32.9")).await;
    world
        .update(
            &Options::default()
                .text("k8sVersion", "1.33.0")
                .text("spotMinNodes", "2"),
        )
        .await
        .unwrap();
    assert_eq!(world.objects("cloudspaces")[0]["spec"]["kubernetesVersion"], "1.33.0");
}

async fn labels_and_taints_are_put_and_taken_away() {
    let world = world()
        .ready(
            &acme()
                .text("spotNodeLabels", "a=b,c=d")
                .text("spotNodeTaints", "x=y:NoSchedule"),
        )
        .await;
    world
        .update(&acme().text("spotNodeLabels", "a=z").text("spotNodeTaints", "[]"))
        .await
        .unwrap();
    let spec = world.pools()[0]["spec"].clone();
    assert_eq!(spec["customLabels"], json!({"a": "z"}));
    assert!(spec["customTaints"].as_array().is_none_or(Vec::is_empty), "{spec}");
    world.update(&acme().text("spotNodeLabels", "{}")).await.unwrap();
    assert!(
        world.pools()[0]["spec"]["customLabels"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    );
}

async fn a_cloudspace_that_is_gone_is_not_made_again_by_an_update() {
    let world = world().ready(&acme()).await;
    world.remove().await.unwrap();
    let error = world.update(&acme()).await.unwrap_err();
    assert!(error.text().contains("does not exist any more"), "{}", error.text());
    assert_eq!(error.class(), kit::Class::NotFound);
}

async fn a_cluster_of_the_go_driver_is_taken_over_and_marked_once() {
    let world = world();
    crate::create::foreign(&world, "c-w467n").await;
    let state = json!({"organization": "acme", "cloudspaceName": "c-w467n", "region": "us-east-iad-1",
        "kubernetesVersion": "1.32.9", "cni": "calico", "gpuEnabled": false, "spotPoolName": FOREIGN,
        "spotServerClass": "gp.vs1.large-iad", "spotNodeCount": 2, "spotBidPrice": "0.02", "spotAutoscaling": false,
        "onDemandEnabled": false, "refreshToken": rackspace_spot_sim::ACME_TOKEN});
    world
        .info
        .borrow_mut()
        .metadata
        .insert("state".to_owned(), state.to_string());
    assert_eq!(
        writes(&world, &Options::default()).await,
        ["PATCH cloudspaces", "PATCH spotnodepools"]
    );
    assert_eq!(writes(&world, &Options::default()).await, Vec::<String>::new());
    assert!(!world.info.borrow().metadata["state"].contains("refreshToken"));
    assert_eq!(world.info.borrow().password, rackspace_spot_sim::ACME_TOKEN);
    assert_eq!(world.pools().len(), 1);
    world.remove().await.unwrap();
    assert_eq!(world.pools().len(), 0);
}

scenarios![
    further_on_demand_pools_without_a_first_one_are_not_bought_twice,
    an_update_that_changes_nothing_writes_nothing,
    only_what_differs_is_sent,
    an_old_bid_off_the_new_ladder_does_not_stand_in_the_way,
    autoscaling_moves_without_two_pools_having_it,
    a_pool_with_autoscaling_goes_before_another_gets_it,
    what_an_autoscaler_chose_stays,
    another_class_means_a_new_pool_first_and_the_old_one_last,
    the_old_pool_stays_while_the_new_one_wins_nothing,
    pools_of_others_are_left_alone,
    version_webhook_and_availability_are_changed,
    versions_go_up_and_only_one_minor_at_a_time,
    an_upgrade_made_elsewhere_is_no_obstacle,
    zero_and_false_are_values,
    a_conflict_is_read_again_and_patched_again,
    a_value_from_the_state_does_not_hide_one_the_user_gave,
    labels_and_taints_are_put_and_taken_away,
    a_cloudspace_that_is_gone_is_not_made_again_by_an_update,
    a_cluster_of_the_go_driver_is_taken_over_and_marked_once,
];
