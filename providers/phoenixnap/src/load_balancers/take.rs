//! What a Service had is taken away from it, one step at a time.

use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;

use super::publish::addresses_of;
use super::release::Progress;
use super::{PnapLoadBalancers, Running, SOON, holds_one, moving, tags};
use crate::client::IpBlock;

impl PnapLoadBalancers {
    /// Gives back what a Service had, but for what stands in it. Fails with what it waits for until nothing is left. Whoever
    /// calls this works on the Service.
    pub(super) async fn give_up(&self, running: &Running, service: &Service) -> Result<(), CloudError> {
        running.announcer.withdraw(service).await?;
        let blocks = self.blocks(running).await?;
        let given = running.ledger.notes().given.remove(&service.key());
        let had: Vec<IpAddr> = addresses_of(running.publisher.names(), service).chain(given).collect();
        let shared = |block: &&IpBlock| tags::is_shared(block) && !tags::is_marked(block);
        for block in blocks
            .iter()
            .filter(shared)
            .filter(|block| holds_one(&block.cidr, &had))
        {
            self.discard_unused(running, block, Some(service)).await?;
        }
        let mut left: Option<&IpBlock> = None;
        for block in blocks.iter().filter(|block| block.bears(&tags::service(service))) {
            if self.discard(running, block).await? == Progress::Left {
                left = Some(block);
            }
        }
        if let Some(block) = left {
            return Err(moving(block, "being released"));
        }
        // A shared one would be for others, too.
        if self.0.config.share_ip_blocks {
            return Ok(());
        }
        // Lists lag behind: a block that may have been bought for it must be seen first, or be known not to be there.
        let doubt = running.ledger.notes().doubt(&service.key(), &running.context.clock);
        if doubt.is_some() {
            return Err(CloudError::pending("an IP block may still come to light", SOON));
        }
        running.ledger.notes().not_buying(&service.key());
        Ok(())
    }
}
