//! Everything there is, as plain data that moves only when told the time: no task, no clock, no socket.

mod auction;
mod cloudspace;
mod list;
mod state;
mod store;
mod timeline;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use list::ListOptions;

use crate::chance;
use crate::resource::Resource;
use crate::seed::{self, Organization, RefreshToken};
use crate::settings::Settings;

/// Objects by `name`, or by `namespace/name` where there are namespaces.
pub(crate) type Objects = BTreeMap<String, Value>;

/// The whole simulated service. It is its own JSON form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) seed: u64,
    /// When it began: prices and auctions count from here.
    pub(crate) epoch: Timestamp,
    /// Up to when everything has happened.
    pub(crate) now: Timestamp,
    /// The last resource version given.
    pub(crate) version: u64,
    /// How many random numbers were drawn.
    pub(crate) drawn: u64,
    pub(crate) organizations: Vec<Organization>,
    pub(crate) refresh_tokens: BTreeMap<String, RefreshToken>,
    pub(crate) regions: Objects,
    pub(crate) serverclasses: Objects,
    pub(crate) cloudspaces: Objects,
    pub(crate) spotnodepools: Objects,
    pub(crate) ondemandnodepools: Objects,
    /// Times of objects that objects themselves do not tell, by `plural/key`.
    pub(crate) times: BTreeMap<String, Times>,
    /// What is behind each cloudspace, by its key.
    pub(crate) spaces: BTreeMap<String, Space>,
    /// Machines that run, by their UUID.
    pub(crate) servers: BTreeMap<String, Server>,
    /// Notices of preemption, oldest first.
    pub(crate) notices: Vec<Notice>,
}

/// When things were done to an object, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Times {
    pub(crate) created: Timestamp,
    /// Of the last change of the spec.
    pub(crate) changed: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
}

/// What is behind a cloudspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Space {
    /// Host, and port if it has one, of its API server.
    pub(crate) address: String,
    /// Since when its API server runs.
    pub(crate) up_since: Option<Timestamp>,
    /// Since when it runs without any pool.
    pub(crate) poolless_since: Option<Timestamp>,
    /// Since when it is being deleted and has no pool left.
    pub(crate) emptied: Option<Timestamp>,
    pub(crate) upgrade: Option<Upgrade>,
}

/// A change of version under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upgrade {
    pub(crate) to: String,
    pub(crate) since: Timestamp,
}

/// A machine that was won or reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The name of its node.
    pub(crate) name: String,
    /// The key of its cloudspace.
    pub(crate) cloudspace: String,
    /// The name of its pool.
    pub(crate) pool: String,
    pub(crate) class: String,
    pub(crate) spot: bool,
    pub(crate) address: String,
    pub(crate) since: Timestamp,
    /// When it ends, once it is preempted.
    pub(crate) doomed: Option<Timestamp>,
}

/// The notice of a preemption, as posted to the cloudspace's webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notice {
    pub(crate) at: Timestamp,
    /// Where to; empty when the cloudspace has no webhook.
    pub(crate) url: String,
    pub(crate) body: Value,
}

impl World {
    /// The first day.
    pub(crate) fn new(seed: u64, settings: Settings, epoch: Timestamp) -> Self {
        let mut world = Self {
            settings,
            seed,
            epoch,
            now: epoch,
            version: 1000,
            drawn: 0,
            organizations: seed::organizations(),
            refresh_tokens: seed::refresh_tokens(),
            regions: Objects::new(),
            serverclasses: Objects::new(),
            cloudspaces: Objects::new(),
            spotnodepools: Objects::new(),
            ondemandnodepools: Objects::new(),
            times: BTreeMap::new(),
            spaces: BTreeMap::new(),
            servers: BTreeMap::new(),
            notices: Vec::new(),
        };
        for (resource, objects) in [
            (Resource::Region, seed::regions()),
            (Resource::ServerClass, seed::server_classes()),
        ] {
            for object in objects {
                let name = name_of(&object).to_owned();
                world.objects_mut(resource).insert(name, object);
            }
        }
        world.complete();
        world
    }

    pub(crate) fn objects(&self, resource: Resource) -> &Objects {
        match resource {
            Resource::Region => &self.regions,
            Resource::ServerClass => &self.serverclasses,
            Resource::CloudSpace => &self.cloudspaces,
            Resource::SpotNodePool => &self.spotnodepools,
            Resource::OnDemandNodePool => &self.ondemandnodepools,
        }
    }

    fn objects_mut(&mut self, resource: Resource) -> &mut Objects {
        match resource {
            Resource::Region => &mut self.regions,
            Resource::ServerClass => &mut self.serverclasses,
            Resource::CloudSpace => &mut self.cloudspaces,
            Resource::SpotNodePool => &mut self.spotnodepools,
            Resource::OnDemandNodePool => &mut self.ondemandnodepools,
        }
    }

    /// The pools of a cloudspace with their keys, those being deleted among them.
    pub(crate) fn pools_of<'a>(
        &'a self,
        resource: Resource,
        namespace: &'a str,
        space: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let mine = move |(key, pool): &(&String, &Value)| {
            key.split_once('/').is_some_and(|(ns, _)| ns == namespace) && text(pool, "/spec/cloudSpace") == space
        };
        self.objects(resource).iter().filter(mine)
    }

    /// When things were done to an object; now, when that is not known.
    pub(crate) fn times(&self, resource: Resource, key: &str) -> Times {
        self.times.get(&times_key(resource, key)).copied().unwrap_or(Times {
            created: self.now,
            changed: self.now,
            deleted: None,
        })
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.now.duration_since(self.epoch).try_into().unwrap_or(Duration::ZERO)
    }

    /// The market price of a class, in thousandths.
    pub(crate) fn price(&self, class: &str) -> u64 {
        crate::market::price(&self.settings, self.seed, class, self.age())
    }

    /// When the last auction was held.
    pub(crate) fn last_auction(&self) -> Timestamp {
        let period = self.settings.auction_period.as_nanos().max(1);
        let into = self.age().as_nanos() % period;
        minus(self.now, Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        chance::mix(self.seed, self.drawn)
    }

    pub(crate) fn draw_uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// Five characters, as Kubernetes makes them.
    pub(crate) fn draw_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut drawn = self.draw();
        (0..5)
            .map(|_| {
                let letter = LETTERS
                    .get((drawn % LETTERS.len() as u64) as usize)
                    .copied()
                    .unwrap_or(b'x');
                drawn /= LETTERS.len() as u64;
                char::from(letter)
            })
            .collect()
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Sets an object's status, if that changes it.
    fn set_status(&mut self, resource: Resource, key: &str, status: Map<String, Value>) -> bool {
        let status = Value::Object(status);
        if self
            .objects(resource)
            .get(key)
            .is_none_or(|object| object.get("status") == Some(&status))
        {
            return false;
        }
        let version = self.next_version();
        if let Some(Value::Object(object)) = self.objects_mut(resource).get_mut(key) {
            object.insert("status".to_owned(), status);
            if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                metadata.insert("resourceVersion".to_owned(), version.into());
            }
        }
        true
    }
}

pub(crate) fn times_key(resource: Resource, key: &str) -> String {
    format!("{}/{key}", resource.plural())
}

/// A text in an object, empty when it is not there.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn name_of(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// As Kubernetes writes times: whole seconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

pub(crate) fn plus(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

fn minus(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_sub(by).ok())
        .unwrap_or(Timestamp::MIN)
}

/// A UUID that is a function of a text.
pub(crate) fn named_uuid(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod laws;
