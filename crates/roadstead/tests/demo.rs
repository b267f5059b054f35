//! The demo, from the first line to the last.

mod common;

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
    assert!(
        !home.path().join(".kontainer").exists(),
        "the demo leaves a cluster behind"
    );
}
