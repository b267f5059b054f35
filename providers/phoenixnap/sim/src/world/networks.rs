//! Public and private networks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::blocks::Target;
use super::{Block, World, default_account, default_location, description, flag, location, optional, required, stamp};
use crate::failure::Failure;

/// How many blocks of each version a public network may have.
const MOST_BLOCKS: [(bool, usize); 2] = [(false, 10), (true, 1)];

/// A public network. Its blocks are those that say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicNetwork {
    pub(crate) name: String,
    #[serde(default = "default_account")]
    pub(crate) account: String,
    #[serde(default = "default_location")]
    pub(crate) location: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) vlan: u16,
    /// `READY`, `DELETING` or `ERROR`. It is `BUSY` while a block of it moves.
    #[serde(default = "ready")]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) ra_enabled: Option<bool>,
    #[serde(default)]
    pub(crate) created: Timestamp,
}

/// A private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivateNetwork {
    pub(crate) name: String,
    #[serde(default = "default_account")]
    pub(crate) account: String,
    #[serde(default = "default_location")]
    pub(crate) location: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) vlan: u16,
    #[serde(default)]
    pub(crate) cidr: String,
    /// Whether new servers of the location join it.
    #[serde(default)]
    pub(crate) default: bool,
    #[serde(default)]
    pub(crate) created: Timestamp,
}

fn ready() -> String {
    "READY".to_owned()
}

impl World {
    pub(crate) fn my_public_network(&self, account: &str, id: &str) -> Result<&PublicNetwork, Failure> {
        let mine = self
            .public_networks
            .get(id)
            .filter(|network| network.account == account);
        mine.ok_or_else(|| self.missing())
    }

    pub(super) fn blocks_of(&self, network: &str) -> impl Iterator<Item = (&String, &Block)> {
        self.blocks.iter().filter(move |(_, block)| block.is_of(network))
    }

    fn is_busy(&self, id: &str) -> bool {
        self.blocks_of(id).any(|(_, block)| block.is_moving())
    }

    pub(crate) fn public_network_ids(&self, account: &str, location: Option<&str>) -> Vec<String> {
        let mine = self
            .public_networks
            .iter()
            .filter(|(_, network)| network.account == account);
        let here = mine.filter(|(_, network)| location.is_none_or(|location| network.location == location));
        here.map(|(id, _)| id.clone()).collect()
    }

    /// A public network as it is told.
    pub(crate) fn public_network_json(&self, account: &str, id: &str) -> Result<Value, Failure> {
        let network = self.my_public_network(account, id)?;
        let blocks: Vec<Value> = self
            .blocks_of(id)
            .map(|(block, _)| self.network_block_json(id, block))
            .collect();
        let members: Vec<Value> = self
            .servers
            .iter()
            .flat_map(|(server, it)| it.public_networks.iter().map(move |member| (server, member)))
            .filter(|(_, member)| member.id == id)
            .map(|(server, member)| json!({"resourceId": server, "resourceType": "server", "ips": member.ips}))
            .collect();
        let status = if network.status == "READY" && self.is_busy(id) {
            "BUSY"
        } else {
            network.status.as_str()
        };
        let mut told = json!({
            "id": id, "vlanId": network.vlan, "memberships": members, "name": network.name,
            "location": network.location, "status": status, "createdOn": stamp(network.created), "ipBlocks": blocks,
        });
        if let Some(text) = &network.description {
            told["description"] = text.as_str().into();
        }
        if let Some(enabled) = network.ra_enabled {
            told["raEnabled"] = enabled.into();
        }
        Ok(told)
    }

    /// A block as its network tells it.
    fn network_block_json(&self, network: &str, id: &str) -> Value {
        let cidr = self.blocks.get(id).map(|block| block.cidr.as_str()).unwrap_or_default();
        json!({"id": id, "cidr": cidr, "usedIpsCount": self.used_in(network, cidr).to_string()})
    }

    pub(crate) fn create_public_network(
        &mut self,
        account: &str,
        fields: &Map<String, Value>,
    ) -> Result<String, Failure> {
        let network = PublicNetwork {
            name: network_name(required(fields, "name")?)?,
            account: account.to_owned(),
            location: location(fields)?,
            description: description(fields)?,
            vlan: self.vlan(account, fields)?,
            status: ready(),
            ra_enabled: flag(fields, "raEnabled")?,
            created: self.now,
        };
        let mut names = self.public_networks.values();
        if names.any(|other| other.account == account && other.name == network.name) {
            return Err(Failure::conflict(format!(
                "A public network {} exists already.",
                network.name
            )));
        }
        let blocks = match fields.get("ipBlocks") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(blocks)) => blocks.iter().map(block_id).collect::<Result<_, _>>()?,
            Some(_) => return Err(Failure::invalid("ipBlocks must be a list")),
        };
        let id = self.draw_id();
        self.public_networks.insert(id.clone(), network);
        for block in blocks {
            if let Err(failure) = self.add_block(account, &id, &block) {
                // All or nothing.
                self.public_networks.remove(&id);
                self.free_blocks(&id);
                return Err(failure);
            }
        }
        Ok(id)
    }

    pub(crate) fn change_public_network(
        &mut self,
        account: &str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), Failure> {
        self.my_public_network(account, id)?;
        let name = optional(fields, "name")?.map(network_name).transpose()?;
        let (text, ra) = (description(fields)?, flag(fields, "raEnabled")?);
        if let Some(network) = self.public_networks.get_mut(id) {
            network.name = name.unwrap_or_else(|| network.name.clone());
            network.description = text.or_else(|| network.description.take());
            network.ra_enabled = ra.or(network.ra_enabled);
        }
        Ok(())
    }

    pub(crate) fn delete_public_network(&mut self, account: &str, id: &str) -> Result<(), Failure> {
        self.my_public_network(account, id)?;
        if self
            .servers
            .values()
            .any(|server| server.public_networks.iter().any(|member| member.id == id))
        {
            return Err(Failure::conflict("The public network has members."));
        }
        self.public_networks.remove(id);
        self.free_blocks(id);
        Ok(())
    }

    fn free_blocks(&mut self, network: &str) {
        for block in self.blocks.values_mut().filter(|block| block.is_of(network)) {
            "unassigned".clone_into(&mut block.status);
            (block.target, block.then) = (None, None);
        }
    }

    /// Begins to add a block to a network.
    pub(crate) fn add_block(&mut self, account: &str, id: &str, block: &str) -> Result<Value, Failure> {
        let network = self.my_public_network(account, id)?;
        let v6 = self.my_block(account, block)?.is_v6();
        if network.status != "READY" || (self.settings.busy_networks_refuse && self.is_busy(id)) {
            return Err(Failure::conflict("The public network is busy."));
        }
        let has = self.blocks_of(id).filter(|(_, block)| block.is_v6() == v6).count();
        if MOST_BLOCKS.contains(&(v6, has)) {
            return Err(Failure::invalid(
                "The public network has as many IP Blocks as it may have.",
            ));
        }
        let location = network.location.clone();
        self.assign(account, block, &location, Target::Network(id.to_owned()))?;
        Ok(self.network_block_json(id, block))
    }

    /// Begins to remove a block from a network.
    pub(crate) fn remove_block(&mut self, account: &str, id: &str, block: &str, force: bool) -> Result<(), Failure> {
        self.my_public_network(account, id)?;
        let found = self.my_block(account, block)?;
        if !found.is_of(id) {
            return Err(self.missing());
        }
        let cidr = found.cidr.clone();
        if !force && self.used_in(id, &cidr) > 0 {
            return Err(Failure::conflict(
                "Addresses of the IP Block are in use by members of the network.",
            ));
        }
        let moving = self.blocks_of(id).any(|(other, it)| other != block && it.is_moving());
        if self.settings.busy_networks_refuse && moving {
            return Err(Failure::conflict("The public network is busy."));
        }
        self.unassign(account, block)
    }

    fn vlan(&self, account: &str, fields: &Map<String, Value>) -> Result<u16, Failure> {
        let public = self
            .public_networks
            .values()
            .filter(|network| network.account == account)
            .map(|it| it.vlan);
        let private = self
            .private_networks
            .values()
            .filter(|network| network.account == account)
            .map(|it| it.vlan);
        let taken: Vec<u16> = public.chain(private).collect();
        match fields.get("vlanId") {
            None | Some(Value::Null) => Ok((2..=4094).find(|vlan| !taken.contains(vlan)).unwrap_or(4094)),
            Some(given) => match given.as_u64().and_then(|vlan| u16::try_from(vlan).ok()) {
                Some(vlan @ 2..=4094) if taken.contains(&vlan) => Err(Failure::conflict("The vlanId is in use.")),
                Some(vlan @ 2..=4094) => Ok(vlan),
                _ => Err(Failure::invalid("vlanId must be between 2 and 4094")),
            },
        }
    }

    pub(crate) fn my_private_network(&self, account: &str, id: &str) -> Result<&PrivateNetwork, Failure> {
        let mine = self
            .private_networks
            .get(id)
            .filter(|network| network.account == account);
        mine.ok_or_else(|| self.missing())
    }

    pub(crate) fn private_network_ids(&self, account: &str, location: Option<&str>) -> Vec<String> {
        let mine = self
            .private_networks
            .iter()
            .filter(|(_, network)| network.account == account);
        let here = mine.filter(|(_, network)| location.is_none_or(|location| network.location == location));
        here.map(|(id, _)| id.clone()).collect()
    }

    /// A private network as it is told.
    pub(crate) fn private_network_json(&self, account: &str, id: &str) -> Result<Value, Failure> {
        let network = self.my_private_network(account, id)?;
        let members = self
            .servers
            .iter()
            .flat_map(|(server, it)| it.private_networks.iter().map(move |member| (server, member)));
        let members: Vec<_> = members.filter(|(_, member)| member.id == id).collect();
        let servers: Vec<Value> = members
            .iter()
            .map(|(server, member)| json!({"id": server, "ips": member.ips}))
            .collect();
        let memberships: Vec<Value> = members
            .iter()
            .map(|(server, member)| json!({"resourceId": server, "resourceType": "server", "ips": member.ips}))
            .collect();
        let mut told = json!({
            "id": id, "name": network.name, "vlanId": network.vlan, "type": "PRIVATE", "location": network.location,
            "locationDefault": network.default, "cidr": network.cidr, "servers": servers, "memberships": memberships,
            "status": "READY", "createdOn": stamp(network.created),
        });
        if let Some(text) = &network.description {
            told["description"] = text.as_str().into();
        }
        Ok(told)
    }

    pub(crate) fn create_private_network(
        &mut self,
        account: &str,
        fields: &Map<String, Value>,
        force: bool,
    ) -> Result<String, Failure> {
        let cidr = optional(fields, "cidr")?.unwrap_or_default().to_owned();
        if cidr.is_empty() && !force {
            return Err(Failure::invalid("cidr must not be empty"));
        }
        if !cidr.is_empty() && super::Pool::parse(&cidr).is_none() {
            return Err(Failure::invalid(format!("cidr {cidr:?} is no network")));
        }
        let network = PrivateNetwork {
            name: network_name(required(fields, "name")?)?,
            account: account.to_owned(),
            location: location(fields)?,
            description: description(fields)?,
            vlan: self.vlan(account, fields)?,
            cidr,
            default: flag(fields, "locationDefault")?.unwrap_or(false),
            created: self.now,
        };
        let id = self.draw_id();
        self.put_private_network(&id, network);
        Ok(id)
    }

    pub(crate) fn change_private_network(
        &mut self,
        account: &str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let mut network = self.my_private_network(account, id)?.clone();
        network.name = network_name(required(fields, "name")?)?;
        network.default =
            flag(fields, "locationDefault")?.ok_or_else(|| Failure::invalid("locationDefault must not be null"))?;
        network.description = description(fields)?;
        self.put_private_network(id, network);
        Ok(())
    }

    /// Of one location's networks only one is the default.
    fn put_private_network(&mut self, id: &str, network: PrivateNetwork) {
        if network.default {
            let same =
                |other: &&mut PrivateNetwork| other.account == network.account && other.location == network.location;
            for other in self.private_networks.values_mut().filter(same) {
                other.default = false;
            }
        }
        self.private_networks.insert(id.to_owned(), network);
    }

    pub(crate) fn delete_private_network(&mut self, account: &str, id: &str) -> Result<(), Failure> {
        self.my_private_network(account, id)?;
        if self
            .servers
            .values()
            .any(|server| server.private_networks.iter().any(|member| member.id == id))
        {
            return Err(Failure::conflict("The private network has members."));
        }
        self.private_networks.remove(id);
        Ok(())
    }

    /// The private network that new servers of a location join; made when there is none.
    pub(super) fn default_network(&mut self, account: &str, location: &str) -> Result<String, Failure> {
        let mine =
            |network: &PrivateNetwork| network.account == account && network.location == location && network.default;
        if let Some((id, _)) = self.private_networks.iter().find(|(_, network)| mine(network)) {
            return Ok(id.clone());
        }
        let n = crate::catalogue::LOCATIONS
            .iter()
            .position(|known| *known == location)
            .unwrap_or_default();
        let network = PrivateNetwork {
            name: format!("Default {location}"),
            account: account.to_owned(),
            location: location.to_owned(),
            description: None,
            vlan: self.vlan(account, &Map::new())?,
            cidr: format!("10.{n}.0.0/16"),
            default: true,
            created: self.now,
        };
        let id = self.draw_id();
        self.private_networks.insert(id.clone(), network);
        Ok(id)
    }
}

/// The id in `{"id": …}`.
pub(crate) fn block_id(body: &Value) -> Result<String, Failure> {
    match body {
        Value::Object(fields) => required(fields, "id").map(str::to_owned),
        _ => Err(Failure::invalid("the body must be an object")),
    }
}

fn network_name(text: &str) -> Result<String, Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '(' | ')' | '.' | '-' | ' ');
    if text.len() <= 100 && text.chars().all(fits) && text.chars().any(|c| c.is_ascii_alphabetic()) {
        Ok(text.to_owned())
    } else {
        Err(Failure::invalid(format!(
            "name {text:?} has characters that no network's name may have"
        )))
    }
}
