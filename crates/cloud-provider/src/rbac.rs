//! The rights that a cloud controller manager needs: these and no others.
//!
//! A test runs all controllers with exactly these, and demands that each is used.

use serde_json::{Value, json};

use crate::manager::migration;

/// One rule of a role.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: &'static str,
    /// What may be done with it.
    pub verbs: &'static [&'static str],
    /// To which object alone, if that is so.
    pub name: Option<&'static str>,
}

const fn rule(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Rule {
    Rule {
        group,
        resource,
        verbs,
        name: None,
    }
}

/// The name of the service account, the roles and the bindings.
pub const ACCOUNT: &str = "cloud-controller-manager";

/// In the whole cluster.
pub const CLUSTER: &[Rule] = &[
    rule("", "nodes", &["get", "list", "watch", "patch", "delete"]),
    rule("", "nodes/status", &["patch"]),
    rule("", "services", &["list", "watch"]),
    rule("", "services/status", &["patch"]),
    rule("", "events", &["create", "patch"]),
];

/// In the namespace of the leases. Creating cannot be confined to a name. The second lease is that of
/// `--enable-leader-migration`; leases of other names (`--leader-elect-resource-name`, `leaderName` in a migration's
/// configuration) need rules of their own.
pub const LEASE: &[Rule] = &[
    rule("coordination.k8s.io", "leases", &["create"]),
    Rule {
        name: Some("cloud-controller-manager"),
        ..rule("coordination.k8s.io", "leases", &["get", "update"])
    },
    Rule {
        name: Some(migration::LEASE),
        ..rule("coordination.k8s.io", "leases", &["get", "update"])
    },
];

fn rules(rules: &[Rule]) -> Value {
    let one = |rule: &Rule| {
        let mut json = json!({ "apiGroups": [rule.group], "resources": [rule.resource], "verbs": rule.verbs });
        if let Some(name) = rule.name {
            json["resourceNames"] = json!([name]);
        }
        json
    };
    rules.iter().map(one).collect()
}

/// All objects to be applied before the manager starts: account, roles, bindings. The last two bindings let it ask who
/// may look at its secure port.
pub fn objects() -> Vec<Value> {
    let api = "rbac.authorization.k8s.io";
    let version = format!("{api}/v1");
    let subject = json!([{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": "kube-system" }]);
    let binding = |kind: &str, name: &str, role_kind: &str, role: &str| {
        let mut object = json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": { "name": name },
            "roleRef": { "apiGroup": api, "kind": role_kind, "name": role },
            "subjects": subject,
        });
        if kind == "RoleBinding" {
            object["metadata"]["namespace"] = "kube-system".into();
        }
        object
    };
    let cluster_role = format!("system:{ACCOUNT}");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT, "namespace": "kube-system" } }),
        json!({ "apiVersion": version, "kind": "ClusterRole", "metadata": { "name": cluster_role }, "rules": rules(CLUSTER) }),
        binding("ClusterRoleBinding", &cluster_role, "ClusterRole", &cluster_role),
        json!({
            "apiVersion": version, "kind": "Role",
            "metadata": { "name": cluster_role, "namespace": "kube-system" }, "rules": rules(LEASE),
        }),
        binding("RoleBinding", &cluster_role, "Role", &cluster_role),
        binding(
            "ClusterRoleBinding",
            &format!("{cluster_role}:auth-delegator"),
            "ClusterRole",
            "system:auth-delegator",
        ),
        binding(
            "RoleBinding",
            &format!("{cluster_role}:authentication-reader"),
            "Role",
            "extension-apiserver-authentication-reader",
        ),
    ]
}

/// The objects as a YAML stream, for `kubectl apply -f`.
pub fn manifest() -> String {
    let mut text = String::from("# Made by `cloud_provider::rbac::manifest`; a test fails when this is stale.\n");
    for object in objects() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object).unwrap_or_default());
    }
    text
}
