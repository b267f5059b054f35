//! The state as JSON that can be given back, whole or in part.

use cloud_sim::BadState;
use serde_json::Value;

use super::{Pool, World};

impl World {
    pub(crate) fn to_json(&self) -> Value {
        // Plain data with text keys always has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// A world from a state: what it does not have is as in `first`, the first day at the present time.
    pub(crate) fn from_json(state: Value, first: &World) -> Result<Self, BadState> {
        let Value::Object(given) = state else {
            return Err(BadState::new("the state must be an object"));
        };
        let mut whole = first.to_json();
        if let Value::Object(fields) = &mut whole {
            for (key, value) in given {
                if !fields.contains_key(&key) {
                    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                    let why = format!("unknown field {key:?}, known are {}", known.join(", "));
                    return Err(BadState::new(why));
                }
                fields.insert(key, value);
            }
        }
        let world: World = serde_json::from_value(whole)?;
        if let Some(fault) = world.settings.fault() {
            return Err(BadState::new(fault));
        }
        world.check()?;
        Ok(world)
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
