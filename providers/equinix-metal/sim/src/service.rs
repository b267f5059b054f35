//! The world with a clock, behind one lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloud_sim::{BadState, Cloud};
use jiff::Timestamp;
use kit::Clock;
use serde_json::Value;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::world::{World, later};

/// What all handlers share.
pub(crate) struct Service {
    clock: Clock,
    seed: u64,
    /// The settings of the first day.
    settings: Settings,
    inner: Mutex<Inner>,
    /// Whether this is a copy that time leaves alone.
    frozen: bool,
}

struct Inner {
    world: World,
    /// What there was before each of the last writes, and when they were: what lists show that are behind.
    before: VecDeque<(Timestamp, World)>,
    /// Requests of each key: when its window began, and how many there were.
    asked: BTreeMap<String, (Timestamp, u32)>,
    /// How many requests there were.
    requests: u64,
}

/// How much a key may still ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// When the window ends, in Unix seconds.
    pub(crate) reset: i64,
}

/// The limit that headers tell when none is set.
const UNLIMITED: u32 = 5000;

impl Service {
    pub(crate) fn new(clock: Clock, seed: u64, settings: Settings) -> Self {
        let world = World::new(seed, settings.clone(), clock.now());
        Self {
            clock,
            seed,
            settings,
            inner: Mutex::new(Inner::of(world)),
            frozen: false,
        }
    }

    /// Does something with the world as it is at this moment.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut inner = self.lock();
        if !self.frozen {
            inner.world.settle(self.clock.now());
        }
        act(&mut inner.world)
    }

    /// As [`Service::with`], for what lists show: the world as it was a while ago, if lists are behind.
    pub(crate) fn with_lists<R>(&self, act: impl FnOnce(&World) -> R) -> R {
        let mut inner = self.lock();
        let Inner { world, before, .. } = &mut *inner;
        if self.frozen {
            return act(world);
        }
        let now = self.clock.now();
        world.settle(now);
        let lag = world.settings.list_lag;
        // The first write that lists do not show yet.
        match before.iter_mut().find(|(at, _)| later(*at, lag) > now) {
            Some((_, before)) if !lag.is_zero() => {
                before.settle(now);
                act(before)
            }
            _ => act(world),
        }
    }

    /// As [`Service::with`], for writes: what fails changes nothing.
    pub(crate) fn write<R>(&self, act: impl FnOnce(&mut World) -> Result<R, Failure>) -> Result<R, Failure> {
        let mut inner = self.lock();
        let now = self.clock.now();
        if !self.frozen {
            inner.world.settle(now);
        }
        let before = inner.world.clone();
        let result = act(&mut inner.world);
        if result.is_err() {
            inner.world = before;
            return result;
        }
        let lag = inner.world.settings.list_lag;
        if !lag.is_zero() {
            inner.before.retain(|(at, _)| later(*at, lag) > now);
            inner.before.push_back((now, before));
        }
        result
    }

    /// Counts a request of a key. The error is that it asks too much.
    pub(crate) fn count(&self, key: &str) -> (Rate, Result<(), Failure>) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.requests += 1;
        let Some(rate) = inner.world.settings.rate_limit else {
            let rate = Rate {
                limit: UNLIMITED,
                remaining: UNLIMITED,
                reset: now.as_second() + 3600,
            };
            return (rate, Ok(()));
        };
        let (since, count) = inner.asked.entry(key.to_owned()).or_insert((now, 0));
        if later(*since, rate.window) <= now {
            (*since, *count) = (now, 0);
        }
        let ends = later(*since, rate.window);
        let shown = |count: u32| Rate {
            limit: rate.limit,
            remaining: rate.limit.saturating_sub(count),
            // Rounded up, so that who waits until then does not come too early.
            reset: ends.as_second() + i64::from(ends.subsec_nanosecond() > 0),
        };
        if *count >= rate.limit {
            let wait = ends.duration_since(now).as_secs_f64().ceil().max(1.0);
            return (shown(*count), Err(Failure::throttled(wait as u64)));
        }
        *count += 1;
        (shown(*count), Ok(()))
    }

    /// The number of the latest request.
    pub(crate) fn requests(&self) -> u64 {
        self.lock().requests
    }

    fn first_day(&self) -> World {
        World::new(self.seed, self.settings.clone(), self.clock.now())
    }

    fn put(&self, world: World) {
        *self.lock() = Inner::of(world);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(world: World) -> Self {
        Self {
            world,
            before: VecDeque::new(),
            asked: BTreeMap::new(),
            requests: 0,
        }
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
        let frozen = Self {
            clock: self.clock.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            inner: Mutex::new(Inner::of(self.with(|world| world.clone()))),
            frozen: true,
        };
        Some(crate::api::router(Arc::new(frozen)))
    }
}
