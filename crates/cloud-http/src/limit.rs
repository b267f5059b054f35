//! A token bucket on tokio's timer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets `burst` requests through at once and `per_second` on average. Clones share one bucket; waiters go in order.
#[derive(Clone, Debug)]
pub struct TokenBucket(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// May be negative: then waiters have been promised the tokens to come.
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket. Rates that are no positive number let everything through; a burst below 1 counts as 1.
    pub fn new(per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self(Arc::new(Bucket {
            per_second: if per_second.is_finite() && per_second > 0.0 {
                per_second
            } else {
                f64::INFINITY
            },
            burst,
            level: Mutex::new(Level {
                tokens: burst,
                at: Instant::now(),
            }),
        }))
    }

    /// Waits for a token.
    pub async fn take(&self) {
        let wait = self.reserve();
        if wait > Duration::from_secs(1) {
            tracing::debug!(?wait, "waiting for the client-side rate limit");
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self) -> Duration {
        let bucket = &*self.0;
        if bucket.per_second.is_infinite() {
            return Duration::ZERO;
        }
        let mut level = bucket.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill = now.duration_since(level.at).as_secs_f64() * bucket.per_second;
        level.tokens = (level.tokens + refill).min(bucket.burst) - 1.0;
        level.at = now;
        if level.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-level.tokens / bucket.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let bucket = TokenBucket::new(2.0, 3);
        let start = Instant::now();
        for _ in 0..3 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..4 {
            bucket.take().await;
        }
        assert!((1990..2010).contains(&start.elapsed().as_millis()));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_the_rate() {
        let bucket = TokenBucket::new(1.0, 1);
        let start = Instant::now();
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let bucket = bucket.clone();
                tokio::spawn(async move { bucket.take().await })
            })
            .collect();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert!((3990..4010).contains(&start.elapsed().as_millis()));
    }
}
