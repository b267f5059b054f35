//! controllers/nodelifecycle/node_lifecycle_controller_test.go of `kubernetes/cloud-provider`: the same given and expected,
//! against a whole cluster.

use super::*;
use crate::upstream_cases::passed;

/// What becomes of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    Deleted,
    Kept,
    Tainted,
}
use Becomes::{Deleted, Kept, Tainted};

/// The instance there is, if any.
#[derive(Clone, Copy)]
enum There {
    On,
    Off,
    Gone,
    /// Asking fails.
    Error(Class),
}
use There::{Error, Gone, Off, On};

const ID: &str = "fake://i-n0";
/// Without a provider ID an instance cannot be positively denied, nor its node be told from another cloud's: it is left
/// alone, where upstream asks by name.
const NO_ID: &str = "";

/// The group, the case, whether the node is ready, its provider ID, what the cloud says, and what becomes of it.
const CASES: &[(&str, &str, &str, &str, There, Becomes)] = &[
    ("NodesDeleted", "not ready, gone", "False", ID, Gone, Deleted),
    (
        "NodesDeleted",
        "not ready, error",
        "False",
        ID,
        Error(Class::Transient),
        Kept,
    ),
    ("NodesDeleted", "not ready, there", "False", ID, On, Kept),
    ("NodesDeleted", "unknown, gone", "Unknown", ID, Gone, Deleted),
    ("NodesDeleted", "unknown, there", "Unknown", ID, On, Kept),
    ("NodesDeleted", "ready, gone", "True", ID, Gone, Kept),
    ("NodesShutdown", "off", "False", ID, Off, Tainted),
    ("NodesShutdown", "off, without provider ID", "False", NO_ID, Off, Kept),
    ("NodesShutdown", "gone, without provider ID", "False", NO_ID, Gone, Kept),
    (
        "NodesShutdown",
        "error, without provider ID",
        "False",
        NO_ID,
        Error(Class::Permanent),
        Kept,
    ),
    (
        "NodesShutdown",
        "not found, without provider ID",
        "False",
        NO_ID,
        Error(Class::NotFound),
        Kept,
    ),
    // Here one question answers both: a cloud that denies an instance says nothing of its being off.
    (
        "NodesShutdown",
        "gone, an error about being off",
        "False",
        ID,
        Gone,
        Deleted,
    ),
    ("NodesShutdown", "gone, not off", "False", ID, Gone, Deleted),
    ("NodesShutdown", "ready, off", "True", ID, Off, Kept),
    ("NodesShutdown", "unknown, gone, off", "Unknown", ID, Gone, Deleted),
];

async fn becomes(ready: &str, id: &str, there: There) -> Becomes {
    let world = World::new();
    match there {
        On => world.cloud.add(Instance::new("i-n0", "n0")),
        Off => world.cloud.add(Instance::new("i-n0", "n0").shut_down()),
        Gone => {}
        Error(class) => world.cloud.script().fail(Op::ListInstances, usize::MAX, class),
    }
    let mut node = node("n0", ready);
    node["spec"]["providerID"] = json!(id);
    world.sim.create(node).unwrap();
    let before = world.node("n0").unwrap();
    let _process = start(&world);
    minutes(2).await;
    let Some(after) = world.node("n0") else {
        let text = "Deleting node n0 because it does not exist in the cloud provider";
        let events = world.sim.list("events");
        assert_eq!(
            (&events[0]["reason"], &events[0]["message"]),
            (&json!("DeletingNode"), &json!(text))
        );
        assert_eq!(events[0]["involvedObject"]["apiVersion"], "v1");
        return Deleted;
    };
    if taints(&world, "n0") == [TAINT_SHUTDOWN] {
        return Tainted;
    }
    assert_eq!(after, before, "what is kept is unchanged");
    Kept
}

#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_nodes_deleted_and_shut_down() {
    for (group, case, ready, id, there, expected) in CASES {
        assert_eq!(becomes(ready, id, *there).await, *expected, "{group}: {case}");
        passed(group, case);
    }
}

/// What upstream does not ask.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_not_found_denies_no_instance_and_another_clouds_node_is_left_alone() {
    assert_eq!(becomes("False", ID, Error(Class::NotFound)).await, Kept);
    assert_eq!(becomes("False", "aws:///i-1", Gone).await, Kept);
}
