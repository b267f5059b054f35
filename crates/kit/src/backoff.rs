//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with a ceiling and, where many callers could fall into step, jitter.
///
/// An endless iterator: the caller decides when to give up.
///
/// ```
/// # use std::time::Duration;
/// let waits: Vec<_> = kit::Backoff::new(Duration::from_secs(1), Duration::from_secs(5)).take(4).collect();
/// assert_eq!(waits, [1, 2, 4, 5].map(Duration::from_secs));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    factor: f64,
    most: Duration,
    jitter: f64,
}

impl Backoff {
    /// Starts at `first`, doubles up to `most`, no jitter.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            next: first.min(most),
            factor: 2.0,
            most,
            jitter: 0.0,
        }
    }

    /// Multiplies by `factor` instead of 2. Values below 1 count as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Adds up to `share` of each wait at random (0.2 gives waits from 1.0 to 1.2 times the plain ones).
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share.max(0.0);
        self
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = wait.mul_f64(self.factor).min(self.most);
        Some(wait + wait.mul_f64(self.jitter * fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_adds_and_only_its_share() {
        for wait in Backoff::new(Duration::from_secs(10), Duration::from_secs(10))
            .jitter(0.5)
            .take(200)
        {
            assert!((10.0..=15.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }

    #[test]
    fn the_ceiling_holds_from_the_start() {
        let mut waits = Backoff::new(Duration::from_secs(9), Duration::from_secs(3));
        assert_eq!(waits.next(), Some(Duration::from_secs(3)));
    }
}
