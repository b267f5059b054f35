//! Giving blocks back: marked, taken off the network, deleted, each only when the one before is done.
//!
//! Mirrors the reaper of the original (`phoenixnap/loadbalancers.go`), which takes the wrong block off the network.

use cloud_provider::CloudError;
use cloud_provider::helpers::Cidr;
use kit::Class;
use kube_kit::Fence;
use tracing::info;

use super::address::Members;
use super::tags;
use crate::client::{BlockStatus, IpBlock, PnapClient, PnapError, Removal};

/// Gives blocks back.
pub(super) struct Release<'a> {
    pub client: &'a PnapClient,
    pub fence: &'a Fence,
    /// The network that blocks are on unless they say otherwise.
    pub network: &'a str,
}

/// How far a block got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is given back.
    Gone,
    /// It is on its way.
    Left,
}

impl Release<'_> {
    /// Marks a block, so that whoever comes after us goes on giving it back. Once marked it is not used again.
    pub async fn mark(&self, block: &IpBlock) -> Result<IpBlock, CloudError> {
        if tags::is_marked(block) {
            return Ok(block.clone());
        }
        self.fence.check()?;
        info!(block = %block.id, cidr = %block.cidr, "releasing an IP block");
        self.client
            .tag_ip_block(&block.id, &tags::marked(block))
            .await
            .map_err(|error| {
                let text = format!("unable to add 'delete' tag to IP block {}", block.id);
                CloudError::new(error.class(), text).because(error)
            })
    }

    /// The next step with a block that is marked.
    pub async fn step(&self, block: &IpBlock) -> Result<Progress, CloudError> {
        match &block.status {
            BlockStatus::Unassigned => {
                self.fence.check()?;
                match self.client.delete_ip_block(&block.id).await {
                    Ok(()) => Ok(Progress::Gone),
                    Err(error) => settle(error, format!("unable to delete IP block {}", block.cidr)),
                }
            }
            BlockStatus::Assigned | BlockStatus::ErrorAssigning | BlockStatus::ErrorUnassigning => {
                self.take_off(block).await
            }
            BlockStatus::Creating
            | BlockStatus::Assigning
            | BlockStatus::Unassigning
            | BlockStatus::Other(_)
            | BlockStatus::Unknown => Ok(Progress::Left),
        }
    }

    /// Begins to take a block off its network. Never from anything else, and never from under a member that uses it.
    pub async fn take_off(&self, block: &IpBlock) -> Result<Progress, CloudError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (kind, id) = (given(&block.assigned_resource_type), given(&block.assigned_resource_id));
        if let Some(kind) = kind
            && !block.is_on_public_network()
        {
            let text = format!(
                "block {} is assigned to {kind} {}, which is not this program's doing: unassign it by hand",
                block.cidr,
                id.unwrap_or_default()
            );
            return Err(CloudError::new(Class::Conflict, text));
        }
        let network = id.unwrap_or_else(|| self.network.to_owned());
        self.fence.check()?;
        let removed = self
            .client
            .remove_block_from_network(&network, &block.id, Removal::Unused)
            .await;
        match removed {
            Ok(()) => Ok(Progress::Left),
            Err(error) => {
                if error.is_conflict()
                    && let Some(member) = self.member_inside(&network, block).await?
                {
                    let text = format!(
                        "block {} cannot be taken off public network {network}: server {member} uses an address of it",
                        block.cidr
                    );
                    return Err(CloudError::new(Class::Conflict, text).because(error));
                }
                settle(
                    error,
                    format!("unable to remove block {} from network {network}", block.cidr),
                )
            }
        }
    }

    async fn member_inside(&self, network: &str, block: &IpBlock) -> Result<Option<String>, PnapError> {
        let Ok(cidr) = block.cidr.parse::<Cidr>() else {
            return Ok(None);
        };
        let network = self.client.public_network(network).await?;
        Ok(Members::of(&network).inside(cidr).map(str::to_owned))
    }
}

/// A conflict says that the block, or its network, is busy. That the block is not there may mean that it is gone, or that
/// the credential is no good: the next look at the list tells.
fn settle(error: PnapError, what: String) -> Result<Progress, CloudError> {
    if error.is_conflict() || error.is_missing() {
        info!("{what}: {error}; looking again");
        return Ok(Progress::Left);
    }
    Err(CloudError::new(error.class(), what).because(error))
}
