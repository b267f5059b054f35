//! What nobody else does: blocks that were marked and are still there, and blocks that nobody needs.

use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use k8s_openapi::api::core::v1 as core;
use kit::Class;
use kube::Api;
use kube::api::ListParams;
use kube_kit::retry;
use tracing::warn;

use super::blocks::Ledger;
use super::choose::{addresses_of, granted, own};
use super::release::Progress;
use super::{PnapLoadBalancers, Running, holds_one, needs_address, tags};
use crate::client::IpBlock;

/// How soon blocks that are on their way out are looked at again. As in the original.
const BUSY: Duration = Duration::from_secs(30);
/// How soon anything is looked at again. Every look is a request.
const IDLE: Duration = Duration::from_mins(10);
/// How long a block must have been without a Service before it counts as left behind.
const GRACE: Duration = Duration::from_mins(10);

impl PnapLoadBalancers {
    /// Gives marked blocks back, for the life of the process.
    pub(super) async fn reap(&self) {
        let Ok(running) = self.running() else { return };
        loop {
            let left = match self.reap_once(running).await {
                Ok(left) => left,
                Err(error) => {
                    warn!("{}; trying again", kit::chain(&error));
                    true
                }
            };
            running.context.clock.sleep(if left { BUSY } else { IDLE }).await;
        }
    }

    /// Says whether there is something left to be given back.
    async fn reap_once(&self, running: &Running) -> Result<bool, CloudError> {
        running.context.services.synced().await;
        let mut ledger = running.ledger.lock().await;
        let blocks = self.blocks(running, &mut ledger).await?;
        let release = self.release(running);
        let (mut left, mut releasing) = (false, 0);
        for block in blocks.iter().filter(|block| tags::is_marked(block)) {
            match release.step(block).await {
                Ok(Progress::Gone) => {
                    ledger.forget(&block.id);
                    continue;
                }
                Ok(Progress::Left) => {}
                // One that is stuck does not keep the others.
                Err(error) => warn!(block = %block.id, "{}", kit::chain(&error)),
            }
            (left, releasing) = (true, releasing + 1);
        }
        for service in running.context.services.list() {
            // Bought twice, and seen late: the one in use stays.
            let own = own(&service, running.address.names(), release.network, &blocks);
            let served = granted(running.address.names(), &service).next().is_some();
            if served && needs_address(&service) && own.len() > 1 {
                self.discard(running, &mut ledger, &own[1..]).await?;
                left = true;
            }
        }
        let mut orphans = 0;
        for block in blocks.iter().filter(|block| !tags::is_marked(block)) {
            match self.orphan(running, &mut ledger, block).await {
                Ok(false) => {}
                Ok(true) => orphans += 1,
                Err(error) => warn!(block = %block.id, "{}", kit::chain(&error)),
            }
        }
        ledger
            .orphans
            .retain(|id, _| blocks.iter().any(|block| block.id == *id));
        let in_use = blocks.len() - blocks.iter().filter(|block| tags::is_marked(block)).count() - orphans;
        for (state, count) in [("in-use", in_use), ("releasing", releasing), ("orphaned", orphans)] {
            running.blocks.set(&[state], count as f64);
        }
        // An orphan's time may be up sooner than the next look.
        Ok(left || orphans > 0)
    }

    /// Whether a block is without a Service. Told once; after a while, shared blocks are given back, and others where the
    /// configuration says so.
    async fn orphan(&self, running: &Running, ledger: &mut Ledger, block: &IpBlock) -> Result<bool, CloudError> {
        let services = running.context.services.list();
        let needed = match tags::owner(block) {
            Some(owner) => services
                .iter()
                .any(|service| service.key() == owner && needs_address(service)),
            None => !tags::is_shared(block) || has_user(running, ledger, block, None),
        };
        if needed {
            ledger.orphans.remove(&block.id);
            return Ok(false);
        }
        let clock = &running.context.clock;
        let whose = tags::owner(block).unwrap_or_else(|| "several services".to_owned());
        let since = *ledger.orphans.entry(block.id.clone()).or_insert_with(|| clock.now());
        if clock.since(since) < GRACE {
            return Ok(true);
        }
        let allowed = tags::is_shared(block) || self.0.config.delete_orphaned_ip_blocks;
        if !allowed {
            warn!(
                block = %block.id, cidr = %block.cidr,
                "IP block for {whose} costs money and nobody needs it: delete it, or set deleteOrphanedIPBlocks"
            );
            // Said again after as long.
            ledger.orphans.insert(block.id.clone(), clock.now());
            return Ok(true);
        }
        if self.is_unused(running, ledger, block, None).await? {
            self.discard(running, ledger, &[block]).await?;
            ledger.orphans.remove(&block.id);
        }
        Ok(true)
    }

    /// Whether the API server, too, knows nobody who needs the block: what is kept here may be old.
    pub(super) async fn is_unused(
        &self,
        running: &Running,
        ledger: &Ledger,
        block: &IpBlock,
        except: Option<&Service>,
    ) -> Result<bool, CloudError> {
        if tags::is_shared(block) && has_user(running, ledger, block, except) {
            return Ok(false);
        }
        let services: Api<core::Service> = Api::all(running.context.client.clone());
        let unread = |error: kube::Error| {
            let class: Class = retry::class(&error);
            CloudError::new(class, "unable to list services").because(error)
        };
        let (mut all, mut page) = (Vec::new(), ListParams::default().limit(500));
        loop {
            let list = services.list(&page).await.map_err(unread)?;
            all.extend(list.items.into_iter().map(Service::cut));
            page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.continue_token.is_none() {
                break;
            }
        }
        let except = except.map(Service::key);
        let mut others = all.iter().filter(|service| Some(service.key()) != except);
        Ok(match tags::owner(block) {
            Some(owner) => !others.any(|service| service.key() == owner && needs_address(service)),
            None => !uses(running, others, block),
        })
    }
}

/// Whether a Service other than `except` has an address of a shared block, as far as is known here.
fn has_user(running: &Running, ledger: &Ledger, block: &IpBlock, except: Option<&Service>) -> bool {
    let except = except.map(Service::key);
    let services = running.context.services.list();
    let others = services
        .iter()
        .map(|service| &**service)
        .filter(|service| Some(service.key()) != except);
    let given = ledger.given.iter().filter(|(key, _)| Some(*key) != except.as_ref());
    let given: Vec<_> = given.map(|(_, address)| *address).collect();
    uses(running, others, block) || holds_one(block, &given)
}

/// Whether one of these Services has an address of the block.
fn uses<'a>(running: &Running, mut services: impl Iterator<Item = &'a Service>, block: &IpBlock) -> bool {
    services.any(|service| {
        let has: Vec<_> = addresses_of(running.address.names(), service).collect();
        needs_address(service) && holds_one(block, &has)
    })
}
