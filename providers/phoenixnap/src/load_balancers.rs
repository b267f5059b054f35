//! Load balancers for Services: an address of an IP block on a public network, which kube-vip or MetalLB announces there.
//!
//! ```text
//! block: bought ─► unassigned ─► assigning ─► assigned ─► an address for the Service ─► announced
//!                  gone ◄─ unassigned ◄─ unassigning ◄─ marked ◄─ the Service goes
//! ```
//!
//! Each call looks, does the next step, and asks to be called again while a block is on its way; so whoever is interrupted
//! anywhere goes on from there. A Service has a block of its own, or shares one where the configuration says so. Blocks are
//! bought and given back by one task at a time.
//!
//! Mirrors `phoenixnap/loadbalancers.go` of the original.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloud_provider::announcers::metallb::{Mode, Names, Resources};
use cloud_provider::announcers::{AddressNames, Announcement, Announcer as Announce, ServiceAddress, Silent, kube_vip};
use cloud_provider::data::{Ingress, Node, Service};
use cloud_provider::helpers::{Cidr, has_finalizer};
use cloud_provider::selector::Selector;
use cloud_provider::{Balancer, CloudError, Context, LoadBalancers, OwnedBalancer, cluster};
use jiff::Timestamp;
use kit::Class;
use kube_kit::metrics::Gauge;
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::client::{IpBlock, PnapClient, PublicNetwork};
use crate::config::{Announcer, Config, LoadBalancer};

mod address;
mod blocks;
mod choose;
mod give;
mod network;
mod reaper;
mod release;
mod tags;
mod take;

use blocks::Ledger;
use choose::addresses_of;

/// On a Service: the address that we gave it. What it does not name was asked for by the user.
pub const ANNOTATION_ASSIGNED: &str = "phoenixnap.com/ip-assigned";
/// How soon a block that is on its way is looked at again.
const MOVING: Duration = Duration::from_secs(5);
/// How long a Service may wait before somebody should look. The API itself gives up on nothing.
const PATIENCE: Duration = Duration::from_mins(15);

/// The load balancers of one cluster. Clones share everything.
#[derive(Clone)]
pub struct PnapLoadBalancers(Arc<Inner>);

struct Inner {
    client: PnapClient,
    config: Config,
    settings: LoadBalancer,
    running: OnceLock<Running>,
}

/// What is there once the cloud was initialised.
struct Running {
    context: Context,
    /// The cluster's UID.
    cluster: String,
    address: ServiceAddress,
    announcer: Arc<dyn Announce>,
    /// Held by whoever changes blocks.
    ledger: Mutex<Ledger>,
    blocks: Gauge,
    /// Since when Services wait for the same thing.
    waiting: std::sync::Mutex<BTreeMap<String, Timestamp>>,
}

impl PnapLoadBalancers {
    /// The load balancers that the configuration asks for; nothing when it asks for none.
    pub fn new(client: &PnapClient, config: &Config) -> Option<Self> {
        Some(Self(Arc::new(Inner {
            client: client.clone(),
            config: config.clone(),
            settings: config.load_balancer.clone()?,
            running: OnceLock::new(),
        })))
    }

    /// To be called once, from [`cloud_provider::Cloud::initialize`]: finds out which cluster this is and whether the
    /// network will do, and starts the task that gives blocks back. A network that cannot be asked about now is no reason
    /// not to start.
    pub async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        let inner = &*self.0;
        let wrong =
            |error: CloudError| CloudError::new(error.class(), "could not initialize LoadBalancers").because(error);
        let cluster = cluster::uid(context).await.map_err(wrong)?;
        match self.network().await {
            Ok(network) => {
                let nobody = Service::default();
                match network::place(&inner.config, &nobody, &network, &[]) {
                    Err(error) if error.class() == Class::Invalid && inner.config.location.is_some() => {
                        return Err(wrong(error));
                    }
                    Err(error) => warn!("{}", kit::chain(&error)),
                    Ok(_) => {}
                }
            }
            Err(error) => warn!("{}; load balancers may not come about", kit::chain(&error)),
        }
        let (names, announcer): (AddressNames, Arc<dyn Announce>) = match &inner.settings.announcer {
            Announcer::KubeVip => (kube_vip::names(ANNOTATION_ASSIGNED), Arc::new(Silent)),
            Announcer::MetalLb { namespace, interfaces } => {
                let names = AddressNames {
                    mark: ANNOTATION_ASSIGNED.to_owned(),
                    spec: true,
                    annotations: Vec::new(),
                };
                let ours = Names::new("phoenixnap", "phoenixnap.com", "phoenixnap-l2-adv");
                let mode = Mode::Layer2 {
                    interfaces: interfaces.clone(),
                    nodes: Some(&inner.config.service_node_selector)
                        .filter(|selector| !selector.is_empty())
                        .and_then(Selector::to_json),
                };
                (
                    names,
                    Arc::new(Resources::new(context.client.clone(), namespace, ours, mode)),
                )
            }
        };
        info!("loadbalancer implementation enabled: {}", inner.settings);
        let running = Running {
            address: ServiceAddress::new(context.client.clone(), names),
            announcer,
            blocks: context.metrics.gauge(
                "phoenixnap_ip_blocks",
                "IP blocks of this cluster, by what becomes of them.",
                &["state"],
            ),
            cluster,
            ledger: Mutex::default(),
            waiting: std::sync::Mutex::default(),
            context: context.clone(),
        };
        if inner.running.set(running).is_ok() {
            let (this, stop) = (self.clone(), context.stop.clone());
            context.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = this.reap() => {}
                }
            });
        }
        Ok(())
    }

    fn running(&self) -> Result<&Running, CloudError> {
        let running = self.0.running.get();
        running.ok_or_else(|| CloudError::new(Class::Transient, "the cloud is not initialised yet"))
    }

    async fn network(&self) -> Result<PublicNetwork, CloudError> {
        let id = &self.0.settings.network;
        self.0.client.public_network(id).await.map_err(|error| {
            CloudError::new(error.class(), format!("unable to look at public network {id}")).because(error)
        })
    }
}

impl Running {
    /// Tells people when a Service has been waiting for long.
    fn watch_patience<T>(&self, service: &Service, result: &Result<T, CloudError>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(CloudError::Pending { message, .. }) = result else {
            waiting.remove(&service.key());
            return;
        };
        let clock = &self.context.clock;
        let since = waiting.entry(service.key()).or_insert_with(|| clock.now());
        if clock.since(*since) >= PATIENCE {
            *since = clock.now();
            let text = format!("still waiting: {message}; look at it in the portal if this goes on");
            self.context
                .recorder
                .warning(&service.reference(), "IPBlockPending", text);
        }
    }
}

/// Whether a Service has, or still holds on to, an address.
fn needs_address(service: &Service) -> bool {
    service.class.is_none() && ((service.kind == "LoadBalancer" && !service.deleting) || has_finalizer(service))
}

fn holds_one(block: &IpBlock, addresses: &[IpAddr]) -> bool {
    let cidr: Option<Cidr> = block.cidr.parse().ok();
    cidr.is_some_and(|cidr| addresses.iter().any(|address| cidr.contains(*address)))
}

fn moving(block: &IpBlock, what: &str) -> CloudError {
    CloudError::pending(format!("IP block {} is {what}", block.cidr), MOVING)
}

#[async_trait]
impl LoadBalancers for PnapLoadBalancers {
    async fn get(&self, _cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let running = self.running()?;
        let blocks = {
            let mut ledger = running.ledger.lock().await;
            self.blocks(running, &mut ledger).await?
        };
        let wanted = tags::service(service);
        let has: Vec<IpAddr> = addresses_of(running.address.names(), service).collect();
        let own = blocks.iter().any(|block| block.bears(&wanted));
        let shared = blocks
            .iter()
            .any(|block| tags::is_shared(block) && holds_one(block, &has));
        Ok((own || shared).then(|| Balancer {
            ingress: has
                .first()
                .map(|address| Ingress::ip(address.to_string()))
                .into_iter()
                .collect(),
        }))
    }

    fn name(&self, _cluster: &str, service: &Service) -> String {
        let cluster = self.0.running.get().map_or("", |running| &running.cluster);
        tags::balancer_name(cluster, &service.key())
    }

    async fn ensure(&self, _cluster: &str, service: &Service, _nodes: &[Arc<Node>]) -> Result<Balancer, CloudError> {
        let running = self.running()?;
        let address = self.bring_about(running, service).await;
        running.watch_patience(service, &address);
        let address = address.map_err(|error| about(service, error))?;
        let alone: Cidr = Cidr {
            network: address,
            bits: if address.is_ipv4() { 32 } else { 128 },
        };
        let announcement = Announcement {
            service,
            addresses: vec![alone],
            speakers: Vec::new(),
            unknown: BTreeSet::new(),
        };
        running.announcer.announce(&announcement).await?;
        Ok(Balancer {
            ingress: vec![Ingress::ip(address.to_string())],
        })
    }

    /// Nothing depends on the nodes: whoever announces an address chooses among them himself.
    async fn update(&self, _cluster: &str, _service: &Service, _nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        Ok(())
    }

    async fn delete(&self, _cluster: &str, service: &Service) -> Result<(), CloudError> {
        let running = self.running()?;
        let taken = self.take_away(running, service).await;
        running.watch_patience(service, &taken);
        taken
    }

    async fn list(&self, _cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        let running = self.running()?;
        let mut ledger = running.ledger.lock().await;
        let blocks = self.blocks(running, &mut ledger).await?;
        let mut owned = Vec::new();
        for block in blocks {
            let service = tags::owner(&block);
            let nobodys = service.is_none()
                && (tags::is_marked(&block)
                    || (tags::is_shared(&block) && self.is_unused(running, &ledger, &block, None).await?));
            if service.is_some() || nobodys {
                let whose = service.clone().unwrap_or_else(|| format!("block {}", block.cidr));
                owned.push(OwnedBalancer {
                    name: tags::balancer_name(&running.cluster, &whose),
                    service,
                    id: block.id,
                });
            }
        }
        Ok(Some(owned))
    }
}

/// Names the Service in a failure. What is under way stays as it is.
fn about(service: &Service, error: CloudError) -> CloudError {
    match error {
        CloudError::Failed { class, .. } => {
            CloudError::new(class, format!("failed to add service {}", service.name)).because(error)
        }
        other => other,
    }
}
