use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::resource::Resource;
use crate::seed::ACME_NAMESPACE;
use crate::settings::{Ladder, Settings};
use crate::world::{World, plus};

const POOL: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11";
const OTHER: &str = "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a12";

fn world(settings: Settings) -> World {
    let mut world = World::new(1, settings, "2026-01-01T00:00:00Z".parse().unwrap());
    world
        .create(Resource::CloudSpace, ACME_NAMESPACE, cloudspace("here", json!({})))
        .unwrap();
    world
}

fn with(mut object: Value, change: &Value) -> Value {
    json_patch::merge(&mut object, change);
    object
}

/// An object that has only a spec.
fn of_spec(spec: Value) -> Value {
    Value::Object([("spec".to_owned(), spec)].into_iter().collect())
}

fn cloudspace(name: &str, spec: Value) -> Value {
    let object = json!({
        "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": name},
        "spec": {
            "deploymentType": "gen2", "cloud": "default", "region": "us-east-iad-1", "webhook": "", "cni": "calico",
            "kubernetesVersion": "1.31.1", "HAControlPlane": false, "gpuEnabled": false,
        },
    });
    with(object, &of_spec(spec))
}

fn spot(name: &str, spec: Value) -> Value {
    let object = json!({
        "apiVersion": "ngpc.rxt.io/v1", "kind": "SpotNodePool", "metadata": {"name": name},
        "spec": {
            "serverClass": "gp.vs1.medium-iad", "desired": 3, "bidPrice": "0.01", "cloudSpace": "here",
            "autoscaling": {"enabled": false, "minNodes": 0, "maxNodes": 0},
        },
    });
    with(object, &of_spec(spec))
}

fn on_demand(name: &str, spec: Value) -> Value {
    let object = json!({
        "apiVersion": "ngpc.rxt.io/v1", "kind": "OnDemandNodePool", "metadata": {"name": name},
        "spec": {"serverClass": "gp.vs1.medium-iad", "desired": 1, "cloudSpace": "here"},
    });
    with(object, &of_spec(spec))
}

fn refused(result: Result<Value, Failure>) -> (u16, String) {
    let failure = result.expect_err("it must be refused");
    (failure.code, failure.message().to_owned())
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
    and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

#[test]
fn cloudspaces_that_break_a_rule_are_refused_with_its_words() {
    let denied = |why: &str| format!("admission webhook \"vcloudspace.kb.io\" denied the request: {why}");
    let invalid = |name: &str, why: &str| format!("CloudSpace.ngpc.rxt.io \"{name}\" is invalid: {why}");
    let long = "a".repeat(64);
    for (name, spec, code, message) in [
        (
            "Bad_Name",
            json!({}),
            422,
            invalid(
                "Bad_Name",
                &format!("metadata.name: Invalid value: \"Bad_Name\": {LABEL}"),
            ),
        ),
        (
            "end-",
            json!({}),
            422,
            invalid("end-", &format!("metadata.name: Invalid value: \"end-\": {LABEL}")),
        ),
        (
            &long,
            json!({}),
            422,
            invalid(
                &long,
                &format!("metadata.name: Invalid value: \"{long}\": must be no more than 63 characters"),
            ),
        ),
        (
            "here",
            json!({}),
            409,
            "cloudspaces.ngpc.rxt.io \"here\" already exists".to_owned(),
        ),
        (
            "x",
            json!({"region": "mars"}),
            403,
            denied("region \"mars\" does not exist"),
        ),
        (
            "x",
            json!({"kubernetesVersion": "1.28.0"}),
            403,
            denied(
                "kubernetesVersion \"1.28.0\" is not supported, supported versions: 1.33.0, 1.32.9, 1.31.1, 1.30.10, 1.29.6",
            ),
        ),
        (
            "x",
            json!({"cni": "flannel"}),
            422,
            invalid(
                "x",
                "spec.cni: Unsupported value: \"flannel\": supported values: \"calico\", \"cilium\", \"byocni\"",
            ),
        ),
        (
            "x",
            json!({"deploymentType": "spot"}),
            422,
            invalid(
                "x",
                "spec.deploymentType: Unsupported value: \"spot\": supported values: \"gen1\", \"gen2\"",
            ),
        ),
        (
            "x",
            json!({"deploymentType": "gen1"}),
            403,
            denied("deploymentType gen1 is not allowed for new cloudspaces"),
        ),
        (
            "x",
            json!({"HAControlPlane": "yes", "region": null}),
            422,
            invalid(
                "x",
                "[spec.region: Required value, spec.HAControlPlane: Invalid value: \"string\": spec.HAControlPlane in body \
                 must be of type boolean: \"string\"]",
            ),
        ),
    ] {
        let mut world = world(Settings::default());
        let result = world.create(Resource::CloudSpace, ACME_NAMESPACE, cloudspace(name, spec));
        assert_eq!(refused(result), (code, message));
        assert_eq!(world.cloudspaces.len(), 1);
    }
}

#[test]
fn changes_of_a_cloudspace_that_break_a_rule_are_refused_with_its_words() {
    let denied = |why: &str| format!("admission webhook \"vcloudspace.kb.io\" denied the request: {why}");
    for (spec, code, message) in [
        (json!({"region": "uk-lon-1"}), 403, denied("region is immutable")),
        (json!({"cni": "cilium"}), 403, denied("cni is immutable")),
        (
            json!({"deploymentType": "gen1"}),
            422,
            "CloudSpace.ngpc.rxt.io \"here\" is invalid: spec: Invalid value: \"object\": update to the deploymentType not \
             allowed"
                .to_owned(),
        ),
        (
            json!({"kubernetesVersion": "1.30.10"}),
            403,
            denied("kubernetesVersion cannot be downgraded from 1.31.1 to 1.30.10"),
        ),
        (json!({"kubernetesVersion": "1.99.0"}), 403, denied(
            "kubernetesVersion \"1.99.0\" is not supported, supported versions: 1.33.0, 1.32.9, 1.31.1, 1.30.10, 1.29.6",
        )),
    ] {
        let mut world = world(Settings::default());
        let before = world.cloudspaces.clone();
        let result = world.change(Resource::CloudSpace, &format!("{ACME_NAMESPACE}/here"), |object| {
            json_patch::merge(object, &json!({ "spec": spec }));
            Ok(())
        });
        assert_eq!(refused(result), (code, message));
        assert_eq!(world.cloudspaces, before);
    }
}

#[test]
fn pools_that_break_a_rule_are_refused_with_its_words() {
    let denied = |why: &str| format!("admission webhook \"vspotnodepool.kb.io\" denied the request: {why}");
    let invalid = |why: &str| format!("SpotNodePool.ngpc.rxt.io \"{POOL}\" is invalid: {why}");
    let price =
        "spec.bidPrice: Invalid value: \"string\": bidPrice can only be a positive number up to three decimal places";
    let upper = POOL.to_uppercase();
    for (name, spec, code, message) in [
        (
            upper.as_str(),
            json!({}),
            403,
            denied(&format!("name \"{upper}\" must be a lowercase UUID")),
        ),
        (
            "pool-1",
            json!({}),
            403,
            denied("name \"pool-1\" must be a lowercase UUID"),
        ),
        (
            POOL,
            json!({"cloudSpace": "there"}),
            403,
            denied("cloudSpace \"there\" does not exist"),
        ),
        (
            POOL,
            json!({"serverClass": "gp.x"}),
            403,
            denied("serverClass \"gp.x\" does not exist"),
        ),
        (
            POOL,
            json!({"serverClass": "gp.vs1.small-iad"}),
            403,
            denied("serverClass \"gp.vs1.small-iad\" is deprecated"),
        ),
        (
            POOL,
            json!({"serverClass": "gp.vs1.medium-lon"}),
            403,
            denied(
                "serverClass \"gp.vs1.medium-lon\" is in region uk-lon-1, cloudSpace \"here\" is in region us-east-iad-1",
            ),
        ),
        (POOL, json!({"bidPrice": "$0.01"}), 422, invalid(price)),
        (POOL, json!({"bidPrice": ".05"}), 422, invalid(price)),
        (POOL, json!({"bidPrice": "0.0001"}), 422, invalid(price)),
        (POOL, json!({"bidPrice": "abc"}), 422, invalid(price)),
        (POOL, json!({"bidPrice": "-1"}), 422, invalid(price)),
        (
            POOL,
            json!({"bidPrice": "0.001"}),
            403,
            denied("BidPrice must be greater than or equal to the minimum bid price of 0.01"),
        ),
        (
            POOL,
            json!({"bidPrice": "0.05"}),
            403,
            denied("bid price 0.05 is not on the bid ladder"),
        ),
        (
            POOL,
            json!({"bidPrice": "0.50"}),
            403,
            denied("bid price 0.50 is not on the bid ladder"),
        ),
        (
            POOL,
            json!({"desired": null}),
            422,
            invalid("spec.desired: Required value"),
        ),
        (
            POOL,
            json!({"desired": -1}),
            403,
            denied("desired must not be negative"),
        ),
        (
            POOL,
            json!({"desired": "3"}),
            422,
            invalid(
                "spec.desired: Invalid value: \"string\": spec.desired in body must be of type integer: \"string\"",
            ),
        ),
        (
            POOL,
            json!({"autoscaling": {"enabled": true, "minNodes": null, "maxNodes": 3}}),
            403,
            denied("autoscaling needs minNodes and maxNodes of at least 1"),
        ),
        (
            POOL,
            json!({"autoscaling": {"enabled": true, "minNodes": 3, "maxNodes": 2}}),
            403,
            denied("autoscaling maxNodes (2) must not be less than minNodes (3)"),
        ),
        (
            POOL,
            json!({"autoscaling": {"enabled": true, "minNodes": 1, "maxNodes": 3}}),
            403,
            denied(&format!(
                "only one SpotNodePool with autoscaling enabled is allowed per cloudspace, {OTHER} has it"
            )),
        ),
        (
            POOL,
            json!({"customTaints": [{"key": "a", "effect": "Never"}]}),
            422,
            invalid(
                "spec.customTaints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \
                 \"PreferNoSchedule\", \"NoExecute\"",
            ),
        ),
    ] {
        let mut world = world(Settings::default());
        let scaling = json!({"autoscaling": {"enabled": true, "minNodes": 1, "maxNodes": 3}});
        world
            .create(Resource::SpotNodePool, ACME_NAMESPACE, spot(OTHER, scaling))
            .unwrap();
        let result = world.create(Resource::SpotNodePool, ACME_NAMESPACE, spot(name, spec));
        assert_eq!(refused(result), (code, message));
        assert_eq!(world.spotnodepools.len(), 1);
    }
}

#[test]
fn a_pool_keeps_its_cloudspace_and_class_and_may_keep_a_bid_that_left_the_ladder() {
    let mut world = world(Settings {
        ladder: Ladder::Off,
        ..Settings::default()
    });
    world
        .create(
            Resource::SpotNodePool,
            ACME_NAMESPACE,
            spot(POOL, json!({"bidPrice": "0.05"})),
        )
        .unwrap();
    world.settings.ladder = Ladder::July2026;
    let key = format!("{ACME_NAMESPACE}/{POOL}");
    let mut change = |spec: Value| {
        world.change(Resource::SpotNodePool, &key, |object| {
            json_patch::merge(object, &json!({ "spec": spec }));
            Ok(())
        })
    };
    let denied = |why: &str| {
        (
            403,
            format!("admission webhook \"vspotnodepool.kb.io\" denied the request: {why}"),
        )
    };
    assert_eq!(
        refused(change(json!({"serverClass": "gp.vs1.large-iad"}))),
        denied("serverClass is immutable")
    );
    assert_eq!(
        refused(change(json!({"cloudSpace": "there"}))),
        denied("cloudSpace is immutable")
    );
    assert_eq!(
        refused(change(json!({"bidPrice": "0.07"}))),
        denied("bid price 0.07 is not on the bid ladder")
    );
    assert_eq!(change(json!({"desired": 4})).unwrap()["spec"]["desired"], 4);
}

#[test]
fn on_demand_pools_have_no_price_and_no_autoscaling_and_may_be_named_by_the_server() {
    let mut world = world(Settings::default());
    let autoscaling = json!({"autoscaling": {"enabled": true}, "bidPrice": "0.01"});
    let pool = world
        .create(Resource::OnDemandNodePool, ACME_NAMESPACE, on_demand(POOL, autoscaling))
        .unwrap();
    assert_eq!(
        pool["spec"],
        json!({"serverClass": "gp.vs1.medium-iad", "desired": 1, "cloudSpace": "here"})
    );
    let unnamed = with(on_demand("", json!({})), &json!({"metadata": {"name": null}}));
    let pool = world
        .create(Resource::OnDemandNodePool, ACME_NAMESPACE, unnamed)
        .unwrap();
    assert_eq!(pool["metadata"]["name"].as_str().unwrap().len(), 36);
    let result = world.create(Resource::OnDemandNodePool, ACME_NAMESPACE, on_demand("pool", json!({})));
    let why =
        "admission webhook \"vondemandnodepool.kb.io\" denied the request: name \"pool\" must be a lowercase UUID";
    assert_eq!(refused(result), (403, why.to_owned()));
}

#[test]
fn settings_change_what_is_refused_and_how() {
    let settings = Settings {
        denial_code: 400,
        billing_code: 402,
        desired_zero: false,
        ..Settings::default()
    };
    let mut world = world(settings);
    let (code, _) = refused(world.create(Resource::SpotNodePool, ACME_NAMESPACE, spot("pool", json!({}))));
    assert_eq!(code, 400);
    let (code, message) = refused(world.create(
        Resource::SpotNodePool,
        ACME_NAMESPACE,
        spot(POOL, json!({"desired": 0})),
    ));
    assert_eq!((code, message.contains("desired must be at least 1")), (400, true));
    let poor = "org-poor0003";
    world
        .create(Resource::CloudSpace, poor, cloudspace("here", json!({})))
        .unwrap();
    let (code, message) = refused(world.create(Resource::SpotNodePool, poor, spot(POOL, json!({}))));
    assert_eq!(
        (
            code,
            message.contains("billing is not enabled for organization \"penniless\"")
        ),
        (402, true)
    );

    world.settings.ladder = Ladder::ThreeDecimals;
    world
        .create(
            Resource::SpotNodePool,
            ACME_NAMESPACE,
            spot(POOL, json!({"bidPrice": "0.055"})),
        )
        .unwrap();
}

#[test]
fn nothing_can_be_put_into_a_cloudspace_that_is_being_deleted() {
    let mut world = world(Settings::default());
    let key = format!("{ACME_NAMESPACE}/here");
    world.delete(Resource::CloudSpace, &key, None).unwrap();
    let (code, message) = refused(world.create(Resource::SpotNodePool, ACME_NAMESPACE, spot(POOL, json!({}))));
    assert_eq!(
        (code, message.ends_with("cloudSpace \"here\" is being deleted")),
        (403, true)
    );
    let again = refused(world.create(Resource::CloudSpace, ACME_NAMESPACE, cloudspace("here", json!({}))));
    let why = "object is being deleted: cloudspaces.ngpc.rxt.io \"here\" already exists";
    assert_eq!(again, (409, why.to_owned()));
}

#[test]
fn an_autoscaler_on_its_way_out_counts_only_when_told_to() {
    let scaling = json!({"autoscaling": {"enabled": true, "minNodes": 1, "maxNodes": 3}});
    for counts in [false, true] {
        let mut world = world(Settings {
            count_deleting_autoscalers: counts,
            ..Settings::default()
        });
        world
            .create(Resource::SpotNodePool, ACME_NAMESPACE, spot(OTHER, scaling.clone()))
            .unwrap();
        world
            .delete(Resource::SpotNodePool, &format!("{ACME_NAMESPACE}/{OTHER}"), None)
            .unwrap();
        let created = world.create(Resource::SpotNodePool, ACME_NAMESPACE, spot(POOL, scaling.clone()));
        assert_eq!(created.is_err(), counts);
        world.settle(plus(world.now, Duration::from_secs(5)));
        assert!(!world.spotnodepools.contains_key(&format!("{ACME_NAMESPACE}/{OTHER}")));
    }
}

#[test]
fn unknown_fields_are_dropped_and_the_servers_own_are_the_servers() {
    let mut world = world(Settings::default());
    let wild = with(
        cloudspace(
            "wild",
            json!({"gpuEnabled": true, "colour": "red", "networks": [{"name": "n", "x": 1}]}),
        ),
        &json!({"status": {"phase": "Ready"}, "extra": 1, "metadata": {"uid": "mine", "labels": {"a": "b"}}}),
    );
    let stored = world.create(Resource::CloudSpace, ACME_NAMESPACE, wild).unwrap();
    assert_eq!(stored["spec"].get("gpuEnabled"), None);
    assert_eq!(stored["spec"].get("colour"), None);
    assert_eq!(stored["spec"]["networks"], json!([{"name": "n"}]));
    assert_eq!(stored["status"], json!({}));
    assert_eq!(stored.get("extra"), None);
    assert_ne!(stored["metadata"]["uid"], "mine");
    assert_eq!(stored["metadata"]["labels"], json!({"a": "b"}));
}
