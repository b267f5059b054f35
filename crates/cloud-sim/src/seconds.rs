//! Durations as numbers of seconds, for the settings of simulated clouds.
//!
//! ```
//! use std::time::Duration;
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Settings {
//!     #[serde(with = "cloud_sim::seconds")]
//!     delay: Duration,
//!     #[serde(with = "cloud_sim::seconds::optional")]
//!     lag: Option<Duration>,
//! }
//! let settings: Settings = serde_json::from_str(r#"{"delay": 1.5, "lag": null}"#).unwrap();
//! assert_eq!((settings.delay.as_millis(), settings.lag), (1500, None));
//! assert!(serde_json::from_str::<Settings>(r#"{"delay": -1, "lag": 2}"#).is_err());
//! ```

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// A hundred years; beyond it arithmetic with times of day ends.
const LONGEST: f64 = 100.0 * 365.25 * 86_400.0;

/// Writes a duration, whole seconds as a whole number.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if duration.subsec_nanos() == 0 {
        serializer.serialize_u64(duration.as_secs())
    } else {
        serializer.serialize_f64(duration.as_secs_f64())
    }
}

/// Reads a duration of up to a hundred years.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(f64::deserialize(deserializer)?)
}

fn duration<E: Error>(seconds: f64) -> Result<Duration, E> {
    if (0.0..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(E::custom(format_args!(
            "{seconds} is not a number of seconds between 0 and a hundred years"
        )))
    }
}

/// The same for durations that may be missing, told as `null`.
pub mod optional {
    use super::{Deserialize, Deserializer, Duration, Serializer, duration};

    /// Writes a duration, or `null`.
    #[allow(clippy::ref_option, reason = "serde gives the field by reference")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a duration of up to a hundred years, or `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(deserializer)?.map(duration).transpose()
    }
}
