//! The simulated service as one value.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cloud_sim::{BadState, Cloud, Front, Network};
use kit::Clock;
use kube_sim::KubeSim;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::resource::Resource;
use crate::service::Service;
use crate::settings::{Market, Settings};
use crate::world::text;
use crate::{api, clusters};

/// Where the API is on [`SpotSim::network`].
pub const API_HOST: &str = "spot.sim";
/// Where the login service is on [`SpotSim::network`].
pub const LOGIN_HOST: &str = "login.spot.sim";
/// Where the price data is on [`SpotSim::network`].
pub const PRICES_HOST: &str = "prices.spot.sim";

/// How often a served simulation moves by itself, in real time.
const TICK: Duration = Duration::from_millis(100);

/// A simulated Rackspace Spot. Clones share it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use rackspace_spot_sim::{Settings, SpotSim};
/// let clock = kit::Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
/// let sim = SpotSim::new(clock, Settings::default());
/// let request = http::Request::get("https://spot.sim/percentiles.json").body(axum::body::Body::empty()).unwrap();
/// assert_eq!(sim.network().send(request).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone)]
pub struct SpotSim {
    service: Arc<Service>,
    front: Front,
    network: Network,
}

impl std::fmt::Debug for SpotSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpotSim")
            .field("front", &self.front)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl SpotSim {
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
        for host in [API_HOST, LOGIN_HOST, PRICES_HOST] {
            sim.network.host(host, router.clone());
        }
        let service = sim.service.clone();
        sim.network.resolver(move |host| clusters::router_of(&service, host));
        sim
    }

    /// API, login, prices and the control API below `/_sim`, by path; [`cloud_sim::serve`] puts it on a socket.
    pub fn router(&self) -> Router {
        self.front.router(api::router(self.service.clone()))
    }

    /// The in-process internet it is on: [`API_HOST`], [`LOGIN_HOST`], [`PRICES_HOST`], and the host of each cloudspace's
    /// API server. Always the same one.
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

    /// All objects of a kind (`cloudspaces`, `spotnodepools`, …) as stored, by namespace and name. Nothing for a kind there
    /// is not.
    pub fn objects(&self, plural: &str) -> Vec<Value> {
        let resource = Resource::from_plural(plural);
        self.service.with(|world| {
            resource
                .map(|resource| world.objects(resource).values().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// One object as stored.
    pub fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = Resource::from_plural(plural)?;
        let key = if resource.namespaced() {
            format!("{namespace}/{name}")
        } else {
            name.to_owned()
        };
        self.service.with(|world| world.objects(resource).get(&key).cloned())
    }

    /// Creates an object in the namespace its metadata names, as somebody else would: without a request, with all checks.
    /// The error is the `Status` a client would be given.
    pub fn create(&self, object: &Value) -> Result<Value, Value> {
        let resource = [Resource::CloudSpace, Resource::SpotNodePool, Resource::OnDemandNodePool]
            .into_iter()
            .find(|resource| resource.kind() == text(object, "/kind"))
            .ok_or_else(|| Failure::no_resource().body)?;
        let namespace = text(object, "/metadata/namespace").to_owned();
        self.service
            .with(|world| world.create(resource, &namespace, object.clone()))
            .map_err(|failure| failure.body)
    }

    /// Changes settings while it runs.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.service.with(|world| change(&mut world.settings));
        // What became due by the change happens now.
        self.service.with(crate::world::World::touch);
    }

    /// Fixes the market price of a server class, or of all of them (`*`), from the next auction on.
    pub fn set_market(&self, class: &str, price: &str) {
        self.set(|settings| {
            settings
                .market
                .insert(class.to_owned(), Market::Fixed(price.to_owned()));
        });
    }

    /// The API server of a cloudspace, named `namespace/name` or by its name alone, while it runs.
    pub fn kube(&self, cloudspace: &str) -> Option<KubeSim> {
        self.service.with(|_| ());
        self.service.clusters.kube(cloudspace)
    }

    /// The authority that API servers on loopback have their certificates from when
    /// [`Settings::public_certificates`] is set, as PEM.
    pub fn public_ca_pem(&self) -> &str {
        self.service.clusters.public_authority().ca_pem()
    }

    /// Moves along by itself until `cancel`, for what must happen although nobody asks: nodes and webhooks. In tests on a
    /// paused clock it is not needed where requests follow each other.
    pub async fn run(&self, cancel: CancellationToken) {
        loop {
            self.service.with(|_| ());
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// From now on each cloudspace's API server gets a TLS port of its own on 127.0.0.1, and runs until `cancel`.
    pub fn host_clusters_on_loopback(&self, cancel: CancellationToken) {
        self.service.clusters.host_on_loopback(cancel);
    }

    /// What a served simulation needs beside [`cloud_sim::serve`] and its router, until `cancel`: it moves along by itself,
    /// and its clusters are on loopback.
    pub fn live(&self, cancel: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        self.host_clusters_on_loopback(cancel.clone());
        let sim = self.clone();
        async move { sim.run(cancel).await }
    }
}
