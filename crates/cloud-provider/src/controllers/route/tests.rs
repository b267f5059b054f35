use kit::Class;
use serde_json::{Value, json};

use super::*;
use crate::memory::{MemoryCloud, Op};
use crate::testing::{Process, World, minutes, seconds};

mod upstream;

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn route(node: &str, destination: &str) -> Route {
    Route {
        name: format!("{node}-{destination}"),
        target_node: node.to_owned(),
        target_addresses: None,
        destination: destination.to_owned(),
        blackhole: false,
    }
}

fn add_node(world: &World, name: &str, cidrs: &[&str], address: &str) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"podCIDR": cidrs.first(), "podCIDRs": cidrs},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    });
    world.sim.create(node).unwrap();
}

fn start(world: &World, cidrs: &[&str]) -> Process {
    start_with(world, cidrs, true)
}

fn start_with(world: &World, cidrs: &[&str], on_change: bool) -> Process {
    let process = world.start();
    let options = RouteOptions {
        cluster_cidrs: cidrs.iter().map(|text| cidr(text)).collect(),
        period: Duration::from_secs(10),
        on_change,
        in_flight: 200,
    };
    let controller = RouteController::new(&process.shared, options).unwrap();
    let stop = process.stop.clone();
    tokio::spawn(async move { controller.run(stop).await });
    process
}

fn condition(world: &World, name: &str) -> Option<(String, String)> {
    let node = world.node(name).unwrap();
    let found = node["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == "NetworkUnavailable")?
        .clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some((text(&found["status"]), text(&found["reason"])))
}

fn table(cloud: &MemoryCloud) -> Vec<(String, String)> {
    let mut table: Vec<_> = cloud
        .route_table()
        .into_iter()
        .map(|route| (route.target_node, route.destination))
        .collect();
    table.sort();
    table
}

const SINGLE: &[&str] = &["10.120.0.0/16"];
const N1: &str = "10.120.0.0/24";
const N2: &str = "10.120.1.0/24";

#[tokio::test(start_paused = true)]
async fn a_route_that_cannot_be_made_is_told_and_tried_again() {
    let world = World::new();
    add_node(&world, "n1", &[N1], "10.0.1.1");
    world.cloud.script().fail(Op::CreateRoute, 2, Class::Transient);
    let _process = start(&world, SINGLE);
    seconds(5).await;
    assert_eq!(
        condition(&world, "n1"),
        Some(("True".to_owned(), "NoRouteCreated".to_owned()))
    );
    let events = world.sim.list("events");
    assert_eq!(
        (&events[0]["reason"], &events[0]["involvedObject"]["apiVersion"]),
        (&json!("FailedToCreateRoute"), &json!("v1"))
    );
    assert_eq!(events[0]["source"]["component"], "route_controller");
    minutes(1).await;
    assert_eq!(
        condition(&world, "n1"),
        Some(("False".to_owned(), "RouteCreated".to_owned()))
    );
    assert_eq!(table(&world.cloud).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn node_changes_are_acted_on_and_a_steady_hour_costs_twelve_lists() {
    let world = World::new();
    add_node(&world, "n1", &[N1], "10.0.1.1");
    let _process = start(&world, SINGLE);
    seconds(15).await;
    add_node(&world, "n2", &[N2], "10.0.2.1");
    seconds(1).await;
    assert_eq!(
        table(&world.cloud).len(),
        2,
        "at once, the last run being longer ago than the shortest time"
    );
    world.sim.delete("nodes", None, "n1").unwrap();
    seconds(11).await;
    assert_eq!(table(&world.cloud).len(), 1);
    minutes(5).await;
    world.cloud.script().forget();
    minutes(60).await;
    assert!(
        world.cloud.script().calls().len() <= 12,
        "{}",
        world.cloud.script().calls().len()
    );
}

#[tokio::test(start_paused = true)]
async fn with_the_gate_off_everything_is_looked_at_every_period() {
    let world = World::new();
    let _process = start_with(&world, SINGLE, false);
    minutes(10).await;
    assert!((59..=61).contains(&world.cloud.script().count(Op::ListRoutes)));
}

#[tokio::test(start_paused = true)]
async fn routes_that_cannot_be_listed_raise_an_alarm_and_nothing_is_removed() {
    let world = World::new();
    world.cloud.add_route(route("gone", "10.120.9.0/24"));
    world
        .cloud
        .script()
        .fail(Op::ListRoutes, usize::MAX, Class::Unauthorized);
    let process = start(&world, SINGLE);
    minutes(60).await;
    assert!(process.shared.alarms.active().contains_key(ALARM));
    assert_eq!(world.cloud.route_table().len(), 1);
    world.cloud.script().clear();
    minutes(6).await;
    assert!(process.shared.alarms.active().is_empty());
    assert!(world.cloud.route_table().is_empty());
}

/// Whatever it was that the cloud wanted to be left alone about, and however many nodes change meanwhile.
#[tokio::test(start_paused = true)]
async fn nobody_asks_before_the_cloud_wants_to_be_asked() {
    let later = || {
        CloudError::new(
            Class::Throttled {
                after: Some(Duration::from_mins(3)),
            },
            "slow down",
        )
    };
    for op in [Op::ListRoutes, Op::CreateRoute, Op::DeleteRoute] {
        let world = World::new();
        world.cloud.add_route(route("gone", "10.120.9.0/24"));
        add_node(&world, "n1", &[N1], "10.0.1.1");
        world.cloud.script().fail_with(op, 1, later);
        let _process = start(&world, SINGLE);
        seconds(60).await;
        add_node(&world, "n2", &[N2], "10.0.2.1");
        seconds(118).await;
        assert_eq!(world.cloud.script().count(Op::ListRoutes), 1, "{op:?}");
        seconds(4).await;
        assert_eq!(
            world.cloud.script().count(Op::ListRoutes),
            2,
            "{op:?}: and then at once"
        );
        assert_eq!(table(&world.cloud).len(), 2, "{op:?}");
    }
}

/// The time is counted from the answer, however long the cloud took to give it.
#[tokio::test(start_paused = true)]
async fn a_slow_refusal_is_honoured_from_its_end() {
    let world = World::new();
    let pending = || CloudError::pending("still being made", Duration::from_mins(1));
    world.cloud.script().delay(Op::ListRoutes, 1, Duration::from_mins(2));
    world.cloud.script().fail_with(Op::CreateRoute, 1, pending);
    add_node(&world, "n1", &[N1], "10.0.1.1");
    let _process = start(&world, SINGLE);
    seconds(178).await;
    assert_eq!(world.cloud.script().count(Op::ListRoutes), 1);
    seconds(4).await;
    assert_eq!(world.cloud.script().count(Op::ListRoutes), 2);
    assert!(world.reasons("n1").is_empty(), "what is under way is no failure");
}
