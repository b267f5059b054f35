//! What is reserved for a Service. Lists may be late, short or empty, so they are believed only in what they show: what a
//! Service was given already and a list lacks is looked at by itself, and until that is settled nothing is bought for the
//! Service and nothing of it released.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_provider::CloudError;
use cloud_provider::announcers::{AddressNames, assigned};
use cloud_provider::data::Service;
use kit::Class;
use tokio::time::Instant;
use tracing::warn;

use super::ANNOTATION_RESERVATION;
use super::choose::is_asked_for_by_annotation;
use crate::client::{Assignments, MetalClient, Reservation, ReservationRequest};
use crate::load_balancers::Running;
use crate::load_balancers::missing::Missing;
use crate::reservations::contains;

/// Stands for no reservation at all: the address is the user's.
pub(super) const NONE: &str = "none";
/// How long a reservation whose answer was lost may take to show in lists.
const DOUBT: Duration = Duration::from_secs(20);
/// How soon an address that nothing can be found out about is looked for again.
const AGAIN: Duration = Duration::from_mins(1);

/// The reservations of a project, as they concern its Services.
pub(super) struct Reserved {
    client: MetalClient,
    /// What this process reserved, by the Service's UID: lists may be late to show it.
    made: Mutex<HashMap<String, Made>>,
    /// The reservations that Services were given and that are not there.
    missing: Missing,
}

/// What came of asking for a reservation.
#[derive(Clone)]
enum Made {
    /// It has this ID.
    Reserved(String),
    /// The answer was lost at this moment.
    InDoubt(Instant),
}

/// The reservation that a Service was given, as it is noted there; [`NONE`] where it was given none.
pub(super) fn noted(service: &Service) -> Option<&str> {
    let note = service.annotations.get(ANNOTATION_RESERVATION)?.trim();
    Some(note).filter(|note| !note.is_empty())
}

impl Reserved {
    /// Those of this client's project.
    pub fn new(client: &MetalClient) -> Self {
        Self {
            client: client.clone(),
            made: Mutex::default(),
            missing: Missing::default(),
        }
    }

    fn made(&self) -> MutexGuard<'_, HashMap<String, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the project's list shows.
    pub async fn list(&self) -> Result<Vec<Reservation>, CloudError> {
        self.client.reservations(Assignments::Links).await.map_err(|error| {
            let project = self.client.project();
            let text = format!("unable to retrieve IP reservations for project {project}");
            CloudError::new(error.class(), text).because(error)
        })
    }

    /// The list, and what the Service was given and the list does not show. Fails while that cannot be found out; that it
    /// may not be read says nothing. It is gone only when it was denied by its ID, and again some time later.
    pub async fn of(
        &self,
        running: &Running,
        names: &AddressNames,
        service: &Service,
    ) -> Result<Vec<Reservation>, CloudError> {
        let mut all = self.list().await?;
        let made = match self.made().get(&service.uid) {
            Some(Made::Reserved(id)) => Some(id.clone()),
            _ => None,
        };
        let noted = noted(service);
        let given = noted.filter(|id| *id != NONE);
        let other = made.as_deref().filter(|id| given != Some(*id));
        for id in given.into_iter().chain(other) {
            if all.iter().any(|one| one.id == id) {
                continue;
            }
            match self.client.reservation(id).await {
                Ok(reservation) if reservation.id == id => {
                    warn!(service = %service.key(), id, "the list of IP reservations lacks one that is there");
                    self.missing.forget(id);
                    all.push(reservation);
                }
                Ok(_) => {
                    let text = format!("the answer about the IP reservation {id} of the service is about nothing");
                    return Err(CloudError::new(Class::Transient, text));
                }
                Err(error) if error.is_not_found() => self.missing.is_gone("IP reservation", id)?,
                Err(error) => {
                    let text = format!("the IP reservation {id} of the service is in no list and could not be read");
                    return Err(CloudError::new(error.class(), text).because(error));
                }
            }
        }
        if noted.is_none()
            && made.is_none()
            && !is_asked_for_by_annotation(service)
            && let Some(address) = assigned(names, service)
            && !all
                .iter()
                .any(|one| address.parse().is_ok_and(|address| contains(one, address)))
        {
            let text = format!(
                "the service was given {address}, which no IP reservation shows: nothing is reserved or released for it \
                 until one does; if the address was released, remove the annotation {}",
                names.mark
            );
            running
                .recorder
                .warning(&service.reference(), "AddressInDoubt", text.clone());
            return Err(CloudError::pending(text, AGAIN));
        }
        Ok(all)
    }

    /// Fails while a reservation that was asked for, and whose answer was lost, may still show.
    pub fn without_doubt(&self, service: &Service) -> Result<(), CloudError> {
        let left = match self.made().get(&service.uid) {
            // Not nothing at all: asked again at once, nobody's time would pass.
            Some(Made::InDoubt(since)) => DOUBT.checked_sub(since.elapsed()).filter(|left| !left.is_zero()),
            _ => None,
        };
        let text = "the answer to a request for an IP reservation was lost; waiting whether it shows";
        left.map_or(Ok(()), |left| Err(CloudError::pending(text, left)))
    }

    /// Reserves for a Service. To be called [`Self::without_doubt`].
    pub async fn reserve(
        &self,
        running: &Running,
        service: &Service,
        request: &ReservationRequest,
    ) -> Result<Reservation, CloudError> {
        running.context.fence.check()?;
        let reserved = self.client.reserve(request).await.map_err(|error| {
            if error.is_ambiguous() {
                let doubt = Made::InDoubt(Instant::now());
                self.made().insert(service.uid.clone(), doubt);
            }
            CloudError::new(error.class(), "failed to request an IP for the load balancer").because(error)
        })?;
        let made = Made::Reserved(reserved.id.clone());
        self.made().insert(service.uid.clone(), made);
        Ok(reserved)
    }

    /// Releases a reservation.
    pub async fn release(&self, running: &Running, reservation: &Reservation) -> Result<(), CloudError> {
        running.context.fence.check()?;
        self.client.release(&reservation.id).await.map_err(|error| {
            let address = &reservation.address;
            let text = format!("failed to remove IP address reservation {address} from project");
            CloudError::new(error.class(), text).because(error)
        })
    }

    /// Forgets a Service that has no reservation any more.
    pub fn forget(&self, service: &Service) {
        self.made().remove(&service.uid);
        if let Some(id) = noted(service) {
            self.missing.forget(id);
        }
    }
}
