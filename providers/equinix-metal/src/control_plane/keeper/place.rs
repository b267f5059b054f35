//! Where the address is.

use std::net::IpAddr;

use cloud_provider::CloudError;
use kit::Class;
use tokio::time::Instant;

use super::Keeper;
use crate::client::{Assignments, Reservation};
use crate::reservations;

/// Where the address is, and from which reservation.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The address.
    pub eip: IpAddr,
    /// Its reservation.
    pub reservation: String,
    /// The only metro whose devices can have it; empty when any can.
    pub metro: String,
    /// The device that has it.
    pub holder: Option<String>,
    /// What to remove to take it away from there.
    pub assignment: Option<String>,
    /// When this was so.
    pub seen: Instant,
}

impl Keeper {
    /// Looks where the address is now.
    pub(super) async fn look(&mut self) -> Result<Place, CloudError> {
        let missing = || {
            let text = format!(
                "elastic IP not found. Please verify you have one with the expected tag: {}",
                self.tag
            );
            CloudError::new(Class::NotFound, text)
        };
        let reservation = self.reservation().await?.ok_or_else(missing)?;
        let eip: IpAddr = reservation.address.parse().map_err(|_| missing())?;
        if reservation.assignments.len() > 1 {
            let text = format!(
                "the elastic ip {} has more than one node assigned to it and this is currently not supported. \
                 Fix it manually unassigning devices",
                reservation.id
            );
            return Err(CloudError::new(Class::Permanent, text));
        }
        let assignment = reservation.assignments.first();
        let place = Place {
            eip,
            holder: assignment.map(|one| one.assigned_to.id().to_owned()),
            assignment: assignment.map(|one| one.id().to_owned()),
            metro: reservation.metro.code,
            reservation: reservation.id,
            seen: Instant::now(),
        };
        self.place = Some(place.clone());
        Ok(place)
    }

    /// The reservation with the tag. One that was known and that the list lacks is looked at by itself: lists may be short.
    async fn reservation(&self) -> Result<Option<Reservation>, CloudError> {
        let tag = std::slice::from_ref(&self.tag);
        let all = self.client.reservations(Assignments::Included).await?;
        if let Some(found) = reservations::find(&all, tag, "").first() {
            return Ok(Some(Reservation::clone(found)));
        }
        let Some(known) = &self.place else { return Ok(None) };
        match self.client.reservation(&known.reservation).await {
            Ok(known) => Ok(Some(known).filter(|known| reservations::has_all(&known.tags, tag))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
