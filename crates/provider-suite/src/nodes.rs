//! The life of nodes.

use std::sync::{Arc, Mutex};

use cloud_provider::names::{ANNOTATION_PROVIDED_NODE_IP, TAINT_UNINITIALIZED};
use cloud_sim::Fault;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::world::{World, is_tainted, minutes, seconds};

/// What kubelet registered becomes a node of the cloud: ID, type, region, and its own name and an inner address at least.
pub async fn a_node_gets_the_id_labels_and_addresses_of_its_machine<P: Provider>() {
    let world = World::<P>::new();
    let id = world.add_machine("n1");
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    let node = world.node("n1").unwrap();
    assert_eq!(node["spec"]["providerID"], P::provider_id(&id));
    for label in ["node.kubernetes.io/instance-type", "topology.kubernetes.io/region"] {
        let value = &node["metadata"]["labels"][label];
        assert!(
            value.as_str().is_some_and(|value| !value.is_empty()),
            "{label}: {value}"
        );
    }
    let told = world.addresses("n1");
    assert_eq!(told[0], "Hostname n1");
    assert!(told.iter().any(|it| it.starts_with("InternalIP ")), "{told:?}");
}

/// A Pod of the host network that is scheduled the moment the taint goes takes the node's addresses for its own.
pub async fn no_node_loses_its_taint_before_it_has_its_addresses<P: Provider>() {
    let world = World::<P>::new();
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let nodes: Api<Node> = Api::all(world.client());
    let mut events = nodes.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let watching = tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            while let Some(Ok(WatchEvent::Added(node) | WatchEvent::Modified(node))) = events.next().await {
                seen.lock().unwrap().push(json!(node));
            }
        }
    });
    world.add_machines(10);
    let _ran = world.run(&[]);
    world.until_initialised(10).await;
    seconds(1).await;
    watching.abort();
    let seen = seen.lock().unwrap();
    let free: Vec<_> = seen
        .iter()
        .filter(|node| !is_tainted(node, TAINT_UNINITIALIZED))
        .collect();
    assert!(
        free.len() >= 10,
        "{} states of nodes were seen without the taint",
        free.len()
    );
    for node in free {
        let addresses = node["status"]["addresses"].as_array().map_or(0, Vec::len);
        assert!(addresses > 0, "{node}");
        assert!(node["spec"]["providerID"].is_string(), "{node}");
    }
}

/// The address of its machine that kubelet was told is the node's, and comes before others of its type.
pub async fn the_address_that_kubelet_was_told_is_honoured<P: Provider>() {
    let mut annotations = json!({});
    for told in [false, true] {
        // The same is done in both worlds, so that the machine has the same addresses.
        let world = World::<P>::new();
        P::add_machine(&world.sim, "n1");
        world.add_node("n1", &json!({"metadata": {"annotations": annotations}}));
        let _ran = world.run(&[]);
        world.until_initialised(1).await;
        let addresses = world.addresses("n1");
        let inner = addresses.iter().find_map(|it| it.strip_prefix("InternalIP "));
        if told {
            assert_eq!(json!(inner), annotations[ANNOTATION_PROVIDED_NODE_IP], "{addresses:?}");
        }
        annotations = json!({ANNOTATION_PROVIDED_NODE_IP: inner});
    }
}

/// The node is there first: it waits, and says for what.
pub async fn a_node_waits_for_its_machine_and_says_so<P: Provider>() {
    let world = World::<P>::new();
    world.add_node("n1", &json!({}));
    let _ran = world.run(&[]);
    minutes(2).await;
    assert!(world.initialised().is_empty());
    let told: Vec<_> = world.events().into_iter().filter(|event| event.1 == "n1").collect();
    assert!(told.iter().any(|event| event.2.contains("fits this node")), "{told:?}");
    P::add_machine(&world.sim, "n1");
    world.until_initialised(1).await;
}

/// A manager that starts while the cloud is away waits for it.
pub async fn the_start_does_not_depend_on_the_cloud<P: Provider>() {
    let world = World::<P>::new();
    world.add_machine("n1");
    world.fault(Fault::status(503).always());
    let ran = world.run(&[]);
    minutes(30).await;
    assert!(!ran.stop.is_cancelled() && world.initialised().is_empty());
    world.heal();
    world.until_initialised(1).await;
    ran.end().await.unwrap();
}

/// Off and on again: the taint comes and goes, on this node only.
pub async fn a_machine_that_is_off_taints_its_node_until_it_is_on_again<P: Provider>() {
    let world = World::<P>::new();
    let ids = world.add_machines(3);
    let _ran = world.run(&[]);
    world.until_initialised(3).await;
    P::switch_off(&world.sim, &ids[0]);
    world.set_ready("n0", "Unknown");
    seconds(30).await;
    assert!(world.is_shut_down("n0"), "{:?}", world.taints("n0"));
    P::switch_on(&world.sim, &ids[0]);
    world.set_ready("n0", "True");
    seconds(30).await;
    for node in ["n0", "n1", "n2"] {
        assert!(!world.is_shut_down(node), "{node}: {:?}", world.taints(node));
    }
    minutes(60).await;
    assert_eq!(world.initialised(), ["n0", "n1", "n2"]);
}

/// A node goes when its machine does and kubelet is silent, and no other goes with it.
pub async fn a_machine_that_is_gone_takes_its_node_along_and_no_other<P: Provider>() {
    let world = World::<P>::new();
    let ids = world.add_machines(4);
    let _ran = world.run(&[]);
    world.until_initialised(4).await;
    P::remove_machine(&world.sim, &ids[1]);
    minutes(5).await;
    assert!(world.node("n1").is_some(), "kubelet says it is ready");
    world.set_ready("n1", "Unknown");
    minutes(3).await;
    assert!(world.node("n1").is_none());
    minutes(60).await;
    assert_eq!(world.initialised(), ["n0", "n2", "n3"]);
}

/// In a cluster of several clouds each controller manager keeps to its own nodes, even where it has a machine of the same
/// name.
pub async fn nodes_of_other_clouds_are_left_as_they_are<P: Provider>() {
    let world = World::<P>::new();
    world.add_machine("ours");
    let mut foreign = Vec::new();
    for (n, provider_id) in P::FOREIGN.iter().enumerate() {
        for (kind, taints) in [("new", None), ("old", Some(json!([])))] {
            let name = format!("{kind}{n}");
            P::add_machine(&world.sim, &name);
            let mut spec = json!({"providerID": provider_id});
            if let Some(taints) = taints {
                spec["taints"] = taints;
            }
            world.add_node(&name, &json!({"spec": spec}));
            world.set_ready(&name, "Unknown");
            foreign.push(name);
        }
    }
    let look = || -> Vec<_> { foreign.iter().map(|name| world.node(name)).collect() };
    let before = look();
    let _ran = world.run(&[]);
    world.until_initialised(1 + P::FOREIGN.len()).await;
    minutes(60).await;
    assert_eq!(look(), before);
}

/// That no machine has a node's name proves nothing: it joined without a cloud.
pub async fn a_node_without_an_id_is_neither_given_one_nor_deleted<P: Provider>() {
    let world = World::<P>::new();
    world.add_machine("ours");
    P::add_machine(&world.sim, "twin");
    for name in ["plain", "twin"] {
        world.add_node(name, &json!({"spec": {"taints": []}}));
        world.set_ready(name, "Unknown");
    }
    let before = ["plain", "twin"].map(|name| world.node(name));
    let _ran = world.run(&[]);
    world.until_initialised(1).await;
    minutes(60).await;
    assert_eq!(["plain", "twin"].map(|name| world.node(name)), before);
}
