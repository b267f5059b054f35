//! `roadstead sim equinix-metal`.

use equinix_metal_sim::{API_KEY, MetalSim, PROJECT_ID, Settings};
use kit::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::{Args, ready, url};
use crate::failure::Failure;

/// Serves a simulated Equinix Metal. The ready line has a config file for a controller manager that uses it.
pub(super) async fn run(
    args: &Args,
    clock: Clock,
    state: Option<Value>,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let sim = MetalSim::seeded(clock, Settings::default(), args.seed);
    if let Some(state) = state {
        sim.replace(state)
            .map_err(|error| Failure::usage(format!("the state makes no sense: {error}")))?;
    }
    let tls = args.tls.then(Certificate::for_loopback).transpose()?;
    let url = url(&listener, args.tls)?;
    ready(&json!({
        "sim": "equinix-metal",
        "url": url,
        "control": format!("{url}/_sim"),
        "config": {
            "apiKey": API_KEY,
            "projectID": PROJECT_ID,
            "base-url": format!("{url}/metal/v1"),
            "metro": "da",
            "loadbalancer": "kube-vip://",
        },
        "ca": tls.as_ref().map(|tls| &tls.pem),
    }))?;
    let served = match tls {
        Some(tls) => sim.serve_tls(listener, tls.config, stop).await,
        None => sim.serve(listener, stop).await,
    };
    served.map_err(|error| Failure::other("serve", error))
}
