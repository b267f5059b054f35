//! Services with an Elastic IP, which nodes announce over BGP.
//!
//! Each step looks before it acts, and every one may be the last of this process:
//!
//! 1. the Service's address: asked for, reserved earlier, or reserved now under the Service's tags
//! 2. the reservation noted at the Service, and the address in it, where announcers look for it, marked as ours
//! 3. the nodes' BGP sessions and annotations
//! 4. the announcer
//!
//! Deleting goes backwards, the reservation last: as long as it is there, whoever comes again knows that there is something
//! left to do.

use std::net::IpAddr;
use std::sync::Arc;

use cloud_provider::announcers::{AddressNames, ServiceAddress, is_requested, kube_vip};
use cloud_provider::data::{Ingress, Node, Service};
use cloud_provider::helpers::Cidr;
use cloud_provider::{Balancer, CloudError, Context};
use kit::Class;
use tracing::{info, warn};

use super::{Running, annotate, is_control_plane};
use crate::client::{MetalClient, Reservation};
use crate::config::{BackEnd, Config};
use crate::reservations::{self, Places};

mod announce;
mod choose;
mod owned;
mod reserved;

use announce::Announcing;
use choose::{Choice, choose, is_asked_for_by_annotation};
use reserved::{NONE, Reserved};

/// On a Service: the address that we gave it. What it does not name was asked for by the user.
pub const ANNOTATION_ASSIGNED: &str = "metal.equinix.com/eip-assigned";
/// On a Service: the ID of the reservation that its address is from; `none` where it is the user's.
pub const ANNOTATION_RESERVATION: &str = "metal.equinix.com/eip-reservation";
/// On a Service: the address that is asked for, where `spec.loadBalancerIP` is not to be used.
const ANNOTATION_ADDRESS: &str = "metal.equinix.com/eip-address";
/// On a Service: the tag of the reservation whose address is asked for.
const ANNOTATION_TAG: &str = "metal.equinix.com/eip-tag";

/// The load balancers.
pub(super) struct EipBalancers {
    client: MetalClient,
    config: Arc<Config>,
    address: ServiceAddress,
    reserved: Reserved,
    announcing: Announcing,
}

impl EipBalancers {
    pub fn new(client: &MetalClient, config: &Arc<Config>, back_end: &BackEnd, context: &Context) -> Self {
        let names = match back_end {
            BackEnd::KubeVip => kube_vip::names(ANNOTATION_ASSIGNED),
            _ => AddressNames {
                mark: ANNOTATION_ASSIGNED.to_owned(),
                spec: true,
                annotations: Vec::new(),
            },
        };
        Self {
            client: client.clone(),
            config: Arc::clone(config),
            address: ServiceAddress::new(context.client.clone(), names),
            reserved: Reserved::new(client),
            announcing: Announcing::new(client, config, back_end, context),
        }
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
        let reservations = self.reserved.list().await?;
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
        let _working = self.announcing.working().await;
        self.bring_about(running, service, nodes).await
    }

    async fn bring_about(
        &self,
        running: &Running,
        service: &Service,
        nodes: &[Arc<Node>],
    ) -> Result<Balancer, CloudError> {
        if is_control_plane(service) {
            // Its address is looked after by the control plane's own task, and announced by nobody.
            let address = self.control_plane(&self.reserved.list().await?).ok_or_else(|| {
                let tag = self.config.eip_tag.as_deref().unwrap_or_default();
                CloudError::new(Class::NotFound, format!("no IP found with tag '{tag}'"))
            })?;
            return Ok(at(address));
        }
        let names = self.address.names();
        let reservations = self.reserved.of(running, names, service).await?;
        let choice = self.choice(running, service, &reservations)?;
        let limit = self.announcing.enable().await?;
        let own = !matches!(choice, Choice::Requested { .. });
        // The reservation is noted before the address: whoever finds that knows where it is from.
        let (address, cidr) = match &choice {
            Choice::Given { address, network, id } => {
                annotate(running, service, &[(ANNOTATION_RESERVATION, Some(id))]).await?;
                (*address, *network)
            }
            Choice::Requested { address, reserved } => {
                if !reserved {
                    self.warn_of_nobody(running, service, *address);
                }
                (*address, host(*address))
            }
            Choice::Reserve => self.reserve(running, service).await?,
        };
        if !is_requested(names, service) {
            self.address.write(service, &address.to_string()).await?;
        } else if own {
            // Written by the Go program, which leaves no mark.
            self.address.adopt(service, &address.to_string()).await?;
        }
        self.announcing.announce(running, service, vec![cidr], nodes).await?;
        self.release_spares(running, service, &choice, &reservations).await?;
        if !own {
            // No reservation of its own is left. One that somebody took over is still the one that it was given.
            if is_requested(names, service) {
                annotate(running, service, &[(ANNOTATION_RESERVATION, None)]).await?;
            } else if is_asked_for_by_annotation(service) {
                annotate(running, service, &[(ANNOTATION_RESERVATION, Some(NONE))]).await?;
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
        self.reserved.without_doubt(service)?;
        // Costs money: only where it can be used.
        self.announcing.check().await?;
        let request = reservations::request(&running.cluster, service, location);
        let reserved = self.reserved.reserve(running, service, &request).await?;
        annotate(running, service, &[(ANNOTATION_RESERVATION, Some(&reserved.id))]).await?;
        match (reserved.address.parse(), reservations::network(&reserved)) {
            (Ok(address), Some(network)) if reservations::is_usable(&reserved) => Ok((address, network)),
            _ => Err(choose::waiting(&reserved)),
        }
    }

    /// Releases what an earlier try reserved under the Service's tags and is not in use: an answer that was lost, or the
    /// address that the Service had before its user asked for another.
    async fn release_spares(
        &self,
        running: &Running,
        service: &Service,
        choice: &Choice,
        reservations: &[Reservation],
    ) -> Result<(), CloudError> {
        for spare in choice.spares(reservations, &reservations::tags(&running.cluster, service)) {
            info!(service = %service.key(), address = %spare.address, "releasing a reservation that is not used");
            match self.reserved.release(running, spare).await {
                Err(error) if error.class().is_temporary() => return Err(error),
                Err(error) => warn!(service = %service.key(), "{}", kit::chain(&error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn warn_of_nobody(&self, running: &Running, service: &Service, address: IpAddr) {
        let project = self.client.project();
        let text = format!("the address {address} was asked for, but no IP reservation of project {project} has it");
        running
            .recorder
            .warning(&service.reference(), "AddressNotReserved", text);
    }

    fn warn_of_limit(&self, running: &Running, service: &Service, limit: u32) {
        let announced = self.announcing.count();
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
        let _working = self.announcing.working().await;
        match self.announcing.addresses(service) {
            Some(addresses) => self.announcing.announce(running, service, addresses, nodes).await,
            None => self.bring_about(running, service, nodes).await.map(drop),
        }
    }

    pub async fn delete(&self, running: &Running, service: &Service) -> Result<(), CloudError> {
        let _working = self.announcing.working().await;
        if is_control_plane(service) {
            // The address is the control plane's, and stays.
            return Ok(());
        }
        self.announcing.withdraw(service).await?;
        // Before the mark goes: it is what tells that there must be something.
        let all = self.reserved.of(running, self.address.names(), service).await?;
        self.address.clear(service).await?;
        for reservation in reservations::find(&all, &reservations::tags(&running.cluster, service), "") {
            self.reserved.release(running, reservation).await?;
        }
        self.reserved.without_doubt(service)?;
        if !service.deleting {
            annotate(running, service, &[(ANNOTATION_RESERVATION, None)]).await?;
        }
        self.reserved.forget(service);
        self.announcing.fall_silent(running, service).await
    }

    /// Keeps sessions and announcements current, for ever.
    pub async fn refresh(&self, running: &Running) {
        self.announcing.refresh(running).await;
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
