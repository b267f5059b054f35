//! The driver's options, declared once.

use kontainer_engine::{OptionSpec, OptionTable};

pub(crate) const REFRESH_TOKEN: &str = "rackspace-spot-refresh-token";
pub(crate) const ORGANIZATION: &str = "rackspace-spot-organization";
pub(crate) const REGION: &str = "rackspace-spot-region";
pub(crate) const CREDENTIAL_REVISION: &str = "credential-revision";
pub(crate) const VERSION: &str = "kubernetes-version";
pub(crate) const ALLOW_UNLISTED_VERSION: &str = "allow-unlisted-kubernetes-version";
pub(crate) const CNI: &str = "cni";
pub(crate) const HA: &str = "ha-control-plane";
pub(crate) const GPU: &str = "gpu-enabled";
pub(crate) const WEBHOOK: &str = "preemption-webhook-url";
pub(crate) const DEPLOYMENT_TYPE: &str = "deployment-type";
pub(crate) const ROUND_BID_UP: &str = "round-bid-up";
pub(crate) const ALLOW_HIGH_BIDS: &str = "allow-high-bids";
pub(crate) const SPOT_NAME: &str = "spot-node-pool-name";
pub(crate) const SPOT_CLASS: &str = "spot-server-class";
pub(crate) const SPOT_COUNT: &str = "spot-node-count";
pub(crate) const SPOT_BID: &str = "spot-bid-price";
pub(crate) const SPOT_AUTOSCALING: &str = "spot-autoscaling-enabled";
pub(crate) const SPOT_MIN: &str = "spot-autoscaling-min-nodes";
pub(crate) const SPOT_MAX: &str = "spot-autoscaling-max-nodes";
pub(crate) const SPOT_LABELS: &str = "spot-node-labels";
pub(crate) const SPOT_ANNOTATIONS: &str = "spot-node-annotations";
pub(crate) const SPOT_TAINTS: &str = "spot-node-taints";
pub(crate) const MORE_SPOT: &str = "additional-spot-pools";
pub(crate) const ON_DEMAND: &str = "on-demand-enabled";
pub(crate) const ON_DEMAND_NAME: &str = "on-demand-node-pool-name";
pub(crate) const ON_DEMAND_CLASS: &str = "on-demand-server-class";
pub(crate) const ON_DEMAND_COUNT: &str = "on-demand-node-count";
pub(crate) const ON_DEMAND_PRICE: &str = "on-demand-price-per-hour";
pub(crate) const ON_DEMAND_LABELS: &str = "on-demand-node-labels";
pub(crate) const ON_DEMAND_ANNOTATIONS: &str = "on-demand-node-annotations";
pub(crate) const ON_DEMAND_TAINTS: &str = "on-demand-node-taints";
pub(crate) const MORE_ON_DEMAND: &str = "additional-on-demand-pools";
pub(crate) const NODES_READY: &str = "nodes-ready-policy";
pub(crate) const NODES_TIMEOUT: &str = "nodes-ready-timeout";
pub(crate) const CONTROL_PLANE_TIMEOUT: &str = "control-plane-timeout";
pub(crate) const IMPORT: &str = "import-existing-cluster";
pub(crate) const IMPORT_NAME: &str = "import-cloudspace-name";

pub(crate) const DEFAULT_VERSION: &str = "1.33.0";
pub(crate) const DEFAULT_CLASS: &str = "gp.vs1.medium-iad";
pub(crate) const DEFAULT_BID: &str = "0.01";
pub(crate) const DEFAULT_COUNT: i64 = 3;
pub(crate) const DEFAULT_MIN: i64 = 1;
pub(crate) const DEFAULT_MAX: i64 = 10;

/// Every option. The upper part mirrors `driver/driver.go` of the Go driver (names of its published documentation are
/// further aliases); what it does not have is marked in `docs/deviations.md`.
const OPTIONS: &[OptionSpec] = &[
    OptionSpec::string(
        REFRESH_TOKEN,
        "refresh token of the Rackspace Spot account, from the console under API Access (required)",
    )
    .secret()
    .aliases(&["refreshToken"]),
    OptionSpec::string(
        ORGANIZATION,
        "organization: its name, id, namespace or display name (required)",
    )
    .aliases(&["organization"]),
    OptionSpec::string(REGION, "region, such as us-east-iad-1 (required, fixed after creation)")
        .create_only()
        .aliases(&["region"]),
    OptionSpec::string(
        CREDENTIAL_REVISION,
        "change it to any other text to have a new refresh token taken over",
    ),
    OptionSpec::string(
        VERSION,
        "Kubernetes version; a higher one is an upgrade, one minor version at a time",
    )
    .default_str(DEFAULT_VERSION)
    .aliases(&["k8sVersion"]),
    OptionSpec::bool(
        ALLOW_UNLISTED_VERSION,
        "let a Kubernetes version pass that this driver does not know",
    )
    .default_bool(false),
    OptionSpec::string(CNI, "network plugin: calico, cilium or byocni (fixed after creation)")
        .default_str("calico")
        .create_only()
        .validate(cni),
    OptionSpec::bool(HA, "highly available control plane").default_bool(false),
    OptionSpec::bool(GPU, "ask for GPU support (fixed after creation)")
        .default_bool(false)
        .create_only(),
    OptionSpec::string(
        WEBHOOK,
        "URL that Rackspace calls before it takes machines away; - removes it",
    )
    .aliases(&["preemptionWebhook"])
    .validate(webhook),
    OptionSpec::string(
        DEPLOYMENT_TYPE,
        "generation of the cloudspace; only gen2 can be made (fixed after creation)",
    )
    .create_only(),
    OptionSpec::bool(
        ROUND_BID_UP,
        "raise bids that the market does not take to the next valid bid, instead of refusing them",
    )
    .default_bool(false),
    OptionSpec::bool(
        ALLOW_HIGH_BIDS,
        "let a bid pass that is more than ten times the on-demand price of its class",
    )
    .default_bool(false),
    OptionSpec::string(
        SPOT_NAME,
        "name of the primary spot pool, a UUID; derived when it is not one",
    )
    .create_only()
    .aliases(&["spotPoolName"]),
    OptionSpec::string(
        SPOT_CLASS,
        "server class of the primary spot pool; a change makes a new pool, then removes the old one",
    )
    .default_str(DEFAULT_CLASS),
    OptionSpec::int(SPOT_COUNT, "machines in the primary spot pool")
        .default_int(DEFAULT_COUNT)
        .validate(count),
    OptionSpec::string(SPOT_BID, "bid per machine and hour in US dollars, such as 0.04").default_str(DEFAULT_BID),
    OptionSpec::bool(
        SPOT_AUTOSCALING,
        "let the number of machines of the primary spot pool follow the load",
    )
    .default_bool(false)
    .aliases(&["spotAutoscaling"]),
    OptionSpec::int(SPOT_MIN, "fewest machines when the number follows the load")
        .default_int(DEFAULT_MIN)
        .aliases(&["spotMinNodes"])
        .validate(count),
    OptionSpec::int(SPOT_MAX, "most machines when the number follows the load")
        .default_int(DEFAULT_MAX)
        .aliases(&["spotMaxNodes"])
        .validate(count),
    OptionSpec::string(
        SPOT_LABELS,
        "labels of the primary spot pool's nodes: a=b,c=d or a JSON object; {} removes all",
    ),
    OptionSpec::string(
        SPOT_ANNOTATIONS,
        "annotations of the primary spot pool's nodes, written like labels",
    ),
    OptionSpec::string(
        SPOT_TAINTS,
        "taints of the primary spot pool's nodes: key=value:NoSchedule,… or a JSON array; [] removes all",
    ),
    OptionSpec::string(
        MORE_SPOT,
        "further spot pools, as a JSON array of {serverClass, nodeCount, bidPrice, autoscaling, minNodes, maxNodes, name, \
         labels, annotations, taints}; [] removes them",
    ),
    OptionSpec::bool(ON_DEMAND, "have an on-demand pool").default_bool(false),
    OptionSpec::string(
        ON_DEMAND_NAME,
        "name of the on-demand pool, a UUID; derived when it is not one",
    )
    .create_only()
    .aliases(&["onDemandPoolName"]),
    OptionSpec::string(
        ON_DEMAND_CLASS,
        "server class of the on-demand pool; a change makes a new pool, then removes the old one",
    )
    .default_str(DEFAULT_CLASS)
    .aliases(&["onDemandClass"]),
    OptionSpec::int(ON_DEMAND_COUNT, "machines in the on-demand pool")
        .default_int(1)
        .aliases(&["onDemandCount"])
        .validate(count),
    OptionSpec::string(
        ON_DEMAND_PRICE,
        "without effect: the price of on-demand machines is fixed by Rackspace",
    )
    .aliases(&["onDemandPrice"]),
    OptionSpec::string(ON_DEMAND_LABELS, "labels of the on-demand pool's nodes"),
    OptionSpec::string(ON_DEMAND_ANNOTATIONS, "annotations of the on-demand pool's nodes"),
    OptionSpec::string(ON_DEMAND_TAINTS, "taints of the on-demand pool's nodes"),
    OptionSpec::string(
        MORE_ON_DEMAND,
        "further on-demand pools, as a JSON array of {serverClass, nodeCount, name, labels, annotations, taints}; [] \
         removes them",
    ),
    OptionSpec::string(
        NODES_READY,
        "when the cluster counts as ready: any (one node is), all (every node is), none (do not wait)",
    )
    .default_str("any")
    .validate(nodes_ready),
    OptionSpec::string(NODES_TIMEOUT, "how long to wait for nodes, such as 20m").validate(duration),
    OptionSpec::string(
        CONTROL_PLANE_TIMEOUT,
        "how long to wait for the control plane, such as 30m",
    )
    .validate(duration),
    OptionSpec::bool(
        IMPORT,
        "take over an existing cloudspace instead of making one; it is never deleted",
    )
    .default_bool(false)
    .create_only(),
    OptionSpec::string(IMPORT_NAME, "the cloudspace to import").create_only(),
];

/// The options that mean nothing without an on-demand pool.
pub(crate) const OF_THE_ON_DEMAND_POOL: [&str; 5] = [
    ON_DEMAND_CLASS,
    ON_DEMAND_COUNT,
    ON_DEMAND_LABELS,
    ON_DEMAND_ANNOTATIONS,
    ON_DEMAND_TAINTS,
];

/// The declaration of an option.
pub(crate) fn spec(name: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.name == name)
}

/// The table.
pub fn option_table() -> OptionTable {
    OptionTable::new(OPTIONS).expect("the declarations are constants and a test reads them")
}

fn one_of(text: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&text) {
        return Ok(());
    }
    Err(format!("must be one of {}, not {text:?}", allowed.join(", ")))
}

fn cni(text: &str) -> Result<(), String> {
    one_of(text, &["calico", "cilium", "byocni"])
}

fn nodes_ready(text: &str) -> Result<(), String> {
    one_of(text, &["any", "all", "none"])
}

fn duration(text: &str) -> Result<(), String> {
    kit::go_duration::parse(text)
        .map(drop)
        .map_err(|error| format!("is wrong: {error}"))
}

fn count(text: &str) -> Result<(), String> {
    match text.parse::<i64>() {
        Ok(0..=10_000) => Ok(()),
        _ => Err(format!("must be between 0 and 10000, not {text}")),
    }
}

fn webhook(text: &str) -> Result<(), String> {
    let valid = text == "-"
        || text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
        });
    if valid {
        Ok(())
    } else {
        // What was given may hold a token.
        Err("must be a http or https URL".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        assert_eq!(option_table().specs().len(), OPTIONS.len());
    }

    #[test]
    fn no_credential_has_a_default() {
        for spec in OPTIONS.iter().filter(|spec| spec.secret || spec.name == ORGANIZATION) {
            assert_eq!(spec.default, kontainer_engine::DefaultValue::None, "{}", spec.name);
        }
        assert!(option_table().create_flags().options[REFRESH_TOKEN].password);
    }
}
