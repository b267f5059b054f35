//! What happens when: time is caught up in steps, each to the next moment at which something is due.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::store::is_held;
use super::{World, is_deleting, plus, text};
use crate::market::{self, thousandths};
use crate::resource::Resource;
use crate::settings::VersionForm;

/// For how long a new cloudspace has no phase.
pub(super) const WITHOUT_PHASE: Duration = Duration::from_secs(1);

const POOLS: [Resource; 2] = [Resource::SpotNodePool, Resource::OnDemandNodePool];

impl World {
    /// Lets everything happen that is due up to `now`, in order. Time that runs backwards changes nothing.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let mut quiet = false;
        while let Some(due) = self.next_due(quiet, now).filter(|due| *due <= now) {
            self.now = due;
            let (before, auction) = (self.version, self.last_auction() == due && self.is_auctioning());
            if auction {
                self.auction();
            }
            self.happen();
            // An auction that changed nothing would do so again until a price moves: years pass quickly.
            quiet = self.version == before && (auction || quiet);
        }
        self.now = self.now.max(now);
    }

    /// The next moment at which something may happen by itself. All that was due before has happened. When it is `quiet`,
    /// the last auction changed nothing; looks no further than `limit` for one that would.
    fn next_due(&self, quiet: bool, limit: Timestamp) -> Option<Timestamp> {
        let settings = &self.settings;
        let mut moments = Vec::new();
        for (key, space) in &self.spaces {
            let created = self.times(Resource::CloudSpace, key).created;
            moments.push(plus(created, WITHOUT_PHASE));
            if let Some(error) = &settings.error_phase {
                let start = plus(created, error.after);
                moments.push(start);
                moments.extend(error.lasts.map(|lasts| plus(start, lasts)));
            }
            if space.up_since.is_none() {
                moments.push(plus(created, settings.cp_delay));
            }
            moments.extend(space.poolless_since.map(|since| plus(since, settings.no_pool_ready)));
            if let Some(upgrade) = &space.upgrade {
                moments.push(plus(upgrade.since, settings.upgrade_delay / 10));
                moments.push(plus(upgrade.since, settings.upgrade_delay));
            }
            moments.extend(space.emptied.map(|since| plus(since, settings.delete_delay)));
        }
        for resource in POOLS {
            for key in self.objects(resource).keys() {
                let times = self.times(resource, key);
                moments.extend(times.deleted.map(|deleted| plus(deleted, settings.pool_delete_delay)));
                if resource == Resource::OnDemandNodePool {
                    moments.push(plus(times.changed, settings.od_delay));
                }
            }
        }
        for server in self.servers.values() {
            moments.push(plus(server.since, settings.node_boot_delay));
            moments.extend(server.doomed);
        }
        if self.is_auctioning() {
            let next = next_multiple(settings.auction_period, self.age());
            moments.push(plus(self.epoch, if quiet { self.next_verdict(limit) } else { next }));
        }
        moments.into_iter().filter(|moment| *moment > self.now).min()
    }

    /// How long after the start the next auction is held that gives another verdict than the last on any bid; the first one
    /// after `limit` when there is none before.
    fn next_verdict(&self, limit: Timestamp) -> Duration {
        let (settings, period) = (&self.settings, self.settings.auction_period);
        let bids: BTreeSet<(u64, &str)> = self
            .spotnodepools
            .values()
            .filter(|pool| !is_deleting(pool))
            .map(|pool| {
                (
                    thousandths(text(pool, "/spec/bidPrice")).unwrap_or(0),
                    text(pool, "/spec/serverClass"),
                )
            })
            .collect();
        let price = |class: &str, age: Duration| market::price(settings, self.seed, class, age);
        let last = self
            .last_auction()
            .duration_since(self.epoch)
            .try_into()
            .unwrap_or(Duration::ZERO);
        let now: Vec<bool> = bids.iter().map(|(bid, class)| *bid >= price(class, last)).collect();
        let mut auction = next_multiple(period, self.age());
        loop {
            let then = bids.iter().map(|(bid, class)| *bid >= price(class, auction));
            if plus(self.epoch, auction) > limit || !then.eq(now.iter().copied()) {
                return auction;
            }
            auction = next_multiple(period, market::next_move(settings, auction));
        }
    }

    fn is_auctioning(&self) -> bool {
        self.spotnodepools.values().any(|pool| !is_deleting(pool))
    }

    /// Lets what became due by a change from outside happen.
    pub(crate) fn touch(&mut self) {
        self.happen();
    }

    /// Brings everything in line with the present moment.
    pub(super) fn happen(&mut self) {
        // What one step does may make another one due at the same moment, a few deep at most.
        for _ in 0..8 {
            let changed = [
                self.end_deleted_pools(),
                self.end_deleted_cloudspaces(),
                self.end_servers(),
                self.start_control_planes(),
                self.reserve(),
            ];
            self.refresh_pools();
            self.refresh_cloudspaces();
            if changed == [false; 5] {
                break;
            }
        }
    }

    fn end_deleted_pools(&mut self) -> bool {
        if self.settings.stuck_finalizers {
            return false;
        }
        let mut changed = false;
        for resource in POOLS {
            let over: Vec<String> = self
                .objects(resource)
                .iter()
                .filter(|(key, pool)| {
                    let deleted = self.times(resource, key).deleted;
                    let over = deleted.is_some_and(|at| plus(at, self.settings.pool_delete_delay) <= self.now);
                    over && is_held(pool)
                })
                .map(|(key, _)| key.clone())
                .collect();
            for key in over {
                self.finalize(resource, &key);
                changed = true;
            }
        }
        changed
    }

    fn end_deleted_cloudspaces(&mut self) -> bool {
        let mut changed = false;
        let keys: Vec<String> = self
            .cloudspaces
            .iter()
            .filter(|(_, c)| is_deleting(c))
            .map(|(k, _)| k.clone())
            .collect();
        for key in keys {
            let Some((namespace, name)) = key.split_once('/') else {
                continue;
            };
            let mut empty = true;
            for resource in POOLS {
                let pools: Vec<String> = self
                    .pools_of(resource, namespace, name)
                    .map(|(key, _)| key.clone())
                    .collect();
                empty &= pools.is_empty();
                if self.settings.cascade {
                    for pool in pools {
                        changed |= self.mark_deleted(resource, &pool);
                    }
                }
            }
            let now = self.now;
            let Some(space) = self.spaces.get_mut(&key) else {
                continue;
            };
            if !empty {
                space.emptied = None;
                continue;
            }
            let since = *space.emptied.get_or_insert(now);
            let over = plus(since, self.settings.delete_delay) <= now && !self.settings.stuck_finalizers;
            if over && self.cloudspaces.get(&key).is_some_and(is_held) {
                self.finalize(Resource::CloudSpace, &key);
                changed = true;
            }
        }
        changed
    }

    /// Switches off machines whose time is over and those that nobody pays for any more.
    fn end_servers(&mut self) -> bool {
        let before = self.servers.len();
        let World {
            servers,
            spotnodepools,
            ondemandnodepools,
            spaces,
            now,
            ..
        } = self;
        servers.retain(|_, server| {
            let namespace = server.cloudspace.split('/').next().unwrap_or_default();
            let pools = if server.spot {
                &*spotnodepools
            } else {
                &*ondemandnodepools
            };
            server.doomed.is_none_or(|doomed| doomed > *now)
                && spaces.contains_key(&server.cloudspace)
                && pools.contains_key(&format!("{namespace}/{}", server.pool))
        });
        self.servers.len() != before
    }

    fn start_control_planes(&mut self) -> bool {
        let mut changed = false;
        let keys: Vec<String> = self.spaces.keys().cloned().collect();
        for key in keys {
            let created = self.times(Resource::CloudSpace, &key).created;
            let due = plus(created, self.settings.cp_delay) <= self.now;
            let deleting = self.cloudspaces.get(&key).is_some_and(is_deleting);
            let now = self.now;
            if let Some(space) = self.spaces.get_mut(&key)
                && space.up_since.is_none()
                && due
                && !deleting
            {
                space.up_since = Some(now);
                changed = true;
            }
        }
        changed
    }

    /// The address of the API server of a cloudspace, once it runs.
    pub(crate) fn endpoint(&self, key: &str) -> Option<&str> {
        let space = self.spaces.get(key)?;
        space.up_since.map(|_| space.address.as_str())
    }

    /// The Kubernetes version a cloudspace runs.
    pub(crate) fn running_version(&self, key: &str) -> &str {
        self.cloudspaces
            .get(key)
            .map(|object| VersionForm::plain(text(object, "/status/currentKubernetesVersion")))
            .unwrap_or_default()
    }
}

/// The first multiple of `period` that is later than `age`.
fn next_multiple(period: Duration, age: Duration) -> Duration {
    let period = period.as_nanos().max(1);
    let nanos = (age.as_nanos() / period + 1).saturating_mul(period);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
