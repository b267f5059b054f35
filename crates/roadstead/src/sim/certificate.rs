//! A certificate for a simulator on loopback.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::failure::Failure;

/// TLS with a certificate that signed itself, for 127.0.0.1, ::1 and localhost.
pub(super) struct Certificate {
    /// What the server needs.
    pub(super) config: Arc<ServerConfig>,
    /// What a client must trust.
    pub(super) pem: String,
}

impl Certificate {
    pub(super) fn for_loopback() -> Result<Self, Failure> {
        let hosts = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let own =
            rcgen::generate_simple_self_signed(hosts).map_err(|error| Failure::other("make a certificate", error))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![own.cert.der().clone()], key)
            })
            .map_err(|error| Failure::other("set up TLS", error))?;
        Ok(Self {
            config: Arc::new(config),
            pem: own.cert.pem(),
        })
    }
}
