//! `roadstead sim`: a simulated cloud on this machine, for as long as the command runs.

mod certificate;
mod equinix_metal;
mod kubernetes;
mod phoenixnap;
mod place;
mod rackspace_spot;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use cloud_sim::BadState;
use kit::Clock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::place::Place;
use crate::failure::Failure;

/// Run a simulated cloud or API server on this machine.
///
/// Prints one line of JSON when it is ready (its address, its control address, and what a client needs), then serves until
/// it is stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to simulate.
    #[arg(value_enum)]
    name: Name,
    /// The loopback address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How fast its time runs: at 60, provisioning that takes five minutes takes five seconds.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Serve over TLS with a certificate of its own.
    #[arg(long)]
    tls: bool,
    /// Start from this state instead of the built-in one (the form of `GET /_sim/state`); kubernetes: and keep it there.
    #[arg(long, value_name = "FILE.json")]
    state: Option<PathBuf>,
    /// kubernetes: which of its controllers run: all, none, or some by name.
    #[arg(long, default_value = "all", value_name = "all|none|NAME,…")]
    controllers: String,
    /// kubernetes: where to write the kubeconfig, to stay there [default: a temporary file].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// Rackspace Spot: its API, login, auction and prices, and a Kubernetes API for each cluster.
    RackspaceSpot,
    /// Equinix Metal: devices, Elastic IPs, BGP and load balancers.
    EquinixMetal,
    /// PhoenixNAP Bare Metal Cloud: its login, servers, IP blocks, tags and networks.
    #[value(name = "phoenixnap")]
    PhoenixNap,
    /// A Kubernetes API server.
    Kubernetes,
}

/// Serves until the command is interrupted.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!("{} is not a loopback address", args.listen))
            .hint("simulators have no real security: they listen on 127.0.0.1 or [::1] only"));
    }
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(Failure::usage(format!(
            "--speed {} is not a positive number",
            args.speed
        )));
    }
    let state = args.state.as_deref().map(read_state).transpose()?;
    let clock = Clock::simulated(jiff::Timestamp::now(), args.speed);
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::other(&format!("listen on {}", args.listen), error))?;
    let (tls, seed) = (args.tls, args.seed);
    match args.name {
        Name::RackspaceSpot => rackspace_spot::run(seed, clock, state, Place::new(listener, tls, stop)?).await,
        Name::EquinixMetal => equinix_metal::run(seed, clock, state, Place::new(listener, tls, stop)?).await,
        Name::PhoenixNap => self::phoenixnap::run(seed, clock, state, Place::new(listener, tls, stop)?).await,
        Name::Kubernetes => kubernetes::run(&args, clock, listener, stop).await,
    }
}

fn refused(error: &BadState) -> Failure {
    Failure::usage(format!("the state makes no sense: {error}"))
}

fn read_state(path: &Path) -> Result<Value, Failure> {
    let failed = |why: String| Failure::usage(format!("cannot read the state from {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
