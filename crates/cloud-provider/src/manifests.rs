//! How a cloud controller manager is deployed: it must run before any node is ready, and with the rights of
//! [`crate::rbac`] only.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::manager::flags::Parsed;
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
    /// The Deployment: two replicas on two machines, one of which leads.
    pub fn object(&self) -> Value {
        let labels = json!({ "app.kubernetes.io/name": self.name });
        let mut container = json!({
            "name": self.name,
            "image": self.image,
            "args": self.args,
            "resources": { "requests": { "cpu": "20m", "memory": "32Mi" } },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 65534,
            },
        });
        if let Some(served) = Served::by(self.args) {
            // The port is the host's. Said here, so that the scheduler puts no two replicas on one machine.
            container["ports"] = json!([{ "name": "https", "containerPort": served.port, "hostPort": served.port }]);
            container["livenessProbe"] = served.probe("/livez");
            container["readinessProbe"] = served.probe("/readyz");
        }
        let tolerates = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoSchedule" });
        let mut pod = json!({
            "serviceAccountName": rbac::ACCOUNT,
            "priorityClassName": "system-cluster-critical",
            // The pod network may wait for this very program.
            "hostNetwork": true,
            "dnsPolicy": "Default",
            // A little more than `--shutdown-grace-period` and what follows it.
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                tolerates(names::TAINT_UNINITIALIZED),
                tolerates("node.kubernetes.io/not-ready"),
                // Gone once there are routes, which this program makes.
                tolerates("node.kubernetes.io/network-unavailable"),
                tolerates("node-role.kubernetes.io/control-plane"),
                tolerates("node-role.kubernetes.io/master"),
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
                // One goes before one comes: a third would find the port taken where there are two machines to run on.
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } },
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

/// Where a program on the host's network is probed, by its flags.
struct Served {
    host: String,
    port: u16,
}

impl Served {
    /// Nothing when nothing is served.
    fn by(args: &[&str]) -> Option<Self> {
        let flags = Parsed::parse("", args.iter().map(|arg| (*arg).to_owned())).unwrap_or_default();
        let bind = flags.text("bind-address").parse().ok();
        // Not the pod's own address, which is kubelet's default: that is the node's, and a new node has none before this
        // program has initialised it.
        let host = bind
            .filter(|address: &IpAddr| !address.is_unspecified())
            .unwrap_or(Ipv4Addr::LOCALHOST.into())
            .to_string();
        let port = flags.number("secure-port");
        (port != 0).then_some(Self { host, port })
    }

    fn probe(&self, path: &str) -> Value {
        json!({ "httpGet": { "host": self.host, "path": path, "port": self.port, "scheme": "HTTPS" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment as Typed;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

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
        let parsed = Parsed::parse("fake", args.map(str::to_owned)).unwrap();
        crate::manager::Options::new(parsed, "me").unwrap();
        assert!(deployment.manifest().contains("kind: ClusterRole\n"));
    }

    /// A Deployment with these flags, as Kubernetes reads it.
    fn typed(args: &[&str]) -> Typed {
        let deployment = Deployment {
            name: "cloud-provider-fake",
            image: "fake:v1",
            args,
            secret: None,
        };
        serde_json::from_value(deployment.object()).unwrap()
    }

    #[test]
    fn replicas_never_meet_on_one_port_and_an_update_never_needs_a_further_machine() {
        let spec = typed(&[]).spec.unwrap();
        let pod = spec.template.spec.unwrap();
        assert_eq!(pod.host_network, Some(true));
        let ports = pod.containers[0].ports.as_ref().unwrap();
        assert_eq!((ports[0].container_port, ports[0].host_port), (10258, Some(10258)));
        assert_eq!(spec.replicas, Some(2));
        let update = spec.strategy.unwrap().rolling_update.unwrap();
        assert_eq!(
            (update.max_surge, update.max_unavailable),
            (Some(IntOrString::Int(0)), Some(IntOrString::Int(1)))
        );
    }

    #[test]
    fn probes_go_to_where_the_flags_say_that_it_is_served_and_not_to_the_address_of_the_pod() {
        let probed = |args: &[&str]| {
            let pod = typed(args).spec.unwrap().template.spec.unwrap();
            let container = &pod.containers[0];
            let of = |probe: &Option<k8s_openapi::api::core::v1::Probe>| {
                let get = probe.as_ref()?.http_get.clone()?;
                assert_eq!(get.scheme.as_deref(), Some("HTTPS"));
                Some((get.host?, get.port, get.path?))
            };
            (of(&container.liveness_probe), of(&container.readiness_probe))
        };
        for (args, host, port) in [
            (&[][..], "127.0.0.1", 10258),
            (&["--bind-address=::"], "127.0.0.1", 10258),
            (&["--bind-address=::1", "--secure-port=8443"], "::1", 8443),
        ] {
            let at = |path: &str| Some((host.to_owned(), IntOrString::Int(port), path.to_owned()));
            assert_eq!(probed(args), (at("/livez"), at("/readyz")), "{args:?}");
        }
        assert_eq!(probed(&["--secure-port=0"]), (None, None));
    }
}
