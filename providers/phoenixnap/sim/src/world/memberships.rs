//! Servers in networks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::blocks::Target;
use super::{Pool, Server, World, required};
use crate::failure::Failure;

/// A server's place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// The network.
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) ips: Vec<String>,
}

/// Which kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Public,
    Private,
}

impl Server {
    fn members(&mut self, reach: Reach) -> &mut Vec<Member> {
        match reach {
            Reach::Public => &mut self.public_networks,
            Reach::Private => &mut self.private_networks,
        }
    }
}

impl World {
    /// How many addresses of a block are in use by a network's members.
    pub(super) fn used_in(&self, network: &str, cidr: &str) -> usize {
        let Some(pool) = Pool::parse(cidr) else {
            return 0;
        };
        self.taken(Reach::Public, network)
            .iter()
            .filter(|ip| pool.contains(ip))
            .count()
    }

    /// The addresses that a network's members have.
    fn taken(&self, reach: Reach, network: &str) -> Vec<String> {
        let members = self.servers.values().flat_map(|server| match reach {
            Reach::Public => &server.public_networks,
            Reach::Private => &server.private_networks,
        });
        members
            .filter(|member| member.id == network)
            .flat_map(|member| member.ips.clone())
            .collect()
    }

    /// The address ranges of a network of this account, and where it is.
    fn ranges(&self, account: &str, reach: Reach, network: &str) -> Result<(Vec<Pool>, String), Failure> {
        Ok(match reach {
            Reach::Public => {
                let location = self.my_public_network(account, network)?.location.clone();
                (
                    self.blocks_of(network).filter_map(|(_, block)| block.pool()).collect(),
                    location,
                )
            }
            Reach::Private => {
                let network = self.my_private_network(account, network)?;
                (
                    Pool::parse(&network.cidr).into_iter().collect(),
                    network.location.clone(),
                )
            }
        })
    }

    /// Adds a server to a network.
    pub(crate) fn join(
        &mut self,
        account: &str,
        server: &str,
        reach: Reach,
        fields: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        let network = required(fields, "id")?.to_owned();
        let (ranges, location) = self.ranges(account, reach, &network)?;
        let found = self.my_server(account, server)?;
        if found.location != location {
            return Err(Failure::invalid(format!("the network is in location {location}")));
        }
        let ips = addresses(&ranges, &self.taken(reach, &network), fields.get("ips"))?;
        let members = self.my_server_mut(account, server)?.members(reach);
        if members.iter().any(|member| member.id == network) {
            return Err(Failure::conflict("The server is a member of the network already."));
        }
        members.push(Member {
            id: network.clone(),
            ips: ips.clone(),
        });
        Ok(json!({"id": network, "ips": ips, "statusDescription": "in-progress"}))
    }

    /// Gives a member of a network other addresses.
    pub(crate) fn readdress(
        &mut self,
        account: &str,
        place: (&str, &str),
        reach: Reach,
        fields: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        let (server, network) = place;
        let (ranges, _) = self.ranges(account, reach, network)?;
        let own = self.member(account, server, reach, network)?.ips.clone();
        let mut taken = self.taken(reach, network);
        taken.retain(|ip| !own.contains(ip));
        let ips = addresses(&ranges, &taken, fields.get("ips"))?;
        self.member(account, server, reach, network)?.ips.clone_from(&ips);
        Ok(json!({"id": network, "ips": ips, "statusDescription": "assigned"}))
    }

    pub(crate) fn leave(&mut self, account: &str, server: &str, reach: Reach, network: &str) -> Result<(), Failure> {
        self.member(account, server, reach, network)?;
        self.my_server_mut(account, server)?
            .members(reach)
            .retain(|member| member.id != network);
        Ok(())
    }

    fn member(&mut self, account: &str, server: &str, reach: Reach, network: &str) -> Result<&mut Member, Failure> {
        let missing = self.missing();
        let members = self.my_server_mut(account, server)?.members(reach);
        members.iter_mut().find(|member| member.id == network).ok_or(missing)
    }

    /// The place of a new server in its location's default network.
    pub(super) fn join_default_network(&mut self, account: &str, location: &str) -> Result<Member, Failure> {
        let id = self.default_network(account, location)?;
        let (ranges, _) = self.ranges(account, Reach::Private, &id)?;
        let ips = addresses(&ranges, &self.taken(Reach::Private, &id), None)?;
        Ok(Member { id, ips })
    }

    /// Assigns a block to a server, which has no other.
    pub(crate) fn give_block(&mut self, account: &str, server: &str, block: &str) -> Result<(), Failure> {
        let location = self.my_server(account, server)?.location.clone();
        let target = Target::Server(server.to_owned());
        if self.blocks.values().any(|other| other.target.as_ref() == Some(&target)) {
            return Err(Failure::conflict("The server has an IP Block already."));
        }
        self.assign(account, block, &location, target)
    }

    /// Takes a block away from a server, and gives it back where that is wanted.
    pub(crate) fn take_block(&mut self, account: &str, server: &str, block: &str, delete: bool) -> Result<(), Failure> {
        self.my_server(account, server)?;
        if self.my_block(account, block)?.target != Some(Target::Server(server.to_owned())) {
            return Err(self.missing());
        }
        if delete {
            self.blocks.remove(block);
            return Ok(());
        }
        self.unassign(account, block)
    }
}

/// The addresses that a body asks for, or the first free one.
fn addresses(ranges: &[Pool], taken: &[String], asked: Option<&Value>) -> Result<Vec<String>, Failure> {
    let Some(asked) = asked.filter(|asked| !asked.is_null()) else {
        let mut all = ranges.iter().flat_map(|pool| pool.usable().filter_map(|n| pool.nth(n)));
        return Ok(all.find(|ip| !taken.contains(ip)).into_iter().collect());
    };
    let asked: Vec<String> =
        serde_json::from_value(asked.clone()).map_err(|_| Failure::invalid("ips must be a list of addresses"))?;
    for ip in &asked {
        if !ranges.iter().any(|pool| pool.contains(ip)) {
            return Err(Failure::invalid(format!("{ip:?} is no address of the network")));
        }
        if taken.contains(ip) {
            return Err(Failure::conflict(format!("{ip} is in use.")));
        }
    }
    Ok(asked)
}
