//! Why a node does not speak BGP.

use kit::Class;

use crate::client::MetalError;

/// Why a node does not speak BGP.
#[derive(Debug, thiserror::Error)]
pub enum BgpError {
    /// The project's configuration could not be read or made.
    #[error("failed to enable BGP on project {project}")]
    Project {
        /// The project.
        project: String,
        /// Why.
        source: MetalError,
    },
    /// What many nodes are looked up in could not be read.
    #[error("failed to list the BGP sessions and networks of project {project}")]
    Survey {
        /// The project.
        project: String,
        /// Why.
        source: MetalError,
    },
    /// The node has no provider ID, or not ours.
    #[error("no provider ID given for node {0}, skipping")]
    NoDevice(String),
    /// The node's sessions could not be read or made.
    #[error("failed to enable BGP on node {node}")]
    Session {
        /// The node.
        node: String,
        /// Why.
        source: MetalError,
    },
    /// Whom it speaks with could not be found out.
    #[error("failed to get device neighbours for device {device}")]
    Neighbors {
        /// The device.
        device: String,
        /// Why.
        source: MetalError,
    },
    /// It speaks with nobody.
    #[error("no matching ipv4 neighbour found for device {0}")]
    NoNeighbor(String),
    /// Its private network could not be found out.
    #[error("could not get private network info for node {node}")]
    Network {
        /// The node.
        node: String,
        /// Why.
        source: MetalError,
    },
    /// Nothing was asked about it, as asking about another node had just failed.
    #[error("node {node} has to wait until the API answers again")]
    Waiting {
        /// The node.
        node: String,
        /// How asking about the other one failed.
        source: MetalError,
    },
    /// Its annotations could not be written.
    #[error("failed to annotate node {node}")]
    Annotate {
        /// The node.
        node: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl BgpError {
    /// What may be done about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Project { source, .. }
            | Self::Survey { source, .. }
            | Self::Session { source, .. }
            | Self::Neighbors { source, .. }
            | Self::Network { source, .. }
            | Self::Waiting { source, .. } => source.class(),
            Self::Annotate { source, .. } => kube_kit::retry::class(source),
            // A new session takes a moment to show.
            Self::NoNeighbor(_) => Class::Transient,
            Self::NoDevice(_) => Class::Invalid,
        }
    }

    /// What is wrong with the API itself, so that asking about other nodes would fail as well.
    pub(super) fn of_the_api(&self) -> Option<&MetalError> {
        match self {
            Self::Session { source, .. } | Self::Neighbors { source, .. } | Self::Network { source, .. } => {
                Some(source).filter(|it| it.concerns_all())
            }
            _ => None,
        }
    }
}
