//! The provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloud_http::{Client, Error, Refusal, Refused, RetryPolicy, StaticHeader, Transport, path};
use cloud_provider::data::{Address, Node};
use cloud_provider::fresh::Fresh;
use cloud_provider::meter::Meter;
use cloud_provider::{Cloud, CloudError, Context, Instances, Metadata, Sighting, Unknown};
use http::{HeaderName, Method};
use kit::Class;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How old a list may be.
const FRESH: Duration = Duration::from_secs(5);

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Nothing.
    Careful,
    /// What it does not see is gone.
    Rash,
    /// It lists all machines for each node.
    Greedy,
    /// All nodes are its own.
    Nosy,
    /// It logs what it sends.
    Talkative,
    /// All machines are there and on.
    Blind,
}

impl Habit {
    pub const ALL: [Self; 6] = [
        Self::Careful,
        Self::Rash,
        Self::Greedy,
        Self::Nosy,
        Self::Talkative,
        Self::Blind,
    ];
}

#[derive(Clone, Debug)]
pub struct Config {
    pub url: String,
    pub key: SecretString,
}

#[derive(Clone, Debug, Deserialize)]
struct Machine {
    id: String,
    name: String,
    address: String,
    on: bool,
}

#[derive(Deserialize)]
struct List {
    machines: Vec<Machine>,
}

#[derive(Debug)]
pub struct Shed {
    client: Client,
    meter: Meter,
    listed: Fresh<Vec<Machine>, Error>,
    habit: Habit,
    key: SecretString,
}

/// A 404 is the API's only when it says so in the API's form.
fn classify(refusal: &Refusal<'_>) -> Refused {
    let body: Value = serde_json::from_slice(refusal.body).unwrap_or_default();
    let reason = body["error"].as_str().map(str::to_owned);
    let class = match cloud_http::by_status(refusal.status) {
        Class::NotFound | Class::Unauthorized if reason.is_none() => Class::Permanent,
        class => class,
    };
    Refused { class, reason }
}

fn failed(error: Error) -> CloudError {
    CloudError::new(error.class(), "the shed does not answer").because(error)
}

impl Shed {
    pub fn new(config: &Config, transport: Transport, habit: Habit) -> Self {
        let header = StaticHeader::new(HeaderName::from_static("x-auth-token"), &config.key);
        let client = Client::builder(&config.url)
            .transport(transport)
            .authenticator(header.unwrap())
            .classify(classify)
            .retry(RetryPolicy {
                budget: Duration::from_millis(900),
                ..RetryPolicy::default()
            })
            .build()
            .unwrap();
        client.secrets().add(&config.key);
        Self {
            client,
            meter: Meter::default(),
            listed: Fresh::default(),
            habit,
            key: config.key.clone(),
        }
    }

    async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: String) -> Result<T, Error> {
        if self.habit == Habit::Talkative {
            tracing::info!(key = self.key.expose_secret(), path, "sending");
        }
        let call = self.client.call(operation, Method::GET, path).json();
        self.meter.time(operation, Error::class, call).await
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        let list: List = self.get("list machines", path(&["machines"])).await?;
        Ok(list.machines)
    }

    /// A list proves nothing: what it does not show is asked for by its ID.
    async fn one(&self, id: &str) -> Sighting {
        match self.get::<Machine>("get machine", path(&["machines", id])).await {
            Ok(machine) => see(&machine),
            Err(error) if error.is_not_found() || self.habit == Habit::Rash => Sighting::Gone,
            Err(error) => Sighting::Unknown(Unknown::Failed(failed(error))),
        }
    }

    async fn see(&self, node: &Node, machines: &[Machine]) -> Sighting {
        if node.provider_id.is_empty() {
            let named = machines.iter().find(|machine| machine.name == node.name);
            return named.map_or(Sighting::Unknown(Unknown::NoMatch), see);
        }
        let id = node.provider_id.rsplit('/').next().unwrap_or_default();
        match machines.iter().find(|machine| machine.id == id) {
            Some(machine) => see(machine),
            None => self.one(id).await,
        }
    }
}

fn see(machine: &Machine) -> Sighting {
    if !machine.on {
        return Sighting::ShutDown;
    }
    Sighting::Running(Metadata {
        provider_id: format!("shed://{}", machine.id),
        instance_type: "bench".to_owned(),
        region: "garden".to_owned(),
        addresses: vec![Address::hostname(&machine.name), Address::internal(&machine.address)],
        ..Metadata::default()
    })
}

#[async_trait]
impl Cloud for Shed {
    fn name(&self) -> &'static str {
        "shed"
    }

    async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        self.meter.start(&context.metrics);
        Ok(())
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(self)
    }

    fn owns(&self, provider_id: &str) -> bool {
        self.habit == Habit::Nosy || provider_id.starts_with("shed://")
    }
}

#[async_trait]
impl Instances for Shed {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let mut seen = Vec::with_capacity(nodes.len());
        for node in nodes {
            let ask = Box::pin(self.list());
            let listed = match self.habit {
                Habit::Greedy => self.listed.now(ask).await,
                _ => self.listed.get(FRESH, ask).await,
            };
            let machines = match listed {
                Err(_) if self.habit == Habit::Rash => Arc::default(),
                listed => listed.map_err(failed)?,
            };
            seen.push(match self.see(node, &machines).await {
                Sighting::Gone | Sighting::ShutDown if self.habit == Habit::Blind => {
                    Sighting::Unknown(Unknown::NoMatch)
                }
                seen => seen,
            });
        }
        Ok(seen)
    }
}
