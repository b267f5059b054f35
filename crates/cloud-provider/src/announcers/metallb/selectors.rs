//! Node selectors: those that select a node, and those that select none but remember a Service.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LABEL_HOST, Names};
use crate::data::Service;

/// A node selector of MetalLB's config map. What is not given, and what is given empty, are kept apart.
///
/// The order of lists does not count when selectors are compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NodeSelector {
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// What else must hold for its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_expressions: Option<Vec<Requirement>>,
}

/// What must hold for a label. The order of values does not count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// A Service, as selectors name it. Sorted by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ServiceRef {
    /// A Service.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The labels of the selector that remembers it.
    pub(super) fn labels(&self, names: &Names) -> BTreeMap<String, String> {
        [
            (names.service_namespace.clone(), self.namespace.clone()),
            (names.service_name.clone(), self.name.clone()),
        ]
        .into()
    }

    /// The Service that a selector with these labels alone remembers.
    pub(super) fn read(names: &Names, labels: &BTreeMap<String, String>) -> Option<Self> {
        let one = |key: &String| labels.get(key);
        match (one(&names.service_namespace), one(&names.service_name)) {
            (Some(namespace), Some(name)) if labels.len() == 2 => Some(Self::new(namespace, name)),
            _ => None,
        }
    }
}

/// Whether a selector with these labels is there to remember something, whole or not, and so selects no node.
pub(super) fn is_memory(names: &Names, labels: &BTreeMap<String, String>) -> bool {
    let known = |key: &String| *key == names.service_namespace || *key == names.service_name;
    !labels.is_empty() && labels.keys().all(known)
}

impl From<&Service> for ServiceRef {
    fn from(service: &Service) -> Self {
        Self::new(&service.namespace, &service.name)
    }
}

impl NodeSelector {
    /// Selects the node with this host label.
    pub fn host(host: &str) -> Self {
        Self::labels([(LABEL_HOST.to_owned(), host.to_owned())].into())
    }

    /// Selects no node, and remembers a Service.
    pub fn service(names: &Names, service: &ServiceRef) -> Self {
        Self::labels(service.labels(names))
    }

    fn labels(labels: BTreeMap<String, String>) -> Self {
        Self {
            match_labels: Some(labels),
            match_expressions: Some(Vec::new()),
        }
    }

    /// The Service it remembers, if that is what it is for.
    pub fn remembers(&self, names: &Names) -> Option<ServiceRef> {
        if self.match_expressions.as_ref().is_some_and(|list| !list.is_empty()) {
            return None;
        }
        ServiceRef::read(names, self.match_labels.as_ref()?)
    }

    /// Whether it selects no node on purpose.
    pub fn is_memory(&self, names: &Names) -> bool {
        self.match_labels
            .as_ref()
            .is_some_and(|labels| is_memory(names, labels))
    }

    /// The one host that it selects, if that is what it is for.
    pub fn selects(&self) -> Option<&str> {
        let labels = self.match_labels.as_ref().filter(|labels| labels.len() == 1)?;
        labels.get(LABEL_HOST).map(String::as_str)
    }
}

/// Whether two lists hold the same selectors, in any order.
pub fn is_same_set(one: &[NodeSelector], other: &[NodeSelector]) -> bool {
    let sorted = |list: &[NodeSelector]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(one) == sorted(other)
}

/// What is not given comes before what is, a short list before a long one, then the sorted elements decide.
fn lists<T: Ord>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Ordering {
    match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(mut one), Some(mut other)) => {
            one.sort();
            other.sort();
            one.len().cmp(&other.len()).then_with(|| one.cmp(&other))
        }
    }
}

impl Ord for NodeSelector {
    fn cmp(&self, other: &Self) -> Ordering {
        let labels = |one: &Self| {
            one.match_labels
                .as_ref()
                .map(|labels| labels.iter().map(owned).collect())
        };
        lists::<(String, String)>(labels(self), labels(other))
            .then_with(|| lists(self.match_expressions.clone(), other.match_expressions.clone()))
    }
}

fn owned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

impl PartialEq for NodeSelector {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for NodeSelector {}

impl PartialOrd for NodeSelector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Requirement {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.key, &self.operator)
            .cmp(&(&other.key, &other.operator))
            .then_with(|| lists(self.values.clone(), other.values.clone()))
    }
}

impl PartialEq for Requirement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Requirement {}

impl PartialOrd for Requirement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The labels that a selector of a custom resource asks for, and nothing else.
pub(super) fn only_labels(selector: &Value) -> Option<BTreeMap<String, String>> {
    let fields = selector.as_object()?;
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    if fields.iter().any(|(key, value)| key != "matchLabels" && !empty(value)) {
        return None;
    }
    serde_json::from_value(fields.get("matchLabels")?.clone()).ok()
}
