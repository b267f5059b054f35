//! The Helm chart. Its templates are simple enough to be held against the manifest without rendering them; where there is
//! a helm, it renders them.

use std::collections::BTreeSet;
use std::process::Command;

use equinix_metal::config::table::SETTINGS;
use serde_json::Value;

use super::manifest::{NAME, objects};
use super::{folder, hold, rights};

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join("chart").join(file)).unwrap()
}

fn templates() -> Vec<(String, String)> {
    let dir = std::fs::read_dir(folder().join("chart/templates")).unwrap();
    let names = dir.map(|entry| format!("templates/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut all: Vec<_> = names.map(|name| (name.clone(), read(&name))).collect();
    all.sort();
    all
}

fn values() -> Value {
    serde_saphyr::from_str(&read("values.yaml")).unwrap()
}

/// What is between double braces.
fn actions(template: &str) -> Vec<&str> {
    let parts = template.split("{{").skip(1);
    parts
        .map(|part| {
            part.split_once("}}")
                .unwrap_or_else(|| panic!("an open brace: {part}"))
                .0
        })
        .map(|action| action.trim_matches(|c: char| c == '-' || c.is_whitespace()))
        .collect()
}

fn daemon_set() -> Value {
    objects()
        .into_iter()
        .find(|object| object["kind"] == "DaemonSet")
        .unwrap()
}

#[test]
fn the_rules_of_the_chart_are_those_of_the_manifest() {
    hold(
        "chart/files/cluster-rules.yaml",
        &serde_saphyr::to_string(&rights::cluster()).unwrap(),
    );
    hold(
        "chart/files/lease-rules.yaml",
        &serde_saphyr::to_string(&rights::lease()).unwrap(),
    );
    let rbac = read("templates/rbac.yaml");
    for file in ["files/cluster-rules.yaml", "files/lease-rules.yaml"] {
        assert!(rbac.contains(&format!(".Files.Get \"{file}\"")), "{file} is not used");
    }
}

#[test]
fn every_value_that_a_template_reads_is_there_and_every_value_is_read() {
    let values = values();
    let mut read = BTreeSet::new();
    for (name, template) in templates() {
        for action in actions(&template) {
            let words = action.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
            for path in words.filter_map(|word| word.strip_prefix(".Values.")) {
                // The older spelling of the key may be given, and is not suggested.
                if path == "config.projectId" {
                    continue;
                }
                let pointer = format!("/{}", path.replace('.', "/"));
                assert!(
                    values.pointer(&pointer).is_some(),
                    "{name}: .Values.{path} is not in values.yaml"
                );
                read.insert(path.split('.').next().unwrap().to_owned());
            }
        }
    }
    let given: BTreeSet<String> = values.as_object().unwrap().keys().cloned().collect();
    assert_eq!(read, given);
}

#[test]
fn every_block_of_a_template_is_closed() {
    for (name, template) in templates() {
        let mut open = 0_i32;
        for action in actions(&template) {
            match action.split_whitespace().next().unwrap_or_default() {
                "if" | "with" | "range" | "define" => open += 1,
                "end" => open -= 1,
                _ => {}
            }
            assert!(open >= 0, "{name}: an end too much");
        }
        assert_eq!(open, 0, "{name}: {open} blocks are open");
    }
}

#[test]
fn the_pod_of_the_chart_is_that_of_the_manifest() {
    let (values, daemon_set) = (values(), daemon_set());
    let pod = &daemon_set["spec"]["template"]["spec"];
    assert_eq!(values["affinity"], pod["affinity"]);
    assert_eq!(values["tolerations"], pod["tolerations"]);
    assert_eq!(values["resources"], pod["containers"][0]["resources"]);
    assert_eq!(values["securityContext"], pod["containers"][0]["securityContext"]);
    let template = read("templates/daemonset.yaml");
    for word in pod["containers"][0]["command"].as_array().unwrap() {
        assert!(
            template.contains(&format!("            - {}\n", word.as_str().unwrap())),
            "{word}"
        );
    }
    for line in [
        "hostNetwork: true",
        "dnsPolicy: Default",
        "priorityClassName: system-cluster-critical",
        "path: /livez",
    ] {
        assert!(template.contains(line), "{line}");
    }
}

#[test]
fn the_values_name_every_setting_and_no_other() {
    let text = read("values.yaml");
    let config = text.split_once("\nconfig:\n").unwrap().1;
    let named: BTreeSet<&str> = config
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '#']).split_once(':'))
        .map(|(key, _)| key)
        .collect();
    let known: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(named, known);
}

#[test]
fn helm_renders_the_manifest_where_there_is_a_helm() {
    let rendered = Command::new("helm")
        .args([
            "template",
            NAME,
            ".",
            "--namespace=kube-system",
            "--set=config.apiKey=k,config.projectID=p",
        ])
        .current_dir(folder().join("chart"))
        .output();
    let Ok(rendered) = rendered else { return };
    assert!(
        rendered.status.success(),
        "{}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    let text = String::from_utf8(rendered.stdout).unwrap();
    let documents = text
        .split("\n---\n")
        .filter_map(|document| serde_saphyr::from_str::<Value>(document).ok());
    let found = documents
        .into_iter()
        .find(|object| object["kind"] == "DaemonSet")
        .unwrap();
    let mut expected = daemon_set()["spec"]["template"]["spec"].clone();
    let image = found["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    expected["containers"][0]["image"] = image;
    expected["containers"][0]["imagePullPolicy"] = "IfNotPresent".into();
    assert_eq!(found["spec"]["template"]["spec"], expected);
}
