//! What the server knows about a resource: its names, its shape, its verbs and its rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::custom::Custom;
use crate::kinds::{self, Rules};
use crate::schema::{self, Shape};
use crate::status::Named;

/// All verbs of an ordinary resource.
pub(crate) const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// One resource in one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub list_kind: String,
    pub namespaced: bool,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub verbs: Vec<&'static str>,
    pub subresources: Vec<Subresource>,
    pub shape: Shape,
    /// The name of the collection its objects are in; the two shapes of events share one.
    pub storage: String,
    /// The path under which etcd would keep it; some errors show it.
    pub key_prefix: String,
    pub traits: Traits,
    pub rules: &'static dyn Rules,
    /// Told to everybody who uses the resource.
    pub deprecation: Option<&'static str>,
    /// Set for resources that a CustomResourceDefinition made.
    pub custom: Option<Arc<Custom>>,
}

/// A path below an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subresource {
    pub name: &'static str,
    /// Group, version and kind when they differ from the resource's own.
    pub kind: Option<(&'static str, &'static str, &'static str)>,
    pub verbs: &'static [&'static str],
}

/// What names are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRule {
    Subdomain,
    Label,
    /// Anything that can be one segment of a path: RBAC.
    PathSegment,
}

/// The behaviour of a kind's storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    pub names: NameRule,
    /// PUT on a name that is not there creates.
    pub create_on_update: bool,
    /// PUT without a resourceVersion is last-write-wins.
    pub unconditional_update: bool,
    /// DELETE answers the object instead of a Status.
    pub returns_deleted: bool,
    /// metadata.generation counts changes outside metadata and status.
    pub generation: bool,
    /// An update is validated like a new object, metadata included, besides as a change.
    pub whole: bool,
    /// DELETE waits for the grace period.
    pub graceful: bool,
}

impl Resource {
    /// The group and version as `apiVersion` writes them.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// How errors name it.
    pub fn named(&self) -> Named<'_> {
        Named {
            group: &self.group,
            resource: &self.plural,
        }
    }

    /// The plural with its group, as `kubectl get` takes it: `leases.coordination.k8s.io`.
    pub fn qualified(&self) -> String {
        self.named().to_string()
    }

    /// Brings an object of this kind into the form that is kept; gives the paths of members that it does not have. The error
    /// is the text of what does not decode.
    pub fn decode(&self, object: &mut Value) -> Result<Vec<String>, String> {
        match &self.custom {
            Some(custom) => custom.decode(self, object),
            None => schema::decode(&self.shape, object).map(|decoded| decoded.unknown),
        }
    }

    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// The group under which validation errors name the kind.
    pub fn error_group(&self) -> &str {
        // The two shapes of events are one kind inside.
        if self.storage == "events" { "" } else { &self.group }
    }

    /// Whether objects are kept; reviews are only answered.
    pub fn stored(&self) -> bool {
        self.verbs.contains(&"get")
    }

    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }
}

/// All resources: the built-in ones and those that definitions add.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
}

impl Registry {
    pub fn builtin() -> Self {
        let resources = kinds::all().into_iter().map(|r| (Self::key(&r), Arc::new(r))).collect();
        Self { resources }
    }

    fn key(resource: &Resource) -> (String, String, String) {
        (
            resource.group.clone(),
            resource.version.clone(),
            resource.plural.clone(),
        )
    }

    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// By kind, as an object names itself.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.all()
            .find(|r| r.group == group && r.version == version && r.kind == kind)
    }

    /// By `plural` or `plural.group`.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Resource>> {
        self.all().find(|r| r.qualified() == name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    pub fn has_group(&self, group: &str) -> bool {
        self.all().any(|r| r.group == group)
    }

    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.all().any(|r| r.group == group && r.version == version)
    }

    /// Replaces what a definition made: all versions of `plural.group`.
    pub fn set_custom(&mut self, group: &str, plural: &str, resources: Vec<Resource>) {
        self.resources
            .retain(|_, r| r.custom.is_none() || r.group != group || r.plural != plural);
        for resource in resources {
            self.resources.insert(Self::key(&resource), Arc::new(resource));
        }
    }
}
