//! Size and version on their own.

use cloud_sim::Fault;
use kontainer_engine::ClusterInfo;
use rackspace_spot_sim::{API_HOST, LOGIN_HOST, Settings, VersionForm};
use serde_json::json;

use crate::harness::{Options, World, acme, world};

async fn the_size_is_the_total_and_the_primary_pool_makes_the_difference() {
    let more = r#"[{"serverClass":"ch.vs1.medium-iad","nodeCount":2,"bidPrice":"0.02"}]"#;
    let world = world()
        .ready(&acme().text("additionalSpotPools", more).bool("onDemandEnabled", true))
        .await;
    assert_eq!(world.size().await.unwrap(), 6);
    world.set_size(10).await.unwrap();
    assert_eq!(world.size().await.unwrap(), 10);
    let primary = world
        .pools()
        .into_iter()
        .find(|pool| pool["spec"]["serverClass"] == "gp.vs1.medium-iad")
        .unwrap();
    assert_eq!(primary["spec"]["desired"], 7);
    world.set_size(3).await.unwrap();
    let error = world.set_size(2).await.unwrap_err().text();
    assert!(error.contains("the other pools have 3 machines"), "{error}");
    assert!(world.set_size(-1).await.is_err() && world.set_size(1_000_000).await.is_err());
}

async fn a_size_set_on_its_own_outlives_updates_that_name_no_count() {
    let world = world().ready(&acme()).await;
    world.set_size(7).await.unwrap();
    world
        .update_exactly(&Options::default().text("spot-bid-price", "0.02"))
        .await
        .unwrap();
    let spec = world.pools()[0]["spec"].clone();
    assert_eq!((&spec["desired"], &spec["bidPrice"]), (&json!(7), &json!("0.02")));
    assert_eq!(world.info.borrow().node_count, 7, "the record knows what is there");
    // Rancher names every option with every update: there its form is what counts.
    world.update(&acme().int("spotNodeCount", 3)).await.unwrap();
    assert_eq!(world.pools()[0]["spec"]["desired"], 3);
}

async fn a_changed_class_keeps_the_size_set_on_its_own() {
    let world = world().ready(&acme()).await;
    world.set_size(4).await.unwrap();
    world
        .update_exactly(&Options::default().text("spot-server-class", "gp.vs1.large-iad"))
        .await
        .unwrap();
    let large = world
        .pools()
        .into_iter()
        .find(|pool| pool["spec"]["serverClass"] == "gp.vs1.large-iad")
        .unwrap();
    assert_eq!(large["spec"]["desired"], 4);
}

async fn a_version_is_recognised_however_it_is_written() {
    for form in [VersionForm::WithV, VersionForm::WithBuild] {
        let world = World::with(Settings {
            version_form: form,
            ..Settings::default()
        })
        .ready(&acme().text("kubernetesVersion", "1.31.1"))
        .await;
        world.set_version("1.32.9").await.unwrap();
        let before = world.writes().len();
        world.set_version("v1.32.9").await.unwrap();
        world.update(&acme().text("kubernetesVersion", "1.32.9")).await.unwrap();
        assert_eq!(world.writes().len(), before);
        assert!(world.version().await.unwrap().contains("1.32.9"));
        world.update(&acme().text("kubernetesVersion", "1.33.0")).await.unwrap();
        world.post_check().await.unwrap();
    }
}

async fn an_upgrade_that_fails_is_told_long_before_the_wait_ends() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.32.9")).await;
    world.sim.set(|settings| settings.upgrades_fail = true);
    let begun = tokio::time::Instant::now();
    let error = world.set_version("1.33.0").await.unwrap_err().text();
    assert!(
        error.contains("the upgrade of cloudspace c-w467n from 1.32.9 to 1.33.0 failed"),
        "{error}"
    );
    assert!(
        begun.elapsed() < std::time::Duration::from_mins(6),
        "{:?}",
        begun.elapsed()
    );
}

async fn an_upgrade_that_meets_somebody_elses_change_is_tried_again() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.32.9")).await;
    world.fault(Fault::status(409).on("PATCH", "/cloudspaces/").times(2));
    world.set_version("1.33.0").await.unwrap();
    assert_eq!(world.version().await.unwrap(), "1.33.0");
    let error = world.set_version("1.34.2").await.unwrap_err().text();
    assert!(
        error.contains("or an update with kubernetes-version and allow-unlisted"),
        "{error}"
    );
}

async fn autoscaling_is_left_as_it_is() {
    let options = acme()
        .bool("spotAutoscalingEnabled", true)
        .int("spotAutoscalingMinNodes", 2)
        .int("spotAutoscalingMaxNodes", 5);
    let world = world().ready(&options).await;
    world.set_size(4).await.unwrap();
    let spec = world.pools()[0]["spec"].clone();
    assert_eq!(
        spec["autoscaling"],
        json!({"enabled": true, "minNodes": 2, "maxNodes": 5})
    );
    assert_eq!(spec["desired"], 4);
    let error = world.set_size(6).await.unwrap_err().text();
    assert!(error.contains("from 2 to 5"), "{error}");
}

async fn an_upgrade_is_real_and_waited_for() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.31")).await;
    assert_eq!(world.version().await.unwrap(), "1.31.1");
    world.set_version("1.32").await.unwrap();
    assert_eq!(world.version().await.unwrap(), "1.32.9");
    assert_eq!(
        world.objects("cloudspaces")[0]["status"]["currentKubernetesVersion"],
        "1.32.9"
    );
    let before = world.writes().len();
    world.set_version("1.32.9").await.unwrap();
    assert!(world.set_version("1.31.1").await.is_err() && world.set_version("latest").await.is_err());
    assert_eq!(world.writes().len(), before);
}

/// A cluster that was refused because a teammate's has its cloudspace: same cloudspace name, another mark.
async fn refused() -> World {
    let world = world();
    let theirs = acme().text("name", "C-W467N").text("kubernetesVersion", "1.32.9");
    world.create(&theirs).await.unwrap();
    *world.info.borrow_mut() = ClusterInfo::default();
    let error = world.create(&acme()).await.unwrap_err().text();
    assert!(error.contains("was not made for this cluster"), "{error}");
    // What it would take for a change.
    tokio::time::sleep(std::time::Duration::from_mins(10)).await;
    world
}

async fn a_cloudspace_that_was_refused_is_not_changed_by_any_call() {
    let world = refused().await;
    let (bought, writes, before) = (world.bought(), world.writes(), world.outgoing().len());
    for error in [
        world.set_version("1.33.0").await.unwrap_err(),
        world.set_size(5).await.unwrap_err(),
        world.update(&acme().int("spotNodeCount", 5)).await.unwrap_err(),
        world.post_check().await.unwrap_err(),
    ] {
        let text = error.text();
        assert!(
            text.contains("cloudspace c-w467n was not made for this cluster and is left alone")
                && text.contains("create it under another name"),
            "{text}"
        );
        assert_eq!(error.class(), kit::Class::Conflict);
    }
    assert_eq!(world.writes(), writes);
    assert_eq!(world.bought(), bought);
    let sent = world.outgoing().split_off(before);
    let hosts: Vec<String> = sent.into_iter().map(|request| request.host).collect();
    assert!(
        hosts.iter().all(|host| host == API_HOST || host == LOGIN_HOST),
        "nothing is made in the cluster: {hosts:?}"
    );
    // The way out that the error names.
    world.remove().await.unwrap();
    assert_eq!(world.bought(), bought);
}

async fn a_cloudspace_whose_mark_is_gone_is_neither_scaled_nor_upgraded_nor_entered() {
    let world = world().ready(&acme().text("kubernetesVersion", "1.32.9")).await;
    let mut state = world.sim.state();
    let first = match &mut state["cloudspaces"] {
        serde_json::Value::Array(list) => &mut list[0],
        other => other.as_object_mut().unwrap().values_mut().next().unwrap(),
    };
    first["metadata"]["annotations"] = json!({});
    world.sim.replace(state).unwrap();
    let writes = world.writes();
    for error in [
        world.set_version("1.33.0").await.unwrap_err(),
        world.set_size(5).await.unwrap_err(),
        world.post_check().await.unwrap_err(),
    ] {
        let text = error.text();
        assert!(
            text.contains("does not carry the mark") && text.contains("put the annotation back"),
            "{text}"
        );
    }
    assert_eq!(world.writes(), writes);
}

async fn an_imported_cloudspace_is_scaled_and_upgraded_whatever_its_mark() {
    let world = world();
    let theirs = acme().text("name", "theirs").text("kubernetesVersion", "1.32.9");
    world.create(&theirs).await.unwrap();
    *world.info.borrow_mut() = ClusterInfo::default();
    let import = acme()
        .without("rackspaceSpotRegion")
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", "theirs");
    world.create(&import).await.unwrap();
    world.post_check().await.unwrap();
    world.set_size(5).await.unwrap();
    world.set_version("1.33.0").await.unwrap();
    assert_eq!(
        (world.size().await.unwrap(), world.version().await.unwrap().as_str()),
        (5, "1.33.0")
    );
}

scenarios![
    a_cloudspace_that_was_refused_is_not_changed_by_any_call,
    a_cloudspace_whose_mark_is_gone_is_neither_scaled_nor_upgraded_nor_entered,
    an_imported_cloudspace_is_scaled_and_upgraded_whatever_its_mark,
    the_size_is_the_total_and_the_primary_pool_makes_the_difference,
    a_size_set_on_its_own_outlives_updates_that_name_no_count,
    a_changed_class_keeps_the_size_set_on_its_own,
    a_version_is_recognised_however_it_is_written,
    an_upgrade_that_fails_is_told_long_before_the_wait_ends,
    an_upgrade_that_meets_somebody_elses_change_is_tried_again,
    autoscaling_is_left_as_it_is,
    an_upgrade_is_real_and_waited_for,
];
