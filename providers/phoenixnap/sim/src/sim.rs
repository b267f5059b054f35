//! The simulated service as one value.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use cloud_sim::{BadState, Cloud, Front, Network};
use kit::Clock;
use serde_json::{Map, Value, json};

use crate::api;
use crate::service::Service;
use crate::settings::Settings;

/// Where it is on [`PhoenixNapSim::network`]: the login and every API.
pub const HOST: &str = "phoenixnap.sim";
/// Where tokens are given, below any address it is reached at.
pub const TOKEN_PATH: &str = "/auth/realms/BMC/protocol/openid-connect/token";

/// A simulated PhoenixNAP. Clones share it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use phoenixnap_sim::{Kind, PhoenixNapSim, Settings};
/// let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
/// let sim = PhoenixNapSim::new(clock, Settings::default());
/// let id = sim.add(Kind::Server, serde_json::json!({"hostname": "node-1", "private_ips": ["10.0.0.11"]})).unwrap();
/// assert_eq!(sim.object(Kind::Server, &id).unwrap()["status"], "powered-on");
/// # });
/// ```
#[derive(Clone)]
pub struct PhoenixNapSim {
    service: Arc<Service>,
    front: Front,
    network: Network,
}

/// A kind of thing there is. Displays as the part of the state it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who may log in, by client id.
    Client,
    /// A server.
    Server,
    /// An IP block.
    Block,
    /// A tag.
    Tag,
    /// A public network.
    PublicNetwork,
    /// A private network.
    PrivateNetwork,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "clients",
            Self::Server => "servers",
            Self::Block => "blocks",
            Self::Tag => "tags",
            Self::PublicNetwork => "public_networks",
            Self::PrivateNetwork => "private_networks",
        })
    }
}

impl fmt::Debug for PhoenixNapSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoenixNapSim")
            .field("front", &self.front)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl PhoenixNapSim {
    /// A service on its first day, which begins now, with seed 1.
    pub fn new(clock: Clock, settings: Settings) -> Self {
        Self::seeded(clock, settings, 1)
    }

    /// A service on its first day, all of whose chance comes from `seed`.
    pub fn seeded(clock: Clock, settings: Settings, seed: u64) -> Self {
        let service = Arc::new(Service::new(clock, seed, settings));
        let front = Front::new(service.clone());
        let network = Network::new();
        let sim = Self {
            service,
            front,
            network,
        };
        sim.network.host(HOST, sim.router());
        sim
    }

    /// Login, APIs and the control API below `/_sim`, by path; [`cloud_sim::serve`] puts it on a socket.
    pub fn router(&self) -> Router {
        self.front.router(api::router(self.service.clone()))
    }

    /// An in-process internet with it as [`HOST`]. Always the same one.
    pub fn network(&self) -> Network {
        self.network.clone()
    }

    /// The request log and the faults.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The clock it lives by.
    pub fn clock(&self) -> &Clock {
        self.service.clock()
    }

    /// Everything, as `GET /_sim/state` gives it.
    pub fn state(&self) -> Value {
        self.service.state()
    }

    /// Replaces everything, as `PUT /_sim/state` does.
    pub fn replace(&self, state: Value) -> Result<(), BadState> {
        self.front.replace(state)
    }

    /// Changes settings while it runs.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.service.with(|world| change(&mut world.settings));
    }

    /// Ends all tokens that were given, as if their time were over.
    pub fn expire_tokens(&self) {
        self.service.with(|world| world.tokens.clear());
    }

    /// All things of a kind as the state has them, by id.
    pub fn objects(&self, kind: Kind) -> Map<String, Value> {
        self.service.with(|world| world.things(kind))
    }

    /// How many things of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.service.with(|world| world.count(kind))
    }

    /// One thing as the state has it.
    pub fn object(&self, kind: Kind, id: &str) -> Option<Value> {
        self.service.with(|world| world.thing(kind, id))
    }

    /// Adds a thing as the state has it, as somebody else would: without a request. What is not given has a default that
    /// makes sense; it is created now. Gives its id.
    pub fn add(&self, kind: Kind, object: Value) -> Result<String, BadState> {
        let id = self.service.with(crate::world::World::draw_id);
        let mut object = object;
        if kind != Kind::Client && kind != Kind::Tag && object.get("created").is_none() {
            object["created"] = self.clock().now().to_string().into();
        }
        self.change(kind, &id, &object)?;
        Ok(id)
    }

    /// Merges into a thing (RFC 7396), which need not be there before.
    pub fn change(&self, kind: Kind, id: &str, patch: &Value) -> Result<(), BadState> {
        self.service.with(|world| {
            let mut thing = world.thing(kind, id).unwrap_or_else(|| json!({}));
            merge(&mut thing, patch);
            world.put(kind, id, Some(thing))
        })
    }

    /// Takes a thing away, as if it had never been.
    pub fn remove(&self, kind: Kind, id: &str) -> Result<(), BadState> {
        self.service.with(|world| world.put(kind, id, None))
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        into.clone_from(patch);
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    if let Value::Object(fields) = into {
        for (name, value) in patch {
            if value.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
