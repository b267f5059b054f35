//! The API servers of cloudspaces.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use kit::Clock;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// The API servers that run, made to follow the world.
pub(crate) struct Clusters {
    #[allow(dead_code)]
    clock: Clock,
    #[allow(dead_code)]
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    listeners: BTreeMap<String, std::net::TcpListener>,
    loopback: Option<CancellationToken>,
}

impl Clusters {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            seed,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn host_on_loopback(&self, cancel: CancellationToken) {
        self.lock().loopback = Some(cancel);
    }

    pub(crate) fn give_addresses(&self, world: &mut World) {
        let mut inner = self.lock();
        if inner.loopback.is_none() {
            return;
        }
        inner.listeners.retain(|key, _| world.spaces.contains_key(key));
        let mut moved = false;
        for (key, space) in &mut world.spaces {
            if inner.listeners.contains_key(key) {
                continue;
            }
            if let Ok(listener) = std::net::TcpListener::bind("127.0.0.1:0")
                && let Ok(address) = listener.local_addr()
            {
                space.address = address.to_string();
                inner.listeners.insert(key.clone(), listener);
                moved = true;
            }
        }
        drop(inner);
        if moved {
            world.touch();
        }
    }

    pub(crate) fn follow(&self, _world: &World) {}

    pub(crate) fn note_token(&self, _token: &str, _org_id: &str, _expires: Timestamp) {}

    pub(crate) fn ca(&self, _key: &str) -> Option<String> {
        None
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
