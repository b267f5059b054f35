//! How the simulation behaves where the real service is slow, odd, or not known well enough.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_sim::seconds;
use serde::{Deserialize, Serialize};

/// All that can be set about a simulated PhoenixNAP. It is the `settings` part of the state, so everything here can be
/// changed while it runs, and holds for what has not happened yet. Durations are numbers of seconds in JSON; what is not
/// given has its default.
///
/// ```
/// let settings: phoenixnap_sim::Settings = serde_json::from_str(r#"{"block_move": 2, "unassigning": "stuck"}"#).unwrap();
/// assert_eq!(settings.block_move.as_secs(), 2);
/// assert_eq!(settings.missing_code, 403);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a token is good: 300 s.
    #[serde(with = "seconds")]
    pub token_lifetime: Duration,
    /// Whether unknown fields and a missing content type are refused: yes.
    pub strict: bool,
    /// What asking for a thing there is not, or of another account, is answered with: 403, or 404.
    pub missing_code: u16,

    /// From a server's creation to its being switched on: 120 s.
    #[serde(with = "seconds")]
    pub server_create: Duration,
    /// How long a server takes to reboot or to be reset: 20 s.
    #[serde(with = "seconds")]
    pub server_restart: Duration,
    /// How long a server takes to be deleted: 20 s.
    #[serde(with = "seconds")]
    pub server_delete: Duration,
    /// What becomes of a server being created.
    pub creating: Outcome,
    /// How many more servers there are in stock.
    pub stock: u32,

    /// How long a new IP block is `creating`; `null` is not at all.
    #[serde(with = "seconds::optional")]
    pub block_create: Option<Duration>,
    /// How long a block takes to be assigned or unassigned: 10 s.
    #[serde(with = "seconds")]
    pub block_move: Duration,
    /// What becomes of a block being assigned.
    pub assigning: Outcome,
    /// What becomes of a block being unassigned.
    pub unassigning: Outcome,
    /// Whether a block says what it is assigned to while it is still being assigned: no.
    pub resource_while_assigning: bool,
    /// What a block assigned to a public network says it is assigned to: `public network`, or `PUBLIC_NETWORK`.
    pub network_resource_type: String,
    /// What deleting a block that is not unassigned is answered with: 409, or 400, or 403.
    pub delete_assigned_code: u16,
    /// Whether a public network takes no further change while a block of it moves: no.
    pub busy_networks_refuse: bool,
    /// For how long a new block is missing from lists: not at all.
    #[serde(with = "seconds")]
    pub list_lag: Duration,
    /// Where the blocks of each location come from, as networks. They do not overlap.
    pub pools: BTreeMap<String, Vec<String>>,

    /// How several `tag` parameters of a list go together.
    pub tag_filter: TagFilter,
    /// Whether a tag that is in use may be deleted: no.
    pub delete_used_tags: bool,

    /// When given, whatever takes time ends after having been read this often, instead of after its time.
    pub polls: Option<u32>,
    /// Whether statuses are told in upper case, with underscores: no.
    pub shouting: bool,
    /// Whether every object has fields that nobody knows: no.
    pub extra_fields: bool,
    /// Whether empty lists are told as `null`: no.
    pub null_lists: bool,
    /// Fields that no object has.
    pub omitted: Vec<String>,
}

/// What becomes of something that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It comes about.
    #[default]
    Done,
    /// It ends in an error status.
    Error,
    /// It never ends.
    Stuck,
}

/// How several tags in a filter go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagFilter {
    /// A thing must have all of them.
    #[default]
    All,
    /// One is enough.
    Any,
    /// The filter has no effect.
    Ignored,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_mins(5),
            strict: true,
            missing_code: 403,
            server_create: Duration::from_mins(2),
            server_restart: Duration::from_secs(20),
            server_delete: Duration::from_secs(20),
            creating: Outcome::Done,
            stock: 10_000,
            block_create: None,
            block_move: Duration::from_secs(10),
            assigning: Outcome::Done,
            unassigning: Outcome::Done,
            resource_while_assigning: false,
            network_resource_type: "public network".to_owned(),
            delete_assigned_code: 409,
            busy_networks_refuse: false,
            list_lag: Duration::ZERO,
            pools: pools(),
            tag_filter: TagFilter::All,
            delete_used_tags: false,
            polls: None,
            shouting: false,
            extra_fields: false,
            null_lists: false,
            omitted: Vec::new(),
        }
    }
}

impl Settings {
    /// What about these settings makes no sense, if anything does.
    pub(crate) fn fault(&self) -> Option<String> {
        let codes = [
            ("missing_code", self.missing_code),
            ("delete_assigned_code", self.delete_assigned_code),
        ];
        for (name, code) in codes {
            if !(400..=599).contains(&code) {
                return Some(format!("settings.{name} must be an HTTP error status, not {code}"));
            }
        }
        let networks = self.pools.values().flatten();
        networks
            .filter(|text| crate::world::Pool::parse(text).is_none())
            .map(|text| format!("settings.pools has {text:?}, which is no network"))
            .next()
    }
}

/// A network for documentation and a part of the benchmarking range for each location, so that no address of a simulation
/// is anybody's.
fn pools() -> BTreeMap<String, Vec<String>> {
    let documentation = [
        ("ASH", "203.0.113.0/24"),
        ("PHX", "198.51.100.0/24"),
        ("SGP", "192.0.2.0/24"),
    ];
    let mut pools: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (location, network) in documentation {
        pools.entry(location.to_owned()).or_default().push(network.to_owned());
    }
    for (n, location) in crate::catalogue::LOCATIONS.iter().enumerate() {
        let network = format!("198.{}.{}.0/18", 18 + n / 4, n % 4 * 64);
        pools.entry((*location).to_owned()).or_default().push(network);
    }
    pools
}
