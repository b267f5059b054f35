//! The blocks of the cluster, and what this process knows of them before lists do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use cloud_provider::CloudError;
use jiff::Timestamp;

use super::release::{Progress, Release};
use super::{MOVING, PnapLoadBalancers, Running, tags};
use crate::client::{IpBlock, PnapError};

/// For how long a new block may be missing from lists.
pub(super) const LIST_LAG: Duration = Duration::from_mins(2);

/// What this process did and may not see yet.
#[derive(Default)]
pub(super) struct Ledger {
    /// Blocks that were bought.
    pub bought: Vec<(IpBlock, Timestamp)>,
    /// Purchases of which nobody knows whether they came about, by Service.
    pub unsure: BTreeMap<String, Timestamp>,
    /// The addresses that Services were given.
    pub given: BTreeMap<String, IpAddr>,
    /// Whether all tags exist.
    pub tagged: bool,
    /// Since when blocks have been without their Service, by ID.
    pub orphans: BTreeMap<String, Timestamp>,
}

impl Ledger {
    /// Forgets a block that is given back.
    pub fn forget(&mut self, id: &str) {
        self.bought.retain(|(bought, _)| bought.id != id);
    }
}

impl PnapLoadBalancers {
    /// The cluster's blocks, with those that this process bought and that lists do not show yet.
    pub(super) async fn blocks(&self, running: &Running, ledger: &mut Ledger) -> Result<Vec<IpBlock>, CloudError> {
        let client = &self.0.client;
        let ours = tags::cluster(&running.cluster);
        let mut blocks = client
            .ip_blocks(&ours)
            .await
            .map_err(|error| CloudError::new(error.class(), "unable to retrieve IP reservations").because(error))?;
        let clock = &running.context.clock;
        let listed = |bought: &IpBlock| blocks.iter().any(|block| block.id == bought.id);
        ledger
            .bought
            .retain(|(bought, at)| !listed(bought) && clock.since(*at) < LIST_LAG);
        let mut gone = Vec::new();
        for (bought, _) in &ledger.bought {
            match client.ip_block(&bought.id).await {
                Ok(block) if block.bears(&ours) => blocks.push(block),
                Ok(block) => gone.push(block.id),
                // Late, or forbidden for a moment: forgotten, it would be bought again.
                Err(error) if error.is_missing() => {
                    return Err(CloudError::pending(
                        "an IP block that was just bought cannot be seen yet",
                        MOVING,
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        ledger.bought.retain(|(bought, _)| !gone.contains(&bought.id));
        Ok(blocks)
    }

    pub(super) fn release<'a>(&'a self, running: &'a Running) -> Release<'a> {
        Release {
            client: &self.0.client,
            fence: &running.context.fence,
            network: &self.0.settings.network,
        }
    }

    /// Makes sure that the tags exist, which must before anything can bear them.
    pub(super) async fn ensure_tags(&self, running: &Running, ledger: &mut Ledger) -> Result<(), CloudError> {
        if ledger.tagged {
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
        ledger.tagged = true;
        Ok(())
    }

    /// Marks blocks and begins to give them back; the reaper does the rest.
    pub(super) async fn discard(
        &self,
        running: &Running,
        ledger: &mut Ledger,
        blocks: &[&IpBlock],
    ) -> Result<(), CloudError> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.ensure_tags(running, ledger).await?;
        let release = self.release(running);
        for block in blocks {
            let marked = release.mark(block).await.inspect_err(|_| ledger.tagged = false)?;
            if release.step(&marked).await? == Progress::Gone {
                ledger.forget(&block.id);
            }
        }
        Ok(())
    }
}
