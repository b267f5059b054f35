//! Sets of field paths. Mirrors kubernetes-sigs/structured-merge-diff fieldpath/set.go.
//!
//! A step of a path is text in the form of FieldsV1: `f:name` for a member, `k:{...}` for an element of a keyed list, `v:...`
//! for an element of a set.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A set of paths, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub members: BTreeSet<String>,
    pub children: BTreeMap<String, Set>,
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    pub fn insert(&mut self, path: &[String]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub fn remove_member(&mut self, step: &str) {
        self.members.remove(step);
    }

    fn tidy(mut self) -> Self {
        self.children.retain(|_, child| !child.is_empty());
        self
    }

    pub fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let merged = out
                .children
                .get(step)
                .map_or_else(|| child.clone(), |own| own.union(child));
            out.children.insert(step.clone(), merged);
        }
        out
    }

    /// The paths that are not in `other`, path by path.
    pub fn without(&self, other: &Set) -> Set {
        let empty = Set::default();
        Set {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self
                .children
                .iter()
                .map(|(step, child)| (step.clone(), child.without(other.children.get(step).unwrap_or(&empty))))
                .collect(),
        }
        .tidy()
    }

    /// The paths that are neither in `other` nor below one of its paths.
    pub fn without_below(&self, other: &Set) -> Set {
        let empty = Set::default();
        Set {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self
                .children
                .iter()
                .filter(|(step, _)| !other.members.contains(*step))
                .map(|(step, child)| {
                    (
                        step.clone(),
                        child.without_below(other.children.get(step).unwrap_or(&empty)),
                    )
                })
                .collect(),
        }
        .tidy()
    }

    /// The paths of which `other` has neither the path itself nor anything below it.
    pub fn not_in(&self, other: &Set) -> Set {
        let empty = Set::default();
        Set {
            members: self
                .members
                .iter()
                .filter(|step| !other.members.contains(*step) && !other.children.contains_key(*step))
                .cloned()
                .collect(),
            children: self
                .children
                .iter()
                .map(|(step, child)| (step.clone(), child.not_in(other.children.get(step).unwrap_or(&empty))))
                .collect(),
        }
        .tidy()
    }

    pub fn intersection(&self, other: &Set) -> Set {
        Set {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: self
                .children
                .iter()
                .filter_map(|(step, child)| Some((step.clone(), child.intersection(other.children.get(step)?))))
                .collect(),
        }
        .tidy()
    }

    /// All paths as people read them: `.spec.ports[port=80,protocol="TCP"].name`.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect("", &mut out);
        out
    }

    fn collect(&self, prefix: &str, out: &mut Vec<String>) {
        let steps: BTreeSet<&String> = self.members.iter().chain(self.children.keys()).collect();
        for step in steps {
            let path = format!("{prefix}{}", show(step));
            if self.members.contains(step) {
                out.push(path.clone());
            }
            if let Some(child) = self.children.get(step) {
                child.collect(&path, out);
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let steps: BTreeSet<&String> = self.members.iter().chain(self.children.keys()).collect();
        for step in steps {
            let mut inner = Map::new();
            if let Some(child) = self.children.get(step).filter(|c| !c.is_empty()) {
                if self.members.contains(step) {
                    inner.insert(".".to_owned(), json!({}));
                }
                if let Value::Object(members) = child.to_json() {
                    inner.extend(members);
                }
            }
            out.insert(step.clone(), Value::Object(inner));
        }
        Value::Object(out)
    }

    pub fn from_json(value: &Value) -> Set {
        let mut set = Set::default();
        for (step, inner) in value.as_object().into_iter().flatten().filter(|(step, _)| *step != ".") {
            let child = Set::from_json(inner);
            let itself = inner.get(".").is_some() || inner.as_object().is_none_or(Map::is_empty);
            if itself {
                set.members.insert(step.clone());
            }
            if !child.is_empty() {
                set.children.insert(step.clone(), child);
            }
        }
        set
    }
}

/// One step as people read it.
pub(super) fn show(step: &str) -> String {
    if let Some(name) = step.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = step.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys = step
        .strip_prefix("k:")
        .and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    let parts: Vec<String> = keys
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("[{}]", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Set {
        Set::from_json(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn sets_go_to_json_and_back() {
        let text = r#"{"f:data":{".":{},"f:x":{}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}}}}"#;
        assert_eq!(set(text).to_json().to_string(), text);
        assert_eq!(
            set(text).paths(),
            [
                ".data",
                ".data.x",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].name"
            ]
        );
    }

    #[test]
    fn union_and_difference_are_inverse_for_disjoint_sets() {
        let (a, b) = (set(r#"{"f:a":{"f:x":{}}}"#), set(r#"{"f:a":{"f:y":{}},"f:b":{}}"#));
        assert_eq!(a.union(&b).without(&b), a);
        assert!(a.intersection(&b).is_empty());
        assert!(a.without_below(&set(r#"{"f:a":{}}"#)).is_empty());
    }
}
