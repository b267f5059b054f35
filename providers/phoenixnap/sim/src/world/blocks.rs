//! IP blocks: bought, assigned to a network or a server, unassigned, given back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::timeline::Mover;
use super::{
    Assignment, Move, Pool, World, default_account, default_location, description, location, optional, plus, required,
    stamp,
};
use crate::failure::Failure;
use crate::settings::Outcome;

/// An IP block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) cidr: String,
    #[serde(default = "default_account")]
    pub(crate) account: String,
    #[serde(default = "default_location")]
    pub(crate) location: String,
    /// One of the words of the wire, in lower case.
    #[serde(default = "unassigned")]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// What it is, or is being, assigned to.
    #[serde(default)]
    pub(crate) target: Option<Target>,
    #[serde(default)]
    pub(crate) tags: Vec<Assignment>,
    /// Made by the service for a server of its own accord.
    #[serde(default)]
    pub(crate) system: bool,
    #[serde(default)]
    pub(crate) created: Timestamp,
    #[serde(default)]
    pub(crate) then: Option<Move>,
}

/// What a block may be assigned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// A public network, by its id.
    Network(String),
    /// A server, by its id.
    Server(String),
}

fn unassigned() -> String {
    "unassigned".to_owned()
}

impl Block {
    pub(crate) fn pool(&self) -> Option<Pool> {
        Pool::parse(&self.cidr)
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.cidr.contains(':')
    }

    pub(crate) fn is_moving(&self) -> bool {
        matches!(self.status.as_str(), "assigning" | "unassigning")
    }

    pub(crate) fn is_of(&self, network: &str) -> bool {
        matches!(&self.target, Some(Target::Network(id)) if id == network)
    }
}

impl World {
    pub(crate) fn my_block(&self, account: &str, id: &str) -> Result<&Block, Failure> {
        self.blocks
            .get(id)
            .filter(|block| block.account == account)
            .ok_or_else(|| self.missing())
    }

    fn my_block_mut(&mut self, account: &str, id: &str) -> Result<&mut Block, Failure> {
        let missing = self.missing();
        self.blocks
            .get_mut(id)
            .filter(|block| block.account == account)
            .ok_or(missing)
    }

    /// The blocks in a list, oldest first.
    pub(crate) fn block_ids(&self, account: &str, filter: &[&str]) -> Vec<String> {
        let mut listed: Vec<(&String, &Block)> = self
            .blocks
            .iter()
            .filter(|(_, block)| block.account == account && self.passes(&block.tags, filter))
            .filter(|(_, block)| plus(block.created, self.settings.list_lag) <= self.now)
            .collect();
        listed.sort_by_key(|(id, block)| (block.created, *id));
        listed.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// A block as it is told.
    pub(crate) fn block_json(&self, account: &str, id: &str) -> Result<Value, Failure> {
        let block = self.my_block(account, id)?;
        let mut told = json!({
            "id": id, "location": block.location,
            "cidrBlockSize": format!("/{}", block.cidr.rsplit('/').next().unwrap_or_default()),
            "cidr": block.cidr, "ipVersion": if block.is_v6() { "V6" } else { "V4" }, "status": block.status,
        });
        let tells = block.status != "assigning" || self.settings.resource_while_assigning;
        if let Some(target) = block.target.as_ref().filter(|_| tells) {
            let (id, kind) = match target {
                Target::Network(id) => (id, self.settings.network_resource_type.as_str()),
                Target::Server(id) => (id, "server"),
            };
            told["assignedResourceId"] = id.as_str().into();
            told["assignedResourceType"] = kind.into();
        }
        if let Some(text) = &block.description {
            told["description"] = text.as_str().into();
        }
        told["tags"] = self.assignments_json(account, &block.tags);
        told["isSystemManaged"] = block.system.into();
        told["isBringYourOwn"] = false.into();
        told["createdOn"] = stamp(block.created).into();
        Ok(told)
    }

    pub(crate) fn blocks_read(&mut self, ids: &[String]) {
        let movers: Vec<Mover> = ids.iter().cloned().map(Mover::Block).collect();
        self.read(&movers);
    }

    pub(crate) fn create_block(&mut self, account: &str, fields: &Map<String, Value>) -> Result<String, Failure> {
        let location = location(fields)?;
        let version = optional(fields, "ipVersion")?.unwrap_or("V4");
        let size = required(fields, "cidrBlockSize")?;
        let bits = match (version, size) {
            ("V4", "/31") => 31,
            ("V4", "/30") => 30,
            ("V4", "/29") => 29,
            ("V4", "/28") => 28,
            ("V6", "/64") => 64,
            ("V4" | "V6", _) => {
                return Err(Failure::invalid(format!(
                    "cidrBlockSize {size:?} is not supported for {version}"
                )));
            }
            _ => return Err(Failure::invalid("ipVersion must be V4 or V6")),
        };
        let description = description(fields)?;
        let tags = self.read_assignments(account, fields.get("tags"))?;
        let cidr = self.free_network(&location, bits)?;
        let id = self.draw_id();
        let (status, then) = match self.settings.block_create {
            Some(time) => ("creating".to_owned(), Some(self.on_the_way("unassigned", time))),
            None => (unassigned(), None),
        };
        let block = Block {
            cidr: cidr.to_string(),
            account: account.to_owned(),
            location,
            status,
            description,
            target: None,
            tags,
            system: false,
            created: self.now,
            then,
        };
        self.blocks.insert(id.clone(), block);
        Ok(id)
    }

    /// A free network at a location.
    pub(super) fn free_network(&self, location: &str, bits: u8) -> Result<Pool, Failure> {
        let taken: Vec<Pool> = self.blocks.values().filter_map(Block::pool).collect();
        if bits > 32 {
            let n = crate::catalogue::LOCATIONS
                .iter()
                .position(|known| *known == location)
                .unwrap_or_default();
            let pool = Pool::parse(&format!("2001:db8:{n:x}::/48"));
            return pool.and_then(|pool| pool.carve(bits, &taken)).ok_or_else(sold_out);
        }
        let pools = self.settings.pools.get(location).into_iter().flatten();
        pools
            .filter_map(|text| Pool::parse(text))
            .find_map(|pool| pool.carve(bits, &taken))
            .ok_or_else(sold_out)
    }

    /// The block that the service makes for a new server of its own accord.
    pub(super) fn block_for_server(&mut self, account: &str, location: &str, server: &str) -> Result<String, Failure> {
        let cidr = self.free_network(location, 31)?;
        let id = self.draw_id();
        let block = Block {
            cidr: cidr.to_string(),
            account: account.to_owned(),
            location: location.to_owned(),
            status: "assigned".to_owned(),
            description: None,
            target: Some(Target::Server(server.to_owned())),
            tags: Vec::new(),
            system: false,
            created: self.now,
            then: None,
        };
        self.blocks.insert(id.clone(), block);
        Ok(id)
    }

    pub(crate) fn describe_block(
        &mut self,
        account: &str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let description = description(fields)?;
        self.my_block_mut(account, id)?.description = description;
        Ok(())
    }

    pub(crate) fn tag_block(&mut self, account: &str, id: &str, tags: &Value) -> Result<(), Failure> {
        self.my_block(account, id)?;
        let tags = self.read_assignments(account, Some(tags))?;
        self.my_block_mut(account, id)?.tags = tags;
        Ok(())
    }

    pub(crate) fn delete_block(&mut self, account: &str, id: &str) -> Result<(), Failure> {
        let block = self.my_block(account, id)?;
        if block.status != "unassigned" {
            let why = format!("IP Block cannot be deleted in status {}.", block.status);
            return Err(Failure::new(self.settings.delete_assigned_code, why));
        }
        self.blocks.remove(id);
        Ok(())
    }

    /// Begins to assign a block to something at `location`.
    pub(super) fn assign(&mut self, account: &str, id: &str, location: &str, target: Target) -> Result<(), Failure> {
        let block = self.my_block(account, id)?;
        if block.location != location {
            return Err(Failure::invalid(format!(
                "IP Block is in location {}, not {location}",
                block.location
            )));
        }
        if block.status != "unassigned" {
            return Err(Failure::conflict(format!(
                "IP Block cannot be assigned in status {}.",
                block.status
            )));
        }
        let then = self.outcome(self.settings.assigning, "assigned", "error assigning");
        let block = self.my_block_mut(account, id)?;
        "assigning".clone_into(&mut block.status);
        block.target = Some(target);
        block.then = then;
        Ok(())
    }

    /// Begins to take a block away from what it is assigned to.
    pub(super) fn unassign(&mut self, account: &str, id: &str) -> Result<(), Failure> {
        let block = self.my_block(account, id)?;
        if !matches!(
            block.status.as_str(),
            "assigned" | "error assigning" | "error unassigning"
        ) {
            return Err(Failure::conflict(format!(
                "IP Block cannot be unassigned in status {}.",
                block.status
            )));
        }
        let then = self.outcome(self.settings.unassigning, "unassigned", "error unassigning");
        let block = self.my_block_mut(account, id)?;
        "unassigning".clone_into(&mut block.status);
        block.then = then;
        Ok(())
    }

    fn outcome(&self, outcome: Outcome, done: &str, error: &str) -> Option<Move> {
        let time = self.settings.block_move;
        match outcome {
            Outcome::Done => Some(self.on_the_way(done, time)),
            Outcome::Error => Some(self.on_the_way(error, time)),
            Outcome::Stuck => None,
        }
    }

    pub(super) fn block_arrives(&mut self, id: &str) {
        if let Some(block) = self.blocks.get_mut(id)
            && let Some(then) = block.then.take()
        {
            block.status = then.to;
            if block.status == "unassigned" {
                block.target = None;
            }
        }
    }
}

fn sold_out() -> Failure {
    Failure::new(406, "No IP Blocks of the requested size are available.")
}
