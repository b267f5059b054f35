//! The objects of one kind, cut down to what is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

/// What happened to an object.
#[derive(Debug)]
pub enum Change<'a, V> {
    /// It was not known before.
    Added(&'a Arc<V>),
    /// It was known, and may have changed.
    Updated {
        /// As it was known.
        old: &'a Arc<V>,
        /// As it is now.
        new: &'a Arc<V>,
    },
    /// It is gone; this is how it was known last.
    Deleted(&'a Arc<V>),
}

type Handler<V> = Arc<dyn Fn(&str, &Change<'_, V>) + Send + Sync>;

/// A cache of objects by key (`name`, or `namespace/name`), which tells its handlers of every change. Clones share it.
///
/// Only a [`crate::Watch`] changes it. Handlers run on the watch's task, one change after the other, and must be quick:
/// put a key into a queue and return.
pub struct Store<V>(Arc<Inner<V>>);

impl<V> Clone for Store<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<V> {
    objects: RwLock<BTreeMap<String, Arc<V>>>,
    handlers: Mutex<Vec<Handler<V>>>,
    synced: watch::Sender<bool>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Store<V> {
    /// An empty store.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            objects: RwLock::default(),
            handlers: Mutex::default(),
            synced: watch::Sender::new(false),
        }))
    }

    /// The object with this key.
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        self.read().get(key).cloned()
    }

    /// All objects, sorted by key.
    pub fn list(&self) -> Vec<Arc<V>> {
        self.read().values().cloned().collect()
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Calls `handle` for every object there is and for every change from now on.
    pub fn on_change(&self, handle: impl Fn(&str, &Change<'_, V>) + Send + Sync + 'static) {
        let mut handlers = self.0.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, object) in self.read().iter() {
            handle(key, &Change::Added(object));
        }
        handlers.push(Arc::new(handle));
    }

    /// Whether the first list is complete.
    pub fn is_synced(&self) -> bool {
        *self.0.synced.borrow()
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.synced.subscribe().wait_for(|synced| *synced).await;
    }

    pub(crate) fn apply(&self, key: &str, object: V) {
        let handlers = self.handlers();
        let new = Arc::new(object);
        let old = self.write().insert(key.to_owned(), Arc::clone(&new));
        let change = match &old {
            Some(old) => Change::Updated { old, new: &new },
            None => Change::Added(&new),
        };
        for handle in handlers {
            handle(key, &change);
        }
    }

    pub(crate) fn remove(&self, key: &str) {
        let handlers = self.handlers();
        let Some(old) = self.write().remove(key) else { return };
        for handle in handlers {
            handle(key, &Change::Deleted(&old));
        }
    }

    /// Takes over a complete list: what is not in it is gone.
    pub(crate) fn replace(&self, objects: Vec<(String, V)>) {
        let listed: std::collections::HashSet<String> = objects.iter().map(|(key, _)| key.clone()).collect();
        for gone in self.keys().into_iter().filter(|key| !listed.contains(key)) {
            self.remove(&gone);
        }
        for (key, object) in objects {
            self.apply(&key, object);
        }
        self.0.synced.send_replace(true);
    }

    fn handlers(&self) -> Vec<Handler<V>> {
        self.0.handlers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<V>>> {
        self.0.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<V>>> {
        self.0.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_list_tells_what_came_what_stayed_and_what_went() {
        let store: Store<u32> = Store::new();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        store.apply("early", 0);
        store.on_change({
            let seen = Arc::clone(&seen);
            move |key, change| {
                let text = match change {
                    Change::Added(new) => format!("+{key}={new}"),
                    Change::Updated { old, new } => format!("{key}:{old}>{new}"),
                    Change::Deleted(old) => format!("-{key}={old}"),
                };
                seen.lock().unwrap().push(text);
            }
        });
        assert!(!store.is_synced());
        store.replace(vec![("a".to_owned(), 1), ("b".to_owned(), 2)]);
        store.replace(vec![("b".to_owned(), 3)]);
        assert!(store.is_synced());
        assert_eq!(
            *seen.lock().unwrap(),
            ["+early=0", "-early=0", "+a=1", "+b=2", "-a=1", "b:2>3"]
        );
        assert_eq!(store.keys(), ["b"]);
    }
}
