//! Buying a block: at most one for a Service, never more than the network takes, never one that nobody would announce.

use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use kit::{Class, Clock};
use tracing::info;

use super::ledger::Notes;
use super::{PnapLoadBalancers, Running, SOON, network, tags};
use crate::client::{IpBlockRequest, PublicNetwork};

/// What people read about a block.
const DESCRIPTION: &str = "PhoenixNAP Kubernetes CCM auto-generated for Load Balancer";

impl PnapLoadBalancers {
    /// Buys a block for a Service, or one that several share, which must be noted already. Returns what is to be waited for.
    pub(super) async fn buy(
        &self,
        running: &Running,
        service: &Service,
        network: &PublicNetwork,
    ) -> Result<IpAddr, CloudError> {
        let (inner, clock) = (&*self.0, &running.context.clock);
        let whose = service.key();
        let purchase = running.ledger.purchase(&whose);
        let location = network::place(&inner.config, service, network)?;
        running.announcer.check().await?;
        if !self.is_wanted(running, service).await? {
            return Err(CloudError::pending("the service is going", SOON));
        }
        self.ensure_tags(running).await?;
        let own = if inner.config.share_ip_blocks {
            tags::shared()
        } else {
            tags::service(service)
        };
        let request = IpBlockRequest {
            location,
            cidr_block_size: inner.config.ip_block_size.to_string(),
            description: DESCRIPTION.to_owned(),
            tags: [tags::cluster(&running.cluster), own].concat(),
        };
        running.context.fence.check()?;
        running.ledger.notes().buy(&whose, clock.now());
        purchase.sent();
        let answer = inner.client.create_ip_block(&request).await;
        let mut notes = running.ledger.notes();
        match answer {
            Ok(mut block) => {
                info!(service = %whose, block = %block.id, cidr = %block.cidr, "bought an IP block");
                let new = format!("IP block {} is new", block.cidr);
                if !block.bears(&request.tags) {
                    block.tags = request.tags;
                }
                notes.bought(&whose, block, clock.now());
                // It is assigned at the next look: what is done here is done again after a crash.
                Err(CloudError::pending(new, SOON))
            }
            Err(error) => {
                // Whatever else was refused may have been for want of one.
                notes.tagged &= matches!(error.class(), Class::Throttled { .. });
                if error.is_ambiguous() {
                    notes.buy(&whose, clock.now());
                } else {
                    notes.not_buying(&whose);
                }
                let mut text = "unable to create new IP block".to_owned();
                if error.is_sold_out() {
                    let (size, location) = (request.cidr_block_size, request.location);
                    text = format!("there is no IP block of size {size} left in {location}");
                }
                Err(CloudError::new(error.class(), text).because(error))
            }
        }
    }
}

/// Whether a block may be bought for this Service: not as long as one may have been whose answer was lost.
pub(super) fn may_buy(notes: &Notes, service: &Service, clock: &Clock) -> Result<(), CloudError> {
    let Some(left) = notes.doubt(&service.key(), clock) else {
        return Ok(());
    };
    let text = "whether the last purchase of an IP block came about is not known yet";
    Err(CloudError::pending(text, left.min(SOON)))
}
