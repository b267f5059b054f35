//! `roadstead demo`: the main job, all of it, on loopback, in under a minute.

mod stage;
mod story;

use tokio_util::sync::CancellationToken;

use crate::console;
use crate::failure::Failure;

/// Watch a cluster come up, scale, upgrade and go, on a simulated cloud.
///
/// A simulated Rackspace Spot runs on loopback, sixty times as fast as the real one. The real driver creates, scales,
/// upgrades and removes a cluster there, asked over gRPC as Rancher asks it. Nothing leaves this machine, nothing is bought.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the cluster running at the end and print how to look at it, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Plays it.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    let stage = stage::Stage::set(stop.clone()).await?;
    let told = story::play(&stage, args.keep).await?;
    console::text(told)?;
    if args.keep {
        console::line(format!(
            "The cluster is running. Look at it from another terminal:\n\n  export KUBECONFIG={}\n  kubectl get nodes\n\nCtrl-C ends it.",
            stage.kubeconfig().display()
        ))?;
        stop.cancelled().await;
    }
    Ok(())
}
