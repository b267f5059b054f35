//! The built-in resources: one row each, and the rules that are special to a kind in a module of its own.

mod config;
mod lease;
mod namespace;
mod node;
mod rbac;
pub(crate) mod secret;

use std::fmt::Debug;

use serde_json::Value;

use crate::field::FieldError;
use crate::resource::{ALL_VERBS, NameRule, Resource, Subresource, Traits};
use crate::schema::Shape;
use crate::store::Store;

/// What is special to a kind. Everything has a default: most kinds are only data.
pub(crate) trait Rules: Debug + Sync + Send {
    /// Fills what was left out, beyond the defaults of the type table.
    fn default(&self, _object: &mut Value) {}

    /// Before an object is created; may allocate from what the store holds.
    fn prepare_create(&self, _object: &mut Value, _store: &Store) -> Vec<FieldError> {
        Vec::new()
    }

    /// Before an object is replaced through its main path.
    fn prepare_update(&self, _new: &mut Value, _old: &Value, _store: &Store) -> Vec<FieldError> {
        Vec::new()
    }

    /// Before an object is replaced through `/status`. What status writes may not change has been restored already.
    fn prepare_status(&self, _new: &mut Value, _old: &Value) {}

    /// What is wrong with an object.
    fn validate(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with a change.
    fn validate_update(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        self.validate(new)
    }

    /// What is wrong with a change of the status.
    fn validate_status(&self, _new: &Value, _old: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// What people are warned of.
    fn warnings(&self, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }
}

/// A kind without special rules.
#[derive(Debug)]
pub(crate) struct Plain;
impl Rules for Plain {}

const STATUS: Subresource = Subresource {
    name: "status",
    kind: None,
    verbs: &["get", "patch", "update"],
};

const ORDINARY: Traits = Traits {
    names: NameRule::Subdomain,
    create_on_update: false,
    unconditional_update: true,
    returns_deleted: false,
    generation: false,
    graceful: false,
};

/// A row of the table, in the order in which errors and discovery name things.
fn row(group: &str, version: &str, plural: &str, kind: &str, rules: &'static dyn Rules) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_ascii_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: true,
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: ALL_VERBS.to_vec(),
        subresources: Vec::new(),
        shape: Shape::builtin(kind),
        storage: if group.is_empty() {
            plural.to_owned()
        } else {
            format!("{plural}.{group}")
        },
        key_prefix: format!("/registry/{plural}"),
        traits: ORDINARY,
        rules,
        custom: None,
    }
}

impl Resource {
    fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|&n| n.to_owned()).collect();
        self
    }

    fn category(mut self, name: &str) -> Self {
        self.categories.push(name.to_owned());
        self
    }

    fn sub(mut self, sub: Subresource) -> Self {
        self.subresources.push(sub);
        self
    }

    fn verbs(mut self, verbs: &[&'static str]) -> Self {
        self.verbs = verbs.to_vec();
        self
    }

    fn key(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.key_prefix);
        self
    }

    fn traits(mut self, change: impl FnOnce(&mut Traits)) -> Self {
        change(&mut self.traits);
        self
    }
}

fn review(group: &str, plural: &str, kind: &str, shape: &str) -> Resource {
    let mut resource = row(group, "v1", plural, shape, &Plain).cluster().verbs(&["create"]);
    kind.clone_into(&mut resource.kind);
    resource.singular = kind.to_ascii_lowercase();
    resource
}

/// Every built-in resource.
pub(crate) fn all() -> Vec<Resource> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const AUTHN: &str = "authentication.k8s.io";
    const AUTHZ: &str = "authorization.k8s.io";
    let rbac = |plural, kind, rules| {
        row(RBAC, "v1", plural, kind, rules).traits(|t| {
            t.names = NameRule::PathSegment;
            t.create_on_update = true;
        })
    };
    let token = Subresource {
        name: "token",
        kind: Some((AUTHN, "v1", "TokenRequest")),
        verbs: &["create"],
    };
    let finalize = Subresource {
        name: "finalize",
        kind: None,
        verbs: &["update"],
    };
    vec![
        row("", "v1", "configmaps", "ConfigMap", &config::ConfigMap).short(&["cm"]),
        row("", "v1", "namespaces", "Namespace", &namespace::Namespace)
            .cluster()
            .short(&["ns"])
            .verbs(&["create", "delete", "get", "list", "patch", "update", "watch"])
            .sub(finalize)
            .sub(STATUS)
            .traits(|t| t.names = NameRule::Label),
        row("", "v1", "nodes", "Node", &node::Node)
            .cluster()
            .short(&["no"])
            .key("/registry/minions")
            .sub(STATUS),
        row("", "v1", "secrets", "Secret", &secret::Secret),
        row("", "v1", "serviceaccounts", "ServiceAccount", &Plain)
            .short(&["sa"])
            .sub(token)
            .traits(|t| t.returns_deleted = true),
        row("coordination.k8s.io", "v1", "leases", "Lease", &lease::Lease).traits(|t| {
            t.create_on_update = true;
            t.unconditional_update = false;
        }),
        rbac("clusterrolebindings", "ClusterRoleBinding", &rbac::Binding).cluster(),
        rbac("clusterroles", "ClusterRole", &rbac::Role).cluster(),
        rbac("rolebindings", "RoleBinding", &rbac::Binding),
        rbac("roles", "Role", &rbac::Role),
        review(AUTHN, "selfsubjectreviews", "SelfSubjectReview", "SelfSubjectReview"),
        review(AUTHN, "tokenreviews", "TokenReview", "TokenReview"),
        Resource {
            namespaced: true,
            ..review(
                AUTHZ,
                "localsubjectaccessreviews",
                "LocalSubjectAccessReview",
                "SubjectAccessReview",
            )
        },
        review(
            AUTHZ,
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            "SelfSubjectAccessReview",
        ),
        review(
            AUTHZ,
            "selfsubjectrulesreviews",
            "SelfSubjectRulesReview",
            "SelfSubjectRulesReview",
        ),
        review(
            AUTHZ,
            "subjectaccessreviews",
            "SubjectAccessReview",
            "SubjectAccessReview",
        ),
    ]
}
