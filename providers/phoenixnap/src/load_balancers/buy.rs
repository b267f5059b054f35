//! Buying a block: at most one for a Service, never more than the network takes, never one that nobody would announce.

use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use tracing::info;

use super::blocks::View;
use super::ledger::Notes;
use super::{PnapLoadBalancers, Running, SOON, network, tags};
use crate::client::IpBlockRequest;

/// What people read about a block.
const DESCRIPTION: &str = "PhoenixNAP Kubernetes CCM auto-generated for Load Balancer";

impl PnapLoadBalancers {
    /// Buys a block for a Service, or one that several share. Returns what is to be waited for.
    pub(super) async fn buy(&self, running: &Running, service: &Service, view: &View) -> Result<IpAddr, CloudError> {
        let (inner, clock) = (&*self.0, &running.context.clock);
        let whose = if inner.config.share_ip_blocks {
            String::new()
        } else {
            service.key()
        };
        // Asked before anything is written anywhere, and again when nobody can come between any more.
        self.place(running, &running.ledger.notes(), &whose, service, view)?;
        running.announcer.check().await?;
        if !self.is_wanted(running, service).await? {
            return Err(CloudError::pending("the service is going", SOON));
        }
        self.ensure_tags(running).await?;
        let location = {
            let mut notes = running.ledger.notes();
            let location = self.place(running, &notes, &whose, service, view)?;
            notes.buy(&whose, clock.now());
            location
        };
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
        let answer = match running.context.fence.check() {
            Ok(()) => inner.client.create_ip_block(&request).await,
            Err(fenced) => {
                running.ledger.notes().not_buying(&whose);
                return Err(fenced.into());
            }
        };
        let mut notes = running.ledger.notes();
        match answer {
            Ok(block) => {
                info!(service = %service.key(), block = %block.id, cidr = %block.cidr, "bought an IP block");
                notes.bought(&whose, &block, clock.now());
                // It is assigned at the next look: what is done here is done again after a crash.
                Err(CloudError::pending(format!("IP block {} is new", block.cidr), SOON))
            }
            Err(error) => {
                notes.tagged = false;
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

    /// Where a block is to be bought, if one may be bought now.
    fn place(
        &self,
        running: &Running,
        notes: &Notes,
        whose: &str,
        service: &Service,
        view: &View,
    ) -> Result<String, CloudError> {
        if let Some(left) = notes.doubt(whose, &running.context.clock) {
            let text = "whether the last purchase of an IP block came about is not known yet";
            return Err(CloudError::pending(text, left.min(SOON)));
        }
        let share = self.0.config.share_ip_blocks;
        if let Some(block) = notes.unseen_shared(&view.blocks).filter(|_| share) {
            return Err(CloudError::pending(format!("IP block {} is new", block.cidr), SOON));
        }
        let has = network::blocks_on(&view.network, &notes.as_known(&view.blocks)) + notes.coming(whose, &view.blocks);
        network::place(&self.0.config, service, &view.network, has)
    }
}
