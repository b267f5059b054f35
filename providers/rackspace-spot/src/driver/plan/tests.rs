use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::client::{Autoscaling, CloudSpace, CloudSpaceSpec, Meta};
use crate::driver::ownership::OWNER;

fn scales(enabled: bool) -> Autoscaling {
    Autoscaling {
        enabled,
        min_nodes: i64::from(enabled),
        max_nodes: 5 * i64::from(enabled),
    }
}

fn live(name: &str, count: i64, autoscaling: bool) -> LivePool {
    LivePool {
        name: name.to_owned(),
        class: "x".to_owned(),
        count,
        got: count,
        bid: "0.01".to_owned(),
        autoscaling: scales(autoscaling),
        ours: true,
        labelled: true,
        ..LivePool::default()
    }
}

fn want(name: &str, count: i64, autoscaling: bool) -> Pool {
    live(name, count, autoscaling).as_pool()
}

fn observed(pools: Vec<LivePool>) -> Observed {
    Observed {
        cloudspace: Some(CloudSpace {
            metadata: Meta {
                name: "c".to_owned(),
                annotations: [(OWNER.to_owned(), "c".to_owned())].into(),
                ..Meta::default()
            },
            spec: CloudSpaceSpec {
                kubernetes_version: "1.33.0".to_owned(),
                ..CloudSpaceSpec::default()
            },
            ..CloudSpace::default()
        }),
        pools,
    }
}

fn desired(pools: Vec<Pool>) -> State {
    State {
        cloudspace: "c".to_owned(),
        version: "1.33.0".to_owned(),
        pools,
        ..State::default()
    }
}

/// The steps in short: what, and to which pool.
fn told(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match step {
            Step::PatchCloudspace { .. } => "patch cloudspace".to_owned(),
            Step::Create(pool) => format!("create {}", pool.name),
            Step::Patch { name, .. } => format!("patch {name}"),
            Step::Await { name, .. } => format!("await {name}"),
            Step::Delete { name, .. } => format!("delete {name}"),
        })
        .collect()
}

#[test]
fn a_pool_with_autoscaling_is_deleted_before_another_gets_it() {
    let steps = plan(
        &observed(vec![live("a", 1, true), live("b", 1, false)]),
        &desired(vec![want("b", 1, true)]),
    );
    assert_eq!(told(&steps), ["delete a", "patch b"]);
}

#[test]
fn autoscaling_is_taken_from_one_pool_before_another_gets_it() {
    let there = observed(vec![live("a", 1, true), live("b", 1, false)]);
    for wanted in [
        vec![want("a", 1, false), want("b", 1, true)],
        vec![want("b", 1, true), want("a", 1, false)],
    ] {
        assert_eq!(told(&plan(&there, &desired(wanted))), ["patch a", "patch b"]);
    }
}

#[test]
fn new_pools_come_first_and_old_ones_wait_for_them() {
    let steps = plan(
        &observed(vec![live("old", 3, false)]),
        &desired(vec![want("new", 3, false)]),
    );
    assert_eq!(told(&steps), ["create new", "await new", "delete old"]);
    let empty = LivePool {
        got: 0,
        ..live("old", 3, false)
    };
    let steps = plan(&observed(vec![empty]), &desired(vec![want("new", 3, false)]));
    assert_eq!(
        told(&steps),
        ["create new", "delete old"],
        "a pool without machines is not waited for"
    );
}

#[test]
fn pools_of_others_and_of_imports_stay() {
    let foreign = LivePool {
        ours: false,
        ..live("theirs", 3, false)
    };
    assert_eq!(plan(&observed(vec![foreign]), &desired(vec![])), []);
    let imported = State {
        imported: true,
        ..desired(vec![want("new", 1, false)])
    };
    assert_eq!(plan(&observed(vec![live("a", 3, false)]), &imported), []);
}

#[test]
fn a_patch_names_only_what_differs() {
    let steps = plan(
        &observed(vec![live("a", 3, false)]),
        &desired(vec![want("a", 5, false)]),
    );
    let [Step::Patch { patch, what, .. }] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(*patch, json!({"spec": {"desired": 5}}));
    assert_eq!(what, "3 to 5 machines");
    let labelled = LivePool {
        labels: [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())].into(),
        ..live("a", 3, false)
    };
    let wanted = Pool {
        labels: Some(BTreeMap::from([("a".to_owned(), "z".to_owned())])),
        ..want("a", 3, false)
    };
    let steps = plan(&observed(vec![labelled]), &desired(vec![wanted]));
    let [Step::Patch { patch, .. }] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(*patch, json!({"spec": {"customLabels": {"a": "z", "c": null}}}));
}

/// What the cloud does with a step.
fn apply(observed: &mut Observed, step: &Step) {
    match step {
        Step::Create(pool) => observed.pools.push(LivePool {
            got: pool.count,
            bid: pool.bid.clone(),
            ..live(&pool.name, pool.count, pool.autoscaling.enabled)
        }),
        Step::Delete { name, .. } => observed.pools.retain(|pool| pool.name != *name),
        Step::Patch { name, patch, .. } => {
            let pool = observed.pools.iter_mut().find(|pool| pool.name == *name).unwrap();
            if let Some(count) = patch["spec"]["desired"].as_i64() {
                pool.count = count;
            }
            if let Some(enabled) = patch["spec"]["autoscaling"]["enabled"].as_bool() {
                pool.autoscaling = scales(enabled);
            }
        }
        Step::Await { .. } | Step::PatchCloudspace { .. } => {}
    }
}

proptest! {
    #[test]
    fn every_plan_leads_there_over_any_crash_and_never_breaks_a_rule(
        there in proptest::collection::vec((0usize..5, 0i64..4, any::<bool>()), 0..5),
        wanted in proptest::collection::vec((0usize..5, 0i64..4), 0..5),
        scaled_there in 0usize..6,
        scaled_wanted in 0usize..6,
        stop in 0usize..12,
    ) {
        let mut pools: BTreeMap<usize, LivePool> = BTreeMap::new();
        for (n, count, ours) in there {
            let scaled = n == scaled_there && ours;
            pools.insert(n, LivePool { ours, ..live(&n.to_string(), count, scaled) });
        }
        let foreign: Vec<LivePool> = pools.values().filter(|pool| !pool.ours).cloned().collect();
        let wanted: BTreeMap<usize, i64> = wanted.into_iter().filter(|(n, _)| pools.get(n).is_none_or(|pool| pool.ours)).collect();
        let wanted = desired(wanted.into_iter().map(|(n, count)| want(&n.to_string(), count, n == scaled_wanted)).collect());
        let mut now = observed(pools.into_values().collect());
        // The first run dies after some steps; the second plans anew.
        for steps in [stop, usize::MAX] {
            for step in plan(&now, &wanted).iter().take(steps) {
                apply(&mut now, step);
                prop_assert!(now.pools.iter().filter(|pool| pool.autoscales()).count() <= 1);
                for pool in &foreign {
                    prop_assert!(now.pools.contains(pool));
                }
            }
        }
        prop_assert_eq!(plan(&now, &wanted), vec![]);
    }
}
