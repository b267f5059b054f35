//! The Helm chart. Its templates are simple enough to be held against the manifest without rendering them; where there is
//! a helm, it renders them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::{Shipped, Workload, hold};
use crate::provider::Provider;

fn templates(shipped: &Shipped) -> Vec<(String, String)> {
    let dir = std::fs::read_dir(shipped.path("chart/templates")).unwrap();
    let names = dir.map(|entry| format!("chart/templates/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut all: Vec<_> = names.map(|name| (name.clone(), shipped.read(&name))).collect();
    all.sort();
    all
}

fn values(shipped: &Shipped) -> Value {
    serde_saphyr::from_str(&shipped.read("chart/values.yaml")).unwrap()
}

/// What is between double braces.
fn actions(template: &str) -> Vec<&str> {
    let parts = template.split("{{").skip(1);
    let inner = parts.map(|part| {
        let (inner, _) = part.split_once("}}").unwrap_or_else(|| panic!("an open brace: {part}"));
        inner
    });
    inner
        .map(|action| action.trim_matches(|c: char| c == '-' || c.is_whitespace()))
        .collect()
}

/// Both read the same rules.
pub fn the_rules_of_the_chart_are_those_of_the_manifest<P: Provider>() {
    let shipped = &P::SHIPPED;
    let rbac = shipped.read("chart/templates/rbac.yaml");
    for (file, rules) in [
        ("files/cluster-rules.yaml", shipped.cluster_rules()),
        ("files/lease-rules.yaml", shipped.lease_rules()),
    ] {
        let text = serde_saphyr::to_string(&rules).unwrap();
        hold(&format!("deploy/{}/chart/{file}", shipped.folder), &text);
        assert!(rbac.contains(&format!(".Files.Get \"{file}\"")), "{file} is not used");
    }
}

/// No value is misspelt, and none does nothing.
pub fn every_value_that_a_template_reads_is_there_and_every_value_is_read<P: Provider>() {
    let shipped = &P::SHIPPED;
    let values = values(shipped);
    let mut read = BTreeSet::new();
    for (name, template) in templates(shipped) {
        for action in actions(&template) {
            let words = action.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
            let paths = words.filter_map(|word| word.strip_prefix(".Values."));
            for path in paths.filter(|path| !shipped.unsuggested.contains(path)) {
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

/// What helm would refuse.
pub fn every_block_of_a_template_is_closed<P: Provider>() {
    let shipped = &P::SHIPPED;
    for (name, template) in templates(shipped) {
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

/// By its values and, line by line, by its template.
pub fn the_pod_of_the_chart_is_that_of_the_manifest<P: Provider>() {
    let shipped = &P::SHIPPED;
    let (values, pod) = (values(shipped), shipped.pod());
    let container = &pod["containers"][0];
    assert_eq!(
        values["affinity"],
        pod.get("affinity").cloned().unwrap_or_else(|| json!({}))
    );
    assert_eq!(values["tolerations"], pod["tolerations"]);
    assert_eq!(values["resources"], container["resources"]);
    assert_eq!(values["securityContext"], container["securityContext"]);
    let kind = shipped.workload.kind();
    let template = shipped.read(&format!("chart/templates/{}.yaml", kind.to_lowercase()));
    for word in container["command"].as_array().unwrap() {
        let line = format!("            - {}\n", word.as_str().unwrap());
        assert!(template.contains(&line), "{word}");
    }
    let rolling = (shipped.workload == Workload::Deployment).then_some("maxSurge: 0");
    let kind = format!("kind: {kind}");
    let lines = [
        kind.as_str(),
        "hostNetwork: true",
        "dnsPolicy: Default",
        "priorityClassName: system-cluster-critical",
        "terminationGracePeriodSeconds: 30",
        "hostPort: 10258",
        "path: /livez",
        "path: /readyz",
        "mountPath: /etc/cloud-sa",
    ];
    for line in lines.into_iter().chain(rolling) {
        assert!(template.contains(line), "{line}");
    }
}

/// Operators find all settings there.
pub fn the_values_name_every_setting_and_no_other<P: Provider>() {
    let shipped = &P::SHIPPED;
    let text = shipped.read("chart/values.yaml");
    let config = text.split_once("\nconfig:\n").unwrap().1;
    let lines = config
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '#']).split_once(':'));
    let named: BTreeSet<&str> = lines.map(|(key, _)| key).collect();
    let known: BTreeSet<&str> = (shipped.settings)().into_iter().collect();
    assert_eq!(named, known);
}

/// The pod of both is the same to the last field, but for the image.
pub fn helm_renders_the_manifest_where_there_is_a_helm<P: Provider>() {
    let shipped = &P::SHIPPED;
    let rendered = Command::new("helm")
        .args(["template", shipped.name, ".", "--namespace=kube-system"])
        .args(shipped.helm)
        .current_dir(shipped.path("chart"))
        .output();
    let Ok(rendered) = rendered else { return };
    let told = String::from_utf8_lossy(&rendered.stderr);
    assert!(rendered.status.success(), "{told}");
    let text = String::from_utf8(rendered.stdout).unwrap();
    let mut documents = text
        .split("\n---\n")
        .filter_map(|document| serde_saphyr::from_str::<Value>(document).ok());
    let kind = shipped.workload.kind();
    let found = documents.find(|object| object["kind"] == kind).unwrap();
    let found = &found["spec"]["template"]["spec"];
    let mut expected = shipped.pod();
    expected["containers"][0]["image"] = found["containers"][0]["image"].clone();
    expected["containers"][0]["imagePullPolicy"] = "IfNotPresent".into();
    assert_eq!(*found, expected);
}
