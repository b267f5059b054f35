//! A world to test in: a simulated cloud, an API server, a network between them and the managers, a paused clock.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use cloud_http::Transport;
use cloud_provider::data::Node;
use cloud_provider::manager::{Clients, Options, Process, flags::Parsed};
use cloud_provider::{Cloud as _, CloudError, Sighting};
use cloud_sim::{Action, Fault, Network};
use kit::Clock;
use kube_kit::Fence;
use kube_sim::KubeSim;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::manager::{KUBERNETES, Ran, client, mortal_client, until_dead};
use crate::provider::Provider;

mod objects;

pub use objects::merge;
pub(crate) use objects::{is_tainted, text};

/// A cluster, a cloud of the provider, and the network. It begins on the first of January 2026, and all of its chance comes
/// from a seed: two worlds in which the same is done are the same.
pub struct World<P: Provider> {
    /// The simulated cloud.
    pub sim: P::Sim,
    /// The API server.
    pub kube: KubeSim,
    /// What all requests go through.
    pub network: Network,
    /// The time, which is that of the runtime's paused clock.
    pub clock: Clock,
    config: Value,
}

impl<P: Provider> Default for World<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Provider> Drop for World<P> {
    fn drop(&mut self) {
        for event in self.kube.list("events") {
            cloud_sim::evidence::leave("events", &event.to_string());
        }
    }
}

impl<P: Provider> World<P> {
    /// A world with nothing in it.
    pub fn new() -> Self {
        Self::with(P::Settings::default(), Value::Null)
    }

    /// A world whose cloud is set like this, and whose managers are configured like this beyond [`Provider::config`].
    pub fn with(settings: P::Settings, config: Value) -> Self {
        Self::seeded(settings, config, 1)
    }

    /// As [`World::with`], with this seed.
    pub fn seeded(settings: P::Settings, config: Value, seed: u64) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().expect("this is a time");
        let clock = Clock::simulated(start, 1.0);
        let kube = KubeSim::builder().clock(clock.clone()).build();
        let sim = P::simulate(&clock, settings, seed);
        let network = P::network(&sim);
        network.host(KUBERNETES, kube.router());
        let mut world = Self {
            sim,
            kube,
            network,
            clock,
            config: P::config(),
        };
        world.configure(config);
        world
    }

    /// Configures managers that are started from now on: keys that are given replace those there were.
    pub fn configure(&mut self, more: Value) {
        if let (Value::Object(config), Value::Object(more)) = (&mut self.config, more) {
            config.extend(more);
        }
    }

    /// The configuration.
    pub fn config(&self) -> P::Config {
        P::read(&self.config.to_string())
    }

    /// A provider of this configuration, on this network.
    pub fn cloud(&self) -> Arc<P::Cloud> {
        self.mortal_cloud(&CancellationToken::new())
    }

    fn mortal_cloud(&self, dead: &CancellationToken) -> Arc<P::Cloud> {
        let (network, dead) = (self.network.clone(), dead.clone());
        let transport = Transport::from_service(service_fn(move |request| {
            until_dead(dead.clone(), network.clone(), request)
        }));
        Arc::new(P::connect(self.config(), transport, &self.clock))
    }

    /// What a new provider says about a node with this name and provider ID.
    pub async fn look_up(&self, name: &str, provider_id: &str) -> Sighting {
        self.look_up_all(&[(name, provider_id)]).await.remove(0)
    }

    /// What a new provider says about nodes with these names and provider IDs.
    pub async fn look_up_all(&self, nodes: &[(&str, &str)]) -> Vec<Sighting> {
        let node = |(name, provider_id): &(&str, &str)| Node {
            name: (*name).to_owned(),
            provider_id: (*provider_id).to_owned(),
            ..Node::default()
        };
        self.try_look_up(nodes.iter().map(node).collect()).await.unwrap()
    }

    /// What a new provider says about these nodes.
    pub async fn try_look_up(&self, nodes: Vec<Node>) -> Result<Vec<Sighting>, CloudError> {
        let nodes: Vec<_> = nodes.into_iter().map(Arc::new).collect();
        let cloud = self.cloud();
        cloud.instances().expect("it has machines").look_up(&nodes).await
    }

    /// A client of the API server that may do everything.
    pub fn client(&self) -> kube::Client {
        client(&self.network, self.kube.admin_token(), &Fence::open())
    }

    /// Starts a manager that may do everything and leads without an election.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_as(self.kube.admin_token(), args)
    }

    /// As [`World::run`], with this token.
    pub fn run_as(&self, token: &str, args: &[&str]) -> Ran {
        self.start("me", token, args)
    }

    /// As [`World::run`], and as this candidate in elections, which is of interest with `--leader-elect=true`.
    pub fn run_named(&self, identity: &str, args: &[&str]) -> Ran {
        self.start(identity, self.kube.admin_token(), args)
    }

    fn start(&self, identity: &str, token: &str, args: &[&str]) -> Ran {
        let named = format!("--cloud-provider={}", P::NAME);
        let base = [named.as_str(), "--secure-port=0", "--leader-elect=false"];
        let args = base.iter().chain(args).map(|arg| (*arg).to_owned());
        let parsed = Parsed::parse("test", args).expect("these are flags");
        let options = Options::new(parsed, identity).expect("these flags make sense");
        let (network, token) = (self.network.clone(), token.to_owned());
        let (stop, dead) = (CancellationToken::new(), CancellationToken::new());
        let clients = Clients::new({
            let dead = dead.clone();
            move |purpose| {
                let client = mortal_client(&network, &token, &purpose.fence, &dead);
                Box::pin(async move { Ok(client) })
            }
        });
        let cloud = self.mortal_cloud(&dead);
        let process = Process::new("test", "v0", options, cloud, clients, self.clock.clone());
        let metrics = process.metrics().clone();
        let ended = tokio::spawn({
            let stop = stop.clone();
            async move { process.run(stop).await }
        });
        Ran {
            stop,
            metrics,
            dead,
            ended: Some(ended),
        }
    }

    /// Waits until something holds, and fails at the caller's place when it does not within `limit`.
    #[track_caller]
    pub fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        until(what, limit, move || holds(self))
    }

    /// Waits until so many nodes were initialised.
    #[track_caller]
    pub fn until_initialised(&self, count: usize) -> impl Future<Output = ()> {
        self.until("nodes are initialised", Duration::from_mins(20), move |world| {
            world.initialised().len() == count
        })
    }

    /// Makes the cloud misbehave.
    pub fn fault(&self, fault: Fault) {
        P::front(&self.sim).inject(fault).expect("this is a fault");
    }

    /// Three of ten requests to the cloud fail from now on, some of them after they were carried out.
    pub fn storm(&self) {
        for fault in [
            Fault::status(500),
            Fault::status(503).after(),
            Fault::status(429).header("retry-after", "1"),
            Fault::new(Action::DropBefore),
            Fault::new(Action::DropAfter),
        ] {
            self.fault(Fault {
                // Five of these make three in ten.
                probability: Some(0.069),
                ..fault.always()
            });
        }
    }

    /// Ends all faults.
    pub fn heal(&self) {
        P::front(&self.sim).clear_faults();
    }

    /// How many requests the cloud got with this method and a path that ends so.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        let requests = P::front(&self.sim).requests();
        let fits = requests
            .iter()
            .filter(|it| it.method == method && it.path.ends_with(path));
        fits.count()
    }

    /// How many requests were sent to the cloud so far, whether they arrived or not.
    pub fn sent(&self) -> usize {
        let requests = self.network.requests();
        requests.iter().filter(|request| request.host != KUBERNETES).count()
    }
}

/// Waits until something holds, and fails at the caller's place when it does not within `limit`.
#[track_caller]
pub fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let at = Location::caller();
    async move {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < limit, "{at}: not within {limit:?}: {what}");
            sleep(Duration::from_millis(250)).await;
        }
    }
}

/// Waits so many seconds.
pub async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

/// Waits so many minutes.
pub async fn minutes(n: u64) {
    seconds(60 * n).await;
}
