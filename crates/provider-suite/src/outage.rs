//! Hours in which the cloud is wrong, gone, or out of its mind: no node is lost, and the operator is told.

use std::time::Duration;

use cloud_provider::data::Node;
use cloud_provider::{CloudError, Sighting, Unknown};
use cloud_sim::{Action, Fault};
use kit::Class;
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::world::{World, minutes};

/// The alarm while the cloud cannot be asked.
pub const AWAY: Option<&str> = Some("CloudProviderUnavailable");
/// The alarm while the cloud is there, and can say of no machine whether it is.
pub const UNKNOWN: Option<&str> = Some("CloudInstancesUnknown");
/// The alarm while the cloud denies more machines than can be gone.
pub const HELD: Option<&str> = Some("NodeDeletionHeld");
/// Nothing is wrong with what the provider can tell: it found another way.
pub const QUIET: Option<&str> = None;

/// Nodes in the world of each outage.
const NODES: usize = 20;

/// What must not change in an outage: all of a node but its conditions.
fn look<P: Provider>(world: &World<P>) -> Vec<Value> {
    let node = |node: Value| {
        json!({
            "name": node["metadata"]["name"], "labels": node["metadata"]["labels"], "spec": node["spec"],
            "addresses": node["status"]["addresses"],
        })
    };
    world.kube.list("nodes").into_iter().map(node).collect()
}

/// Runs an hour of the faults that `begin` makes, with a fifth of the nodes not ready: none is deleted, tainted or changed,
/// and this alarm is told, and is over when the outage is. `begin` is given the IDs of the nodes' machines.
pub async fn an_hour_of<P: Provider>(
    name: &str,
    alarm: Option<&str>,
    begin: impl FnOnce(&World<P>, &[String]) -> Vec<Fault>,
) {
    let world = World::<P>::new();
    let ids = world.add_machines(NODES);
    let ran = world.run(&[]);
    world.until_initialised(NODES).await;
    for n in 0..NODES / 5 {
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    for fault in begin(&world, &ids) {
        world.fault(fault.always());
    }
    let before = look(&world);
    minutes(60).await;
    let missed = NODES - world.kube.list("nodes").len();
    println!("an hour of {name}: {missed} nodes deleted");
    assert_eq!(look(&world), before, "{name}");
    let raised = |on: &str| {
        let told = ran.metrics.render();
        let lines = told
            .lines()
            .filter_map(|it| it.strip_prefix("cloud_controller_manager_alarm{alarm=\""));
        let lines = lines.filter_map(|it| it.strip_suffix(&format!("\"}} {on}")));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected: Vec<&str> = alarm.into_iter().collect();
    assert_eq!(raised("1"), expected, "{name}");
    assert!(
        expected.iter().all(|alarm| world.told(alarm)),
        "{name}: {:?}",
        world.events()
    );
    world.heal();
    world.add_machine("late");
    minutes(10).await;
    assert_eq!(world.initialised().len(), NODES + 1, "{name}");
    assert!(raised("1").is_empty(), "{name}: the alarm is over");
    ran.end().await.unwrap();
}

fn refused<P: Provider>(status: u16) -> Fault {
    Fault::status(status).body(P::refusal("no"))
}

/// The list of machines is this.
fn list<P: Provider>(body: Value) -> Fault {
    Fault::status(200).body(body).on("GET", &all::<P>())
}

/// The path of the list of machines.
fn all<P: Provider>() -> String {
    format!("{}$", P::MACHINES)
}

/// The path of one machine.
fn each<P: Provider>() -> String {
    format!("{}/", P::MACHINES)
}

/// A list that has none of the nodes' machines and is not empty.
fn others<P: Provider>(world: &World<P>) -> Value {
    let other = P::add_machine(&world.sim, "other");
    P::list(&world.sim, &[other])
}

/// Lost rights, lost accounts, a broken service.
pub async fn an_api_that_refuses_everything_deletes_nothing<P: Provider>() {
    for status in [400, 401, 403, 404, 406, 409, 429, 500, 502, 503] {
        an_hour_of::<P>(&status.to_string(), AWAY, |_, _| vec![refused::<P>(status)]).await;
    }
}

/// No connection, silence, and answers that are none.
pub async fn an_api_out_of_reach_deletes_nothing<P: Provider>() {
    for (name, fault) in [
        ("cut connections", Fault::new(Action::DropBefore)),
        ("lost answers", Fault::new(Action::DropAfter)),
        ("silence", Fault::new(Action::Hang)),
        ("cut-off answers", Fault::new(Action::Truncate { bytes: None })),
        (
            "pages of maintenance",
            Fault::status(200).body("<html>maintenance</html>"),
        ),
        ("empty answers", Fault::status(200).body("")),
    ] {
        an_hour_of::<P>(name, AWAY, |_, _| vec![fault]).await;
    }
}

/// Each of the APIs alone: the login, the list.
pub async fn an_endpoint_that_is_down_deletes_nothing<P: Provider>() {
    for (method, path) in P::ENDPOINTS {
        for status in [401, 500] {
            let fault = refused::<P>(status).on(method, path);
            an_hour_of::<P>(&format!("{status} for {method} {path}"), AWAY, |_, _| vec![fault]).await;
        }
    }
}

/// A list is no proof: the machines are asked for one by one, and are there.
pub async fn a_list_that_lacks_machines_deletes_nothing<P: Provider>() {
    an_hour_of::<P>("an empty list", QUIET, |world, _| {
        vec![list::<P>(P::list(&world.sim, &[]))]
    })
    .await;
    an_hour_of::<P>("a list of others", QUIET, |world, _| vec![list::<P>(others(world))]).await;
    an_hour_of::<P>("a truncated list", QUIET, |world, ids| {
        vec![list::<P>(P::list(&world.sim, &ids[..NODES / 2]))]
    })
    .await;
}

/// The list lacks machines, and nobody may look at one.
pub async fn a_list_that_lacks_machines_nobody_may_see_deletes_nothing<P: Provider>() {
    let alarm = if P::FORBIDDEN_IS_GONE { HELD } else { UNKNOWN };
    an_hour_of::<P>("an empty list and 403", alarm, |world, _| {
        vec![
            list::<P>(P::list(&world.sim, &[])),
            refused::<P>(403).on("GET", &each::<P>()),
        ]
    })
    .await;
    an_hour_of::<P>("a list of others and 403", alarm, |world, _| {
        vec![list::<P>(others(world)), refused::<P>(403).on("GET", &each::<P>())]
    })
    .await;
    an_hour_of::<P>("403 for each machine alone", QUIET, |_, _| {
        vec![refused::<P>(403).on("GET", &each::<P>())]
    })
    .await;
}

/// The cloud denies every machine there is. It is not believed.
pub async fn a_cloud_that_denies_every_machine_deletes_nothing<P: Provider>() {
    an_hour_of::<P>("an empty list and 404", HELD, |world, _| {
        vec![
            list::<P>(P::list(&world.sim, &[])),
            refused::<P>(404).on("GET", &each::<P>()),
        ]
    })
    .await;
}

/// All machines are absent for a credential of another account.
pub async fn a_credential_of_another_account_deletes_nothing<P: Provider>() {
    let mut world = World::<P>::new();
    world.add_machines(10);
    let ran = world.run(&[]);
    world.until_initialised(10).await;
    ran.end().await.unwrap();
    world.configure(P::other_account());
    let _ran = world.run(&[]);
    for n in 0..10 {
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    let before = look(&world);
    minutes(60).await;
    assert_eq!(look(&world), before);
    let alarms = [AWAY, UNKNOWN, HELD].into_iter().flatten();
    assert!(
        alarms.into_iter().any(|alarm| world.told(alarm)),
        "{:?}",
        world.events()
    );
}

/// Three of ten requests fail: it takes longer, and comes right.
pub async fn with_three_of_ten_requests_failing_all_nodes_come_up_and_none_goes<P: Provider>() {
    for seed in 1..=3 {
        let world = World::<P>::seeded(P::Settings::default(), Value::Null, seed);
        world.storm();
        let ids = world.add_machines(50);
        let ran = world.run(&[]);
        world.until_initialised(50).await;
        P::remove_machine(&world.sim, &ids[7]);
        world.set_ready("n7", "Unknown");
        let gone = |world: &World<P>| world.node("n7").is_none();
        world.until("the node is deleted", Duration::from_mins(20), gone).await;
        minutes(60).await;
        assert_eq!(world.initialised().len(), 49);
        ran.end().await.unwrap();
    }
}

pub(crate) async fn ask<P: Provider>(world: &World<P>, id: &str) -> Result<Sighting, CloudError> {
    let node = Node {
        name: "n1".to_owned(),
        provider_id: P::provider_id(id),
        ..Node::default()
    };
    Ok(world.try_look_up(vec![node]).await?.remove(0))
}

/// What goes wrong is an error, never a panic, and never that a machine is gone; and its class says what to do.
pub async fn a_failure_is_told_by_its_class_and_passes<P: Provider>() {
    let world = World::<P>::new();
    let id = P::add_machine(&world.sim, "n1");
    for (fault, class) in [
        (Fault::new(Action::DropBefore), Class::Transient),
        (Fault::new(Action::DropAfter), Class::Transient),
        (Fault::new(Action::Hang), Class::Transient),
        (Fault::new(Action::Truncate { bytes: None }), Class::Transient),
        (refused::<P>(500), Class::Transient),
        (refused::<P>(503), Class::Transient),
        (refused::<P>(401), Class::Unauthorized),
    ] {
        world.fault(fault.clone().always());
        let failed = match ask(&world, &id).await {
            Err(error) | Ok(Sighting::Unknown(Unknown::Failed(error))) => error,
            Ok(other) => panic!("{fault:?}: {other:?}"),
        };
        assert_eq!(failed.class(), class, "{fault:?}: {failed}");
        world.heal();
        let seen = ask(&world, &id).await.unwrap();
        assert!(matches!(seen, Sighting::Running(_)), "{fault:?}: {seen:?}");
    }
}

/// A proxy, a firewall or a captive portal answers in the place of the API.
pub async fn a_page_that_is_not_the_apis_proves_nothing<P: Provider>() {
    let world = World::<P>::new();
    let id = P::add_machine(&world.sim, "n1");
    P::remove_machine(&world.sim, &id);
    let seen = ask(&world, &id).await.unwrap();
    assert!(matches!(seen, Sighting::Gone), "{seen:?}");
    for status in [403, 404] {
        for body in ["<html><body>blocked</body></html>", "404 page not found", "\"gone\""] {
            world.fault(Fault::status(status).body(body).on("GET", &each::<P>()).always());
            let seen = ask(&world, &id).await;
            let (Err(error) | Ok(Sighting::Unknown(Unknown::Failed(error)))) = seen else {
                panic!("{status} {body}: {seen:?}")
            };
            // To a page with 403 somebody may well have put what the API means by it.
            let told = status == 403 || error.class() == Class::Permanent;
            assert!(told, "{status} {body}: {error}");
            world.heal();
        }
    }
}
