//! Field selectors. Mirrors kubernetes/apimachinery pkg/fields/selector.go.

use serde_json::Value;

use crate::meta;
use crate::resource::Resource;

/// A conjunction of comparisons of members with texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

/// Members that can be selected besides name and namespace: the label, and the path in the stored object.
fn selectable(resource: &Resource) -> &'static [(&'static str, &'static str)] {
    match resource.storage.as_str() {
        "pods" => &[
            ("spec.nodeName", "/spec/nodeName"),
            ("spec.restartPolicy", "/spec/restartPolicy"),
            ("spec.schedulerName", "/spec/schedulerName"),
            ("spec.serviceAccountName", "/spec/serviceAccountName"),
            ("spec.hostNetwork", "/spec/hostNetwork"),
            ("status.phase", "/status/phase"),
            ("status.podIP", "/status/podIP"),
            ("status.podIPs", "/status/podIPs"),
            ("status.nominatedNodeName", "/status/nominatedNodeName"),
        ],
        "nodes" => &[("spec.unschedulable", "/spec/unschedulable")],
        "namespaces" => &[("status.phase", "/status/phase")],
        "secrets" => &[("type", "/type")],
        "services" => &[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")],
        "certificatesigningrequests.certificates.k8s.io" => &[("spec.signerName", "/spec/signerName")],
        "events" if resource.group.is_empty() => &[
            ("involvedObject.kind", "/involvedObject/kind"),
            ("involvedObject.namespace", "/involvedObject/namespace"),
            ("involvedObject.name", "/involvedObject/name"),
            ("involvedObject.uid", "/involvedObject/uid"),
            ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
            ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
            ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
            ("reason", "/reason"),
            ("reportingComponent", "/reportingComponent"),
            ("source", "/source/component"),
            ("type", "/type"),
        ],
        "events" => &[
            ("regarding.kind", "/involvedObject/kind"),
            ("regarding.namespace", "/involvedObject/namespace"),
            ("regarding.name", "/involvedObject/name"),
            ("regarding.uid", "/involvedObject/uid"),
            ("regarding.apiVersion", "/involvedObject/apiVersion"),
            ("regarding.resourceVersion", "/involvedObject/resourceVersion"),
            ("regarding.fieldPath", "/involvedObject/fieldPath"),
            ("reason", "/reason"),
            ("reportingController", "/reportingComponent"),
            ("type", "/type"),
        ],
        _ => &[],
    }
}

impl FieldSelector {
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in split(text) {
            if part.is_empty() {
                continue;
            }
            let (field, value, equal) =
                term(&part).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            let known = matches!(field.as_str(), "metadata.name" | "metadata.namespace")
                || selectable(resource).iter().any(|(label, _)| *label == field);
            if !known {
                return Err(unsupported(resource, &field));
            }
            terms.push(Term { field, value, equal });
        }
        Ok(Self(terms))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The selector that picks one name.
    pub fn name(name: &str) -> Self {
        Self(vec![Term {
            field: "metadata.name".to_owned(),
            value: name.to_owned(),
            equal: true,
        }])
    }

    /// Whether a stored object meets every comparison.
    pub fn matches(&self, resource: &Resource, object: &Value) -> bool {
        self.0.iter().all(|term| {
            let found = match term.field.as_str() {
                "metadata.name" => meta::name(object).to_owned(),
                "metadata.namespace" => meta::namespace(object).to_owned(),
                field => {
                    let path = selectable(resource)
                        .iter()
                        .find(|(label, _)| *label == field)
                        .map(|(_, path)| *path);
                    shown(path.and_then(|path| object.pointer(path)), field)
                }
            };
            (found == term.value) == term.equal
        })
    }
}

fn unsupported(resource: &Resource, field: &str) -> String {
    if selectable(resource).is_empty() && resource.custom.is_none() {
        return format!("\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
    }
    format!("field label not supported: {field}")
}

fn shown(value: Option<&Value>, field: &str) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None if field.ends_with("unschedulable") || field.ends_with("hostNetwork") => {
            "false".to_owned()
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Splits at commas that no backslash protects.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        let last = parts.last_mut().expect("there is always one part");
        match c {
            ',' if !escaped => parts.push(String::new()),
            c => last.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn term(part: &str) -> Option<(String, String, bool)> {
    let (index, operator) = part.char_indices().find_map(|(i, _)| {
        ["!=", "==", "="]
            .iter()
            .find(|o| part[i..].starts_with(**o))
            .map(|o| (i, *o))
    })?;
    let value = &part[index + operator.len()..];
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            plain.extend(chars.next());
        } else {
            plain.push(c);
        }
    }
    Some((part[..index].to_owned(), plain, operator != "!="))
}
