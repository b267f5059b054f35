//! The driver's binary, as far as it answers without a port.

use std::process::{Command, Output};

fn driver(argument: &str) -> Output {
    let broken = [
        ("RXTSPOT_REQUEST_TIMEOUT", "soon"),
        ("RXTSPOT_MAX_RETRIES", "many"),
        ("RXTSPOT_MAX_IDLE_CONNS", "-1"),
    ];
    Command::new(env!("CARGO_BIN_EXE_kontainer-engine-driver-rackspacespot"))
        .arg(argument)
        .envs(broken)
        .output()
        .unwrap()
}

#[test]
fn help_and_version_answer_whatever_the_environment_says() {
    for (argument, part) in [
        ("--version", env!("CARGO_PKG_VERSION")),
        ("--help", "spot-bid-price"),
        ("-h", "usage:"),
    ] {
        let output = driver(argument);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(part), "{argument}: {text}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn serving_with_a_broken_environment_is_refused_by_name() {
    let output = driver("1");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("RXTSPOT_"), "{text}");
}
