//! The cluster's nodes and the project's devices.
//!
//! Mirrors `metal/devices.go` of the Go program. Differs from upstream: nodes are answered from list pages, of all pages;
//! that the API refuses to show a device never counts as its absence.

mod list;
mod metadata;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloud_provider::data::Node;
use cloud_provider::fresh::Fresh;
use cloud_provider::{CloudError, Instances, Sighting, Unknown};
use futures::StreamExt as _;
use kit::Class;
use tracing::debug;

use crate::client::{MetalClient, MetalError, MetalResult};
use crate::provider_id::{self, ProviderIdError};

use list::{Listed, Reading, Seen};

/// How old a list of devices may be. The controllers that ask at the same time share one.
const FRESH: Duration = Duration::from_secs(5);
/// How old it may be where it lacks a device. Lists are asked for by many nodes that wait for theirs.
const FRESHER: Duration = Duration::from_secs(1);
/// How many devices that no list shows are asked for at a time.
const AT_A_TIME: usize = 8;

/// The devices of a project, as instances of its cluster's nodes.
pub struct MetalInstances {
    client: MetalClient,
    listed: Fresh<Listed, MetalError>,
}

/// What a list says about a node.
enum Found<'a> {
    Device(&'a Seen),
    /// Nothing: this device has to be asked for.
    Unlisted(&'a str),
    NoMatch,
    Problem(CloudError),
}

impl MetalInstances {
    /// The devices that this client sees.
    pub fn new(client: MetalClient) -> Self {
        Self {
            client,
            listed: Fresh::default(),
        }
    }

    /// The project's devices, from a list that was asked for at most `age` ago.
    async fn list(&self, age: Duration) -> MetalResult<Arc<Listed>> {
        let ask = async {
            let mut reading = Reading::default();
            self.client.each_device(|device| reading.add(device)).await?;
            Ok(reading.done())
        };
        self.listed.get(age, ask).await
    }

    /// Reads the devices that are about to be asked for: at the start, while the cluster's nodes are read.
    pub(crate) async fn read_ahead(&self) {
        // Whoever needs the list asks again, and says what is wrong.
        if let Err(error) = self.list(FRESH).await {
            debug!(error = %kit::chain(&error), "cannot read the devices ahead of time");
        }
    }

    /// What is to be said about a node whose device no list shows. `tired` remembers a failure that concerns all devices.
    async fn ask(&self, id: &str, node: &Node, tired: &Mutex<Option<MetalError>>) -> Sighting {
        let before = || tired.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = before().clone() {
            return failed(error.into());
        }
        match self.client.device(id).await {
            // Deleted is said of this very device.
            Ok(device) if device.state == "deleted" => Sighting::Gone,
            Ok(device) if device.id.eq_ignore_ascii_case(id) => sighting(&device.into(), node),
            Ok(device) => failed(CloudError::new(
                Class::Transient,
                format!("the API answered device {id} with {:?}", device.id),
            )),
            // The list was good, so key and address are, and the API itself denies it.
            Err(error) if error.is_not_found() => Sighting::Gone,
            Err(error) if error.is_forbidden() => {
                let text = format!(
                    "this API key may not see device {id}, which is not in project {}; \
                     the node is kept, as this does not say that the device is gone",
                    self.client.project()
                );
                failed(CloudError::new(error.class(), text).because(error))
            }
            Err(error) => {
                *before() = Some(error.clone());
                failed(error.into())
            }
        }
    }
}

#[async_trait]
impl Instances for MetalInstances {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        self.listed.forget(FRESH);
        let mut listed = self.list(FRESH).await?;
        let lacking = |listed: &Listed| {
            nodes
                .iter()
                .any(|node| matches!(find(listed, node), Found::NoMatch | Found::Unlisted(_)))
        };
        if lacking(&listed) {
            listed = self.list(FRESHER).await?;
        }
        let mut unlisted = Vec::new();
        let mut told = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            told.push(match find(&listed, node) {
                Found::Device(device) => sighting(device, node),
                Found::Unlisted(id) => {
                    unlisted.push((at, id.to_owned(), Arc::clone(node)));
                    // Until it was asked for.
                    Sighting::Unknown(Unknown::NoMatch)
                }
                Found::NoMatch => Sighting::Unknown(Unknown::NoMatch),
                Found::Problem(error) => failed(error),
            });
        }
        let tired = Mutex::new(None);
        let asks = unlisted.into_iter().map(|(at, id, node)| {
            let tired = &tired;
            async move { (at, self.ask(&id, &node, tired).await) }
        });
        let asked: Vec<_> = futures::stream::iter(asks).buffered(AT_A_TIME).collect().await;
        for (at, sighting) in asked {
            told[at] = sighting;
        }
        Ok(told)
    }
}

/// Finds a node's device: by provider ID where it has one, else by name, else by address.
fn find<'a>(listed: &'a Listed, node: &'a Node) -> Found<'a> {
    let problem = |text: String| Found::Problem(CloudError::new(Class::Invalid, text));
    match provider_id::device(&node.provider_id) {
        Ok(id) => match listed.device(id) {
            // To be confirmed by itself.
            Some(device) if *device.state == *"deleted" => Found::Unlisted(id),
            Some(device) => Found::Device(device),
            None => Found::Unlisted(id),
        },
        Err(ProviderIdError::Empty) if node.name.is_empty() => problem("node name cannot be empty string".to_owned()),
        Err(ProviderIdError::Empty) => by_name(listed, node),
        Err(error) => problem(error.to_string()),
    }
}

/// Finds the device with a node's name. Host names may repeat, and devices on their way out keep theirs.
fn by_name<'a>(listed: &'a Listed, node: &Node) -> Found<'a> {
    let mut with_address = listed.with_address(&metadata::known_addresses(node));
    with_address.retain(|device| !is_dying(device));
    let mut found = listed.with_host(&node.name);
    found.retain(|device| !is_dying(device));
    if found.is_empty() {
        // A node may be called otherwise than its device, but its addresses are those of the device.
        found.clone_from(&with_address);
    }
    for better in [
        &(|device: &Seen| *device.state == *"active") as &dyn Fn(&Seen) -> bool,
        &|device: &Seen| with_address.iter().any(|other| other.id == device.id),
    ] {
        if found.len() > 1 && found.iter().any(|device| better(device)) {
            found.retain(|device| better(device));
        }
    }
    match found.as_slice() {
        [] => Found::NoMatch,
        [device] => Found::Device(device),
        many => {
            let mut ids: Vec<&str> = many.iter().map(|device| &*device.id).collect();
            ids.sort_unstable();
            Found::Problem(CloudError::new(
                Class::Invalid,
                format!(
                    "{} devices fit node {}: {}; give all but one another host name",
                    ids.len(),
                    node.name,
                    ids.join(", ")
                ),
            ))
        }
    }
}

fn is_dying(device: &Seen) -> bool {
    matches!(&*device.state, "deprovisioning" | "deleted" | "failed")
}

fn sighting(device: &Seen, node: &Node) -> Sighting {
    if *device.state == *"inactive" {
        Sighting::ShutDown
    } else {
        Sighting::Running(metadata::metadata(device, node))
    }
}

fn failed(error: CloudError) -> Sighting {
    Sighting::Unknown(Unknown::Failed(error))
}

#[cfg(test)]
mod tests;
