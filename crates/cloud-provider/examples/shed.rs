//! The example of `docs/guides/write-a-cloud-provider.md`, where all that follows stands once more: a test holds the two
//! together, and runs it until a node is initialised.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use cloud_provider::data::{Address, Node};
use cloud_provider::{Cloud, CloudError, Instances, Manager, Metadata, Sighting, Unknown};

/// A cloud with one machine.
struct Shed;

#[async_trait]
impl Cloud for Shed {
    fn name(&self) -> &'static str {
        "shed"
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(self)
    }
}

#[async_trait]
impl Instances for Shed {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        // A real cloud lists its machines here, page by page, once for all nodes.
        let see = |node: &Arc<Node>| match (node.provider_id.as_str(), node.name.as_str()) {
            ("shed://1", _) | ("", "anvil") => Sighting::Running(Metadata {
                provider_id: "shed://1".to_owned(),
                addresses: vec![Address::internal("192.0.2.1")],
                zone: "back".to_owned(),
                ..Metadata::default()
            }),
            ("", _) => Sighting::Unknown(Unknown::NoMatch),
            _ => Sighting::Gone,
        };
        Ok(nodes.iter().map(see).collect())
    }
}

/// The program: this cloud, with the flags and habits of every cloud controller manager.
pub fn manager() -> Manager {
    let manager = Manager::new("cloud-provider-shed", "v0.1.0");
    let manager = manager.cloud("shed", |_config| Ok(Arc::new(Shed)));
    manager.expect("no other cloud is registered")
}

fn main() -> ExitCode {
    manager().main()
}
