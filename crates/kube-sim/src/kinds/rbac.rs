//! Roles and bindings.

use serde_json::{Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::json::list_mut;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Role and ClusterRole. Mirrors kubernetes/kubernetes pkg/apis/rbac/validation.
#[derive(Debug)]
pub(crate) struct Role;

impl Rules for Role {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let namespaced = object["kind"] == "Role";
        let mut errors = Vec::new();
        for (i, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
            let at = |member: &str| format!("rules[{i}].{member}");
            let empty = |member: &str| rule[member].as_array().is_none_or(Vec::is_empty);
            if empty("verbs") {
                errors.push(FieldError::required(
                    at("verbs"),
                    "verbs must contain at least one value",
                ));
            }
            if !empty("nonResourceURLs") {
                let urls = rule["nonResourceURLs"].clone();
                if namespaced {
                    let why = "namespaced rules cannot apply to non-resource URLs";
                    errors.push(FieldError::invalid(at("nonResourceURLs"), urls, why));
                } else if !empty("apiGroups") || !empty("resources") || !empty("resourceNames") {
                    let why = "rules cannot apply to both regular resources and non-resource URLs";
                    errors.push(FieldError::invalid(at("nonResourceURLs"), urls, why));
                }
                continue;
            }
            if empty("apiGroups") {
                errors.push(FieldError::required(
                    at("apiGroups"),
                    "resource rules must supply at least one api group",
                ));
            }
            if empty("resources") {
                errors.push(FieldError::required(
                    at("resources"),
                    "resource rules must supply at least one resource",
                ));
            }
        }
        errors
    }
}

/// RoleBinding and ClusterRoleBinding.
#[derive(Debug)]
pub(crate) struct Binding;

impl Rules for Binding {
    fn default(&self, object: &mut Value) {
        if object["roleRef"]["apiGroup"].as_str().unwrap_or_default().is_empty() {
            object["roleRef"]["apiGroup"] = json!(GROUP);
        }
        for subject in list_mut(object, "/subjects") {
            if matches!(subject["kind"].as_str(), Some("User" | "Group")) && subject.get("apiGroup").is_none() {
                subject["apiGroup"] = json!(GROUP);
            }
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let namespaced = object["kind"] == "RoleBinding";
        let reference = &object["roleRef"];
        let text = |member: &str| reference[member].as_str().unwrap_or_default();
        let mut errors = Vec::new();
        if text("apiGroup") != GROUP {
            errors.push(FieldError::not_supported(
                "roleRef.apiGroup",
                text("apiGroup"),
                &[GROUP],
            ));
        }
        let kinds: &[&str] = if namespaced {
            &["Role", "ClusterRole"]
        } else {
            &["ClusterRole"]
        };
        if !kinds.contains(&text("kind")) {
            errors.push(FieldError::not_supported("roleRef.kind", text("kind"), kinds));
        }
        if text("name").is_empty() {
            errors.push(FieldError::required("roleRef.name", ""));
        }
        for (i, subject) in object["subjects"].as_array().into_iter().flatten().enumerate() {
            errors.extend(
                subject_errors(subject, namespaced)
                    .into_iter()
                    .map(|e| e.below(&format!("subjects[{i}]"))),
            );
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = self.validate(new);
        if new["roleRef"] != old["roleRef"] {
            let r = &new["roleRef"];
            let shown = json!({"APIGroup": r["apiGroup"], "Kind": r["kind"], "Name": r["name"]});
            errors.push(FieldError::invalid("roleRef", shown, "cannot change roleRef"));
        }
        errors
    }
}

fn subject_errors(subject: &Value, namespaced: bool) -> Vec<FieldError> {
    let text = |member: &str| subject[member].as_str().unwrap_or_default();
    let mut errors = Vec::new();
    if text("name").is_empty() {
        errors.push(FieldError::required("name", ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            if !text("apiGroup").is_empty() {
                errors.push(FieldError::not_supported("apiGroup", text("apiGroup"), &[""]));
            }
            if !namespaced && text("namespace").is_empty() {
                errors.push(FieldError::required("namespace", ""));
            }
        }
        "User" | "Group" => {
            if text("apiGroup") != GROUP {
                errors.push(FieldError::not_supported("apiGroup", text("apiGroup"), &[GROUP]));
            }
        }
        other => errors.push(FieldError::not_supported(
            "kind",
            other,
            &["ServiceAccount", "User", "Group"],
        )),
    }
    errors
}
