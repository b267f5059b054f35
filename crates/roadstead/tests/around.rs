//! Doctor, completions and help.

mod common;

use common::Home;
use serde_json::Value;

#[test]
fn the_doctor_finds_an_empty_home_healthy() {
    let home = Home::new("http://127.0.0.1:9");
    let done = home.run(&["doctor", "--offline", "--output", "json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let findings: Value = serde_json::from_str(&done.out).unwrap();
    let checks: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    for check in [
        "home directory",
        "cluster store",
        "loopback",
        "drivers",
        "rackspace spot",
    ] {
        assert!(checks.contains(&check), "{check} is not looked at: {checks:?}");
    }
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let home = Home::new("http://127.0.0.1:9");
    let dir = home.path().join(".kontainer/clusters/broken");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.json"), "{half").unwrap();
    let done = home.run(&["doctor"]);
    assert_eq!(done.code, 1);
    assert!(done.out.contains("broken/config.json is damaged"), "{}", done.out);
    assert!(
        done.out.contains("is not reachable at http://127.0.0.1:9"),
        "{}",
        done.out
    );
    assert!(done.out.contains("→ repair or remove the file"), "{}", done.out);
}

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
