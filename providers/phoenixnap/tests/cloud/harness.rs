//! PhoenixNAP, as the suite of all providers sees it, and the suite's world with a simulated PhoenixNAP in it.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_http::Transport;
use cloud_provider::rbac::Rule;
use cloud_sim::{Front, Network};
use kit::Clock;
use phoenixnap::{Config, PROVIDER_NAME, PhoenixNap, SETTINGS};
use phoenixnap_sim::{
    CLIENT_ID, CLIENT_SECRET, HOST, Kind, OTHER_CLIENT_ID, OTHER_CLIENT_SECRET, PhoenixNapSim, Settings, TOKEN_PATH,
};
use provider_suite::rights::rule;
use provider_suite::shipped::{Shipped, Workload};
use provider_suite::{Bound, Provider};
pub use provider_suite::{Ran, merge, minutes, seconds};
use serde_json::{Value, json};

/// The provider.
pub struct Pnap;

/// Makes a server that runs, with one address of each kind, and gives its id. More of it is merged in.
fn add_server(sim: &PhoenixNapSim, name: &str, more: &Value) -> String {
    let n = sim.count(Kind::Server);
    let (high, low) = (n / 250, n % 250 + 2);
    let mut server = json!({
        "hostname": name, "public_ips": [format!("198.19.{high}.{low}")], "private_ips": [format!("10.1.{high}.{low}")],
    });
    merge(&mut server, more);
    sim.add(Kind::Server, server).unwrap()
}

/// In the whole cluster, beyond what every manager may.
const OWN: &[Rule] = &[
    // The UID of kube-system is the cluster's name in the account.
    rule("", "namespaces", &["get"]),
    // Addresses are written to Services.
    rule("", "services", &["get", "patch"]),
    // For MetalLB.
    rule("metallb.io", "ipaddresspools", &["list", "create", "patch", "delete"]),
    rule("metallb.io", "l2advertisements", &["list", "create", "patch", "delete"]),
];

impl Provider for Pnap {
    const NAME: &'static str = PROVIDER_NAME;
    const FOREIGN: &'static [&'static str] = &[
        "aws:///us-east-1a/i-1",
        "equinixmetal://60c1",
        "bmc2://servers/60c1",
        "k3s://n2",
    ];
    /// The names are those of the original, so that applying this replaces that; and so are labels and the command, which
    /// are those of its `deploy/template/deployment.yaml`.
    const SHIPPED: Shipped = Shipped {
        name: "cloud-provider-phoenixnap",
        provider: Self::NAME,
        folder: "phoenixnap",
        account: "cloud-controller-manager",
        role: "system:cloud-controller-manager",
        autoupdate: true,
        secret: "phoenixnap-cloud-config",
        workload: Workload::Deployment,
        own: OWN,
        settings: || SETTINGS.iter().map(|setting| setting.key).collect(),
        unsuggested: &[],
        helm: &[
            "--set=config.clientID=a,config.clientSecret=b,configSecret.name=phoenixnap-cloud-config",
            "--set=serviceAccount.name=cloud-controller-manager",
        ],
    };
    const LISTS: &'static str = "list servers";
    const MACHINES: &'static str = "/servers";
    const ENDPOINTS: &'static [(&'static str, &'static str)] = &[("POST", "/token$"), ("GET", "/servers")];
    const FORBIDDEN_IS_GONE: bool = true;
    const COUNTS: &'static [usize] = &[10, 100, 1000];

    type Sim = PhoenixNapSim;
    type Settings = Settings;
    type Config = Config;
    type Cloud = PhoenixNap;

    fn simulate(clock: &Clock, settings: Settings, seed: u64) -> PhoenixNapSim {
        PhoenixNapSim::seeded(clock.clone(), settings, seed)
    }

    fn front(sim: &PhoenixNapSim) -> &Front {
        sim.front()
    }

    fn network(sim: &PhoenixNapSim) -> Network {
        sim.network()
    }

    fn router(sim: &PhoenixNapSim) -> Router {
        sim.router()
    }

    fn config() -> Value {
        json!({
            "clientID": CLIENT_ID,
            "clientSecret": CLIENT_SECRET,
            "base-url": format!("https://{HOST}"),
            "token-url": format!("https://{HOST}{TOKEN_PATH}"),
        })
    }

    fn other_account() -> Value {
        json!({"clientID": OTHER_CLIENT_ID, "clientSecret": OTHER_CLIENT_SECRET})
    }

    fn environment(url: &str) -> Vec<(&'static str, String)> {
        vec![
            ("PNAP_CLIENT_ID", CLIENT_ID.to_owned()),
            ("PNAP_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("PNAP_BASE_URL", url.to_owned()),
            ("PNAP_TOKEN_URL", format!("{url}{TOKEN_PATH}")),
        ]
    }

    fn read(text: &str) -> Config {
        Config::read(Some(text.as_bytes()), |_| None).unwrap()
    }

    fn connect(config: Config, transport: Transport, clock: &Clock) -> PhoenixNap {
        PhoenixNap::new(config, Some(transport), clock.clone()).unwrap()
    }

    fn add_machine(sim: &PhoenixNapSim, name: &str) -> String {
        add_server(sim, name, &json!({}))
    }

    fn remove_machine(sim: &PhoenixNapSim, id: &str) {
        sim.remove(Kind::Server, id).unwrap();
    }

    fn switch_off(sim: &PhoenixNapSim, id: &str) {
        sim.change(Kind::Server, id, &json!({"status": "powered-off"})).unwrap();
    }

    fn switch_on(sim: &PhoenixNapSim, id: &str) {
        sim.change(Kind::Server, id, &json!({"status": "powered-on"})).unwrap();
    }

    fn end_state(sim: &PhoenixNapSim) -> Value {
        sim.objects(Kind::Server).into()
    }

    fn list(sim: &PhoenixNapSim, ids: &[String]) -> Value {
        let told = |id: &String| {
            let server = sim.object(Kind::Server, id).unwrap();
            json!({
                "id": id, "hostname": server["hostname"], "status": server["status"], "type": server["type"],
                "location": server["location"], "publicIpAddresses": server["public_ips"],
                "privateIpAddresses": server["private_ips"],
            })
        };
        ids.iter().map(told).collect()
    }

    fn refusal(text: &str) -> Value {
        json!({"message": text, "error_description": text, "error": text, "id": text})
    }

    fn bound(_: usize) -> Bound {
        Bound {
            list: 1,
            first: 5,
            // A list and at most one login for each of twelve rounds.
            hourly: 30,
        }
    }

    fn secrets() -> (Value, Vec<String>) {
        let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        (json!({}), vec![CLIENT_SECRET.to_owned(), basic])
    }

    fn issued(sim: &PhoenixNapSim) -> Vec<String> {
        match sim.state()["tokens"].take() {
            Value::Object(tokens) => tokens.keys().cloned().collect(),
            other => panic!("{other}"),
        }
    }

    fn show(config: &Config, cloud: &PhoenixNap) -> String {
        config.tell();
        format!("{config:?} {:?}", cloud.client())
    }
}

/// A cluster, an account, and the network: the suite's world, and what only PhoenixNAP has.
pub struct World(provider_suite::World<Pnap>);

impl Deref for World {
    type Target = provider_suite::World<Pnap>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl World {
    /// A world without load balancers.
    pub fn new() -> Self {
        Self(provider_suite::World::new())
    }

    /// A world whose cloud is set like this, and whose manager is configured like this beyond the credentials.
    pub fn with(settings: Settings, config: Value) -> Self {
        Self(provider_suite::World::with(settings, config))
    }

    /// A world all of whose chance comes from `seed`.
    pub fn seeded(settings: Settings, config: Value, seed: u64) -> Self {
        Self(provider_suite::World::seeded(settings, config, seed))
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        provider_suite::until(what, limit, move || holds(self))
    }

    /// Makes a server that runs, with one address of each kind, and gives its id. More of it is merged in.
    pub fn add_server(&self, name: &str, more: &Value) -> String {
        add_server(&self.sim, name, more)
    }

    /// Changes a server behind everybody's back.
    pub fn change_server(&self, id: &str, patch: &Value) {
        self.sim.change(Kind::Server, id, patch).unwrap();
    }
}
