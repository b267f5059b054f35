//! The command line.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::{cluster, demo, doctor, engine, sim};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 the command line or a file makes no sense, 3 not found, 4 exists already or is in the
wrong state, 5 a credential was refused, 6 not finished in time, 130 interrupted.";

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
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Prints the completion script. The flags of the built-in drivers are part of it.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut command = engine::with_builtin_flags(Cli::command());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "roadstead", &mut script);
    crate::console::text(String::from_utf8_lossy(&script))
}
