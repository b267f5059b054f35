//! Probes and the version.

use std::fmt::Write as _;

use serde_json::json;

use crate::respond::{Answer, Payload};
use crate::server::Call;

const LIVE: &[&str] = &["ping", "log", "etcd"];
const READY: &[&str] = &["ping", "log", "etcd", "informer-sync"];
const HOOKS: &[&str] = &[
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "bootstrap-controller",
    "rbac/bootstrap-roles",
    "apiservice-registration-controller",
];

/// The answer of `/version`.
pub(crate) fn version(git_version: &str) -> Answer {
    let mut numbers = git_version.trim_start_matches('v').split(['.', '-', '+']);
    let major = numbers.next().unwrap_or_default().to_owned();
    let minor = numbers.next().unwrap_or_default().to_owned();
    let previous = minor
        .parse::<u32>()
        .map_or_else(|_| minor.clone(), |n| n.saturating_sub(1).to_string());
    Answer::ok(json!({
        "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
        "minCompatibilityMajor": major, "minCompatibilityMinor": previous,
        "gitVersion": git_version, "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}

/// The answer of a probe, or of one check of it.
pub(crate) fn probe(probe: &str, check: &str, call: &Call) -> Answer {
    let first = if probe == "/readyz" { READY } else { LIVE };
    let mut checks: Vec<String> = first.iter().map(|&c| c.to_owned()).collect();
    checks.extend(HOOKS.iter().map(|hook| format!("poststarthook/{hook}")));
    if probe == "/readyz" {
        checks.push("shutdown".to_owned());
    }
    if !check.is_empty() {
        let known = checks.iter().any(|c| c == check);
        return if known {
            Answer::new(200, Payload::PlainText("ok".to_owned()))
        } else {
            Answer::not_found()
        };
    }
    if call.query.get("verbose").is_none() {
        return Answer::text(200, "ok");
    }
    let excluded = call.query.all("exclude");
    let mut text = String::new();
    for check in checks {
        let state = if excluded.contains(&check.as_str()) {
            "excluded: ok"
        } else {
            "ok"
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "[+]{check} {state}");
    }
    let _ = writeln!(text, "{} check passed", &probe[1..]);
    Answer::text(200, &text)
}
