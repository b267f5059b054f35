//! Completions and help.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod common;

use common::Home;
use serde_json::Value;

#[test]
fn completions_know_every_command_and_the_options_of_drivers() {
    let home = Home::new("http://127.0.0.1:9");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.ok(&["completions", shell]);
        for word in [
            "get-cluster-size",
            "spot-bid-price",
            "rackspace-spot",
            "offers",
            "kubeconfig",
            "doctor",
        ] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    let done = home.run(&["completions", "bash", "--driver=./nosuch"]);
    assert_eq!(done.code, 3, "{}", done.err);
}

/// What bash offers behind these words.
fn completed(home: &Home, words: &[&str]) -> Vec<String> {
    let script = home.path().join("completions");
    std::fs::write(&script, home.ok(&["completions", "bash"])).unwrap();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; _roadstead roadstead {} {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        quoted.join(" "),
        words.len() - 1,
        quoted[words.len() - 1],
        quoted[words.len() - 2],
    );
    let done = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_can_stand_there() {
    let home = Home::new("http://127.0.0.1:9");
    for (words, offered) in [
        (&["roadstead", ""][..], "engine"),
        (&["roadstead", "sim", ""], "rackspace-spot"),
        (&["roadstead", "engine", "o"], "offers"),
        (&["roadstead", "engine", "create", "--spot-b"], "--spot-bid-price"),
        (&["roadstead", "engine", "update", "--spot-node-c"], "--spot-node-count"),
        (&["roadstead", "engine", "ls", "--output", ""], "json"),
        (&["roadstead", "demo", "--provider", ""], "rackspace-spot"),
        (&["roadstead", "cluster", "st"], "start"),
    ] {
        let all = completed(&home, words);
        assert!(all.iter().any(|word| word == offered), "{words:?}: {all:?}");
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
