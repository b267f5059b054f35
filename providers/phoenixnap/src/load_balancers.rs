//! Load balancers for Services: an address of an IP block on a public network, which kube-vip or MetalLB announces there.
//!
//! ```text
//! block: bought ─► unassigned ─► assigning ─► assigned ─► an address for the Service ─► announced
//!                  gone ◄─ unassigned ◄─ unassigning ◄─ marked ◄─ the Service goes
//! ```
//!
//! Each call looks, does the next step, and asks to be called again while a block is on its way; so whoever is interrupted
//! anywhere goes on from there. A Service has a block of its own, or shares one where the configuration says so. Services
//! are worked on side by side; what must not happen twice is in the ledger.
//!
//! | where | what |
//! |---|---|
//! | `choose`, `address`, `network`, `tags` | decided without asking anybody |
//! | `ledger`, `blocks`, `users` | what there is, and what this process knows of it before lists do |
//! | `give`, `buy`, `publish`, `announce` | towards an address |
//! | `take`, `release` | back |
//! | `reaper`, `drift` | what nobody else does |
//! | `wind_up` | after the setting was removed |
//!
//! Mirrors `phoenixnap/loadbalancers.go` of the original.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use cloud_provider::announcers::{Announcement, Announcer as Announce};
use cloud_provider::controllers::service::wants_load_balancer;
use cloud_provider::data::{Ingress, Node, Service};
use cloud_provider::helpers::{Cidr, has_finalizer};
use cloud_provider::{Balancer, CloudError, Context, LoadBalancers, OwnedBalancer, cluster};
use kit::Class;
use kube_kit::metrics::Gauge;
use tracing::{info, warn};

use crate::client::{IpBlock, PnapClient};
use crate::config::{Config, LoadBalancer};

mod address;
mod announce;
mod blocks;
mod buy;
mod choose;
mod drift;
mod give;
mod ledger;
mod network;
mod patience;
mod publish;
mod reaper;
mod release;
mod tags;
mod take;
mod users;
mod wind_up;

use announce::Leftovers;
use blocks::{Age, Looks};
use ledger::Ledger;
use patience::Patience;
use publish::{Publisher, addresses_of};

/// On a Service: the address that we gave it. What it does not name was asked for by the user.
pub const ANNOTATION_ASSIGNED: &str = "phoenixnap.com/ip-assigned";
/// How soon what was done a moment ago, or is under way, is looked at again. What takes long is looked at less often; see
/// [`Patience`].
const SOON: Duration = Duration::from_secs(1);
/// How soon whoever clears up goes on.
const PAUSE: Duration = Duration::from_secs(5);

/// The load balancers of one cluster. Clones share everything.
#[derive(Clone)]
pub struct PnapLoadBalancers(Arc<Inner>);

struct Inner {
    client: PnapClient,
    config: Config,
    /// Nothing where there is no load balancer any more.
    settings: Option<LoadBalancer>,
    looks: Looks,
    running: OnceLock<Running>,
}

/// What is there once the cloud was initialised.
struct Running {
    context: Context,
    /// The cluster's UID.
    cluster: String,
    publisher: Publisher,
    announcer: Arc<dyn Announce>,
    ledger: Ledger,
    patience: Patience,
    blocks: Gauge,
}

impl PnapLoadBalancers {
    /// The load balancers that the configuration asks for. Where it asks for none, what is left of earlier ones.
    pub fn new(client: &PnapClient, config: &Config) -> Self {
        Self(Arc::new(Inner {
            client: client.clone(),
            config: config.clone(),
            settings: config.load_balancer.clone(),
            looks: Looks::default(),
            running: OnceLock::new(),
        }))
    }

    /// Whether the configuration asks for load balancers.
    pub fn is_offered(&self) -> bool {
        self.0.settings.is_some()
    }

    /// To be called once, from [`cloud_provider::Cloud::initialize`]: finds out which cluster this is and whether the
    /// network will do, and starts the task that looks after blocks. A network that cannot be asked about now is no reason
    /// not to start.
    pub async fn initialize(&self, context: &Context) -> Result<(), CloudError> {
        let inner = &*self.0;
        let (this, shared) = (self.clone(), context.clone());
        let Some(settings) = &inner.settings else {
            context.spawn(async move { this.wind_up(&shared).await });
            return Ok(());
        };
        let wrong =
            |error: CloudError| CloudError::new(error.class(), "could not initialize LoadBalancers").because(error);
        let cluster = cluster::uid(context).await.map_err(wrong)?;
        match self.network().await {
            Ok(network) => {
                let placed = network::has_room(&network, 0)
                    .and_then(|()| network::place(&inner.config, &Service::default(), &network));
                match placed {
                    Err(error) if error.class() == Class::Invalid && inner.config.location.is_some() => {
                        return Err(wrong(error));
                    }
                    Err(error) => warn!("{}", kit::chain(&error)),
                    Ok(_) => {}
                }
            }
            Err(error) => warn!("{}; load balancers may not come about", kit::chain(&error)),
        }
        info!("loadbalancer implementation enabled: {settings}");
        if inner.running.set(self.set_up(context, cluster)).is_ok() {
            context.spawn(async move { this.reap().await });
        }
        Ok(())
    }

    fn set_up(&self, context: &Context, cluster: String) -> Running {
        let config = &self.0.config;
        let announcer = config.load_balancer.as_ref().map(|settings| &settings.announcer);
        Running {
            publisher: Publisher::new(&context.client, announce::places(announcer), config.annotation_only),
            announcer: announce::announcer(&context.client, config),
            blocks: context.metrics.gauge(
                "phoenixnap_ip_blocks",
                "IP blocks of this cluster, by what becomes of them.",
                &["state"],
            ),
            cluster,
            ledger: Ledger::default(),
            patience: Patience::default(),
            context: context.clone(),
        }
    }

    fn running(&self) -> Result<&Running, CloudError> {
        let running = self.0.running.get();
        running.ok_or_else(|| CloudError::new(Class::Transient, "the cloud is not initialised yet"))
    }

    /// The next step towards an address, by one at a time for each Service.
    async fn work_on(&self, running: &Running, service: &Service) -> Result<IpAddr, CloudError> {
        let Some(_working) = running.ledger.begin(&service.key()) else {
            return Err(busy());
        };
        if let Some(view) = self.seen_lately(running)
            && let Some(address) = self.bring_about(running, service, &view).await?
        {
            return Ok(address);
        }
        for age in [Age::JustNow, Age::New] {
            let view = self.look(running, age).await?;
            if let Some(address) = self.bring_about(running, service, &view).await? {
                return Ok(address);
            }
        }
        Err(busy())
    }
}

impl Running {
    /// Tells people what a Service has been waiting for.
    fn tell_pending(&self, service: &Service, text: Option<String>) {
        if let Some(text) = text {
            let reference = service.reference();
            self.context.recorder.warning(&reference, "IPBlockPending", text);
        }
    }
}

/// Whether a Service is to have an address from us.
fn wants_address(service: &Service) -> bool {
    wants_load_balancer(service) && !service.deleting
}

/// Whether a Service has, or still holds on to, an address.
fn needs_address(service: &Service) -> bool {
    service.class.is_none() && (wants_address(service) || has_finalizer(service))
}

/// Whether one of the addresses is in a network.
fn holds_one(cidr: &str, addresses: &[IpAddr]) -> bool {
    let cidr: Option<Cidr> = cidr.parse().ok();
    cidr.is_some_and(|cidr| addresses.iter().any(|address| cidr.contains(*address)))
}

fn moving(block: &IpBlock, what: &str) -> CloudError {
    CloudError::pending(format!("IP block {} is {what}", block.cidr), SOON)
}

fn busy() -> CloudError {
    CloudError::pending("the service is being looked after", SOON)
}

#[async_trait]
impl LoadBalancers for PnapLoadBalancers {
    async fn get(&self, _cluster: &str, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let running = self.running()?;
        let blocks = self.blocks(running).await?;
        let wanted = tags::service(service);
        let has: Vec<IpAddr> = addresses_of(running.publisher.names(), service).collect();
        let own = blocks.iter().any(|block| block.bears(&wanted));
        let shared = blocks
            .iter()
            .any(|block| tags::is_shared(block) && holds_one(&block.cidr, &has));
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
        let address = self.work_on(running, service).await;
        let (address, told) = running.patience.wait(&service.key(), address, &running.context.clock);
        running.tell_pending(service, told);
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
        let Some(_working) = running.ledger.begin(&service.key()) else {
            return Err(busy());
        };
        let taken = self.give_up(running, service).await;
        let (taken, told) = running.patience.wait(&service.key(), taken, &running.context.clock);
        running.tell_pending(service, told);
        taken?;
        // Last, so that until then the Service says what it had.
        running.publisher.clear(service).await
    }

    async fn list(&self, _cluster: &str) -> Result<Option<Vec<OwnedBalancer>>, CloudError> {
        let running = self.running()?;
        let mut owned = Vec::new();
        let mut add = |whose: &str, service: Option<String>, id: String| {
            owned.push(OwnedBalancer {
                name: tags::balancer_name(&running.cluster, whose),
                service,
                id,
            });
        };
        for block in self.blocks(running).await? {
            let service = tags::owner(&block);
            let nobodys = service.is_none()
                && (tags::is_marked(&block)
                    || (tags::is_shared(&block) && self.is_unused(running, &block, None).await?));
            if service.is_some() || nobodys {
                let whose = service.clone().unwrap_or_else(|| format!("block {}", block.cidr));
                add(&whose, service, block.id);
            }
        }
        // What MetalLB announces where nothing of ours belongs, whether the Service is there or not.
        let announcer = self.0.settings.as_ref().map(|settings| &settings.announcer);
        let leftovers = Leftovers::new(&running.context.client, announcer);
        for (namespace, services) in leftovers.by_place().await? {
            for service in services {
                let whose = format!("{service} in MetalLB's namespace {namespace}");
                add(&whose, Some(service), format!("IPAddressPool in {namespace}"));
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
