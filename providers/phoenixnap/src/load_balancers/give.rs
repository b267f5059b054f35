//! An address for a Service, one step at a time.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use kit::Class;
use tracing::warn;

use super::address::room_of;
use super::blocks::{Age, View};
use super::buy::may_buy;
use super::choose::{Choice, Seen, Step, Write, choose, is_ipv6_only};
use super::ledger::Notes;
use super::network::MOST_BLOCKS;
use super::publish::{addresses_of, granted};
use super::{PnapLoadBalancers, Running, SOON, moving, needs_address, network, tags, wants_address};
use crate::client::{IpBlock, TagValue};

impl PnapLoadBalancers {
    /// The address of a Service, once it has one; until then what it waits for. Nothing when a view is too old to settle
    /// it, see [`Age`]. Whoever calls this works on the Service.
    pub(super) async fn bring_about(
        &self,
        running: &Running,
        service: &Service,
        view: &View,
    ) -> Result<Option<IpAddr>, CloudError> {
        let strangers = match self.strangers(running, service, view).await {
            // It may be gone since.
            Err(error) if view.age != Age::New && !error.class().is_temporary() => return Ok(None),
            strangers => strangers?,
        };
        let (own, strangers): (Vec<IpBlock>, Vec<IpBlock>) = strangers
            .into_iter()
            .partition(|block| block.bears(&tags::cluster(&running.cluster)));
        let seen = [&view.blocks[..], &own].concat();
        let (blocks, taken);
        let Choice { step, spares } = {
            let config = &self.0.config;
            let share = config.share_ip_blocks;
            let mut notes = running.ledger.notes();
            blocks = notes.as_known(&seen, view.at);
            taken = addresses_of_others(running, &notes, service);
            let buying = notes.buying_others(&service.key(), &blocks);
            let chosen = choose(&Seen {
                service,
                names: running.publisher.names(),
                network: &view.network,
                cluster: &running.cluster,
                blocks: &blocks,
                strangers: &strangers,
                taken: &taken,
                share,
                ahead: if share {
                    ahead(running, &notes, &blocks, service)
                } else {
                    0
                },
                buying,
                block_room: room_of(config.ip_block_size),
            });
            let has = network::blocks_on(&view.network, &blocks) + buying;
            let chosen = chosen.and_then(|choice| {
                if choice.step == Step::Buy {
                    may_buy(&notes, service, &running.context.clock)?;
                    network::has_room(&view.network, has)?;
                    network::place(config, service, &view.network)?;
                }
                Ok(choice)
            });
            // Nobody who has an address is to lose it over an old view, nor is the last place of a network to be sold twice.
            let buys = chosen.as_ref().is_ok_and(|choice| choice.step == Step::Buy);
            let delicate = !service.ingress.is_empty() || (buys && has + 1 >= MOST_BLOCKS);
            if !settles(view.age, &chosen, delicate) {
                return Ok(None);
            }
            let choice = chosen?;
            match &choice.step {
                // From here on nobody else gets it.
                Step::Use { address, .. } | Step::Stay { address, .. } => {
                    notes.given.insert(service.key(), *address);
                    // A shared one may still come to light, for others.
                    if !share {
                        notes.not_buying(&service.key());
                    }
                }
                // From here on nobody buys one instead of waiting for it.
                Step::Buy => notes.buy(&service.key(), running.context.clock.now()),
                _ => {}
            }
            choice
        };
        tell_trouble(running, service, &step);
        match step {
            Step::Use { address, write } => {
                match write {
                    Write::Address => running.publisher.write(service, &address.to_string()).await?,
                    Write::Mark => running.publisher.adopt(service, &address.to_string()).await?,
                    // What we wrote before the user asked for another.
                    Write::Nothing => running.publisher.clear(service).await?,
                }
                // It has its address, whatever becomes of what it does not need: the next look finds it again.
                for spare in spares {
                    if let Err(error) = self.discard(running, spare).await {
                        warn!(service = %service.key(), "{}", kit::chain(&error));
                    }
                }
                Ok(address)
            }
            Step::Stay { address, .. } => Ok(address),
            Step::Restore { block, tags } => self.restore(running, block, &tags).await,
            Step::Assign(block) => self.assign(running, block, view).await,
            Step::Withdraw(block) => self.withdraw(running, block, view).await,
            Step::Wait(block) => Err(moving(block, &block.status.to_string())),
            Step::Queue => Err(CloudError::pending("an IP block is being bought", SOON)),
            Step::Buy => self.buy(running, service, &view.network).await,
        }
        .map(Some)
    }

    /// Adds a block to the network. Returns what is to be waited for.
    async fn assign(&self, running: &Running, block: &IpBlock, view: &View) -> Result<IpAddr, CloudError> {
        let Some(_working) = running
            .ledger
            .begin_as_seen(block, view.at, running.context.clock.now())
        else {
            return Err(moving(block, "being assigned"));
        };
        let network = &view.network.id;
        running.context.fence.check()?;
        let added = self.0.client.add_block_to_network(network, &block.id).await;
        running.ledger.notes().touch(block, running.context.clock.now());
        match added {
            Ok(()) => Err(moving(block, "being assigned")),
            // One of the two is busy, or it was asked for already.
            Err(error) if error.is_conflict() => Err(moving(block, "waiting for its network")),
            Err(error) => {
                let text = format!("unable to assign block {} to network {network}", block.cidr);
                Err(CloudError::new(error.class(), text).because(error))
            }
        }
    }

    /// Takes a block off the network that it did not get to, so that it can be assigned anew. Always a failure: what
    /// failed once is tried again later and later.
    async fn withdraw(&self, running: &Running, block: &IpBlock, view: &View) -> Result<IpAddr, CloudError> {
        let Some(_working) = running
            .ledger
            .begin_as_seen(block, view.at, running.context.clock.now())
        else {
            return Err(moving(block, "being withdrawn"));
        };
        let taken_off = self.release(running).take_off(block).await;
        running.ledger.notes().touch(block, running.context.clock.now());
        taken_off?;
        let (cidr, status, network) = (&block.cidr, &block.status, &view.network.id);
        let text =
            format!("IP block {cidr} is in status {status} on public network {network}; withdrawn, to be tried again");
        Err(CloudError::new(Class::Transient, text))
    }

    /// Puts the tags back on a block that lost them.
    async fn restore(&self, running: &Running, block: &IpBlock, tags: &[TagValue]) -> Result<IpAddr, CloudError> {
        self.ensure_tags(running).await?;
        running.context.fence.check()?;
        self.0.client.tag_ip_block(&block.id, tags).await.map_err(|error| {
            running.ledger.notes().tagged = false;
            let text = format!("unable to put the tags back on IP block {}", block.cidr);
            CloudError::new(error.class(), text).because(error)
        })?;
        self.0.looks.forget_stranger(&block.id);
        Err(CloudError::pending(
            format!("IP block {} has its tags again", block.cidr),
            SOON,
        ))
    }
}

/// Whether a view of this age is a reason to do, or to tell, what was chosen from it.
fn settles(age: Age, chosen: &Result<Choice<'_>, CloudError>, delicate: bool) -> bool {
    match (age, chosen) {
        (Age::Lately, chosen) => chosen.as_ref().is_ok_and(Choice::gives),
        (Age::JustNow, Ok(choice)) => {
            choice.is_harmless() && !(delicate && matches!(choice.step, Step::Assign(_) | Step::Buy))
        }
        (Age::JustNow, Err(error)) => error.is_pending(),
        (Age::New, _) => true,
    }
}

/// Says what is wrong with the block of a Service: that it was not assigned, and, where the Service has its address
/// already, what others did to it.
fn tell_trouble(running: &Running, service: &Service, step: &Step<'_>) {
    let (reason, text) = match step {
        Step::Withdraw(block) => (
            "IPBlockNotAssigned",
            format!("IP block {} is {}; trying again", block.cidr, block.status),
        ),
        Step::Use { .. } | Step::Wait(_) | Step::Queue => return,
        _ if service.ingress.is_empty() => return,
        Step::Stay { block, .. } => {
            let network = block.assigned_resource_id.as_deref().unwrap_or_default();
            let text = format!(
                "IP block {} is on public network {network}, which is not the configured one: it stays there; taken off by \
                 hand, it is assigned to the configured one",
                block.cidr
            );
            ("IPBlockOnOtherNetwork", text)
        }
        Step::Restore { block, .. } => (
            "IPBlockTagsRestored",
            format!("IP block {} has lost its tags; putting them back", block.cidr),
        ),
        Step::Assign(block) => (
            "IPBlockDetached",
            format!(
                "IP block {} was taken off its public network; assigning it again",
                block.cidr
            ),
        ),
        Step::Buy => {
            let address = service.ingress.first().map_or("", |ingress| &ingress.ip);
            let text = format!("the IP block with {address} is not this cluster's any more; buying another");
            ("IPBlockLost", text)
        }
    };
    warn!(service = %service.key(), "{text}");
    running.context.recorder.warning(&service.reference(), reason, text);
}

/// How many other Services wait for an address of a shared block before this one: those without a block of their own that
/// neither have an address nor ask for one.
fn ahead(running: &Running, notes: &Notes, blocks: &[IpBlock], service: &Service) -> usize {
    let names = running.publisher.names();
    let owners: BTreeSet<String> = blocks.iter().filter_map(tags::owner).collect();
    // What is asked of thousands of Services, time and again, costs little first.
    let waits = |other: &Service| {
        (&other.namespace, &other.name) < (&service.namespace, &service.name)
            && other.ingress.is_empty()
            && other.class.is_none()
            && wants_address(other)
            && !is_ipv6_only(other)
            && addresses_of(names, other).next().is_none()
            && !notes.given.contains_key(&other.key())
            && !owners.contains(&other.key())
    };
    let services = running.context.services.list();
    services.iter().filter(|other| waits(other)).count()
}

/// The addresses that Services other than this one have.
fn addresses_of_others(running: &Running, notes: &Notes, service: &Service) -> BTreeSet<IpAddr> {
    let is_other = |other: &Service| (&other.namespace, &other.name) != (&service.namespace, &service.name);
    let services = running.context.services.list();
    let others = services.iter().filter(|other| is_other(other) && needs_address(other));
    let theirs = others.flat_map(|other| granted(running.publisher.names(), other));
    let key = service.key();
    let given = notes.given.iter().filter(|(other, _)| **other != key);
    theirs.chain(given.map(|(_, address)| *address)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_older_a_view_the_less_is_done_about_it() {
        let block = IpBlock::default();
        let address = IpAddr::from([203, 0, 113, 10]);
        let write = Write::Address;
        let failed = || Err(CloudError::new(Class::Conflict, "no"));
        let pending = || Err(CloudError::pending("not yet", Duration::from_secs(1)));
        let step = |step| {
            Ok(Choice {
                step,
                spares: Vec::new(),
            })
        };
        let spare = Ok(Choice {
            step: Step::Use { address, write },
            spares: vec![&block],
        });
        // Whether it is settled lately, just now, and just now where care must be taken.
        for (chosen, expected) in [
            (step(Step::Use { address, write }), (true, true, true)),
            (step(Step::Wait(&block)), (false, true, true)),
            (step(Step::Queue), (false, true, true)),
            (step(Step::Assign(&block)), (false, true, false)),
            (step(Step::Buy), (false, true, false)),
            (step(Step::Withdraw(&block)), (false, false, false)),
            (step(Step::Stay { address, block: &block }), (false, false, false)),
            (spare, (false, false, false)),
            (pending(), (false, true, true)),
            (failed(), (false, false, false)),
        ] {
            let settled = (
                settles(Age::Lately, &chosen, false),
                settles(Age::JustNow, &chosen, false),
                settles(Age::JustNow, &chosen, true),
            );
            assert_eq!(settled, expected, "{chosen:?}");
            assert!(settles(Age::New, &chosen, true), "{chosen:?}");
        }
    }
}
