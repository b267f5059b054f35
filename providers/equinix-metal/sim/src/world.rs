//! All there is in the simulated service, as plain data that catches up with the clock.

mod addresses;
mod balancers;
mod bgp;
mod devices;
mod net;
mod reservations;
mod state;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use balancers::{Balancer, BalancerToken, LOCATIONS, Origin, PROVIDER_ID, Pool, Port, Protocol};
pub(crate) use bgp::{BgpConfig, BgpStatus, Deployment, MAX_PREFIX, PEER_ASN, Session, learned};
pub(crate) use devices::{Device, DeviceState, NewDevice, Nic, WantedAddress};
pub(crate) use net::Block;
pub(crate) use reservations::{Assignment, NewReservation, Reservation, ReservationKind, ReservationState};
pub(crate) use table::{Row, Table};

use crate::seed::{self, Facility, Key, Metro, Plan};
use crate::settings::{Gone, Settings};

/// A project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    /// How many Elastic IPv4 addresses it may have without anybody's approval.
    pub(crate) quota: Option<u32>,
    pub(crate) bgp: Option<BgpConfig>,
    /// It was deleted, although keys and machines still name it.
    pub(crate) gone: bool,
}

impl Row for Project {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Everything, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct World {
    /// The moment it has caught up with.
    #[serde(skip)]
    pub(crate) now: Timestamp,
    #[serde(skip)]
    pub(crate) seed: u64,
    /// Until when no device changes by itself; long ago when that is not known.
    #[serde(skip)]
    quiet_until: Timestamp,
    /// The addresses that devices have.
    #[serde(skip)]
    taken: addresses::Taken,
    pub(crate) settings: Settings,
    /// Who may ask; without any, everybody.
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) metros: Vec<Metro>,
    pub(crate) facilities: Vec<Facility>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) projects: Table<Project>,
    pub(crate) devices: Table<Device>,
    pub(crate) reservations: Table<Reservation>,
    pub(crate) assignments: Table<Assignment>,
    pub(crate) sessions: Table<Session>,
    /// Devices that failed and were taken away, and how asking for them is answered.
    pub(crate) gone: BTreeMap<String, Gone>,
    pub(crate) balancers: Table<Balancer>,
    pub(crate) balancer_ports: Table<Port>,
    pub(crate) balancer_pools: Table<Pool>,
    pub(crate) balancer_origins: Table<Origin>,
    pub(crate) balancer_tokens: BTreeMap<String, BalancerToken>,
    /// How often a key was exchanged for a token.
    pub(crate) exchanges: u64,
    /// How many ids were drawn.
    pub(crate) drawn: u64,
}

impl World {
    /// The first day.
    pub(crate) fn new(seed: u64, settings: Settings, now: Timestamp) -> Self {
        Self {
            now,
            seed,
            quiet_until: Timestamp::default(),
            taken: addresses::Taken::default(),
            settings,
            keys: seed::keys(),
            metros: seed::metros(),
            facilities: seed::facilities(),
            plans: seed::plans(),
            projects: seed::projects(),
            devices: Table::default(),
            reservations: Table::default(),
            assignments: Table::default(),
            sessions: Table::default(),
            gone: BTreeMap::new(),
            balancers: Table::default(),
            balancer_ports: Table::default(),
            balancer_pools: Table::default(),
            balancer_origins: Table::default(),
            balancer_tokens: BTreeMap::new(),
            exchanges: 0,
            drawn: 0,
        }
    }

    /// Lets happen what is due by now.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        // The clock may have been set back: what has happened stays.
        self.now = now;
        self.settle_devices();
        let World { balancer_tokens, .. } = self;
        balancer_tokens.retain(|_, token| token.expires > now);
    }

    /// The next id.
    pub(crate) fn draw_id(&mut self) -> String {
        self.drawn += 1;
        let name = format!("equinix-metal-sim/{}/{}", self.seed, self.drawn);
        let mut bytes = *uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).as_bytes();
        // What the service gives out are random ones.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        uuid::Uuid::from_bytes(bytes).to_string()
    }

    pub(crate) fn metro(&self, code: &str) -> Option<&Metro> {
        self.metros.iter().find(|metro| metro.code == code)
    }

    pub(crate) fn facility(&self, code: &str) -> Option<&Facility> {
        self.facilities.iter().find(|facility| facility.code == code)
    }

    pub(crate) fn plan(&self, slug: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.slug == slug)
    }

    /// The project of this id, unless it was deleted.
    pub(crate) fn project(&self, id: &str) -> Option<&Project> {
        self.projects.get(id).filter(|project| !project.gone)
    }

    /// What nobody uses any more although a controller made it: reservations with its mark that are assigned nowhere, BGP
    /// sessions, load balancers, pools behind no port.
    pub(crate) fn leaks(&self) -> Value {
        let marked = |tag: &String| tag.starts_with("usage=cloud-provider-equinix-metal");
        let reservations: Vec<Value> = self
            .reservations
            .iter()
            .filter(|it| it.tags.iter().any(marked))
            .filter(|it| {
                !self
                    .assignments
                    .iter()
                    .any(|assignment| assignment.reservation == it.id)
            })
            .map(|it| serde_json::json!({"id": it.id, "address": it.first_address(), "tags": it.tags}))
            .collect();
        let sessions: Vec<Value> = self
            .sessions
            .iter()
            .map(|it| serde_json::json!({"id": it.id, "device": it.device}))
            .collect();
        let balancers: Vec<Value> = self
            .balancers
            .iter()
            .map(|it| serde_json::json!({"id": it.id, "name": it.name}))
            .collect();
        let used = |pool: &Pool| self.balancer_ports.iter().any(|port| port.pools.contains(&pool.id));
        let pools: Vec<Value> = self
            .balancer_pools
            .iter()
            .filter(|it| !used(it))
            .map(|it| serde_json::json!({"id": it.id, "name": it.name}))
            .collect();
        serde_json::json!({
            "reservations": reservations, "bgp_sessions": sessions, "loadbalancers": balancers, "pools": pools,
        })
    }
}

/// This much after that.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A moment as the service writes it: to the second.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
