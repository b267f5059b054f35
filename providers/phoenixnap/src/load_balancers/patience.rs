//! How long Services have been waiting: what takes long is asked about less often, and told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloud_provider::CloudError;
use jiff::Timestamp;
use kit::Clock;

/// How long a Service may wait before somebody should look. The API itself gives up on nothing.
const PATIENCE: Duration = Duration::from_mins(15);
/// How seldom something is asked about that has been under way for long.
const SELDOM: Duration = Duration::from_mins(1);
/// What share of the time that it took so far may pass before it is asked about again.
const SHARE: u32 = 10;

/// Since when Services have been waiting, by Service.
#[derive(Default)]
pub(super) struct Patience(Mutex<BTreeMap<String, Wait>>);

#[derive(Clone, Copy)]
struct Wait {
    began: Timestamp,
    told: Timestamp,
}

impl Patience {
    /// Takes note of what came of an attempt. What is under way comes back with the time it may take by now; beside it is
    /// what is to be told, if the wait has been long.
    pub fn wait<T>(
        &self,
        service: &str,
        result: Result<T, CloudError>,
        clock: &Clock,
    ) -> (Result<T, CloudError>, Option<String>) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(CloudError::Pending { message, after }) = result else {
            // One that the cloud wants to be left alone with waits on.
            if !result.as_ref().is_err_and(|error| error.after().is_some()) {
                waits.remove(service);
            }
            return (result, None);
        };
        let now = clock.now();
        let wait = waits
            .entry(service.to_owned())
            .or_insert(Wait { began: now, told: now });
        let mut told = None;
        if clock.since(wait.told) >= PATIENCE {
            wait.told = now;
            told = Some(format!(
                "still waiting: {message}; look at it in the portal if this goes on"
            ));
        }
        let after = after.max((clock.since(wait.began) / SHARE).min(SELDOM));
        (Err(CloudError::Pending { message, after }), told)
    }
}

#[cfg(test)]
mod tests {
    use kit::Class;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_asked_about_less_often_and_told_every_quarter_of_an_hour() {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let patience = Patience::default();
        let look = || {
            let pending: Result<(), _> = Err(CloudError::pending("it moves", Duration::from_secs(5)));
            let (result, told) = patience.wait("web", pending, &clock);
            (result.unwrap_err().after().unwrap().as_secs(), told.is_some())
        };
        assert_eq!(look(), (5, false));
        for (seconds, expected) in [
            (40, (5, false)),
            (80, (12, false)),
            (780, (60, true)),
            (600, (60, false)),
        ] {
            clock.advance(Duration::from_secs(seconds));
            assert_eq!(look(), expected, "{seconds}");
        }
        let after = Some(Duration::from_mins(2));
        let alone: Result<(), _> = Err(CloudError::new(Class::Throttled { after }, "busy"));
        assert_eq!(patience.wait("web", alone, &clock).0.unwrap_err().after(), after);
        assert_eq!(look(), (60, false), "it has been waiting all the time");
        patience.wait("web", Ok(()), &clock).0.unwrap();
        assert_eq!(look(), (5, false));
    }
}
