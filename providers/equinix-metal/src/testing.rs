//! What unit tests share.

use cloud_http::Transport;
use equinix_metal_sim::{API_HOST, API_KEY, MetalSim, PROJECT_ID};

use crate::client::{ClientSettings, MetalClient};

/// A client of the simulated project.
pub(crate) fn client(sim: &MetalSim) -> MetalClient {
    let settings = ClientSettings {
        base_url: format!("https://{API_HOST}/metal/v1"),
        emlb_url: format!("https://{API_HOST}"),
        exchange_url: format!("https://{API_HOST}/api-keys/exchange"),
        api_key: API_KEY.into(),
        project: PROJECT_ID.to_owned(),
        transport: Some(Transport::from_service(sim.network())),
        clock: sim.clock().clone(),
    };
    MetalClient::new(&settings).unwrap()
}
