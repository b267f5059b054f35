//! How the simulation behaves where the real service is slow, odd, or not known well enough.

use std::time::Duration;

use cloud_sim::seconds;
use serde::{Deserialize, Serialize};

use crate::oddity::Oddity;

/// All that can be set about a simulated Equinix Metal. It is the `settings` part of the state, so everything here can be
/// changed while it runs, and holds for what has not happened yet. Durations are numbers of seconds in JSON; what is not
/// given has its default.
///
/// ```
/// let settings: equinix_metal_sim::Settings = serde_json::from_str(r#"{"bgp_up": 30, "page_limit": 10}"#).unwrap();
/// assert_eq!(settings.bgp_up.as_secs(), 30);
/// assert_eq!(settings.provisioning.as_secs(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a new device is `queued`: 2 s.
    #[serde(with = "seconds")]
    pub queued: Duration,
    /// How long it is then `provisioning`: 8 s.
    #[serde(with = "seconds")]
    pub provisioning: Duration,
    /// How many times slower than that provisioning is: 1.
    pub provisioning_factor: f64,
    /// How long switching a device on or off takes: 3 s each.
    #[serde(with = "seconds")]
    pub power: Duration,
    /// How long reinstalling takes: 10 s.
    #[serde(with = "seconds")]
    pub reinstall: Duration,
    /// How long a deleted device is `deprovisioning`, still to be seen: 5 s.
    #[serde(with = "seconds")]
    pub deprovision: Duration,
    /// How many of the next new devices fail while they are provisioned.
    pub failing: u32,
    /// How long a device that failed can be seen as `failed`: 5 s.
    #[serde(with = "seconds")]
    pub failed_visible: Duration,
    /// What asking for a device that failed and is gone is answered with.
    pub gone: Gone,

    /// How many entries a page has at most, whatever the client asks for.
    pub page_limit: Option<usize>,
    /// How far lists are behind what was written: not at all.
    #[serde(with = "seconds")]
    pub list_lag: Duration,
    /// What asking for a device or address of somebody else's project is answered with.
    pub foreign: Foreign,

    /// Whether a reservation some of whose addresses are assigned cannot be released.
    pub strict_release: bool,
    /// Whether one address of a `global_ipv4` reservation may be assigned to several devices.
    pub shared_global: bool,

    /// From the creation of a BGP session until it is up: 3 s.
    #[serde(with = "seconds")]
    pub bgp_up: Duration,
    /// Whether an empty BGP password is refused, too.
    pub strict_md5: bool,
    /// Whether a neighbour's peers come in descending order.
    pub shuffled_peers: bool,

    /// From the creation of a load balancer until it has addresses: 5 s.
    #[serde(with = "seconds")]
    pub balancer_addresses: Duration,
    /// How long an exchanged token is good: an hour.
    #[serde(with = "seconds")]
    pub token_ttl: Duration,
    /// The HTTP status of a second port with the same number: 409, or 422.
    pub duplicate_port: u16,

    /// How many requests a key may make in how much time; any number when not given.
    pub rate_limit: Option<RateLimit>,
    /// Whether every answer says that the API is deprecated and when it ends.
    pub deprecated: bool,
    /// What is wrong with answers that are right otherwise.
    pub oddities: Vec<Oddity>,
}

/// A number of requests in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub limit: u32,
    /// In how much time.
    #[serde(with = "seconds")]
    pub window: Duration,
}

/// What a device that failed and was taken away is answered with: both occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// 403, as if it were somebody else's.
    #[default]
    Forbidden,
    /// 404.
    NotFound,
}

/// What things of somebody else's project are answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// 403: they are there and not yours.
    #[default]
    Forbidden,
    /// 404, as if they were not there.
    NotFound,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queued: Duration::from_secs(2),
            provisioning: Duration::from_secs(8),
            provisioning_factor: 1.0,
            power: Duration::from_secs(3),
            reinstall: Duration::from_secs(10),
            deprovision: Duration::from_secs(5),
            failing: 0,
            failed_visible: Duration::from_secs(5),
            gone: Gone::default(),
            page_limit: None,
            list_lag: Duration::ZERO,
            foreign: Foreign::default(),
            strict_release: true,
            shared_global: false,
            bgp_up: Duration::from_secs(3),
            strict_md5: false,
            shuffled_peers: false,
            balancer_addresses: Duration::from_secs(5),
            token_ttl: Duration::from_hours(1),
            duplicate_port: 409,
            rate_limit: None,
            deprecated: false,
            oddities: Vec::new(),
        }
    }
}

impl Settings {
    /// What makes no sense about them.
    pub(crate) fn fault(&self) -> Option<String> {
        if !(0.0..=1e6).contains(&self.provisioning_factor) {
            return Some("settings.provisioning_factor must be between 0 and a million".to_owned());
        }
        if self.page_limit == Some(0) {
            return Some("settings.page_limit must be at least 1".to_owned());
        }
        if !matches!(self.duplicate_port, 409 | 422) {
            return Some("settings.duplicate_port must be 409 or 422".to_owned());
        }
        if self.rate_limit.is_some_and(|rate| rate.window.is_zero()) {
            return Some("settings.rate_limit.window must not be 0".to_owned());
        }
        self.oddities.iter().find_map(Oddity::fault)
    }
}
