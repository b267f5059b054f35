//! Removing: what goes, what stays, and what is said when it cannot be told.

use std::time::Duration;

use cloud_sim::{Action, Fault};
use kontainer_engine::ClusterInfo;
use serde_json::{Value, json};

use crate::create::foreign_pool;
use crate::harness::{World, acme, world};

fn nothing() -> Value {
    json!({"cloudspaces": [], "spotnodepools": [], "ondemandnodepools": []})
}

async fn everything_goes_and_twice_is_once() {
    for cascade in [true, false] {
        let world = world().ready(&acme().bool("onDemandEnabled", true)).await;
        world.sim.set(|settings| settings.cascade = cascade);
        world.remove().await.unwrap();
        assert_eq!(world.bought(), nothing());
        let before = world.writes().len();
        world.remove().await.unwrap();
        assert_eq!(world.writes().len(), before);
    }
}

async fn every_way_to_answer_a_deletion_is_understood() {
    use rackspace_spot_sim::DeleteAnswer;
    for answer in [DeleteAnswer::Status, DeleteAnswer::Object, DeleteAnswer::Empty] {
        let world = world().ready(&acme()).await;
        world.sim.set(|settings| settings.delete_answer = answer);
        world.remove().await.unwrap();
        assert_eq!(world.bought(), nothing());
    }
}

async fn what_will_not_go_is_said_to_be_still_deleting() {
    let world = world().ready(&acme()).await;
    world.sim.set(|settings| settings.stuck_finalizers = true);
    let begun = tokio::time::Instant::now();
    let error = world.remove().await.unwrap_err().text();
    assert!(error.contains("still deleting after 10m0s"), "{error}");
    assert!(begun.elapsed() < Duration::from_mins(12));
}

async fn a_page_that_is_not_there_does_not_mean_the_cluster_is_gone() {
    let world = world().ready(&acme()).await;
    world.fault(
        Fault::status(404)
            .body("<html>404 not found</html>")
            .on("GET", "/cloudspaces/")
            .always(),
    );
    world.remove().await.unwrap_err();
    assert_eq!(world.objects("cloudspaces").len(), 1);
}

async fn a_cluster_whose_state_is_lost_is_found_by_mark_and_endpoint() {
    let world = world().ready(&acme()).await;
    world.create_with(&acme().text("name", "other"), None).await.unwrap();
    let lost = ClusterInfo {
        metadata: std::collections::BTreeMap::default(),
        ..world.info.borrow().clone()
    };
    // The record of the other cluster has no endpoint yet: there is nothing to tell it by.
    *world.info.borrow_mut() = lost;
    let error = world.remove().await.unwrap_err().text();
    assert!(
        error.contains("nothing was deleted") && error.contains("roadstead.dev/owner"),
        "{error}"
    );
    let endpoint = world
        .objects("cloudspaces")
        .iter()
        .find(|space| space["metadata"]["name"] == "c-w467n")
        .and_then(|space| space["status"]["APIServerEndpoint"].as_str().map(str::to_owned))
        .unwrap();
    world.info.borrow_mut().endpoint = format!("https://{endpoint}");
    world.remove().await.unwrap();
    let left = world.objects("cloudspaces");
    assert_eq!((left.len(), &left[0]["metadata"]["name"]), (1, &json!("other")));
}

async fn a_record_without_anything_says_what_to_do() {
    let world = world();
    let error = world.remove().await.unwrap_err().text();
    assert!(
        error.contains("create the cluster again with the same name and options") && error.contains("then remove it"),
        "{error}"
    );
    // It is true: what an attempt made whose record is lost goes this way.
    world.create(&acme()).await.unwrap();
    *world.info.borrow_mut() = ClusterInfo::default();
    world.remove().await.unwrap_err();
    world.create(&acme()).await.unwrap();
    world.remove().await.unwrap();
    assert_eq!(world.bought(), nothing());
}

async fn a_creation_refused_at_once_leaves_nothing_to_remove() {
    for options in [
        acme().without("name"),
        acme().without("rackspaceSpotRefreshToken"),
        acme().without("rackspaceSpotOrganization"),
        acme().text("name", "---"),
        acme()
            .text("spotNodeCount", "many")
            .without("rackspaceSpotRefreshToken"),
    ] {
        let world = world();
        world.create(&options).await.unwrap_err();
        world.remove().await.unwrap();
        assert_eq!(world.outgoing().len(), 0, "nobody was asked");
        // Going on from it is creating from the start.
        world.create(&acme()).await.unwrap();
        world.post_check().await.unwrap();
        world.remove().await.unwrap();
        assert_eq!(world.bought(), nothing());
    }
}

async fn a_creation_refused_for_other_reasons_is_looked_for_and_not_found() {
    for options in [
        acme().without("rackspaceSpotRegion"),
        acme().text("spotNodeCount", "many"),
        acme().text("cni", "flannel"),
    ] {
        let world = world();
        world.create(&options).await.unwrap_err();
        world.remove().await.unwrap();
        assert_eq!(world.writes(), Vec::<String>::new());
    }
    // An earlier attempt may have made it, and lost its record.
    let world = world();
    world.create(&acme()).await.unwrap();
    *world.info.borrow_mut() = ClusterInfo::default();
    world.create(&acme().text("cni", "flannel")).await.unwrap_err();
    world.remove().await.unwrap();
    assert_eq!(world.objects("cloudspaces").len(), 0);
}

async fn a_refusal_forgets_nothing_of_an_earlier_attempt() {
    let world = world();
    world.create(&acme()).await.unwrap();
    let before = world.info.borrow().clone();
    world.create(&acme().text("cni", "flannel")).await.unwrap_err();
    world.create(&acme().without("rackspaceSpotRegion")).await.unwrap_err();
    assert_eq!(*world.info.borrow(), before);
}

async fn credentials_that_never_worked_say_what_to_do() {
    let world = world();
    world
        .create(&acme().text("rackspaceSpotOrganization", "acne"))
        .await
        .unwrap_err();
    let error = world.remove().await.unwrap_err().text();
    assert!(
        error.contains("create the cluster again with credentials and an organization that work")
            && error.contains("organization \"acne\" was not found"),
        "{error}"
    );
}

async fn a_cloudspace_whose_mark_is_gone_is_left_alone_loudly() {
    let world = world().ready(&acme()).await;
    let mut state = world.sim.state();
    let spaces = &mut state["cloudspaces"];
    let first = match spaces {
        Value::Array(list) => &mut list[0],
        other => other.as_object_mut().unwrap().values_mut().next().unwrap(),
    };
    first["metadata"]["annotations"] = json!({});
    world.sim.replace(state).unwrap();
    let error = world.remove().await.unwrap_err().text();
    assert!(error.contains("does not carry the mark"), "{error}");
    assert_eq!(world.objects("cloudspaces").len(), 1);
}

async fn pools_of_others_are_not_deleted_one_by_one() {
    let world = world().ready(&acme()).await;
    foreign_pool(&world, "c-w467n", "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11").await;
    world.remove().await.unwrap();
    let deleted: Vec<String> = world
        .outgoing()
        .iter()
        .filter(|request| request.method == "DELETE")
        .map(|request| request.path.clone())
        .collect();
    assert!(!deleted.iter().any(|path| path.contains("5b0c2f0e")), "{deleted:?}");
}

async fn a_deletion_that_was_cut_short_goes_on() {
    let world: World = world().ready(&acme()).await;
    world.fault(Fault::new(Action::DropAfter).on("DELETE", "spotnodepools").times(20));
    world.remove().await.unwrap_err();
    world.sim.front().clear_faults();
    world.remove().await.unwrap();
    assert_eq!(world.bought(), nothing());
}

scenarios![
    everything_goes_and_twice_is_once,
    every_way_to_answer_a_deletion_is_understood,
    what_will_not_go_is_said_to_be_still_deleting,
    a_page_that_is_not_there_does_not_mean_the_cluster_is_gone,
    a_cluster_whose_state_is_lost_is_found_by_mark_and_endpoint,
    a_record_without_anything_says_what_to_do,
    a_creation_refused_at_once_leaves_nothing_to_remove,
    a_creation_refused_for_other_reasons_is_looked_for_and_not_found,
    a_refusal_forgets_nothing_of_an_earlier_attempt,
    credentials_that_never_worked_say_what_to_do,
    a_cloudspace_whose_mark_is_gone_is_left_alone_loudly,
    pools_of_others_are_not_deleted_one_by_one,
    a_deletion_that_was_cut_short_goes_on,
];
