//! Rights: what is shipped is enough, and no more.

use std::collections::BTreeSet;
use std::time::Duration;

use cloud_provider::rbac::Rule;
use serde_json::{Value, json};

use crate::manager::Ran;
use crate::provider::Provider;
use crate::world::{World, minutes, seconds};

/// A right: group, resource, verb.
pub type Right = (String, String, String);

/// A rule about a resource, wherever it is.
pub const fn rule(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Rule {
    Rule {
        group,
        resource,
        verbs,
        name: None,
    }
}

/// Rules as a role has them, one for each resource.
pub fn rules(all: &[Rule]) -> Value {
    let mut merged: Vec<(Rule, Vec<&str>)> = Vec::new();
    for rule in all {
        let place = (rule.group, rule.resource, rule.name);
        match merged
            .iter_mut()
            .find(|(it, _)| (it.group, it.resource, it.name) == place)
        {
            Some((_, verbs)) => verbs.extend(rule.verbs),
            None => merged.push((*rule, rule.verbs.to_vec())),
        }
    }
    let shown = merged.into_iter().map(|(rule, mut verbs)| {
        let mut seen = BTreeSet::new();
        verbs.retain(|verb| seen.insert(*verb));
        let mut shown = json!({"apiGroups": [rule.group], "resources": [rule.resource], "verbs": verbs});
        if let Some(name) = rule.name {
            shown["resourceNames"] = json!([name]);
        }
        shown
    });
    shown.collect()
}

/// Applies what the shipped manifest has beside the workload, and starts a manager that logs in as its service account, with
/// the flags it is shipped with and these.
pub fn run_as_shipped<P: Provider>(world: &World<P>, more: &[&str]) -> Ran {
    let shipped = P::SHIPPED;
    let mut documents = shipped.documents();
    documents.pop();
    for object in documents {
        world.kube.apply(object).unwrap();
    }
    let user = format!("system:serviceaccount:kube-system:{}", shipped.account);
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:kube-system",
        "system:authenticated",
    ];
    world.kube.add_token("ccm", &user, &groups, None);
    world.kube.clear_requests();
    let flags = shipped.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    world.run_as("ccm", &flags)
}

/// The rights that were used since the manager was started. None was refused.
pub fn used<P: Provider>(world: &World<P>) -> BTreeSet<Right> {
    let requests = world.kube.requests();
    let refused: Vec<_> = requests.iter().filter(|request| request.status == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    requests
        .into_iter()
        .map(|it| (it.group, it.resource, it.verb))
        .collect()
}

/// Demands that the provider needs all the rights it has beyond those of every manager.
pub fn each_is_needed<P: Provider>(used: &BTreeSet<Right>) {
    for rule in P::SHIPPED.own {
        for verb in rule.verbs {
            let right = (rule.group.to_owned(), rule.resource.to_owned(), (*verb).to_owned());
            assert!(used.contains(&right), "nothing needs {right:?}");
        }
    }
}

/// The manifest on disk, as an operator applies it: roles, bindings and flags. Nodes are initialised, tainted, untainted,
/// deleted and kept when in doubt, and the lease is won and given back.
pub async fn the_manifest_starts_it_and_gives_it_the_rights_to_look_after_nodes<P: Provider>() {
    let world = World::<P>::new();
    let ids = world.add_machines(6);
    let ran = run_as_shipped(&world, &[]);
    world.until_initialised(6).await;
    P::switch_off(&world.sim, &ids[0]);
    world.set_ready("n0", "Unknown");
    let off = |world: &World<P>| world.is_shut_down("n0");
    world.until("the node is tainted", Duration::from_mins(1), off).await;
    P::switch_on(&world.sim, &ids[0]);
    world.set_ready("n0", "True");
    let on = |world: &World<P>| !world.is_shut_down("n0");
    world.until("the node is free", Duration::from_mins(1), on).await;
    P::remove_machine(&world.sim, &ids[1]);
    world.set_ready("n1", "Unknown");
    let gone = |world: &World<P>| world.node("n1").is_none();
    world.until("the node is gone", Duration::from_mins(5), gone).await;
    for (n, id) in ids.iter().enumerate().skip(2) {
        P::remove_machine(&world.sim, id);
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    minutes(10).await;
    assert!(world.told("NodeDeletionHeld"), "{:?}", world.events());
    ran.end().await.unwrap();
    seconds(1).await;
    let used = used(&world);
    for (group, resource, verb) in [
        ("", "nodes", "delete"),
        ("", "nodes/status", "patch"),
        ("", "events", "create"),
        ("coordination.k8s.io", "leases", "update"),
    ] {
        let right = (group.to_owned(), resource.to_owned(), verb.to_owned());
        assert!(used.contains(&right), "{right:?} was not used");
    }
}
