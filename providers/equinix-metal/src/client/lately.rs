//! The project's reservations as they were a moment ago, and what this process did to them since.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_provider::fresh::Fresh;
use tokio::time::Instant;

use super::{MetalError, MetalResult, Reservation};

/// How old a list may be. Services that are looked after at the same time share one.
const AGE: Duration = Duration::from_secs(3);
/// How long a list may take to show what was done: longer than any request, and than lists are behind.
const LATE: Duration = Duration::from_mins(2);

/// The last list, and what it may not show yet.
#[derive(Default)]
pub(super) struct Lately {
    list: Fresh<Vec<Reservation>, MetalError>,
    done: Mutex<Vec<(Instant, Done)>>,
}

/// What this process did.
enum Done {
    Reserved(Reservation),
    Released(String),
}

impl Lately {
    /// The reservations. Asks if nobody did a moment ago.
    pub(super) async fn get(
        &self,
        ask: impl Future<Output = MetalResult<Vec<Reservation>>>,
    ) -> MetalResult<Vec<Reservation>> {
        let mut all = Vec::clone(&*self.list.get(AGE, ask).await?);
        for (_, done) in self.done().iter() {
            match done {
                Done::Reserved(made) if all.iter().all(|one| one.id != made.id) => all.push(made.clone()),
                Done::Reserved(_) => {}
                Done::Released(id) => all.retain(|one| one.id != *id),
            }
        }
        Ok(all)
    }

    pub(super) fn reserved(&self, reservation: &Reservation) {
        self.done().push((Instant::now(), Done::Reserved(reservation.clone())));
    }

    pub(super) fn released(&self, id: &str) {
        self.done().push((Instant::now(), Done::Released(id.to_owned())));
    }

    /// What was done lately, in order.
    fn done(&self) -> MutexGuard<'_, Vec<(Instant, Done)>> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.retain(|(at, _)| at.elapsed() < LATE);
        done
    }
}
