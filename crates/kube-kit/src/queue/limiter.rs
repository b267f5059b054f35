//! How long a failing key waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Exponential back-off per key and, on top, an optional bucket that all keys share. The longer wait counts.
///
/// Mirrors `DefaultTypedControllerRateLimiter` of client-go's `util/workqueue`.
#[derive(Debug)]
pub struct Limiter<K> {
    base: Duration,
    most: Duration,
    failures: HashMap<K, u32>,
    bucket: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    /// May be negative: that many were promised ahead of time.
    tokens: f64,
    at: Instant,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// `base` after the first failure, doubled with each further one up to `most`.
    pub fn exponential(base: Duration, most: Duration) -> Self {
        Self {
            base,
            most,
            failures: HashMap::new(),
            bucket: None,
        }
    }

    /// Adds a bucket shared by all keys: `burst` at once, then `per_second`.
    #[must_use]
    pub fn shared(mut self, per_second: f64, burst: u32) -> Self {
        self.bucket = Some(Bucket {
            per_second,
            burst: burst.into(),
            tokens: burst.into(),
            at: Instant::now(),
        });
        self
    }

    /// What client-go gives controllers by default: 5 ms doubling to 1000 s per key, 10 a second with bursts of 100 for
    /// all keys together.
    pub fn controller_default() -> Self {
        Self::exponential(Duration::from_millis(5), Duration::from_secs(1000)).shared(10.0, 100)
    }

    pub(super) fn next_delay(&mut self, key: &K) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let factor = 2f64.powi((*failures).min(1000) as i32);
        *failures += 1;
        // Compared as floats: the product soon leaves what a duration can hold.
        let own = if self.base.as_secs_f64() * factor >= self.most.as_secs_f64() {
            self.most
        } else {
            self.base.mul_f64(factor)
        };
        own.max(self.bucket.as_mut().map_or(Duration::ZERO, Bucket::reserve))
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).copied().unwrap_or(0)
    }
}

impl Bucket {
    fn reserve(&mut self) -> Duration {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + earned).min(self.burst) - 1.0;
        self.at = now;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.tokens / self.per_second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_twice_as_long_each_time_up_to_the_most_and_alone() {
        let mut limiter = Limiter::exponential(Duration::from_secs(5), Duration::from_mins(5));
        let delays: Vec<_> = (0..8).map(|_| limiter.next_delay(&"a").as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(limiter.next_delay(&"b"), Duration::from_secs(5));
        assert_eq!(limiter.failures(&"a"), 8);
        limiter.forget(&"a");
        assert_eq!(limiter.next_delay(&"a"), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_of_failures_do_not_overflow() {
        let mut limiter = Limiter::exponential(Duration::from_millis(5), Duration::from_secs(1000));
        let last = (0..5000).map(|_| limiter.next_delay(&"a")).last();
        assert_eq!(last, Some(Duration::from_secs(1000)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_shared_bucket_slows_all_keys_together() {
        let mut limiter = Limiter::controller_default();
        let slowest = (0..110).map(|key| limiter.next_delay(&key)).max().unwrap();
        assert_eq!(
            slowest,
            Duration::from_secs(1),
            "ten more than the burst at ten a second"
        );
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(limiter.next_delay(&999), Duration::from_millis(5));
    }
}
