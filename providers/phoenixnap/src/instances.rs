//! Servers as the cluster's nodes.
//!
//! One list answers for all nodes. A server that is missing from it is asked for by its id, and only what the API denies
//! then is gone: by 404, or by 403 with a list that can be read and does not have it.

mod metadata;
mod names;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloud_provider::data::Node;
use cloud_provider::fresh::Fresh;
use cloud_provider::{CloudError, Instances, Sighting, Unknown};
use futures::StreamExt as _;
use kit::Class;
use tracing::debug;

use crate::client::{PnapClient, PnapError, Server, ServerStatus};
use crate::provider_id::{ProviderId, ProviderIdError};

/// How old a list of servers may be. The controllers that ask at the same time share one.
const FRESH: Duration = Duration::from_secs(5);
/// How old it may be where it lacks a server: many nodes may be waiting for theirs.
const FRESHER: Duration = Duration::from_secs(1);
/// How many servers are asked for at a time.
const AT_A_TIME: usize = 8;

/// The servers of an account.
#[derive(Debug)]
pub struct PnapInstances {
    client: PnapClient,
    listed: Fresh<Servers, PnapError>,
}

/// The servers of a list, kept small: an account may have thousands.
#[derive(Debug, Default)]
struct Servers {
    /// In the order of their ids.
    all: Box<[Server]>,
    /// Where they are in there, in the order of their hostnames.
    by_name: Box<[u32]>,
}

/// What hostnames are compared by.
fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

impl Servers {
    fn new(mut servers: Vec<Server>) -> Self {
        servers.sort_by(|one, other| one.id.cmp(&other.id));
        servers.dedup_by(|one, other| one.id == other.id);
        let mut by_name: Vec<u32> = (0..).take(servers.len()).collect();
        let name = |at: u32| folded(&servers[at as usize].hostname);
        by_name.sort_by(|one, other| name(*one).cmp(name(*other)));
        Self {
            by_name: by_name.into(),
            all: servers.into(),
        }
    }

    fn get(&self, id: &str) -> Option<&Server> {
        let at = self.all.binary_search_by(|server| server.id.as_str().cmp(id)).ok()?;
        self.all.get(at)
    }

    /// The servers with this hostname, in any case.
    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Server> {
        let server = |at: &u32| &self.all[*at as usize];
        let compared = |at: &u32| folded(&server(at).hostname).cmp(folded(name));
        let first = self.by_name.partition_point(|at| compared(at).is_lt());
        let beyond = self.by_name.partition_point(|at| compared(at).is_le());
        self.by_name[first..beyond].iter().map(server)
    }
}

/// What was answered when a server was asked for by its id.
enum Asked {
    Found(Box<Server>),
    /// Positively.
    NotThere,
    /// Not there, or not to be seen with this credential.
    Forbidden(PnapError),
    Failed(PnapError),
}

impl PnapInstances {
    /// The servers that this client sees.
    pub fn new(client: PnapClient) -> Self {
        Self {
            client,
            listed: Fresh::default(),
        }
    }

    async fn list(&self) -> Result<Servers, PnapError> {
        Ok(Servers::new(self.client.servers().await?))
    }

    /// Reads the servers that are about to be asked for: at the start, while the cluster's nodes are read.
    pub(crate) async fn read_ahead(&self) {
        // Whoever needs the list asks again, and says what is wrong.
        if let Err(error) = self.listed.get(FRESH, self.list()).await {
            debug!(error = %kit::chain(&error), "cannot read the servers ahead of time");
        }
    }

    async fn ask(&self, id: String) -> (String, Asked) {
        let asked = match self.client.server(&id).await {
            Ok(server) => Asked::Found(Box::new(server)),
            Err(error) if error.is_not_found() => Asked::NotThere,
            Err(error) if error.is_missing() => Asked::Forbidden(error),
            Err(error) => Asked::Failed(error),
        };
        (id, asked)
    }

    /// Asks for servers by their ids.
    async fn ask_all(&self, ids: Vec<String>) -> BTreeMap<String, Asked> {
        let asks = ids.into_iter().map(|id| self.ask(id));
        let mut asked: BTreeMap<String, Asked> =
            futures::stream::iter(asks).buffer_unordered(AT_A_TIME).collect().await;
        if !asked.values().any(|asked| matches!(asked, Asked::Forbidden(_))) {
            return asked;
        }
        // Whether the credential still has its rights shows in a list read after the refusals.
        let listed = self.listed.now(self.list()).await;
        for (id, asked) in &mut asked {
            let Asked::Forbidden(refusal) = asked else { continue };
            *asked = match &listed {
                Ok(servers) => match servers.get(id) {
                    Some(server) => Asked::Found(Box::new(server.clone())),
                    None => Asked::NotThere,
                },
                Err(_) => Asked::Failed(refusal.clone()),
            };
        }
        asked
    }
}

/// What a node says about which server it is.
enum Wanted {
    Id(String),
    Name,
    Broken(ProviderIdError),
}

fn wanted(node: &Node) -> Wanted {
    match ProviderId::parse(&node.provider_id) {
        Ok(id) => Wanted::Id(id.server().to_owned()),
        Err(ProviderIdError::Empty) => Wanted::Name,
        Err(error) => Wanted::Broken(error),
    }
}

#[async_trait]
impl Instances for PnapInstances {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let wanted: Vec<Wanted> = nodes.iter().map(|node| wanted(node)).collect();
        self.listed.forget(FRESH);
        let mut listed = self.listed.get(FRESH, self.list()).await?;
        let lacks = |listed: &Servers| {
            let mut pairs = nodes.iter().zip(&wanted);
            pairs.any(|(node, wanted)| match wanted {
                Wanted::Id(id) => listed.get(id).is_none(),
                Wanted::Name => matches!(names::find(node, listed.named(&node.name)), Ok(None)),
                Wanted::Broken(_) => false,
            })
        };
        if lacks(&listed) {
            listed = self.listed.get(FRESHER, self.list()).await?;
        }
        let mut missing: Vec<String> = wanted
            .iter()
            .filter_map(|wanted| match wanted {
                Wanted::Id(id) if listed.get(id).is_none() => Some(id.clone()),
                _ => None,
            })
            .collect();
        missing.sort();
        missing.dedup();
        let asked = self.ask_all(missing).await;
        let answer = |(node, wanted): (&Arc<Node>, &Wanted)| match wanted {
            Wanted::Broken(ProviderIdError::Foreign(_)) => Sighting::Unknown(Unknown::Foreign),
            Wanted::Broken(error) => failed(CloudError::new(Class::Invalid, error.to_string())),
            Wanted::Name => match names::find(node, listed.named(&node.name)) {
                Ok(Some(server)) => sighting(node, server),
                Ok(None) => Sighting::Unknown(Unknown::NoMatch),
                Err(error) => failed(CloudError::new(Class::Invalid, error.to_string())),
            },
            Wanted::Id(id) => match (listed.get(id), asked.get(id)) {
                (Some(server), _) => sighting(node, server),
                (None, Some(Asked::Found(server))) => sighting(node, server),
                (None, Some(Asked::NotThere)) => Sighting::Gone,
                (None, Some(Asked::Forbidden(error) | Asked::Failed(error))) => failed(error.clone().into()),
                (None, None) => Sighting::Unknown(Unknown::NoMatch),
            },
        };
        Ok(nodes.iter().zip(&wanted).map(answer).collect())
    }
}

fn failed(error: CloudError) -> Sighting {
    Sighting::Unknown(Unknown::Failed(error))
}

fn sighting(node: &Node, server: &Server) -> Sighting {
    if server.status == ServerStatus::PoweredOff {
        return Sighting::ShutDown;
    }
    Sighting::Running(metadata::of(node, server))
}
