//! A cluster on rented machines, kept in step with its provider by a controller manager.

mod stage;
mod story;

use std::sync::Arc;

use cloud_provider::Cloud;
use cloud_sim::Front;
use tokio_util::sync::CancellationToken;

use super::{Keep, Played};
use crate::failure::Failure;

/// A simulated provider, as the story needs it.
pub(super) trait Rental: Send + Sync + 'static {
    /// What people call it.
    const TITLE: &'static str;
    /// Its name on the command line of the manager.
    const NAME: &'static str;
    /// What addresses come in: one of them, and several.
    const ADDRESSES: [&'static str; 2];

    /// The requests it got.
    fn front(&self) -> &Front;
    /// The real provider, pointed at the simulated one.
    fn cloud(&self) -> Result<Arc<dyn Cloud>, Failure>;
    /// Rents a machine of this name: its id.
    fn rent(&self, name: &str) -> Result<String, Failure>;
    /// Switches a machine off.
    fn switch_off(&self, id: &str) -> Result<(), Failure>;
    /// Gives a machine back.
    fn give_back(&self, id: &str) -> Result<(), Failure>;
    /// How many addresses, as [`Rental::ADDRESSES`], were bought and not given back.
    fn addresses(&self) -> usize;
}

/// Plays it with this provider.
pub(super) async fn play<R: Rental>(rental: R, keep: Keep, stop: CancellationToken) -> Result<Played, Failure> {
    let stage = stage::Stage::set(rental, stop).await?;
    let told = story::play(&stage, keep).await?;
    Ok(Played {
        told,
        kubeconfig: stage.kubeconfig(),
        running: Box::new(stage),
    })
}
