//! Instances in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{MemoryCloud, Op};
use crate::cloud::{Cloud as _, Instances, Metadata, Sighting, Unknown};
use crate::data::{Address, Node};
use crate::error::CloudError;

/// How many instances one page of a list holds.
const PAGE: usize = 1000;

/// An instance in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    id: String,
    host: String,
    metadata: Metadata,
    running: bool,
    elsewhere: bool,
}

/// How lists of instances are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// They are empty; asked for one instance, the cloud tells the truth.
    Empty,
    /// They end after so many; asked for one instance, the cloud tells the truth.
    Truncated(usize),
    /// They are empty, and asked for one instance the cloud denies it.
    Denied,
}

impl Instance {
    /// A running instance with this ID, for the node with this name.
    pub fn new(id: &str, host: &str) -> Self {
        Self {
            id: id.to_owned(),
            host: host.to_owned(),
            metadata: Metadata::default(),
            running: true,
            elsewhere: false,
        }
    }

    /// Adds an address.
    #[must_use]
    pub fn address(mut self, address: Address) -> Self {
        self.metadata.addresses.push(address);
        self
    }

    /// Adds an address inside the cluster's network.
    #[must_use]
    pub fn internal(self, address: &str) -> Self {
        self.address(Address::internal(address))
    }

    /// Its type.
    #[must_use]
    pub fn instance_type(mut self, name: &str) -> Self {
        name.clone_into(&mut self.metadata.instance_type);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn place(mut self, region: &str, zone: &str) -> Self {
        region.clone_into(&mut self.metadata.region);
        zone.clone_into(&mut self.metadata.zone);
        self
    }

    /// Adds a label for its node.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.metadata.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Gives it the mark of another cluster.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Switches it off.
    #[must_use]
    pub fn shut_down(mut self) -> Self {
        self.running = false;
        self
    }
}

impl MemoryCloud {
    /// Adds an instance, or replaces the one with its ID.
    pub fn add(&self, instance: Instance) {
        self.lock().instances.insert(instance.id.clone(), instance);
    }

    /// Removes an instance.
    pub fn remove(&self, id: &str) {
        self.lock().instances.remove(id);
    }

    /// Switches an instance on or off.
    pub fn power(&self, id: &str, running: bool) {
        if let Some(instance) = self.lock().instances.get_mut(id) {
            instance.running = running;
        }
    }

    /// Makes lists wrong from now on, or right again.
    pub fn lie(&self, lie: Option<Lie>) {
        self.lock().lie = lie;
    }

    async fn list_instances(&self) -> Result<BTreeMap<String, Instance>, CloudError> {
        let mut all = BTreeMap::new();
        for page in 0.. {
            let (part, more) = self
                .request(Op::ListInstances, &page.to_string(), |state| {
                    let shown = match state.lie {
                        None => state.instances.len(),
                        Some(Lie::Truncated(most)) => most.min(state.instances.len()),
                        Some(Lie::Empty | Lie::Denied) => 0,
                    };
                    let pairs = state.instances.iter().take(shown).skip(page * PAGE).take(PAGE);
                    let part: Vec<_> = pairs.map(|(id, instance)| (id.clone(), instance.clone())).collect();
                    Ok((part, shown > (page + 1) * PAGE))
                })
                .await?;
            all.extend(part);
            if !more {
                break;
            }
        }
        Ok(all)
    }

    async fn get_instance(&self, id: &str) -> Result<Option<Instance>, CloudError> {
        self.request(Op::GetInstance, id, |state| {
            let denied = state.lie == Some(Lie::Denied);
            Ok(state.instances.get(id).filter(|_| !denied).cloned())
        })
        .await
    }

    fn sighting(&self, instance: Instance) -> Sighting {
        if instance.elsewhere {
            return Sighting::Unknown(Unknown::Foreign);
        }
        if !instance.running {
            return Sighting::ShutDown;
        }
        Sighting::Running(Metadata {
            provider_id: format!("{}://{}", self.name(), instance.id),
            ..instance.metadata
        })
    }

    async fn see(&self, listed: &BTreeMap<String, Instance>, node: &Node) -> Sighting {
        if node.provider_id.is_empty() {
            let fits = listed.values().find(|instance| instance.host == node.name);
            return fits.map_or(Sighting::Unknown(Unknown::NoMatch), |instance| {
                self.sighting(instance.clone())
            });
        }
        let id = match node.provider_id.split_once("://") {
            Some((scheme, _)) if scheme != self.name() => return Sighting::Unknown(Unknown::Foreign),
            Some((_, id)) => id,
            None => &node.provider_id,
        };
        if let Some(instance) = listed.get(id) {
            return self.sighting(instance.clone());
        }
        // A list proves nothing: ask for this very instance.
        match self.get_instance(id).await {
            Ok(Some(instance)) => self.sighting(instance),
            Ok(None) => Sighting::Gone,
            Err(error) => Sighting::Unknown(Unknown::Failed(error)),
        }
    }
}

#[async_trait]
impl Instances for MemoryCloud {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let listed = self.list_instances().await?;
        let mut sightings = Vec::with_capacity(nodes.len());
        for node in nodes {
            sightings.push(self.see(&listed, node).await);
        }
        Ok(sightings)
    }
}
