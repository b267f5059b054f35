//! The state as JSON that can be given back, whole or in part.

use std::collections::BTreeMap;

use cloud_sim::BadState;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Pool, World};
use crate::sim::Kind;

impl World {
    /// A world from a state: what it does not have is as in `first`, the first day at the present time.
    pub(crate) fn from_json(state: Value, first: &World) -> Result<Self, BadState> {
        let world = cloud_sim::state::over(first, state)?;
        if let Some(fault) = world.settings.fault() {
            return Err(BadState::new(fault));
        }
        world.check()?;
        Ok(world)
    }

    /// One thing as the state has it.
    pub(crate) fn thing(&self, kind: Kind, id: &str) -> Option<Value> {
        fn told<T: Serialize>(things: &BTreeMap<String, T>, id: &str) -> Option<Value> {
            serde_json::to_value(things.get(id)?).ok()
        }
        match kind {
            Kind::Client => told(&self.clients, id),
            Kind::Server => told(&self.servers, id),
            Kind::Block => told(&self.blocks, id),
            Kind::Tag => told(&self.tags, id),
            Kind::PublicNetwork => told(&self.public_networks, id),
            Kind::PrivateNetwork => told(&self.private_networks, id),
        }
    }

    /// How many things of a kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Client => self.clients.len(),
            Kind::Server => self.servers.len(),
            Kind::Block => self.blocks.len(),
            Kind::Tag => self.tags.len(),
            Kind::PublicNetwork => self.public_networks.len(),
            Kind::PrivateNetwork => self.private_networks.len(),
        }
    }

    /// All things of a kind as the state has them.
    pub(crate) fn things(&self, kind: Kind) -> Map<String, Value> {
        let told = match kind {
            Kind::Client => serde_json::to_value(&self.clients),
            Kind::Server => serde_json::to_value(&self.servers),
            Kind::Block => serde_json::to_value(&self.blocks),
            Kind::Tag => serde_json::to_value(&self.tags),
            Kind::PublicNetwork => serde_json::to_value(&self.public_networks),
            Kind::PrivateNetwork => serde_json::to_value(&self.private_networks),
        };
        match told {
            Ok(Value::Object(things)) => things,
            _ => Map::new(),
        }
    }

    /// Puts one thing in its place, or takes it away. Nothing changes when it is refused.
    pub(crate) fn put(&mut self, kind: Kind, id: &str, thing: Option<Value>) -> Result<(), BadState> {
        let before = self.thing(kind, id);
        self.set(kind, id, thing)?;
        if let Err(bad) = self.check() {
            self.set(kind, id, before)?;
            return Err(bad);
        }
        Ok(())
    }

    fn set(&mut self, kind: Kind, id: &str, thing: Option<Value>) -> Result<(), serde_json::Error> {
        fn put<T: DeserializeOwned>(
            things: &mut BTreeMap<String, T>,
            id: &str,
            thing: Option<Value>,
        ) -> Result<(), serde_json::Error> {
            match thing {
                Some(thing) => things.insert(id.to_owned(), serde_json::from_value(thing)?),
                None => things.remove(id),
            };
            Ok(())
        }
        match kind {
            Kind::Client => put(&mut self.clients, id, thing),
            Kind::Server => put(&mut self.servers, id, thing),
            Kind::Block => put(&mut self.blocks, id, thing),
            Kind::Tag => put(&mut self.tags, id, thing),
            Kind::PublicNetwork => put(&mut self.public_networks, id, thing),
            Kind::PrivateNetwork => put(&mut self.private_networks, id, thing),
        }
    }

    /// What hand-made things must be for the rest to hold.
    fn check(&self) -> Result<(), BadState> {
        let mut known: Vec<(&str, Pool)> = Vec::new();
        for (id, block) in &self.blocks {
            let at = format!("blocks[{id:?}]");
            let cidr = Pool::parse(&block.cidr)
                .ok_or_else(|| BadState::new(format!("{at}.cidr is {:?}, which is no network", block.cidr)))?;
            if let Some((other, _)) = known.iter().find(|(_, other)| other.overlaps(cidr)) {
                return Err(BadState::new(format!("{at} overlaps blocks[{other:?}]")));
            }
            known.push((id, cidr));
        }
        let tagged = self.servers.values().map(|server| (&server.account, &server.tags));
        let tagged = tagged.chain(self.blocks.values().map(|block| (&block.account, &block.tags)));
        for (account, tags) in tagged {
            for tag in tags {
                if self.tag_named(account, &tag.name).is_none() {
                    return Err(BadState::new(format!(
                        "a tag {:?} is assigned and there is none in account {account:?}",
                        tag.name
                    )));
                }
            }
        }
        Ok(())
    }
}
