//! BGP: of the project, of the nodes, and what the nodes are told about it.
//!
//! ```text
//! project:  is BGP enabled, on what terms
//! survey:   sessions and networks of all devices, from lists
//! peering:  session ─► neighbours, network ─► with whom a node speaks
//! known:    what was seen of each node, and for how long it counts
//! annotations:  what the node is told
//! ```
//!
//! Mirrors `metal/bgp.go` of cloud-provider-equinix-metal. Differs from upstream: a node is looked at once, however many
//! Services there are, and again only when it is time; its sessions are looked at before one is made; a failure to look is
//! never taken for "not enabled".

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_provider::announcers::Speaker;
use cloud_provider::announcers::metallb::LABEL_HOST;
use cloud_provider::data::Node;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1 as core;
use kube::api::{Api, Patch, PatchParams};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::debug;

use crate::client::{MetalClient, MetalError, MetalResult};
use crate::config::Annotations;
use crate::provider_id;

mod annotations;
mod error;
mod known;
mod peering;
mod project;
mod survey;

pub use error::BgpError;

use known::Memory;
use peering::{Peering, look};
use project::Project;
use survey::{Networks, Sessions, Survey};

/// How often it is seen to it that the sessions of nodes that speak are there still: so late it may be noticed that somebody
/// deleted one.
const CHECK: Duration = Duration::from_mins(5);
/// How many nodes are looked at side by side. The client sends fewer requests at once; some nodes have to wait.
const AT_A_TIME: usize = 64;
/// How many nodes are told side by side.
const TOLD_AT_A_TIME: usize = 8;

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
    memory: Memory,
    survey: Survey,
    /// When it was last asked whether the sessions of nodes that speak are there still.
    checked: Mutex<Option<Instant>>,
    project: Project,
}

/// What is the same for all nodes that are asked about together.
struct Round {
    /// What lists tell of them.
    lists: MetalResult<(Arc<Sessions>, Option<Arc<Networks>>)>,
    /// A failure that concerns all nodes.
    tired: Mutex<Option<MetalError>>,
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
            memory: Memory::default(),
            survey: Survey::default(),
            checked: Mutex::default(),
            project: Project::default(),
        }
    }

    /// Makes the project speak BGP if it does not; how many prefixes a session may announce. What was read a short while
    /// ago still counts.
    pub async fn enable_project(&self) -> Result<u32, BgpError> {
        let terms = self.project.enable(&self.client, &self.settings).await?;
        if terms.changed {
            self.memory.keep(&BTreeSet::new());
        }
        Ok(terms.limit)
    }

    /// Makes these nodes speak BGP, and tells them with whom. What was seen of a node a short while ago still counts.
    pub async fn speak(&self, client: &kube::Client, nodes: &[Arc<Node>]) -> Spoken {
        let round = &self.begin(nodes).await;
        let turns = &Semaphore::new(TOLD_AT_A_TIME);
        let asked = nodes.iter().cloned().enumerate().map(|(n, node)| async move {
            let peering = match self.peering(&node, round).await {
                Ok(peering) => {
                    let _turn = turns.acquire().await;
                    let told = self.annotate(client, &node, Some(&peering)).await;
                    told.map(|()| peering).map_err(Arc::new)
                }
                Err(error) => Err(error),
            };
            (n, node, peering)
        });
        // One that has to wait holds none of the others up.
        let asked = futures::stream::iter(asked).buffer_unordered(AT_A_TIME);
        let mut asked: Vec<_> = asked.collect().await;
        asked.sort_unstable_by_key(|(n, ..)| *n);
        let mut spoken = Spoken::default();
        for (_, node, peering) in asked {
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
        let mut told = futures::stream::iter(told).buffered(TOLD_AT_A_TIME);
        let mut failures = Vec::new();
        while let Some((result, node)) = told.next().await {
            if let Err(error) = result {
                failures.push((node, error));
            }
        }
        failures
    }

    /// Whether one of these nodes was not looked at yet, or too long ago, or does not say what it is to say; or whether it is
    /// time to see if their sessions are there still.
    pub fn is_due(&self, nodes: &[Arc<Node>]) -> bool {
        (self.is_unchecked() && !nodes.is_empty())
            || nodes.iter().any(|node| {
                device_of(node).is_some_and(|device| match self.memory.recall(device) {
                    Some(Ok(peering)) => self.patch(node, Some(&peering)).is_some(),
                    Some(Err(_)) => false,
                    None => true,
                })
            })
    }

    /// Forgets nodes that are gone.
    pub fn keep(&self, nodes: &[Arc<Node>]) {
        self.memory
            .keep(&nodes.iter().filter_map(|node| device_of(node)).collect());
    }

    fn is_unchecked(&self) -> bool {
        let checked = *self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.is_none_or(|at| at.elapsed() >= CHECK)
    }

    /// Forgets nodes whose sessions are gone. Whether that could be found out or not: nobody tries again for a while, as
    /// nodes that speak need no API that answers.
    async fn check(&self) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match self.survey.sessions_now(&self.client).await {
            Ok(sessions) => self.memory.doubt(&sessions),
            Err(error) => debug!("cannot check BGP sessions: {}", kit::chain(&error)),
        }
    }

    /// What is to be known before nodes are asked about one by one.
    async fn begin(&self, nodes: &[Arc<Node>]) -> Round {
        if self.is_unchecked() {
            self.check().await;
        }
        let devices = nodes.iter().filter_map(|node| device_of(node));
        let due = devices.filter(|device| self.memory.recall(device).is_none()).count();
        let lists = async {
            let sessions = self.survey.sessions(&self.client, due).await?;
            let networks = self.survey.networks(&self.client, due).await?;
            Ok((sessions, networks))
        };
        Round {
            lists: lists.await,
            tired: Mutex::default(),
        }
    }

    /// With whom a node speaks.
    async fn peering(&self, node: &Node, round: &Round) -> Result<Peering, Arc<BgpError>> {
        let Some(device) = device_of(node) else {
            return Err(Arc::new(BgpError::NoDevice(node.name.clone())));
        };
        let tired = || round.tired.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = async {
            let (sessions, networks) = round.lists.as_ref().map_err(|source| BgpError::Survey {
                project: self.client.project().to_owned(),
                source: source.clone(),
            })?;
            if let Some(source) = tired().clone() {
                let node = node.name.clone();
                return Err(BgpError::Waiting { node, source });
            }
            let looked = look(&self.client, &node.name, device, sessions, networks.as_deref()).await;
            if let Some(error) = looked.as_ref().err().and_then(BgpError::of_the_api) {
                *tired() = Some(error.clone());
            }
            looked
        };
        self.memory.get(device, looked).await
    }

    fn patch(&self, node: &Node, peering: Option<&Peering>) -> Option<serde_json::Value> {
        annotations::patch(&self.settings.annotations, &node.annotations, peering)
    }

    async fn annotate(&self, client: &kube::Client, node: &Node, peering: Option<&Peering>) -> Result<(), BgpError> {
        let Some(mut patch) = self.patch(node, peering) else {
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

#[cfg(test)]
mod tests;
