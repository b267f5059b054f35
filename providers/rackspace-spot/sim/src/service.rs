//! The world with a clock, behind one lock, and what it moves outside: API servers and webhooks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_sim::{BadState, Cloud};
use jiff::Timestamp;
use kit::Clock;
use serde_json::Value;

use crate::clusters::Clusters;
use crate::settings::Settings;
use crate::token::Signer;
use crate::webhook::Webhooks;
use crate::world::World;

/// What all handlers share.
pub(crate) struct Service {
    pub(crate) signer: Signer,
    pub(crate) clusters: Clusters,
    clock: Clock,
    seed: u64,
    /// The settings of the first day.
    settings: Settings,
    world: Mutex<World>,
    webhooks: Webhooks,
    /// Whether this is a copy that time and writes leave alone.
    frozen: bool,
}

impl Service {
    pub(crate) fn new(clock: Clock, seed: u64, settings: Settings) -> Self {
        let world = World::new(seed, settings.clone(), clock.now());
        Self {
            signer: Signer::new(seed),
            clusters: Clusters::new(clock.clone(), seed),
            clock,
            seed,
            settings,
            world: Mutex::new(world),
            webhooks: Webhooks::default(),
            frozen: false,
        }
    }

    /// Does something with the world as it is at this moment, and lets the outside follow.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.lock();
        if self.frozen {
            return act(&mut world);
        }
        world.settle(self.clock.now());
        let result = act(&mut world);
        self.follow(&mut world);
        result
    }

    fn follow(&self, world: &mut World) {
        self.clusters.give_addresses(world);
        self.clusters.follow(world);
        self.webhooks.follow(world);
    }

    /// Remembers an id token, so that the organization's API servers take it.
    pub(crate) fn note_token(&self, token: &str, namespace: &str, expires: Timestamp) {
        if !self.frozen {
            self.clusters.note_token(token, namespace, expires);
        }
    }

    /// The CA of a cloudspace's API server, in PEM.
    pub(crate) fn ca(&self, key: &str) -> Option<String> {
        self.clusters.ca(key)
    }

    fn first_day(&self) -> World {
        World::new(self.seed, self.settings.clone(), self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the present state that stays as it is.
    pub(crate) fn freeze(&self) -> Self {
        let world = self.with(|world| world.clone());
        Self {
            signer: Signer::new(self.seed),
            clusters: Clusters::new(self.clock.clone(), self.seed),
            clock: self.clock.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            world: Mutex::new(world),
            webhooks: Webhooks::default(),
            frozen: true,
        }
    }

    fn put(&self, new: World) {
        let mut world = self.lock();
        *world = new;
        self.clusters.restart();
        self.webhooks.restart(&world);
        self.follow(&mut world);
    }
}

impl Cloud for Service {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn state(&self) -> Value {
        self.with(|world| cloud_sim::state::to_json(world))
    }

    fn replace(&self, state: Value) -> Result<(), BadState> {
        self.put(World::from_json(state, &self.first_day())?);
        Ok(())
    }

    fn reset(&self) {
        self.put(self.first_day());
    }

    fn frozen(&self) -> Option<axum::Router> {
        Some(crate::api::router(std::sync::Arc::new(self.freeze())))
    }
}
