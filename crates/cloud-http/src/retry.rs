//! When a call is repeated, and when not.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kit::{Backoff, Clock};

/// How often and how patiently calls are repeated. Whether a repeat is safe is decided by the call and its failure.
///
/// What a server answered with `Retry-After` is not asked again before, by no call of the client and its clones: one that
/// can wait so long does, another one fails at once as throttled.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Requests in all, the first included. Default 5; 0 counts as 1.
    pub attempts: u32,
    /// The first wait; later ones double. Default 500 ms, plus up to half of it at random.
    pub first: Duration,
    /// The longest wait of our own choice; a server's `Retry-After` may be longer. Default 20 s.
    pub most: Duration,
    /// No wait begins that would end later than this after the call began. Default 2 minutes.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(500),
            most: Duration::from_secs(20),
            budget: Duration::from_mins(2),
        }
    }
}

impl RetryPolicy {
    /// One attempt, no repeats.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    pub(crate) fn waits(&self) -> Backoff {
        Backoff::new(self.first, self.most).jitter(0.5)
    }
}

/// The `Retry-After` header in either of its forms. A date in the past, or more than a day ahead, is nonsense.
pub(crate) fn retry_after(headers: &HeaderMap, clock: &Clock) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_hours(24);
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let at: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let left: Duration = at.duration_since(clock.now()).try_into().ok()?;
    Some(left.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_forms_of_retry_after_are_read() {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        for (text, seconds) in [
            ("2", Some(2)),
            (" 120 ", Some(120)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", None),
            ("soon", None),
            ("-1", None),
            ("99999999", Some(86_400)),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(
                retry_after(&headers, &clock),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
