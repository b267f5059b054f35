//! The manifest that `kubectl apply` takes.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{folder, hold, rights};

pub const NAME: &str = "cloud-provider-equinix-metal";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All objects but the Secret, which only the operator can write. Names, labels and the command are those of
/// `deploy/template/deployment.yaml` of the Go program, so that applying this replaces that.
pub fn objects() -> Vec<Value> {
    let version = format!("{RBAC}/v1");
    let subjects = json!([{"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}]);
    let role = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": "kube-system"}}),
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rights::cluster()}),
        json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": NAME},
            "roleRef": role("ClusterRole", NAME), "subjects": subjects,
        }),
        json!({
            "apiVersion": version, "kind": "Role", "metadata": {"name": NAME, "namespace": "kube-system"},
            "rules": rights::lease(),
        }),
        json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": NAME, "namespace": "kube-system"},
            "roleRef": role("Role", NAME), "subjects": subjects,
        }),
        // It asks who may look at its metrics.
        json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": format!("{NAME}:auth-delegator")},
            "roleRef": role("ClusterRole", "system:auth-delegator"), "subjects": subjects,
        }),
        daemon_set(),
    ]
}

fn daemon_set() -> Value {
    let labels = json!({"app": NAME});
    let probe = |path: &str| json!({"httpGet": {"host": "127.0.0.1", "path": path, "port": 10258, "scheme": "HTTPS"}});
    let exists = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
    let on = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": NAME,
                    "priorityClassName": "system-cluster-critical",
                    "hostNetwork": true,
                    "dnsPolicy": "Default",
                    "terminationGracePeriodSeconds": 30,
                    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "kubernetes.io/role", "operator": "In", "values": ["master"]}]},
                        on("node-role.kubernetes.io/control-plane"),
                        on("node-role.kubernetes.io/master"),
                    ]}}},
                    "tolerations": [
                        {
                            "key": cloud_provider::names::TAINT_UNINITIALIZED, "operator": "Equal", "value": "true",
                            "effect": "NoSchedule",
                        },
                        exists("node-role.kubernetes.io/control-plane"),
                        exists("node-role.kubernetes.io/master"),
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        exists("node.kubernetes.io/not-ready"),
                    ],
                    "containers": [{
                        "name": NAME,
                        "image": "RELEASE_IMG",
                        "imagePullPolicy": "Always",
                        "command": [
                            format!("./{NAME}"),
                            "--cloud-provider=equinixmetal",
                            "--leader-elect=true",
                            "--authentication-skip-lookup=true",
                            "--cloud-config=/etc/cloud-sa/cloud-sa.json",
                        ],
                        "livenessProbe": probe("/livez"),
                        "readinessProbe": probe("/readyz"),
                        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true, "runAsNonRoot": true,
                        },
                        "volumeMounts": [{"name": "cloud-sa-volume", "mountPath": "/etc/cloud-sa", "readOnly": true}],
                    }],
                    "volumes": [{"name": "cloud-sa-volume", "secret": {"secretName": "metal-cloud-config"}}],
                },
            },
        },
    })
}

#[test]
fn the_shipped_manifest_is_what_the_code_says() {
    let mut text = String::from("# A test of providers/equinix-metal makes this file and fails when it is stale.\n");
    for object in objects() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object).unwrap());
    }
    hold("deployment.yaml", &text);
}

#[test]
fn the_pod_runs_before_any_node_is_ready_and_is_given_flags_there_are() {
    let typed: DaemonSet = serde_json::from_value(daemon_set()).unwrap();
    let pod = typed.spec.unwrap().template.spec.unwrap();
    let tolerated: Vec<_> = pod.tolerations.unwrap().into_iter().filter_map(|one| one.key).collect();
    for taint in [
        cloud_provider::names::TAINT_UNINITIALIZED,
        "node.kubernetes.io/not-ready",
    ] {
        assert!(tolerated.iter().any(|key| key == taint), "{taint}");
    }
    let container = &pod.containers[0];
    let args = container.command.clone().unwrap();
    assert_eq!(args[0], format!("./{NAME}"));
    let parsed = cloud_provider::manager::flags::Parsed::parse(NAME, args[1..].iter().cloned()).unwrap();
    cloud_provider::manager::Options::new(parsed, "me").unwrap();
    assert!(args.contains(&format!("--cloud-provider={}", equinix_metal::provider_id::NAME)));
    assert_eq!(
        container
            .volume_mounts
            .as_ref()
            .map(|mounts| mounts[0].mount_path.as_str()),
        Some("/etc/cloud-sa")
    );
}

#[test]
fn the_example_secret_has_a_configuration_that_can_be_read() {
    let text = std::fs::read_to_string(folder().join("secret.yaml")).unwrap();
    let secret: Secret = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(secret.metadata.name.as_deref(), Some("metal-cloud-config"));
    let config = &secret.string_data.unwrap()["cloud-sa.json"];
    let (_, warnings) = equinix_metal::config::Config::read_quietly(Some(config.as_bytes()), &|_| None).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
}
