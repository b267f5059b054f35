//! Objects as they come from the API server, read without what nobody here reads: who manages which field, the images on
//! a node, what runs on it. That is most of a node, and a cluster has thousands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// An object without what is not read.
#[derive(Clone, Debug)]
pub(crate) struct Slim<K>(pub K);

impl<K: Resource<DynamicType = ()>> Resource for Slim<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        Self {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
struct SlimNode {
    metadata: Meta,
    spec: Option<core::NodeSpec>,
    status: Option<SlimNodeStatus>,
}

#[derive(Deserialize)]
struct SlimNodeStatus {
    addresses: Option<Vec<core::NodeAddress>>,
    conditions: Option<Vec<core::NodeCondition>>,
}

impl<'de> Deserialize<'de> for Slim<core::Node> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SlimNode { metadata, spec, status } = Deserialize::deserialize(deserializer)?;
        let status = status.map(|status| core::NodeStatus {
            addresses: status.addresses,
            conditions: status.conditions,
            ..core::NodeStatus::default()
        });
        Ok(Self(core::Node {
            metadata: metadata.into(),
            spec,
            status,
        }))
    }
}

#[derive(Deserialize)]
struct SlimService {
    metadata: Meta,
    spec: Option<core::ServiceSpec>,
    status: Option<core::ServiceStatus>,
}

impl<'de> Deserialize<'de> for Slim<core::Service> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SlimService { metadata, spec, status } = Deserialize::deserialize(deserializer)?;
        Ok(Self(core::Service {
            metadata: metadata.into(),
            spec,
            status,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Node, Service};
    use serde_json::json;

    #[test]
    fn nothing_that_is_read_is_lost() {
        let meta = json!({
            "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7", "generation": 3,
            "labels": {"l": "1"}, "annotations": {"x": "y"}, "finalizers": ["f"],
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        });
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": meta,
            "spec": {"providerID": "fake://1", "podCIDRs": ["10.0.0.0/24"], "taints": [
                {"key": "k", "value": "v", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
            ]},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "NetworkUnavailable", "status": "False", "reason": "R", "message": "m"},
                ],
                "images": [{"names": ["large"], "sizeBytes": 1}], "capacity": {"cpu": "1"},
            },
        });
        let slim: Slim<core::Node> = serde_json::from_value(node.clone()).unwrap();
        assert_eq!(slim.0.status.as_ref().unwrap().images, None);
        assert_eq!(Node::cut(slim.0), Node::cut(serde_json::from_value(node).unwrap()));
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": "web"}], "selector": {"app": "a"}},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
        });
        let slim: Slim<core::Service> = serde_json::from_value(service.clone()).unwrap();
        assert_eq!(slim.0.metadata.managed_fields, None);
        assert_eq!(
            Service::cut(slim.0),
            Service::cut(serde_json::from_value(service).unwrap())
        );
    }

    #[test]
    fn an_object_without_anything_is_read_too() {
        for empty in [
            json!({"metadata": {"name": "a"}}),
            json!({"metadata": {"name": "a", "labels": null}, "spec": null, "status": {"conditions": null}}),
        ] {
            let node: Slim<core::Node> = serde_json::from_value(empty.clone()).unwrap();
            assert_eq!(node.0.metadata.name.as_deref(), Some("a"));
            assert!(serde_json::from_value::<Slim<core::Service>>(empty).is_ok());
        }
    }
}
