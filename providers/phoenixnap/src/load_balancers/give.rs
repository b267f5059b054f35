//! An address for a Service, one step at a time.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use tracing::{info, warn};

use super::blocks::{LIST_LAG, Ledger};
use super::choose::{Choice, Seen, Step, Write, choose, granted};
use super::{MOVING, PnapLoadBalancers, Running, moving, needs_address, network, tags};
use crate::client::{IpBlock, IpBlockRequest, PublicNetwork};

/// What people read about a block.
const DESCRIPTION: &str = "PhoenixNAP Kubernetes CCM auto-generated for Load Balancer";
/// How soon a block that was just bought is looked at.
const NEW: Duration = Duration::from_secs(1);

impl PnapLoadBalancers {
    /// The address of a Service, once it has one; until then what it waits for.
    pub(super) async fn bring_about(&self, running: &Running, service: &Service) -> Result<IpAddr, CloudError> {
        let mut ledger = running.ledger.lock().await;
        let blocks = self.blocks(running, &mut ledger).await?;
        let network = self.network().await?;
        let taken = taken(running, &ledger, service);
        let Choice { step, spares } = choose(&Seen {
            service,
            names: running.address.names(),
            network: &network,
            blocks: &blocks,
            taken: &taken,
            share: self.0.config.share_ip_blocks,
        })?;
        match step {
            Step::Use { address, write } => {
                // From here on nobody else gets it.
                ledger.given.insert(service.key(), address);
                ledger.unsure.remove(&service.key());
                match write {
                    Write::Address => running.address.write(service, &address.to_string()).await?,
                    Write::Mark => running.address.adopt(service, &address.to_string()).await?,
                    // What we wrote before the user asked for another.
                    Write::Nothing => running.address.clear(service).await?,
                }
                // It has its address, whatever becomes of what it does not need; the reaper comes by, too.
                if let Err(error) = self.discard(running, &mut ledger, &spares).await {
                    warn!(service = %service.key(), "{}", kit::chain(&error));
                }
                Ok(address)
            }
            Step::Assign(block) => {
                running.context.fence.check()?;
                match self.0.client.add_block_to_network(&network.id, &block.id).await {
                    Ok(()) => Err(moving(block, "being assigned")),
                    // One of the two is busy, or it was asked for already.
                    Err(error) if error.is_conflict() => Err(moving(block, "waiting for its network")),
                    Err(error) => {
                        let text = format!("unable to assign block {} to network {}", block.cidr, network.id);
                        Err(CloudError::new(error.class(), text).because(error))
                    }
                }
            }
            Step::Withdraw(block) => {
                let text = format!("IP block {} is {}; trying again", block.cidr, block.status);
                warn!(service = %service.key(), "{text}");
                running
                    .context
                    .recorder
                    .warning(&service.reference(), "IPBlockNotAssigned", text);
                self.release(running).take_off(block).await?;
                Err(moving(block, "being withdrawn"))
            }
            Step::Wait(block) => Err(moving(block, &block.status.to_string())),
            Step::Buy => self.buy(running, &mut ledger, service, &network, &blocks).await,
        }
    }

    /// Buys a block. Returns what is to be waited for.
    async fn buy(
        &self,
        running: &Running,
        ledger: &mut Ledger,
        service: &Service,
        network: &PublicNetwork,
        blocks: &[IpBlock],
    ) -> Result<IpAddr, CloudError> {
        let (inner, clock) = (&*self.0, &running.context.clock);
        let location = network::place(&inner.config, service, network, blocks)?;
        let whose = if inner.config.share_ip_blocks {
            String::new()
        } else {
            service.key()
        };
        if let Some(at) = ledger.unsure.get(&whose)
            && let Some(left) = LIST_LAG.checked_sub(clock.since(*at))
            && !left.is_zero()
        {
            let text = "whether the last purchase of an IP block came about is not known yet";
            return Err(CloudError::pending(text, left.min(MOVING)));
        }
        running.announcer.check().await?;
        self.ensure_tags(running, ledger).await?;
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
        match inner.client.create_ip_block(&request).await {
            Ok(block) => {
                info!(service = %service.key(), block = %block.id, cidr = %block.cidr, "bought an IP block");
                ledger.unsure.remove(&whose);
                ledger.bought.push((block.clone(), clock.now()));
                // It is assigned at the next look: what is done here is done again after a crash.
                Err(CloudError::pending(format!("IP block {} is new", block.cidr), NEW))
            }
            Err(error) => {
                ledger.tagged = false;
                if error.is_ambiguous() {
                    ledger.unsure.insert(whose, clock.now());
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

/// The addresses that Services other than this one have.
fn taken(running: &Running, ledger: &Ledger, service: &Service) -> BTreeSet<IpAddr> {
    let key = service.key();
    let services = running.context.services.list();
    let others = services
        .iter()
        .filter(|other| other.key() != key && needs_address(other));
    let theirs = others.flat_map(|other| granted(running.address.names(), other));
    let given = ledger.given.iter().filter(|(other, _)| **other != key);
    theirs.chain(given.map(|(_, address)| *address)).collect()
}
