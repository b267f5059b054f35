//! Everything there is, as plain data that moves only when told the time: no task, no clock, no socket.

mod accounts;
mod blocks;
mod memberships;
mod networks;
mod pool;
mod servers;
mod state;
mod tags;
mod timeline;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use accounts::{ACCOUNT, CLIENT_ID, CLIENT_SECRET, OTHER_CLIENT_ID, OTHER_CLIENT_SECRET};
pub(crate) use accounts::{Client, Grant};
pub(crate) use blocks::Block;
pub(crate) use memberships::Reach;
pub(crate) use networks::{PrivateNetwork, PublicNetwork, block_id};
pub(crate) use pool::Pool;
pub(crate) use servers::{Action, Server};
pub(crate) use tags::{Assignment, Tag};

use crate::chance;
use crate::failure::Failure;
use crate::settings::Settings;

/// The whole simulated service. It is its own JSON form. Everything is kept by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) seed: u64,
    /// Up to when everything has happened.
    pub(crate) now: Timestamp,
    /// How many random numbers were drawn.
    pub(crate) drawn: u64,
    /// Who may log in, by client id.
    pub(crate) clients: BTreeMap<String, Client>,
    /// Tokens that were given, by their text.
    pub(crate) tokens: BTreeMap<String, Grant>,
    pub(crate) servers: BTreeMap<String, Server>,
    pub(crate) blocks: BTreeMap<String, Block>,
    pub(crate) tags: BTreeMap<String, Tag>,
    pub(crate) public_networks: BTreeMap<String, PublicNetwork>,
    pub(crate) private_networks: BTreeMap<String, PrivateNetwork>,
}

/// What something is on its way to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    /// The status it ends in; empty when it ends in being gone.
    pub(crate) to: String,
    /// When it ends, unless reading decides.
    #[serde(default)]
    pub(crate) due: Option<Timestamp>,
    /// After how many more reads it ends.
    #[serde(default)]
    pub(crate) polls: Option<u32>,
}

impl World {
    /// The first day: two accounts with nothing in them.
    pub(crate) fn new(seed: u64, settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            seed,
            now,
            drawn: 0,
            clients: accounts::clients(),
            tokens: BTreeMap::new(),
            servers: BTreeMap::new(),
            blocks: BTreeMap::new(),
            tags: BTreeMap::new(),
            public_networks: BTreeMap::new(),
            private_networks: BTreeMap::new(),
        }
    }

    /// What there is not, or is of another account: the service tells neither from the other.
    pub(crate) fn missing(&self) -> Failure {
        match self.settings.missing_code {
            403 => Failure::forbidden(),
            code => Failure::new(code, "The requested resource was not found."),
        }
    }

    /// A way to `to` that takes `time`, or a number of reads where the settings say so.
    fn on_the_way(&self, to: &str, time: Duration) -> Move {
        let polls = self.settings.polls;
        Move {
            to: to.to_owned(),
            due: polls.is_none().then(|| plus(self.now, time)),
            polls,
        }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        chance::mix(self.seed, self.drawn)
    }

    /// An id as the service makes them.
    pub(crate) fn draw_id(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!("{high:016x}{low:016x}").chars().take(24).collect()
    }
}

/// As the service writes times.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub(crate) fn plus(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// A required text among the fields of a body.
pub(crate) fn required<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(Value::String(_) | Value::Null) | None => Err(Failure::invalid(format!("{name} must not be empty"))),
        Some(_) => Err(Failure::invalid(format!("{name} must be a string"))),
    }
}

/// A text that may be missing from a body.
pub(crate) fn optional<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Failure> {
    match fields.get(name) {
        Some(Value::Null) | None => Ok(None),
        Some(_) => required(fields, name).map(Some),
    }
}

/// A truth value that may be missing from a body.
pub(crate) fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, Failure> {
    match fields.get(name) {
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(Failure::invalid(format!("{name} must be true or false"))),
    }
}

/// A description, which must not be too long.
fn description(fields: &Map<String, Value>) -> Result<Option<String>, Failure> {
    match fields.get("description") {
        Some(Value::String(text)) if text.chars().count() <= 250 => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(Failure::invalid("description must have at most 250 characters")),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(Failure::invalid("description must be a string")),
    }
}

/// A location there is.
fn location(fields: &Map<String, Value>) -> Result<String, Failure> {
    let text = required(fields, "location")?;
    if crate::catalogue::LOCATIONS.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(Failure::invalid(format!("location {text:?} is not known")))
    }
}

fn default_account() -> String {
    ACCOUNT.to_owned()
}

fn default_location() -> String {
    "ASH".to_owned()
}
