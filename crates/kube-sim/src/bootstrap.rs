//! What a fresh cluster holds before anybody writes: namespaces, the server's own Service, roles and bindings.

use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io";

fn role(name: &str, rules: &Value) -> Value {
    labelled("ClusterRole", name, json!({"rules": rules}))
}

fn labelled(kind: &str, name: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = json!(format!("{RBAC}/v1"));
    rest["kind"] = json!(kind);
    rest["metadata"] = json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    });
    rest
}

fn binding(name: &str, role: &str, groups: &[&str]) -> Value {
    let subjects: Vec<Value> = groups
        .iter()
        .map(|g| json!({"kind": "Group", "apiGroup": RBAC, "name": g}))
        .collect();
    let role = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": role});
    labelled(
        "ClusterRoleBinding",
        name,
        json!({"subjects": subjects, "roleRef": role}),
    )
}

/// The objects, in the order in which they are made.
pub(crate) fn objects() -> Vec<Value> {
    let mut out: Vec<Value> = ["default", "kube-node-lease", "kube-public", "kube-system"]
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .collect();
    out.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": "10.96.0.1", "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443}],
        },
    }));
    let read = json!(["get", "list", "watch"]);
    let write = json!(["create", "delete", "deletecollection", "patch", "update"]);
    let core = json!([
        "configmaps",
        "endpoints",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "serviceaccounts",
        "services",
        "services/status",
    ]);
    let editable = json!([
        "configmaps",
        "endpoints",
        "events",
        "persistentvolumeclaims",
        "pods",
        "secrets",
        "serviceaccounts",
        "services",
    ]);
    let slices = json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read});
    let view = json!([{"apiGroups": [""], "resources": core, "verbs": read}, slices,
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": read}]);
    let mut edit = view.as_array().cloned().unwrap_or_default();
    edit.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": read}));
    edit.push(json!({"apiGroups": [""], "resources": editable, "verbs": write}));
    edit.push(json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}));
    edit.push(json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]}));
    let mut admin = edit.clone();
    admin.push(json!({"apiGroups": [RBAC], "resources": ["roles", "rolebindings"],
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]}));
    let urls = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let reviews = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ]);
    let delegator = json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]);
    let everything =
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    let get_urls = |urls: &[&str]| json!([{"nonResourceURLs": urls, "verbs": ["get"]}]);
    out.extend([
        role("cluster-admin", &everything),
        role("admin", &json!(admin)),
        role("edit", &json!(edit)),
        role("view", &view),
        role("system:auth-delegator", &delegator),
        role("system:basic-user", &reviews),
        role("system:discovery", &get_urls(&urls)),
        role(
            "system:public-info-viewer",
            &get_urls(&["/healthz", "/livez", "/readyz", "/version", "/version/"]),
        ),
        binding("cluster-admin", "cluster-admin", &["system:masters"]),
        binding("system:basic-user", "system:basic-user", &["system:authenticated"]),
        binding("system:discovery", "system:discovery", &["system:authenticated"]),
        binding(
            "system:public-info-viewer",
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
        ),
    ]);
    out
}
