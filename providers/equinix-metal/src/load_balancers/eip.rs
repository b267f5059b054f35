//! Services with an Elastic IP, which nodes announce over BGP.
//!
//! Each step looks before it acts, and every one may be the last of this process:
//!
//! 1. the Service's address: asked for, reserved earlier, or reserved now under the Service's tags
//! 2. the address in the Service, where announcers look for it, marked as ours
//! 3. the nodes' BGP sessions and annotations
//! 4. the announcer
//!
//! Deleting goes backwards, the reservation last: as long as it is there, whoever comes again knows that there is something
//! left to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_provider::announcers::metallb::{ConfigMap, Mode, Names, Resources};
use cloud_provider::announcers::{
    AddressNames, Announcement, Announcer, ServiceAddress, Silent, is_requested, kube_vip,
};
use cloud_provider::controllers::service::stable_nodes;
use cloud_provider::data::{Ingress, Node, Service};
use cloud_provider::helpers::Cidr;
use cloud_provider::{Balancer, CloudError, Context, OwnedBalancer};
use kit::Class;
use tokio::sync::RwLock;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Running, is_control_plane};
use crate::bgp::{Bgp, BgpError, BgpSettings, Spoken, is_foreign};
use crate::client::{Assignments, MetalClient, Reservation};
use crate::config::{BackEnd, Config};
use crate::reservations::{self, Places};

/// On a Service: the address that we gave it. What it does not name was asked for by the user.
pub const ANNOTATION_ASSIGNED: &str = "metal.equinix.com/eip-assigned";
/// On a Service: the address that is asked for, where `spec.loadBalancerIP` is not to be used.
const ANNOTATION_ADDRESS: &str = "metal.equinix.com/eip-address";
/// On a Service: the tag of the reservation whose address is asked for.
const ANNOTATION_TAG: &str = "metal.equinix.com/eip-tag";
/// How often nodes are looked after although nothing happened.
const REFRESH: Duration = Duration::from_mins(1);
/// How long a reservation whose answer was lost may take to show in lists.
const DOUBT: Duration = Duration::from_secs(20);
/// How soon a reservation that somebody has to approve is looked at again.
const APPROVAL: Duration = Duration::from_mins(1);

mod choose;

use choose::{Choice, choose};

/// The load balancers.
pub(super) struct EipBalancers {
    client: MetalClient,
    config: Arc<Config>,
    bgp: Bgp,
    announcer: Arc<dyn Announcer>,
    address: ServiceAddress,
    /// What is announced, by Service.
    known: Mutex<BTreeMap<String, Known>>,
    /// What this process reserved, by the Service's UID: lists may be late to show it.
    made: Mutex<HashMap<String, Made>>,
    /// Read by whoever works on one Service, written by whoever announces all of them again.
    gate: RwLock<()>,
}

/// What came of asking for a reservation.
#[derive(Clone)]
enum Made {
    /// It has this ID.
    Reserved(String),
    /// The answer was lost at this moment.
    InDoubt(Instant),
}

#[derive(Clone)]
struct Known {
    service: Service,
    addresses: Vec<Cidr>,
    /// Whether a node could not be asked, so that the announcement may be incomplete.
    incomplete: bool,
}

impl EipBalancers {
    pub fn new(client: &MetalClient, config: &Arc<Config>, back_end: &BackEnd, context: &Context) -> Self {
        let kube = || context.client.clone();
        let names = Names::new("equinix-metal", "metal.equinix.com", "equinix-metal-bgp-adv");
        let announcer: Arc<dyn Announcer> = match back_end {
            BackEnd::MetalLbConfigMap { namespace, name } => {
                Arc::new(ConfigMap::new(kube(), namespace, name, names, Mode::Bgp))
            }
            BackEnd::MetalLbResources { namespace } => Arc::new(Resources::new(kube(), namespace, names, Mode::Bgp)),
            BackEnd::KubeVip | BackEnd::Empty | BackEnd::Emlb { .. } => Arc::new(Silent),
        };
        let address = match back_end {
            BackEnd::KubeVip => kube_vip::names(ANNOTATION_ASSIGNED),
            _ => AddressNames {
                mark: ANNOTATION_ASSIGNED.to_owned(),
                spec: true,
                annotations: Vec::new(),
            },
        };
        let settings = BgpSettings {
            local_asn: config.local_asn,
            password: config.bgp_pass.clone(),
            annotations: config.annotations.clone(),
        };
        info!("loadbalancer implementation enabled: {}", back_end.name());
        Self {
            client: client.clone(),
            config: Arc::clone(config),
            bgp: Bgp::new(client.clone(), settings),
            announcer,
            address: ServiceAddress::new(kube(), address),
            known: Mutex::default(),
            made: Mutex::default(),
            gate: RwLock::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reservations(&self) -> Result<Vec<Reservation>, CloudError> {
        self.client.reservations(Assignments::Links).await.map_err(|error| {
            let text = format!(
                "unable to retrieve IP reservations for project {}",
                self.client.project()
            );
            CloudError::new(error.class(), text).because(error)
        })
    }

    fn made(&self) -> MutexGuard<'_, HashMap<String, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The project's reservations, with the one that this process made for the Service and that the list does not show yet:
    /// whoever believed the list would reserve another, and another.
    async fn reservations_for(&self, service: &Service) -> Result<Vec<Reservation>, CloudError> {
        let mut all = self.reservations().await?;
        let made = self.made().get(&service.uid).cloned();
        let Some(Made::Reserved(id)) = made.filter(|_| !service.uid.is_empty()) else {
            return Ok(all);
        };
        if !all.iter().any(|one| one.id == id) {
            match self.client.reservation(&id).await {
                Ok(reservation) => all.push(reservation),
                Err(error) if error.is_not_found() => drop(self.made().remove(&service.uid)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    /// Fails while a reservation that was asked for, and whose answer was lost, may still show.
    fn without_doubt(&self, service: &Service) -> Result<(), CloudError> {
        let left = match self.made().get(&service.uid) {
            // Not nothing at all: asked again at once, nobody's time would pass.
            Some(Made::InDoubt(since)) => DOUBT.checked_sub(since.elapsed()).filter(|left| !left.is_zero()),
            _ => None,
        };
        let text = "the answer to a request for an IP reservation was lost; waiting whether it shows";
        left.map_or(Ok(()), |left| Err(CloudError::pending(text, left)))
    }

    fn choice(&self, running: &Running, service: &Service, reservations: &[Reservation]) -> Result<Choice, CloudError> {
        choose(&choose::Asked {
            names: self.address.names(),
            tags: &reservations::tags(&running.cluster, service),
            service,
            reservations,
        })
    }

    pub async fn get(&self, running: &Running, service: &Service) -> Result<Option<Balancer>, CloudError> {
        let reservations = self.reservations().await?;
        if is_control_plane(service) {
            return Ok(self.control_plane(&reservations).map(at));
        }
        Ok(match self.choice(running, service, &reservations) {
            Ok(Choice::Given { address, .. } | Choice::Requested { address, .. }) => Some(at(address)),
            Ok(Choice::Reserve) | Err(_) => None,
        })
    }

    /// The control plane's own address, if there is one.
    fn control_plane(&self, reservations: &[Reservation]) -> Option<IpAddr> {
        let tag = self.config.eip_tag.clone()?;
        let found = reservations::find(reservations, &[tag], "");
        found.first()?.address.parse().ok()
    }

    pub async fn ensure(
        &self,
        running: &Running,
        service: &Service,
        nodes: &[Arc<Node>],
    ) -> Result<Balancer, CloudError> {
        let _working = self.gate.read().await;
        self.bring_about(running, service, nodes).await
    }

    async fn bring_about(
        &self,
        running: &Running,
        service: &Service,
        nodes: &[Arc<Node>],
    ) -> Result<Balancer, CloudError> {
        let reservations = self.reservations_for(service).await?;
        if is_control_plane(service) {
            // Its address is looked after by the control plane's own task, and announced by nobody.
            let address = self.control_plane(&reservations).ok_or_else(|| {
                let tag = self.config.eip_tag.as_deref().unwrap_or_default();
                CloudError::new(Class::NotFound, format!("no IP found with tag '{tag}'"))
            })?;
            return Ok(at(address));
        }
        let choice = self.choice(running, service, &reservations)?;
        let limit = self.bgp.enable_project().await.map_err(bgp_failed)?;
        let (address, cidr) = match &choice {
            Choice::Given { address, network, .. } => (*address, *network),
            Choice::Requested { address, reserved } => {
                if !reserved {
                    let text = format!(
                        "the address {address} was asked for, but no IP reservation of project {} has it",
                        self.client.project()
                    );
                    running
                        .recorder
                        .warning(&service.reference(), "AddressNotReserved", text);
                }
                (*address, host(*address))
            }
            Choice::Reserve => self.reserve(running, service).await?,
        };
        if !is_requested(self.address.names(), service) {
            self.address.write(service, &address.to_string()).await?;
        } else if matches!(choice, Choice::Given { .. }) {
            // Written by the Go program, which leaves no mark.
            self.address.adopt(service, &address.to_string()).await?;
        }
        self.announce(running, service, vec![cidr], nodes).await?;
        // Reserved under the Service's tags by an earlier try, and not in use: an answer that was lost, or the address that
        // the Service had before its user asked for another.
        for spare in choice.spares(&reservations, &reservations::tags(&running.cluster, service)) {
            running.context.fence.check()?;
            info!(service = %service.key(), address = %spare.address, "releasing a reservation that is not used");
            match self.client.release(&spare.id).await {
                Err(error) if error.class().is_temporary() => return Err(error.into()),
                Err(error) => warn!(service = %service.key(), "{}", kit::chain(&error)),
                Ok(()) => {}
            }
        }
        self.warn_of_limit(running, service, limit);
        Ok(at(address))
    }

    async fn reserve(&self, running: &Running, service: &Service) -> Result<(IpAddr, Cidr), CloudError> {
        let place = |key: &str| service.annotations.get(key).map_or("", String::as_str);
        let places = Places {
            service_metro: place(&self.config.annotations.eip_metro),
            service_facility: place(&self.config.annotations.eip_facility),
            metro: self.config.metro.as_deref().unwrap_or_default(),
            facility: self.config.facility.as_deref().unwrap_or_default(),
        };
        let location = places
            .choose()
            .map_err(|error| CloudError::new(Class::Invalid, error.to_string()))?;
        self.without_doubt(service)?;
        // Costs money: only where it can be used.
        self.announcer.check().await?;
        running.context.fence.check()?;
        let request = reservations::request(&running.cluster, service, location);
        let reserved = self.client.reserve(&request).await.map_err(|error| {
            if error.is_ambiguous() {
                self.made().insert(service.uid.clone(), Made::InDoubt(Instant::now()));
            }
            CloudError::new(error.class(), "failed to request an IP for the load balancer").because(error)
        })?;
        self.made()
            .insert(service.uid.clone(), Made::Reserved(reserved.id.clone()));
        match (reserved.address.parse(), reservations::network(&reserved)) {
            (Ok(address), Some(network)) if reservations::is_usable(&reserved) => Ok((address, network)),
            _ => Err(choose::waiting(&reserved)),
        }
    }

    /// Makes the selected nodes speak BGP, and has the addresses announced by them.
    async fn announce(
        &self,
        running: &Running,
        service: &Service,
        addresses: Vec<Cidr>,
        nodes: &[Arc<Node>],
    ) -> Result<(), CloudError> {
        let spoken = self.speak(running, nodes).await;
        self.announce_from(service, addresses, &spoken).await?;
        // With some nodes it works; the others are tried again soon. With none it does not.
        match spoken.failures.last() {
            Some((_, error)) if spoken.speakers.is_empty() => {
                Err(CloudError::new(error.class(), "no node speaks BGP").because(Arc::clone(error)))
            }
            _ => Ok(()),
        }
    }

    async fn speak(&self, running: &Running, nodes: &[Arc<Node>]) -> Spoken {
        let selected: Vec<Arc<Node>> = nodes.iter().filter(|node| self.is_selected(node)).cloned().collect();
        let spoken = self.bgp.speak(&running.context.client, &selected).await;
        for (node, error) in &spoken.failures {
            let text = kit::chain(&**error);
            warn!(node = %node.name, "{text}");
            running.recorder.warning(&node.reference(), "BGPSessionFailed", text);
        }
        spoken
    }

    async fn announce_from(&self, service: &Service, addresses: Vec<Cidr>, spoken: &Spoken) -> Result<(), CloudError> {
        let announcement = Announcement {
            service,
            addresses: addresses.clone(),
            speakers: spoken.speakers.clone(),
            unknown: spoken.unknown.clone(),
        };
        self.announcer.announce(&announcement).await?;
        let known = Known {
            service: service.clone(),
            addresses,
            incomplete: !spoken.failures.is_empty(),
        };
        self.known().insert(service.key(), known);
        Ok(())
    }

    fn is_selected(&self, node: &Node) -> bool {
        self.config.bgp_nodes.matches(&node.labels) && !is_foreign(node)
    }

    fn warn_of_limit(&self, running: &Running, service: &Service, limit: u32) {
        let announced = self.known().len();
        if announced > limit as usize {
            let text = format!(
                "{announced} addresses are announced, but a BGP session of Equinix Metal takes {limit} prefixes: \
                 the service may not be reachable"
            );
            running.recorder.warning(&service.reference(), "BGPPrefixLimit", text);
        }
    }

    pub async fn update(&self, running: &Running, service: &Service, nodes: &[Arc<Node>]) -> Result<(), CloudError> {
        if is_control_plane(service) {
            return Ok(());
        }
        let _working = self.gate.read().await;
        let known = self.known().get(&service.key()).cloned();
        match known {
            Some(known) if known.service.uid == service.uid => {
                self.announce(running, service, known.addresses, nodes).await
            }
            _ => self.bring_about(running, service, nodes).await.map(drop),
        }
    }

    pub async fn delete(&self, running: &Running, service: &Service) -> Result<(), CloudError> {
        let _working = self.gate.read().await;
        self.known().remove(&service.key());
        if is_control_plane(service) {
            // The address is the control plane's, and stays.
            return Ok(());
        }
        self.announcer.withdraw(service).await?;
        self.address.clear(service).await?;
        let tags = reservations::tags(&running.cluster, service);
        let all = self.reservations_for(service).await?;
        for reservation in reservations::find(&all, &tags, "") {
            running.context.fence.check()?;
            self.client.release(&reservation.id).await.map_err(|error| {
                let address = &reservation.address;
                let text = format!("failed to remove IP address reservation {address} from project");
                CloudError::new(error.class(), text).because(error)
            })?;
        }
        self.without_doubt(service)?;
        self.made().remove(&service.uid);
        self.fall_silent(running, service).await
    }

    /// After the last Service nodes say nothing about BGP any more.
    async fn fall_silent(&self, running: &Running, gone: &Service) -> Result<(), CloudError> {
        let wants = |service: &Service| {
            service.kind == "LoadBalancer" && service.class.is_none() && !service.deleting && !is_control_plane(service)
        };
        let services = running.context.services.list();
        if services.iter().any(|service| service.uid != gone.uid && wants(service)) {
            return Ok(());
        }
        let nodes = running.context.nodes.list();
        match self.bgp.fall_silent(&running.context.client, &nodes).await.pop() {
            Some((_, error)) => Err(bgp_failed(error)),
            None => Ok(()),
        }
    }

    pub async fn list(&self, running: &Running) -> Result<Vec<OwnedBalancer>, CloudError> {
        let cluster = reservations::cluster_tag(&running.cluster);
        let wanted = [reservations::USAGE_TAG.to_owned(), cluster];
        let mut keys: BTreeSet<String> = running
            .context
            .services
            .list()
            .iter()
            .map(|service| service.key())
            .collect();
        let announced = self.announcer.announced().await?;
        keys.extend(announced.iter().cloned());
        let named: BTreeMap<String, String> = keys
            .into_iter()
            .filter_map(|key| {
                let (namespace, name) = key.split_once('/')?;
                Some((reservations::service_tag(namespace, name), key.clone()))
            })
            .collect();
        let mut owned: Vec<OwnedBalancer> = Vec::new();
        for reservation in reservations::find(&self.reservations().await?, &wanted, "") {
            let tag = reservation.tags.iter().find(|tag| tag.starts_with("service="));
            let Some(tag) = tag else { continue };
            owned.push(OwnedBalancer {
                name: [&wanted[0], tag, &wanted[1]].map(String::as_str).join(":"),
                service: named.get(tag).cloned(),
                id: reservation.id.clone(),
            });
        }
        for key in announced {
            let Some((namespace, name)) = key.split_once('/') else {
                continue;
            };
            let tag = reservations::service_tag(namespace, name);
            let name = [&wanted[0], &tag, &wanted[1]].map(String::as_str).join(":");
            if !owned.iter().any(|one| one.name == name) {
                owned.push(OwnedBalancer {
                    name,
                    service: Some(key.clone()),
                    id: "metallb".to_owned(),
                });
            }
        }
        Ok(owned)
    }

    /// Looks after nodes for ever: those that failed are tried again, those that were seen long ago are seen anew, and what
    /// came of it is announced. Nodes that are not selected any more fall silent.
    pub async fn refresh(&self, running: &Running) {
        loop {
            running.context.clock.sleep(REFRESH).await;
            let all = running.context.nodes.list();
            self.bgp.keep(&all);
            if self.known().is_empty() || running.context.fence.check().is_err() {
                continue;
            }
            let (_, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|node| self.is_selected(node));
            for (node, error) in self.bgp.fall_silent(&running.context.client, &others).await {
                warn!(node = %node.name, "{}", kit::chain(&error));
            }
            let nodes = stable_nodes(&all);
            let selected: Vec<Arc<Node>> = nodes.iter().filter(|node| self.is_selected(node)).cloned().collect();
            let incomplete = self.known().values().any(|known| known.incomplete);
            if incomplete || self.bgp.is_due(&selected) {
                let spoken = self.speak(running, &nodes).await;
                self.announce_again(running, &spoken).await;
            }
        }
    }

    async fn announce_again(&self, running: &Running, spoken: &Spoken) {
        let keys: Vec<String> = self.known().keys().cloned().collect();
        for key in keys {
            // Not while a Service is being worked on: one that goes must not come back.
            let _alone = self.gate.write().await;
            let Some(known) = self.known().get(&key).cloned() else {
                continue;
            };
            let current = running.context.services.get(&key);
            let Some(current) = current.filter(|now| now.uid == known.service.uid && !now.deleting) else {
                continue;
            };
            if let Err(error) = self.announce_from(&current, known.addresses, spoken).await {
                warn!(service = %key, "cannot announce: {}", kit::chain(&error));
            }
        }
    }
}

fn at(address: IpAddr) -> Balancer {
    Balancer {
        ingress: vec![Ingress::ip(address.to_string())],
    }
}

/// The network of one address.
fn host(address: IpAddr) -> Cidr {
    Cidr {
        network: address,
        bits: if address.is_ipv4() { 32 } else { 128 },
    }
}

fn bgp_failed(error: BgpError) -> CloudError {
    CloudError::new(error.class(), "could not set up BGP").because(error)
}
