//! What initialising a node takes, decided without asking anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::Class;

use super::addresses::{NodeIpError, desired_addresses};
use super::labels::label_changes;
use crate::cloud::Metadata;
use crate::data::{Address, Node, Taint};
use crate::error::CloudError;
use crate::names::TAINT_UNINITIALIZED;

/// What is to be written to initialise a node: first the addresses, then all the rest at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The addresses, if they are not right already.
    pub addresses: Option<Vec<Address>>,
    /// The provider ID, if the node has none. It never changes afterwards.
    pub provider_id: Option<String>,
    /// The labels that are missing or wrong.
    pub labels: BTreeMap<String, String>,
    /// The taints that stay.
    pub taints: Vec<Taint>,
}

/// Why a node cannot be initialised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Asking the cloud failed.
    #[error("failed to get instance metadata: {0}")]
    Failed(String),
    /// Asking the cloud failed, and the cloud says when to ask again.
    #[error("failed to get instance metadata: {0}")]
    Later(String, Duration),
    /// No instance fits the node.
    #[error("no instance of the cloud fits this node; is its name the one the cloud knows?")]
    NoMatch,
    /// There is no instance with the node's provider ID.
    #[error("the instance with this node's provider ID does not exist")]
    Gone,
    /// The instance is switched off.
    #[error("the instance is shut down")]
    ShutDown,
    /// Neither the cloud nor the node has a provider ID.
    #[error("cloud provider does not set node provider ID")]
    NoProviderId,
    /// The cloud has no addresses for the instance yet.
    #[error("the instance has no addresses yet")]
    NoAddresses,
    /// What kubelet was told to use does not go with what the cloud says.
    #[error("provided node ip is not valid: {0}")]
    NodeIp(NodeIpError),
    /// The API server did not take it.
    #[error("cannot write the node: {0}")]
    Write(String),
}

impl Problem {
    /// What went wrong with the cloud.
    pub(super) fn cloud(error: &CloudError) -> Self {
        let text = kit::chain(error);
        match (error.class(), error.after()) {
            (Class::NotFound, _) => Self::NoMatch,
            (_, Some(after)) => Self::Later(text, after),
            _ => Self::Failed(text),
        }
    }

    /// Why, in one word, for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) | Self::Later(..) => "LookUpFailed",
            Self::NoMatch | Self::Gone => "InstanceNotFound",
            Self::ShutDown => "InstanceShutDown",
            Self::NoProviderId => "NoProviderID",
            Self::NoAddresses => "NoAddresses",
            Self::NodeIp(_) => "InvalidNodeIP",
            Self::Write(_) => "WriteFailed",
        }
    }

    /// When to try again, if the cloud says so.
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Later(_, after) => Some(*after),
            _ => None,
        }
    }
}

/// What initialising this node takes.
pub fn plan(node: &Node, metadata: &Metadata) -> Result<Plan, Problem> {
    if metadata.provider_id.is_empty() && node.provider_id.is_empty() {
        return Err(Problem::NoProviderId);
    }
    let addresses = desired_addresses(node, metadata)
        .map_err(Problem::NodeIp)?
        .ok_or(Problem::NoAddresses)?;
    Ok(Plan {
        addresses: (addresses != node.addresses).then_some(addresses),
        provider_id: node.provider_id.is_empty().then(|| metadata.provider_id.clone()),
        labels: label_changes(&node.labels, metadata),
        taints: node
            .taints
            .iter()
            .filter(|taint| taint.key != TAINT_UNINITIALIZED)
            .cloned()
            .collect(),
    })
}
