//! ConfigMaps.

use serde_json::Value;

use super::Rules;
use crate::field::FieldError;
use crate::names::config_key;

const TOTAL: usize = 1024 * 1024;

/// Mirrors kubernetes/kubernetes pkg/apis/core/validation `ValidateConfigMap`.
#[derive(Debug)]
pub(crate) struct ConfigMap;

impl Rules for ConfigMap {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut total = 0;
        let binary = object["binaryData"].as_object();
        for (key, value) in sorted(object["data"].as_object()) {
            errors.extend(config_key(&format!("data[{key}]"), key));
            if binary.is_some_and(|b| b.contains_key(key)) {
                errors.push(FieldError::invalid(
                    format!("data[{key}]"),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                ));
            }
            total += value.as_str().map_or(0, str::len);
        }
        for (key, value) in sorted(binary) {
            errors.extend(config_key(&format!("binaryData[{key}]"), key));
            total += value.as_str().map_or(0, |v| v.len() / 4 * 3);
        }
        if total > TOTAL {
            // The root of an object has no path; the real server prints it so.
            errors.push(FieldError::too_long("[]", TOTAL));
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = immutable(new, old, &["data", "binaryData"]);
        errors.extend(self.validate(new));
        errors
    }
}

/// Members in the order of their names, as Go's sorted iteration gives them.
pub(super) fn sorted(map: Option<&serde_json::Map<String, Value>>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.into_iter().flatten().collect();
    members.sort_by_key(|(key, _)| *key);
    members
}

/// What may not change once `immutable` is set.
pub(super) fn immutable(new: &Value, old: &Value, members: &[&str]) -> Vec<FieldError> {
    const WHY: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", WHY));
    }
    for &member in members {
        if new[member] != old[member] {
            errors.push(FieldError::forbidden(member, WHY));
        }
    }
    errors
}
