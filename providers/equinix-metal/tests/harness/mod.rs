//! Equinix Metal, as the suite of all providers sees it, and the suite's world with a simulated Equinix Metal in it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions, and no test needs all of it"
)]

use axum::Router;
use cloud_http::Transport;
use cloud_provider::rbac::Rule;
use cloud_sim::{Front, Network};
use equinix_metal::EquinixMetal;
use equinix_metal::config::Config;
use equinix_metal::config::table::SETTINGS;
use equinix_metal_sim::{
    API_HOST, API_KEY, IAM_HOST, LB_HOST, MetalSim, OTHER_API_KEY, OTHER_PROJECT_ID, PROJECT_ID, Settings,
};
use kit::Clock;
use provider_suite::rights::rule;
use provider_suite::shipped::{Shipped, Workload};
use provider_suite::{Bound, Provider};
pub use provider_suite::{Ran, client, merge, minutes, seconds};
use serde_json::{Value, json};

/// A cluster, a project, and the network.
pub type World = provider_suite::World<Metal>;

/// The provider.
pub struct Metal;

/// Devices on a page of lists, where requests are counted.
const PAGE: usize = 100;
const PASSWORD: &str = "Planted0BgpPass9";

/// In the whole cluster, beyond what every manager may.
const OWN: &[Rule] = &[
    // The UID of kube-system is the cluster's name in the account.
    rule("", "namespaces", &["get"]),
    // Addresses are written to Services, and the control plane has one of its own.
    rule("", "services", &["get", "create", "patch"]),
    rule(
        "discovery.k8s.io",
        "endpointslices",
        &["list", "watch", "create", "patch", "delete"],
    ),
    // MetalLB up to 0.12 reads its configuration here, in whatever namespace it is.
    rule("", "configmaps", &["get", "patch"]),
    rule("metallb.io", "ipaddresspools", &["list", "create", "patch", "delete"]),
    rule("metallb.io", "bgppeers", &["list", "create", "patch", "delete"]),
    rule(
        "metallb.io",
        "bgpadvertisements",
        &["list", "create", "patch", "delete"],
    ),
];

impl Provider for Metal {
    const NAME: &'static str = "equinixmetal";
    const FOREIGN: &'static [&'static str] = &[
        "aws:///eu-west-1a/i-1",
        "k3s://foreign",
        "phoenixnap://60c100000000000000000000",
        "some-vm-17",
    ];
    /// Names, labels and the command are those of `deploy/template/deployment.yaml` of the Go program, so that applying this
    /// replaces that.
    const SHIPPED: Shipped = Shipped {
        name: "cloud-provider-equinix-metal",
        provider: Self::NAME,
        folder: "equinix-metal",
        account: "cloud-provider-equinix-metal",
        role: "cloud-provider-equinix-metal",
        autoupdate: false,
        secret: "metal-cloud-config",
        workload: Workload::DaemonSet,
        own: OWN,
        settings: || SETTINGS.iter().map(|setting| setting.key).collect(),
        // The older spelling of the key may be given.
        unsuggested: &["config.projectId"],
        helm: &["--set=config.apiKey=k,config.projectID=p"],
    };
    const LISTS: &'static str = "list devices";
    const MACHINES: &'static str = "/devices";
    const ENDPOINTS: &'static [(&'static str, &'static str)] = &[("GET", "/devices")];
    const COUNTS: &'static [usize] = &[20, 100, 301];

    type Sim = MetalSim;
    type Settings = Settings;
    type Config = Config;
    type Cloud = EquinixMetal;

    fn simulate(clock: &Clock, settings: Settings, seed: u64) -> MetalSim {
        MetalSim::seeded(clock.clone(), settings, seed)
    }

    fn front(sim: &MetalSim) -> &Front {
        sim.front()
    }

    fn network(sim: &MetalSim) -> Network {
        sim.network()
    }

    fn router(sim: &MetalSim) -> Router {
        sim.router()
    }

    fn config() -> Value {
        json!({
            "apiKey": API_KEY,
            "projectID": PROJECT_ID,
            "base-url": format!("https://{API_HOST}/metal/v1"),
            "emlb-base-url": format!("https://{LB_HOST}"),
            "token-exchange-url": format!("https://{IAM_HOST}/api-keys/exchange"),
        })
    }

    fn other_account() -> Value {
        json!({"apiKey": OTHER_API_KEY, "projectID": OTHER_PROJECT_ID})
    }

    fn environment(url: &str) -> Vec<(&'static str, String)> {
        vec![
            ("METAL_API_KEY", API_KEY.to_owned()),
            ("METAL_PROJECT_ID", PROJECT_ID.to_owned()),
            ("METAL_BASE_URL", format!("{url}/metal/v1")),
        ]
    }

    fn read(text: &str) -> Config {
        Config::read(Some(text.as_bytes()), &|_| None).unwrap()
    }

    fn connect(config: Config, transport: Transport, clock: &Clock) -> EquinixMetal {
        EquinixMetal::new(config, Some(transport), clock).unwrap()
    }

    fn add_machine(sim: &MetalSim, name: &str) -> String {
        sim.add_device(name)
    }

    fn remove_machine(sim: &MetalSim, id: &str) {
        sim.set_device_state(id, "deleted").unwrap();
    }

    fn switch_off(sim: &MetalSim, id: &str) {
        sim.set_device_state(id, "inactive").unwrap();
    }

    fn switch_on(sim: &MetalSim, id: &str) {
        sim.set_device_state(id, "active").unwrap();
    }

    fn end_state(sim: &MetalSim) -> Value {
        sim.leaks()
    }

    fn list(sim: &MetalSim, ids: &[String]) -> Value {
        let shown = |device: &Value| ids.iter().any(|id| device["id"] == json!(id));
        let devices: Vec<Value> = sim.devices().into_iter().filter(shown).collect();
        let total = devices.len();
        json!({"devices": devices, "meta": {"current_page": 1, "last_page": 1, "total": total}})
    }

    fn refusal(text: &str) -> Value {
        json!({"errors": [text], "error": text, "devices": text})
    }

    fn paged() -> Settings {
        Settings {
            page_limit: Some(PAGE),
            ..Settings::default()
        }
    }

    fn bound(nodes: usize) -> Bound {
        let pages = nodes.div_ceil(PAGE);
        Bound {
            list: pages,
            first: pages + 3,
            hourly: 12 * pages + 12,
        }
    }

    fn secrets() -> (Value, Vec<String>) {
        let secrets = [API_KEY, PASSWORD].map(str::to_owned);
        (json!({"bgpPass": PASSWORD}), secrets.into())
    }

    fn show(config: &Config, cloud: &EquinixMetal) -> String {
        config.log();
        format!("{config:?} {:?}", cloud.client())
    }
}
