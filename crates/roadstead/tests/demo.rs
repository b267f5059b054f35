//! The demo, from the first line to the last.

#![allow(
    clippy::unwrap_used,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use common::Home;

#[test]
fn the_demo_shows_a_whole_life_and_asks_for_nothing() {
    // An account of one's own must not be touched by it.
    let home = Home::new("http://127.0.0.1:9").with("RXTSPOT_REFRESH_TOKEN", "the-token-of-a-real-account");
    let told = home.ok(&["demo"]);
    for (what, outcome) in [
        ("create: 3 machines", "Running: 3 nodes, 1.32.9"),
        ("scale: 3 to 5 machines", "Running: 5 nodes, 1.32.9"),
        ("upgrade: Kubernetes 1.32.9 to 1.33.0", "Running: 5 nodes, 1.33.0"),
        ("update again, nothing changed", "0 writes"),
        ("create another, bid $0.05", "the next valid bid is 0.06"),
        ("remove", "0 cloudspaces left"),
        ("the controller manager starts", "3 nodes initialised"),
        ("a Service of type LoadBalancer", "reached at "),
        (
            "machine n3 is switched off",
            "node.cloudprovider.kubernetes.io/shutdown",
        ),
        ("machine n3 is given back", "node deleted"),
        ("the Service is deleted", "0 IP blocks left"),
    ] {
        let row = told.lines().find(|line| line.starts_with(what));
        assert!(
            row.is_some_and(|row| row.contains(outcome)),
            "{what}: {outcome}: {told}"
        );
    }
    assert_eq!(
        told.matches("gp.vs1.medium.iad").count(),
        8,
        "three nodes, then five: {told}"
    );
    assert!(told.contains("0 Elastic IPs left"), "{told}");
    assert!(
        !home.path().join(".kontainer").exists(),
        "the demo leaves a cluster behind"
    );
}

#[test]
fn what_is_kept_can_be_looked_at_until_the_demo_is_ended() {
    let home = Home::new("http://127.0.0.1:9");
    let mut demo = home.start(&["demo", "--provider=rackspace-spot", "--provider=phoenixnap", "--keep"]);
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kubeconfigs: Vec<String> = lines
        .filter_map(|line| Some(line.trim().strip_prefix("export KUBECONFIG=")?.to_owned()))
        .take(2)
        .collect();
    for kubeconfig in &kubeconfigs {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        assert!(text.contains("server: https://127.0.0.1:"), "{text}");
    }
    let ended = Command::new("kill").arg(demo.id().to_string()).status().unwrap();
    assert!(ended.success());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    for kubeconfig in &kubeconfigs {
        assert!(
            !std::path::Path::new(kubeconfig).exists(),
            "{kubeconfig} is left behind"
        );
    }
}

#[test]
fn a_provider_that_is_not_shown_is_refused_with_those_that_are() {
    let done = Home::new("http://127.0.0.1:9").run(&["demo", "--provider=nosuch"]);
    assert_eq!(done.code, 2);
    assert!(
        done.err
            .contains("possible values: rackspace-spot, phoenixnap, equinix-metal"),
        "{}",
        done.err
    );
}
