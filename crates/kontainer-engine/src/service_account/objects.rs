//! The objects, and how each is made sure of.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::Class;
use kube::Resource;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BootstrapError, Names, class_of};

/// The group of the RBAC API.
const RBAC: &str = "rbac.authorization.k8s.io";
/// The label of roles that the API server itself maintains.
const MAINTAINED: &str = "kubernetes.io/bootstrapping";

/// What is to be done about an object that exists.
pub(super) enum Verdict<K> {
    /// Nothing.
    Right,
    /// It must be written like this, with the resource version it was read with.
    Wrong(Box<K>),
    /// It can not be changed into what it must be: delete it, make it anew.
    Replace,
}

/// `service account cattle-system/kontainer-engine`, for messages.
pub(super) fn what<K: Resource<DynamicType = ()>>(name: &str) -> String {
    format!("{} {name}", K::kind(&()))
}

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

pub(super) fn namespace(names: &Names) -> Namespace {
    Namespace {
        metadata: meta(&names.namespace),
        ..Namespace::default()
    }
}

pub(super) fn service_account(names: &Names) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(&names.service_account),
        ..ServiceAccount::default()
    }
}

pub(super) fn cluster_role(names: &Names) -> ClusterRole {
    let all = || Some(vec!["*".to_owned()]);
    let everything = PolicyRule {
        api_groups: all(),
        resources: all(),
        verbs: vec!["*".to_owned()],
        ..PolicyRule::default()
    };
    let every_path = PolicyRule {
        non_resource_urls: all(),
        verbs: vec!["*".to_owned()],
        ..PolicyRule::default()
    };
    ClusterRole {
        metadata: meta(&names.cluster_role),
        rules: Some(vec![everything, every_path]),
        ..ClusterRole::default()
    }
}

/// A role must allow everything. One that Kubernetes maintains is its own business.
pub(super) fn judge_role(found: &ClusterRole) -> Verdict<ClusterRole> {
    let maintained = found
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(MAINTAINED));
    let wanted = cluster_role(&Names::default()).rules.unwrap_or_default();
    let rules = found.rules.as_deref().unwrap_or_default();
    if maintained || wanted.iter().all(|rule| rules.contains(rule)) {
        return Verdict::Right;
    }
    let mut right = found.clone();
    right.rules.get_or_insert_default().extend(wanted);
    Verdict::Wrong(Box::new(right))
}

fn subject(names: &Names) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: names.service_account.clone(),
        namespace: Some(names.namespace.clone()),
        api_group: None,
    }
}

pub(super) fn cluster_role_binding(names: &Names) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: meta(&names.cluster_role_binding),
        role_ref: RoleRef {
            api_group: Some(RBAC.to_owned()),
            kind: "ClusterRole".to_owned(),
            name: names.cluster_role.clone(),
        },
        subjects: Some(vec![subject(names)]),
    }
}

/// A binding must name our account and our role. Kubernetes does not let the role of a binding change.
pub(super) fn judge_binding(found: &ClusterRoleBinding, names: &Names) -> Verdict<ClusterRoleBinding> {
    let wanted = subject(names);
    let is_ours =
        |one: &Subject| (&one.kind, &one.name, &one.namespace) == (&wanted.kind, &wanted.name, &wanted.namespace);
    let role = &found.role_ref;
    if (role.kind.as_str(), role.name.as_str()) != ("ClusterRole", names.cluster_role.as_str()) {
        return Verdict::Replace;
    }
    if found.subjects.iter().flatten().any(is_ours) {
        return Verdict::Right;
    }
    let mut right = found.clone();
    right.subjects.get_or_insert_default().push(wanted);
    Verdict::Wrong(Box::new(right))
}

/// Reads the object, makes it when it is missing, and puts it right when `judge` says so. A conflict is returned as
/// such: the caller starts again from what is there then.
pub(super) async fn ensure<K>(api: &Api<K>, wanted: &K, judge: impl Fn(&K) -> Verdict<K>) -> Result<K, BootstrapError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let name = wanted.meta().name.as_deref().unwrap_or_default();
    let read = |source| BootstrapError::Read {
        what: what::<K>(name),
        source: Box::new(source),
    };
    let write = |source| BootstrapError::Write {
        what: what::<K>(name),
        source: Box::new(source),
    };
    // Reading first: a create goes through admission webhooks, which may be down while the cluster comes up.
    let Some(found) = api.get_opt(name).await.map_err(read)? else {
        return create(api, name, wanted).await;
    };
    match judge(&found) {
        Verdict::Right => Ok(found),
        Verdict::Wrong(right) => api.replace(name, &PostParams::default(), &right).await.map_err(write),
        Verdict::Replace => {
            let only_this = DeleteParams::default().preconditions(Preconditions {
                uid: found.meta().uid.clone(),
                resource_version: None,
            });
            match api.delete(name, &only_this).await {
                Err(source) if class_of(&source) != Class::NotFound => Err(BootstrapError::Delete {
                    what: what::<K>(name),
                    source: Box::new(source),
                }),
                _ => create(api, name, wanted).await,
            }
        }
    }
}

async fn create<K>(api: &Api<K>, name: &str, wanted: &K) -> Result<K, BootstrapError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), wanted).await {
        // Somebody else was quicker. Whether theirs is right, the next look tells.
        Err(source) if class_of(&source) == Class::Conflict => {
            api.get(name).await.map_err(|source| BootstrapError::Read {
                what: what::<K>(name),
                source: Box::new(source),
            })
        }
        created => created.map_err(|source| BootstrapError::Write {
            what: what::<K>(name),
            source: Box::new(source),
        }),
    }
}
