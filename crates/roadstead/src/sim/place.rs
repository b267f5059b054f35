//! Where a simulated cloud is served.

use std::sync::Arc;

use axum::Router;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::certificate::Certificate;
use crate::console;
use crate::failure::Failure;

/// A socket on loopback, with TLS or without, until it is stopped.
pub(super) struct Place {
    pub(super) url: String,
    pub(super) stop: CancellationToken,
    listener: TcpListener,
    tls: Option<Certificate>,
}

impl Place {
    pub(super) fn new(listener: TcpListener, tls: bool, stop: CancellationToken) -> Result<Self, Failure> {
        Ok(Self {
            url: url(&listener, tls)?,
            stop,
            listener,
            tls: tls.then(Certificate::for_loopback).transpose()?,
        })
    }

    /// Says that it is ready, with what a client needs beyond the address, and serves.
    pub(super) async fn serve(self, name: &str, needs: Value, router: Router) -> Result<(), Failure> {
        let mut line = json!({"sim": name, "url": self.url, "control": format!("{}/_sim", self.url)});
        if let (Value::Object(line), Value::Object(needs)) = (&mut line, needs) {
            line.extend(needs);
        }
        line["ca"] = self.tls.as_ref().map(|tls| tls.pem.clone()).into();
        ready(&line)?;
        let served = match self.tls {
            Some(tls) => cloud_sim::serve_tls(router, self.listener, Arc::clone(&tls.config), self.stop).await,
            None => cloud_sim::serve(router, self.listener, self.stop).await,
        };
        served.map_err(|error| Failure::other("serve", error))
    }
}

pub(super) fn url(listener: &TcpListener, tls: bool) -> Result<String, Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::other("read the listening address", error))?;
    Ok(format!("{}://{address}", if tls { "https" } else { "http" }))
}

/// The one line that says it is ready. Members without a value are left out.
pub(super) fn ready(line: &Value) -> Result<(), Failure> {
    let members = line
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let line: Map<String, Value> = members.map(|(key, value)| (key.clone(), value.clone())).collect();
    console::line(Value::Object(line).to_string())
}
