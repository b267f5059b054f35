//! Whom a TLS connection trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::TransportError;

/// Where Rancher puts certificates inside the jail that drivers run in; the usual places do not exist there.
const EXTRA_FILES: [&str; 3] = [
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/ca-additional.pem",
    "/etc/ssl/cacerts.pem",
];

/// Whom to trust.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The machine's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` honoured) and Rancher's extra files where present.
    System,
    /// These certificates only, as PEM text.
    Pem(Vec<u8>),
    /// Anybody. Only for a server whose certificate cannot be known yet, and only when a person said so.
    Anybody,
}

pub(super) fn client_config(roots: &Roots) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TransportError::Tls)?;
    let builder = match roots {
        Roots::System => builder.with_root_certificates(system()),
        Roots::Pem(pem) => builder.with_root_certificates(from_pem(pem)?),
        Roots::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAnybody::new(&provider))),
    };
    Ok(builder.with_no_client_auth())
}

fn system() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "some of the machine's certificates cannot be read");
    }
    store.add_parsable_certificates(native.certs);
    for file in EXTRA_FILES.iter().map(Path::new).filter(|file| file.exists()) {
        add_file(&mut store, file);
    }
    if store.is_empty() {
        // Not an error here: a plain http endpoint needs none.
        tracing::warn!("no trusted certificates on this machine: every https connection will be refused");
    }
    store
}

fn add_file(store: &mut RootCertStore, file: &Path) {
    match CertificateDer::pem_file_iter(file) {
        Ok(certificates) => {
            store.add_parsable_certificates(certificates.filter_map(Result::ok));
        }
        Err(error) => tracing::warn!(file = %file.display(), %error, "trusted certificates cannot be read"),
    }
}

fn from_pem(pem: &[u8]) -> Result<RootCertStore, TransportError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store
            .add(certificate.map_err(TransportError::Roots)?)
            .map_err(TransportError::Tls)?;
    }
    if store.is_empty() {
        return Err(TransportError::NoRoots);
    }
    Ok(store)
}

/// Accepts every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct TrustAnybody(WebPkiSupportedAlgorithms);

impl TrustAnybody {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
