//! A world to test in: a simulated cloud, a clock, a driver, and what the engine would have stored.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;

use cloud_http::{Roots, Transport};
use cloud_sim::{Fault, Outgoing};
use kit::Clock;
use kontainer_engine::logstream::{self, LogStream};
use kontainer_engine::wire::STATE_KEY;
use kontainer_engine::{Call, ClusterInfo, CreateError, Driver as _, DriverError, DriverOptions, Phase};
use rackspace_spot::driver::kubeconfig::Access;
use rackspace_spot::{Limits, SpotDriver};
use rackspace_spot_sim::{ACME_TOKEN, API_HOST, LOGIN_HOST, Settings, SpotSim};
use secrecy::SecretString;
use serde_json::Value;

/// One test as a future.
pub type Scenario = Pin<Box<dyn Future<Output = ()>>>;

/// Makes each function a test, and lists them for `secrets`.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        #[allow(dead_code, reason = "the crash tests are not run twice")]
        pub fn all() -> Vec<(&'static str, $crate::harness::Scenario)> {
            vec![$((stringify!($name), Box::pin($name()) as $crate::harness::Scenario)),*]
        }
        mod run {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                super::$name().await;
            })*
        }
    };
}

thread_local! {
    /// Everything people could get to see.
    static PRODUCED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Everything that is secret, beyond the refresh tokens.
    static PLANTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub fn produced() -> Vec<String> {
    PRODUCED.with(|all| std::mem::take(&mut *all.borrow_mut()))
}

pub fn planted() -> Vec<String> {
    PLANTED.with(|all| std::mem::take(&mut *all.borrow_mut()))
}

fn produce(text: String) {
    PRODUCED.with(|all| all.borrow_mut().push(text));
}

pub fn plant(secret: &str) {
    if !secret.is_empty() {
        PLANTED.with(|all| all.borrow_mut().push(secret.to_owned()));
    }
}

pub struct World {
    pub sim: SpotSim,
    pub driver: SpotDriver,
    pub settings: rackspace_spot::Settings,
    pub call: Call,
    /// What TLS roots the driver asked for when it talked to a cloudspace's API server.
    pub roots: Arc<std::sync::Mutex<Vec<Roots>>>,
    /// What the engine stores.
    pub info: RefCell<ClusterInfo>,
}

pub fn world() -> World {
    World::with(Settings::default())
}

impl World {
    pub fn with(settings: Settings) -> Self {
        Self::seeded(settings, 1)
    }

    pub fn seeded(settings: Settings, seed: u64) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 1.0);
        let sim = SpotSim::seeded(clock.clone(), settings, seed);
        // Cheap enough for the default bid, unless a test says otherwise.
        sim.set_market("*", "0.005");
        let roots = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (network, asked) = (sim.network(), roots.clone());
        let clusters = Arc::new(move |roots: &Roots| {
            asked.lock().unwrap().push(roots.clone());
            Ok(Transport::from_service(network.clone()))
        });
        let mut settings = rackspace_spot::Settings::new(Transport::from_service(sim.network()), clusters, clock);
        settings.api_url = format!("https://{API_HOST}");
        settings.oauth_url = format!("https://{LOGIN_HOST}");
        Self {
            driver: SpotDriver::new(settings.clone()),
            settings,
            sim,
            call: Call::detached(),
            roots,
            info: RefCell::default(),
        }
    }

    /// From now on what the driver says is kept; the function tells all of it.
    pub fn listening(mut self) -> (Self, impl Fn() -> String) {
        let stream = LogStream::open();
        self.call = Call::new(self.call.cancellation().clone(), logstream::find(stream.id()));
        let messages = move || {
            let lines: Vec<String> = std::iter::from_fn(|| stream.try_next())
                .map(|line| line.message)
                .collect();
            produce(lines.join("\n"));
            lines.join("\n")
        };
        (self, messages)
    }

    /// A driver that runs beside `rancher`, the cluster that Rancher is in.
    pub fn at_home(rancher: &kube_sim::KubeSim) -> Self {
        const HOME: &str = "rancher.example";
        let mut world = world();
        world.settings.home = Some(Access {
            server: format!("https://{HOME}"),
            token: Some(SecretString::from(rancher.admin_token().to_owned())),
            ..Access::default()
        });
        world.sim.network().host(HOME, rancher.router());
        world.limits(|_| ())
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.settings.limits);
        self.driver = SpotDriver::new(self.settings.clone());
        self
    }

    pub fn fault(&self, fault: Fault) {
        self.sim.front().inject(fault).unwrap();
    }

    fn keep(&self, info: &ClusterInfo) {
        let told = ClusterInfo {
            password: String::new(),
            service_account_token: String::new(),
            client_key: String::new(),
            ..info.clone()
        };
        produce(format!("{told:?} {:?} {:?}", info, told.metadata));
        plant(&info.service_account_token);
        *self.info.borrow_mut() = info.clone();
    }

    pub async fn create(&self, options: &Options) -> Result<ClusterInfo, DriverError> {
        let previous = self.info.borrow().clone();
        let previous = (previous != ClusterInfo::default()).then_some(previous);
        self.create_with(options, previous).await
    }

    /// Creates with this and nothing else known from before.
    pub async fn create_with(
        &self,
        options: &Options,
        previous: Option<ClusterInfo>,
    ) -> Result<ClusterInfo, DriverError> {
        let created = match self.driver.options().parse(&options.0, Phase::Create) {
            Ok(parsed) => {
                produce(format!("{parsed:?}"));
                self.driver.create(&self.call, &parsed, previous).await
            }
            Err(error) => {
                let partial = self.driver.options().parse_partial(&options.0);
                Err(CreateError {
                    error: DriverError::invalid(error.to_string()),
                    info: self.driver.refused(&partial, previous).map(Box::new),
                })
            }
        };
        match created {
            Ok(info) => {
                self.keep(&info);
                Ok(info)
            }
            Err(CreateError { error, info }) => {
                if let Some(info) = info {
                    self.keep(&info);
                }
                told(Err(error))
            }
        }
    }

    /// Options as an engine sends them on update: what the user left out is filled from the state.
    fn leaky(&self, options: &Options) -> Options {
        let mut options = options.clone();
        let info = self.info.borrow();
        let state: Value = info
            .metadata
            .get(STATE_KEY)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        for (key, value) in state.as_object().into_iter().flatten() {
            let raw = &mut options.0;
            match value {
                Value::String(text) => drop(raw.string_options.entry(key.clone()).or_insert_with(|| text.clone())),
                Value::Bool(yes) => drop(raw.bool_options.entry(key.clone()).or_insert(*yes)),
                Value::Number(n) => drop(raw.int_options.entry(key.clone()).or_insert(n.as_i64().unwrap())),
                _ => {}
            }
        }
        options
    }

    /// As Rancher's engine sends it.
    pub async fn update(&self, options: &Options) -> Result<ClusterInfo, DriverError> {
        self.update_exactly(&self.leaky(options)).await
    }

    /// As our own engine sends it: what the user gave, and nothing else.
    pub async fn update_exactly(&self, options: &Options) -> Result<ClusterInfo, DriverError> {
        let parsed = match self.driver.options().parse(&options.0, Phase::Update) {
            Ok(parsed) => parsed,
            Err(error) => return told(Err(DriverError::invalid(error.to_string()))),
        };
        let info = self.info.borrow().clone();
        let info = told(self.driver.update(&self.call, info, &parsed).await)?;
        self.keep(&info);
        Ok(info)
    }

    pub async fn post_check(&self) -> Result<ClusterInfo, DriverError> {
        let info = self.info.borrow().clone();
        let info = told(self.driver.post_check(&self.call, info).await)?;
        self.keep(&info);
        Ok(info)
    }

    pub async fn remove(&self) -> Result<(), DriverError> {
        let info = self.info.borrow().clone();
        told(self.driver.remove(&self.call, info).await)
    }

    pub async fn set_size(&self, count: i64) -> Result<(), DriverError> {
        let info = self.info.borrow().clone();
        told(self.driver.set_cluster_size(&self.call, info, count).await)
    }

    pub async fn size(&self) -> Result<i64, DriverError> {
        let info = self.info.borrow().clone();
        told(self.driver.cluster_size(&self.call, info).await)
    }

    pub async fn set_version(&self, version: &str) -> Result<(), DriverError> {
        let info = self.info.borrow().clone();
        told(self.driver.set_version(&self.call, info, version).await)
    }

    pub async fn version(&self) -> Result<String, DriverError> {
        let info = self.info.borrow().clone();
        told(self.driver.version(&self.call, info).await)
    }

    /// Created and usable.
    pub async fn ready(self, options: &Options) -> Self {
        self.create(options).await.unwrap();
        self.post_check().await.unwrap();
        self
    }

    /// Requests that change something at the provider, as `METHOD kind`.
    pub fn writes(&self) -> Vec<String> {
        self.outgoing().iter().filter_map(write).collect()
    }

    pub fn outgoing(&self) -> Vec<Outgoing> {
        let all = self.sim.network().requests();
        produce(format!("{all:?}"));
        all
    }

    /// Objects of a kind, sorted by name.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let state = self.sim.state();
        let objects = &state[kind];
        let mut list: Vec<Value> = match objects {
            Value::Array(list) => list.clone(),
            Value::Object(map) => map.values().cloned().collect(),
            other => panic!("no {kind} in the state: {other}"),
        };
        list.sort_by_key(|object| object["metadata"]["name"].to_string());
        list
    }

    /// What is bought: everything that must be the same however a run went.
    pub fn bought(&self) -> Value {
        let pick = |object: &Value| {
            serde_json::json!({
                "name": object["metadata"]["name"], "labels": object["metadata"]["labels"],
                "annotations": object["metadata"]["annotations"], "spec": object["spec"],
            })
        };
        let mut kinds = serde_json::Map::new();
        for kind in ["cloudspaces", "spotnodepools", "ondemandnodepools"] {
            let list: Vec<Value> = self.objects(kind).iter().map(pick).collect();
            kinds.insert(kind.to_owned(), list.into());
        }
        kinds.into()
    }

    pub fn pools(&self) -> Vec<Value> {
        self.objects("spotnodepools")
    }

    pub fn finish(&self) {
        produce(format!("{:?}", self.settings.metrics.snapshot()));
        produce(format!("{:?}", self.sim.front().requests()));
        produce(format!("{:?}", self.settings));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.finish();
    }
}

fn told<T>(result: Result<T, DriverError>) -> Result<T, DriverError> {
    if let Err(error) = &result {
        produce(format!("{} {error:?}", error.text()));
    }
    result
}

/// A change at the provider, as `METHOD kind`, if the request is one that was sent to be one.
pub fn write(request: &Outgoing) -> Option<String> {
    let kind = request.path.split("/namespaces/").nth(1)?.split('/').nth(1)?;
    (request.host == API_HOST && request.method != "GET").then(|| format!("{} {kind}", request.method))
}

/// Options of a cluster.
#[derive(Clone, Default)]
pub struct Options(pub DriverOptions);

/// What every cluster needs, under the spelling Rancher uses.
pub fn acme() -> Options {
    Options::default()
        .text("name", "c-w467n")
        .text("rackspaceSpotRefreshToken", ACME_TOKEN)
        .text("rackspaceSpotOrganization", "acme")
        .text("rackspaceSpotRegion", "us-east-iad-1")
}

impl Options {
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.0.string_options.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn int(mut self, key: &str, value: i64) -> Self {
        self.0.int_options.insert(key.to_owned(), value);
        self
    }

    pub fn bool(mut self, key: &str, value: bool) -> Self {
        self.0.bool_options.insert(key.to_owned(), value);
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.0.string_options.remove(key);
        self
    }
}
