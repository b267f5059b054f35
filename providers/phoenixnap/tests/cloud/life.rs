//! The life of nodes, run by a whole manager.

use cloud_provider::names::{TAINT_SHUTDOWN, TAINT_UNINITIALIZED};
use phoenixnap_sim::Kind;
use serde_json::json;

use crate::harness::{World, minutes, seconds};

#[tokio::test(start_paused = true)]
async fn the_list_is_read_while_the_nodes_are() {
    provider_suite::requests::the_list_is_read_while_the_nodes_are::<crate::harness::Pnap>().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_gets_its_id_labels_and_addresses() {
    let world = World::new();
    let id = world.add_machine("n1");
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let node = world.node("n1").unwrap();
    assert_eq!(node["spec"]["providerID"], format!("phoenixnap://{id}"));
    let labels = &node["metadata"]["labels"];
    assert_eq!(labels["node.kubernetes.io/instance-type"], "s1.c1.small");
    assert_eq!(labels["topology.kubernetes.io/region"], "ASH");
    assert_eq!(labels.get("topology.kubernetes.io/zone"), None);
    assert_eq!(
        world.addresses("n1"),
        ["Hostname n1", "ExternalIP 198.19.0.2", "InternalIP 10.1.0.2"]
    );
}

/// Upstream wants one public and one private address, so that servers with one network are never initialised.
#[tokio::test(start_paused = true)]
async fn servers_with_one_network_only_are_initialised() {
    let world = World::new();
    for (name, more) in [
        ("private", json!({"public_ips": []})),
        ("public", json!({"private_ips": []})),
    ] {
        world.add_server(name, &more);
        world.add_node(name, &json!({}));
    }
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    assert_eq!(world.addresses("private"), ["Hostname private", "InternalIP 10.1.0.2"]);
    assert_eq!(world.addresses("public"), ["Hostname public", "ExternalIP 198.19.0.3"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_waits_for_its_server_and_for_the_servers_address() {
    let world = World::new();
    world.add_node("n1", &json!({}));
    let _ran = world.run(&[]);
    minutes(2).await;
    assert!(world.taints("n1").contains(&TAINT_UNINITIALIZED.to_owned()));
    let id = world.add_server("n1", &json!({"public_ips": [], "private_ips": []}));
    minutes(2).await;
    assert!(world.taints("n1").contains(&TAINT_UNINITIALIZED.to_owned()));
    world.change_server(&id, &json!({"private_ips": ["10.1.0.9"]}));
    world.until_initialised(1).await;
    assert_eq!(world.addresses("n1"), ["Hostname n1", "InternalIP 10.1.0.9"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_kubelet_was_told_and_the_server_lacks_is_honoured() {
    let world = World::new();
    world.add_server("n1", &json!({}));
    let annotations = json!({"alpha.kubernetes.io/provided-node-ip": "192.0.2.7"});
    world.add_node("n1", &json!({"metadata": {"annotations": annotations}}));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let told = world.addresses("n1");
    assert!(told.contains(&"InternalIP 192.0.2.7".to_owned()), "{told:?}");
    assert!(!told.contains(&"InternalIP 10.1.0.2".to_owned()), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_of_the_cluster_api_keeps_its_id_and_is_looked_after() {
    let world = World::new();
    let id = world.add_server("n1", &json!({}));
    let provider_id = format!("bmc://servers/{id}");
    world.add_node("n1", &json!({"spec": {"providerID": provider_id}}));
    world.add_machine("n2");
    let _ran = world.run(&[]);
    world.until_initialised(2).await;
    assert_eq!(world.node("n1").unwrap()["spec"]["providerID"], provider_id);
    world.change_server(&id, &json!({"status": "powered-off"}));
    world.set_ready("n1", "Unknown");
    seconds(30).await;
    assert!(world.taints("n1").contains(&TAINT_SHUTDOWN.to_owned()));
    world.sim.remove(Kind::Server, &id).unwrap();
    minutes(3).await;
    assert!(world.node("n1").is_none());
}

#[tokio::test(start_paused = true)]
async fn each_status_is_what_it_says() {
    for (status, off) in [
        ("creating", false),
        ("powered-on", false),
        ("powered-off", true),
        ("rebooting", false),
        ("resetting", false),
        ("deleting", false),
        ("reserved", false),
        ("error", false),
        ("reinstating", false),
        ("POWERED_OFF", true),
        ("hibernating", false),
    ] {
        let world = World::new();
        let id = world.add_machine("n1");
        let _ran = world.run(&[]);
        world.until_initialised(1).await;
        world.change_server(&id, &json!({"status": status}));
        world.set_ready("n1", "Unknown");
        minutes(3).await;
        assert_eq!(world.taints("n1").contains(&TAINT_SHUTDOWN.to_owned()), off, "{status}");
    }
}
