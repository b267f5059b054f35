//! What is shipped beside the binary: a manifest for `kubectl apply`, a Helm chart, an example Secret, all below one folder.
//!
//! The manifest is made from a [`Shipped`] and held against the file; the chart is held against the manifest.

use std::path::{Path, PathBuf};

use cloud_provider::names::TAINT_UNINITIALIZED;
use cloud_provider::rbac::{CLUSTER, LEASE, Rule};
use serde_json::{Value, json};

pub mod chart;
pub mod manifest;
pub mod rights;

const RBAC: &str = "rbac.authorization.k8s.io";

/// What differs from one provider to the next.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The name of the program, which is that of the container, the chart and the roles in kube-system.
    pub name: &'static str,
    /// What `--cloud-provider` is given.
    pub provider: &'static str,
    /// The provider's folder below `deploy` and below `providers`.
    pub folder: &'static str,
    /// The service account.
    pub account: &'static str,
    /// The ClusterRole and its binding.
    pub role: &'static str,
    /// Whether the ClusterRole is brought up to date by API servers that know it.
    pub autoupdate: bool,
    /// The Secret with the configuration.
    pub secret: &'static str,
    /// What runs the pod.
    pub workload: Workload,
    /// What the provider may do beyond what every manager may, each right of which some test must need.
    pub own: &'static [Rule],
    /// The keys of all settings.
    pub settings: fn() -> Vec<&'static str>,
    /// Paths that templates read and `values.yaml` does not suggest.
    pub unsuggested: &'static [&'static str],
    /// What makes `helm template` give the manifest.
    pub helm: &'static [&'static str],
}

/// What runs the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One on each control-plane node.
    DaemonSet,
    /// One, anywhere.
    Deployment,
}

impl Workload {
    /// The kind of the object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
        }
    }
}

impl Shipped {
    /// A file or folder that is shipped.
    pub fn path(&self, file: &str) -> PathBuf {
        root().join("deploy").join(self.folder).join(file)
    }

    /// The text of a file that is shipped.
    pub fn read(&self, file: &str) -> String {
        let path = self.path(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The rules of the ClusterRole.
    pub fn cluster_rules(&self) -> Value {
        rights::rules(&[CLUSTER, self.own].concat())
    }

    /// The rules of the Role in kube-system.
    pub fn lease_rules(&self) -> Value {
        rights::rules(LEASE)
    }

    /// All objects but the Secret, which only the operator can write. The last one is the workload.
    pub fn objects(&self) -> Vec<Value> {
        let version = format!("{RBAC}/v1");
        let (name, account) = (self.name, self.account);
        let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}]);
        let role = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
        let mut of_role = json!({"name": self.role});
        if self.autoupdate {
            of_role["annotations"] = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
        }
        vec![
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": "kube-system"}}),
            json!({"apiVersion": version, "kind": "ClusterRole", "metadata": of_role, "rules": self.cluster_rules()}),
            json!({
                "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": self.role},
                "roleRef": role("ClusterRole", self.role), "subjects": subjects,
            }),
            json!({
                "apiVersion": version, "kind": "Role", "metadata": {"name": name, "namespace": "kube-system"},
                "rules": self.lease_rules(),
            }),
            json!({
                "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": name, "namespace": "kube-system"},
                "roleRef": role("Role", name), "subjects": subjects,
            }),
            // It asks who may look at its metrics.
            json!({
                "apiVersion": version, "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{name}:auth-delegator")},
                "roleRef": role("ClusterRole", "system:auth-delegator"), "subjects": subjects,
            }),
            self.workload(),
        ]
    }

    /// What runs the pod.
    pub fn workload(&self) -> Value {
        let labels = json!({"app": self.name});
        let mut spec = json!({});
        if self.workload == Workload::Deployment {
            spec["replicas"] = json!(1);
            // One goes before one comes, however many there are: their port is the host's.
            spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
        }
        spec["selector"] = json!({"matchLabels": labels});
        spec["template"] = json!({"metadata": {"labels": labels}, "spec": self.pod()});
        json!({
            "apiVersion": "apps/v1", "kind": self.workload.kind(),
            "metadata": {"name": self.name, "namespace": "kube-system", "labels": labels},
            "spec": spec,
        })
    }

    /// The spec of the pod.
    pub fn pod(&self) -> Value {
        // Not at the pod's own address: that is the node's, and a new node has none before this program initialised it.
        let probe =
            |path: &str| json!({"httpGet": {"host": "127.0.0.1", "path": path, "port": 10258, "scheme": "HTTPS"}});
        let exists = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
        let mut pod = json!({
            "serviceAccountName": self.account,
            "priorityClassName": "system-cluster-critical",
            // The pod network may wait for this very program.
            "hostNetwork": true,
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 30,
        });
        if self.workload == Workload::DaemonSet {
            let on = |key: &str| json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
            pod["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/role", "operator": "In", "values": ["master"]}]},
                    on("node-role.kubernetes.io/control-plane"),
                    on("node-role.kubernetes.io/master"),
                ],
            }}});
        }
        pod["tolerations"] = json!([
            {"key": TAINT_UNINITIALIZED, "operator": "Equal", "value": "true", "effect": "NoSchedule"},
            exists("node-role.kubernetes.io/control-plane"),
            exists("node-role.kubernetes.io/master"),
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            exists("node.kubernetes.io/not-ready"),
        ]);
        pod["containers"] = json!([{
            "name": self.name,
            "image": "RELEASE_IMG",
            "imagePullPolicy": "Always",
            "command": [
                format!("./{}", self.name),
                format!("--cloud-provider={}", self.provider),
                "--leader-elect=true",
                "--authentication-skip-lookup=true",
                "--cloud-config=/etc/cloud-sa/cloud-sa.json",
            ],
            // Said although the network is the host's, so that the scheduler puts no two pods where one port is.
            "ports": [{"name": "https", "containerPort": 10258, "hostPort": 10258}],
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
            "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true, "runAsNonRoot": true,
            },
            "volumeMounts": [{"name": "cloud-sa-volume", "mountPath": "/etc/cloud-sa", "readOnly": true}],
        }]);
        pod["volumes"] = json!([{"name": "cloud-sa-volume", "secret": {"secretName": self.secret}}]);
        pod
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Holds a file of the repository against what it is made of. With `UPDATE=1` it is made anew.
pub fn hold(file: &str, expected: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{file}: run the test with UPDATE=1");
}
