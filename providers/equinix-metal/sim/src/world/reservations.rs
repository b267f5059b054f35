//! Elastic IPs: reservations of addresses, and their assignments to devices.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Block, Row, World};
use crate::failure::Failure;

/// A reservation of addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reservation {
    pub(crate) id: String,
    pub(crate) project: String,
    #[serde(rename = "type")]
    pub(crate) kind: ReservationKind,
    pub(crate) metro: Option<String>,
    pub(crate) facility: Option<String>,
    /// Its first address; empty until it is approved.
    pub(crate) network: String,
    pub(crate) cidr: u8,
    pub(crate) state: ReservationState,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Option<Value>,
    /// It belongs to devices as a whole, not to whoever asked for it.
    pub(crate) management: bool,
    pub(crate) created_at: Option<Timestamp>,
}

/// The assignment of an address to a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) reservation: String,
    pub(crate) address: String,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Option<Value>,
    pub(crate) created_at: Option<Timestamp>,
}

/// The types of reservations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReservationKind {
    #[default]
    PublicIpv4,
    GlobalIpv4,
    PrivateIpv4,
    PublicIpv6,
    Vrf,
}

/// Whether a reservation can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReservationState {
    #[default]
    Created,
    Pending,
    Denied,
}

/// What is asked for, checked.
#[derive(Clone, Debug)]
pub(crate) struct NewReservation {
    pub(crate) project: String,
    pub(crate) kind: ReservationKind,
    pub(crate) quantity: u32,
    pub(crate) metro: Option<String>,
    pub(crate) facility: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) details: Option<String>,
    pub(crate) customdata: Option<Value>,
    /// Whether a request that somebody has to approve is refused instead.
    pub(crate) fail_on_approval: bool,
}

impl Default for Reservation {
    /// What a seeded reservation is unless it says otherwise: one public address in Dallas.
    fn default() -> Self {
        Self {
            id: String::new(),
            project: crate::PROJECT_ID.to_owned(),
            kind: ReservationKind::default(),
            metro: Some("da".to_owned()),
            facility: None,
            network: String::new(),
            cidr: 32,
            state: ReservationState::default(),
            tags: Vec::new(),
            details: None,
            customdata: None,
            management: false,
            created_at: None,
        }
    }
}

impl Row for Reservation {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Row for Assignment {
    fn id(&self) -> &str {
        &self.id
    }
}

impl ReservationKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::PublicIpv4 => "public_ipv4",
            Self::GlobalIpv4 => "global_ipv4",
            Self::PrivateIpv4 => "private_ipv4",
            Self::PublicIpv6 => "public_ipv6",
            Self::Vrf => "vrf",
        }
    }

    pub(crate) fn family(self) -> u8 {
        if self == Self::PublicIpv6 { 6 } else { 4 }
    }
}

impl ReservationState {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Denied => "denied",
        }
    }
}

impl Reservation {
    /// Its first address, if it has any.
    pub(crate) fn first_address(&self) -> Option<&str> {
        (!self.network.is_empty()).then_some(self.network.as_str())
    }

    /// Its IPv4 addresses.
    pub(crate) fn block(&self) -> Option<Block> {
        Some(Block::around(self.network.parse::<Ipv4Addr>().ok()?, self.cidr))
    }

    /// How many addresses it counts for.
    fn size(&self) -> u32 {
        1 << (32 - self.cidr.clamp(8, 32))
    }

    fn holds(&self, address: &str) -> bool {
        match address.parse() {
            Ok(IpAddr::V4(address)) => self.block().is_some_and(|block| block.contains(address)),
            Ok(IpAddr::V6(address)) => self.network.parse::<std::net::Ipv6Addr>().is_ok_and(|network| {
                let shift = 128 - u32::from(self.cidr.min(128));
                address.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
            }),
            Err(_) => false,
        }
    }
}

impl World {
    /// Reserves addresses: at once, or when somebody approves it.
    pub(crate) fn reserve(&mut self, new: NewReservation) -> Result<String, Failure> {
        let counts = |it: &&Reservation| {
            it.project == new.project
                && !it.management
                && it.state == ReservationState::Created
                && matches!(it.kind, ReservationKind::PublicIpv4 | ReservationKind::GlobalIpv4)
        };
        let used: u32 = self.reservations.iter().filter(counts).map(Reservation::size).sum();
        let quota = self.project(&new.project).and_then(|project| project.quota);
        let over = matches!(new.kind, ReservationKind::PublicIpv4 | ReservationKind::GlobalIpv4)
            && quota.is_some_and(|quota| used + new.quantity > quota);
        if over && new.fail_on_approval {
            return Err(Failure::invalid(
                "Your request requires approval: the quota of the project is used up",
            ));
        }
        let id = self.draw_id();
        let cidr = if new.kind == ReservationKind::PublicIpv6 {
            56
        } else {
            32 - new.quantity.trailing_zeros() as u8
        };
        self.reservations.insert(Reservation {
            id: id.clone(),
            project: new.project,
            kind: new.kind,
            metro: new.metro,
            facility: new.facility,
            cidr,
            state: ReservationState::Pending,
            tags: new.tags,
            details: new.details,
            customdata: new.customdata,
            created_at: Some(self.now),
            ..Reservation::default()
        });
        if !over && let Err(why) = self.give_block(&id) {
            self.reservations.remove(&id);
            return Err(why);
        }
        Ok(id)
    }

    /// What somebody in the back office says of a pending reservation.
    pub(crate) fn decide(&mut self, id: &str, approved: bool) -> Result<(), Failure> {
        let it = self.reservations.get_mut(id).ok_or_else(Failure::not_found)?;
        if it.state != ReservationState::Pending {
            return Err(Failure::invalid(format!("The reservation is {}", it.state.word())));
        }
        if approved {
            return self.give_block(id);
        }
        it.state = ReservationState::Denied;
        Ok(())
    }

    /// Assigns an address (`1.2.3.4`, or with `/32`) to a device.
    pub(crate) fn assign(&mut self, device: &str, address: &str) -> Result<String, Failure> {
        let bare = address.split('/').next().unwrap_or_default();
        if bare.parse::<IpAddr>().is_err() {
            return Err(Failure::invalid(format!("{address:?} is not a valid address")));
        }
        let machine = self.devices.get(device).ok_or_else(Failure::not_found)?;
        if !machine.takes_addresses() {
            return Err(Failure::invalid(format!("Device is {}", machine.state.word())));
        }
        let from = self.reservations.iter().find(|it| {
            it.project == machine.project
                && !it.management
                && it.state == ReservationState::Created
                && it.kind != ReservationKind::Vrf
                && (it.kind == ReservationKind::GlobalIpv4 || it.metro.as_deref() == Some(machine.metro.as_str()))
                && it.holds(bare)
        });
        let Some(from) = from else {
            return Err(Failure::invalid(format!(
                "Address {bare} is not in a reservation of the device's project and metro"
            )));
        };
        let shared = from.kind == ReservationKind::GlobalIpv4 && self.settings.shared_global;
        let reservation = from.id.clone();
        let taken = self
            .assignments
            .iter()
            .any(|it| it.address == bare && (!shared || it.device == device));
        if taken {
            return Err(Failure::invalid(format!("Address {bare} is already assigned")));
        }
        let id = self.draw_id();
        self.assignments.insert(Assignment {
            id: id.clone(),
            device: device.to_owned(),
            reservation,
            address: bare.to_owned(),
            created_at: Some(self.now),
            ..Assignment::default()
        });
        Ok(id)
    }

    /// Takes an assignment back, or releases a reservation.
    pub(crate) fn delete_ip(&mut self, id: &str) -> Result<(), Failure> {
        if self.assignments.remove(id).is_some() {
            return Ok(());
        }
        if self
            .devices
            .iter()
            .any(|device| device.nics.iter().any(|nic| nic.id == id))
        {
            return Err(Failure::invalid("Management addresses cannot be removed"));
        }
        let it = self.reservations.get(id).ok_or_else(Failure::not_found)?;
        if it.management {
            return Err(Failure::invalid("Management addresses cannot be removed"));
        }
        if self.settings.strict_release && self.assignments.iter().any(|assignment| assignment.reservation == id) {
            return Err(Failure::invalid("Cannot delete a reservation that has assignments"));
        }
        self.assignments.retain(|assignment| assignment.reservation != id);
        self.reservations.remove(id);
        Ok(())
    }
}
