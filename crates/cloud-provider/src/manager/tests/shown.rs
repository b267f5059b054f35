//! What a running manager shows of itself.

use super::state::{Delivery, Standing};
use super::*;

#[tokio::test(start_paused = true)]
async fn whoever_looks_sees_what_nodes_and_services_wait_for_and_what_was_asked_and_told() {
    let world = World::new();
    let ran = run(&world, &[]);
    add_node(&world, 1);
    // The cloud has no machine for it.
    let taints = json!([uninitialized()]);
    let stranger = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}, "spec": {"taints": taints}});
    world.sim.create(stranger).unwrap();
    add_service(&world, "web");
    let text = "too many requests";
    world.cloud.script().fail_with(Op::ReserveAddress, 1, move || {
        crate::CloudError::new(kit::Class::Throttled { after: None }, text)
    });
    seconds(2).await;

    let state = ran.board.state();
    assert!(state.leading);
    assert_eq!(state.leader.as_deref(), Some("me"));
    let nodes = state.nodes.as_ref().unwrap();
    assert_eq!((nodes[0].name.as_str(), nodes[0].state), ("n1", Standing::Initialized));
    assert_eq!(nodes[0].provider_id, "fake://i-1");
    assert_eq!(nodes[0].addresses, ["InternalIP 10.0.0.1"]);
    assert_eq!(
        (nodes[1].name.as_str(), nodes[1].state),
        ("n2", Standing::Uninitialized)
    );
    assert_eq!(nodes[1].reason.as_deref(), Some("InstanceNotFound"));
    let services = state.services.as_ref().unwrap();
    assert_eq!(
        (services[0].name.as_str(), services[0].state),
        ("web", Delivery::Waiting)
    );
    let problem = "failed to ensure load balancer: too many requests";
    assert_eq!(services[0].problem.as_deref(), Some(problem));
    let ensured = state
        .calls
        .iter()
        .find(|calls| calls.operation == "ensure_load_balancer")
        .unwrap();
    assert_eq!(ensured.ended(&["throttled"]), 1);
    let told = |reason: &str, object: &str| {
        let mut events = state.events.iter();
        events.any(|event| event.reason == reason && event.object == object)
    };
    for (reason, object) in [
        ("LeaderElection", "Lease kube-system/cloud-controller-manager"),
        ("Synced", "Node n1"),
        ("InitializationFailed", "Node n2"),
        ("SyncLoadBalancerFailed", "Service default/web"),
    ] {
        assert!(told(reason, object), "{reason} about {object}: {:#?}", state.events);
    }
    let page = page::page("ccm", true, "", &state);
    for text in [
        "no instance of the cloud fits this node",
        "<td>default/web<td>waits for an address",
        "This process leads, as me.",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }

    minutes(1).await;
    let state = ran.board.state();
    let service = &state.services.as_ref().unwrap()[0];
    assert_eq!((service.state, service.problem.as_deref()), (Delivery::Reached, None));
    assert_eq!(service.addresses.len(), 1, "{service:?}");
    ran.stop.cancel();
    ran.ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_nobody_looks_after_says_so() {
    let world = World::new();
    let without = run(&world, &["--controllers=*,-service"]);
    add_service(&world, "web");
    seconds(5).await;
    let service = &without.board.state().services.unwrap()[0];
    let why = Some("the service controller does not run");
    assert_eq!((service.state, service.problem.as_deref()), (Delivery::Waiting, why));
    without.stop.cancel();
    without.ended.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stands_by_says_who_leads() {
    let world = World::new();
    let leader = run(&world, &[]);
    seconds(5).await;
    let mut second = options(&[]);
    second.election.as_mut().unwrap().identity = "second".to_owned();
    let token = world.sim.admin_token().to_owned();
    let cloud = Arc::new(world.cloud.clone());
    let clients = clients(&world, &token);
    let standby = Ran::start(Process::new("test", "v0", second, cloud, clients, world.clock.clone()));
    seconds(5).await;
    let state = standby.board.state();
    assert!(!state.leading && state.nodes.is_none() && state.services.is_none());
    let page = page::page("ccm", true, "", &state);
    assert!(page.contains("This process stands by: me leads"), "{page}");
    for ran in [standby, leader] {
        ran.stop.cancel();
        ran.ended.await.unwrap().unwrap();
    }
}
