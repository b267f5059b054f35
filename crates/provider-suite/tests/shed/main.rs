//! The smallest provider that passes, with its simulated cloud: an example to begin from. And what the suite says to
//! providers that are not careful, for a test that cannot fail proves nothing.
//!
//! | request | answer |
//! |---|---|
//! | `GET /machines` | `{"machines": [{"id", "name", "address", "on"}]}` |
//! | `GET /machines/ID` | one machine, or 404 with `{"error": "no such machine"}` |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

mod provider;
mod simulation;

use std::collections::BTreeMap;

use axum::Router;
use cloud_http::Transport;
use cloud_sim::{Front, Network};
use kit::Clock;
use provider_suite::shipped::{Shipped, Workload};
use provider_suite::{Bound, Provider};
use serde_json::{Value, json};

use provider::{Config, Habit, Shed};
use simulation::{HOST, KEY, Simulation};

/// What the suite is told, of the provider with this habit.
struct Lab<const HABIT: usize>;

impl<const HABIT: usize> Provider for Lab<HABIT> {
    const NAME: &'static str = "shed";
    const FOREIGN: &'static [&'static str] = &["aws:///eu-west-1a/i-1", "shed2://m1"];
    /// Nothing is shipped, and `shipped!` is not called.
    const SHIPPED: Shipped = Shipped {
        name: "cloud-provider-shed",
        provider: Self::NAME,
        folder: "shed",
        account: "cloud-provider-shed",
        role: "cloud-provider-shed",
        autoupdate: false,
        secret: "shed",
        workload: Workload::Deployment,
        own: &[],
        settings: Vec::new,
        unsuggested: &[],
        helm: &[],
    };
    const LISTS: &'static str = "list machines";
    const MACHINES: &'static str = "/machines";
    const ENDPOINTS: &'static [(&'static str, &'static str)] = &[("GET", "/machines")];
    const COUNTS: &'static [usize] = &[10, 200];

    type Sim = Simulation;
    type Settings = ();
    type Config = Config;
    type Cloud = Shed;

    fn simulate(clock: &Clock, (): (), seed: u64) -> Simulation {
        Simulation::new(clock.clone(), seed)
    }

    fn front(sim: &Simulation) -> &Front {
        &sim.front
    }

    fn network(sim: &Simulation) -> Network {
        sim.network.clone()
    }

    fn router(sim: &Simulation) -> Router {
        sim.router()
    }

    fn config() -> Value {
        json!({"url": format!("https://{HOST}"), "key": KEY})
    }

    fn other_account() -> Value {
        json!({"key": "the-key-of-somebody-else"})
    }

    fn environment(_: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn read(text: &str) -> Config {
        let config: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        Config {
            url: config["url"].clone(),
            key: config["key"].clone().into(),
        }
    }

    fn connect(config: Config, transport: Transport, _: &Clock) -> Shed {
        Shed::new(&config, transport, Habit::ALL[HABIT])
    }

    fn add_machine(sim: &Simulation, name: &str) -> String {
        sim.add(name)
    }

    fn remove_machine(sim: &Simulation, id: &str) {
        sim.machines().remove(id).unwrap();
    }

    fn switch_off(sim: &Simulation, id: &str) {
        sim.machines().get_mut(id).unwrap()["on"] = json!(false);
    }

    fn switch_on(sim: &Simulation, id: &str) {
        sim.machines().get_mut(id).unwrap()["on"] = json!(true);
    }

    fn end_state(sim: &Simulation) -> Value {
        json!(*sim.machines())
    }

    fn list(sim: &Simulation, ids: &[String]) -> Value {
        let machines: Vec<Value> = ids.iter().map(|id| sim.machines()[id].clone()).collect();
        json!({ "machines": machines })
    }

    fn refusal(text: &str) -> Value {
        json!({ "error": text })
    }

    fn bound(_: usize) -> Bound {
        Bound {
            list: 1,
            first: 3,
            hourly: 13,
        }
    }

    fn secrets() -> (Value, Vec<String>) {
        (json!({}), vec![KEY.to_owned()])
    }

    fn show(config: &Config, cloud: &Shed) -> String {
        format!("{config:?} {cloud:?}")
    }
}

mod careful {
    provider_suite::nodes!(crate::Lab<0>);
}

/// Each habit is found by the scenarios that are about it.
mod caught {
    macro_rules! caught {
        ($($habit:literal $module:ident $scenario:ident $says:literal,)*) => {$(
            #[tokio::test(start_paused = true)]
            #[should_panic(expected = $says)]
            async fn $scenario() {
                provider_suite::$module::$scenario::<crate::Lab<$habit>>().await;
            }
        )*};
    }

    caught! {
        1 outage an_api_that_refuses_everything_deletes_nothing "NodeDeletionHeld",
        1 outage a_failure_is_told_by_its_class_and_passes "Gone",
        1 outage a_page_that_is_not_the_apis_proves_nothing "Gone",
        2 requests many_nodes_take_lists_and_little_more_in_an_hour "10: ",
        2 requests nodes_that_are_not_ready_take_one_list_a_pass "requests for lists",
        2 requests who_asks_at_the_same_time_shares_a_list "assertion",
        3 nodes nodes_of_other_clouds_are_left_as_they_are "assertion",
        4 secrets logs_errors_events_and_metrics_hold_no_secret "secrets leaked",
        5 nodes a_machine_that_is_off_taints_its_node_until_it_is_on_again "not-ready",
        5 nodes a_machine_that_is_gone_takes_its_node_along_and_no_other "assertion",
        5 crash deleting_and_tainting_nodes_survives_every_crash "undisturbed",
    }
}
