//! A node, cut down to what is read.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube_kit::ObjectRef;
use litemap::LiteMap;

use crate::names;

/// Only who wrote it reads it, and it is large.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Labels or annotations of a node, in a vector, where they take half as much as in a tree.
pub type StringMap = LiteMap<String, String>;

/// These without the room that reading them left for more: there are thousands of nodes.
fn fitting<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.shrink_to_fit();
    items
}

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Which of all the nodes that ever had this name it is.
    pub uid: String,
    /// The version of the object this was cut from.
    pub resource_version: String,
    /// `spec.providerID`; empty when it has none yet.
    pub provider_id: String,
    /// Its labels.
    pub labels: StringMap,
    /// Its annotations.
    pub annotations: StringMap,
    /// Its taints, in order.
    pub taints: Vec<Taint>,
    /// Its addresses, in order.
    pub addresses: Vec<Address>,
    /// Whether kubelet says it is ready.
    pub ready: Ready,
    /// The conditions that this program writes: `NetworkUnavailable` and its own.
    pub conditions: Vec<Condition>,
    /// Its pod networks.
    pub pod_cidrs: Vec<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// The status of a node's `Ready` condition. Without the condition it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// `True`.
    Yes,
    /// `False`.
    No,
    /// `Unknown`, or not said.
    #[default]
    Unknown,
}

/// A taint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty when it has none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// When it was added, where that is kept.
    pub added: Option<Timestamp>,
}

/// A condition of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// An address of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// What kind of address.
    pub kind: AddressType,
    /// The address.
    pub address: String,
}

/// What kind of address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressType {
    /// The host name.
    Hostname,
    /// An IP address inside the cluster's network.
    InternalIp,
    /// An IP address that the world can reach.
    ExternalIp,
    /// A DNS name inside the cluster's network.
    InternalDns,
    /// A DNS name that the world can resolve.
    ExternalDns,
    /// What none of these is, as it stands in the object.
    Other(String),
}

impl Condition {
    /// A condition.
    pub fn new(kind: &str, status: &str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

impl AddressType {
    fn text(&self) -> &str {
        match self {
            Self::Hostname => "Hostname",
            Self::InternalIp => "InternalIP",
            Self::ExternalIp => "ExternalIP",
            Self::InternalDns => "InternalDNS",
            Self::ExternalDns => "ExternalDNS",
            Self::Other(text) => text,
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "Hostname" => Self::Hostname,
            "InternalIP" => Self::InternalIp,
            "ExternalIP" => Self::ExternalIp,
            "InternalDNS" => Self::InternalDns,
            "ExternalDNS" => Self::ExternalDns,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for AddressType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Address {
    /// An address.
    pub fn new(kind: AddressType, address: impl Into<String>) -> Self {
        Self {
            kind,
            address: address.into(),
        }
    }

    /// A host name.
    pub fn hostname(address: impl Into<String>) -> Self {
        Self::new(AddressType::Hostname, address)
    }

    /// An address inside the cluster's network.
    pub fn internal(address: impl Into<String>) -> Self {
        Self::new(AddressType::InternalIp, address)
    }

    /// An address that the world can reach.
    pub fn external(address: impl Into<String>) -> Self {
        Self::new(AddressType::ExternalIp, address)
    }
}

impl Node {
    /// Cuts a node down.
    pub fn cut(node: core::Node) -> Self {
        let (meta, spec, status) = (
            node.metadata,
            node.spec.unwrap_or_default(),
            node.status.unwrap_or_default(),
        );
        let mut annotations = meta.annotations.unwrap_or_default();
        annotations.remove(LAST_APPLIED);
        let mut ready = Ready::Unknown;
        let mut conditions = Vec::new();
        for condition in status.conditions.unwrap_or_default() {
            match condition.type_.as_str() {
                "Ready" => {
                    ready = match condition.status.as_str() {
                        "True" => Ready::Yes,
                        "False" => Ready::No,
                        _ => Ready::Unknown,
                    }
                }
                "NetworkUnavailable" | names::CONDITION_INITIALIZED | names::CONDITION_INSTANCE => {
                    conditions.push(Condition {
                        kind: condition.type_,
                        status: condition.status,
                        reason: condition.reason.unwrap_or_default(),
                        message: condition.message.unwrap_or_default(),
                    });
                }
                _ => {}
            }
        }
        let taint = |taint: core::Taint| Taint {
            key: taint.key,
            value: taint.value.unwrap_or_default(),
            effect: taint.effect,
            added: taint.time_added.map(|time| time.0),
        };
        let address = |address: core::NodeAddress| Address::new(AddressType::parse(&address.type_), address.address);
        Self {
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            provider_id: spec.provider_id.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default().into_iter().collect(),
            annotations: annotations.into_iter().collect(),
            taints: fitting(spec.taints.into_iter().flatten().map(taint)),
            addresses: fitting(status.addresses.into_iter().flatten().map(address)),
            ready,
            conditions: fitting(conditions),
            pod_cidrs: fitting(spec.pod_cidrs.into_iter().flatten()),
            created: meta.creation_timestamp.map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }

    /// The node as events name it.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new("v1", "Node", &self.name).uid(&self.uid)
    }

    /// Whether it has a taint with this key, whatever its value and effect.
    pub fn is_tainted(&self, key: &str) -> bool {
        self.taints.iter().any(|taint| taint.key == key)
    }

    /// The condition of this type, if this program keeps it.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

impl Taint {
    /// The taint as JSON for a patch.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({ "key": self.key, "effect": self.effect });
        if !self.value.is_empty() {
            json["value"] = self.value.as_str().into();
        }
        if let Some(added) = self.added {
            json["timeAdded"] = added.to_string().into();
        }
        json
    }
}
