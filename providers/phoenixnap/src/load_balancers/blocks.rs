//! The blocks that there are: the cluster's own, and those of others that an address may be in.

use cloud_provider::CloudError;
use cloud_provider::data::Service;

use super::publish::addresses_of;
use super::{PnapLoadBalancers, Running, holds_one, tags};
use crate::client::{BlockStatus, IpBlock, PnapError, PublicNetwork};

/// What was seen of the cloud at one moment.
pub(super) struct View {
    /// The cluster's blocks.
    pub blocks: Vec<IpBlock>,
    /// The public network that blocks are assigned to.
    pub network: PublicNetwork,
}

impl PnapLoadBalancers {
    /// The cluster's blocks, with those that this process bought and that lists do not show yet.
    pub(super) async fn blocks(&self, running: &Running) -> Result<Vec<IpBlock>, CloudError> {
        let client = &self.0.client;
        let ours = tags::cluster(&running.cluster);
        let mut blocks = client
            .ip_blocks(&ours)
            .await
            .map_err(|error| CloudError::new(error.class(), "unable to retrieve IP reservations").because(error))?;
        let unseen = running.ledger.notes().unseen(&blocks, &running.context.clock);
        for bought in unseen {
            match client.ip_block(&bought.id).await {
                Ok(block) if block.bears(&ours) => blocks.push(block),
                Ok(block) => running.ledger.notes().forget(&block.id),
                // Late, or forbidden for a moment: forgotten, it would be bought again.
                Err(error) if error.is_missing() => blocks.push(IpBlock {
                    status: BlockStatus::Creating,
                    ..bought
                }),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(blocks)
    }

    /// Blocks and network as they are now.
    pub(super) async fn look(&self, running: &Running) -> Result<View, CloudError> {
        Ok(View {
            blocks: self.blocks(running).await?,
            network: self.network().await?,
        })
    }

    /// The blocks of the network that are not among the cluster's and have an address that the Service has or asks for:
    /// only their tags tell whether they are another cluster's.
    pub(super) async fn strangers(
        &self,
        running: &Running,
        service: &Service,
        view: &View,
    ) -> Result<Vec<IpBlock>, CloudError> {
        let addresses: Vec<_> = addresses_of(running.publisher.names(), service).collect();
        let mut strangers = Vec::new();
        for listed in &view.network.ip_blocks {
            let known = view.blocks.iter().any(|block| block.id == listed.id);
            if known || !holds_one(&listed.cidr, &addresses) {
                continue;
            }
            let remembered = running.ledger.notes().stranger(&listed.id);
            let block = if let Some(block) = remembered {
                block
            } else {
                let block = self.0.client.ip_block(&listed.id).await.map_err(|error| {
                    let text = format!("unable to tell whose block {} of the public network is", listed.cidr);
                    CloudError::new(error.class(), text).because(error)
                })?;
                running.ledger.notes().met(&block, running.context.clock.now());
                block
            };
            strangers.push(block);
        }
        Ok(strangers)
    }

    /// Makes sure that the tags exist, which must before anything can bear them.
    pub(super) async fn ensure_tags(&self, running: &Running) -> Result<(), CloudError> {
        if running.ledger.notes().tagged {
            return Ok(());
        }
        let client = &self.0.client;
        let wrong = |what: String| {
            move |error: PnapError| {
                let text = format!("unable to ensure tags exist: {what}");
                CloudError::new(error.class(), text).because(error)
            }
        };
        let there = client
            .tags()
            .await
            .map_err(wrong("unable to get all tags".to_owned()))?;
        for name in tags::NAMES {
            if !there.iter().any(|tag| tag.name == name) {
                running.context.fence.check()?;
                client
                    .create_tag(name)
                    .await
                    .map_err(wrong(format!("unable to create tag {name}")))?;
            }
        }
        running.ledger.notes().tagged = true;
        Ok(())
    }
}
