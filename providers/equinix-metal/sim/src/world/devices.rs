//! Devices, and what happens to them over time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Row, World, later};
use crate::failure::Failure;
use crate::settings::Gone;

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) hostname: String,
    pub(crate) description: Option<String>,
    pub(crate) state: DeviceState,
    /// What it will be, and when.
    pub(crate) next: Vec<Step>,
    pub(crate) plan: String,
    pub(crate) metro: String,
    pub(crate) facility: Option<String>,
    pub(crate) operating_system: String,
    pub(crate) tags: Vec<String>,
    pub(crate) locked: bool,
    pub(crate) customdata: Option<Value>,
    pub(crate) termination_time: Option<String>,
    pub(crate) mac: String,
    /// Which addresses it was ordered with; `None` is all three.
    pub(crate) wanted: Option<Vec<WantedAddress>>,
    /// Its management addresses, which it has once it is being provisioned.
    pub(crate) nics: Vec<Nic>,
    /// The prefixes its routing daemon announces.
    pub(crate) announced: Vec<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// A future state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) at: Timestamp,
    pub(crate) state: DeviceState,
}

/// A management address of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nic {
    pub(crate) id: String,
    pub(crate) family: u8,
    pub(crate) public: bool,
    pub(crate) address: String,
    pub(crate) cidr: u8,
    pub(crate) network: String,
    pub(crate) netmask: String,
    pub(crate) gateway: String,
    /// The reservation it is from; of its own when not given.
    #[serde(default)]
    pub(crate) block: Option<String>,
}

/// An address a device is ordered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WantedAddress {
    pub(crate) address_family: u8,
    #[serde(default = "yes")]
    pub(crate) public: bool,
}

fn yes() -> bool {
    true
}

/// The states of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceState {
    Queued,
    Provisioning,
    #[default]
    Active,
    PoweringOff,
    PoweringOn,
    Inactive,
    Reinstalling,
    Failed,
    Deprovisioning,
    Deleted,
}

/// What a device is ordered with, checked.
#[derive(Clone, Debug)]
pub(crate) struct NewDevice {
    pub(crate) project: String,
    pub(crate) hostname: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) plan: String,
    pub(crate) metro: String,
    pub(crate) facility: Option<String>,
    pub(crate) operating_system: String,
    pub(crate) tags: Vec<String>,
    pub(crate) locked: bool,
    pub(crate) customdata: Option<Value>,
    pub(crate) termination_time: Option<String>,
    pub(crate) wanted: Option<Vec<WantedAddress>>,
}

impl Default for Device {
    /// What a seeded device is unless it says otherwise: up and running.
    fn default() -> Self {
        Self {
            id: String::new(),
            project: crate::PROJECT_ID.to_owned(),
            hostname: String::new(),
            description: None,
            state: DeviceState::Active,
            next: Vec::new(),
            plan: "c3.small.x86".to_owned(),
            metro: "da".to_owned(),
            facility: None,
            operating_system: "ubuntu_24_04".to_owned(),
            tags: Vec::new(),
            locked: false,
            customdata: None,
            termination_time: None,
            mac: String::new(),
            wanted: None,
            nics: Vec::new(),
            announced: Vec::new(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl Row for Device {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Device {
    /// What the service calls it for short.
    pub(crate) fn short_id(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// How far its provisioning is, in percent.
    pub(crate) fn progress(&self, now: Timestamp) -> f64 {
        match (self.state, self.next.first(), self.created_at) {
            (DeviceState::Queued, ..) => 0.0,
            (DeviceState::Provisioning, Some(step), Some(created)) => {
                let whole = step.at.duration_since(created).as_secs_f64();
                let done = now.duration_since(created).as_secs_f64();
                (100.0 * done / whole.max(0.001)).clamp(1.0, 99.0).round()
            }
            _ => 100.0,
        }
    }

    /// Whether addresses can be assigned to it.
    pub(crate) fn takes_addresses(&self) -> bool {
        matches!(self.state, DeviceState::Active | DeviceState::Inactive)
    }

    fn plan_steps(&mut self, now: Timestamp, steps: &[(Duration, DeviceState)]) {
        let mut at = now;
        self.next.clear();
        for (after, state) in steps {
            at = later(at, *after);
            self.next.push(Step { at, state: *state });
        }
    }
}

impl World {
    /// Orders a device. It is `queued`.
    pub(crate) fn create_device(&mut self, new: NewDevice) -> String {
        let fails = self.settings.failing > 0;
        if fails {
            self.settings.failing -= 1;
        }
        let id = self.draw_id();
        let mut device = Device {
            hostname: new.hostname.unwrap_or_default(),
            id: id.clone(),
            project: new.project,
            description: new.description,
            state: DeviceState::Queued,
            plan: new.plan,
            metro: new.metro,
            facility: new.facility,
            operating_system: new.operating_system,
            tags: new.tags,
            locked: new.locked,
            customdata: new.customdata,
            termination_time: new.termination_time,
            wanted: new.wanted,
            created_at: Some(self.now),
            updated_at: Some(self.now),
            ..Device::default()
        };
        let slower = |duration: Duration| duration.mul_f64(self.settings.provisioning_factor);
        let (queued, provisioning) = (slower(self.settings.queued), slower(self.settings.provisioning));
        if fails {
            let steps = [
                (queued, DeviceState::Provisioning),
                (provisioning, DeviceState::Failed),
                (self.settings.failed_visible, DeviceState::Deleted),
            ];
            device.plan_steps(self.now, &steps);
        } else {
            let steps = [(queued, DeviceState::Provisioning), (provisioning, DeviceState::Active)];
            device.plan_steps(self.now, &steps);
        }
        self.complete_device(&mut device);
        self.devices.insert(device);
        self.quiet_until = Timestamp::default();
        id
    }

    /// Puts a device there as it is. Its id.
    pub(crate) fn add_device(&mut self, mut device: Device) -> String {
        let id = self.draw_id();
        device.id.clone_from(&id);
        self.complete_device(&mut device);
        self.devices.insert(device);
        self.give_addresses(&id);
        id
    }

    /// Gives a device what every device has: a facility, a name, an address on the wire.
    pub(super) fn complete_device(&mut self, device: &mut Device) {
        if device.facility.is_none() {
            let here = self.facilities.iter().find(|facility| facility.metro == device.metro);
            device.facility = here.map(|facility| facility.code.clone());
        }
        if device.hostname.is_empty() {
            device.hostname = format!("{}-{}", device.plan.replace('.', "-"), device.short_id());
        }
        if device.mac.is_empty() {
            let digits: String = device.id.chars().filter(char::is_ascii_hexdigit).collect();
            let pairs: Vec<&str> = (0..5).filter_map(|i| digits.get(2 * i..2 * i + 2)).collect();
            device.mac = format!("0c:{}", pairs.join(":"));
        }
        device.created_at.get_or_insert(self.now);
        device.updated_at.get_or_insert(self.now);
    }

    /// Moves devices to the states that are due.
    pub(super) fn settle_devices(&mut self) {
        if self.now < self.quiet_until {
            return;
        }
        let due = |device: &&Device| device.next.first().is_some_and(|step| step.at <= self.now);
        let due: Vec<String> = self
            .devices
            .iter()
            .filter(due)
            .map(|device| device.id.clone())
            .collect();
        for id in due {
            self.settle_device(&id);
        }
        let next = self.devices.iter().filter_map(|device| device.next.first());
        self.quiet_until = next.map(|step| step.at).min().unwrap_or(Timestamp::MAX);
    }

    fn settle_device(&mut self, id: &str) {
        while let Some(device) = self.devices.get_mut(id) {
            let Some(step) = device.next.first().copied().filter(|step| step.at <= self.now) else {
                break;
            };
            device.next.remove(0);
            let failed = device.state == DeviceState::Failed;
            device.state = step.state;
            device.updated_at = Some(step.at);
            match step.state {
                DeviceState::Deleted => self.forget_device(id, failed),
                DeviceState::Failed => self.release_device(id),
                DeviceState::Provisioning => self.give_addresses(id),
                _ => {}
            }
        }
    }

    /// An action on a device: `power_on`, `power_off`, `reboot`, `rescue`, `reinstall`.
    pub(crate) fn act_on_device(&mut self, id: &str, action: &str) -> Result<(), Failure> {
        use DeviceState::{Active, Inactive, PoweringOff, PoweringOn, Reinstalling};
        let (power, reinstall, now) = (self.settings.power, self.settings.reinstall, self.now);
        let device = self.devices.get_mut(id).ok_or_else(Failure::not_found)?;
        let begin = match (action, device.state) {
            ("power_off", Active) => vec![(Duration::ZERO, PoweringOff), (power, Inactive)],
            ("power_on", Inactive) => vec![(Duration::ZERO, PoweringOn), (power, Active)],
            ("reboot" | "rescue", Active) => {
                vec![(Duration::ZERO, PoweringOff), (power, PoweringOn), (power, Active)]
            }
            ("reinstall", Active | Inactive) => vec![(Duration::ZERO, Reinstalling), (reinstall, Active)],
            ("power_off" | "power_on" | "reboot" | "rescue" | "reinstall", state) => {
                return Err(Failure::invalid(format!(
                    "Device must not be in state {} for {action}",
                    state.word()
                )));
            }
            _ => return Err(Failure::invalid(format!("{action:?} is not a valid action type"))),
        };
        device.plan_steps(now, &begin);
        self.quiet_until = Timestamp::default();
        self.settle_device(id);
        Ok(())
    }

    /// Begins the end of a device. Its Elastic IPs and BGP sessions go at once.
    pub(crate) fn delete_device(&mut self, id: &str) -> Result<(), Failure> {
        let (now, after) = (self.now, self.settings.deprovision);
        let device = self.devices.get_mut(id).ok_or_else(Failure::not_found)?;
        if device.locked {
            return Err(Failure::invalid("Cannot delete a locked device"));
        }
        if device.state == DeviceState::Deprovisioning {
            return Err(Failure::invalid("Device is already being deprovisioned"));
        }
        device.plan_steps(
            now,
            &[
                (Duration::ZERO, DeviceState::Deprovisioning),
                (after, DeviceState::Deleted),
            ],
        );
        self.release_device(id);
        self.quiet_until = Timestamp::default();
        self.settle_device(id);
        Ok(())
    }

    /// Puts a device into a state, whatever it was in: what happens in a data centre.
    pub(crate) fn force_state(&mut self, id: &str, state: DeviceState) -> Result<(), Failure> {
        let device = self.devices.get_mut(id).ok_or_else(Failure::not_found)?;
        device.next.clear();
        device.state = state;
        device.updated_at = Some(self.now);
        self.quiet_until = Timestamp::default();
        match state {
            DeviceState::Deleted => self.forget_device(id, false),
            DeviceState::Failed => {
                let (now, visible) = (self.now, self.settings.failed_visible);
                if let Some(device) = self.devices.get_mut(id) {
                    device.plan_steps(now, &[(visible, DeviceState::Deleted)]);
                }
                self.release_device(id);
            }
            DeviceState::Queued => {}
            _ => self.give_addresses(id),
        }
        Ok(())
    }

    fn release_device(&mut self, id: &str) {
        self.assignments.retain(|assignment| assignment.device != id);
        self.sessions.retain(|session| session.device != id);
    }

    fn forget_device(&mut self, id: &str, failed: bool) {
        self.release_device(id);
        if let Some(device) = self.devices.remove(id) {
            device.nics.iter().for_each(|nic| self.taken.remove(nic));
        }
        if failed {
            self.gone.insert(id.to_owned(), self.settings.gone);
        }
    }

    /// The device of this id, or how asking for it is answered.
    pub(crate) fn device(&self, id: &str) -> Result<&Device, Failure> {
        match (self.devices.get(id), self.gone.get(id)) {
            (Some(device), _) => Ok(device),
            (None, Some(Gone::Forbidden)) => Err(Failure::forbidden()),
            (None, _) => Err(Failure::not_found()),
        }
    }
}

impl DeviceState {
    /// The state with this name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        serde_json::from_value(Value::from(word)).ok()
    }

    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::PoweringOff => "powering_off",
            Self::PoweringOn => "powering_on",
            Self::Inactive => "inactive",
            Self::Reinstalling => "reinstalling",
            Self::Failed => "failed",
            Self::Deprovisioning => "deprovisioning",
            Self::Deleted => "deleted",
        }
    }
}
