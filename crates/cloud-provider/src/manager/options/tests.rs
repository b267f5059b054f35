use super::*;
use crate::names;

fn options(args: &[&str]) -> Result<Options, OptionsError> {
    let args = ["--cloud-provider=fake"]
        .iter()
        .chain(args)
        .map(|arg| (*arg).to_owned());
    Options::new(Parsed::parse("ccm", args).unwrap(), "me")
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let parsed = Parsed::parse("ccm", ["--concurrent-node-syncs=0".to_owned()]).unwrap();
    assert_eq!(
        Options::new(parsed, "me").unwrap_err().to_string(),
        "[--cloud-provider cannot be empty, concurrent-node-syncs must be a positive number]"
    );
}

#[test]
fn every_value_is_checked() {
    for (args, text) in [
        (
            vec!["--concurrent-node-syncs=-5"],
            "concurrent-node-syncs must be a positive number",
        ),
        (
            vec!["--concurrent-node-syncs=0"],
            "concurrent-node-syncs must be a positive number",
        ),
        (
            vec!["--concurrent-node-syncs=5", "--concurrent-node-status-updates=-1"],
            "concurrent-node-status-updates cannot be a negative number",
        ),
        (
            vec!["--concurrent-service-syncs=0"],
            "concurrent-service-syncs must be a positive number",
        ),
        (
            vec!["--controllers=red-controller"],
            "\"red-controller\" is not in the list of known controllers",
        ),
        (
            vec!["--controllers=*,-grey"],
            "\"grey\" is not in the list of known controllers",
        ),
        (
            vec!["--leader-elect-resource-lock=configmapsleases"],
            "resourceLock value must be \"leases\"",
        ),
        (
            vec!["--leader-elect-lease-duration=5s"],
            "leaseDuration must be greater than renewDeadline",
        ),
        (vec!["--webhooks=foo"], "\"foo\" is not in the list of known webhooks"),
        (
            vec!["--webhook-secure-port=10258"],
            "--webhook-secure-port cannot be the same value as --secure-port",
        ),
        (vec!["--feature-gates=NoSuch=true"], "unrecognized feature gate: NoSuch"),
        (
            vec!["--enable-leader-migration", "--leader-elect=false"],
            "--enable-leader-migration needs --leader-elect",
        ),
        (
            vec!["--cluster-cidr=10.0.0.0/8,11.0.0.0/8"],
            "len of ClusterCIDRs==2 and they are not configured as dual stack (at least one from each IPFamily",
        ),
        (
            vec!["--cluster-cidr=10.0.0.0/8,11.0.0.0/8,fd00::/8"],
            "length of clusterCIDRs is:3 more than max allowed of 2",
        ),
        (
            vec!["--node-deletion-max-share=1.5"],
            "node-deletion-max-share must be between 0 and 1",
        ),
        (
            vec!["--tls-cert-file=a"],
            "--tls-cert-file and --tls-private-key-file go together",
        ),
        (
            vec!["--tls-min-version=SSLv3"],
            "--tls-min-version must be VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13",
        ),
    ] {
        assert_eq!(options(&args).unwrap_err().to_string(), text);
    }
    for fine in [
        vec![],
        vec!["--leader-elect=false", "--leader-elect-lease-duration=5s"],
        vec!["--controllers=*,-service,cloud-node"],
    ] {
        options(&fine).unwrap();
    }
    println!("options validation: {} cases", 20);
}

#[test]
fn status_updates_are_as_many_as_syncs_unless_said_otherwise() {
    assert_eq!(options(&["--concurrent-node-syncs=1"]).unwrap().node.updates, 1);
    assert_eq!(options(&["--concurrent-node-syncs=7"]).unwrap().node.updates, 7);
    // Differs from upstream: unless somebody says otherwise, so many writes are under way at a time.
    let node = options(&[]).unwrap().node;
    assert_eq!((node.syncs, node.updates), (NODE_SYNCS, NODE_SYNCS));
    assert_eq!(
        options(&["--concurrent-node-status-updates=2"]).unwrap().node.updates,
        2
    );
}

#[test]
fn controllers_are_enabled_by_name_alias_and_star() {
    let enabled = |list: &str, name: &str| options(&[&format!("--controllers={list}")]).unwrap().is_enabled(name);
    for (list, name, expected) in [
        ("*", names::NODE_CONTROLLER, true),
        ("cloud-node", names::NODE_CONTROLLER, true),
        ("cloud-node-controller", names::NODE_CONTROLLER, true),
        ("cloud-node", names::ROUTE_CONTROLLER, false),
        ("*,-route", names::ROUTE_CONTROLLER, false),
        ("*,-node-route-controller", names::ROUTE_CONTROLLER, false),
        ("-service,service", names::SERVICE_CONTROLLER, false),
        ("service,-service", names::SERVICE_CONTROLLER, true),
        ("service-controller", names::SERVICE_CONTROLLER, true),
        ("-service", names::NODE_CONTROLLER, false),
    ] {
        assert_eq!(enabled(list, name), expected, "{list}: {name}");
    }
    println!("controller enablement: 10 cases for upstream's 8");
}

#[test]
fn controller_names_are_consistent() {
    for (name, alias) in names::CONTROLLERS {
        assert!(
            name.ends_with("-controller") && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{name}"
        );
        assert_eq!(canonical(alias), name);
        assert_eq!(canonical(name), name);
    }
}

#[test]
fn routes_need_a_network_and_are_no_error_without_one() {
    assert!(options(&[]).unwrap().route.is_none());
    assert!(
        options(&["--cluster-cidr=10.0.0.0/8", "--configure-cloud-routes=false"])
            .unwrap()
            .route
            .is_none()
    );
    let dual = options(&["--cluster-cidr=10.0.0.0/8,fd00::/8"]).unwrap().route.unwrap();
    assert_eq!((dual.cluster_cidrs.len(), dual.on_change), (2, true));
    let gate = "--feature-gates=CloudControllerManagerWatchBasedRoutesReconciliation=false";
    assert!(
        !options(&["--cluster-cidr=10.0.0.0/8", gate])
            .unwrap()
            .route
            .unwrap()
            .on_change
    );
}

#[test]
fn configz_has_upstreams_shape() {
    let json = options(&["--concurrent-node-syncs=3"]).unwrap().configz();
    let config = &json["cloudcontrollermanager.config.k8s.io"];
    assert_eq!(config["kind"], "CloudControllerManagerConfiguration");
    assert_eq!(config["Generic"]["LeaderElection"]["LeaseDuration"], "15s");
    assert_eq!(config["KubeCloudShared"]["CloudProvider"]["Name"], "fake");
    assert_eq!(config["NodeController"]["ConcurrentNodeSyncs"], 3);
    assert_eq!(config["NodeStatusUpdateFrequency"], "5m0s");
}
