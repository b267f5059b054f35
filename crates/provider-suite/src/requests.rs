//! How much is asked.

use std::sync::Arc;
use std::time::Duration;

use cloud_provider::data::Node;
use cloud_provider::{Cloud as _, Sighting};
use cloud_sim::Fault;
use serde_json::Value;

use crate::provider::{Bound, Provider};
use crate::world::{World, minutes, seconds};

fn paged<P: Provider>() -> World<P> {
    World::with(P::paged(), Value::Null)
}

/// Nodes cost a list, not a request each; and an hour in which nothing happens costs little more than the lists of it.
pub async fn many_nodes_take_lists_and_little_more_in_an_hour<P: Provider>() {
    for &count in P::COUNTS {
        let world = paged::<P>();
        world.add_machines(count);
        let _ran = world.run(&[]);
        world.until_initialised(count).await;
        let first = world.sent();
        minutes(60).await;
        let (hourly, bound) = (world.sent() - first, P::bound(count));
        println!("{count} nodes: {first} requests to initialise them, {hourly} in the hour after; {bound:?}");
        assert!(first <= bound.first, "{count}: {first}");
        assert!(hourly <= bound.hourly, "{count}: {hourly}");
    }
}

/// What is written to the API server for a node: its addresses, the rest, and that it was done.
pub async fn a_node_takes_three_writes_and_none_in_an_hour_after<P: Provider>() {
    const COUNT: usize = 50;
    let world = World::<P>::new();
    world.add_machines(COUNT);
    world.kube.clear_requests();
    let _ran = world.run(&[]);
    world.until_initialised(COUNT).await;
    minutes(1).await;
    let writes = || {
        let requests = world.kube.requests();
        requests.iter().filter(|request| request.method != "GET").count()
    };
    let first = writes();
    minutes(60).await;
    let hourly = writes() - first;
    println!("{COUNT} nodes: {first} writes to initialise them, {hourly} in the hour after");
    assert!(first <= 3 * COUNT, "{first}");
    assert_eq!(hourly, 0);
}

/// One look-up of all nodes a pass, whether one of them is silent or many are.
pub async fn nodes_that_are_not_ready_take_one_list_a_pass<P: Provider>() {
    const COUNT: usize = 150;
    let world = paged::<P>();
    world.add_machines(COUNT);
    let ran = world.run(&[]);
    world.until_initialised(COUNT).await;
    for n in 0..COUNT / 5 {
        world.set_ready(&format!("n{n}"), "Unknown");
    }
    let looks = || {
        let told = ran.metrics.render();
        let line = r#"cloud_provider_calls_total{operation="look_up",result="success"} "#;
        let count = told.lines().find_map(|it| it.strip_prefix(line)).unwrap();
        count.parse::<f64>().unwrap() as usize
    };
    let lists = || world.asked("GET", P::MACHINES);
    let (looked, listed, sent) = (looks(), lists(), world.sent());
    minutes(30).await;
    let (looked, listed, sent) = (looks() - looked, lists() - listed, world.sent() - sent);
    let Bound { list, .. } = P::bound(COUNT);
    println!(
        "{COUNT} nodes, {} not ready, half an hour: {looked} look-ups, {sent} requests",
        COUNT / 5
    );
    assert!(looked >= 30, "it looks after them: {looked}");
    assert!(listed <= looked * list, "{listed} requests for lists");
    // A login now and then.
    assert!(sent - listed <= 10, "{} other requests", sent - listed);
    assert_eq!(world.initialised().len(), COUNT);
}

/// For providers that read their list while the cluster's nodes are read: the first look-up needs no other.
pub async fn the_list_is_read_while_the_nodes_are<P: Provider>() {
    let world = World::<P>::new();
    world.add_machines(3);
    let nodes = kube_sim::Matcher::any().verb("list").resource("nodes");
    world.kube.faults().delay(nodes, Duration::from_secs(3), 1);
    let _ran = world.run(&[]);
    seconds(2).await;
    let lists = || world.asked("GET", P::MACHINES);
    assert_eq!((lists(), world.initialised().len()), (P::bound(3).list, 0));
    world.until_initialised(3).await;
    assert_eq!(lists(), P::bound(3).list);
}

/// Controllers that ask at the same time share a list, and an old one is not believed.
pub async fn who_asks_at_the_same_time_shares_a_list<P: Provider>() {
    let world = World::<P>::new();
    let node = |n: usize| {
        let name = format!("n{n}");
        P::add_machine(&world.sim, &name);
        Arc::new(Node {
            name,
            ..Node::default()
        })
    };
    let nodes: Vec<_> = (0..10).map(node).collect();
    let cloud = world.cloud();
    let asks = nodes.iter().map(|node| {
        let instances = cloud.instances().expect("it has machines");
        async move { instances.look_up(std::slice::from_ref(node)).await.unwrap().remove(0) }
    });
    let seen = futures::future::join_all(asks).await;
    assert!(seen.iter().all(|seen| matches!(seen, Sighting::Running(_))), "{seen:?}");
    assert_eq!(world.asked("GET", P::MACHINES), 1);
    minutes(1).await;
    cloud
        .instances()
        .expect("it has machines")
        .look_up(&nodes)
        .await
        .unwrap();
    assert_eq!(world.asked("GET", P::MACHINES), 2, "an old list is not believed");
}

/// `Retry-After` is honoured, and meanwhile nothing else is asked.
pub async fn an_api_that_throttles_is_given_its_time<P: Provider>() {
    let world = World::<P>::new();
    world.add_machines(5);
    let busy = Fault::status(429).header("retry-after", "40");
    world.fault(busy.on("GET", &format!("{}$", P::MACHINES)).times(2));
    let began = world.clock.now();
    let _ran = world.run(&[]);
    world.until_initialised(5).await;
    let took = world.clock.since(began);
    assert!(took >= Duration::from_secs(80), "{took:?}");
    assert!(world.sent() <= 6, "{}", world.sent());
}

/// Metrics tell what the cloud was asked: each request by its name, and the question it was for.
pub async fn each_call_is_counted_under_its_name<P: Provider>() {
    let world = World::<P>::new();
    world.add_machine("n1");
    let ran = world.run(&[]);
    world.until_initialised(1).await;
    let told = ran.metrics.render();
    for operation in [&P::LISTS.replace(' ', "_"), "look_up"] {
        let line = format!(r#"cloud_provider_calls_total{{operation="{operation}",result="success"}} 1"#);
        assert!(told.contains(&line), "{line}\n{told}");
    }
}
