//! A complete provider, for a small made-up cloud: machines and load balancers behind an HTTP API.
//!
//! `docs/guides/write-a-cloud-provider.md` walks through it, and `make bench` measures it, so this is also what the
//! framework itself costs.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/machines?page=0` | `{"machines": […], "more": true}`, a thousand to a page |
//! | `GET /v1/machines/ID` | one machine, or 404 |
//! | `GET`, `PUT`, `DELETE /v1/balancers/NAME` | one load balancer: `{"address": "203.0.113.1"}`, or 404 |

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloud_http::{Client, RetryPolicy, Transport, TransportOptions, path};
use cloud_provider::data::{Address, Ingress, Node, Service};
use cloud_provider::{Balancer, Cloud, CloudError, Instances, LoadBalancers, Manager, Metadata, Sighting, Unknown};
use http::Method;
use kit::Class;
use serde::{Deserialize, Serialize};

/// What `--cloud-config` holds.
#[derive(Deserialize)]
struct Config {
    url: String,
}

#[derive(Clone, Deserialize)]
struct Machine {
    id: String,
    name: String,
    address: String,
    size: String,
    zone: String,
    on: bool,
}

#[derive(Deserialize)]
struct Page {
    machines: Vec<Machine>,
    more: bool,
}

/// What a load balancer is to be.
#[derive(Serialize)]
struct Wanted<'a> {
    cluster: &'a str,
    service: String,
    hosts: Vec<&'a str>,
    ports: Vec<i32>,
}

#[derive(Deserialize)]
struct Made {
    address: String,
}

/// The cloud.
struct Depot(Client);

/// Errors of the API keep the class that `cloud-http` gave them.
fn failed(error: cloud_http::Error) -> CloudError {
    CloudError::new(error.class(), "the depot does not do it").because(error)
}

impl Depot {
    fn new(config: Option<&[u8]>) -> Result<Self, CloudError> {
        let invalid = |text: &str| CloudError::new(Class::Invalid, text);
        let text = config.ok_or_else(|| invalid("--cloud-config is needed: `url: https://…`"))?;
        let text = std::str::from_utf8(text).map_err(|error| invalid("the configuration is no text").because(error))?;
        let config: Config =
            serde_saphyr::from_str(text).map_err(|error| invalid("cannot read the configuration").because(error))?;
        let network = Transport::network(&TransportOptions::default())
            .map_err(|error| invalid("cannot set up TLS").because(error))?;
        let client = Client::builder(config.url)
            .transport(network)
            // Longer waits are left to the controllers, which do something else meanwhile.
            .retry(RetryPolicy {
                budget: Duration::from_millis(900),
                ..RetryPolicy::default()
            })
            .build()
            .map_err(|error| invalid("the url cannot be used").because(error))?;
        Ok(Self(client))
    }

    async fn machines(&self) -> Result<Vec<Machine>, CloudError> {
        let mut all = Vec::new();
        for page in 0_u32.. {
            let call = self.0.call("list machines", Method::GET, "/v1/machines");
            let Page { machines, more } = call.query("page", page.to_string()).json().await.map_err(failed)?;
            all.extend(machines);
            if !more {
                break;
            }
        }
        Ok(all)
    }

    /// A list proves nothing: what it does not show is asked for by its ID.
    async fn machine(&self, id: &str) -> Sighting {
        let call = self.0.call("get machine", Method::GET, path(&["v1", "machines", id]));
        match call.json::<Machine>().await {
            Ok(machine) => see(&machine),
            Err(error) if error.is_not_found() => Sighting::Gone,
            Err(error) => Sighting::Unknown(Unknown::Failed(failed(error))),
        }
    }
}

fn see(machine: &Machine) -> Sighting {
    if !machine.on {
        return Sighting::ShutDown;
    }
    Sighting::Running(Metadata {
        provider_id: format!("depot://{}", machine.id),
        instance_type: machine.size.clone(),
        addresses: vec![Address::internal(&machine.address), Address::hostname(&machine.name)],
        zone: machine.zone.clone(),
        ..Metadata::default()
    })
}

#[async_trait]
impl Cloud for Depot {
    fn name(&self) -> &'static str {
        "depot"
    }

    fn instances(&self) -> Option<&dyn Instances> {
        Some(self)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        Some(self)
    }
}

#[async_trait]
impl Instances for Depot {
    async fn look_up(&self, nodes: &[Arc<Node>]) -> Result<Vec<Sighting>, CloudError> {
        let machines = self.machines().await?;
        let by_id: HashMap<&str, &Machine> = machines.iter().map(|machine| (machine.id.as_str(), machine)).collect();
        let by_name: HashMap<&str, &Machine> = machines
            .iter()
            .map(|machine| (machine.name.as_str(), machine))
            .collect();
        let mut sightings = Vec::with_capacity(nodes.len());
        for node in nodes {
            sightings.push(match node.provider_id.strip_prefix("depot://") {
                Some(id) => match by_id.get(id) {
                    Some(machine) => see(machine),
                    None => self.machine(id).await,
                },
                None => match by_name.get(node.name.as_str()) {
                    Some(machine) => see(machine),
                    None => Sighting::Unknown(Unknown::NoMatch),
                },
            });
        }
        Ok(sightings)
    }
}

#[async_trait]
impl LoadBalancers for Depot {
    async fn get(&self, cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let name = LoadBalancers::name(self, cluster, service);
        let call = self
            .0
            .call("get balancer", Method::GET, path(&["v1", "balancers", &name]));
        match call.json::<Made>().await {
            Ok(made) => Ok(Some(Balancer {
                ingress: vec![Ingress::ip(made.address)],
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn ensure(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<Balancer, CloudError> {
        let name = LoadBalancers::name(self, cluster, service);
        let wanted = Wanted {
            cluster,
            service: service.key(),
            hosts: nodes.iter().map(|node| node.name.as_str()).collect(),
            ports: service.ports.iter().map(|port| port.port).collect(),
        };
        // A PUT under a derived name: twice is the same as once.
        let call = self
            .0
            .call("put balancer", Method::PUT, path(&["v1", "balancers", &name]));
        let made: Made = call.body(&wanted).json().await.map_err(failed)?;
        Ok(Balancer {
            ingress: vec![Ingress::ip(made.address)],
        })
    }

    async fn update(&self, cluster: &str, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        self.ensure(cluster, service, nodes).await.map(|_| ())
    }

    async fn delete(&self, cluster: &str, service: &Service) -> Result<(), CloudError> {
        let name = LoadBalancers::name(self, cluster, service);
        let call = self
            .0
            .call("delete balancer", Method::DELETE, path(&["v1", "balancers", &name]));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn main() -> ExitCode {
    let manager = Manager::new("cloud-provider-depot", env!("CARGO_PKG_VERSION"));
    let manager = manager.cloud("depot", |config| Ok(Arc::new(Depot::new(config.as_deref())?)));
    manager.expect("no other cloud is registered").main()
}
