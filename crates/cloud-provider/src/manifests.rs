//! How a cloud controller manager is deployed: it must run before any node is ready, and with the rights of
//! [`crate::rbac`] only.

use serde_json::{Value, json};

use crate::{names, rbac};

/// What differs from one provider to the next.
#[derive(Clone, Debug)]
pub struct Deployment<'a> {
    /// Its name, and the container's.
    pub name: &'a str,
    /// The image.
    pub image: &'a str,
    /// The flags.
    pub args: &'a [&'a str],
    /// The Secret with the cloud's configuration under the key `cloud.conf`, mounted at `/etc/cloud`.
    pub secret: Option<&'a str>,
}

impl Deployment<'_> {
    /// The Deployment: two replicas, one of which leads.
    pub fn object(&self) -> Value {
        let labels = json!({ "app.kubernetes.io/name": self.name });
        let probe = |path: &str| json!({ "httpGet": { "path": path, "port": "https", "scheme": "HTTPS" } });
        let mut container = json!({
            "name": self.name,
            "image": self.image,
            "args": self.args,
            "ports": [{ "name": "https", "containerPort": 10258 }],
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
            "resources": { "requests": { "cpu": "20m", "memory": "32Mi" } },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 65534,
            },
        });
        let tolerates = |key: &str, effect: &str| json!({ "key": key, "operator": "Exists", "effect": effect });
        let mut pod = json!({
            "serviceAccountName": rbac::ACCOUNT,
            "priorityClassName": "system-cluster-critical",
            // The pod network may wait for this very program.
            "hostNetwork": true,
            "dnsPolicy": "Default",
            // A little more than `--shutdown-grace-period` and what follows it.
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                tolerates(names::TAINT_UNINITIALIZED, "NoSchedule"),
                tolerates("node.kubernetes.io/not-ready", "NoSchedule"),
                tolerates("node-role.kubernetes.io/control-plane", "NoSchedule"),
                tolerates("node-role.kubernetes.io/master", "NoSchedule"),
                { "key": "CriticalAddonsOnly", "operator": "Exists" },
            ],
        });
        if let Some(secret) = self.secret {
            container["volumeMounts"] = json!([{ "name": "cloud", "mountPath": "/etc/cloud", "readOnly": true }]);
            pod["volumes"] = json!([{ "name": "cloud", "secret": { "secretName": secret } }]);
        }
        pod["containers"] = json!([container]);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": self.name, "namespace": "kube-system", "labels": labels },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod },
            },
        })
    }

    /// Rights and Deployment as a YAML stream, for `kubectl apply -f`.
    pub fn manifest(&self) -> String {
        let mut text = rbac::manifest();
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&self.object()).unwrap_or_default());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment as Typed;

    #[test]
    fn the_deployment_is_one_and_tolerates_what_it_is_there_to_remove() {
        let args = ["--cloud-provider=fake", "--cloud-config=/etc/cloud/cloud.conf"];
        let deployment = Deployment {
            name: "cloud-provider-fake",
            image: "fake:v1",
            args: &args,
            secret: Some("fake"),
        };
        let typed: Typed = serde_json::from_value(deployment.object()).unwrap();
        let pod = typed.spec.unwrap().template.spec.unwrap();
        let tolerated: Vec<_> = pod.tolerations.unwrap().into_iter().filter_map(|one| one.key).collect();
        assert!(tolerated.contains(&names::TAINT_UNINITIALIZED.to_owned()));
        assert!(tolerated.contains(&"node.kubernetes.io/not-ready".to_owned()));
        let container = &pod.containers[0];
        assert_eq!(container.args.as_deref().unwrap_or_default(), args);
        assert_eq!(
            container.volume_mounts.as_ref().map(Vec::len),
            pod.volumes.as_ref().map(Vec::len)
        );
        // The flags it is given are flags there are.
        let parsed = crate::manager::flags::Parsed::parse("fake", args.map(str::to_owned)).unwrap();
        crate::manager::Options::new(parsed, "me").unwrap();
        assert!(deployment.manifest().contains("kind: ClusterRole\n"));
    }
}
