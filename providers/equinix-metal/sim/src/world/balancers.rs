//! Load balancers: listening ports, the pools behind them, and the origins in those.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Row, World, later};
use crate::failure::Failure;

/// The only provider of load balancers.
pub(crate) const PROVIDER_ID: &str = "loadpvd-gOB_-byp5ebFo7A3LHv2B";

/// The metros that have load balancers, and what these places are called here.
pub(crate) const LOCATIONS: [(&str, &str, &str); 3] = [
    ("da", "lctnloc--uxs0GLeAELHKV8GxO_AI", "Dallas"),
    ("ny", "lctnloc-Vy-1Qpw31mPi6RJQwVf9A", "New York"),
    ("sv", "lctnloc-H5rl2M2VL5dcFmdxhbEKx", "Silicon Valley"),
];

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Balancer {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// A listening port of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Port {
    pub(crate) id: String,
    pub(crate) balancer: String,
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) pools: Vec<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// A pool of origins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// What a pool's origins speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    #[default]
    Tcp,
    Udp,
}

/// Where traffic goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Origin {
    pub(crate) id: String,
    pub(crate) pool: String,
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) port_number: u16,
    pub(crate) active: bool,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// What a key was exchanged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BalancerToken {
    pub(crate) key: String,
    pub(crate) expires: Timestamp,
}

macro_rules! rows {
    ($($row:ty),*) => {
        $(impl Row for $row {
            fn id(&self) -> &str {
                &self.id
            }
        })*
    };
}
rows!(Balancer, Port, Pool, Origin);

impl World {
    /// An id of the load balancer API's kind.
    pub(crate) fn draw_balancer_id(&mut self, prefix: &str) -> String {
        let id = self.draw_id().replace('-', "");
        format!("{prefix}-{}", &id[..21])
    }

    /// A token for a key, good for a while.
    pub(crate) fn exchange(&mut self, key: &str) -> String {
        self.exchanges += 1;
        let token = format!(
            "eyJsim.{}.{}",
            self.draw_id().replace('-', ""),
            self.draw_id().replace('-', "")
        );
        let expires = later(self.now, self.settings.token_ttl);
        self.balancer_tokens.insert(
            token.clone(),
            BalancerToken {
                key: key.to_owned(),
                expires,
            },
        );
        token
    }

    /// The addresses of a load balancer: none for the first seconds.
    pub(crate) fn balancer_addresses(&self, balancer: &Balancer) -> Vec<String> {
        let from = balancer
            .created_at
            .map(|at| later(at, self.settings.balancer_addresses));
        if from.is_some_and(|from| from > self.now) {
            return Vec::new();
        }
        // Always the same for the same id, whatever else there is.
        let digest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, balancer.id.as_bytes());
        let [a, b, ..] = *digest.as_bytes();
        vec![format!("145.40.{a}.{b}")]
    }

    /// The ports of a load balancer.
    pub(crate) fn ports_of<'a>(&'a self, balancer: &'a str) -> impl Iterator<Item = &'a Port> {
        self.balancer_ports.iter().filter(move |port| port.balancer == balancer)
    }

    /// Adds a listening port.
    pub(crate) fn create_port(
        &mut self,
        balancer: &str,
        name: String,
        number: u16,
        pools: Vec<String>,
    ) -> Result<String, Failure> {
        if number == 0 {
            return Err(Failure::invalid("number must be between 1 and 65535"));
        }
        if self.ports_of(balancer).any(|port| port.number == number) {
            let why = format!("the load balancer already has a port {number}");
            return Err(match self.settings.duplicate_port {
                409 => Failure::conflict(why),
                _ => Failure::invalid(why),
            });
        }
        self.check_pools(&pools)?;
        let id = self.draw_balancer_id("loadprt");
        self.balancer_ports.insert(Port {
            id: id.clone(),
            balancer: balancer.to_owned(),
            name,
            number,
            pools,
            created_at: Some(self.now),
            updated_at: Some(self.now),
        });
        Ok(id)
    }

    /// Refuses pools that are not there.
    pub(crate) fn check_pools(&self, pools: &[String]) -> Result<(), Failure> {
        match pools.iter().find(|pool| self.balancer_pools.get(pool).is_none()) {
            Some(pool) => Err(Failure::invalid(format!("there is no pool {pool}"))),
            None => Ok(()),
        }
    }

    /// Removes a load balancer with its ports. Pools stay.
    pub(crate) fn delete_balancer(&mut self, id: &str) {
        self.balancers.remove(id);
        self.balancer_ports.retain(|port| port.balancer != id);
    }

    /// Removes a pool with its origins, also from the ports that use it.
    pub(crate) fn delete_pool(&mut self, id: &str) {
        self.balancer_pools.remove(id);
        self.balancer_origins.retain(|origin| origin.pool != id);
        let using: Vec<String> = self
            .balancer_ports
            .iter()
            .filter(|port| port.pools.iter().any(|pool| pool == id))
            .map(|port| port.id.clone())
            .collect();
        for port in using {
            if let Some(port) = self.balancer_ports.get_mut(&port) {
                port.pools.retain(|pool| pool != id);
            }
        }
    }
}
