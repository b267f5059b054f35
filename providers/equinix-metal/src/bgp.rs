//! BGP: of the project, of the nodes, and what the nodes are told about it.
//!
//! Mirrors `metal/bgp.go` of cloud-provider-equinix-metal. Differs from upstream: a node is looked at once, however many
//! Services there are, and again only when it is time; its sessions are looked at before one is made; a failure to look is
//! never taken for "not enabled".

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_provider::announcers::Speaker;
use cloud_provider::announcers::metallb::LABEL_HOST;
use cloud_provider::data::Node;
use cloud_provider::helpers::Cidr;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1 as core;
use kit::Class;
use kube::api::{Api, Patch, PatchParams};
use secrecy::SecretString;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::client::{BgpNeighbor, BgpRequest, BgpSession, Device, MetalClient, MetalError};
use crate::config::Annotations;
use crate::provider_id;

mod annotations;

/// How long what was seen of a node counts.
const FRESH: Duration = Duration::from_mins(30);
/// How long a failure counts: the Services that come right behind are not to ask again.
const FAILED: Duration = Duration::from_secs(4);
/// How many nodes are looked at side by side.
const AT_A_TIME: usize = 8;
/// How many prefixes a session may announce where the API does not say.
const MAX_PREFIX: u32 = 10;
/// What BGP is enabled for, for people.
const USE_CASE: &str = "kubernetes-load-balancer";

/// How BGP is to be spoken where the project does not speak it yet.
#[derive(Clone, Debug)]
pub struct BgpSettings {
    /// The autonomous system of devices.
    pub local_asn: u32,
    /// The password of sessions.
    pub password: Option<SecretString>,
    /// The keys of node annotations.
    pub annotations: Annotations,
}

/// A node's BGP sessions.
#[derive(Clone, Debug)]
pub struct Peering {
    /// The node's autonomous system.
    pub local_asn: u32,
    /// That of its peers.
    pub peer_asn: u32,
    /// The node's address.
    pub source: String,
    /// Its peers' addresses, sorted.
    pub peers: Vec<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The node's private network.
    pub network: Option<Cidr>,
}

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
            | Self::Session { source, .. }
            | Self::Neighbors { source, .. }
            | Self::Network { source, .. } => source.class(),
            Self::Annotate { source, .. } => kube_kit::retry::class(source),
            // A new session takes a moment to show.
            Self::NoNeighbor(_) => Class::Transient,
            Self::NoDevice(_) => Class::Invalid,
        }
    }
}

/// What is known about a node, and since when.
#[derive(Clone)]
struct Seen {
    at: Instant,
    peering: Result<Peering, Arc<BgpError>>,
}

impl Seen {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.peering.is_ok() { FRESH } else { FAILED }
    }
}

type Slot = Arc<AsyncMutex<Option<Seen>>>;

/// What came of asking about nodes.
#[derive(Debug, Default)]
pub struct Spoken {
    /// Those that speak BGP.
    pub speakers: Vec<Speaker>,
    /// The hosts of those that could not be asked, or not told.
    pub unknown: BTreeSet<String>,
    /// Why, by node.
    pub failures: Vec<(Arc<Node>, Arc<BgpError>)>,
}

/// The project's BGP and that of its nodes.
pub struct Bgp {
    client: MetalClient,
    settings: BgpSettings,
    nodes: Mutex<HashMap<String, Slot>>,
    project: AsyncMutex<Option<(Instant, u32)>>,
}

/// The device of a node; nothing when it is another provider's, or has no ID yet.
fn device_of(node: &Node) -> Option<&str> {
    provider_id::device(&node.provider_id).ok()
}

/// Whether a node is another provider's, in a cluster that has nodes of several.
pub fn is_foreign(node: &Node) -> bool {
    !node.provider_id.is_empty() && !provider_id::is_ours(&node.provider_id)
}

/// How a node is selected: its host label, else its name.
pub fn host_of(node: &Node) -> String {
    node.labels.get(LABEL_HOST).unwrap_or(&node.name).clone()
}

impl Bgp {
    /// The project of this client. Asks nothing yet.
    pub fn new(client: MetalClient, settings: BgpSettings) -> Self {
        Self {
            client,
            settings,
            nodes: Mutex::default(),
            project: AsyncMutex::default(),
        }
    }

    /// Makes the project speak BGP if it does not; how many prefixes a session may announce.
    pub async fn enable_project(&self) -> Result<u32, BgpError> {
        let mut known = self.project.lock().await;
        if let Some((at, limit)) = *known
            && at.elapsed() < FRESH
        {
            return Ok(limit);
        }
        let failed = |source| BgpError::Project {
            project: self.client.project().to_owned(),
            source,
        };
        let mut config = self.client.bgp_config().await.map_err(failed)?;
        if !config.is_enabled() {
            let request = BgpRequest {
                asn: self.settings.local_asn,
                md5: self.settings.password.clone(),
                use_case: USE_CASE.to_owned(),
            };
            let made = self.client.enable_bgp(&request).await;
            // Somebody may have been faster, or the answer was lost: what counts is how it is now.
            config = self.client.bgp_config().await.map_err(failed)?;
            if !config.is_enabled() {
                made.map_err(failed)?;
            }
        }
        let limit = if config.max_prefix == 0 {
            MAX_PREFIX
        } else {
            config.max_prefix
        };
        *known = Some((Instant::now(), limit));
        Ok(limit)
    }

    /// Makes these nodes speak BGP, and tells them with whom. What was seen of a node a short while ago still counts.
    pub async fn speak(&self, client: &kube::Client, nodes: &[Arc<Node>]) -> Spoken {
        let asked = nodes.iter().cloned().map(|node| async move {
            let peering = self.peering(&node).await;
            let peering = match peering {
                Ok(peering) => self
                    .annotate(client, &node, Some(&peering))
                    .await
                    .map(|()| peering)
                    .map_err(Arc::new),
                Err(error) => Err(error),
            };
            (node, peering)
        });
        let mut asked = futures::stream::iter(asked).buffered(AT_A_TIME);
        let mut spoken = Spoken::default();
        while let Some((node, peering)) = asked.next().await {
            let host = host_of(&node);
            match peering {
                Ok(peering) => spoken.speakers.push(Speaker {
                    node: node.name.clone(),
                    host,
                    source: peering.source,
                    local_asn: peering.local_asn,
                    peer_asn: peering.peer_asn,
                    peers: peering.peers,
                    password: peering.password,
                }),
                Err(error) => {
                    spoken.unknown.insert(host);
                    spoken.failures.push((node, error));
                }
            }
        }
        spoken
    }

    /// Takes away what nodes were told about BGP. Their sessions stay: others may use them.
    pub async fn fall_silent(&self, client: &kube::Client, nodes: &[Arc<Node>]) -> Vec<(Arc<Node>, BgpError)> {
        let told = nodes.iter().cloned();
        let told = told.map(|node| async move { (self.annotate(client, &node, None).await, node) });
        let mut told = futures::stream::iter(told).buffered(AT_A_TIME);
        let mut failures = Vec::new();
        while let Some((result, node)) = told.next().await {
            if let Err(error) = result {
                failures.push((node, error));
            }
        }
        failures
    }

    /// Whether one of these nodes was not looked at yet, or too long ago.
    pub fn is_due(&self, nodes: &[Arc<Node>]) -> bool {
        let devices = nodes.iter().filter_map(|node| device_of(node));
        self.slots(|slots| {
            devices.into_iter().any(|device| {
                let slot = slots.get(device).and_then(|slot| slot.try_lock().ok());
                slot.is_none_or(|slot| slot.as_ref().is_none_or(|seen| !seen.is_fresh()))
            })
        })
    }

    /// Forgets nodes that are gone.
    pub fn keep(&self, nodes: &[Arc<Node>]) {
        let devices: BTreeSet<&str> = nodes.iter().filter_map(|node| device_of(node)).collect();
        self.slots(|slots| slots.retain(|device, _| devices.contains(device.as_str())));
    }

    fn slots<T>(&self, change: impl FnOnce(&mut HashMap<String, Slot>) -> T) -> T {
        change(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// With whom a node speaks; asked once by whoever comes first, while the others wait.
    async fn peering(&self, node: &Node) -> Result<Peering, Arc<BgpError>> {
        let Some(device) = device_of(node) else {
            return Err(Arc::new(BgpError::NoDevice(node.name.clone())));
        };
        let slot = self.slots(|slots| Arc::clone(slots.entry(device.to_owned()).or_default()));
        let mut slot = slot.lock().await;
        if let Some(seen) = slot.as_ref().filter(|seen| seen.is_fresh()) {
            return seen.peering.clone();
        }
        let peering = self.look(node, device).await.map_err(Arc::new);
        *slot = Some(Seen {
            at: Instant::now(),
            peering: peering.clone(),
        });
        peering
    }

    async fn look(&self, node: &Node, device: &str) -> Result<Peering, BgpError> {
        self.ensure_session(node, device).await?;
        let neighbors = self
            .client
            .bgp_neighbors(device)
            .await
            .map_err(|source| BgpError::Neighbors {
                device: device.to_owned(),
                source,
            })?;
        let neighbor = neighbors.into_iter().find(|one| one.address_family == 4);
        let neighbor = neighbor.ok_or_else(|| BgpError::NoNeighbor(device.to_owned()))?;
        let described = self
            .client
            .device_with_blocks(device)
            .await
            .map_err(|source| BgpError::Network {
                node: node.name.clone(),
                source,
            })?;
        Ok(peering(neighbor, &described))
    }

    async fn ensure_session(&self, node: &Node, device: &str) -> Result<(), BgpError> {
        let failed = |source| BgpError::Session {
            node: node.name.clone(),
            source,
        };
        let has = |sessions: &[BgpSession]| sessions.iter().any(|one| one.address_family == "ipv4");
        if has(&self.client.bgp_sessions(device).await.map_err(failed)?) {
            return Ok(());
        }
        let Err(error) = self.client.create_bgp_session(device, "ipv4").await else {
            return Ok(());
        };
        // Refused because there is one already, or made although the answer was lost?
        if has(&self.client.bgp_sessions(device).await.map_err(failed)?) {
            return Ok(());
        }
        Err(failed(error))
    }

    async fn annotate(&self, client: &kube::Client, node: &Node, peering: Option<&Peering>) -> Result<(), BgpError> {
        let Some(mut patch) = annotations::patch(&self.settings.annotations, &node.annotations, peering) else {
            return Ok(());
        };
        // Another node of the same name answers with a conflict.
        patch["metadata"]["uid"] = node.uid.as_str().into();
        let api: Api<core::Node> = Api::all(client.clone());
        match api
            .patch_metadata(&node.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
        {
            Err(error) if peering.is_none() && kube_kit::retry::is_not_found(&error) => Ok(()),
            result => result.map(|_| ()).map_err(|source| BgpError::Annotate {
                node: node.name.clone(),
                source: Box::new(source),
            }),
        }
    }
}

fn peering(neighbor: BgpNeighbor, device: &Device) -> Peering {
    let mut peers = neighbor.peer_ips;
    peers.sort();
    peers.dedup();
    Peering {
        local_asn: neighbor.customer_as,
        peer_asn: neighbor.peer_as,
        source: neighbor.customer_ip,
        peers,
        password: neighbor.md5_password,
        network: private_network(device),
    }
}

/// The block that a device's private management address was taken from.
fn private_network(device: &Device) -> Option<Cidr> {
    let address = device
        .ip_addresses
        .iter()
        .find(|one| !one.public && one.management && one.address_family == 4)?;
    let _: IpAddr = address.parent_block.network.parse().ok()?;
    format!("{}/{}", address.parent_block.network, address.parent_block.cidr)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_others_are_foreign_and_new_ones_are_not() {
        let node = |id: &str| Node {
            provider_id: id.to_owned(),
            ..Node::default()
        };
        assert!(is_foreign(&node("aws:///eu/i-1")) && !is_foreign(&node("")));
        assert!(!is_foreign(&node("packet://abc")));
        assert_eq!(device_of(&node("packet://abc")), Some("abc"));
        assert_eq!(device_of(&node("")), None);
    }

    #[test]
    fn a_device_without_a_private_network_has_none() {
        assert_eq!(private_network(&Device::default()), None);
        let sorted = peering(
            BgpNeighbor {
                peer_ips: vec!["169.254.255.2".to_owned(), "169.254.255.1".to_owned()],
                ..BgpNeighbor::default()
            },
            &Device::default(),
        );
        assert_eq!(sorted.peers, ["169.254.255.1", "169.254.255.2"]);
    }
}
