//! The world with a clock, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloud_sim::{BadState, Cloud};
use kit::Clock;
use serde_json::Value;

use crate::settings::Settings;
use crate::world::World;

/// What all handlers share.
pub(crate) struct Service {
    clock: Clock,
    seed: u64,
    /// The settings of the first day.
    settings: Settings,
    world: Mutex<World>,
    /// Whether this is a copy that time leaves alone.
    frozen: bool,
}

impl Service {
    pub(crate) fn new(clock: Clock, seed: u64, settings: Settings) -> Self {
        let world = World::new(seed, settings.clone(), clock.now());
        Self {
            clock,
            seed,
            settings,
            world: Mutex::new(world),
            frozen: false,
        }
    }

    /// Does something with the world as it is at this moment.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.lock();
        if !self.frozen {
            world.settle(self.clock.now());
        }
        act(&mut world)
    }

    fn first_day(&self) -> World {
        World::new(self.seed, self.settings.clone(), self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
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
        let new = World::from_json(state, &self.first_day())?;
        *self.lock() = new;
        Ok(())
    }

    fn reset(&self) {
        *self.lock() = self.first_day();
    }

    fn frozen(&self) -> Option<axum::Router> {
        let frozen = Self {
            clock: self.clock.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            world: Mutex::new(self.with(|world| world.clone())),
            frozen: true,
        };
        Some(crate::api::router(Arc::new(frozen)))
    }
}
