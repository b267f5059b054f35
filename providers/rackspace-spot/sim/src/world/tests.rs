use serde_json::json;

use super::*;
use crate::seed::ACME_NAMESPACE;
use crate::settings::{ErrorPhase, Market, VersionForm};

const A: &str = "00000000-0000-4000-8000-00000000000a";
const B: &str = "00000000-0000-4000-8000-00000000000b";

/// A world with a cloudspace `c`, a second after its start.
struct Scene(World);

impl Scene {
    fn new(settings: Settings) -> Self {
        let mut scene = Self(World::new(1, settings, "2026-01-01T00:00:00Z".parse().unwrap()));
        scene.at(1);
        let object = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": "c"},
            "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.31.1", "webhook": "http://127.0.0.1:1/hook"},
        });
        scene.0.create(Resource::CloudSpace, ACME_NAMESPACE, object).unwrap();
        scene
    }

    /// Moves to this many seconds after the start.
    fn at(&mut self, seconds: u64) -> &mut Self {
        self.0.settle(plus(self.0.epoch, Duration::from_secs(seconds)));
        self
    }

    fn pool(&mut self, name: &str, bid: &str, desired: u64) -> &mut Self {
        let object = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "SpotNodePool", "metadata": {"name": name},
            "spec": {"serverClass": "gp.vs1.medium-iad", "desired": desired, "bidPrice": bid, "cloudSpace": "c"},
        });
        self.0.create(Resource::SpotNodePool, ACME_NAMESPACE, object).unwrap();
        self
    }

    fn on_demand(&mut self, name: &str, desired: u64) {
        let object = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "OnDemandNodePool", "metadata": {"name": name},
            "spec": {"serverClass": "gp.vs1.medium-iad", "desired": desired, "cloudSpace": "c"},
        });
        self.0
            .create(Resource::OnDemandNodePool, ACME_NAMESPACE, object)
            .unwrap();
    }

    fn change(&mut self, resource: Resource, name: &str, spec: &Value) {
        let changed = self.0.change(resource, &key(name), |object| {
            json_patch::merge(object, &json!({ "spec": spec }));
            Ok(())
        });
        changed.unwrap();
    }

    fn delete(&mut self, resource: Resource, name: &str) -> &mut Self {
        self.0.delete(resource, &key(name), None).unwrap();
        self
    }

    fn price(&mut self, price: &str) -> &mut Self {
        self.0.settings.market.insert("*".into(), Market::Fixed(price.into()));
        self
    }

    fn status(&self, pointer: &str) -> Value {
        self.0
            .cloudspaces
            .get(&key("c"))
            .and_then(|c| c["status"].pointer(pointer))
            .cloned()
            .unwrap_or_default()
    }

    fn phase(&self) -> String {
        self.status("/phase").as_str().unwrap_or("gone").to_owned()
    }

    fn spot(&self, name: &str) -> (String, u64) {
        let status = &self.0.spotnodepools[&key(name)]["status"];
        (
            status["bidStatus"].as_str().unwrap().to_owned(),
            status["wonCount"].as_u64().unwrap(),
        )
    }
}

fn key(name: &str) -> String {
    format!("{ACME_NAMESPACE}/{name}")
}

#[test]
fn a_cloudspace_comes_up_and_wins_its_nodes() {
    let mut scene = Scene::new(Settings::default());
    assert_eq!(scene.phase(), "");
    scene.pool(A, "0.01", 3);
    assert_eq!(scene.spot(A), ("Pending".into(), 0));
    assert_eq!(scene.at(2).phase(), "Provisioning");
    assert_eq!(scene.at(29).spot(A), ("Pending".into(), 0));
    assert_eq!(scene.at(30).spot(A), ("Fulfilled".into(), 3));
    assert_eq!(scene.at(90).phase(), "Provisioning");
    assert_eq!(scene.status("/APIServerEndpoint"), Value::Null);
    assert_eq!(scene.at(91).phase(), "Ready");
    let endpoint = scene.status("/APIServerEndpoint");
    assert!(endpoint.as_str().unwrap().starts_with("c-") && endpoint.as_str().unwrap().ends_with(".spot.sim"));
    assert_eq!(scene.status("/currentKubernetesVersion"), "1.31.1");
    assert_eq!(scene.status("/firstReadyTimestamp"), "2026-01-01T00:01:31Z");
    assert_eq!(scene.status("/health"), "Healthy");
    assert_eq!(scene.status("/assignedServers").as_object().unwrap().len(), 3);
    assert_eq!(
        scene.status("/bids"),
        json!({A: {"bidName": A, "type": "spot", "wonCount": 3}})
    );
    assert_eq!(scene.status("/conditions/0/status"), "True");
    assert_eq!(scene.0.cloudspaces[&key("c")]["spec"]["bidRequests"], json!([A]));
}

#[test]
fn without_pools_a_cloudspace_is_ready_a_little_after_it_is_up() {
    let mut scene = Scene::new(Settings::default());
    assert_eq!(scene.at(100).phase(), "Provisioning");
    assert_eq!(scene.at(101).phase(), "Ready");
    assert_eq!(scene.status("/health"), "Unhealthy");
}

#[test]
fn a_bid_below_the_market_never_wins_and_one_above_it_does() {
    let mut scene = Scene::new(Settings::default());
    scene.price("0.02").pool(A, "0.01", 2).at(120);
    assert_eq!(
        (scene.phase(), scene.spot(A)),
        ("NoWinningBids".into(), ("Lost".into(), 0))
    );
    assert_eq!(scene.status("/pendingAllocations")[A]["count"], 2);
    scene.change(Resource::SpotNodePool, A, &json!({"bidPrice": "0.02"}));
    assert_eq!(scene.at(149).phase(), "NoWinningBids");
    assert_eq!(
        (scene.at(150).phase(), scene.spot(A)),
        ("Ready".into(), ("Fulfilled".into(), 2))
    );
}

#[test]
fn the_highest_bid_is_served_first_when_machines_run_out() {
    let mut scene = Scene::new(Settings::default());
    scene.0.serverclasses.get_mut("gp.vs1.medium-iad").unwrap()["status"]["capacity"] = 3.into();
    scene.pool(A, "0.01", 2).pool(B, "0.02", 2).at(30);
    assert_eq!(scene.spot(B), ("Fulfilled".into(), 2));
    assert_eq!(scene.spot(A), ("Pending".into(), 1));
    scene.delete(Resource::SpotNodePool, B).at(60);
    assert_eq!(scene.spot(A), ("Fulfilled".into(), 2));
}

#[test]
fn a_rise_of_the_market_takes_nodes_away_after_six_minutes_and_gives_notice() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 2).at(100).price("0.02").at(120);
    assert_eq!(scene.spot(A), ("Lost".into(), 0));
    assert_eq!((scene.phase(), scene.0.servers.len()), ("NoWinningBids".into(), 2));
    let names: Vec<String> = scene.0.servers.values().map(|server| server.name.clone()).collect();
    let [notice] = scene.0.notices.as_slice() else {
        panic!("one notice for one pool")
    };
    assert_eq!(notice.url, "http://127.0.0.1:1/hook");
    assert_eq!(notice.body["terminationTime"], "2026-01-01T00:08:00Z");
    let mut told: Vec<String> = serde_json::from_value(notice.body["nodes"].clone()).unwrap();
    told.sort();
    let mut expected = names;
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(scene.at(479).0.servers.len(), 2);
    assert_eq!(scene.at(480).0.servers.len(), 0);
    assert_eq!(scene.0.notices.len(), 1, "notice is given once");
    scene.price("0.001").at(510);
    assert_eq!(
        (scene.phase(), scene.spot(A)),
        ("Ready".into(), ("Fulfilled".into(), 2))
    );
}

#[test]
fn pools_follow_what_is_desired_and_autoscaling_ones_the_load() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 3).at(30);
    let oldest = scene.0.servers.len();
    scene.change(Resource::SpotNodePool, A, &json!({"desired": 1}));
    assert_eq!((oldest, scene.at(60).spot(A)), (3, ("Fulfilled".into(), 1)));
    let scaling = json!({"autoscaling": {"enabled": true, "minNodes": 2, "maxNodes": 4}});
    scene.change(Resource::SpotNodePool, A, &scaling);
    assert_eq!(scene.spot(A), ("Pending".into(), 1));
    assert_eq!(scene.at(90).spot(A).1, 2, "the minimum, not what is desired");
    for (load, expected, at) in [(3, 3, 120), (9, 4, 150), (0, 2, 180)] {
        scene.0.settings.load.insert("c".into(), load);
        assert_eq!(scene.at(at).spot(A).1, expected);
    }
}

#[test]
fn on_demand_machines_are_reserved_without_an_auction() {
    let mut scene = Scene::new(Settings::default());
    scene.on_demand(B, 2);
    let status = |scene: &Scene| scene.0.ondemandnodepools[&key(B)]["status"].clone();
    assert_eq!(status(&scene), json!({"reservedStatus": "Pending", "reservedCount": 0}));
    scene.at(20);
    assert_eq!(status(&scene)["reservedCount"], 0);
    scene.at(21);
    assert_eq!(
        status(&scene),
        json!({"reservedStatus": "Reserved", "reservedCount": 2})
    );
    assert_eq!(scene.at(91).phase(), "Ready");
    scene.change(Resource::OnDemandNodePool, B, &json!({"desired": 0}));
    assert_eq!(status(&scene)["reservedStatus"], "Pending");
    scene.at(120);
    assert_eq!(
        status(&scene),
        json!({"reservedStatus": "Reserved", "reservedCount": 0})
    );
}

#[test]
fn an_upgrade_goes_through_its_phases() {
    let mut scene = Scene::new(Settings::default());
    scene.at(200);
    scene.change(Resource::CloudSpace, "c", &json!({"kubernetesVersion": "1.32.9"}));
    let seen = |scene: &Scene| {
        let version = scene.status("/currentKubernetesVersion").as_str().unwrap().to_owned();
        (
            scene.phase(),
            scene.status("/upgradePhase").as_str().unwrap().to_owned(),
            version,
        )
    };
    let expect = |phase: &str, upgrade: &str, version: &str| (phase.to_owned(), upgrade.to_owned(), version.to_owned());
    assert_eq!(seen(&scene), expect("Upgrading", "Pending", "1.31.1"));
    assert_eq!(seen(scene.at(212)), expect("Upgrading", "InProgress", "1.31.1"));
    assert_eq!(seen(scene.at(319)), expect("Upgrading", "InProgress", "1.31.1"));
    assert_eq!(seen(scene.at(320)), expect("Ready", "Completed", "1.32.9"));
}

#[test]
fn the_version_that_runs_is_written_in_the_form_that_is_set() {
    for (form, first, second) in [
        (VersionForm::WithV, "v1.31.1", "v1.32.9"),
        (VersionForm::WithBuild, "1.31.1+rackspace.1", "1.32.9+rackspace.1"),
    ] {
        let mut scene = Scene::new(Settings {
            version_form: form,
            ..Settings::default()
        });
        assert_eq!(scene.at(200).status("/currentKubernetesVersion"), first);
        assert_eq!(scene.phase(), "Ready", "another form is no other version");
        scene.change(Resource::CloudSpace, "c", &json!({"kubernetesVersion": "1.32.9"}));
        assert_eq!(scene.at(320).status("/currentKubernetesVersion"), second);
        assert_eq!(scene.0.running_version(&key("c")), "1.32.9");
    }
}

#[test]
fn an_upgrade_can_fail() {
    let mut scene = Scene::new(Settings {
        upgrades_fail: true,
        ..Settings::default()
    });
    scene.at(200);
    scene.change(Resource::CloudSpace, "c", &json!({"kubernetesVersion": "1.32.9"}));
    assert_eq!(scene.at(319).status("/upgradePhase"), "InProgress");
    assert_eq!(scene.at(400).status("/upgradePhase"), "Failed");
    assert_eq!(scene.status("/currentKubernetesVersion"), "1.31.1");
}

#[test]
fn deletion_takes_pools_then_machines_then_the_cloudspace() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 2).at(100).delete(Resource::CloudSpace, "c");
    assert_eq!(scene.phase(), "Deleting");
    assert!(is_deleting(&scene.0.spotnodepools[&key(A)]));
    assert_eq!(scene.at(104).0.servers.len(), 2);
    assert_eq!((scene.at(105).0.servers.len(), scene.0.spotnodepools.len()), (0, 0));
    assert_eq!(scene.at(164).phase(), "Deleting");
    assert_eq!(scene.at(165).phase(), "gone");
    assert_eq!(
        (scene.0.spaces.len(), scene.0.times.len()),
        (0, 0),
        "nothing is left behind"
    );
}

#[test]
fn without_cascade_a_cloudspace_waits_for_its_pools() {
    let mut scene = Scene::new(Settings {
        cascade: false,
        ..Settings::default()
    });
    scene
        .pool(A, "0.01", 2)
        .at(100)
        .delete(Resource::CloudSpace, "c")
        .at(1000);
    assert_eq!((scene.phase(), scene.0.spotnodepools.len()), ("Deleting".into(), 1));
    scene.delete(Resource::SpotNodePool, A);
    assert_eq!(scene.at(1064).phase(), "Deleting");
    assert_eq!(scene.at(1065).phase(), "gone");
}

#[test]
fn stuck_finalizers_hold_until_somebody_lets_go() {
    let mut scene = Scene::new(Settings {
        stuck_finalizers: true,
        ..Settings::default()
    });
    scene.delete(Resource::CloudSpace, "c").at(100_000);
    assert_eq!(scene.phase(), "Deleting");
    let removed = scene.0.change(Resource::CloudSpace, &key("c"), |object| {
        object["metadata"]["finalizers"] = json!([]);
        Ok(())
    });
    removed.unwrap();
    assert_eq!(scene.phase(), "gone");
}

#[test]
fn a_while_in_error_ends_when_it_is_told_to() {
    let error = ErrorPhase {
        after: Duration::from_secs(30),
        lasts: Some(Duration::from_mins(1)),
        reason: "no capacity for the control plane".into(),
    };
    let mut scene = Scene::new(Settings {
        error_phase: Some(error),
        ..Settings::default()
    });
    assert_eq!(scene.at(30).phase(), "Provisioning");
    assert_eq!(scene.at(31).phase(), "Error");
    assert_eq!(scene.status("/reason"), "no capacity for the control plane");
    assert_eq!(scene.at(90).phase(), "Error");
    assert_eq!(scene.at(91).phase(), "Provisioning");
    scene.0.settings.error_phase.as_mut().unwrap().lasts = None;
    scene.0.touch();
    assert_eq!(scene.phase(), "Error");
}

#[test]
fn it_does_not_matter_how_often_time_is_caught_up() {
    let story = |steps: u64| {
        let mut scene = Scene::new(Settings::default());
        scene.pool(A, "0.01", 3).on_demand(B, 1);
        for second in (1..=600).filter(|second| second % steps == 0 || *second == 240) {
            scene.at(second);
            if second == 240 {
                scene.price("0.02");
            }
        }
        cloud_sim::state::to_json(&scene.0)
    };
    assert_eq!(story(600), story(1));
}

#[test]
fn a_price_that_moves_on_schedule_is_met_by_the_next_auction_however_long_it_was_quiet() {
    let mut scene = Scene::new(Settings::default());
    let rise = crate::PricePoint {
        after: Duration::from_secs(100_010),
        price: "1".into(),
    };
    let fall = crate::PricePoint {
        after: Duration::from_secs(100_019),
        price: "0.001".into(),
    };
    scene
        .0
        .settings
        .market
        .insert("*".into(), Market::Schedule(vec![rise.clone()]));
    scene.pool(A, "0.01", 2).at(100_019);
    assert_eq!(scene.spot(A), ("Fulfilled".into(), 2));
    let mut short = Scene(scene.0.clone());
    assert_eq!(scene.at(100_020).spot(A), ("Lost".into(), 0));
    short
        .0
        .settings
        .market
        .insert("*".into(), Market::Schedule(vec![rise, fall]));
    assert_eq!(
        short.at(200_000).spot(A),
        ("Fulfilled".into(), 2),
        "a rise between two auctions is never seen"
    );
    assert_eq!(short.0.notices.len(), 0);
}

#[test]
fn years_pass_quickly() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 3).pool(B, "0.01", 100);
    let before = std::time::Instant::now();
    scene.at(5 * 365 * 86_400);
    assert!(before.elapsed() < Duration::from_mins(1), "{:?}", before.elapsed());
    assert_eq!(scene.spot(A).1 + scene.spot(B).1, 50, "all there are");
}

#[test]
fn time_that_runs_backwards_changes_nothing() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 3).at(120);
    let before = scene.0.clone();
    scene.at(10);
    assert_eq!(scene.0, before);
}

#[test]
fn a_state_given_back_is_the_same_and_a_part_of_one_is_completed() {
    let mut scene = Scene::new(Settings::default());
    scene.pool(A, "0.01", 3).at(120);
    let first = World::new(1, Settings::default(), scene.0.epoch);
    let again = World::from_json(cloud_sim::state::to_json(&scene.0), &first).unwrap();
    assert_eq!(again, scene.0);

    let part = json!({
        "settings": {"cp_delay": 5},
        "cloudspaces": {key("seeded"): {
            "metadata": {"name": "seeded", "namespace": ACME_NAMESPACE},
            "spec": {"region": "uk-lon-1", "kubernetesVersion": "1.33.0"},
        }},
    });
    let mut world = World::from_json(part, &first).unwrap();
    assert_eq!(world.organizations.len(), 3);
    world.settle(plus(world.epoch, Duration::from_secs(15)));
    assert_eq!(world.cloudspaces[&key("seeded")]["status"]["phase"], "Ready");
    for (bad, reason) in [
        (json!([]), "the state must be an object"),
        (json!({"cloudspace": {}}), "unknown field \"cloudspace\""),
        (json!({"settings": {"cp_delay": -1}}), "not a number of seconds"),
        (
            json!({"settings": {"auction_period": 0}}),
            "auction_period must be at least 1 second",
        ),
        (
            json!({"settings": {"market": {"*": "cheap"}}}),
            "has a price for * that is none",
        ),
        (
            json!({"cloudspaces": {"x": {"metadata": {"name": "x"}, "spec": {}}}}),
            "the key must be the namespace/name",
        ),
        (json!({"regions": {"x": {"metadata": {"name": "x"}}}}), "has no spec"),
    ] {
        let refused = World::from_json(bad, &first).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}
