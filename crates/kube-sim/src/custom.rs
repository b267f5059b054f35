//! Resources that CustomResourceDefinitions make.

mod decode;
mod shape;
mod validate;

use serde_json::Value;

use crate::field::FieldError;
use crate::kinds::Rules;
use crate::resource::{NameRule, Resource, Subresource, Traits};

const STATUS: Subresource = Subresource {
    name: "status",
    kind: None,
    verbs: &["get", "patch", "update"],
};
/// The order in which discovery gives the verbs of a custom resource.
const VERBS: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// What a definition adds to a resource beyond its shape.
#[derive(Debug)]
pub(crate) struct Custom {
    /// The `openAPIV3Schema` of the version.
    schema: Value,
    /// What `kubectl get` prints besides the name.
    pub columns: Vec<Value>,
}

impl Custom {
    /// Prunes and defaults an object; gives the paths of what was dropped. The error is the text of metadata that does not
    /// decode.
    pub fn decode(&self, resource: &Resource, object: &mut Value) -> Result<Vec<String>, String> {
        decode::decode(&resource.shape, &self.schema, object)
    }

    /// What is wrong with an object by the schema.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        validate::validate(&self.schema, object)
    }
}

/// Custom resources have no rules but their schema.
#[derive(Debug)]
struct CustomRules;
impl Rules for CustomRules {}

/// The resources of a definition, one for each version that is served.
pub(crate) fn resources(definition: &Value) -> Vec<Resource> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let versions = spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|v| v["served"] == true);
    versions
        .map(|version| {
            let schema = version["schema"]["openAPIV3Schema"].clone();
            let mut subresources = Vec::new();
            if version["subresources"].get("status").is_some() {
                subresources.push(STATUS);
            }
            Resource {
                group: group.clone(),
                version: text(&version["name"]),
                plural: plural.clone(),
                singular: text(&names["singular"]),
                kind: text(&names["kind"]),
                list_kind: text(&names["listKind"]),
                namespaced: spec["scope"] == "Namespaced",
                short_names: list(&names["shortNames"]),
                categories: list(&names["categories"]),
                verbs: VERBS.to_vec(),
                subresources,
                shape: shape::shape(&schema),
                storage: format!("{plural}.{group}"),
                key_prefix: format!("/registry/{group}/{plural}"),
                traits: Traits {
                    names: NameRule::Subdomain,
                    create_on_update: false,
                    unconditional_update: false,
                    returns_deleted: false,
                    generation: true,
                    whole: false,
                    graceful: false,
                },
                rules: &CustomRules,
                deprecation: None,
                custom: Some(std::sync::Arc::new(Custom {
                    schema,
                    columns: version["additionalPrinterColumns"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default(),
                })),
            }
        })
        .collect()
}
