//! Services with a load balancer of Equinix Metal's own (EMLB).
//!
//! Mirrors `metal/loadbalancers/emlb` and its `infrastructure` of cloud-provider-equinix-metal. Differs from upstream: what
//! an earlier try left is found by its name; origins are compared, not all made anew; UDP is UDP; a load balancer that is
//! gone is no error; one that we did not make is never deleted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider::data::{AddressType, Ingress, Node, Service};
use cloud_provider::{Balancer, CloudError, OwnedBalancer};
use kit::Class;
use tracing::info;

use super::missing::Missing;
use super::{Running, annotate, is_control_plane, tell_nobody_selected};
use crate::client::emlb::{EmlbClient, LoadBalancer};
use crate::client::{MetalClient, MetalError, MetalResult};
use crate::config::{Config, EMLB_LOCATIONS};
use crate::reservations::{USAGE_TAG, balancer_name, cluster_tag, service_tag};

mod act;
mod plan;

use act::Writer;
use plan::{Backend, Listener, Observed, SeenPool, plan};

/// The provider of load balancers, to the API.
const PROVIDER: &str = "loadpvd-gOB_-byp5ebFo7A3LHv2B";
/// On a Service: the ID of its load balancer.
pub(crate) const ANNOTATION_ID: &str = "equinix.com/loadbalancerID";
/// On a Service: the metro of its load balancer.
const ANNOTATION_METRO: &str = "equinix.com/loadbalancerMetro";
/// How soon a load balancer without an address is looked at again.
const ADDRESS: Duration = Duration::from_secs(5);
/// On nodes that run the control plane.
pub(crate) const CONTROL_PLANE_LABELS: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
];

/// The load balancers.
pub(super) struct EmlbBalancers {
    client: EmlbClient,
    config: Arc<Config>,
    metro: String,
    /// The load balancers that Services were given and that are not there.
    missing: Missing,
}

impl EmlbBalancers {
    pub fn new(client: &MetalClient, config: &Arc<Config>, metro: &str) -> Self {
        info!("loadbalancer implementation enabled: emlb");
        Self {
            client: client.emlb().clone(),
            config: Arc::clone(config),
            metro: metro.to_owned(),
            missing: Missing::default(),
        }
    }

    fn writer<'a>(&'a self, running: &'a Running) -> Writer<'a> {
        Writer::new(&self.client, &running.context.fence)
    }

    pub async fn get(&self, running: &Running, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let found = self.find(&balancer_name(&running.cluster, service), service).await?;
        Ok(found.map(|balancer| Balancer {
            ingress: ingress(&balancer),
        }))
    }

    /// The load balancer that the Service names, else the one that bears its name.
    async fn find(&self, name: &str, service: &Service) -> Result<Option<LoadBalancer>, CloudError> {
        if let Some(id) = named(service)
            && let Some(balancer) = gone_is_none(self.client.load_balancer(id).await)?
        {
            return Ok(Some(balancer));
        }
        let Some(listed) = self.by_name(name).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(gone_is_none(self.client.load_balancer(&listed.id).await)?)
    }

    /// Those with this name, in an order that does not change.
    async fn by_name(&self, name: &str) -> Result<Vec<LoadBalancer>, CloudError> {
        let mut found = self.client.load_balancers().await?;
        found.retain(|one| one.name == name);
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    pub async fn ensure(
        &self,
        running: &Running,
        service: &Service,
        nodes: &[Arc<Node>],
    ) -> Result<Balancer, CloudError> {
        let name = balancer_name(&running.cluster, service);
        let wanted = self.listeners(running, service, nodes)?;
        let balancer = match self.find(&name, service).await? {
            Some(balancer) => balancer,
            None if is_control_plane(service) => {
                // Which one it is was configured: none of our own takes its place.
                let id = named(service).unwrap_or_default();
                return Err(CloudError::new(
                    Class::NotFound,
                    format!("there is no load balancer {id}"),
                ));
            }
            None => {
                if let Some(id) = named(service) {
                    self.missing.is_gone("load balancer", id)?;
                }
                self.create(running, &name).await?
            }
        };
        if let Some(id) = named(service) {
            self.missing.forget(id);
        }
        let noted = [
            (ANNOTATION_ID, Some(balancer.id.as_str())),
            (ANNOTATION_METRO, Some(self.metro.as_str())),
        ];
        annotate(running, service, &noted).await?;
        let writer = self.writer(running);
        let observed = self.observe(&balancer).await?;
        for action in plan(&observed, &wanted, balancer.name == name) {
            writer.act(&balancer.id, action).await?;
        }
        if balancer.name == name {
            // Of a try whose answer was lost.
            for spare in self.by_name(&name).await?.iter().filter(|one| one.id != balancer.id) {
                writer.delete(&spare.id).await?;
            }
        }
        let ingress = ingress(&balancer);
        if ingress.is_empty() {
            return Err(CloudError::pending("the load balancer has no address yet", ADDRESS));
        }
        Ok(Balancer { ingress })
    }

    async fn create(&self, running: &Running, name: &str) -> Result<LoadBalancer, CloudError> {
        let location = EMLB_LOCATIONS.iter().find(|(metro, _)| *metro == self.metro);
        let (_, location) = location.ok_or_else(|| {
            let text = format!(
                "could not determine load balancer location for metro {}; valid values are [da ny sv]",
                self.metro
            );
            CloudError::new(Class::Invalid, text)
        })?;
        let id = self.writer(running).create(name, location, PROVIDER).await?;
        Ok(LoadBalancer {
            id,
            name: name.to_owned(),
            ..LoadBalancer::default()
        })
    }

    /// Every port of the Service, and where its traffic goes: each external address of each of these nodes that is selected.
    /// Nodes that are excluded from load balancers are not among them, those of the control plane no more than others.
    fn listeners(
        &self,
        running: &Running,
        service: &Service,
        nodes: &[Arc<Node>],
    ) -> Result<Vec<Listener>, CloudError> {
        let invalid = |text: String| CloudError::new(Class::Invalid, text);
        let selected: Vec<&Arc<Node>> = if is_control_plane(service) {
            // Any node leads to the API servers; theirs are the shortest way.
            let own: Vec<&Arc<Node>> = nodes.iter().filter(|node| is_control_plane_node(node)).collect();
            if own.is_empty() { nodes.iter().collect() } else { own }
        } else {
            let matches = |node: &&Arc<Node>| self.config.bgp_nodes.matches(&node.labels);
            nodes.iter().filter(matches).collect()
        };
        if selected.is_empty() && !nodes.is_empty() {
            tell_nobody_selected(running, service, nodes.len());
        }
        let targets: BTreeSet<&str> = selected
            .iter()
            .flat_map(|node| &node.addresses)
            .filter(|address| address.kind == AddressType::ExternalIp)
            .map(|address| address.address.as_str())
            .collect();
        let listener = |port: &cloud_provider::data::ServicePort| {
            let protocol = match port.protocol.as_str() {
                "UDP" => "udp",
                "TCP" => "tcp",
                other => {
                    return Err(invalid(format!(
                        "EMLB cannot do {other}, which port {} speaks",
                        port.port
                    )));
                }
            };
            let number = u16::try_from(port.port).map_err(|_| invalid(format!("{} is no port", port.port)))?;
            let node_port = u16::try_from(port.node_port).unwrap_or(0);
            if node_port == 0 {
                return Err(invalid(format!(
                    "port {number} has no node port, which EMLB sends traffic to"
                )));
            }
            let backend = |target: &&str| Backend {
                target: (*target).to_owned(),
                port: node_port,
            };
            Ok(Listener {
                number,
                protocol,
                backends: targets.iter().map(backend).collect(),
            })
        };
        service.ports.iter().map(listener).collect()
    }

    async fn observe(&self, balancer: &LoadBalancer) -> Result<Observed, CloudError> {
        let prefix = plan::pool_prefix(&balancer.name);
        let mut pools = Vec::new();
        // The project's list has those too that no port was given yet.
        for pool in self
            .client
            .pools()
            .await?
            .into_iter()
            .filter(|pool| pool.name.starts_with(&prefix))
        {
            let origins = gone_is_none(self.client.origins(&pool.id).await)?.unwrap_or_default();
            pools.push(SeenPool { pool, origins });
        }
        pools.sort_by(|a, b| a.pool.id.cmp(&b.pool.id));
        Ok(Observed {
            name: balancer.name.clone(),
            ports: balancer.ports.clone(),
            attached: balancer.pools.clone(),
            pools,
        })
    }

    pub async fn delete(&self, running: &Running, service: &Service) -> Result<(), CloudError> {
        if is_control_plane(service) {
            // The load balancer is the user's, and the Service comes back.
            return Ok(());
        }
        let (name, writer) = (balancer_name(&running.cluster, service), self.writer(running));
        let mut ours: BTreeSet<String> = self.by_name(&name).await?.into_iter().map(|one| one.id).collect();
        if let Some(id) = named(service)
            && let Some(balancer) = gone_is_none(self.client.load_balancer(id).await)?
        {
            if balancer.name == name {
                ours.insert(balancer.id);
            } else {
                // Not made by us: what we put there goes, it stays.
                let ports: BTreeSet<u16> = service
                    .ports
                    .iter()
                    .filter_map(|port| u16::try_from(port.port).ok())
                    .collect();
                for action in plan::leave(&self.observe(&balancer).await?, &ports) {
                    writer.act(&balancer.id, action).await?;
                }
            }
        }
        let prefix = plan::pool_prefix(&name);
        for pool in self
            .client
            .pools()
            .await?
            .iter()
            .filter(|pool| pool.name.starts_with(&prefix))
        {
            writer.act("", plan::Action::DeletePool(pool.id.clone())).await?;
        }
        for id in ours {
            writer.delete(&id).await?;
        }
        annotate(running, service, &[(ANNOTATION_ID, None), (ANNOTATION_METRO, None)]).await
    }

    pub async fn list(&self, running: &Running) -> Result<Vec<OwnedBalancer>, CloudError> {
        let cluster = cluster_tag(&running.cluster);
        let (prefix, suffix) = (format!("{USAGE_TAG}:service="), format!(":{cluster}"));
        let mut owned: Vec<OwnedBalancer> = Vec::new();
        let service_of = |name: &str| {
            let services = running.context.services.list();
            let service = services
                .iter()
                .find(|one| name.contains(&service_tag(&one.namespace, &one.name)));
            service.map(|service| service.key())
        };
        let mut add = |name: &str, id: &str| {
            if name.starts_with(&prefix) && name.ends_with(&suffix) && !owned.iter().any(|one| one.name == name) {
                owned.push(OwnedBalancer {
                    name: name.to_owned(),
                    service: service_of(name),
                    id: id.to_owned(),
                });
            }
        };
        for balancer in self.client.load_balancers().await? {
            add(&balancer.name, &balancer.id);
        }
        for pool in self.client.pools().await? {
            if let Some((name, _)) = pool.name.split_once(plan::POOL) {
                add(name, &pool.id);
            }
        }
        Ok(owned)
    }
}

/// Whether a node runs the control plane.
pub(crate) fn is_control_plane_node(node: &Node) -> bool {
    CONTROL_PLANE_LABELS
        .iter()
        .any(|label| node.labels.contains_key(*label))
}

fn named(service: &Service) -> Option<&str> {
    service
        .annotations
        .get(ANNOTATION_ID)
        .map(|id| id.trim())
        .filter(|id| !id.is_empty())
}

fn ingress(balancer: &LoadBalancer) -> Vec<Ingress> {
    balancer.ips.iter().map(Ingress::ip).collect()
}

fn gone_is_none<T>(result: MetalResult<T>) -> Result<Option<T>, MetalError> {
    match result {
        Err(error) if error.is_not_found() => Ok(None),
        result => result.map(Some),
    }
}
