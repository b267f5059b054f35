//! `roadstead sim phoenixnap`.

use kit::Clock;
use phoenixnap_sim::{CLIENT_ID, CLIENT_SECRET, Kind, PhoenixNapSim, Settings, TOKEN_PATH};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use super::{Args, ready, url};
use crate::failure::Failure;

/// Serves a simulated PhoenixNAP. It begins with a public network, and the ready line has a config file for a controller
/// manager that uses it; with a state of the caller's, only what that state has.
pub(super) async fn run(
    args: &Args,
    clock: Clock,
    state: Option<Value>,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let sim = PhoenixNapSim::seeded(clock, Settings::default(), args.seed);
    let tls = args.tls.then(Certificate::for_loopback).transpose()?;
    let url = url(&listener, args.tls)?;
    let mut config = json!({
        "clientID": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "base-url": url,
        "token-url": format!("{url}{TOKEN_PATH}"),
    });
    let refused = |error| Failure::usage(format!("the state makes no sense: {error}"));
    if let Some(state) = state {
        sim.replace(state).map_err(refused)?;
    } else {
        let network = sim
            .add(Kind::PublicNetwork, json!({"name": "services"}))
            .map_err(refused)?;
        config["location"] = "ASH".into();
        config["loadbalancer"] = format!("kube-vip://{network}").into();
    }
    ready(&json!({
        "sim": "phoenixnap",
        "url": url,
        "control": format!("{url}/_sim"),
        "config": config,
        "ca": tls.as_ref().map(|tls| &tls.pem),
    }))?;
    let served = match tls {
        Some(tls) => sim.serve_tls(listener, tls.config, stop).await,
        None => sim.serve(listener, stop).await,
    };
    served.map_err(|error| Failure::other("serve", error))
}
