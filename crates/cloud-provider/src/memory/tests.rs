use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::cloud::{Sighting, Unknown};
use crate::data::{Node, Service};

fn node(name: &str, provider_id: &str) -> Arc<Node> {
    Arc::new(Node {
        name: name.to_owned(),
        provider_id: provider_id.to_owned(),
        ..Node::default()
    })
}

fn cloud() -> MemoryCloud {
    let cloud = MemoryCloud::new("fake");
    cloud.add(Instance::new("1", "a").internal("10.0.0.1"));
    cloud.add(Instance::new("2", "b").shut_down());
    cloud
}

#[tokio::test(start_paused = true)]
async fn nodes_are_found_by_id_then_by_name_and_only_an_id_proves_that_one_is_gone() {
    let cloud = cloud();
    let nodes = [
        node("a", ""),
        node("x", "fake://1"),
        node("b", "2"),
        node("c", ""),
        node("d", "fake://9"),
        node("e", "aws:///9"),
    ];
    let seen = cloud.look_up(&nodes).await.unwrap();
    assert!(matches!(&seen[0], Sighting::Running(found) if found.provider_id == "fake://1"));
    assert!(matches!(&seen[1], Sighting::Running(found) if found.addresses.len() == 1));
    assert!(matches!(seen[2], Sighting::ShutDown));
    assert!(matches!(seen[3], Sighting::Unknown(Unknown::NoMatch)));
    assert!(matches!(seen[4], Sighting::Gone));
    assert!(matches!(seen[5], Sighting::Unknown(Unknown::Foreign)));
}

#[tokio::test(start_paused = true)]
async fn wrong_lists_do_not_make_instances_gone_but_a_denial_does() {
    let cloud = cloud();
    let nodes = [node("a", "fake://1"), node("b", "fake://2")];
    for lie in [Lie::Empty, Lie::Truncated(1)] {
        cloud.lie(Some(lie));
        let seen = cloud.look_up(&nodes).await.unwrap();
        assert!(
            matches!((&seen[0], &seen[1]), (Sighting::Running(_), Sighting::ShutDown)),
            "{lie:?}"
        );
    }
    cloud.lie(Some(Lie::Denied));
    assert!(
        cloud
            .look_up(&nodes)
            .await
            .unwrap()
            .iter()
            .all(|seen| matches!(seen, Sighting::Gone))
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_instances_are_one_page() {
    let cloud = MemoryCloud::new("fake");
    for n in 0..2500 {
        cloud.add(Instance::new(&n.to_string(), &n.to_string()));
    }
    let nodes: Vec<_> = (0..2500).map(|n| node(&n.to_string(), "")).collect();
    assert_eq!(cloud.look_up(&nodes).await.unwrap().len(), 2500);
    assert_eq!(cloud.script().calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_script_fails_delays_and_loses_requests_in_order() {
    let cloud = cloud();
    cloud.script().fail(
        Op::ListInstances,
        1,
        Class::Throttled {
            after: Some(Duration::from_secs(7)),
        },
    );
    cloud.script().delay(Op::ListInstances, 1, Duration::from_secs(5));
    let error = cloud.look_up(&[]).await.unwrap_err();
    assert_eq!(error.after(), Some(Duration::from_secs(7)));
    let began = Instant::now();
    cloud.look_up(&[]).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(5));

    let service = Service {
        uid: "u".to_owned(),
        name: "web".to_owned(),
        namespace: "shop".to_owned(),
        ..Service::default()
    };
    cloud.script().lose(Op::ReserveAddress, 1);
    cloud.script().lose(Op::CreateBalancer, 1);
    assert!(cloud.ensure("c", &service, &[]).await.is_err());
    assert!(cloud.ensure("c", &service, &[]).await.is_err());
    cloud.ensure("c", &service, &[]).await.unwrap();
    assert_eq!(
        (cloud.balancers().len(), cloud.addresses().len()),
        (1, 1),
        "nothing is made twice"
    );
    LoadBalancers::delete(&cloud, "c", &service).await.unwrap();
    LoadBalancers::delete(&cloud, "c", &service).await.unwrap();
    assert!(cloud.balancers().is_empty() && cloud.addresses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_there_cannot_be_made_again() {
    let cloud = MemoryCloud::new("fake");
    let route = Route {
        name: String::new(),
        target_node: "n".to_owned(),
        target_addresses: None,
        destination: "10.0.0.0/24".to_owned(),
        blackhole: false,
    };
    Routes::create(&cloud, "c", "uid", &route).await.unwrap();
    let error = Routes::create(&cloud, "c", "uid", &route).await.unwrap_err();
    assert_eq!(
        (error.class(), error.to_string().as_str()),
        (Class::Conflict, "route \"c-n-10.0.0.0/24\" already exists")
    );
    let listed = Routes::list(&cloud, "c").await.unwrap();
    Routes::delete(&cloud, "c", &listed[0]).await.unwrap();
    assert!(cloud.route_table().is_empty());
}
