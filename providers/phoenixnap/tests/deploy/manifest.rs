//! The manifest that `kubectl apply` takes, and the example of a configuration.

use cloud_provider::manager::{Options, flags::Parsed};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use phoenixnap::{Config, PROVIDER_NAME};
use serde_json::{Value, json};

use super::{hold, read, rights};

pub const NAME: &str = "cloud-provider-phoenixnap";
/// The names of the original, so that applying this replaces that.
pub const ACCOUNT: &str = "cloud-controller-manager";
pub const ROLE: &str = "system:cloud-controller-manager";
const SECRET: &str = "phoenixnap-cloud-config";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All objects but the Secret, which only the operator can write. Names, labels and the command are those of
/// `deploy/template/deployment.yaml` of the Go program.
pub fn objects() -> Vec<Value> {
    let version = format!("{RBAC}/v1");
    let subjects = json!([{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "kube-system"}]);
    let role = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": "kube-system"}}),
        json!({
            "apiVersion": version, "kind": "ClusterRole",
            "metadata": {"name": ROLE, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}},
            "rules": rights::cluster(),
        }),
        json!({
            "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": ROLE},
            "roleRef": role("ClusterRole", ROLE), "subjects": subjects,
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
        deployment(),
    ]
}

pub fn deployment() -> Value {
    let labels = json!({"app": NAME});
    let probe = |path: &str| json!({"httpGet": {"host": "127.0.0.1", "path": path, "port": 10258, "scheme": "HTTPS"}});
    let exists = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": "kube-system", "labels": labels},
        "spec": {
            "replicas": 1,
            // Its port is the host's: the old pod must be gone before the new one can have it.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "priorityClassName": "system-cluster-critical",
                    "hostNetwork": true,
                    "dnsPolicy": "Default",
                    "terminationGracePeriodSeconds": 30,
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
                            format!("--cloud-provider={PROVIDER_NAME}"),
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
                    "volumes": [{"name": "cloud-sa-volume", "secret": {"secretName": SECRET}}],
                },
            },
        },
    })
}

#[test]
fn the_shipped_manifest_is_what_the_code_says() {
    let mut text = String::from("# A test of providers/phoenixnap makes this file and fails when it is stale.\n");
    for object in objects() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object).unwrap());
    }
    hold("deploy/phoenixnap/deployment.yaml", &text);
}

/// The original's chart gives a provider's name that there is not.
#[test]
fn the_pod_runs_before_any_node_is_ready_and_is_given_flags_there_are() {
    let typed: Deployment = serde_json::from_value(deployment()).unwrap();
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
    let parsed = Parsed::parse(NAME, args[1..].iter().cloned()).unwrap();
    Options::new(parsed, "me").unwrap();
    let mount = container
        .volume_mounts
        .as_ref()
        .map(|mounts| mounts[0].mount_path.as_str());
    assert_eq!(mount, Some("/etc/cloud-sa"));
    assert!(args.contains(&"--cloud-config=/etc/cloud-sa/cloud-sa.json".to_owned()));
}

/// The original's template is no valid JSON.
#[test]
fn the_example_secret_has_a_configuration_that_can_be_read() {
    let secret: Secret = serde_saphyr::from_str(&read("secret.yaml")).unwrap();
    assert_eq!(secret.metadata.name.as_deref(), Some(SECRET));
    let config = &secret.string_data.unwrap()["cloud-sa.json"];
    let strict: Value = serde_json::from_str(config).unwrap();
    assert!(strict.is_object());
    let config = Config::read(Some(config.as_bytes()), |_| None).unwrap();
    assert!(config.load_balancer.is_some());
}
