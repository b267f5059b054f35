//! The life of nodes, run by a whole manager.

use serde_json::Value;

use crate::harness::World;

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
