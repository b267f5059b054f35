//! The blocks that there are: the cluster's own, and those of others that an address may be in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use cloud_provider::fresh::Fresh;
use jiff::Timestamp;
use kit::Class;

use super::publish::addresses_of;
use super::{PnapLoadBalancers, Running, holds_one, tags};
use crate::client::{BlockStatus, IpBlock, PnapClient, PnapError, PublicNetwork};

/// How long ago somebody may have looked for an address to be chosen from it: an API that wants to be left alone for a
/// moment keeps nobody waiting for what is there.
const LATELY: Duration = Duration::from_secs(5);
/// The same for the next step with a block. Shorter than [`SOON`](super::SOON), so that who did something sees what became
/// of it.
const JUST_NOW: Duration = Duration::from_millis(800);
/// How old the network may be for that: what matters of it changes when somebody does something to it by hand.
const NETWORK: Duration = Duration::from_secs(10);
/// For how long the block of somebody else stays as it was seen.
const STRANGER: Duration = Duration::from_mins(1);
/// A wait of up to so long that the API asks for is nothing to tell anybody.
const NOTHING_TO_TELL: Duration = Duration::from_mins(1);
/// How long somebody waits for another one's look before having one of his own.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was seen of the cloud.
pub(super) struct View {
    /// The cluster's blocks.
    pub blocks: Vec<IpBlock>,
    /// The public network that blocks are assigned to.
    pub network: Arc<PublicNetwork>,
    /// When the blocks were looked at, at the earliest.
    pub at: Timestamp,
    /// What it is good for.
    pub age: Age,
}

/// How old a view may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Somebody looked a few seconds ago: good for choosing an address.
    Lately,
    /// The blocks were looked at a moment ago: good for waiting, too, and for buying and assigning a block, as this process
    /// knows what it did meanwhile.
    JustNow,
    /// Seen on request: good for whatever is to be taken away, or told to be wrong.
    New,
}

impl Age {
    /// How old blocks and network may be.
    fn limits(self) -> (Duration, Duration) {
        match self {
            // Who looked then may have rested on a network that somebody saw before.
            Self::Lately => (LATELY, NETWORK + LATELY),
            Self::JustNow => (JUST_NOW, NETWORK),
            Self::New => (Duration::ZERO, Duration::ZERO),
        }
    }
}

/// The last looks, which those who look at the same time share.
pub(super) struct Looks {
    blocks: Fresh<Vec<IpBlock>, PnapError>,
    network: Fresh<PublicNetwork, PnapError>,
    /// Blocks of the network that are not among the cluster's, by ID.
    strangers: Mutex<BTreeMap<String, Arc<Fresh<IpBlock, PnapError>>>>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            blocks: Fresh::impatient(PATIENCE),
            network: Fresh::impatient(PATIENCE),
            strangers: Mutex::default(),
        }
    }
}

impl Looks {
    /// What is known of somebody else's block of a network, and nothing of those that it does not have any more.
    fn stranger(&self, network: &PublicNetwork, id: &str) -> Arc<Fresh<IpBlock, PnapError>> {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|id, _| network.ip_blocks.iter().any(|block| block.id == *id));
        let stranger = strangers.entry(id.to_owned());
        Arc::clone(stranger.or_insert_with(|| Arc::new(Fresh::impatient(PATIENCE))))
    }

    /// Something was done to somebody else's block: it is another one now.
    pub fn forget_stranger(&self, id: &str) {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl PnapLoadBalancers {
    /// The cluster's blocks as they are now, with those that this process bought and that lists do not show yet.
    pub(super) async fn blocks(&self, running: &Running) -> Result<Vec<IpBlock>, CloudError> {
        self.blocks_since(running, &self.0.client, Duration::ZERO).await
    }

    /// The public network that is configured, as it is now.
    pub(super) async fn network(&self) -> Result<Arc<PublicNetwork>, CloudError> {
        self.network_since(&self.0.client, Duration::ZERO).await
    }

    /// Blocks and network, no older than this. Where the API asks to be left alone for a while, it is waited for like
    /// anything else that is under way.
    pub(super) async fn look(&self, running: &Running, age: Age) -> Result<View, CloudError> {
        let client = self.0.client.leave_waiting();
        let (of_blocks, of_network) = age.limits();
        let at = running.context.clock.now() - of_blocks;
        let looked = tokio::try_join!(
            self.blocks_since(running, &client, of_blocks),
            self.network_since(&client, of_network)
        );
        let (blocks, network) = looked.map_err(|error| match error.after() {
            Some(after) if after <= NOTHING_TO_TELL => {
                CloudError::pending("the API wants to be left alone for a moment", after)
            }
            _ => error,
        })?;
        Ok(View {
            blocks,
            network,
            at,
            age,
        })
    }

    /// Blocks and network as somebody saw them a short time ago, if somebody did.
    pub(super) fn seen_lately(&self, running: &Running) -> Option<View> {
        let (looks, age) = (&self.0.looks, Age::Lately);
        let (of_blocks, of_network) = age.limits();
        Some(View {
            blocks: looks.blocks.known(of_blocks).map(Arc::unwrap_or_clone)?,
            network: looks.network.known(of_network)?,
            at: running.context.clock.now() - of_blocks,
            age,
        })
    }

    async fn blocks_since(
        &self,
        running: &Running,
        client: &PnapClient,
        age: Duration,
    ) -> Result<Vec<IpBlock>, CloudError> {
        let since = running.context.clock.now() - age;
        let ours = tags::cluster(&running.cluster);
        let listed = ask(&self.0.looks.blocks, age, client, || client.ip_blocks(&ours)).await;
        let mut blocks = listed
            .map(Arc::unwrap_or_clone)
            .map_err(|error| CloudError::new(error.class(), "unable to retrieve IP reservations").because(error))?;
        let unseen = running.ledger.notes().unseen(&blocks, &running.context.clock);
        for (bought, read) in unseen {
            if read >= since {
                blocks.push(bought);
                continue;
            }
            let asked = running.context.clock.now();
            match client.ip_block(&bought.id).await {
                Ok(block) if block.bears(&ours) => {
                    running.ledger.notes().reread(&block, asked);
                    blocks.push(block);
                }
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

    async fn network_since(&self, client: &PnapClient, age: Duration) -> Result<Arc<PublicNetwork>, CloudError> {
        let id = self.0.settings.as_ref().map_or("", |settings| &settings.network);
        let network = ask(&self.0.looks.network, age, client, || client.public_network(id)).await;
        network.map_err(|error| {
            CloudError::new(error.class(), format!("unable to look at public network {id}")).because(error)
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
            let stranger = self.0.looks.stranger(&view.network, &listed.id);
            let block = stranger.get(STRANGER, self.0.client.ip_block(&listed.id)).await;
            strangers.push(block.map(Arc::unwrap_or_clone).map_err(|error| {
                let text = format!("unable to tell whose block {} of the public network is", listed.cidr);
                CloudError::new(error.class(), text).because(error)
            })?);
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
        running.context.fence.check()?;
        let missing = tags::NAMES
            .into_iter()
            .filter(|name| !there.iter().any(|tag| tag.name == *name));
        let created = missing.map(async |name| {
            let created = client.create_tag(name).await;
            created.map_err(wrong(format!("unable to create tag {name}")))
        });
        for created in futures::future::join_all(created).await {
            created?;
        }
        running.ledger.notes().tagged = true;
        Ok(())
    }
}

/// What is known, or what the answer is. Whoever can wait does, also where somebody who asked for both left that to others.
async fn ask<T, F: Future<Output = Result<T, PnapError>>>(
    known: &Fresh<T, PnapError>,
    age: Duration,
    client: &PnapClient,
    question: impl Fn() -> F,
) -> Result<Arc<T>, PnapError> {
    match known.get(age, question()).await {
        Err(error) if !client.leaves_waiting() && matches!(error.class(), Class::Throttled { .. }) => {
            known.now(question()).await
        }
        answer => answer,
    }
}
