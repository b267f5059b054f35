//! A Service, cut down to what is read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube_kit::ObjectRef;

/// A Service of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which of all the Services that ever had this name it is.
    pub uid: String,
    /// The version of the object this was cut from.
    pub resource_version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its finalizers, in order.
    pub finalizers: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// `spec.type`: `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    /// `spec.loadBalancerClass`: who else looks after it.
    pub class: Option<String>,
    /// Its ports, in order.
    pub ports: Vec<ServicePort>,
    /// `IPv4`, `IPv6` or both, in order.
    pub ip_families: Vec<String>,
    /// Its addresses inside the cluster.
    pub cluster_ips: Vec<String>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<String>,
    /// `spec.loadBalancerIP`: the address asked for; empty when none is.
    pub load_balancer_ip: String,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Option<Vec<String>>,
    /// `None` or `ClientIP`.
    pub session_affinity: String,
    /// How long a client stays with its pod, in seconds.
    pub session_affinity_seconds: Option<i32>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: String,
    /// Where nodes tell whether they have a pod of it; 0 when they do not.
    pub health_check_node_port: i32,
    /// `spec.selector`.
    pub selector: BTreeMap<String, String>,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<Ingress>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty when it has none.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The port that clients use.
    pub port: i32,
    /// The port on every node; 0 when there is none.
    pub node_port: i32,
    /// The port of the pods, by number or name.
    pub target_port: String,
    /// What is spoken on it.
    pub app_protocol: Option<String>,
}

/// Where a load balancer is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingress {
    /// Its IP address; empty when it has a name instead.
    pub ip: String,
    /// Its host name; empty when it has an address instead.
    pub hostname: String,
    /// `VIP` or `Proxy`; nothing when the cloud does not say.
    pub ip_mode: Option<String>,
    /// How its ports are doing, if the cloud tells.
    pub ports: Vec<PortStatus>,
}

/// How a port of a load balancer is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortStatus {
    /// The port.
    pub port: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl Ingress {
    /// A load balancer with an address.
    pub fn ip(ip: impl Into<String>) -> Self {
        Self {
            ip: ip.into(),
            ..Self::default()
        }
    }

    /// A load balancer with a name.
    pub fn hostname(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            ..Self::default()
        }
    }

    fn cut(ingress: core::LoadBalancerIngress) -> Self {
        let port = |port: core::PortStatus| PortStatus {
            port: port.port,
            protocol: port.protocol,
            error: port.error,
        };
        Self {
            ip: ingress.ip.unwrap_or_default(),
            hostname: ingress.hostname.unwrap_or_default(),
            ip_mode: ingress.ip_mode,
            ports: ingress.ports.unwrap_or_default().into_iter().map(port).collect(),
        }
    }

    /// The ingress as JSON for a patch.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut json = serde_json::Map::new();
        let mut text = |name: &str, value: &str| {
            if !value.is_empty() {
                json.insert(name.to_owned(), value.into());
            }
        };
        text("ip", &self.ip);
        text("hostname", &self.hostname);
        text("ipMode", self.ip_mode.as_deref().unwrap_or_default());
        if !self.ports.is_empty() {
            let ports = self.ports.iter().map(|port| {
                let mut json = serde_json::json!({ "port": port.port, "protocol": port.protocol });
                if let Some(error) = &port.error {
                    json["error"] = error.as_str().into();
                }
                json
            });
            json.insert("ports".to_owned(), ports.collect());
        }
        json.into()
    }
}

impl Service {
    /// Cuts a Service down.
    pub fn cut(service: core::Service) -> Self {
        let (meta, spec) = (service.metadata, service.spec.unwrap_or_default());
        let status = service
            .status
            .and_then(|status| status.load_balancer)
            .and_then(|status| status.ingress);
        let port = |port: core::ServicePort| ServicePort {
            name: port.name.unwrap_or_default(),
            protocol: port.protocol.unwrap_or_else(|| "TCP".to_owned()),
            port: port.port,
            node_port: port.node_port.unwrap_or(0),
            target_port: match port.target_port {
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name,
                None => String::new(),
            },
            app_protocol: port.app_protocol,
        };
        let affinity = spec.session_affinity_config.and_then(|config| config.client_ip);
        Self {
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            finalizers: meta.finalizers.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            kind: spec.type_.unwrap_or_else(|| "ClusterIP".to_owned()),
            class: spec.load_balancer_class,
            ports: spec.ports.unwrap_or_default().into_iter().map(port).collect(),
            ip_families: spec.ip_families.unwrap_or_default(),
            cluster_ips: spec.cluster_ips.unwrap_or_default(),
            external_ips: spec.external_ips.unwrap_or_default(),
            load_balancer_ip: spec.load_balancer_ip.unwrap_or_default(),
            source_ranges: spec.load_balancer_source_ranges,
            session_affinity: spec.session_affinity.unwrap_or_default(),
            session_affinity_seconds: affinity.and_then(|config| config.timeout_seconds),
            external_traffic_policy: spec.external_traffic_policy.unwrap_or_default(),
            health_check_node_port: spec.health_check_node_port.unwrap_or(0),
            selector: spec.selector.unwrap_or_default(),
            ingress: status.unwrap_or_default().into_iter().map(Ingress::cut).collect(),
        }
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The Service as events name it.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new("v1", "Service", &self.name)
            .namespace(&self.namespace)
            .uid(&self.uid)
    }
}
