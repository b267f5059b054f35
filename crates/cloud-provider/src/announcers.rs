//! How an address that the provider gave becomes reachable: somebody inside the cluster must answer for it. Providers of bare
//! metal share what stands here.
//!
//! ```text
//! provider ─► address ─► Announcement ─┬─► metallb::Resources   IPAddressPool, BGPPeer, BGPAdvertisement, L2Advertisement
//!                                      ├─► metallb::ConfigMap   the same, for MetalLB up to 0.12
//!                                      ├─► kube_vip::KubeVip    the address, written to the Service
//!                                      └─► Silent               somebody else sees to it
//! ```
//!
//! What is to be written is decided by pure functions over what was read; what others wrote is never changed. Announcing
//! twice is the same as once, and withdrawing leaves what was there before.
//!
//! Rights that are needed, beyond [`crate::rbac`]:
//!
//! | announcer | group | resources | verbs |
//! |---|---|---|---|
//! | [`metallb::Resources`] | `metallb.io` | `ipaddresspools`, `bgppeers`, `bgpadvertisements`, `l2advertisements` | list, create, patch, delete |
//! | [`metallb::ConfigMap`] | | `configmaps` | get, patch |
//! | [`kube_vip::KubeVip`], [`ServiceAddress`] | | `services` | get, patch |

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use kit::Class;
use secrecy::SecretString;

use crate::data::Service;
use crate::error::CloudError;
use crate::helpers::Cidr;

pub mod kube_vip;
pub mod metallb;
mod service_address;

pub use service_address::{AddressNames, ServiceAddress, assigned, is_requested};

/// An address of a Service, and who is to tell the world where it is.
#[derive(Clone, Debug)]
pub struct Announcement<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Its addresses.
    pub addresses: Vec<Cidr>,
    /// The nodes that speak BGP. Empty where layer 2 does it.
    pub speakers: Vec<Speaker>,
    /// Nodes that could not be asked about: whatever was announced from them before still is. As [`Speaker::host`].
    pub unknown: BTreeSet<String>,
}

/// A node that speaks BGP, and to whom.
#[derive(Clone)]
pub struct Speaker {
    /// The node's name.
    pub node: String,
    /// The value of its label `kubernetes.io/hostname`, by which it is selected.
    pub host: String,
    /// The address it speaks from.
    pub source: String,
    /// Its own autonomous system.
    pub local_asn: u32,
    /// That of its peers.
    pub peer_asn: u32,
    /// Its peers' addresses.
    pub peers: Vec<String>,
    /// The password of its sessions.
    pub password: Option<SecretString>,
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speaker({} {} -> {:?})", self.node, self.source, self.peers)
    }
}

/// Makes addresses reachable from inside the cluster.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Whether it can do its work: asked before anything that costs money is reserved.
    async fn check(&self) -> Result<(), AnnounceError> {
        Ok(())
    }

    /// Announces exactly this for the Service. What was announced for it before and is not wanted any more goes.
    async fn announce(&self, announcement: &Announcement<'_>) -> Result<(), AnnounceError>;

    /// Announces nothing for the Service any more. Succeeds when nothing was.
    async fn withdraw(&self, service: &Service) -> Result<(), AnnounceError>;

    /// The Services that something is announced for, as `namespace/name`. Nothing where this cannot be told.
    async fn announced(&self) -> Result<BTreeSet<String>, AnnounceError> {
        Ok(BTreeSet::new())
    }
}

/// Announces nothing: somebody else does, or nobody needs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

#[async_trait]
impl Announcer for Silent {
    async fn announce(&self, _: &Announcement<'_>) -> Result<(), AnnounceError> {
        Ok(())
    }

    async fn withdraw(&self, _: &Service) -> Result<(), AnnounceError> {
        Ok(())
    }
}

/// Why an address could not be announced. The texts are those of cloud-provider-equinix-metal where it has them
/// (`metal/loadbalancers/metallb`).
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// Objects could not be listed.
    #[error("unable to retrieve a list of {kind}s")]
    List {
        /// Their kind.
        kind: &'static str,
        /// Why.
        source: Box<kube::Error>,
    },
    /// There are no objects of this kind in the cluster.
    #[error("the cluster knows no {kind}: install MetalLB 0.13.2 or later, or choose its config map")]
    NotInstalled {
        /// The kind.
        kind: &'static str,
    },
    /// An object could not be written.
    #[error("unable to {verb} {kind} {name}")]
    Write {
        /// `add`, `update` or `delete`.
        verb: &'static str,
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// Others changed the same objects again and again.
    #[error("{what} changed too often while it was being written")]
    Contended {
        /// What.
        what: String,
    },
    /// The config map could not be read.
    #[error("unable to get metallb configmap {namespace}:{name}")]
    ReadConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// What stands in the config map cannot be understood. Its text is not told: there may be passwords in it.
    #[error("could not parse config of metallb configmap {namespace}:{name}: {place}")]
    Parse {
        /// The config map's namespace.
        namespace: String,
        /// The config map's name.
        name: String,
        /// Where.
        place: String,
    },
    /// The Service could not be read or written.
    #[error("failed to update service {service}")]
    Service {
        /// Its namespace and name.
        service: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl AnnounceError {
    /// What may be done about it.
    pub fn class(&self) -> Class {
        match self {
            Self::List { source, .. }
            | Self::Write { source, .. }
            | Self::ReadConfigMap { source, .. }
            | Self::Service { source, .. } => kube_kit::retry::class(source),
            Self::Contended { .. } => Class::Conflict,
            Self::NotInstalled { .. } => Class::Permanent,
            Self::Parse { .. } => Class::Invalid,
        }
    }
}

impl From<AnnounceError> for CloudError {
    fn from(error: AnnounceError) -> Self {
        Self::new(error.class(), "unable to map IP to service").because(error)
    }
}
