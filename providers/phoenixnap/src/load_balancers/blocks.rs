//! The blocks that there are: the cluster's own, and those of others that an address may be in.

use std::sync::Arc;
use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use cloud_provider::fresh::Fresh;
use jiff::Timestamp;

use super::publish::addresses_of;
use super::{Inner, PnapLoadBalancers, Running, holds_one, tags};
use crate::client::{BlockStatus, IpBlock, PnapError, PublicNetwork};

/// How long ago somebody may have looked for an address to be chosen from it: an API that wants to be left alone for a
/// moment keeps nobody waiting for what is there.
const LATELY: Duration = Duration::from_secs(5);
/// The same for going on to wait. Shorter than [`SOON`](super::SOON), so that who did something sees what became of it.
const JUST_NOW: Duration = Duration::from_millis(800);
/// How long somebody waits for another one's look before having one of his own.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was seen of the cloud at one moment.
pub(super) struct View {
    /// The cluster's blocks.
    pub blocks: Vec<IpBlock>,
    /// The public network that blocks are assigned to.
    pub network: Arc<PublicNetwork>,
    /// The moment.
    pub at: Timestamp,
    /// What it is good for.
    pub age: Age,
}

/// How old a view is when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Seen on request: good for whatever is to be done to a block.
    New,
    /// Somebody looked a moment ago: good for choosing an address, or for waiting.
    JustNow,
    /// Somebody looked a few seconds ago: good for choosing an address.
    Lately,
}

/// The last looks, which those who look at the same time share.
pub(super) struct Looks {
    blocks: Fresh<Vec<IpBlock>, PnapError>,
    network: Fresh<PublicNetwork, PnapError>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            blocks: Fresh::impatient(PATIENCE),
            network: Fresh::impatient(PATIENCE),
        }
    }
}

impl PnapLoadBalancers {
    /// The cluster's blocks, with those that this process bought and that lists do not show yet.
    pub(super) async fn blocks(&self, running: &Running) -> Result<Vec<IpBlock>, CloudError> {
        let Inner { client, looks, .. } = &*self.0;
        let ours = tags::cluster(&running.cluster);
        let listed = looks.blocks.get(Duration::ZERO, client.ip_blocks(&ours)).await;
        let mut blocks = listed
            .map(Arc::unwrap_or_clone)
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

    /// The public network that is configured.
    pub(super) async fn network(&self) -> Result<Arc<PublicNetwork>, CloudError> {
        let Inner { client, looks, .. } = &*self.0;
        let id = self.0.settings.as_ref().map_or("", |settings| &settings.network);
        let network = looks.network.get(Duration::ZERO, client.public_network(id)).await;
        network.map_err(|error| {
            CloudError::new(error.class(), format!("unable to look at public network {id}")).because(error)
        })
    }

    /// Blocks and network as they are now.
    pub(super) async fn look(&self, running: &Running) -> Result<View, CloudError> {
        let at = running.context.clock.now();
        let (blocks, network) = tokio::try_join!(self.blocks(running), self.network())?;
        Ok(View {
            blocks,
            network,
            at,
            age: Age::New,
        })
    }

    /// Blocks and network as somebody saw them a short time ago, if somebody did and saw all blocks that this process bought.
    pub(super) fn seen_lately(&self, running: &Running) -> Option<View> {
        let looks = &self.0.looks;
        let (blocks, network) = (looks.blocks.known(LATELY)?, looks.network.known(LATELY)?);
        let is_fresh = looks.blocks.known(JUST_NOW).is_some() && looks.network.known(JUST_NOW).is_some();
        let unseen = running.ledger.notes().unseen(&blocks, &running.context.clock);
        unseen.is_empty().then(|| View {
            blocks: Arc::unwrap_or_clone(blocks),
            network,
            at: running.context.clock.now() - LATELY,
            age: if is_fresh { Age::JustNow } else { Age::Lately },
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
