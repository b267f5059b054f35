//! What a Service had is taken away from it, one step at a time.

use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;

use super::blocks::LIST_LAG;
use super::choose::addresses_of;
use super::release::Progress;
use super::{MOVING, PnapLoadBalancers, Running, holds_one, moving, tags};
use crate::client::IpBlock;

impl PnapLoadBalancers {
    /// Gives back what a Service had. Fails with what it waits for until nothing is left.
    pub(super) async fn take_away(&self, running: &Running, service: &Service) -> Result<(), CloudError> {
        running.announcer.withdraw(service).await?;
        let mut ledger = running.ledger.lock().await;
        let blocks = self.blocks(running, &mut ledger).await?;
        let wanted = tags::service(service);
        let own: Vec<&IpBlock> = blocks.iter().filter(|block| block.bears(&wanted)).collect();
        let had: Vec<IpAddr> = addresses_of(running.address.names(), service)
            .chain(ledger.given.get(&service.key()).copied())
            .collect();
        ledger.given.remove(&service.key());
        let shared = blocks
            .iter()
            .filter(|block| tags::is_shared(block) && !tags::is_marked(block));
        let shared: Vec<&IpBlock> = shared.filter(|block| holds_one(block, &had)).collect();
        for block in shared {
            // Marked before the Service forgets its address: who is interrupted here comes back.
            if self.is_unused(running, &ledger, block, Some(service)).await? {
                self.discard(running, &mut ledger, &[block]).await?;
            }
        }
        running.address.clear(service).await?;
        if !own.is_empty() {
            self.ensure_tags(running, &mut ledger).await?;
        }
        let release = self.release(running);
        let mut left: Option<&IpBlock> = None;
        for block in own {
            let marked = release.mark(block).await.inspect_err(|_| ledger.tagged = false)?;
            if release.step(&marked).await? == Progress::Left {
                left = Some(block);
            } else {
                ledger.forget(&block.id);
            }
        }
        // Lists lag behind: a block that may have been bought for it must be seen first, or be known not to be there.
        let unsure = ledger.unsure.get(&service.key());
        let waiting = unsure.is_some_and(|at| running.context.clock.since(*at) < LIST_LAG);
        match left {
            Some(block) => Err(moving(block, "being released")),
            None if waiting => Err(CloudError::pending("an IP block may still come to light", MOVING)),
            None => {
                ledger.unsure.remove(&service.key());
                Ok(())
            }
        }
    }
}
