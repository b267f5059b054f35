//! Completions and help.

mod common;

use common::Home;
use serde_json::Value;

#[test]
fn completions_know_the_options_of_the_built_in_drivers() {
    let home = Home::new("http://127.0.0.1:9");
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completions", shell]);
        for word in ["get-cluster-size", "spot-bid-price", "rackspace-spot"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn help_shows_a_driver_s_options_and_no_credential() {
    let home = Home::new("http://127.0.0.1:9");
    let help = home.ok(&["engine", "create", "--driver", "rackspacespot", "--help"]);
    assert!(
        help.contains("--spot-node-count <NUMBER>") && help.contains("[default: 3]"),
        "{help}"
    );
    assert!(help.contains("ROADSTEAD_RACKSPACE_SPOT_REFRESH_TOKEN"), "{help}");
    let without = home.ok(&["engine", "create", "--help"]);
    assert!(without.contains("built in: import, rackspacespot"), "{without}");
    let options: Value =
        serde_json::from_str(&home.ok(&["engine", "options", "--driver=rackspacespot", "-o", "json"])).unwrap();
    let secret = options
        .as_array()
        .unwrap()
        .iter()
        .find(|option| option["secret"] == true)
        .unwrap();
    assert_eq!(secret["name"], "rackspace-spot-refresh-token");
}
