//! Asking an API server whether it is healthy.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use cloud_http::{Proxy, Roots, Transport, TransportError, TransportOptions};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt as _;
use tracing::debug;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks for `/healthz`. Clones share connections.
///
/// Certificates are not checked: an API server need not have one for the addresses it is asked at, and nothing secret is
/// said.
#[derive(Clone, Debug)]
pub struct Prober(Transport);

impl Prober {
    /// Over the network.
    pub fn network() -> Result<Self, TransportError> {
        Transport::network(&TransportOptions {
            roots: Roots::Anybody,
            connect_timeout: DEADLINE,
            // A connection that is kept would be asked although the address has moved on.
            max_idle: 0,
            proxy: Proxy::Never,
            ..TransportOptions::default()
        })
        .map(Self)
    }

    /// Over any other way.
    pub fn over(transport: Transport) -> Self {
        Self(transport)
    }

    /// Whether somebody answers there that he is healthy.
    pub async fn is_healthy(&self, address: IpAddr, port: u16) -> bool {
        let url = format!("https://{}/healthz", std::net::SocketAddr::new(address, port));
        let Ok(request) = Request::get(&url).body(Full::new(Bytes::new())) else {
            return false;
        };
        match tokio::time::timeout(DEADLINE, self.0.clone().oneshot(request)).await {
            Ok(Ok(answer)) => {
                debug!(url, status = %answer.status(), "probed");
                answer.status() == StatusCode::OK
            }
            Ok(Err(error)) => {
                debug!(url, "probed: {}", kit::chain(&*error));
                false
            }
            Err(_) => {
                debug!(url, "probed: no answer");
                false
            }
        }
    }
}
