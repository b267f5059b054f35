//! Which addresses there are, and which of them are free.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::net::{netmask_v6, network_v6};
use super::reservations::{Reservation, ReservationKind, ReservationState};
use super::{Block, Nic, WantedAddress, World};
use crate::failure::Failure;

/// Device management networks inside projects.
const PRIVATE_MANAGEMENT: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 64, 0, 0), 10);
/// Private addresses that can be reserved.
const PRIVATE_ELASTIC: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 128, 0, 0), 10);
/// Addresses announced from every metro.
const GLOBAL: (Ipv4Addr, u8) = (Ipv4Addr::new(136, 144, 0, 0), 18);
/// All IPv6 networks.
const IPV6: Ipv6Addr = Ipv6Addr::new(0x2604, 0x1380, 0, 0, 0, 0, 0, 0);

/// The size of a project's private management network in a metro.
const PRIVATE_CIDR: u8 = 25;
/// The size of a project's IPv6 network in a metro.
const IPV6_CIDR: u8 = 56;

/// The addresses that devices have. A copy costs nothing until one side changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<Sets>);

#[derive(Clone, Debug, Default)]
struct Sets {
    v4: BTreeSet<Block>,
    v6: BTreeSet<Ipv6Addr>,
}

impl Taken {
    pub(super) fn add(&mut self, nic: &Nic) {
        let sets = Arc::make_mut(&mut self.0);
        match nic.address.parse() {
            Ok(IpAddr::V4(address)) => sets.v4.insert(Block::around(address, 31)),
            Ok(IpAddr::V6(address)) => sets.v6.insert(address),
            Err(_) => false,
        };
    }

    pub(super) fn remove(&mut self, nic: &Nic) {
        let sets = Arc::make_mut(&mut self.0);
        match nic.address.parse() {
            Ok(IpAddr::V4(address)) => sets.v4.remove(&Block::around(address, 31)),
            Ok(IpAddr::V6(address)) => sets.v6.remove(&address),
            Err(_) => false,
        };
    }
}

impl World {
    /// Gives a device the management addresses it was ordered with, if it has none yet.
    pub(super) fn give_addresses(&mut self, id: &str) {
        let Some(device) = self.devices.get(id) else { return };
        if !device.nics.is_empty() {
            return;
        }
        let (project, metro) = (device.project.clone(), device.metro.clone());
        let all = || {
            [(4, true), (6, true), (4, false)].map(|(address_family, public)| WantedAddress { address_family, public })
        };
        let wanted = device.wanted.clone().unwrap_or_else(|| all().to_vec());
        let mut nics = Vec::new();
        for want in wanted {
            let nic = match (want.address_family, want.public) {
                (4, true) => self.public_nic(&metro),
                (4, false) => self.private_nic(&project, &metro),
                _ => Some(self.ipv6_nic(&project, &metro)),
            };
            if let Some(nic) = nic {
                self.taken.add(&nic);
                nics.push(nic);
            }
        }
        if let Some(device) = self.devices.get_mut(id) {
            device.nics = nics;
        }
    }

    fn public_nic(&mut self, metro: &str) -> Option<Nic> {
        let (pool, _) = self.public_pools(metro)?;
        let block = pool.room(31, &self.taken.0.v4)?;
        Some(self.nic(block, true, None))
    }

    fn private_nic(&mut self, project: &str, metro: &str) -> Option<Nic> {
        let taken = &self.taken.0.v4;
        let free = self
            .management_blocks(project, metro, ReservationKind::PrivateIpv4)
            .find_map(|own| {
                let block = own.block()?.room(31, taken)?;
                Some((block, own.id.clone()))
            });
        if let Some((block, parent)) = free {
            return Some(self.nic(block, false, Some(parent)));
        }
        let pool = Block::around(PRIVATE_MANAGEMENT.0, PRIVATE_MANAGEMENT.1);
        let whole = pool.room(PRIVATE_CIDR, &self.taken_blocks())?;
        let block = whole.room(31, taken)?;
        let network = whole.network().to_string();
        let parent = self.management_block(project, metro, ReservationKind::PrivateIpv4, network, PRIVATE_CIDR);
        Some(self.nic(block, false, Some(parent)))
    }

    fn ipv6_nic(&mut self, project: &str, metro: &str) -> Nic {
        let own = self
            .management_blocks(project, metro, ReservationKind::PublicIpv6)
            .next()
            .map(|own| (own.network.clone(), own.id.clone()));
        let (network, parent) = own.unwrap_or_else(|| {
            let used = self
                .reservations
                .iter()
                .filter(|it| it.kind == ReservationKind::PublicIpv6);
            let network = network_v6(IPV6, IPV6_CIDR, used.count() as u32).to_string();
            let parent = self.management_block(project, metro, ReservationKind::PublicIpv6, network.clone(), IPV6_CIDR);
            (network, parent)
        });
        let base = network.parse().unwrap_or(IPV6);
        let second = |network: &Ipv6Addr| Ipv6Addr::from_bits(network.to_bits() + 1);
        let taken = &self.taken.0.v6;
        let free = (0..=u32::MAX)
            .map(|n| network_v6(base, 127, n))
            .find(|network| !taken.contains(&second(network)));
        let network = free.unwrap_or(base);
        Nic {
            id: self.draw_id(),
            family: 6,
            public: true,
            address: second(&network).to_string(),
            cidr: 127,
            network: network.to_string(),
            netmask: netmask_v6(127).to_string(),
            gateway: network.to_string(),
            block: Some(parent),
        }
    }

    fn nic(&mut self, block: Block, public: bool, parent: Option<String>) -> Nic {
        Nic {
            id: self.draw_id(),
            family: 4,
            public,
            address: block.nth(1).to_string(),
            cidr: block.cidr(),
            network: block.network().to_string(),
            netmask: block.netmask().to_string(),
            gateway: block.network().to_string(),
            block: parent,
        }
    }

    fn management_blocks(
        &self,
        project: &str,
        metro: &str,
        kind: ReservationKind,
    ) -> impl Iterator<Item = &Reservation> {
        self.reservations.iter().filter(move |it| {
            it.management && it.kind == kind && it.project == project && it.metro.as_deref() == Some(metro)
        })
    }

    fn management_block(
        &mut self,
        project: &str,
        metro: &str,
        kind: ReservationKind,
        network: String,
        cidr: u8,
    ) -> String {
        let id = self.draw_id();
        self.reservations.insert(Reservation {
            id: id.clone(),
            project: project.to_owned(),
            kind,
            metro: Some(metro.to_owned()),
            network,
            cidr,
            management: true,
            created_at: Some(self.now),
            ..Reservation::default()
        });
        id
    }

    fn taken_blocks(&self) -> BTreeSet<Block> {
        self.reservations.iter().filter_map(Reservation::block).collect()
    }

    /// The public addresses of a metro: those of devices, and those that can be reserved.
    fn public_pools(&self, metro: &str) -> Option<(Block, Block)> {
        let n = self.metros.iter().position(|known| known.code == metro)?;
        let second = 64 + (n % 128) as u8;
        let at = |third| Block::around(Ipv4Addr::new(147, second, third, 0), 17);
        Some((at(0), at(128)))
    }

    /// Gives a reservation that is approved its addresses.
    pub(crate) fn give_block(&mut self, id: &str) -> Result<(), Failure> {
        let Some(it) = self.reservations.get(id) else {
            return Err(Failure::not_found());
        };
        let (kind, cidr, metro) = (it.kind, it.cidr, it.metro.clone());
        let exhausted = || Failure::invalid("There are no addresses available to fulfill the request");
        let network = if kind == ReservationKind::PublicIpv6 {
            let used = self
                .reservations
                .iter()
                .filter(|it| it.kind == kind && !it.network.is_empty());
            network_v6(IPV6, IPV6_CIDR, 0x1000 + used.count() as u32).to_string()
        } else {
            let pool = match kind {
                ReservationKind::GlobalIpv4 => Some(Block::around(GLOBAL.0, GLOBAL.1)),
                ReservationKind::PrivateIpv4 => Some(Block::around(PRIVATE_ELASTIC.0, PRIVATE_ELASTIC.1)),
                _ => metro
                    .and_then(|metro| self.public_pools(&metro))
                    .map(|(_, elastic)| elastic),
            };
            let room = pool.and_then(|pool| pool.room(cidr, &self.taken_blocks()));
            room.ok_or_else(exhausted)?.network().to_string()
        };
        if let Some(it) = self.reservations.get_mut(id) {
            it.network = network;
            it.state = ReservationState::Created;
        }
        Ok(())
    }
}
