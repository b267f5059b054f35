//! Where a node's provider ID comes from.

use async_trait::async_trait;

use super::*;
use crate::cloud::{Cloud, Instances};
use crate::upstream_cases::passed;

/// A cloud that does not tell the provider IDs of its instances.
pub(super) struct Nameless(pub(super) MemoryCloud);

#[async_trait]
impl Cloud for Nameless {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(self)
    }
}

#[async_trait]
impl Instances for Nameless {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let mut told = self.0.look_up(nodes).await?;
        for sighting in &mut told {
            if let Sighting::Running(metadata) = sighting {
                metadata.provider_id.clear();
            }
        }
        Ok(told)
    }
}

/// Upstream's getInstanceMetadata: the ID that the cloud tells, the node's, the ID that it is to have, and whether the
/// rest is known, too.
#[test]
fn every_upstream_case_of_get_instance_metadata() {
    let addresses = vec![
        Address::hostname("node0.cloud.internal"),
        Address::internal("10.0.0.1"),
        Address::external("132.143.154.163"),
    ];
    for (name, told, own, id) in [
        ("the cloud's ID", "fake://12345", "", Some("fake://12345")),
        // Upstream initialises a node without an ID when its cloud has none to give.
        ("the cloud knows none", "", "", None),
        ("the node's own", "", "fake://asdasd", Some("fake://asdasd")),
        (
            "the cloud's ID, second interface",
            "fake://12345",
            "",
            Some("fake://12345"),
        ),
        ("none anywhere, second interface", "", "", None),
        (
            "the node's own, second interface",
            "",
            "fake://12345",
            Some("fake://12345"),
        ),
    ] {
        let metadata = Metadata {
            provider_id: told.to_owned(),
            addresses: addresses.clone(),
            instance_type: "t1.micro".to_owned(),
            ..Metadata::default()
        };
        let node = Node {
            provider_id: own.to_owned(),
            ..Node::default()
        };
        match (plan(&node, &metadata), id) {
            (Ok(plan), Some(id)) => {
                assert_eq!(plan.provider_id.as_deref().unwrap_or(own), id, "{name}");
                assert_eq!(plan.addresses.as_ref(), Some(&addresses), "{name}");
                let types = names::LABEL_INSTANCE_TYPE.map(|key| (key.to_owned(), "t1.micro".to_owned()));
                assert_eq!(plan.labels, BTreeMap::from(types), "{name}");
            }
            (Err(problem), None) => assert_eq!(problem, Problem::NoProviderId, "{name}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
        passed("getInstanceMetadata", name);
    }
}

/// Upstream's getProviderID, which its other controller asks for nodes without one. Here this controller asks, and writes
/// it to the node: the ID that the node has, the instance there is, whether the cloud tells its ID, what the node has in
/// the end, and why it has none.
#[tokio::test(start_paused = true)]
async fn every_upstream_case_of_get_provider_id() {
    let no_match = "no instance of the cloud fits this node";
    let no_id = "cloud provider does not set node provider ID";
    // Upstream's words are "failed to get instance ID from cloud provider".
    let failed = "failed to get instance metadata: ListInstances failed as scripted";
    for (case, own, instance, tells, id, why) in [
        ("the node's own", "fake://i-1", None, true, "fake://i-1", ""),
        (
            "the node's own, second interface",
            "fake://i-1",
            None,
            true,
            "fake://i-1",
            "",
        ),
        ("the cloud's", "", Some("12345"), true, "fake://12345", ""),
        (
            "the cloud's, second interface",
            "",
            Some("12345"),
            true,
            "fake://12345",
            "",
        ),
        ("none, second interface", "", Some("12345"), false, "", no_id),
        ("instance missing", "", None, true, "", no_match),
        ("unknown error", "", Some("12345"), true, "", failed),
    ] {
        let world = World::new();
        if let Some(instance) = instance {
            world.cloud.add(Instance::new(instance, "node-0").internal("10.0.0.1"));
        }
        if why == failed {
            world
                .cloud
                .script()
                .fail(Op::ListInstances, usize::MAX, Class::Permanent);
        }
        let mut node = new_node("node-0");
        node["spec"]["providerID"] = json!(own);
        world.sim.create(node).unwrap();
        let mut process = world.start();
        if !tells {
            process.shared.cloud = Arc::new(Nameless(world.cloud.clone()));
        }
        let _process = run_in(process, options());
        seconds(30).await;
        let node = world.node("node-0").unwrap();
        assert_eq!(node["spec"]["providerID"].as_str().unwrap_or_default(), id, "{case}");
        let said: Vec<_> = world.events().into_iter().map(|event| event.2).collect();
        assert!(said.concat().contains(why), "{case}: {said:?}");
        passed("getProviderID", case);
    }
}
