//! What the command line asks for, as values that go together.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use kube_kit::LeaseConfig;

use super::flags::Parsed;
use super::migration::{Migration, MigrationError};
use crate::controllers::lifecycle::{GuardOptions, LifecycleOptions};
use crate::controllers::node::NodeOptions;
use crate::controllers::route::RouteOptions;
use crate::controllers::service::ServiceOptions;
use crate::helpers::Cidr;
use crate::names::{CONTROLLERS, ROUTE_CONTROLLER};

mod configz;

/// How many nodes are written at a time unless a flag says otherwise. Upstream's default of one is for the sake of the
/// cloud, which is asked about all nodes at once here.
const NODE_SYNCS: usize = 16;
/// No period is shorter, whatever is asked for: a cloud is not asked without a pause.
const SHORTEST: Duration = Duration::from_millis(100);

/// The feature gates there are and their defaults.
const GATES: [(&str, bool); 6] = [
    ("CloudControllerManagerWatchBasedRoutesReconciliation", true),
    ("CloudControllerManagerWebhook", false),
    ("ControllerManagerReleaseLeaderElectionLockOnExit", true),
    ("LoggingAlphaOptions", false),
    ("LoggingBetaOptions", true),
    ("ContextualLogging", true),
];

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) parsed: Parsed,
    pub(crate) cloud: String,
    pub(crate) cloud_config: Option<PathBuf>,
    pub(crate) cluster: String,
    pub(crate) controllers: Vec<String>,
    pub(crate) election: Option<LeaseConfig>,
    pub(crate) lease: (String, String),
    pub(crate) migration: Option<Migration>,
    pub(crate) node: NodeOptions,
    pub(crate) lifecycle: LifecycleOptions,
    pub(crate) service: ServiceOptions,
    pub(crate) route: Option<RouteOptions>,
    pub(crate) bind: Option<(IpAddr, u16)>,
    pub(crate) grace: Duration,
}

/// What does not go together. Told all at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(.0))]
pub struct OptionsError(pub Vec<String>);

fn told(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl Options {
    /// Checks a command line. `identity` is who this process is in elections.
    pub fn new(parsed: Parsed, identity: &str) -> Result<Self, OptionsError> {
        let mut errors = Vec::new();
        let cloud = parsed.text("cloud-provider");
        if cloud.is_empty() {
            errors.push("--cloud-provider cannot be empty".to_owned());
        }
        let controllers = parsed.list("controllers");
        errors.extend(controllers.iter().filter_map(|name| unknown_controller(name)));
        let lease = (
            parsed.text("leader-elect-resource-namespace"),
            parsed.text("leader-elect-resource-name"),
        );
        let election = parsed.bool("leader-elect").then(|| LeaseConfig {
            namespace: lease.0.clone(),
            lease_duration: parsed.duration("leader-elect-lease-duration"),
            renew_deadline: parsed.duration("leader-elect-renew-deadline"),
            retry_period: parsed.duration("leader-elect-retry-period"),
            ..LeaseConfig::new(lease.1.clone(), identity)
        });
        if let Some(config) = &election {
            if parsed.text("leader-elect-resource-lock") != "leases" {
                errors.push("resourceLock value must be \"leases\"".to_owned());
            }
            errors.extend(config.validate().err().map(|error| error.to_string()));
        }
        let migration = match Migration::from_flags(&parsed) {
            Ok(migration) => migration,
            Err(error) => {
                errors.push(kit::chain(&error));
                None
            }
        };
        if migration.is_some() && election.is_none() {
            errors.push(MigrationError::NoElection.to_string());
        }
        for name in [
            "concurrent-node-syncs",
            "concurrent-service-syncs",
            "concurrent-route-syncs",
            "node-deletion-confirmations",
        ] {
            if parsed.number::<i32>(name) <= 0 {
                errors.push(format!("{name} must be a positive number"));
            }
        }
        if parsed.number::<i32>("concurrent-node-status-updates") < 0 {
            errors.push("concurrent-node-status-updates cannot be a negative number".to_owned());
        }
        let share: f64 = parsed.number("node-deletion-max-share");
        if !(0.0..=1.0).contains(&share) {
            errors.push("node-deletion-max-share must be between 0 and 1".to_owned());
        }
        errors.extend(serving_errors(&parsed));
        let gates = gates(&parsed, &mut errors);
        let routes = routed(&parsed, &controllers, &mut errors);
        if !errors.is_empty() {
            return Err(OptionsError(errors));
        }
        let count = |name: &str| usize::try_from(parsed.number::<i32>(name)).unwrap_or(1);
        let syncs = if parsed.is_given("concurrent-node-syncs") {
            count("concurrent-node-syncs")
        } else {
            NODE_SYNCS
        };
        let resync = parsed.duration("load-balancer-resync-period");
        let port: u16 = parsed.number("secure-port");
        let address = parsed
            .text("bind-address")
            .parse()
            .unwrap_or(IpAddr::from([0, 0, 0, 0]));
        Ok(Self {
            node: NodeOptions {
                status_frequency: parsed.duration("node-status-update-frequency").max(SHORTEST),
                syncs,
                updates: Some(count("concurrent-node-status-updates"))
                    .filter(|n| *n > 0)
                    .unwrap_or(syncs),
                refresh_labels: parsed.bool("refresh-node-labels"),
            },
            lifecycle: LifecycleOptions {
                period: parsed.duration("node-monitor-period").max(SHORTEST),
                guard: GuardOptions {
                    confirmations: parsed.number("node-deletion-confirmations"),
                    grace: parsed.duration("node-deletion-grace-period"),
                    max_share: share,
                },
            },
            service: ServiceOptions {
                syncs: count("concurrent-service-syncs"),
                resync: (!resync.is_zero()).then_some(resync),
            },
            route: routes.map(|cluster_cidrs| RouteOptions {
                cluster_cidrs,
                period: parsed
                    .duration("route-reconciliation-period")
                    .max(Duration::from_millis(100)),
                on_change: gates,
                in_flight: count("concurrent-route-syncs"),
            }),
            bind: (port != 0).then_some((address, port)),
            cloud_config: parsed.optional("cloud-config").map(PathBuf::from),
            cluster: parsed.text("cluster-name"),
            grace: parsed.duration("shutdown-grace-period"),
            cloud,
            controllers,
            election,
            lease,
            migration,
            parsed,
        })
    }

    /// Whether a controller, by its canonical name, is to run. The first entry that speaks of it counts, then `*`.
    pub fn is_enabled(&self, name: &str) -> bool {
        for entry in &self.controllers {
            let (wanted, said) = entry
                .strip_prefix('-')
                .map_or((true, entry.as_str()), |rest| (false, rest));
            if canonical(said) == name {
                return wanted;
            }
        }
        self.controllers.iter().any(|entry| entry == "*")
    }
}

/// The canonical name of a controller; other names stay as they are.
pub(crate) fn canonical(name: &str) -> &str {
    // The names that leader migration's built-in list uses, which nothing else has called them for long.
    let name = match name {
        "route-controller" => ROUTE_CONTROLLER,
        "service-controller" => crate::names::SERVICE_CONTROLLER,
        other => other,
    };
    CONTROLLERS
        .iter()
        .find(|(_, alias)| *alias == name)
        .map_or(name, |(full, _)| full)
}

fn unknown_controller(entry: &str) -> Option<String> {
    let name = entry.strip_prefix('-').unwrap_or(entry);
    let known = name == "*" || CONTROLLERS.iter().any(|(full, _)| *full == canonical(name));
    (!known).then(|| format!("{name:?} is not in the list of known controllers"))
}

fn serving_errors(parsed: &Parsed) -> Vec<String> {
    let mut errors = Vec::new();
    if parsed.optional("tls-cert-file").is_some() != parsed.optional("tls-private-key-file").is_some() {
        errors.push("--tls-cert-file and --tls-private-key-file go together".to_owned());
    }
    let sni = parsed.list("tls-sni-cert-key");
    let wrong = sni
        .iter()
        .filter(|text| super::serve::certificates::parse(text).is_none());
    errors.extend(wrong.map(|text| format!("--tls-sni-cert-key {text:?} is not of the form CERT,KEY[:NAME,...]")));
    if !matches!(
        parsed.text("tls-min-version").as_str(),
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" | "VersionTLS13"
    ) {
        errors.push("--tls-min-version must be VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13".to_owned());
    }
    if !matches!(parsed.text("logging-format").as_str(), "text" | "json") {
        errors.push("--logging-format must be text or json".to_owned());
    }
    let (webhooks, port): (u16, u16) = (parsed.number("webhook-secure-port"), parsed.number("secure-port"));
    if webhooks != 0 && webhooks == port {
        errors.push("--webhook-secure-port cannot be the same value as --secure-port".to_owned());
    }
    errors.extend(
        parsed
            .list("webhooks")
            .iter()
            .map(|name| format!("{name:?} is not in the list of known webhooks")),
    );
    errors
}

/// Whether routes follow nodes.
fn gates(parsed: &Parsed, errors: &mut Vec<String>) -> bool {
    let mut on_change = GATES[0].1;
    for pair in parsed.list("feature-gates") {
        let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
        if !GATES.iter().any(|(known, _)| *known == name) && !matches!(name, "AllAlpha" | "AllBeta") {
            errors.push(format!("unrecognized feature gate: {name}"));
        }
        match value {
            "true" | "false" if name == GATES[0].0 => on_change = value == "true",
            "true" | "false" => {}
            _ => errors.push(format!("invalid value of {name}={value}, must be true or false")),
        }
    }
    on_change
}

/// The cluster's networks, if routes are wanted.
///
/// Differs from upstream: without any network there are no routes to make, which is no error.
fn routed(parsed: &Parsed, controllers: &[String], errors: &mut Vec<String>) -> Option<Vec<Cidr>> {
    let text = parsed.text("cluster-cidr");
    if !parsed.bool("configure-cloud-routes") || text.is_empty() || controllers.is_empty() {
        return None;
    }
    let mut cidrs: Vec<Cidr> = Vec::new();
    for part in text.split(',') {
        match part.trim().parse() {
            Ok(cidr) => cidrs.push(cidr),
            Err(error) => errors.push(format!("--cluster-cidr: {error}")),
        }
    }
    let families: std::collections::BTreeSet<bool> = cidrs.iter().map(|cidr| cidr.network.is_ipv4()).collect();
    if cidrs.len() > 2 {
        errors.push(format!(
            "length of clusterCIDRs is:{} more than max allowed of 2",
            cidrs.len()
        ));
    } else if cidrs.len() == 2 && families.len() == 1 {
        errors.push(
            "len of ClusterCIDRs==2 and they are not configured as dual stack (at least one from each IPFamily"
                .to_owned(),
        );
    }
    Some(cidrs)
}

#[cfg(test)]
mod tests;
