//! CustomResourceDefinitions.

use serde_json::{Value, json};

use super::Rules;
use crate::field::FieldError;
use crate::names;
use crate::store::Store;

/// The finalizer that holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// The collection of definitions.
pub(crate) const STORAGE: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Mirrors kubernetes/apiextensions-apiserver pkg/apis/apiextensions/{v1/defaults.go,validation}.
#[derive(Debug)]
pub(crate) struct Definition;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn versions(object: &Value) -> &[Value] {
    object["spec"]["versions"].as_array().map_or(&[], Vec::as_slice)
}

impl Rules for Definition {
    fn default(&self, object: &mut Value) {
        let spec = &mut object["spec"];
        let kind = text(&spec["names"], "kind").to_owned();
        if spec["names"].get("singular").is_none() && !kind.is_empty() {
            spec["names"]["singular"] = json!(kind.to_lowercase());
        }
        if spec["names"].get("listKind").is_none() && !kind.is_empty() {
            spec["names"]["listKind"] = json!(format!("{kind}List"));
        }
        if spec.get("conversion").is_none() {
            spec["conversion"] = json!({"strategy": "None"});
        }
    }

    fn prepare_create(&self, object: &mut Value, _store: &Store) -> Vec<FieldError> {
        let stored: Vec<Value> = versions(object)
            .iter()
            .filter(|v| v["storage"] == true)
            .map(|v| v["name"].clone())
            .collect();
        object["status"] = json!({
            "conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored,
        });
        Vec::new()
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = &object["spec"];
        let (group, plural) = (text(spec, "group"), text(&spec["names"], "plural"));
        let name = text(&object["metadata"], "name");
        if !name.is_empty() && name != format!("{plural}.{group}") {
            errors.push(FieldError::invalid(
                "metadata.name",
                name,
                "must be spec.names.plural+\".\"+spec.group",
            ));
        }
        if group.is_empty() {
            errors.push(FieldError::required("spec.group", ""));
        } else {
            errors.extend(
                names::dns_subdomain(group)
                    .iter()
                    .map(|p| FieldError::invalid("spec.group", group, p)),
            );
            if !group.contains('.') {
                errors.push(FieldError::invalid(
                    "spec.group",
                    group,
                    "should be a domain with at least one dot",
                ));
            }
        }
        let scope = text(spec, "scope");
        if !["Cluster", "Namespaced"].contains(&scope) {
            errors.push(FieldError::not_supported(
                "spec.scope",
                scope,
                &["Cluster", "Namespaced"],
            ));
        }
        let stored = versions(object).iter().filter(|v| v["storage"] == true).count();
        if stored != 1 {
            let why = "must have exactly one version marked as storage version";
            errors.push(FieldError::invalid("spec.versions", json!(versions(object)), why));
        }
        for (i, version) in versions(object).iter().enumerate() {
            let at = format!("spec.versions[{i}]");
            let name = text(version, "name");
            errors.extend(
                names::dns_label(name)
                    .iter()
                    .map(|p| FieldError::invalid(format!("{at}.name"), name, p)),
            );
            let schema = &version["schema"]["openAPIV3Schema"];
            if schema.is_null() {
                errors.push(FieldError::required(format!("{at}.schema.openAPIV3Schema"), ""));
            } else if schema["type"] != "object" {
                let why = "must be object at the root";
                errors.push(FieldError::required(format!("{at}.schema.openAPIV3Schema.type"), why));
            }
        }
        for member in ["plural", "kind"] {
            if text(&spec["names"], member).is_empty() {
                errors.push(FieldError::required(format!("spec.names.{member}"), ""));
            }
        }
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = self.validate(new);
        for path in ["/spec/group", "/spec/scope", "/spec/names/plural", "/spec/names/kind"] {
            if new.pointer(path) != old.pointer(path) {
                let value = new.pointer(path).cloned().unwrap_or_default();
                errors.push(FieldError::invalid(
                    path[1..].replace('/', "."),
                    value,
                    "field is immutable",
                ));
            }
        }
        errors
    }
}
