//! A cluster on a simulated Rackspace Spot, made and removed by the real driver.

mod stage;
mod story;

use tokio_util::sync::CancellationToken;

use super::{Keep, Played};
use crate::failure::Failure;

/// Plays it on a stage of its own.
pub(super) async fn play(keep: Keep, stop: CancellationToken) -> Result<Played, Failure> {
    let stage = stage::Stage::set(stop).await?;
    let told = story::play(&stage, keep).await?;
    Ok(Played {
        told,
        kubeconfig: stage.kubeconfig(),
        running: Box::new(stage),
    })
}
