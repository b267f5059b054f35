//! Where the Helm chart takes the credential from. Without a helm its templates are read, with one they are rendered.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/phoenixnap/chart")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(chart().join(name)).unwrap()
}

/// The lines of a template, each without what surrounds it.
fn lines(name: &str) -> Vec<String> {
    read(name).lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_credential_may_be_that_of_a_secret_which_is_there_already() {
    let suggested = "credentialsSecret:\n  name: \"\"\n  clientIDKey: clientID\n  clientSecretKey: clientSecret\n";
    assert!(read("values.yaml").contains(suggested));
    let lines = lines("templates/deployment.yaml");
    for (variable, key) in [
        ("PNAP_CLIENT_ID", "clientIDKey"),
        ("PNAP_CLIENT_SECRET", "clientSecretKey"),
    ] {
        let at = lines.iter().position(|line| *line == format!("- name: {variable}"));
        let at = at.unwrap_or_else(|| panic!("{variable} is not taken from a Secret"));
        let expected = [
            "valueFrom:",
            "secretKeyRef:",
            "name: {{ .Values.credentialsSecret.name }}",
            &format!("key: {{{{ .Values.credentialsSecret.{key} }}}}"),
        ];
        assert_eq!(lines[at + 1..at + 5], expected);
    }
    // A variable that says where it comes from is taken as it is.
    let map = lines
        .iter()
        .position(|line| *line == "{{- if kindIs \"map\" $value }}")
        .unwrap();
    assert_eq!(lines[map + 1], "{{- toYaml $value | nindent 14 }}");
    assert_eq!(lines[map + 3], "value: {{ $value | quote }}");
}

#[test]
fn the_chart_asks_for_a_credential_only_when_it_comes_from_nowhere() {
    let template = read("templates/secret.yaml");
    for (key, variable) in [("clientID", "PNAP_CLIENT_ID"), ("clientSecret", "PNAP_CLIENT_SECRET")] {
        let condition =
            format!("{{{{- if not (or .Values.config.{key} $elsewhere (hasKey .Values.env \"{variable}\")) }}}}");
        assert!(template.contains(&condition), "{condition}");
    }
    assert!(template.contains("$elsewhere := or .Values.credentialsSecret.name .Values.envFrom"));
}

/// What helm makes of the chart, where there is a helm.
fn rendered(set: &[&str]) -> Option<Result<String, String>> {
    let set = set.iter().map(|one| format!("--set={one}"));
    let output = Command::new("helm")
        .args(["template", "ccm", "."])
        .args(set)
        .current_dir(chart())
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    })
}

#[test]
fn helm_takes_the_credential_from_each_place_where_there_is_a_helm() {
    for (set, expected) in [
        (
            &["credentialsSecret.name=mine"][..],
            "- name: PNAP_CLIENT_SECRET\n              valueFrom:\n                secretKeyRef:\n                  name: mine\n",
        ),
        (
            &[
                "env.PNAP_CLIENT_ID=id",
                "env.PNAP_CLIENT_SECRET.valueFrom.secretKeyRef.name=mine",
            ],
            "- name: PNAP_CLIENT_SECRET\n              valueFrom:\n                secretKeyRef:\n                  name: mine\n",
        ),
        (
            &["envFrom[0].secretRef.name=mine"],
            "envFrom:\n            - secretRef:\n                name: mine\n",
        ),
    ] {
        let Some(text) = rendered(set) else { return };
        let text = text.unwrap_or_else(|told| panic!("{set:?}: {told}"));
        assert!(text.contains(expected), "{set:?}: {text}");
    }
    let told = rendered(&[]).unwrap().unwrap_err();
    assert!(told.contains("You must set a PhoenixNAP client ID"), "{told}");
}
