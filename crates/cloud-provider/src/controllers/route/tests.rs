use kit::Class;
use serde_json::{Value, json};

use super::*;
use crate::data::{Address, Condition};
use crate::memory::{MemoryCloud, Op};
use crate::testing::{Process, World, minutes, seconds};

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

#[test]
fn every_upstream_case_of_responsibility() {
    let cases = [
        ("10.244.0.0/16", "10.244.0.0/24", true),
        ("10.244.0.0/16", "10.244.10.0/24", true),
        ("10.244.0.0/16", "10.244.255.0/24", true),
        ("10.244.0.0/14", "10.244.0.0/24", true),
        ("10.244.0.0/14", "10.247.255.0/24", true),
        ("a00:100::/10", "a00:100::/24", true),
        ("10.244.0.0/16", "10.224.0.0/24", false),
        ("10.244.0.0/16", "10.0.10.0/24", false),
        ("10.244.0.0/16", "10.255.255.0/24", false),
        ("10.244.0.0/14", "10.248.0.0/24", false),
        ("10.244.0.0/14", "10.243.255.0/24", false),
        ("a00:100::/10", "b00:100::/24", false),
        ("10.244.0.0/16", "nonsense", false),
    ];
    for (cluster, destination, expected) in cases {
        let route = Route {
            destination: destination.to_owned(),
            ..route("n", "")
        };
        assert_eq!(
            responsible(&route, &[cidr(cluster)]),
            expected,
            "{destination} in {cluster}"
        );
    }
    println!("route isResponsibleForRoute: {} cases for upstream's 12", cases.len());
}

#[test]
fn every_upstream_case_of_the_condition() {
    use Network::{Available, Unavailable};
    let cases = [
        (None, Available, Some(("False", "RouteCreated"))),
        (None, Unavailable, Some(("True", "NoRouteCreated"))),
        (Some(("False", "RouteCreated")), Available, None),
        (
            Some(("False", "CalicoIsUp")),
            Available,
            Some(("False", "RouteCreated")),
        ),
        (
            Some(("False", "ExternalCNI")),
            Available,
            Some(("False", "RouteCreated")),
        ),
        (
            Some(("True", "SomeOtherReason")),
            Unavailable,
            Some(("True", "NoRouteCreated")),
        ),
        (
            Some(("False", "RouteCreated")),
            Unavailable,
            Some(("True", "NoRouteCreated")),
        ),
        (Some(("True", "NoRouteCreated")), Unavailable, None),
    ];
    for (known, network, expected) in cases {
        let condition = |(status, reason): (&str, &str)| Condition {
            kind: "NetworkUnavailable".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
        };
        let node = Node {
            conditions: known.map(condition).into_iter().collect(),
            ..Node::default()
        };
        let found = network_condition(&node, network);
        let found = found
            .as_ref()
            .map(|found| (found.status.as_str(), found.reason.as_str()));
        assert_eq!(found, expected, "{known:?} {network:?}");
    }
    println!("route updateNetworkingCondition: {} upstream cases", cases.len());
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

/// A route of which the cloud keeps the addresses.
fn addressed(node: &str, destination: &str, address: &str) -> Route {
    let addresses = (!address.is_empty())
        .then(|| Address::internal(address))
        .into_iter()
        .collect();
    Route {
        target_addresses: Some(addresses),
        ..route(node, destination)
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
const DUAL: &[&str] = &["10.120.0.0/16", "ace:cab:deca::/8"];
const N1: &str = "10.120.0.0/24";
const N2: &str = "10.120.1.0/24";

/// The four routes of two nodes with two networks each, or the two of two nodes with one.
fn right(dual: bool) -> Vec<(&'static str, &'static str)> {
    if dual {
        vec![("n1", N1), ("n1", "a00:100::/24"), ("n2", N2), ("n2", "a00:200::/24")]
    } else {
        vec![("n1", N1), ("n2", N2)]
    }
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_reconcile() {
    let all = |dual: bool| {
        right(dual)
            .into_iter()
            .map(|(node, cidr)| route(node, cidr))
            .collect::<Vec<_>>()
    };
    let with = |dual: bool, address: fn(&str) -> &'static str| {
        right(dual)
            .into_iter()
            .map(|(node, cidr)| addressed(node, cidr, address(node)))
            .collect::<Vec<_>>()
    };
    let current = |node: &str| if node == "n1" { "10.0.1.1" } else { "10.0.2.1" };
    let plus = |mut routes: Vec<Route>, more: &[Route]| {
        routes.extend_from_slice(more);
        routes
    };
    let blackhole = |destination: &str| Route {
        blackhole: true,
        ..route("", destination)
    };
    // Name, dual stack, the routes there are, how many are made, how many are removed.
    let cases: Vec<(&str, bool, Vec<Route>, usize, usize)> = vec![
        ("dual, addresses missing", true, with(true, |_| ""), 4, 4),
        ("dual, old addresses", true, with(true, |_| "10.9.9.9"), 4, 4),
        ("dual, none", true, vec![], 4, 0),
        ("dual, all right", true, with(true, current), 0, 0),
        (
            "dual, crossed",
            true,
            vec![
                route("n2", N1),
                route("n2", "a00:100::/24"),
                route("n1", N2),
                route("n1", "a00:200::/24"),
            ],
            4,
            4,
        ),
        ("dual, two of four", true, vec![route("n1", N1), route("n2", N2)], 2, 0),
        (
            "dual, two strays",
            true,
            plus(
                all(true),
                &[route("node-x", "10.120.2.0/24"), route("node-y", "a00:300::/24")],
            ),
            0,
            2,
        ),
        ("single, all right", false, all(false), 0, 0),
        ("single, old addresses", false, with(false, |_| "10.9.9.9"), 2, 2),
        ("single, one of two", false, vec![route("n1", N1)], 1, 0),
        ("single, none", false, vec![], 2, 0),
        (
            "single, two strays",
            false,
            plus(all(false), &[route("x", "10.120.2.0/24"), route("y", "10.120.3.0/24")]),
            0,
            2,
        ),
        (
            "single, one and a stray",
            false,
            vec![route("n1", N1), route("x", "10.120.3.0/24")],
            1,
            1,
        ),
        (
            "blackhole inside",
            false,
            plus(all(false), &[blackhole("10.120.2.0/24")]),
            0,
            1,
        ),
        (
            "blackhole outside",
            false,
            plus(all(false), &[blackhole("10.1.2.0/24")]),
            0,
            0,
        ),
    ];
    let count = cases.len();
    for (name, dual, routes, made, removed) in cases {
        let world = World::new();
        world.cloud.keep_route_addresses();
        let outside = routes.iter().filter(|route| route.destination == "10.1.2.0/24").count();
        for route in routes {
            world.cloud.add_route(route);
        }
        let cidrs = |n: usize| -> Vec<&str> {
            right(dual)
                .iter()
                .filter(|pair| pair.0 == format!("n{n}"))
                .map(|pair| pair.1)
                .collect()
        };
        add_node(&world, "n1", &cidrs(1), "10.0.1.1");
        add_node(&world, "n2", &cidrs(2), "10.0.2.1");
        let _process = start(&world, if dual { DUAL } else { SINGLE });
        seconds(5).await;
        let script = world.cloud.script();
        assert_eq!(
            (script.count(Op::CreateRoute), script.count(Op::DeleteRoute)),
            (made, removed),
            "{name}"
        );
        let mut found = table(&world.cloud);
        found.retain(|(_, destination)| destination != "10.1.2.0/24");
        let expected: Vec<_> = right(dual)
            .into_iter()
            .map(|(node, cidr)| (node.to_owned(), cidr.to_owned()))
            .collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(world.cloud.route_table().len(), expected.len() + outside, "{name}");
        for node in ["n1", "n2"] {
            assert_eq!(
                condition(&world, node),
                Some(("False".to_owned(), "RouteCreated".to_owned())),
                "{name}"
            );
        }
    }
    println!("route reconcile: {count} cases, and 2 more in tests of their own, for upstream's 17");
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_network_is_left_alone_and_one_named_twice_is_one() {
    let world = World::new();
    add_node(&world, "n1", &[N1], "10.0.1.1");
    add_node(&world, "n2", &[], "10.0.2.1");
    let _process = start(&world, SINGLE);
    seconds(5).await;
    assert_eq!(table(&world.cloud), [("n1".to_owned(), N1.to_owned())]);
    assert_eq!(condition(&world, "n2"), None);
    let twice = Arc::new(Node {
        name: "n".to_owned(),
        pod_cidrs: vec![N1.to_owned(), N1.to_owned()],
        ..Node::default()
    });
    // Differs from upstream, which makes the second one, too, and fails.
    assert_eq!(plan(&[twice], &[], &[cidr(SINGLE[0])]).create.len(), 1);
}

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

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_handle_node_update() {
    type Edit = fn(&mut Value);
    let cases: [(&str, Edit, bool); 4] = [
        (
            "internal address",
            |node| node["status"]["addresses"][0]["address"] = json!("10.0.9.9"),
            true,
        ),
        (
            "pod network",
            |node| node["spec"] = json!({"podCIDR": N2, "podCIDRs": [N2]}),
            true,
        ),
        // Upstream queues an identical object, too: its way of coming back now and then. Here a slow pass does that.
        ("nothing", |_| {}, false),
        ("a label", |node| node["metadata"]["labels"] = json!({"a": "b"}), false),
    ];
    for (name, edit, acts) in cases {
        let world = World::new();
        let cidrs: &[&str] = if name == "pod network" { &[] } else { &[N1] };
        add_node(&world, "n1", cidrs, "10.0.1.1");
        let _process = start(&world, SINGLE);
        seconds(30).await;
        world.cloud.script().forget();
        let mut node = world.node("n1").unwrap();
        edit(&mut node);
        if name == "internal address" {
            world.sim.update_status(node).unwrap();
        } else {
            world.sim.update(node).unwrap();
        }
        seconds(12).await;
        assert_eq!(!world.cloud.script().calls().is_empty(), acts, "{name}");
    }
}
