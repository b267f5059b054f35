use std::time::Duration;

use super::*;

fn parse(args: &[&str]) -> Result<Parsed, FlagError> {
    Parsed::parse("ccm", args.iter().map(|arg| (*arg).to_owned()))
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    let parsed = parse(&[
        "--cloud-provider",
        "aws",
        "--leader_elect=false",
        "--profiling",
        "-v=4",
        "--kube-api-qps=50.0",
        "--controllers=foo,bar",
        "--controllers=-baz",
        "--authorization-always-allow-paths=",
        "--tls-sni-cert-key=a.crt,a.key:example.com",
        "--tls-sni-cert-key=b.crt,b.key",
        "--node-monitor-period=1m30s",
    ])
    .unwrap();
    assert_eq!(parsed.text("cloud-provider"), "aws");
    assert!(!parsed.bool("leader-elect") && parsed.bool("profiling"));
    assert_eq!(parsed.number::<i32>("v"), 4);
    assert!((parsed.number::<f64>("kube-api-qps") - 50.0).abs() < f64::EPSILON);
    assert_eq!(parsed.list("controllers"), ["foo", "bar", "-baz"]);
    assert!(
        parsed.list("authorization-always-allow-paths").is_empty(),
        "an empty value clears the default"
    );
    assert_eq!(parsed.list("tls-sni-cert-key").len(), 2);
    assert_eq!(parsed.duration("node-monitor-period"), Duration::from_secs(90));
    assert_eq!(parse(&["-v4"]).unwrap().number::<i32>("v"), 4);
    assert!(parse(&["-h"]).unwrap().help && parse(&["--help"]).unwrap().help);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (args, text) in [
        (vec!["--nosuch=1"], "unknown flag: --nosuch"),
        (vec!["-x"], "unknown shorthand flag: 'x' in -x"),
        (vec!["--cloud-provider"], "flag needs an argument: --cloud-provider"),
        (
            vec!["a", "b"],
            "\"ccm\" does not take any arguments, got [\"a\", \"b\"]",
        ),
        (
            vec!["--leader-elect=maybe"],
            "invalid argument \"maybe\" for \"--leader-elect\" flag: must be true or false",
        ),
        (
            vec!["--secure-port=65536"],
            "invalid argument \"65536\" for \"--secure-port\" flag: must be between 0 and 65535, inclusive",
        ),
        (
            vec!["--bind-address=x"],
            "invalid argument \"x\" for \"--bind-address\" flag: must be an IP address",
        ),
    ] {
        assert_eq!(parse(&args).unwrap_err().to_string(), text);
    }
    assert!(parse(&["--node-monitor-period=5"]).is_err());
}

/// options/options_test.go: the defaults of the flags.
#[test]
fn the_defaults_are_upstreams() {
    let parsed = parse(&[]).unwrap();
    for (name, value) in [
        ("cloud-provider", ""),
        ("cluster-name", "kubernetes"),
        ("configure-cloud-routes", "true"),
        ("route-reconciliation-period", "10s"),
        ("node-monitor-period", "5s"),
        ("node-status-update-frequency", "5m0s"),
        ("min-resync-period", "12h0m0s"),
        ("kube-api-qps", "20"),
        ("kube-api-burst", "30"),
        ("leader-elect", "true"),
        ("leader-elect-lease-duration", "15s"),
        ("leader-elect-renew-deadline", "10s"),
        ("leader-elect-retry-period", "2s"),
        ("leader-elect-resource-lock", "leases"),
        ("leader-elect-resource-name", "cloud-controller-manager"),
        ("leader-elect-resource-namespace", "kube-system"),
        ("concurrent-node-syncs", "1"),
        ("concurrent-node-status-updates", "0"),
        ("concurrent-service-syncs", "1"),
        ("secure-port", "10258"),
        ("webhook-secure-port", "10260"),
        ("bind-address", "0.0.0.0"),
        ("authentication-token-webhook-cache-ttl", "10s"),
        ("cidr-allocator-type", "RangeAllocator"),
    ] {
        assert_eq!(parsed.text(name), value, "{name}");
    }
    assert_eq!(parsed.list("controllers"), ["*"]);
    assert_eq!(
        parsed.list("authorization-always-allow-paths"),
        ["/healthz", "/readyz", "/livez"]
    );
    assert_eq!(parsed.list("requestheader-username-headers"), ["x-remote-user"]);
    assert!(parsed.idle().is_empty());
    println!("default options: 27 upstream values");
}

#[test]
fn every_default_is_a_value_its_flag_takes_and_no_name_is_used_twice() {
    let mut names = std::collections::BTreeSet::new();
    for flag in all() {
        assert!(names.insert(flag.name), "{}", flag.name);
        assert!(
            flag.default.is_empty() || flag.check(flag.default).is_ok(),
            "{}",
            flag.name
        );
    }
    assert!(help("ccm", "About.").contains("--leader-elect\n"));
}

#[test]
fn flags_without_effect_are_told_once_and_only_when_given() {
    let parsed = parse(&["--allocate-node-cidrs", "--cloud-provider=x"]).unwrap();
    assert_eq!(
        parsed.idle().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["allocate-node-cidrs"]
    );
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cloud-provider-flags.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, reference()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        reference(),
        "run the test with UPDATE=1"
    );
}
