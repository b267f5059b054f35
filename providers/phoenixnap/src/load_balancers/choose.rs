//! What a Service needs next, decided from its object, the cluster's blocks and the network.
//!
//! Mirrors `GetLoadBalancer` and `EnsureLoadBalancer` of the original (`phoenixnap/loadbalancers.go`). Differs from it: the
//! tags of a block say whose it is, not the Service's spec; a block on its way is waited for; of several blocks for one
//! Service one is kept; an address that the user asked for is only taken where it can be reached; a block that lost its
//! tags gets them back; a block on a network that is not the configured one any more stays where it is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::announcers::{AddressNames, assigned};
use cloud_provider::data::Service;
use cloud_provider::helpers::Cidr;
use kit::Class;

use super::address::{Members, usable};
use super::network::{self, MOST_BLOCKS};
use super::publish::{Place, Wish, addresses_of, granted, wish};
use super::tags;
use crate::client::{BlockStatus, IpBlock, PublicNetwork, TagValue};

/// What is decided from.
pub(super) struct Seen<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Where addresses are written.
    pub names: &'a AddressNames,
    /// The public network that blocks are assigned to.
    pub network: &'a PublicNetwork,
    /// The cluster, by its UID.
    pub cluster: &'a str,
    /// The cluster's blocks.
    pub blocks: &'a [IpBlock],
    /// Blocks of the network that do not say that they are the cluster's.
    pub strangers: &'a [IpBlock],
    /// The addresses that other Services have.
    pub taken: &'a BTreeSet<IpAddr>,
    /// Whether blocks are for several Services.
    pub share: bool,
    /// How many other Services wait for an address of a shared block before this one.
    pub ahead: usize,
    /// How many blocks other Services are buying.
    pub buying: usize,
    /// How many addresses for Services a block has that is bought.
    pub block_room: usize,
}

/// What a Service needs next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice<'a> {
    /// The step.
    pub step: Step<'a>,
    /// Blocks of the Service that it does not need.
    pub spares: Vec<&'a IpBlock>,
}

impl Choice<'_> {
    /// Whether it gives an address, and does nothing to any block.
    pub fn gives(&self) -> bool {
        self.spares.is_empty() && matches!(self.step, Step::Use { .. })
    }

    /// Whether nothing is taken away from anybody, nor told to be wrong.
    pub fn is_harmless(&self) -> bool {
        use Step::{Assign, Buy, Queue, Use, Wait};
        let harmless = matches!(self.step, Use { .. } | Assign(_) | Wait(_) | Queue | Buy);
        self.spares.is_empty() && harmless
    }
}

/// A step towards an address.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<'a> {
    /// It has this one.
    Use {
        /// The address.
        address: IpAddr,
        /// What is to be written to the Service.
        write: Write,
    },
    /// It keeps this one, in a block on another network than the configured one.
    Stay {
        /// The address.
        address: IpAddr,
        /// The block.
        block: &'a IpBlock,
    },
    /// Put these tags on the block, which has the Service's address and does not say so any more.
    Restore {
        /// The block.
        block: &'a IpBlock,
        /// All its tags.
        tags: Vec<TagValue>,
    },
    /// Add the block to the network.
    Assign(&'a IpBlock),
    /// Take the block off what it did not get to, or away from.
    Withdraw(&'a IpBlock),
    /// The block is on its way.
    Wait(&'a IpBlock),
    /// A block that others are buying will have an address for it.
    Queue,
    /// Buy a block.
    Buy,
}

/// What is written to a Service about its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// The address, and that it is ours.
    Address,
    /// That the address which stands there is ours: the original wrote it, and left no mark.
    Mark,
    /// Nothing: the user wrote it, and it stays his.
    Nothing,
}

/// Decides. Fails when what is asked for, or what there is, makes no sense.
pub(super) fn choose<'a>(seen: &Seen<'a>) -> Result<Choice<'a>, CloudError> {
    let service = seen.service;
    if is_ipv6_only(service) {
        let text = format!(
            "service {} is for IPv6 only, and its address would be IPv4",
            service.key()
        );
        return Err(CloudError::new(Class::Invalid, text));
    }
    let own = own(service, seen.names, &seen.network.id, seen.blocks);
    let wish = wish(seen.names, service)?;
    if let Some(wish) = &wish
        // What lies in the Service's own block was written there by us or by the original, or is as good as that.
        && !own.iter().any(|block| contains(&block.cidr, wish.address))
    {
        return Ok(Choice {
            step: wish_outside(seen, wish)?,
            spares: own,
        });
    }
    let Some((first, spares)) = own.split_first() else {
        return Ok(Choice {
            step: step_without_own(seen)?,
            spares: Vec::new(),
        });
    };
    Ok(Choice {
        step: step_with(seen, first, wish.as_ref())?,
        spares: spares.to_vec(),
    })
}

/// Whether a Service can do nothing with an IPv4 address.
pub(super) fn is_ipv6_only(service: &Service) -> bool {
    !service.ip_families.is_empty() && service.ip_families.iter().all(|family| family == "IPv6")
}

/// The Service's own blocks, the one to keep first: that with the address in use, else one that is there already, else the
/// oldest.
pub(super) fn own<'a>(
    service: &Service,
    names: &AddressNames,
    network: &str,
    blocks: &'a [IpBlock],
) -> Vec<&'a IpBlock> {
    let wanted = tags::service(service);
    let mut own: Vec<&IpBlock> = blocks
        .iter()
        .filter(|block| block.bears(&wanted) && !tags::is_marked(block))
        .collect();
    let in_use: Vec<IpAddr> = addresses_of(names, service).collect();
    own.sort_by_key(|block| {
        let used = in_use.iter().any(|address| contains(&block.cidr, *address));
        let ready = block.status == BlockStatus::Assigned && is_on(block, network);
        (!used, !ready, block.created_on.clone(), block.id.clone())
    });
    own
}

/// An address that the user asked for, outside the Service's own blocks: it must be in a block of the network, and nobody
/// else's.
fn wish_outside<'a>(seen: &Seen<'a>, wish: &Wish) -> Result<Step<'a>, CloudError> {
    let (address, refuse) = (wish.address, |why: String| Err(refused(wish, &why)));
    let network = &seen.network.id;
    let holder = seen
        .network
        .ip_blocks
        .iter()
        .find(|block| contains(&block.cidr, address));
    let Some(holder) = holder else {
        return refuse(format!("public network {network} has no IP block with it"));
    };
    if !holder
        .cidr
        .parse()
        .is_ok_and(|cidr| usable(cidr).any(|one| one == address))
    {
        return refuse(format!("it is not for services in block {}", holder.cidr));
    }
    if seen.taken.contains(&address) {
        return refuse("another service has it".to_owned());
    }
    if let Some(block) = seen.blocks.iter().find(|block| block.id == holder.id) {
        if tags::is_marked(block) {
            return refuse(format!("its block {} is being released", holder.cidr));
        }
        if let Some(owner) = tags::owner(block) {
            return refuse(format!("its block {} is that of service {owner}", holder.cidr));
        }
    }
    let stranger = seen.strangers.iter().find(|block| block.id == holder.id);
    if let Some(cluster) = stranger.and_then(|block| tags::other_cluster(block, seen.cluster)) {
        return refuse(format!("its block {} is that of cluster {cluster}", holder.cidr));
    }
    if Members::of(seen.network).have(address) {
        return refuse(format!("a member of public network {network} has it"));
    }
    let write = Write::Nothing;
    Ok(Step::Use { address, write })
}

fn refused(wish: &Wish, why: &str) -> CloudError {
    let Wish { address, place } = wish;
    let text = format!("the address {address} was asked for, but {why}: correct or remove {place}");
    CloudError::new(Class::Invalid, text)
}

/// The next step with the Service's own block, in which it may ask for an address, or with one for several.
fn step_with<'a>(seen: &Seen<'a>, block: &'a IpBlock, wish: Option<&Wish>) -> Result<Step<'a>, CloudError> {
    Ok(match &block.status {
        BlockStatus::Assigned => {
            if let (None, Some(address)) = (wish, address_elsewhere(seen, block)) {
                return Ok(Step::Stay { address, block });
            }
            let cidr = check_assignment(seen, block)?;
            if let Some(wish) = wish {
                let address = wish_inside(seen, cidr, wish)?;
                let write = match wish.place {
                    Place::Spec => Write::Mark,
                    Place::Annotation(_) => Write::Address,
                };
                return Ok(Step::Use { address, write });
            }
            let address = address_in(seen, cidr).ok_or_else(|| {
                let text = format!("all addresses of block {} are in use by others", block.cidr);
                CloudError::new(Class::Conflict, text)
            })?;
            let write = Write::Address;
            Step::Use { address, write }
        }
        BlockStatus::Unassigned => Step::Assign(block),
        BlockStatus::ErrorAssigning | BlockStatus::ErrorUnassigning => Step::Withdraw(block),
        BlockStatus::Creating
        | BlockStatus::Assigning
        | BlockStatus::Unassigning
        | BlockStatus::Other(_)
        | BlockStatus::Unknown => Step::Wait(block),
    })
}

/// The address that a Service has in a block on a public network that is not the configured one: the setting was changed,
/// or somebody moved the block. Moving it, back or forth, would cut off whoever uses the address.
fn address_elsewhere(seen: &Seen<'_>, block: &IpBlock) -> Option<IpAddr> {
    let network = block.assigned_resource_id.as_deref().filter(|id| !id.is_empty())?;
    if !block.is_on_public_network() || network == seen.network.id {
        return None;
    }
    granted(seen.names, seen.service).find(|address| contains(&block.cidr, *address))
}

/// The block with the address that we gave the Service, when its tags do not say whose it is any more.
fn stripped<'a>(seen: &Seen<'a>) -> Option<Step<'a>> {
    let address: IpAddr = assigned(seen.names, seen.service)?.parse().ok()?;
    let block = seen.blocks.iter().chain(seen.strangers).find(|block| {
        contains(&block.cidr, address)
            && !tags::is_marked(block)
            && !tags::is_shared(block)
            && tags::owner(block).is_none()
            && tags::other_cluster(block, seen.cluster).is_none()
    })?;
    let shared = seen.share || seen.taken.iter().any(|taken| contains(&block.cidr, *taken));
    let own = if shared {
        tags::shared()
    } else {
        tags::service(seen.service)
    };
    let tags = tags::restored(block, &[tags::cluster(seen.cluster), own].concat());
    Some(Step::Restore { block, tags })
}

/// A Service without a block of its own: it has an address of a shared one, or of one that lost its tags, or gets one, or
/// needs a block.
fn step_without_own<'a>(seen: &Seen<'a>) -> Result<Step<'a>, CloudError> {
    let mut shared: Vec<&IpBlock> = seen
        .blocks
        .iter()
        .filter(|block| tags::is_shared(block) && !tags::is_marked(block))
        .collect();
    shared.sort_by_key(|block| (&block.created_on, &block.id));
    let in_use: Vec<IpAddr> = addresses_of(seen.names, seen.service).collect();
    let has_one_of = |block: &&&IpBlock| in_use.iter().any(|address| contains(&block.cidr, *address));
    if let Some(block) = shared.iter().find(has_one_of) {
        return step_with(seen, block, None);
    }
    if let Some(step) = stripped(seen) {
        return Ok(step);
    }
    if !seen.share {
        return Ok(Step::Buy);
    }
    for block in shared.iter().filter(|block| block.status == BlockStatus::Assigned) {
        // One that is elsewhere does not keep the others from being used.
        let Ok(cidr) = check_assignment(seen, block) else {
            continue;
        };
        if let Some(address) = address_in(seen, cidr) {
            let write = Write::Address;
            return Ok(Step::Use { address, write });
        }
    }
    // Those that are on their way here, what has to be moved first, before another is bought. That is done when they are
    // for those who wait before this Service, if there is one more that the network takes.
    let moves = |block: &&&IpBlock| matches!(block.status, BlockStatus::Unassigned | BlockStatus::ErrorAssigning);
    let waits = |block: &&&IpBlock| matches!(block.status, BlockStatus::Creating | BlockStatus::Assigning);
    if let Some(block) = shared.iter().find(moves) {
        return step_with(seen, block, None);
    }
    let coming: Vec<_> = shared.iter().filter(waits).collect();
    let enough = seen.ahead < room(seen, &coming);
    let full = network::blocks_on(seen.network, seen.blocks) + seen.buying >= MOST_BLOCKS;
    match coming.first() {
        Some(block) if enough || full => step_with(seen, block, None),
        None if seen.buying > 0 && (enough || full) => Ok(Step::Queue),
        _ => Ok(Step::Buy),
    }
}

/// How many addresses these blocks, and those that are being bought, have that nobody has yet. A block that does not say
/// which they are may have any number.
fn room(seen: &Seen<'_>, blocks: &[&&IpBlock]) -> usize {
    let free = |block: &&&IpBlock| match block.cidr.parse() {
        Ok(cidr) => usable(cidr).filter(|address| !seen.taken.contains(address)).count(),
        Err(_) => usize::MAX,
    };
    let bought = seen.buying.saturating_mul(seen.block_room);
    blocks.iter().map(free).fold(bought, usize::saturating_add)
}

/// An address that the user asks for in the Service's own block.
fn wish_inside(seen: &Seen<'_>, block: Cidr, wish: &Wish) -> Result<IpAddr, CloudError> {
    let (address, refuse) = (wish.address, |why: &str| Err(refused(wish, why)));
    if !usable(block).any(|one| one == address) {
        return refuse(&format!("it is not for services in block {block}"));
    }
    if seen.taken.contains(&address) {
        return refuse("another service has it");
    }
    let told = granted(seen.names, seen.service).any(|one| one == address);
    if !told && Members::of(seen.network).have(address) {
        return refuse("a member of the public network has it");
    }
    Ok(address)
}

/// The address of a Service in a block: the one it has, if any, else the first that is free.
fn address_in(seen: &Seen<'_>, block: Cidr) -> Option<IpAddr> {
    let free = |address: &IpAddr| !seen.taken.contains(address);
    let mut has = addresses_of(seen.names, seen.service);
    if let Some(address) = has.find(|address| usable(block).any(|one| one == *address) && free(address)) {
        return Some(address);
    }
    let members = Members::of(seen.network);
    usable(block).find(|address| free(address) && !members.have(*address))
}

/// The network of a block that says it is assigned, if it is assigned to where it should be. The texts are the
/// original's.
fn check_assignment(seen: &Seen<'_>, block: &IpBlock) -> Result<Cidr, CloudError> {
    let wrong = |class, text: String| Err(CloudError::new(class, text));
    let (cidr, expected) = (&block.cidr, &seen.network.id);
    let parsed: Cidr = match cidr.parse() {
        Ok(parsed) => parsed,
        Err(error) => return wrong(Class::Transient, format!("invalid CIDR in block {cidr}: {error}")),
    };
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let Some(kind) = given(&block.assigned_resource_type) else {
        return wrong(Class::Transient, format!("block {cidr} has no assigned resource type"));
    };
    if !block.is_on_public_network() {
        return wrong(
            Class::Conflict,
            format!("block {cidr} is assigned to {kind} and not to a public network"),
        );
    }
    match given(&block.assigned_resource_id) {
        None => wrong(
            Class::Transient,
            format!("block {cidr} has an assigned resource type {kind} but not ID"),
        ),
        Some(id) if id != *expected => {
            let text = format!("block {cidr} is assigned to network {id} instead of expected {expected}");
            wrong(Class::Conflict, text)
        }
        Some(_) => Ok(parsed),
    }
}

/// Whether a block is assigned to this public network.
pub(super) fn is_on(block: &IpBlock, network: &str) -> bool {
    block.is_on_public_network() && block.assigned_resource_id.as_deref() == Some(network)
}

fn contains(cidr: &str, address: IpAddr) -> bool {
    cidr.parse().is_ok_and(|cidr: Cidr| cidr.contains(address))
}

#[cfg(test)]
mod tests;
