//! What the suite must be told about a provider.

use std::fmt::Debug;

use axum::Router;
use cloud_http::Transport;
use cloud_provider::Cloud;
use cloud_sim::{Front, Network};
use kit::Clock;
use serde_json::Value;

use crate::shipped::Shipped;

/// A provider, as the suite sees it: how to make its simulated cloud, how to make the provider itself, and what its API
/// looks like as far as faults are concerned. Implement it on a type of the tests that has no fields.
pub trait Provider: Sized + 'static {
    /// What `--cloud-provider` takes.
    const NAME: &'static str;
    /// Provider IDs of other clouds, among them one that looks as much like ours as can be.
    const FOREIGN: &'static [&'static str];

    /// The simulated cloud. A small value that refers to it.
    type Sim: 'static;
    /// What can be set about the simulated cloud. By default it answers as well as it can.
    type Settings: Default;
    /// The provider's configuration.
    type Config: Debug;
    /// The provider.
    type Cloud: Cloud;

    /// A simulated cloud all of whose chance comes from `seed`.
    fn simulate(clock: &Clock, settings: Self::Settings, seed: u64) -> Self::Sim;

    /// What stands in front of the simulated cloud.
    fn front(sim: &Self::Sim) -> &Front;

    /// The network it is on.
    fn network(sim: &Self::Sim) -> Network;

    /// All it serves, by path, for a socket.
    fn router(sim: &Self::Sim) -> Router;

    /// The least configuration with which the provider works on [`Provider::network`].
    fn config() -> Value;

    /// What to merge into the configuration so that it is that of another account, which has no machines.
    fn other_account() -> Value;

    /// The environment with which the provider needs no configuration file when all of its APIs are below `url`.
    fn environment(url: &str) -> Vec<(&'static str, String)>;

    /// Reads a configuration file, which is right.
    fn read(text: &str) -> Self::Config;

    /// The provider with this configuration, which reaches its API by `transport`.
    fn connect(config: Self::Config, transport: Transport, clock: &Clock) -> Self::Cloud;

    /// Makes a machine that runs and has addresses, and gives its ID.
    fn add_machine(sim: &Self::Sim, name: &str) -> String;

    /// Takes a machine away for good.
    fn remove_machine(sim: &Self::Sim, id: &str);

    /// Switches a machine off.
    fn switch_off(sim: &Self::Sim, id: &str);

    /// Switches a machine on.
    fn switch_on(sim: &Self::Sim, id: &str);

    /// The provider ID of a machine.
    fn provider_id(id: &str) -> String {
        format!("{}://{id}", Self::NAME)
    }

    /// What a manager that looks after nodes must leave as it is in the cloud, and what leaks would show in.
    fn end_state(sim: &Self::Sim) -> Value;

    /// What is shipped.
    const SHIPPED: Shipped;

    /// How logs call the request that lists machines: `list devices`. With an underscore it is the operation in metrics.
    const LISTS: &'static str;
    /// How the path of that request ends: `/devices`. One machine is below it: `/devices/ID`.
    const MACHINES: &'static str;
    /// All that is asked in the life of a node, as method and expression for the path: logins, lists.
    const ENDPOINTS: &'static [(&'static str, &'static str)];

    /// Whether the API answers 403 for a machine that is not there, so that it denies it by that.
    const FORBIDDEN_IS_GONE: bool = false;

    /// The body of a list that has these machines only.
    fn list(sim: &Self::Sim, ids: &[String]) -> Value;

    /// The body of an answer that refuses, with this text wherever a text can be.
    fn refusal(text: &str) -> Value;

    /// For how many nodes requests are counted.
    const COUNTS: &'static [usize];

    /// A cloud whose lists come in pages, if they do, with few machines a page: what is true of a thousand a page is true
    /// of a hundred, in a tenth of the time.
    fn paged() -> Self::Settings {
        Self::Settings::default()
    }

    /// How many requests so many nodes may take in a cloud that is [`Provider::paged`].
    fn bound(nodes: usize) -> Bound;

    /// Secrets to search for, and what to merge into the configuration so that all of them are in it.
    fn secrets() -> (Value, Vec<String>);

    /// Secrets that the cloud gave out: tokens.
    fn issued(_: &Self::Sim) -> Vec<String> {
        Vec::new()
    }

    /// Logs the configuration as the program does when it starts, and gives what is shown when somebody prints it and the
    /// provider's client for debugging.
    fn show(config: &Self::Config, cloud: &Self::Cloud) -> String;
}

/// How many requests to the provider so many nodes may take.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// A list of all machines.
    pub list: usize,
    /// To initialise all nodes.
    pub first: usize,
    /// In an hour in which nothing happens.
    pub hourly: usize,
}
