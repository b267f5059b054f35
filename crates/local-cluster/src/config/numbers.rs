//! Numbers of a configuration, with words for those that are none.

use serde::{Deserialize as _, Deserializer, de};
use serde_json::Value;

/// A port. Zero is refused later, where its field has a name.
pub(super) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    number(from, "no port: ports are numbers from 1 to 65535")
}

/// How many of something.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    number(from, "no number of something")
}

fn number<'de, D: Deserializer<'de>, N: TryFrom<u64>>(from: D, what: &str) -> Result<Option<N>, D::Error> {
    let value = Value::deserialize(from)?;
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number
        .map(Some)
        .ok_or_else(|| de::Error::custom(format!("{value} is {what}")))
}
