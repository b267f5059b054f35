//! The life of nodes, run by a whole manager.

use cloud_provider::names::{TAINT_SHUTDOWN, TAINT_UNINITIALIZED};
use cloud_sim::Fault;
use serde_json::{Value, json};

use crate::harness::{World, minutes, seconds};

#[tokio::test(start_paused = true)]
async fn a_node_gets_its_id_labels_and_addresses() {
    let world = World::new();
    let id = world.add_machine("n1");
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let node = world.node("n1").unwrap();
    assert_eq!(node["spec"]["providerID"], format!("equinixmetal://{id}"));
    let device = world.sim.device(&id).unwrap();
    let labels = &node["metadata"]["labels"];
    for (label, expected) in [
        ("node.kubernetes.io/instance-type", &device["plan"]["slug"]),
        ("topology.kubernetes.io/region", &device["metro"]["code"]),
        ("topology.kubernetes.io/zone", &device["facility"]["code"]),
    ] {
        assert!(expected.is_string(), "{label}: {expected}");
        assert_eq!(&labels[label], expected, "{label}");
    }
    let told = world.addresses("n1");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0] == "Hostname n1" && told[1].starts_with("ExternalIP") && told[2].starts_with("InternalIP"));
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_public_address_is_initialised() {
    let world = World::new();
    let id = world.add_machine("n1");
    let mut state = world.sim.state();
    let devices = match &mut state["devices"] {
        Value::Array(all) => all.iter_mut().collect::<Vec<_>>(),
        Value::Object(all) => all.values_mut().collect(),
        other => panic!("{other}"),
    };
    for device in devices {
        device["nics"]
            .as_array_mut()
            .unwrap()
            .retain(|nic| nic["public"] == false);
    }
    world.sim.replace(state).unwrap();
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let told = world.addresses("n1");
    assert!(told.len() == 2 && told[1].starts_with("InternalIP"), "{told:?}");
    assert_eq!(
        world.node("n1").unwrap()["spec"]["providerID"],
        format!("equinixmetal://{id}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_waits_while_its_device_has_no_address() {
    let world = World::new();
    world.add_node("n1", &json!({}));
    let _ran = world.run(&[]);
    minutes(2).await;
    assert!(world.initialised().is_empty());
    let told: Vec<_> = world.events().into_iter().filter(|event| event.1 == "n1").collect();
    assert!(told.iter().any(|event| event.2.contains("fits this node")), "{told:?}");
    world.sim.add_device("n1");
    world.until_initialised(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_switched_off_taints_its_node_and_a_deleted_one_removes_it() {
    let world = World::new();
    let ids = world.add_machines(4);
    let _ran = world.run(&[]);
    world.until_initialised(4).await;
    world.sim.set_device_state(&ids[0], "inactive").unwrap();
    world.set_ready("n0", "Unknown");
    seconds(30).await;
    assert!(
        world.taints("n0").iter().any(|key| key == TAINT_SHUTDOWN),
        "{:?}",
        world.taints("n0")
    );
    world.sim.set_device_state(&ids[0], "active").unwrap();
    world.set_ready("n0", "True");
    seconds(30).await;
    assert!(!world.taints("n0").iter().any(|key| key == TAINT_SHUTDOWN));
    world.sim.set_device_state(&ids[1], "deleted").unwrap();
    world.set_ready("n1", "Unknown");
    minutes(3).await;
    assert!(world.node("n1").is_none());
    assert_eq!(world.initialised(), ["n0", "n2", "n3"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_of_others_are_left_as_they_are() {
    let world = World::new();
    world.add_machines(3);
    let foreign = [
        ("aws", json!("aws:///eu-west-1a/i-1")),
        ("k3s", json!("k3s://foreign")),
        ("bare", json!("some-vm-17")),
    ];
    for (name, id) in &foreign {
        world.add_node(name, &json!({"spec": {"providerID": id}}));
        world.set_ready(name, "Unknown");
    }
    // Joined without a cloud: neither an ID nor the taint.
    world.add_node("plain", &json!({"spec": {"taints": []}}));
    world.set_ready("plain", "Unknown");
    let before: Vec<_> = foreign.iter().map(|(name, _)| world.node(name).unwrap()).collect();
    let _ran = world.run(&[]);
    world.until_initialised(3).await;
    minutes(60).await;
    for ((name, _), before) in foreign.iter().zip(before) {
        let now = world.node(name).unwrap();
        assert_eq!(now["spec"]["providerID"], before["spec"]["providerID"], "{name}");
        assert!(
            world.taints(name).iter().any(|key| key == TAINT_UNINITIALIZED),
            "{name}"
        );
        assert_eq!(now["metadata"]["labels"], before["metadata"]["labels"], "{name}");
    }
    let plain = world.node("plain").unwrap();
    assert!(plain["spec"]["providerID"].is_null(), "{plain}");
}

#[tokio::test(start_paused = true)]
async fn the_start_does_not_depend_on_the_cloud() {
    let world = World::new();
    world.add_machine("n1");
    world.fault(Fault::status(503).times(10_000));
    let ran = world.run(&[]);
    minutes(30).await;
    assert!(!ran.stop.is_cancelled() && world.initialised().is_empty());
    world.sim.front().clear_faults();
    world.until_initialised(1).await;
    ran.end().await.unwrap();
}
