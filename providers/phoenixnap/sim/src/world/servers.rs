//! Servers: created, switched on and off, reset, given back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::blocks::Target;
use super::memberships::Member;
use super::timeline::Mover;
use super::{
    Assignment, Move, World, default_account, default_location, description, location, optional, required, stamp,
};
use crate::catalogue;
use crate::failure::Failure;
use crate::settings::Outcome;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) hostname: String,
    #[serde(default = "default_account")]
    pub(crate) account: String,
    /// One of the words of the wire, in lower case; any other is told as it is.
    #[serde(default = "powered_on")]
    pub(crate) status: String,
    #[serde(default = "default_type", rename = "type")]
    pub(crate) kind: String,
    #[serde(default = "default_location")]
    pub(crate) location: String,
    #[serde(default = "both_networks")]
    pub(crate) network_type: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default = "default_os")]
    pub(crate) os: String,
    #[serde(default = "hourly")]
    pub(crate) pricing_model: String,
    /// Beyond those of its private networks.
    #[serde(default)]
    pub(crate) private_ips: Vec<String>,
    /// Beyond those of its public networks.
    #[serde(default)]
    pub(crate) public_ips: Vec<String>,
    #[serde(default)]
    pub(crate) public_networks: Vec<Member>,
    #[serde(default)]
    pub(crate) private_networks: Vec<Member>,
    #[serde(default)]
    pub(crate) tags: Vec<Assignment>,
    #[serde(default)]
    pub(crate) created: Timestamp,
    #[serde(default)]
    pub(crate) then: Option<Move>,
}

fn powered_on() -> String {
    "powered-on".to_owned()
}

fn default_type() -> String {
    "s1.c1.small".to_owned()
}

fn both_networks() -> String {
    "PUBLIC_AND_PRIVATE".to_owned()
}

fn default_os() -> String {
    "ubuntu/noble".to_owned()
}

fn hourly() -> String {
    "HOURLY".to_owned()
}

/// What may be done to a server by its `actions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    PowerOn,
    PowerOff,
    Reboot,
    Reset,
}

impl World {
    pub(crate) fn my_server(&self, account: &str, id: &str) -> Result<&Server, Failure> {
        self.servers
            .get(id)
            .filter(|server| server.account == account)
            .ok_or_else(|| self.missing())
    }

    pub(crate) fn my_server_mut(&mut self, account: &str, id: &str) -> Result<&mut Server, Failure> {
        let missing = self.missing();
        self.servers
            .get_mut(id)
            .filter(|server| server.account == account)
            .ok_or(missing)
    }

    pub(crate) fn server_ids(&self, account: &str, filter: &[&str]) -> Vec<String> {
        let mine = self.servers.iter().filter(|(_, server)| server.account == account);
        mine.filter(|(_, server)| self.passes(&server.tags, filter))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// A server as it is told.
    pub(crate) fn server_json(&self, account: &str, id: &str) -> Result<Value, Failure> {
        let server = self.my_server(account, id)?;
        let product = catalogue::find(&server.kind);
        let mut public: Vec<&String> = server.public_ips.iter().collect();
        public.extend(server.public_networks.iter().flat_map(|member| &member.ips));
        let mut private: Vec<&String> = server.private_ips.iter().collect();
        private.extend(server.private_networks.iter().flat_map(|member| &member.ips));
        let blocks: Vec<Value> = self
            .blocks
            .iter()
            .filter(|(_, block)| block.target == Some(Target::Server(id.to_owned())))
            .map(|(id, _)| json!({"id": id}))
            .collect();
        let members = |members: &[Member]| -> Value {
            let tell = |member: &Member| json!({"id": member.id, "ips": member.ips, "statusDescription": "assigned"});
            members.iter().map(tell).collect()
        };
        let mut told = json!({
            "id": id, "status": server.status, "hostname": server.hostname,
            "os": server.os, "type": server.kind, "location": server.location,
            "cpu": product.cpu, "cpuCount": product.sockets, "coresPerCpu": product.cores,
            "cpuFrequency": product.ghz, "ram": format!("{}GB RAM", product.ram), "storage": product.storage,
            "privateIpAddresses": private, "publicIpAddresses": public,
            "pricingModel": server.pricing_model, "networkType": server.network_type,
            "tags": self.assignments_json(account, &server.tags),
            "networkConfiguration": {
                "privateNetworkConfiguration": {"privateNetworks": members(&server.private_networks)},
                "ipBlocksConfiguration": {"ipBlocks": blocks},
                "publicNetworkConfiguration": {"publicNetworks": members(&server.public_networks)},
            },
            "storageConfiguration": {"rootPartition": {"raid": "NO_RAID", "size": -1}},
        });
        if let Some(text) = &server.description {
            told["description"] = text.as_str().into();
        }
        if server.status != "creating" {
            told["provisionedOn"] = stamp(server.created).into();
        }
        Ok(told)
    }

    pub(crate) fn servers_read(&mut self, ids: &[String]) {
        let movers: Vec<Mover> = ids.iter().cloned().map(Mover::Server).collect();
        self.read(&movers);
    }

    pub(crate) fn create_server(&mut self, account: &str, fields: &Map<String, Value>) -> Result<String, Failure> {
        let hostname = hostname(required(fields, "hostname")?)?;
        let location = location(fields)?;
        let kind = required(fields, "type")?.to_owned();
        let os = required(fields, "os")?.to_owned();
        let network_type = optional(fields, "networkType")?
            .unwrap_or("PUBLIC_AND_PRIVATE")
            .to_owned();
        let (public, private) = match network_type.as_str() {
            "PUBLIC_AND_PRIVATE" => (true, true),
            "PUBLIC_ONLY" => (true, false),
            "PRIVATE_ONLY" => (false, true),
            "NONE" | "USER_DEFINED" => (false, false),
            _ => {
                return Err(Failure::invalid(format!(
                    "networkType {network_type:?} is not supported"
                )));
            }
        };
        if !catalogue::is_known(&kind) {
            return Err(Failure::invalid(format!("type {kind:?} is not known")));
        }
        let pricing_model = optional(fields, "pricingModel")?.unwrap_or("HOURLY").to_owned();
        let (description, tags) = (
            description(fields)?,
            self.read_assignments(account, fields.get("tags"))?,
        );
        if self.settings.stock == 0 {
            return Err(Failure::new(
                406,
                format!("No servers of type {kind} are available in {location}."),
            ));
        }
        let id = self.draw_id();
        let (mut public_ips, mut private_networks) = (Vec::new(), Vec::new());
        if public {
            let block = self.block_for_server(account, &location, &id)?;
            let address = self.blocks.get(&block).and_then(|block| block.pool()?.nth(1));
            public_ips.extend(address);
        }
        if private {
            private_networks.push(self.join_default_network(account, &location)?);
        }
        self.settings.stock -= 1;
        let time = self.settings.server_create;
        let then = match self.settings.creating {
            Outcome::Done => Some(self.on_the_way("powered-on", time)),
            Outcome::Error => Some(self.on_the_way("error", time)),
            Outcome::Stuck => None,
        };
        let server = Server {
            hostname,
            account: account.to_owned(),
            status: "creating".to_owned(),
            kind,
            location,
            network_type,
            description,
            os,
            pricing_model,
            private_ips: Vec::new(),
            public_ips,
            public_networks: Vec::new(),
            private_networks,
            tags,
            created: self.now,
            then,
        };
        self.servers.insert(id.clone(), server);
        Ok(id)
    }

    pub(crate) fn change_server(
        &mut self,
        account: &str,
        id: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let name = optional(fields, "hostname")?.map(hostname).transpose()?;
        let text = description(fields)?;
        let server = self.my_server_mut(account, id)?;
        server.hostname = name.unwrap_or_else(|| server.hostname.clone());
        server.description = text.or_else(|| server.description.take());
        Ok(())
    }

    pub(crate) fn tag_server(&mut self, account: &str, id: &str, tags: &Value) -> Result<(), Failure> {
        self.my_server(account, id)?;
        let tags = self.read_assignments(account, Some(tags))?;
        self.my_server_mut(account, id)?.tags = tags;
        Ok(())
    }

    /// Does something to a server that is in a state for it.
    pub(crate) fn act(&mut self, account: &str, id: &str, action: Action) -> Result<(), Failure> {
        let status = self.my_server(account, id)?.status.clone();
        let on = status == "powered-on";
        let off = status == "powered-off";
        let (fits, next) = match action {
            Action::PowerOn => (off, "powered-on"),
            Action::PowerOff => (on, "powered-off"),
            Action::Reboot => (on, "rebooting"),
            Action::Reset => (on || off || status == "error", "resetting"),
        };
        if !fits {
            return Err(Failure::conflict(format!("Server is in status {status}.")));
        }
        let takes_time = matches!(action, Action::Reboot | Action::Reset);
        let then = takes_time.then(|| self.on_the_way("powered-on", self.settings.server_restart));
        let server = self.my_server_mut(account, id)?;
        next.clone_into(&mut server.status);
        server.then = then;
        Ok(())
    }

    /// Begins to give a server back; one that is reserved stays, without anything on it.
    pub(crate) fn deprovision(&mut self, account: &str, id: &str, with_blocks: bool) -> Result<(), Failure> {
        let server = self.my_server(account, id)?;
        if matches!(server.status.as_str(), "deleting" | "reserved") {
            return Err(Failure::conflict(format!("Server is in status {}.", server.status)));
        }
        let then = if server.pricing_model == "HOURLY" {
            ""
        } else {
            "reserved"
        };
        let then = self.on_the_way(then, self.settings.server_delete);
        let server = self.my_server_mut(account, id)?;
        "deleting".clone_into(&mut server.status);
        server.then = Some(then);
        let mine = Some(Target::Server(id.to_owned()));
        if with_blocks {
            self.blocks.retain(|_, block| block.target != mine);
        } else {
            for block in self.blocks.values_mut().filter(|block| block.target == mine) {
                "unassigned".clone_into(&mut block.status);
                block.target = None;
            }
        }
        Ok(())
    }

    pub(super) fn server_arrives(&mut self, id: &str) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let Some(then) = server.then.take() else {
            return;
        };
        server.status = then.to;
        match server.status.as_str() {
            "" => {
                self.servers.remove(id);
                self.settings.stock += 1;
            }
            "reserved" => {
                server.public_ips.clear();
                server.private_ips.clear();
                server.public_networks.clear();
                server.private_networks.clear();
            }
            _ => {}
        }
    }
}

fn hostname(text: &str) -> Result<String, Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '(' | ')' | '.' | '-');
    let good = text.len() <= 100 && text.chars().all(fits) && text.chars().any(|c| c.is_ascii_alphabetic());
    if good {
        Ok(text.to_owned())
    } else {
        Err(Failure::invalid(format!(
            "hostname {text:?} has characters that no hostname may have"
        )))
    }
}
