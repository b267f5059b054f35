//! What nobody else does: blocks that are to go and are still there, blocks that nobody needs, and what others did to those
//! that are in use.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_provider::CloudError;
use tracing::warn;

use super::choose::is_on;
use super::release::Progress;
use super::users::has_user;
use super::{PnapLoadBalancers, Running, needs_address, tags};
use crate::client::IpBlock;

/// How soon blocks that are on their way are looked at again. As in the original.
pub(super) const BUSY: Duration = Duration::from_secs(30);
/// How soon anything is looked at again. Every look is two requests.
pub(super) const IDLE: Duration = Duration::from_mins(10);
/// How long a block must have been without a Service before it counts as left behind.
const GRACE: Duration = Duration::from_mins(10);

/// How soon things are to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// All is as it should be.
    Idle,
    /// Something is on its way.
    Busy,
    /// Something does not come about: the longer that goes on, the later.
    Failing,
}

impl PnapLoadBalancers {
    /// Looks after all blocks, for the life of the process.
    pub(super) async fn reap(&self) {
        let Ok(running) = self.running() else { return };
        running.context.services.synced().await;
        self.withdraw_leftovers(running).await;
        let failing = || kit::Backoff::new(BUSY, IDLE);
        let mut waits = failing();
        loop {
            let pace = self.reap_once(running).await.unwrap_or_else(|error| {
                warn!("{}; trying again", kit::chain(&error));
                Pace::Failing
            });
            if pace != Pace::Failing {
                waits = failing();
            }
            let wait = match pace {
                Pace::Idle => IDLE,
                Pace::Busy => BUSY,
                Pace::Failing => waits.next().unwrap_or(IDLE),
            };
            running.context.clock.sleep(wait).await;
        }
    }

    async fn reap_once(&self, running: &Running) -> Result<Pace, CloudError> {
        let at = running.context.clock.now();
        let blocks = self.blocks(running).await?;
        let pace = self.give_back(running, &blocks).await;
        Ok(pace.max(self.keep(running, blocks, at).await?))
    }

    /// Goes on with the blocks that are to go, and finds those that nobody needs.
    pub(super) async fn give_back(&self, running: &Running, blocks: &[IpBlock]) -> Pace {
        let mut pace = Pace::Idle;
        let mut counts = BTreeMap::from([("in-use", 0), ("elsewhere", 0), ("releasing", 0), ("orphaned", 0)]);
        for block in blocks {
            let ending = tags::is_marked(block) || running.ledger.notes().is_ending(&block.id);
            let state = if ending {
                match self.discard(running, block).await {
                    Ok(Progress::Gone) => continue,
                    Ok(Progress::Left) => pace = pace.max(Pace::Busy),
                    // One that is stuck does not keep the others.
                    Err(error) => {
                        warn!(block = %block.id, "{}", kit::chain(&error));
                        pace = Pace::Failing;
                    }
                }
                "releasing"
            } else {
                match self.orphan(running, block).await {
                    // Its time may be up sooner than the next look.
                    Ok(true) => {
                        pace = pace.max(Pace::Busy);
                        "orphaned"
                    }
                    Ok(false) if self.is_elsewhere(block) => "elsewhere",
                    Ok(false) => "in-use",
                    Err(error) => {
                        warn!(block = %block.id, "{}", kit::chain(&error));
                        pace = Pace::Failing;
                        "orphaned"
                    }
                }
            };
            *counts.entry(state).or_default() += 1;
        }
        let is_there = |id: &String| blocks.iter().any(|block| block.id == *id);
        running.ledger.notes().orphans.retain(|id, _| is_there(id));
        for (state, count) in &counts {
            running.blocks.set(&[state], f64::from(*count));
        }
        pace
    }

    /// Whether a block is on a public network that is not the configured one.
    fn is_elsewhere(&self, block: &IpBlock) -> bool {
        let settings = self.0.settings.as_ref();
        block.is_on_public_network() && settings.is_some_and(|settings| !is_on(block, &settings.network))
    }

    /// Whether a block is without a Service. Told; after a while, shared blocks are given back, and others where the
    /// configuration says so.
    async fn orphan(&self, running: &Running, block: &IpBlock) -> Result<bool, CloudError> {
        let services = running.context.services.list();
        let needed = match tags::owner(block) {
            Some(owner) => services
                .iter()
                .any(|service| service.key() == owner && needs_address(service)),
            None => !tags::is_shared(block) || has_user(running, &running.ledger.notes(), block, None),
        };
        let clock = &running.context.clock;
        {
            let mut notes = running.ledger.notes();
            if needed {
                notes.orphans.remove(&block.id);
                return Ok(false);
            }
            let since = *notes.orphans.entry(block.id.clone()).or_insert_with(|| clock.now());
            if clock.since(since) < GRACE {
                return Ok(true);
            }
        }
        if tags::is_shared(block) || self.0.config.delete_orphaned_ip_blocks {
            self.discard_unused(running, block, None).await?;
            return Ok(true);
        }
        let whose = tags::owner(block).unwrap_or_else(|| "several services".to_owned());
        warn!(
            block = %block.id, cidr = %block.cidr,
            "IP block for {whose} costs money and nobody needs it: delete it, or set deleteOrphanedIPBlocks"
        );
        // Said again after as long.
        running.ledger.notes().orphans.insert(block.id.clone(), clock.now());
        Ok(true)
    }
}
