//! The command line.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::{cluster, demo, doctor, engine, sim};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 the command line or a file makes no sense, 3 not found, \
4 exists already or is in the wrong state, 5 a credential was refused, 6 not finished in time, 130 interrupted.";

/// Clouds for Kubernetes: clusters through cluster drivers and on this machine, simulated clouds, a demo.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Tell more on standard error; repeat for details (`RUST_LOG` wins).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, update and remove clusters through any cluster driver.
    Engine(engine::Args),
    /// Start, stop and look at a Kubernetes cluster on this machine, whatever runs it.
    Cluster(cluster::Args),
    /// Run a simulated cloud or API server on this machine.
    Sim(sim::Args),
    /// Watch a cluster come up, scale, upgrade and go, on a simulated cloud.
    Demo(demo::Args),
    /// Find out what is missing or wrong here, and what to do about it.
    Doctor(doctor::Args),
    /// Print a completion script for a shell.
    ///
    /// It knows the options of the built-in drivers. In bash: source <(roadstead completions bash).
    Completions {
        /// The shell.
        shell: Shell,
        /// Have the options of this driver in it, too, which is started to be asked; may be repeated.
        #[arg(short, long = "driver", value_name = "NAME|PATH")]
        drivers: Vec<String>,
    },
}

/// Prints the completion script, with the options of the built-in drivers and of these.
pub async fn completions(shell: Shell, more: &[String], stop: &CancellationToken) -> Result<(), Failure> {
    let mut drivers: Vec<String> = crate::drivers::builtin()?.names().map(str::to_owned).collect();
    drivers.extend_from_slice(more);
    let mut flags = Vec::new();
    for driver in &drivers {
        flags.push(engine::flags_of(driver, stop).await?);
    }
    let mut command = engine::with_flags(Cli::command(), flags);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "roadstead", &mut script);
    crate::console::text(String::from_utf8_lossy(&script))
}
