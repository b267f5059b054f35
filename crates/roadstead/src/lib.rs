//! The `roadstead` command: clusters through any cluster driver, simulated clouds, a demo and a doctor.
//!
//! It is wiring: each subcommand reads its arguments, calls the crate that does the work, and tells the outcome. Results
//! go to standard output (a table for people, JSON or YAML for machines), progress and logs to standard error, and the
//! exit code says what kind of failure it was ([`kit::exit`]).
//!
//! | subcommand | module | stands on |
//! |---|---|---|
//! | `engine` | [`engine`] | `kontainer-engine` and the drivers of [`drivers`] |
//! | `cluster` | [`cluster`] | `local-cluster` |
//! | `sim` | [`sim`] | `cloud-sim`, `kube-sim` and the providers' simulators |
//! | `demo` | [`demo`] | both of the above, on loopback |
//! | `doctor` | [`doctor`] | what is on this machine |

pub mod cli;
pub mod cluster;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod drivers;
pub mod engine;
pub mod failure;
pub mod sim;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs one command line and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // TLS connections find their crypto provider here; a second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse_from(engine::hoisted(args.into_iter().collect())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not failures; clap prints each to the right stream.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                kit::exit::USAGE
            } else {
                kit::exit::OK
            });
        }
    };
    logs(cli.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Failure::other("start the runtime", error)),
    };
    let stop = CancellationToken::new();
    let outcome = runtime.block_on(async {
        let work = run(cli.command, stop.clone());
        tokio::pin!(work);
        tokio::select! {
            outcome = &mut work => return outcome,
            () = interrupted() => stop.cancel(),
        }
        // The first signal asks for an end in order, the second one does not wait for it.
        tokio::select! {
            outcome = work => outcome,
            () = interrupted() => Err(Failure::interrupted()),
        }
    });
    // Whatever still runs in the background has been told to stop; do not wait for a blocked thread.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::from(kit::exit::OK),
        Err(failure) => failed(&failure),
    }
}

async fn run(command: Command, stop: CancellationToken) -> Result<(), Failure> {
    match command {
        Command::Engine(args) => engine::run(args, stop).await,
        Command::Cluster(args) => cluster::run(args, stop).await,
        Command::Sim(args) => sim::run(args, stop).await,
        Command::Demo(args) => demo::run(args, stop).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Completions { shell, drivers } => cli::completions(shell, &drivers, &stop).await,
    }
}

fn failed(failure: &Failure) -> ExitCode {
    console::complain(failure);
    ExitCode::from(failure.code)
}

/// Returns at Ctrl-C or a polite kill.
async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}

/// `RUST_LOG` wins; otherwise `-v` shows our own information, `-vv` details, `-vvv` everything. Without it only errors are
/// logged: what a driver warns of is part of the progress.
fn logs(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "info",
        2 => "info,kontainer_engine=debug,rackspace_spot=debug,cloud_http=debug,roadstead=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
