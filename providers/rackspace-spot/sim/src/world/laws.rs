//! What holds whatever clients do.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::seed::ACME_NAMESPACE;
use crate::settings::Market;

#[derive(Clone, Debug)]
enum Step {
    CreateSpace(u8),
    CreateSpot {
        space: u8,
        pool: u8,
        desired: u64,
        bid: &'static str,
    },
    CreateOnDemand {
        space: u8,
        pool: u8,
        desired: u64,
    },
    Resize {
        spot: bool,
        pool: u8,
        desired: u64,
    },
    DeleteSpace(u8),
    DeletePool {
        spot: bool,
        pool: u8,
    },
    Price(&'static str),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (space, pool, desired) = (0..2u8, 0..4u8, 0..40u64);
    let bids = prop::sample::select(vec!["0.01", "0.02", "0.10"]);
    let prices = prop::sample::select(vec!["0.001", "0.015", "0.05", "1"]);
    prop_oneof![
        2 => space.clone().prop_map(Step::CreateSpace),
        3 => (space.clone(), pool.clone(), desired.clone(), bids)
            .prop_map(|(space, pool, desired, bid)| Step::CreateSpot { space, pool, desired, bid }),
        2 => (space.clone(), pool.clone(), desired.clone())
            .prop_map(|(space, pool, desired)| Step::CreateOnDemand { space, pool, desired }),
        2 => (any::<bool>(), pool.clone(), desired).prop_map(|(spot, pool, desired)| Step::Resize { spot, pool, desired }),
        1 => space.prop_map(Step::DeleteSpace),
        1 => (any::<bool>(), pool).prop_map(|(spot, pool)| Step::DeletePool { spot, pool }),
        1 => prices.prop_map(Step::Price),
        4 => (1..400u64).prop_map(Step::Wait),
    ]
}

/// What a client sends; refusals are part of life.
fn take(world: &mut World, step: &Step) {
    let space_name = |n: u8| format!("space-{n}");
    let pool_name = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}");
    let resource = |spot: bool| {
        if spot {
            Resource::SpotNodePool
        } else {
            Resource::OnDemandNodePool
        }
    };
    let object = |kind: Resource, name: String, spec: Value| json!({"apiVersion": "ngpc.rxt.io/v1", "kind": kind.kind(), "metadata": {"name": name}, "spec": spec});
    let class = "gp.vs1.medium-iad";
    match step {
        Step::CreateSpace(n) => {
            let spec = json!({"region": "us-east-iad-1", "kubernetesVersion": "1.33.0"});
            let _ = world.create(
                Resource::CloudSpace,
                ACME_NAMESPACE,
                object(Resource::CloudSpace, space_name(*n), spec),
            );
        }
        Step::CreateSpot {
            space,
            pool,
            desired,
            bid,
        } => {
            let space = space_name(*space);
            let spec = json!({"serverClass": class, "desired": desired, "bidPrice": bid, "cloudSpace": space});
            let kind = Resource::SpotNodePool;
            let _ = world.create(kind, ACME_NAMESPACE, object(kind, pool_name(*pool), spec));
        }
        Step::CreateOnDemand { space, pool, desired } => {
            let spec = json!({"serverClass": class, "desired": desired, "cloudSpace": space_name(*space)});
            let kind = Resource::OnDemandNodePool;
            let _ = world.create(kind, ACME_NAMESPACE, object(kind, pool_name(*pool), spec));
        }
        Step::Resize { spot, pool, desired } => {
            let key = format!("{ACME_NAMESPACE}/{}", pool_name(*pool));
            let _ = world.change(resource(*spot), &key, |pool| {
                pool["spec"]["desired"] = (*desired).into();
                Ok(())
            });
        }
        Step::DeleteSpace(n) => {
            let _ = world.delete(
                Resource::CloudSpace,
                &format!("{ACME_NAMESPACE}/{}", space_name(*n)),
                None,
            );
        }
        Step::DeletePool { spot, pool } => {
            let _ = world.delete(resource(*spot), &format!("{ACME_NAMESPACE}/{}", pool_name(*pool)), None);
        }
        Step::Price(price) => {
            world
                .settings
                .market
                .insert("*".to_owned(), Market::Fixed((*price).to_owned()));
        }
        Step::Wait(seconds) => world.settle(plus(world.now, Duration::from_secs(*seconds))),
    }
}

fn check(world: &World) -> Result<(), TestCaseError> {
    for (name, class) in &world.serverclasses {
        let used = world.servers.values().filter(|server| server.class == *name).count() as u64;
        prop_assert!(
            used <= class["status"]["capacity"].as_u64().unwrap(),
            "more {name} than there are"
        );
    }
    for server in world.servers.values() {
        prop_assert!(world.pool_of(server).is_some(), "{server:?} belongs to no pool");
        prop_assert!(
            world.spaces.contains_key(&server.cloudspace),
            "{server:?} is in no cloudspace"
        );
    }
    for (resource, count, spot) in [
        (Resource::SpotNodePool, "wonCount", true),
        (Resource::OnDemandNodePool, "reservedCount", false),
    ] {
        for (key, pool) in world.objects(resource) {
            let live = |server: &&Server| server.spot == spot && key.ends_with(&server.pool) && server.doomed.is_none();
            let live = world.servers.values().filter(live).count();
            prop_assert_eq!(pool["status"][count].as_u64(), Some(live as u64));
        }
    }
    let objects = world.cloudspaces.len() + world.spotnodepools.len() + world.ondemandnodepools.len();
    prop_assert_eq!(
        (world.times.len(), world.spaces.len()),
        (objects, world.cloudspaces.len())
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_oversold_or_orphaned_and_the_state_can_be_given_back(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(1, Settings::default(), "2026-01-01T00:00:00Z".parse().unwrap());
        for step in &steps {
            take(&mut world, step);
            check(&world)?;
        }
        let first = World::new(world.seed, Settings::default(), world.epoch);
        prop_assert_eq!(&World::from_json(cloud_sim::state::to_json(&world), &first).unwrap(), &world);
    }

    #[test]
    fn everything_that_is_deleted_is_gone_in_the_end(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new(1, Settings::default(), "2026-01-01T00:00:00Z".parse().unwrap());
        for step in &steps {
            take(&mut world, step);
        }
        for key in world.cloudspaces.keys().cloned().collect::<Vec<_>>() {
            world.delete(Resource::CloudSpace, &key, None).unwrap();
        }
        world.settle(plus(world.now, Duration::from_hours(1)));
        prop_assert_eq!(world.cloudspaces.len() + world.spotnodepools.len() + world.ondemandnodepools.len(), 0);
        prop_assert_eq!((world.servers.len(), world.times.len(), world.spaces.len()), (0, 0, 0));
    }
}
