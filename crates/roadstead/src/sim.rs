//! `roadstead sim`: a simulated cloud on this machine, for as long as the command runs.

mod certificate;
mod equinix_metal;
mod kubernetes;
mod phoenixnap;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use kit::Clock;
use rackspace_spot_sim::{Settings, SpotSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::certificate::Certificate;
use crate::console;
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
    match args.name {
        Name::RackspaceSpot => rackspace_spot(&args, clock, state, listener, stop).await,
        Name::EquinixMetal => equinix_metal::run(&args, clock, state, listener, stop).await,
        Name::PhoenixNap => self::phoenixnap::run(&args, clock, state, listener, stop).await,
        Name::Kubernetes => kubernetes::run(&args, clock, listener, stop).await,
    }
}

async fn rackspace_spot(
    args: &Args,
    clock: Clock,
    state: Option<Value>,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let sim = SpotSim::seeded(clock, Settings::default(), args.seed);
    if let Some(state) = state {
        sim.replace(state)
            .map_err(|error| Failure::usage(format!("the state makes no sense: {error}")))?;
    }
    let tls = args.tls.then(Certificate::for_loopback).transpose()?;
    let url = url(&listener, args.tls)?;
    ready(&json!({
        "sim": "rackspace-spot",
        "url": url,
        "control": format!("{url}/_sim"),
        "organization": "acme",
        "refreshToken": rackspace_spot_sim::ACME_TOKEN,
        "ca": tls.as_ref().map(|tls| &tls.pem),
    }))?;
    let served = match tls {
        Some(tls) => sim.serve_tls(listener, tls.config, stop).await,
        None => sim.serve(listener, stop).await,
    };
    served.map_err(|error| Failure::other("serve", error))
}

fn read_state(path: &Path) -> Result<Value, Failure> {
    let failed = |why: String| Failure::usage(format!("cannot read the state from {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

fn url(listener: &TcpListener, tls: bool) -> Result<String, Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::other("read the listening address", error))?;
    Ok(format!("{}://{address}", if tls { "https" } else { "http" }))
}

/// The one line that says it is ready. Members without a value are left out.
fn ready(line: &Value) -> Result<(), Failure> {
    let members = line
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let line: serde_json::Map<String, Value> = members.map(|(key, value)| (key.clone(), value.clone())).collect();
    console::line(Value::Object(line).to_string())
}
