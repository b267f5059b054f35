//! The state as JSON that can be given back, whole or in part.

use cloud_sim::BadState;
use serde_json::Value;

use super::{DeviceState, ReservationKind, ReservationState, Row, Table, World};

impl World {
    /// A world from a state: what it does not have is as in `first`, the first day at the present time.
    pub(crate) fn from_json(state: Value, first: &Self) -> Result<Self, BadState> {
        let mut world = cloud_sim::state::over(first, state)?;
        (world.now, world.seed) = (first.now, first.seed);
        if let Some(fault) = world.settings.fault() {
            return Err(BadState::new(fault));
        }
        world.complete()?;
        world.settle(first.now);
        Ok(world)
    }

    /// Gives hand-made objects what the service gives its own, and refuses what does not fit together.
    fn complete(&mut self) -> Result<(), BadState> {
        self.name_rows(|world| &mut world.projects, |row| &mut row.id, "projects")?;
        self.name_rows(|world| &mut world.reservations, |row| &mut row.id, "reservations")?;
        self.name_rows(|world| &mut world.assignments, |row| &mut row.id, "assignments")?;
        self.name_rows(|world| &mut world.sessions, |row| &mut row.id, "sessions")?;
        self.name_rows(|world| &mut world.balancers, |row| &mut row.id, "balancers")?;
        self.name_rows(|world| &mut world.balancer_ports, |row| &mut row.id, "balancer_ports")?;
        self.name_rows(|world| &mut world.balancer_pools, |row| &mut row.id, "balancer_pools")?;
        self.name_rows(
            |world| &mut world.balancer_origins,
            |row| &mut row.id,
            "balancer_origins",
        )?;
        self.name_rows(|world| &mut world.devices, |row| &mut row.id, "devices")?;
        self.complete_devices()?;
        self.complete_reservations()?;
        self.check_assignments()
    }

    /// Gives rows without an id one, and refuses two rows with the same.
    fn name_rows<T: Row>(
        &mut self,
        table: impl Fn(&mut Self) -> &mut Table<T>,
        id: impl Fn(&mut T) -> &mut String,
        name: &str,
    ) -> Result<(), BadState> {
        let mut rows = table(self).take_rows();
        for row in rows.iter_mut().filter(|row| row.id().is_empty()) {
            *id(row) = self.draw_id();
        }
        *table(self) =
            Table::from_rows(rows).map_err(|twice| BadState::new(format!("{name}: two have the id {twice}")))?;
        Ok(())
    }

    fn complete_devices(&mut self) -> Result<(), BadState> {
        let rows = self.devices.take_rows();
        let mut ids = Vec::new();
        for mut device in rows {
            let at = format!("devices[{}]", device.id);
            if self.projects.get(&device.project).is_none() {
                return Err(BadState::new(format!("{at}: there is no project {}", device.project)));
            }
            if self.metro(&device.metro).is_none() {
                return Err(BadState::new(format!("{at}: there is no metro {}", device.metro)));
            }
            if self.plan(&device.plan).is_none() {
                return Err(BadState::new(format!("{at}: there is no plan {}", device.plan)));
            }
            self.complete_device(&mut device);
            if !matches!(device.state, DeviceState::Queued) {
                ids.push(device.id.clone());
            }
            device.nics.iter().for_each(|nic| self.taken.add(nic));
            self.devices.insert(device);
        }
        for id in ids {
            self.give_addresses(&id);
        }
        Ok(())
    }

    fn complete_reservations(&mut self) -> Result<(), BadState> {
        let given: Vec<_> = self.reservations.iter().cloned().collect();
        for it in given {
            let at = format!("reservations[{}]", it.id);
            if self.projects.get(&it.project).is_none() {
                return Err(BadState::new(format!("{at}: there is no project {}", it.project)));
            }
            if let Some(metro) = it.metro.as_deref()
                && self.metro(metro).is_none()
            {
                return Err(BadState::new(format!("{at}: there is no metro {metro}")));
            }
            let longest = if it.kind == ReservationKind::PublicIpv6 {
                128
            } else {
                32
            };
            if !(8..=longest).contains(&it.cidr) {
                return Err(BadState::new(format!("{at}: cidr must be between 8 and {longest}")));
            }
            if !it.network.is_empty() && it.network.parse::<std::net::IpAddr>().is_err() {
                return Err(BadState::new(format!("{at}: {:?} is no address", it.network)));
            }
            let now = self.now;
            if let Some(row) = self.reservations.get_mut(&it.id) {
                row.created_at.get_or_insert(now);
                if row.kind == ReservationKind::GlobalIpv4 {
                    (row.metro, row.facility) = (None, None);
                }
            }
            let wants = it.network.is_empty() && it.state == ReservationState::Created;
            if wants && self.give_block(&it.id).is_err() {
                return Err(BadState::new(format!("{at}: no address is left for it")));
            }
        }
        Ok(())
    }

    fn check_assignments(&self) -> Result<(), BadState> {
        for it in self.assignments.iter() {
            for (what, there) in [
                ("device", self.devices.get(&it.device).is_some()),
                ("reservation", self.reservations.get(&it.reservation).is_some()),
            ] {
                if !there {
                    return Err(BadState::new(format!(
                        "assignments[{}]: its {what} is not there",
                        it.id
                    )));
                }
            }
        }
        match self.sessions.iter().find(|it| self.devices.get(&it.device).is_none()) {
            Some(it) => Err(BadState::new(format!("sessions[{}]: its device is not there", it.id))),
            None => Ok(()),
        }
    }
}
