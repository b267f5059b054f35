//! Giving blocks back: marked, taken off the network, deleted, each only when the one before is done.
//!
//! Mirrors the reaper of the original (`phoenixnap/loadbalancers.go`), which takes the wrong block off the network.

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use cloud_provider::helpers::Cidr;
use kit::Class;
use kube_kit::Fence;
use tracing::info;

use super::address::Members;
use super::users::has_user;
use super::{PnapLoadBalancers, Running, tags};
use crate::client::{BlockStatus, IpBlock, PnapClient, PnapError, Removal};

/// Gives blocks back.
pub(super) struct Release<'a> {
    pub client: &'a PnapClient,
    pub fence: &'a Fence,
    /// The network that blocks are on unless they say otherwise.
    pub network: Option<&'a str>,
}

/// How far a block got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is given back.
    Gone,
    /// It is on its way.
    Left,
}

impl PnapLoadBalancers {
    pub(super) fn release<'a>(&'a self, running: &'a Running) -> Release<'a> {
        Release {
            client: &self.0.client,
            fence: &running.context.fence,
            network: self.0.settings.as_ref().map(|settings| settings.network.as_str()),
        }
    }

    /// Marks a block that is to go, and does the next step with it.
    pub(super) async fn discard(&self, running: &Running, block: &IpBlock) -> Result<Progress, CloudError> {
        let Some(_working) = running.ledger.begin(&block.id) else {
            return Ok(Progress::Left);
        };
        running.ledger.notes().end(&block.id, running.context.clock.now());
        let release = self.release(running);
        let marked = if tags::is_marked(block) {
            block.clone()
        } else {
            self.ensure_tags(running).await?;
            let marked = release.mark(block).await;
            match marked.inspect_err(|_| running.ledger.notes().tagged = false)? {
                Some(marked) => marked,
                None => return Ok(Progress::Left),
            }
        };
        let progress = release.step(&marked).await?;
        if progress == Progress::Gone {
            running.ledger.notes().forget(&block.id);
        }
        Ok(progress)
    }

    /// Gives a block back that nobody uses, as far as this process and the API server know; `except` does not count.
    /// Nothing when somebody does.
    pub(super) async fn discard_unused(
        &self,
        running: &Running,
        block: &IpBlock,
        except: Option<&Service>,
    ) -> Result<Option<Progress>, CloudError> {
        {
            let mut notes = running.ledger.notes();
            if tags::is_shared(block) && has_user(running, &notes, block, except) {
                return Ok(None);
            }
            // From here on nobody gets an address of it, so that who uses it now is all there are.
            notes.end(&block.id, running.context.clock.now());
        }
        let unused = self.is_unused(running, block, except).await;
        if !matches!(unused, Ok(true)) {
            running.ledger.notes().keep(&block.id);
        }
        if !unused? {
            return Ok(None);
        }
        self.discard(running, block).await.map(Some)
    }
}

impl Release<'_> {
    /// Marks a block, so that whoever comes after us goes on giving it back. Once marked it is not used again. Nothing when
    /// it cannot be seen.
    async fn mark(&self, block: &IpBlock) -> Result<Option<IpBlock>, CloudError> {
        self.fence.check()?;
        info!(block = %block.id, cidr = %block.cidr, "releasing an IP block");
        match self.client.tag_ip_block(&block.id, &tags::marked(block)).await {
            Ok(marked) => Ok(Some(marked)),
            Err(error) => {
                let text = format!("unable to add 'delete' tag to IP block {}", block.id);
                self.settle(block, error, text).await.map(|_| None)
            }
        }
    }

    /// The next step with a block that is marked.
    async fn step(&self, block: &IpBlock) -> Result<Progress, CloudError> {
        match &block.status {
            BlockStatus::Unassigned => {
                self.fence.check()?;
                match self.client.delete_ip_block(&block.id).await {
                    Ok(()) => Ok(Progress::Gone),
                    Err(error) => {
                        let text = format!("unable to delete IP block {}", block.cidr);
                        self.settle(block, error, text).await
                    }
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
        let Some(network) = id.or_else(|| self.network.map(str::to_owned)) else {
            let text = format!(
                "block {} does not say which network it is on: take it off by hand",
                block.cidr
            );
            return Err(CloudError::new(Class::Conflict, text));
        };
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
                let text = format!("unable to remove block {} from network {network}", block.cidr);
                self.settle(block, error, text).await
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

    /// What a refusal means. A conflict says that the block, or its network, is busy. That the block is not there may be
    /// so, or this may not be done with it: while it can be seen, doing the same again soon does not help.
    async fn settle(&self, block: &IpBlock, error: PnapError, what: String) -> Result<Progress, CloudError> {
        let gone = error.is_missing() && {
            let seen = self.client.ip_block(&block.id).await;
            seen.is_err_and(|error| error.is_missing())
        };
        if error.is_conflict() || gone {
            info!("{what}: {error}; looking again");
            return Ok(Progress::Left);
        }
        Err(CloudError::new(error.class(), what).because(error))
    }
}
