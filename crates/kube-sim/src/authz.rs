//! Who may: RBAC over the roles and bindings in the store.
//!
//! Mirrors kubernetes/kubernetes plugin/pkg/auth/authorizer/rbac.

use serde_json::Value;

use crate::authn::User;
use crate::meta;
use crate::request::RequestInfo;
use crate::status::{Named, Status};
use crate::store::Store;

/// What somebody wants to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// Set for paths that are no resources.
    pub path: Option<String>,
}

impl Attributes {
    pub fn of(info: &RequestInfo) -> Self {
        Self {
            verb: info.verb.to_owned(),
            group: info.group.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
            path: (!info.is_resource).then(|| info.path.clone()),
        }
    }

    fn combined(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// The outcome: allowed with a reason (empty for administrators), or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed(String),
    NoOpinion,
}

/// Decides over one request.
pub(crate) fn authorize(store: &Store, user: &User, attributes: &Attributes) -> Decision {
    if user.in_group("system:masters") {
        return Decision::Allowed(String::new());
    }
    let mut decision = Decision::NoOpinion;
    visit_rules(store, user, &attributes.namespace, |rule, reason| {
        let found = decision == Decision::NoOpinion && allows(rule, attributes);
        if found {
            decision = Decision::Allowed(format!("RBAC: allowed by {reason}"));
        }
        !found
    });
    decision
}

/// Calls `visit` with every rule that holds for the user, and where it comes from, until it returns false.
pub(crate) fn visit_rules(store: &Store, user: &User, namespace: &str, mut visit: impl FnMut(&Value, &str) -> bool) {
    let kinds = [
        ("clusterrolebindings", "ClusterRoleBinding", ""),
        ("rolebindings", "RoleBinding", namespace),
    ];
    for (plural, kind, within) in kinds {
        if kind == "RoleBinding" && namespace.is_empty() {
            continue;
        }
        for (key, binding) in store.list(&format!("{plural}.rbac.authorization.k8s.io"), within) {
            let Some(subject) = applies(&binding, user, within) else {
                continue;
            };
            let role_kind = binding["roleRef"]["kind"].as_str().unwrap_or_default();
            let role_name = binding["roleRef"]["name"].as_str().unwrap_or_default();
            let role = match role_kind {
                "ClusterRole" => store.get("clusterroles.rbac.authorization.k8s.io", "", role_name),
                _ => store.get("roles.rbac.authorization.k8s.io", within, role_name),
            };
            let at = if within.is_empty() {
                key.1.clone()
            } else {
                format!("{}/{}", key.1, key.0)
            };
            let reason = format!("{kind} \"{at}\" of {role_kind} \"{role_name}\" to {subject}");
            let rules = role.map(|r| r["rules"].clone()).unwrap_or_default();
            for rule in rules.as_array().into_iter().flatten() {
                if !visit(rule, &reason) {
                    return;
                }
            }
        }
    }
}

/// The subject of a binding that the user is, in words.
fn applies(binding: &Value, user: &User, namespace: &str) -> Option<String> {
    binding["subjects"].as_array()?.iter().find_map(|subject| {
        let text = |member: &str| subject[member].as_str().unwrap_or_default();
        let name = text("name");
        match text("kind") {
            "User" => (user.name == name).then(|| format!("User \"{name}\"")),
            "Group" => user.in_group(name).then(|| format!("Group \"{name}\"")),
            "ServiceAccount" => {
                let within = if text("namespace").is_empty() {
                    namespace
                } else {
                    text("namespace")
                };
                (user.name == crate::tokens::subject(within, name))
                    .then(|| format!("ServiceAccount \"{name}/{within}\""))
            }
            _ => None,
        }
    })
}

fn listed(rule: &Value, member: &str, wanted: &str) -> bool {
    rule[member]
        .as_array()
        .into_iter()
        .flatten()
        .any(|v| v == "*" || v == wanted)
}

/// Whether one rule covers a request.
pub(crate) fn allows(rule: &Value, wanted: &Attributes) -> bool {
    if !listed(rule, "verbs", &wanted.verb) {
        return false;
    }
    if let Some(path) = &wanted.path {
        let urls = rule["nonResourceURLs"].as_array();
        return urls
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|url| match url.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => url == path,
            });
    }
    let resource = wanted.combined();
    let any_parent = format!("*/{}", wanted.subresource);
    let resources = rule["resources"].as_array();
    let covered = resources
        .into_iter()
        .flatten()
        .any(|r| r == "*" || *r == resource.as_str() || (!wanted.subresource.is_empty() && *r == any_parent.as_str()));
    let names = rule["resourceNames"].as_array();
    listed(rule, "apiGroups", &wanted.group)
        && covered
        && names.is_none_or(|names| names.is_empty() || names.iter().any(|n| *n == wanted.name.as_str()))
}

/// The answer to somebody who may not.
pub(crate) fn denied(user: &User, info: &RequestInfo) -> Status {
    let attributes = Attributes::of(info);
    if let Some(path) = &attributes.path {
        let why = format!("User \"{}\" cannot {} path \"{path}\"", user.name, info.verb);
        let nothing = Named {
            group: "",
            resource: "",
        };
        return Status::forbidden(nothing, "", &why);
    }
    let scope = if info.namespace.is_empty() || info.resource == "namespaces" && info.namespace == info.name {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", info.namespace)
    };
    let why = format!(
        "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
        user.name,
        info.verb,
        attributes.combined(),
        info.group
    );
    let of = Named {
        group: &info.group,
        resource: &info.resource,
    };
    Status::forbidden(of, &info.name, &why)
}

/// What a role asks for that its writer does not have, rule by rule: nobody hands out more than they hold.
pub(crate) fn escalation(store: &Store, user: &User, namespace: &str, role: &Value) -> Vec<Value> {
    if user.in_group("system:masters") {
        return Vec::new();
    }
    let single = |rule: &Value, member: &str| -> Vec<String> {
        rule[member]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let mut held = Vec::new();
    visit_rules(store, user, namespace, |rule, _| {
        held.push(rule.clone());
        true
    });
    let has = |wanted: &Attributes| held.iter().any(|rule| allows(rule, wanted));
    let mut missing = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let urls = single(rule, "nonResourceURLs");
        let names = single(rule, "resourceNames");
        let names = if names.is_empty() { vec![String::new()] } else { names };
        let covered = single(rule, "verbs").iter().all(|verb| {
            urls.iter().all(|url| {
                has(&Attributes {
                    verb: verb.clone(),
                    path: Some(url.clone()),
                    ..Attributes::default()
                })
            }) && single(rule, "apiGroups").iter().all(|group| {
                single(rule, "resources").iter().all(|resource| {
                    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                    names.iter().all(|name| {
                        has(&Attributes {
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.to_owned(),
                            subresource: subresource.to_owned(),
                            name: name.clone(),
                            namespace: namespace.to_owned(),
                            path: None,
                        })
                    })
                })
            })
        });
        if !covered {
            missing.push(rule.clone());
        }
    }
    missing
}

/// The role that a binding hands out, when it is there.
pub(crate) fn bound_role(store: &Store, binding: &Value) -> Option<Value> {
    let name = binding["roleRef"]["name"].as_str()?;
    let role = if binding["roleRef"]["kind"] == "ClusterRole" {
        store.get("clusterroles.rbac.authorization.k8s.io", "", name)
    } else {
        store.get("roles.rbac.authorization.k8s.io", meta::namespace(binding), name)
    };
    role.map(|r| Value::clone(r))
}
