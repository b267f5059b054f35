//! What a cloudspace says of itself: phase, upgrade, servers, bids.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::timeline::WITHOUT_PHASE;
use super::{Server, Upgrade, World, is_deleting, name_of, plus, stamp, text};
use crate::resource::Resource;
use crate::settings::VersionForm;

impl World {
    pub(super) fn refresh_cloudspaces(&mut self) {
        let keys: Vec<String> = self.cloudspaces.keys().cloned().collect();
        for key in keys {
            self.note_pools(&key);
            self.refresh_upgrade(&key);
            self.fill_requests(&key);
            if let Some(status) = self.cloudspace_status(&key) {
                self.set_status(Resource::CloudSpace, &key, status);
            }
        }
    }

    /// Notes since when it runs without a pool.
    fn note_pools(&mut self, key: &str) {
        let Some((namespace, name)) = key.split_once('/') else {
            return;
        };
        let pools = [Resource::SpotNodePool, Resource::OnDemandNodePool]
            .into_iter()
            .flat_map(|resource| self.pools_of(resource, namespace, name))
            .any(|(_, pool)| !is_deleting(pool));
        let now = self.now;
        if let Some(space) = self.spaces.get_mut(key) {
            if pools || space.up_since.is_none() {
                space.poolless_since = None;
            } else {
                space.poolless_since.get_or_insert(now);
            }
        }
    }

    /// Begins an upgrade when another version is wanted, and ends it in time.
    fn refresh_upgrade(&mut self, key: &str) {
        let Some(object) = self.cloudspaces.get(key) else {
            return;
        };
        let wanted = text(object, "/spec/kubernetesVersion").to_owned();
        let running = VersionForm::plain(text(object, "/status/currentKubernetesVersion")).to_owned();
        let (now, delay) = (self.now, self.settings.upgrade_delay);
        let (fails, form) = (self.settings.upgrades_fail, self.settings.version_form);
        let Some(space) = self.spaces.get_mut(key) else { return };
        if space
            .upgrade
            .as_ref()
            .is_some_and(|upgrade| plus(upgrade.since, delay) <= now && !fails)
        {
            let reached = space.upgrade.take().map(|upgrade| upgrade.to).unwrap_or_default();
            let mut status = self.old_status(key);
            status.insert("currentKubernetesVersion".to_owned(), form.write(&reached).into());
            status.insert("upgradePhase".to_owned(), "Completed".into());
            self.set_status(Resource::CloudSpace, key, status);
            if reached != wanted {
                self.refresh_upgrade(key);
            }
            return;
        }
        let going = space.upgrade.as_ref().map_or(running.as_str(), |upgrade| &upgrade.to);
        if !running.is_empty() && going != wanted {
            space.upgrade = Some(Upgrade { to: wanted, since: now });
        }
    }

    /// Lists the names of its pools in its spec, as the server does.
    fn fill_requests(&mut self, key: &str) {
        let Some((namespace, name)) = key.split_once('/') else {
            return;
        };
        let mut lists = Vec::new();
        for (resource, field) in [
            (Resource::SpotNodePool, "bidRequests"),
            (Resource::OnDemandNodePool, "onDemandRequests"),
        ] {
            let names: Vec<Value> = self
                .pools_of(resource, namespace, name)
                .map(|(_, pool)| name_of(pool).into())
                .collect();
            lists.push((field, names));
        }
        let Some(Value::Object(spec)) = self.cloudspaces.get_mut(key).and_then(|object| object.get_mut("spec")) else {
            return;
        };
        let mut changed = false;
        for (field, names) in lists {
            let found = spec.get(field).and_then(Value::as_array);
            if found.map_or(names.is_empty(), |found| *found == names) {
                continue;
            }
            spec.insert(field.to_owned(), names.into());
            changed = true;
        }
        if changed {
            let version = self.next_version();
            if let Some(object) = self.cloudspaces.get_mut(key) {
                object["metadata"]["resourceVersion"] = version.into();
            }
        }
    }

    fn old_status(&self, key: &str) -> Map<String, Value> {
        let status = self
            .cloudspaces
            .get(key)
            .and_then(|object| object.get("status"))
            .and_then(Value::as_object);
        status.cloned().unwrap_or_default()
    }

    fn cloudspace_status(&self, key: &str) -> Option<Map<String, Value>> {
        let object = self.cloudspaces.get(key)?;
        let space = self.spaces.get(key)?;
        let created = self.times(Resource::CloudSpace, key).created;
        let servers: Vec<&Server> = self
            .servers
            .values()
            .filter(|server| server.cloudspace == key)
            .collect();
        let mut status = self.old_status(key);
        let (phase, reason) = self.phase(key, object, created);
        let health = if space.up_since.is_some() && !servers.is_empty() {
            "Healthy"
        } else {
            "Unhealthy"
        };
        status.insert("health".to_owned(), health.into());
        status.insert("cloudspaceClassName".to_owned(), "default".into());
        if space.up_since.is_some() {
            status.insert("APIServerEndpoint".to_owned(), space.address.clone().into());
            let version = VersionForm::plain(text(object, "/spec/kubernetesVersion"));
            status
                .entry("currentKubernetesVersion")
                .or_insert_with(|| self.settings.version_form.write(version).into());
        }
        if let Some(upgrade) = &space.upgrade {
            let delay = self.settings.upgrade_delay;
            let word = if plus(upgrade.since, delay) <= self.now {
                "Failed"
            } else if plus(upgrade.since, delay / 10) <= self.now {
                "InProgress"
            } else {
                "Pending"
            };
            status.insert("upgradePhase".to_owned(), word.into());
        }
        if phase == "Ready" {
            status
                .entry("firstReadyTimestamp")
                .or_insert_with(|| stamp(self.now).into());
        }
        let assigned: Map<String, Value> = servers
            .iter()
            .map(|server| (server.name.clone(), self.assigned(server)))
            .collect();
        status.insert("assignedServers".to_owned(), assigned.into());
        self.fill_bids(key, &mut status);
        if status.get("phase").and_then(Value::as_str) != Some(&phase) || !status.contains_key("conditions") {
            let ready = if phase == "Ready" { "True" } else { "False" };
            let kept = status
                .get("conditions")
                .and_then(|c| c.pointer("/0"))
                .filter(|c| c["status"] == ready);
            let since = kept.map_or_else(|| stamp(self.now).into(), |c| c["lastTransitionTime"].clone());
            let condition = json!({
                "type": "Ready", "status": ready, "lastTransitionTime": since, "reason": phase, "message": reason,
            });
            status.insert("conditions".to_owned(), json!([condition]));
        }
        status.insert("phase".to_owned(), phase.into());
        status.insert("reason".to_owned(), reason.into());
        Some(status)
    }

    fn phase(&self, key: &str, object: &Value, created: Timestamp) -> (String, String) {
        let told = |phase: &str, reason: &str| (phase.to_owned(), reason.to_owned());
        let since = |at: Timestamp| self.now >= at;
        if is_deleting(object) {
            return told("Deleting", "");
        }
        if !since(plus(created, WITHOUT_PHASE)) {
            return told("", "");
        }
        if let Some(error) = &self.settings.error_phase {
            let start = plus(created, error.after);
            if since(start) && error.lasts.is_none_or(|lasts| !since(plus(start, lasts))) {
                return told("Error", &error.reason);
            }
        }
        let provisioning = || told("Provisioning", &self.settings.provisioning_reason);
        let Some(space) = self.spaces.get(key).filter(|space| space.up_since.is_some()) else {
            return provisioning();
        };
        if space.upgrade.is_some() {
            return told("Upgrading", "");
        }
        if self
            .servers
            .values()
            .any(|server| server.cloudspace == key && server.doomed.is_none())
        {
            return told("Ready", "");
        }
        let was_ready = object.pointer("/status/firstReadyTimestamp").is_some();
        if let Some(poolless) = space.poolless_since {
            let ready = was_ready || since(plus(poolless, self.settings.no_pool_ready));
            return if ready { told("Ready", "") } else { provisioning() };
        }
        if self.all_bids_are_lost(key) {
            return told(&self.settings.no_winning_bids_phase, "none of the bids won an auction");
        }
        if was_ready {
            told(text(object, "/status/phase"), "")
        } else {
            provisioning()
        }
    }

    fn all_bids_are_lost(&self, key: &str) -> bool {
        let Some((namespace, name)) = key.split_once('/') else {
            return false;
        };
        let mut spot = self
            .pools_of(Resource::SpotNodePool, namespace, name)
            .filter(|(_, pool)| !is_deleting(pool))
            .peekable();
        let reserving = self
            .pools_of(Resource::OnDemandNodePool, namespace, name)
            .any(|(_, pool)| !is_deleting(pool) && text(pool, "/status/reservedStatus") == "Pending");
        spot.peek().is_some() && !reserving && spot.all(|(_, pool)| text(pool, "/status/bidStatus") == "Lost")
    }

    fn assigned(&self, server: &Server) -> Value {
        let ready = plus(server.since, self.settings.node_boot_delay) <= self.now;
        json!({
            "IP": server.address, "clusterRole": "worker", "serverClassName": server.class, "serverName": server.name,
            "serverType": if server.spot { "spot" } else { "ondemand" },
            "state": if server.doomed.is_some() { "preempted" } else if ready { "ready" } else { "provisioning" },
        })
    }

    fn fill_bids(&self, key: &str, status: &mut Map<String, Value>) {
        let Some((namespace, name)) = key.split_once('/') else {
            return;
        };
        let (mut bids, mut pending) = (Map::new(), Map::new());
        for (resource, kind, won) in [
            (Resource::SpotNodePool, "spot", "/status/wonCount"),
            (Resource::OnDemandNodePool, "ondemand", "/status/reservedCount"),
        ] {
            for (_, pool) in self
                .pools_of(resource, namespace, name)
                .filter(|(_, pool)| !is_deleting(pool))
            {
                let name = name_of(pool);
                let won = pool.pointer(won).and_then(Value::as_u64).unwrap_or(0);
                let wanted = self.wanted(resource, pool);
                bids.insert(name.to_owned(), json!({"bidName": name, "type": kind, "wonCount": won}));
                if won < wanted {
                    let allocation = json!({
                        "serverClassName": text(pool, "/spec/serverClass"), "count": wanted, "allocatedCount": won,
                        "bidName": name, "bidType": kind,
                    });
                    pending.insert(name.to_owned(), allocation);
                }
            }
        }
        status.insert("bids".to_owned(), bids.into());
        status.insert("pendingAllocations".to_owned(), pending.into());
    }
}
