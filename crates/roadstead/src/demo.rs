//! `roadstead demo`: the main job, all of it, on loopback, in under a minute.
//!
//! A part shows one provider. It brings its own simulators, plays, and gives back what is printed at the end; with `--keep`
//! also what goes on running.

mod equinix_metal;
mod managed;
mod phoenixnap;
mod rackspace_spot;
mod simulated;

use std::any::Any;
use std::path::PathBuf;
use std::pin::Pin;

use clap::builder::PossibleValuesParser;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::failure::Failure;

/// Watch clusters on simulated clouds: one that comes up, scales, upgrades and goes, and those that are kept in step.
///
/// The simulated clouds run on loopback, sixty times as fast as the real ones. The real Rackspace Spot driver creates,
/// scales, upgrades and removes a cluster, asked over gRPC as Rancher asks it. The real controller managers of PhoenixNAP and
/// Equinix Metal initialise nodes, give a Service its address, and notice when a machine is switched off and given back.
/// Nothing leaves this machine, nothing is bought.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only this provider; may be repeated [default: all of them].
    #[arg(short, long = "provider", value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    providers: Vec<String>,
    /// Leave what was made running at the end and print how to look at it, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// One provider's part of the demo.
struct Part {
    /// What `--provider` calls it.
    name: &'static str,
    /// Plays it: the last act, in which everything goes, only without `keep`.
    play: fn(keep: Keep, stop: CancellationToken) -> Playing,
}

type Playing = Pin<Box<dyn Future<Output = Result<Played, Failure>> + Send>>;

/// Whether a part leaves running what it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

/// A part that was played.
struct Played {
    /// What is printed at the end.
    told: String,
    /// How to look at what is left running.
    kubeconfig: PathBuf,
    /// What runs, for as long as this lives.
    running: Box<dyn Any + Send>,
}

/// The parts in the order they are played. This is the place to add one.
const PARTS: [Part; 3] = [
    Part {
        name: "rackspace-spot",
        play: |keep, stop| Box::pin(rackspace_spot::play(keep, stop)),
    },
    Part {
        name: "phoenixnap",
        play: |keep, stop| Box::pin(phoenixnap::play(keep, stop)),
    },
    Part {
        name: "equinix-metal",
        play: |keep, stop| Box::pin(equinix_metal::play(keep, stop)),
    },
];

fn names() -> [&'static str; PARTS.len()] {
    PARTS.map(|part| part.name)
}

/// Plays the parts that were asked for, and tells at the end of each what happened.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    let keep = if args.keep { Keep::Yes } else { Keep::No };
    let mut kept = Vec::new();
    let wanted = |part: &Part| args.providers.is_empty() || args.providers.iter().any(|name| name == part.name);
    for part in PARTS.into_iter().filter(wanted) {
        let Played {
            told,
            kubeconfig,
            running,
        } = (part.play)(keep, stop.clone()).await?;
        console::text(told)?;
        if keep == Keep::Yes {
            kept.push((part.name, kubeconfig, running));
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    console::line("Look around from another terminal; Ctrl-C here ends everything.\n")?;
    for (name, kubeconfig, _) in &kept {
        console::line(format!(
            "  # {name}\n  export KUBECONFIG={}\n  kubectl get nodes\n",
            kubeconfig.display()
        ))?;
    }
    stop.cancelled().await;
    Ok(())
}
