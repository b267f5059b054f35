//! The Helm chart. Its templates are simple enough to be held against the manifest without rendering them; where there is
//! a helm, it renders them.

use std::collections::BTreeSet;
use std::process::Command;

use phoenixnap::SETTINGS;
use serde_json::Value;

use super::manifest::{NAME, deployment};
use super::{at, hold, read, rights};

fn templates() -> Vec<(String, String)> {
    let dir = std::fs::read_dir(at("deploy/phoenixnap/chart/templates")).unwrap();
    let names = dir.map(|entry| format!("chart/templates/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut all: Vec<_> = names.map(|name| (name.clone(), read(&name))).collect();
    all.sort();
    all
}

fn values() -> Value {
    serde_saphyr::from_str(&read("chart/values.yaml")).unwrap()
}

/// What is between double braces.
fn actions(template: &str) -> Vec<&str> {
    let parts = template.split("{{").skip(1);
    let inner = parts.map(|part| {
        part.split_once("}}")
            .unwrap_or_else(|| panic!("an open brace: {part}"))
            .0
    });
    inner
        .map(|action| action.trim_matches(|c: char| c == '-' || c.is_whitespace()))
        .collect()
}

#[test]
fn the_rules_of_the_chart_are_those_of_the_manifest() {
    let rules = |value: &Value| serde_saphyr::to_string(value).unwrap();
    hold(
        "deploy/phoenixnap/chart/files/cluster-rules.yaml",
        &rules(&rights::cluster()),
    );
    hold(
        "deploy/phoenixnap/chart/files/lease-rules.yaml",
        &rules(&rights::lease()),
    );
    let rbac = read("chart/templates/rbac.yaml");
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
    let (values, deployment) = (values(), deployment());
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(values["tolerations"], pod["tolerations"]);
    assert_eq!(values["resources"], pod["containers"][0]["resources"]);
    assert_eq!(values["securityContext"], pod["containers"][0]["securityContext"]);
    let template = read("chart/templates/deployment.yaml");
    for word in pod["containers"][0]["command"].as_array().unwrap() {
        assert!(
            template.contains(&format!("            - {}\n", word.as_str().unwrap())),
            "{word}"
        );
    }
    for line in [
        "hostNetwork: true",
        "dnsPolicy: Default",
        "type: Recreate",
        "path: /livez",
    ] {
        assert!(template.contains(line), "{line}");
    }
}

#[test]
fn the_values_name_every_setting_and_no_other() {
    let text = read("chart/values.yaml");
    let config = text.split_once("\nconfig:\n").unwrap().1;
    let lines = config
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '#']).split_once(':'));
    let named: BTreeSet<&str> = lines.map(|(key, _)| key).collect();
    let known: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(named, known);
}

#[test]
fn helm_renders_the_manifest_where_there_is_a_helm() {
    let rendered = Command::new("helm")
        .args(["template", NAME, ".", "--namespace=kube-system"])
        .args(["--set=config.clientID=a,config.clientSecret=b,configSecret.name=phoenixnap-cloud-config"])
        .args(["--set=serviceAccount.name=cloud-controller-manager"])
        .current_dir(at("deploy/phoenixnap/chart"))
        .output();
    let Ok(rendered) = rendered else { return };
    assert!(
        rendered.status.success(),
        "{}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    let text = String::from_utf8(rendered.stdout).unwrap();
    let mut documents = text
        .split("\n---\n")
        .filter_map(|document| serde_saphyr::from_str::<Value>(document).ok());
    let found = documents.find(|object| object["kind"] == "Deployment").unwrap();
    let mut expected = deployment()["spec"]["template"]["spec"].clone();
    let image = found["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    expected["containers"][0]["image"] = image;
    expected["containers"][0]["imagePullPolicy"] = "IfNotPresent".into();
    assert_eq!(found["spec"]["template"]["spec"], expected);
}
