//! One clock for everything that reads the time or waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// A source of time that can be the wall clock, or a simulated one that tests and simulators drive.
///
/// Both run on tokio's timer: under a paused runtime a simulated clock moves only as far as the runtime does, so hours of
/// waiting pass in milliseconds and always in the same order. Clones share one clock.
///
/// ```
/// # use std::time::Duration;
/// let start = "2026-01-01T00:00:00Z".parse().unwrap();
/// let clock = kit::Clock::simulated(start, 1.0);
/// clock.advance(Duration::from_secs(60));
/// assert!(clock.now() >= "2026-01-01T00:01:00Z".parse().unwrap());
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System,
    Simulated(Simulated),
}

#[derive(Debug)]
struct Simulated {
    speed: f64,
    /// The point from which time is counted, moved by [`Clock::advance`] and [`Clock::set`].
    base: Mutex<Base>,
    /// Tells sleepers that the base moved.
    moved: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    real: Instant,
    shown: Timestamp,
}

impl Clock {
    /// The wall clock.
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock that shows `start` now and runs `speed` times as fast as the runtime's timer. A speed that is not a
    /// positive number counts as 1.
    pub fn simulated(start: Timestamp, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        let base = Mutex::new(Base {
            real: Instant::now(),
            shown: start,
        });
        Self(Arc::new(Source::Simulated(Simulated {
            speed,
            base,
            moved: watch::Sender::new(()),
        })))
    }

    /// The time it shows.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System => Timestamp::now(),
            Source::Simulated(sim) => sim.now(),
        }
    }

    /// Moves a simulated clock forward and wakes whoever's time has come. The wall clock does not move.
    pub fn advance(&self, by: Duration) {
        if let Source::Simulated(sim) = &*self.0 {
            let shown = saturating_add(sim.now(), by);
            sim.rebase(shown);
        }
    }

    /// Sets a simulated clock to `to`, forwards or backwards. The wall clock does not move.
    pub fn set(&self, to: Timestamp) {
        if let Source::Simulated(sim) = &*self.0 {
            sim.rebase(to);
        }
    }

    /// Waits until this clock has moved on by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        match &*self.0 {
            Source::System => tokio::time::sleep(duration).await,
            Source::Simulated(_) => self.sleep_until(saturating_add(self.now(), duration)).await,
        }
    }

    /// Waits until this clock shows `deadline`; returns at once when it is past.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match &*self.0 {
            Source::System => {
                let left = deadline.duration_since(Timestamp::now());
                tokio::time::sleep(left.try_into().unwrap_or(Duration::ZERO)).await;
            }
            Source::Simulated(sim) => sim.sleep_until(deadline).await,
        }
    }

    /// How much time has passed since `earlier`, zero when it is in the future.
    pub fn since(&self, earlier: Timestamp) -> Duration {
        self.now().duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
    }
}

impl Simulated {
    fn base(&self) -> Base {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let base = self.base();
        saturating_add(base.shown, base.real.elapsed().mul_f64(self.speed))
    }

    fn rebase(&self, shown: Timestamp) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Base {
            real: Instant::now(),
            shown,
        };
        self.moved.send_replace(());
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let mut moved = self.moved.subscribe();
        loop {
            let left: Duration = deadline.duration_since(self.now()).try_into().unwrap_or(Duration::ZERO);
            if left.is_zero() {
                return;
            }
            // A timer ticks in milliseconds: never wait for less than one, or a fast clock would spin.
            let real = left.div_f64(self.speed).max(Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(real) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

fn saturating_add(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn hours_pass_in_no_time_on_a_paused_runtime() {
        let clock = Clock::simulated(start(), 1.0);
        clock.sleep(Duration::from_hours(2)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T02:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_clock_sleeps_less() {
        let clock = Clock::simulated(start(), 60.0);
        let before = Instant::now();
        clock.sleep(Duration::from_mins(5)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn advance_wakes_sleepers() {
        let clock = Clock::simulated(start(), 1.0);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_hours(1)).await }
        });
        tokio::task::yield_now().await;
        let before = Instant::now();
        clock.advance(Duration::from_hours(1));
        sleeper.await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_speed_that_makes_no_sense_counts_as_one() {
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let clock = Clock::simulated(start(), speed);
            assert!(clock.now() < saturating_add(start(), Duration::from_secs(5)), "{speed}");
        }
    }
}
