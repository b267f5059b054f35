//! The simulated service as one value.

use std::sync::Arc;

use axum::Router;
use cloud_sim::{BadState, Cloud, Front, Network};
use kit::Clock;
use serde_json::Value;

use crate::api::{self, Includes, show};
use crate::control;
use crate::failure::Failure;
use crate::service::Service;
use crate::settings::Settings;
use crate::world::{Device, DeviceState, NewReservation, ReservationKind, Table, World};

/// Where the Metal API is on [`MetalSim::network`], below `/metal/v1`.
pub const API_HOST: &str = "metal.sim";
/// Where the load balancer API is on [`MetalSim::network`], below `/v1`.
pub const LB_HOST: &str = "lb.metal.sim";
/// Where keys are exchanged for tokens on [`MetalSim::network`], at `/api-keys/exchange`.
pub const IAM_HOST: &str = "iam.metal.sim";

/// A simulated Equinix Metal. Clones share it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
/// let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
/// let sim = MetalSim::new(clock, Settings::default());
/// sim.add_device("node-1");
/// let url = format!("https://metal.sim/metal/v1/projects/{PROJECT_ID}/devices");
/// let request = http::Request::get(url).header("x-auth-token", API_KEY).body(axum::body::Body::empty()).unwrap();
/// assert_eq!(sim.network().send(request).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone)]
pub struct MetalSim {
    service: Arc<Service>,
    front: Front,
    network: Network,
}

impl std::fmt::Debug for MetalSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetalSim")
            .field("front", &self.front)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl MetalSim {
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
        let router = sim.router();
        for host in [API_HOST, LB_HOST, IAM_HOST] {
            sim.network.host(host, router.clone());
        }
        sim
    }

    /// The APIs and the control API below `/_sim`, by path; [`cloud_sim::serve`] puts it on a socket.
    pub fn router(&self) -> Router {
        control::router(self.service.clone()).fallback_service(self.front.router(api::router(self.service.clone())))
    }

    /// The in-process internet it is on, as [`API_HOST`], [`LB_HOST`] and [`IAM_HOST`]. Always the same one.
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

    /// Every object, as `GET /_sim/state` gives it.
    pub fn state(&self) -> Value {
        self.service.state()
    }

    /// Replaces every object, as `PUT /_sim/state` does.
    pub fn replace(&self, state: Value) -> Result<(), BadState> {
        self.front.replace(state)
    }

    /// Changes settings while it runs.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.service.with(|world| change(&mut world.settings));
    }

    /// Puts an active device of that hostname into the project [`crate::PROJECT_ID`], metro `da`, with one public and one
    /// private IPv4 address and an IPv6 address. Its id.
    pub fn add_device(&self, hostname: &str) -> String {
        self.add_device_in(crate::PROJECT_ID, "da", hostname)
    }

    /// As [`MetalSim::add_device`], in a project and metro.
    pub fn add_device_in(&self, project: &str, metro: &str, hostname: &str) -> String {
        self.service.with(|world| {
            world.add_device(Device {
                project: project.to_owned(),
                metro: metro.to_owned(),
                hostname: hostname.to_owned(),
                ..Device::default()
            })
        })
    }

    /// A device as the API shows it, with the parent blocks of its addresses; by id or by hostname.
    pub fn device(&self, name: &str) -> Option<Value> {
        self.devices()
            .into_iter()
            .find(|device| device["id"] == name || device["hostname"] == name)
    }

    /// All devices as the API shows them, with the parent blocks of their addresses.
    pub fn devices(&self) -> Vec<Value> {
        self.all(
            |world| &world.devices,
            |world, it| show::device(world, it, &Includes::naming(&["ip_addresses.parent_block"])),
        )
    }

    /// Puts a device into a state of the API (`inactive`, `failed`, `deleted`, …), as if that had happened to it. The error
    /// says which of the two there is not.
    pub fn set_device_state(&self, id: &str, state: &str) -> Result<(), BadState> {
        let state = DeviceState::named(state).ok_or_else(|| BadState::new(format!("there is no state {state}")))?;
        self.change(|world| world.force_state(id, state))
    }

    /// Has a device's routing daemon announce these prefixes, and no others. A session that learns more than ten goes down.
    pub fn announce(&self, id: &str, prefixes: &[&str]) {
        self.service.with(|world| {
            if let Some(device) = world.devices.get_mut(id) {
                device.announced = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
            }
        });
    }

    /// Reserves one public address in the project [`crate::PROJECT_ID`], metro `da`, as somebody else would: its id and the
    /// address.
    pub fn reserve(&self, tags: &[&str]) -> Result<(String, String), BadState> {
        self.change(|world| {
            let id = world.reserve(NewReservation {
                project: crate::PROJECT_ID.to_owned(),
                kind: ReservationKind::PublicIpv4,
                quantity: 1,
                metro: Some("da".to_owned()),
                facility: None,
                tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
                details: None,
                customdata: None,
                fail_on_approval: true,
            })?;
            let address = world.reservations.get(&id).and_then(|it| it.first_address());
            Ok((id.clone(), address.unwrap_or_default().to_owned()))
        })
    }

    /// Assigns an address to a device, as somebody else would: the assignment's id.
    pub fn assign(&self, device: &str, address: &str) -> Result<String, BadState> {
        self.change(|world| world.assign(device, address))
    }

    /// Approves or denies a reservation that is pending.
    pub fn decide(&self, reservation: &str, approved: bool) -> Result<(), BadState> {
        self.change(|world| world.decide(reservation, approved))
    }

    /// All reservations as the API shows them, with their assignments; also those of device management.
    pub fn reservations(&self) -> Vec<Value> {
        self.all(
            |world| &world.reservations,
            |world, it| show::reservation(world, it, &Includes::naming(&["assignments"])),
        )
    }

    /// All assignments of Elastic IPs as the API shows them.
    pub fn assignments(&self) -> Vec<Value> {
        self.all(
            |world| &world.assignments,
            |world, it| show::assignment(world, it, &Includes::default()),
        )
    }

    /// All BGP sessions as the API shows them.
    pub fn bgp_sessions(&self) -> Vec<Value> {
        self.all(|world| &world.sessions, show::session)
    }

    /// All load balancers as their API shows them, with ports, pools and origins.
    pub fn load_balancers(&self) -> Vec<Value> {
        self.all(|world| &world.balancers, api::show_balancer)
    }

    /// What nobody uses any more, as `GET /_sim/leaks` gives it.
    pub fn leaks(&self) -> Value {
        self.service.with(|world| world.leaks())
    }

    fn all<T: crate::world::Row>(
        &self,
        table: impl FnOnce(&World) -> &Table<T>,
        show: impl Fn(&World, &T) -> Value,
    ) -> Vec<Value> {
        self.service
            .with(|world| table(world).iter().map(|it| show(world, it)).collect())
    }

    fn change<R>(&self, act: impl FnOnce(&mut World) -> Result<R, Failure>) -> Result<R, BadState> {
        self.service
            .write(act)
            .map_err(|failure| BadState::new(failure.errors.join(", ")))
    }
}
