//! How the simulation behaves where the real service is slow, odd, or not known well enough.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_sim::seconds;
use serde::{Deserialize, Serialize};

/// All that can be set about a simulated Rackspace Spot. It is the `settings` part of the state, so everything here can be
/// changed while it runs, and holds for what has not happened yet. Durations are numbers of seconds in JSON; what is not
/// given has its default.
///
/// ```
/// let settings: rackspace_spot_sim::Settings = serde_json::from_str(r#"{"cp_delay": 5, "auto_label": false}"#).unwrap();
/// assert_eq!(settings.cp_delay.as_secs(), 5);
/// assert_eq!(settings.auction_period.as_secs(), 30);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From a cloudspace's creation to its API server's start: 90 s.
    #[serde(with = "seconds")]
    pub cp_delay: Duration,
    /// How long a cloudspace without pools must have been up to be `Ready`: 10 s.
    #[serde(with = "seconds")]
    pub no_pool_ready: Duration,
    /// From the last pool's end to the end of the cloudspace being deleted: 60 s.
    #[serde(with = "seconds")]
    pub delete_delay: Duration,
    /// From a pool's deletion to its end: 5 s.
    #[serde(with = "seconds")]
    pub pool_delete_delay: Duration,
    /// Between auctions: 30 s.
    #[serde(with = "seconds")]
    pub auction_period: Duration,
    /// From a change of an on-demand pool to its reservation: 20 s.
    #[serde(with = "seconds")]
    pub od_delay: Duration,
    /// How long an upgrade takes: 120 s.
    #[serde(with = "seconds")]
    pub upgrade_delay: Duration,
    /// From the notice of a preemption to the server's end: 360 s.
    #[serde(with = "seconds")]
    pub preemption_notice: Duration,
    /// From a server being won to its node being ready: 30 s.
    #[serde(with = "seconds")]
    pub node_boot_delay: Duration,
    /// From the creation of a service account's token Secret to its token; `null` is never. Holds for clusters that start
    /// later. 1 s.
    #[serde(with = "seconds::optional")]
    pub sa_token_delay: Option<Duration>,
    /// For how long a new object cannot be read yet: none.
    #[serde(with = "seconds")]
    pub read_lag: Duration,
    /// How long an id token is good: one day.
    #[serde(with = "seconds")]
    pub id_token_ttl: Duration,

    /// Whether id tokens say whose they are (claim `sub`).
    pub named_users: bool,
    /// Whether a login gives a new refresh token and ends the old one.
    pub rotate_refresh_tokens: bool,
    /// What a login with a revoked or unknown refresh token is told.
    pub revoked_answer: RevokedAnswer,
    /// How many organizations a page of the list has, at most: 100.
    pub org_page_size: usize,
    /// What the list of organizations says is next.
    pub org_next: OrgNext,
    /// How many objects a page of any other list has at most, even when the client sets no limit.
    pub list_page_size: Option<usize>,

    /// Whether pools get the label of their cloudspace from the server.
    pub auto_label: bool,
    /// Whether deleting a cloudspace deletes its pools.
    pub cascade: bool,
    /// Objects that are deleted never go away.
    pub stuck_finalizers: bool,
    /// What an accepted deletion is answered with.
    pub delete_answer: DeleteAnswer,
    /// Whether an autoscaling pool that is being deleted still counts as the one a cloudspace may have.
    pub count_deleting_autoscalers: bool,
    /// Which bids are allowed.
    pub ladder: Ladder,
    /// The HTTP status of a webhook's refusal: 403, or 400.
    pub denial_code: u16,
    /// The HTTP status of the refusal for want of billing: 403.
    pub billing_code: u16,
    /// Whether a pool may want no servers.
    pub desired_zero: bool,
    /// Whether `spec.gpuEnabled` is kept; the published schema does not have it.
    pub gpu_enabled: bool,
    /// The Kubernetes versions on offer.
    pub versions: Vec<String>,
    /// How a cloudspace's status writes the version that runs.
    pub version_form: VersionForm,
    /// Whether upgrades end in the phase `Failed` instead of the new version.
    pub upgrades_fail: bool,

    /// The word for the phase in which no bid wins.
    pub no_winning_bids_phase: String,
    /// A while in the phase `Error`, for every cloudspace.
    pub error_phase: Option<ErrorPhase>,
    /// What `status.reason` says while a cloudspace is provisioned.
    pub provisioning_reason: String,

    /// Market prices that are not left to chance, by server class; `*` is every class.
    pub market: BTreeMap<String, Market>,
    /// How many nodes a cloudspace's work needs, by its name: what its autoscaling pool follows between its bounds.
    pub load: BTreeMap<String, u32>,

    /// What is wrong with generated kubeconfigs.
    pub kubeconfig: KubeconfigShape,
    /// The HTTP status of asking for a kubeconfig too early: 400, or 404.
    pub kubeconfig_early_code: u16,
    /// Whether API servers on loopback show a certificate of a public authority, and not of the CA that their service
    /// accounts are told. Holds for clusters that start later.
    pub public_certificates: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cp_delay: Duration::from_secs(90),
            no_pool_ready: Duration::from_secs(10),
            delete_delay: Duration::from_mins(1),
            pool_delete_delay: Duration::from_secs(5),
            auction_period: Duration::from_secs(30),
            od_delay: Duration::from_secs(20),
            upgrade_delay: Duration::from_mins(2),
            preemption_notice: Duration::from_mins(6),
            node_boot_delay: Duration::from_secs(30),
            sa_token_delay: Some(Duration::from_secs(1)),
            read_lag: Duration::ZERO,
            id_token_ttl: Duration::from_hours(24),
            named_users: true,
            rotate_refresh_tokens: false,
            revoked_answer: RevokedAnswer::default(),
            org_page_size: 100,
            org_next: OrgNext::default(),
            list_page_size: None,
            auto_label: true,
            cascade: true,
            stuck_finalizers: false,
            delete_answer: DeleteAnswer::default(),
            count_deleting_autoscalers: false,
            ladder: Ladder::default(),
            denial_code: 403,
            billing_code: 403,
            desired_zero: true,
            gpu_enabled: false,
            versions: ["1.33.0", "1.32.9", "1.31.1", "1.30.10", "1.29.6"]
                .map(str::to_owned)
                .to_vec(),
            version_form: VersionForm::default(),
            upgrades_fail: false,
            no_winning_bids_phase: "NoWinningBids".to_owned(),
            error_phase: None,
            provisioning_reason: String::new(),
            market: BTreeMap::new(),
            load: BTreeMap::new(),
            kubeconfig: KubeconfigShape::default(),
            kubeconfig_early_code: 400,
            public_certificates: false,
        }
    }
}

impl Settings {
    /// What makes no sense about them.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.auction_period < Duration::from_secs(1) {
            return Some("settings.auction_period must be at least 1 second".to_owned());
        }
        if self.org_page_size == 0 || self.list_page_size == Some(0) {
            return Some("a page of a list must have at least one entry".to_owned());
        }
        for (name, code) in [
            ("denial_code", self.denial_code),
            ("billing_code", self.billing_code),
            ("kubeconfig_early_code", self.kubeconfig_early_code),
        ] {
            if !(400..=599).contains(&code) {
                return Some(format!("settings.{name} must be between 400 and 599, not {code}"));
            }
        }
        let bad = self
            .market
            .iter()
            .find(|(_, market)| market.prices().any(|p| crate::market::thousandths(p).is_none()));
        bad.map(|(class, _)| format!("settings.market has a price for {class} that is none"))
    }
}

/// What a login with a bad refresh token is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedAnswer {
    /// 401 `access_denied`, as documented.
    #[default]
    AccessDenied,
    /// 403 `invalid_grant`, as the login service commonly does.
    InvalidGrant,
}

/// What the list of organizations says is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrgNext {
    /// Where the next page starts, to be given back as `start`, `from` or `next`.
    #[default]
    Token,
    /// The path and query of the next page.
    Url,
}

/// What an accepted deletion is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteAnswer {
    /// 200 with a `Status`.
    #[default]
    Status,
    /// 200 with the object as it is now.
    Object,
    /// 202 without a body.
    Empty,
}

/// Which bids are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ladder {
    /// The rungs of July 2026: whole cents, further apart the higher they are.
    #[default]
    July2026,
    /// Any price with up to three decimals.
    ThreeDecimals,
    /// Anything the schema takes.
    Off,
}

/// A while in the phase `Error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPhase {
    /// When it begins, after the cloudspace's creation.
    #[serde(with = "seconds")]
    pub after: Duration,
    /// How long it lasts; for ever when not given.
    #[serde(default, with = "seconds::optional")]
    pub lasts: Option<Duration>,
    /// What `status.reason` says.
    #[serde(default)]
    pub reason: String,
}

/// The market price of a server class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Market {
    /// Always this price, such as `"0.02"`.
    Fixed(String),
    /// Prices that begin at certain times; before the first one the price is that of chance.
    Schedule(Vec<PricePoint>),
}

impl Market {
    fn prices(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::Fixed(price) => (Some(price.as_str()), &[][..]),
            Self::Schedule(points) => (None, points.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|point| point.price.as_str()))
    }
}

/// A price from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricePoint {
    /// Seconds after the simulation's start.
    #[serde(with = "seconds")]
    pub after: Duration,
    /// The price, such as `"0.02"`.
    pub price: String,
}

/// How a version is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionForm {
    /// `1.33.0`, as it is asked for.
    #[default]
    Plain,
    /// `v1.33.0`.
    WithV,
    /// `1.33.0+rackspace.1`.
    WithBuild,
}

impl VersionForm {
    /// A plain version in this form.
    pub(crate) fn write(self, version: &str) -> String {
        match self {
            Self::Plain => version.to_owned(),
            Self::WithV => format!("v{version}"),
            Self::WithBuild => format!("{version}+rackspace.1"),
        }
    }

    /// The plain version in a text of any form.
    pub(crate) fn plain(text: &str) -> &str {
        let text = text.strip_prefix('v').unwrap_or(text);
        text.split_once('+').map_or(text, |(version, _)| version)
    }
}

/// What is wrong with generated kubeconfigs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KubeconfigShape {
    /// Nothing: no CA, and the certificate is not to be checked, as the service does it.
    #[default]
    Normal,
    /// It has the cluster's CA.
    WithCa,
    /// It is the empty text, with status 200.
    Empty,
    /// It names no current context.
    NoCurrentContext,
    /// Its current context does not exist.
    DanglingContext,
    /// Its context names a cluster that does not exist.
    DanglingCluster,
}
