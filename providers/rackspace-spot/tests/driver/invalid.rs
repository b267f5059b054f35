//! Bad input fails before anything is bought, and says what would be taken.

use crate::harness::{Options, acme, world};

async fn refused(options: Options, parts: &[&str]) {
    let world = world();
    let error = world.create(&options).await.unwrap_err();
    let text = error.text();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(world.writes(), Vec::<String>::new(), "{text}");
}

async fn what_is_required_is_asked_for_by_name() {
    for (key, name) in [
        ("rackspaceSpotRefreshToken", "rackspace-spot-refresh-token"),
        ("rackspaceSpotOrganization", "rackspace-spot-organization"),
        ("rackspaceSpotRegion", "rackspace-spot-region"),
    ] {
        refused(acme().without(key), &[&format!("{name} is required")]).await;
        refused(acme().text(key, ""), &[&format!("{name} is required")]).await;
    }
    refused(acme().without("name"), &["invalid cluster name: name cannot be empty"]).await;
    refused(acme().text("name", "---"), &["invalid cluster name"]).await;
}

async fn a_bid_that_is_not_taken_comes_with_one_that_is() {
    for (bid, next) in [
        ("0.05", "0.06"),
        ("0.50", "0.52"),
        ("$0.01", "0.01"),
        (".05", "0.06"),
        ("0.001", "0.01"),
        ("abc", "0.01"),
    ] {
        refused(
            acme().text("spotBidPrice", bid),
            &[&format!("the next valid bid is {next}")],
        )
        .await;
        let more = format!(r#"[{{"serverClass":"gp.vs1.medium-iad","bidPrice":"{bid}"}}]"#);
        refused(
            acme().text("additionalSpotPools", &more),
            &[&format!("the next valid bid is {next}")],
        )
        .await;
    }
}

async fn what_is_not_sold_comes_with_what_is() {
    refused(
        acme().text("rackspaceSpotRegion", "us-east-iad-9"),
        &["us-east-iad-9", "us-east-iad-1, us-west-sjc-1"],
    )
    .await;
    refused(
        acme().text("kubernetesVersion", "1.19.3"),
        &["1.19.3", "1.33.0, 1.32.9"],
    )
    .await;
    refused(acme().text("cni", "flannel"), &["cni", "calico, cilium, byocni"]).await;
    refused(
        acme().text("spotServerClass", "gp.vs1.enormous-iad"),
        &[
            "does not exist",
            "gp.vs1.medium-iad (market 0.005, minimum bid 0.01, on demand 0.06)",
        ],
    )
    .await;
    refused(
        acme().text("spotServerClass", "gp.vs1.medium-lon"),
        &["belongs to region uk-lon-1", "gp.vs1.medium-iad"],
    )
    .await;
    refused(
        acme()
            .bool("onDemandEnabled", true)
            .text("onDemandServerClass", "gp.vs2.medium-sjc"),
        &["belongs to region us-west-sjc-1"],
    )
    .await;
    refused(acme().text("deploymentType", "gen1"), &["gen2"]).await;
}

async fn a_class_that_cannot_be_had_is_refused() {
    let world = world();
    let mut state = world.sim.state();
    for class in state["serverclasses"]
        .as_object_mut()
        .map(|map| map.values_mut().collect::<Vec<_>>())
        .unwrap_or_default()
    {
        if class["metadata"]["name"] == "gp.vs1.medium-iad" {
            class["spec"]["availability"] = "deprecated".into();
        }
    }
    for class in state["serverclasses"].as_array_mut().into_iter().flatten() {
        if class["metadata"]["name"] == "gp.vs1.medium-iad" {
            class["spec"]["availability"] = "deprecated".into();
        }
    }
    world.sim.replace(state).unwrap();
    let error = world.create(&acme()).await.unwrap_err().text();
    assert!(
        error.contains("cannot be had now (it is deprecated)") && error.contains("gp.vs1.large-iad"),
        "{error}"
    );
    assert_eq!(world.writes(), Vec::<String>::new());
}

async fn pools_that_make_no_sense_are_refused() {
    let two = r#"[{"serverClass":"ch.vs1.medium-iad","autoscaling":true}]"#;
    let limit = "only one spot node pool may have autoscaling enabled per cloudspace (API limit)";
    refused(
        acme()
            .bool("spotAutoscalingEnabled", true)
            .text("additionalSpotPools", two),
        &[limit],
    )
    .await;
    for (least, most) in [(0, 5), (5, 2), (-1, 3)] {
        let options = acme()
            .bool("spotAutoscalingEnabled", true)
            .int("spotAutoscalingMinNodes", least)
            .int("spotAutoscalingMaxNodes", most);
        refused(options, &[]).await;
    }
    refused(
        acme().int("spotNodeCount", -1),
        &["spot-node-count must be between 0 and 10000"],
    )
    .await;
    refused(
        acme().text("spotNodeCount", "many"),
        &["spot-node-count must be a whole number"],
    )
    .await;
    refused(
        acme().text("spotAutoscalingEnabled", "perhaps"),
        &["must be true or false"],
    )
    .await;
    for json in [
        "{",
        "{}",
        "null",
        r#"[{"nodeCount":1}]"#,
        r#"[{"serverClass":""}]"#,
        r#"[{"serverClass":"x","nodeCount":-3}]"#,
    ] {
        refused(acme().text("additionalSpotPools", json), &["additional spot pool"]).await;
        refused(
            acme().text("additionalOnDemandPools", json),
            &["additional on-demand pool"],
        )
        .await;
    }
}

async fn a_bid_that_nobody_can_mean_is_refused_unless_it_is_meant() {
    // The class costs 0.06 on demand.
    let high = acme().text("spotBidPrice", "10.02");
    refused(
        high.clone(),
        &["10.02", "10 times the on-demand price of 0.06", "allow-high-bids"],
    )
    .await;
    let world = world();
    world.create(&high.bool("allowHighBids", true)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["bidPrice"], "10.02");
    // A bid that is there already stands in no other change's way.
    world
        .update(&acme().text("spotBidPrice", "10.02").int("spotNodeCount", 1))
        .await
        .unwrap();
}

async fn a_bid_above_the_on_demand_price_is_taken_with_a_warning() {
    let (world, messages) = world().listening();
    world.create(&acme().text("spotBidPrice", "0.10")).await.unwrap();
    let told = messages();
    assert!(
        told.contains("bid price 0.10 is above the on-demand price 0.06"),
        "{told}"
    );
}

async fn what_has_no_effect_is_told() {
    let (world, messages) = world().listening();
    world.create(&acme().int("onDemandNodeCount", 4)).await.unwrap();
    let told = messages();
    assert!(told.contains("on-demand-node-count without effect"), "{told}");
}

async fn the_generation_of_a_cloudspace_does_not_change() {
    let world = world().ready(&acme().text("deploymentType", "gen2")).await;
    for same in ["", "gen2"] {
        world.update(&acme().text("deploymentType", same)).await.unwrap();
    }
    let error = world
        .update(&acme().text("deploymentType", "gen1"))
        .await
        .unwrap_err()
        .text();
    assert!(
        error.contains("deployment-type of cloudspace c-w467n is gen2 and cannot become \"gen1\""),
        "{error}"
    );
}

async fn texts_that_make_no_sense_are_refused() {
    refused(
        acme().text("preemptionWebhookUrl", "hook.example"),
        &["preemption-webhook-url must be a http or https URL"],
    )
    .await;
    let world = world();
    let secret = acme().text("preemptionWebhookUrl", "ftp://hook.example/?token=hush-hush");
    let error = world.create(&secret).await.unwrap_err().text();
    assert!(!error.contains("hush-hush"), "{error}");
    refused(acme().text("nodesReadyPolicy", "some"), &["any, all, none"]).await;
    refused(acme().text("nodesReadyTimeout", "soon"), &["nodes-ready-timeout"]).await;
    refused(
        acme().text("spotNodeLabels", "a b"),
        &["spot-node-labels must be like a=b,c=d"],
    )
    .await;
    refused(
        acme().text("spotNodeTaints", "a=b:Whatever"),
        &["NoSchedule, PreferNoSchedule or NoExecute"],
    )
    .await;
    refused(
        acme()
            .text("onDemandNodeLabels", "a=b")
            .bool("onDemandEnabled", true)
            .text("spotNodeLabels", "=x"),
        &["spot-node-labels"],
    )
    .await;
}

async fn all_that_is_wrong_is_told_at_once() {
    refused(
        acme()
            .text("rackspaceSpotRegion", "nowhere")
            .text("spotBidPrice", "0.05")
            .text("kubernetesVersion", "9.9.9"),
        &["nowhere", "0.06", "9.9.9"],
    )
    .await;
}

async fn a_version_nobody_listed_passes_only_where_that_was_asked_for() {
    let world = world();
    world.sim.set(|settings| settings.versions.push("1.34.2".to_owned()));
    let options = acme().text("kubernetesVersion", "1.34.2");
    world.create(&options).await.unwrap_err();
    world
        .create(&options.bool("allowUnlistedKubernetesVersion", true))
        .await
        .unwrap();
}

async fn bad_changes_are_refused_before_the_first() {
    let world = world().ready(&acme()).await;
    let before = world.writes().len();
    for options in [
        acme().text("spotBidPrice", "0.05").int("spotNodeCount", 4),
        acme()
            .text("spotServerClass", "gp.vs1.medium-lon")
            .int("spotNodeCount", 4),
        acme().text("kubernetesVersion", "1.32.9").int("spotNodeCount", 4),
        acme().text("additionalSpotPools", "[").int("spotNodeCount", 4),
        acme()
            .text("additionalSpotPools", r#"[{"serverClass":"nothing"}]"#)
            .int("spotNodeCount", 4),
        acme()
            .bool("spotAutoscalingEnabled", true)
            .int("spotAutoscalingMaxNodes", 0),
    ] {
        world.update(&options).await.unwrap_err();
        assert_eq!(world.writes().len(), before);
    }
}

scenarios![
    what_is_required_is_asked_for_by_name,
    a_bid_that_is_not_taken_comes_with_one_that_is,
    what_is_not_sold_comes_with_what_is,
    a_class_that_cannot_be_had_is_refused,
    pools_that_make_no_sense_are_refused,
    a_bid_that_nobody_can_mean_is_refused_unless_it_is_meant,
    a_bid_above_the_on_demand_price_is_taken_with_a_warning,
    what_has_no_effect_is_told,
    the_generation_of_a_cloudspace_does_not_change,
    texts_that_make_no_sense_are_refused,
    all_that_is_wrong_is_told_at_once,
    a_version_nobody_listed_passes_only_where_that_was_asked_for,
    bad_changes_are_refused_before_the_first,
];
