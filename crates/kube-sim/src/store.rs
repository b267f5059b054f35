//! The data: objects, one revision for all of them, and the history that watches read.
//!
//! Everything here happens under one lock, held for microseconds: watchers have queues of their own, so that a slow one never
//! holds up a writer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::meta;

mod claims;
pub(crate) use claims::Claims;

/// Namespace (empty for cluster-scoped objects) and name: lists come out in this order.
pub(crate) type Key = (String, String);

/// How many events a watcher may have waiting before it is dropped.
const BACKLOG: usize = 10_000;
/// Where revisions start: high enough to catch code that takes 1 for granted.
const FIRST_REVISION: u64 = 1001;

/// The collection whose addresses and ports are counted.
const SERVICES: &str = "services";

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One write.
#[derive(Debug)]
pub(crate) struct Event {
    pub revision: u64,
    pub change: Change,
    pub key: Key,
    /// The object after the write; of a deletion its last state, with the revision of the deletion.
    pub object: Arc<Value>,
    pub previous: Option<Arc<Value>>,
}

#[derive(Debug)]
struct Collection {
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Arc<Event>>,
    /// The revision of the newest event that the log has lost.
    lost: u64,
    watchers: Vec<mpsc::Sender<Arc<Event>>>,
    /// The revision of the newest write here.
    touched: u64,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            lost: FIRST_REVISION,
            watchers: Vec::new(),
            touched: 0,
        }
    }
}

/// All objects by collection, and the revision they are at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents {
    revision: u64,
    objects: BTreeMap<String, Vec<Value>>,
}

/// All objects of all kinds.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    compacted: u64,
    capacity: usize,
    collections: BTreeMap<String, Collection>,
    claims: Claims,
    /// Tells controllers that something changed.
    changes: watch::Sender<u64>,
}

/// Where a watch begins and what it gets from then on.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub history: Vec<Arc<Event>>,
    pub live: mpsc::Receiver<Arc<Event>>,
}

impl Store {
    pub fn new(capacity: usize) -> Self {
        Self {
            revision: FIRST_REVISION,
            compacted: 0,
            capacity: capacity.max(100),
            collections: BTreeMap::new(),
            claims: Claims::default(),
            changes: watch::Sender::new(FIRST_REVISION),
        }
    }

    /// A copy of everything.
    pub fn contents(&self) -> Contents {
        let objects = self.collections.iter().filter(|(_, found)| !found.objects.is_empty());
        let values = |found: &Collection| found.objects.values().map(|object| Value::clone(object)).collect();
        Contents {
            revision: self.revision,
            objects: objects.map(|(name, found)| (name.clone(), values(found))).collect(),
        }
    }

    /// Puts these contents in the place of everything. History begins anew, and watches end.
    pub fn replace(&mut self, contents: Contents) {
        self.revision = self.revision.max(contents.revision) + 1;
        self.compacted = self.revision;
        let revision = self.revision;
        let collection = |objects: Vec<Value>| Collection {
            objects: objects
                .into_iter()
                .map(|object| {
                    let key = (meta::namespace(&object).to_owned(), meta::name(&object).to_owned());
                    (key, Arc::new(object))
                })
                .collect(),
            lost: revision,
            touched: revision,
            ..Collection::default()
        };
        self.collections = contents
            .objects
            .into_iter()
            .map(|(name, objects)| (name, collection(objects)))
            .collect();
        self.claims = Claims::default();
        for (_, service) in self.list(SERVICES, "") {
            self.claims.add(&service);
        }
        self.changes.send_replace(self.revision);
    }

    /// The addresses and ports of all services.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Follows the revision.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The revision of the newest write to any of these collections; no names mean all.
    pub fn touched(&self, collections: &[&str]) -> u64 {
        if collections.is_empty() {
            return self.revision;
        }
        collections
            .iter()
            .filter_map(|name| self.collections.get(*name))
            .map(|c| c.touched)
            .max()
            .unwrap_or(0)
    }

    /// The revision of the newest write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn get(&self, collection: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.collections
            .get(collection)?
            .objects
            .get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All objects of a collection, or of one namespace of it, in order.
    pub fn list(&self, collection: &str, namespace: &str) -> Vec<(Key, Arc<Value>)> {
        let Some(collection) = self.collections.get(collection) else {
            return Vec::new();
        };
        let from = (namespace.to_owned(), String::new());
        collection
            .objects
            .range(from..)
            .take_while(|(key, _)| namespace.is_empty() || key.0 == namespace)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }

    /// The collection as it was at `revision`, or nothing when that is no longer known.
    pub fn list_at(&self, collection: &str, namespace: &str, revision: u64) -> Option<Vec<(Key, Arc<Value>)>> {
        if revision < self.compacted || revision > self.revision {
            return None;
        }
        let Some(found) = self.collections.get(collection) else {
            return Some(Vec::new());
        };
        if revision < found.lost {
            return None;
        }
        if found.touched <= revision {
            return Some(self.list(collection, namespace));
        }
        let mut objects = found.objects.clone();
        for event in found.log.iter().rev().take_while(|e| e.revision > revision) {
            match &event.previous {
                Some(previous) => objects.insert(event.key.clone(), previous.clone()),
                None => objects.remove(&event.key),
            };
        }
        Some(
            objects
                .into_iter()
                .filter(|(key, _)| namespace.is_empty() || key.0 == namespace)
                .collect(),
        )
    }

    /// Stores an object under the next revision.
    pub fn put(&mut self, collection: &str, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        let found = self.collections.entry(collection.to_owned()).or_default();
        let previous = found.objects.insert(key.clone(), object.clone());
        let change = if previous.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        self.publish(collection, change, key, object.clone(), previous);
        object
    }

    /// Removes an object; what is returned is its last state with the revision of the deletion.
    pub fn remove(&mut self, collection: &str, key: &Key) -> Option<Arc<Value>> {
        let previous = self.collections.get_mut(collection)?.objects.remove(key)?;
        self.revision += 1;
        let mut last = Value::clone(&previous);
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let last = Arc::new(last);
        self.publish(collection, Change::Deleted, key.clone(), last.clone(), Some(previous));
        Some(last)
    }

    fn publish(
        &mut self,
        collection: &str,
        change: Change,
        key: Key,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let event = Arc::new(Event {
            revision: self.revision,
            change,
            key,
            object,
            previous,
        });
        if collection == SERVICES {
            if let Some(gone) = &event.previous {
                self.claims.remove(gone);
            }
            if change != Change::Deleted {
                self.claims.add(&event.object);
            }
        }
        let capacity = self.capacity;
        let found = self.collections.entry(collection.to_owned()).or_default();
        found.touched = event.revision;
        found.log.push_back(event.clone());
        while found.log.len() > capacity {
            if let Some(lost) = found.log.pop_front() {
                found.lost = lost.revision;
            }
        }
        // A watcher that is gone or too slow is dropped; its stream ends and the client comes back.
        found.watchers.retain(|watcher| watcher.try_send(event.clone()).is_ok());
        self.changes.send_replace(self.revision);
    }

    /// The oldest revision from which a watch can begin.
    pub fn oldest(&self, collection: &str) -> u64 {
        self.compacted
            .max(self.collections.get(collection).map_or(FIRST_REVISION, |c| c.lost))
    }

    /// Starts the history of a collection now: there is nothing before it.
    pub fn begin(&mut self, collection: &str) {
        let lost = self.revision;
        self.collections.entry(collection.to_owned()).or_default().lost = lost;
    }

    /// Everything after `revision`, without gaps. The caller has checked that it is not too old.
    pub fn subscribe(&mut self, collection: &str, revision: u64) -> Subscription {
        let found = self.collections.entry(collection.to_owned()).or_default();
        let history = found.log.iter().filter(|e| e.revision > revision).cloned().collect();
        let (sender, live) = mpsc::channel(BACKLOG);
        found.watchers.push(sender);
        Subscription { history, live }
    }

    /// Ends all watches.
    pub fn drop_watchers(&mut self) {
        for collection in self.collections.values_mut() {
            collection.watchers.clear();
        }
    }

    /// Throws away the history up to and including `revision`.
    pub fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision.min(self.revision));
        let compacted = self.compacted;
        for collection in self.collections.values_mut() {
            while collection.log.front().is_some_and(|e| e.revision <= compacted) {
                if let Some(lost) = collection.log.pop_front() {
                    collection.lost = lost.revision;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
