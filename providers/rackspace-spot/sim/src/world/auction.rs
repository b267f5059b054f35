//! Who gets which machines: auctions of spot machines, reservations of the others, preemption.

use serde_json::{Map, Value, json};

use super::{Notice, Server, World, is_deleting, name_of, plus, stamp, text};
use crate::market::thousandths;
use crate::resource::Resource;

impl World {
    /// How many machines a pool wants: what it says, or what the load asks of an autoscaling one within its bounds.
    pub(super) fn wanted(&self, resource: Resource, pool: &Value) -> u64 {
        let number = |pointer: &str| pool.pointer(pointer).and_then(Value::as_u64);
        let autoscales = pool.pointer("/spec/autoscaling/enabled") == Some(&Value::Bool(true));
        if resource != Resource::SpotNodePool || !autoscales {
            return number("/spec/desired").unwrap_or(0);
        }
        let min = number("/spec/autoscaling/minNodes").unwrap_or(1);
        let max = number("/spec/autoscaling/maxNodes").unwrap_or(min).max(min);
        let load = self
            .settings
            .load
            .get(text(pool, "/spec/cloudSpace"))
            .copied()
            .map_or(min, u64::from);
        load.clamp(min, max)
    }

    /// Holds an auction at the present moment: pools are served by their bids, the highest first.
    pub(super) fn auction(&mut self) {
        let mut pools: Vec<(u64, String)> = self
            .spotnodepools
            .iter()
            .filter(|(_, pool)| !is_deleting(pool))
            .map(|(key, pool)| (thousandths(text(pool, "/spec/bidPrice")).unwrap_or(0), key.clone()))
            .collect();
        pools.sort_by_key(|(bid, key)| {
            (
                u64::MAX - bid,
                self.times(Resource::SpotNodePool, key).created,
                key.clone(),
            )
        });
        // First who loses, so that those who win find the room.
        for (bid, key) in &pools {
            let Some(pool) = self.spotnodepools.get(key) else {
                continue;
            };
            if *bid < self.price(text(pool, "/spec/serverClass")) {
                self.preempt(key);
                self.set_pool(Resource::SpotNodePool, key, "Lost");
            }
        }
        for (bid, key) in pools {
            let Some(pool) = self.spotnodepools.get(&key) else {
                continue;
            };
            if bid < self.price(text(pool, "/spec/serverClass")) {
                continue;
            }
            let wanted = self.wanted(Resource::SpotNodePool, pool);
            let won = self.allocate(Resource::SpotNodePool, &key, wanted);
            self.set_pool(
                Resource::SpotNodePool,
                &key,
                if won == wanted { "Fulfilled" } else { "Pending" },
            );
        }
    }

    /// Reserves machines for on-demand pools whose change is long enough ago.
    pub(super) fn reserve(&mut self) -> bool {
        let resource = Resource::OnDemandNodePool;
        let mut changed = false;
        let keys: Vec<String> = self
            .ondemandnodepools
            .iter()
            .filter(|(_, pool)| !is_deleting(pool))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if plus(self.times(resource, &key).changed, self.settings.od_delay) > self.now {
                continue;
            }
            let Some(pool) = self.ondemandnodepools.get(&key) else {
                continue;
            };
            let wanted = self.wanted(resource, pool);
            let before = self.live(&key, false).len();
            let reserved = self.allocate(resource, &key, wanted);
            changed |= before as u64 != reserved;
            changed |= self.set_pool(resource, &key, if reserved == wanted { "Reserved" } else { "Pending" });
        }
        changed
    }

    /// Says of pools that were changed since that they are pending.
    pub(super) fn refresh_pools(&mut self) {
        for resource in [Resource::SpotNodePool, Resource::OnDemandNodePool] {
            let field = if resource == Resource::SpotNodePool {
                "/status/bidStatus"
            } else {
                "/status/reservedStatus"
            };
            let pools: Vec<(String, String)> = self
                .objects(resource)
                .iter()
                .map(|(key, pool)| (key.clone(), text(pool, field).to_owned()))
                .collect();
            for (key, word) in pools {
                let Some(pool) = self.objects(resource).get(&key) else {
                    continue;
                };
                let live = self.live(&key, resource == Resource::SpotNodePool).len() as u64;
                let settled = word == "Lost" || (!word.is_empty() && live == self.wanted(resource, pool));
                self.set_pool(resource, &key, if settled { &word } else { "Pending" });
            }
        }
    }

    /// The UUIDs of a pool's machines that are not on their way out, oldest first.
    fn live(&self, key: &str, spot: bool) -> Vec<String> {
        let Some((namespace, pool)) = key.split_once('/') else {
            return Vec::new();
        };
        let mut live: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, server)| {
                server.spot == spot
                    && server.pool == pool
                    && server.doomed.is_none()
                    && server.cloudspace.split('/').next() == Some(namespace)
            })
            .map(|(id, server)| (server.since, server.name.clone(), id.clone()))
            .collect();
        live.sort();
        live.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Gives a pool `wanted` machines, or as many as there is room for, and says how many it then has. What is too many
    /// goes at once, the newest first.
    fn allocate(&mut self, resource: Resource, key: &str, wanted: u64) -> u64 {
        let spot = resource == Resource::SpotNodePool;
        let mut live = self.live(key, spot);
        while live.len() as u64 > wanted {
            if let Some(id) = live.pop() {
                self.servers.remove(&id);
            }
        }
        let Some(pool) = self.objects(resource).get(key) else {
            return 0;
        };
        let class = text(pool, "/spec/serverClass").to_owned();
        let space = text(pool, "/spec/cloudSpace").to_owned();
        let Some((namespace, pool)) = key.split_once('/') else {
            return 0;
        };
        let capacity = self
            .serverclasses
            .get(&class)
            .and_then(|class| class.pointer("/status/capacity"));
        let capacity = capacity.and_then(Value::as_u64).unwrap_or(0);
        let used = self.servers.values().filter(|server| server.class == class).count() as u64;
        let missing = (wanted - live.len() as u64).min(capacity.saturating_sub(used));
        for _ in 0..missing {
            let (id, suffix, address) = (self.draw_uuid(), self.draw_suffix(), self.draw());
            let server = Server {
                name: format!("{space}-{suffix}"),
                cloudspace: format!("{namespace}/{space}"),
                pool: pool.to_owned(),
                class: class.clone(),
                spot,
                address: format!(
                    "10.{}.{}.{}",
                    address >> 8 & 0x7f,
                    address >> 16 & 0xff,
                    1 + (address >> 24) % 254
                ),
                since: self.now,
                doomed: None,
            };
            self.servers.insert(id, server);
        }
        live.len() as u64 + missing
    }

    /// Gives notice to all machines of a pool.
    fn preempt(&mut self, key: &str) {
        let live = self.live(key, true);
        let Some((namespace, pool)) = key.split_once('/') else {
            return;
        };
        let end = plus(self.now, self.settings.preemption_notice);
        let mut nodes = Vec::new();
        let mut cloudspace = String::new();
        for id in live {
            if let Some(server) = self.servers.get_mut(&id) {
                server.doomed = Some(end);
                cloudspace.clone_from(&server.cloudspace);
                nodes.push(server.name.clone());
            }
        }
        if nodes.is_empty() {
            return;
        }
        let url = self
            .cloudspaces
            .get(&cloudspace)
            .map(|object| text(object, "/spec/webhook"))
            .unwrap_or_default();
        // Differs from upstream: the real payload is not known.
        let body = json!({
            "event": "preemption", "cloudspace": cloudspace.rsplit('/').next(), "namespace": namespace,
            "nodePool": pool, "nodes": nodes, "terminationTime": stamp(end),
        });
        self.notices.push(Notice {
            at: self.now,
            url: url.to_owned(),
            body,
        });
    }

    /// Sets a pool's status from its machines.
    fn set_pool(&mut self, resource: Resource, key: &str, word: &str) -> bool {
        let (count, state) = match resource {
            Resource::SpotNodePool => ("wonCount", "bidStatus"),
            _ => ("reservedCount", "reservedStatus"),
        };
        let live = self.live(key, resource == Resource::SpotNodePool).len();
        let mut status = Map::new();
        status.insert(state.to_owned(), word.into());
        status.insert(count.to_owned(), live.into());
        self.set_status(resource, key, status)
    }

    /// The pool of a machine.
    pub(crate) fn pool_of(&self, server: &Server) -> Option<&Value> {
        let namespace = server.cloudspace.split('/').next()?;
        let resource = if server.spot {
            Resource::SpotNodePool
        } else {
            Resource::OnDemandNodePool
        };
        self.objects(resource)
            .get(&format!("{namespace}/{}", server.pool))
            .filter(|pool| name_of(pool) == server.pool)
    }
}
