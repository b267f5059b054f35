//! Whom a TLS connection trusts.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
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
    let whom = match roots {
        Roots::Pem(pem) => return Ok(builder.with_root_certificates(from_pem(pem)?).with_no_client_auth()),
        Roots::System => Whom::System(OnceLock::new()),
        Roots::Anybody => Whom::Anybody,
    };
    let verifier = Arc::new(Verifier { provider, whom });
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn system() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates());
    store
}

/// The certificates, as DER, that [`Roots::System`] trusts. What cannot be read is left out and logged.
pub fn system_certificates() -> Vec<Vec<u8>> {
    certificates().iter().map(|certificate| certificate.to_vec()).collect()
}

fn certificates() -> Vec<CertificateDer<'static>> {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "some of the machine's certificates cannot be read");
    }
    let mut certificates = native.certs;
    for file in EXTRA_FILES.iter().map(Path::new).filter(|file| file.exists()) {
        add_file(&mut certificates, file);
    }
    certificates
}

fn add_file(certificates: &mut Vec<CertificateDer<'static>>, file: &Path) {
    match CertificateDer::pem_file_iter(file) {
        Ok(more) => certificates.extend(more.filter_map(Result::ok)),
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

/// Checks that the server holds the key of its certificate, and the certificate itself unless anybody will do.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    whom: Whom,
}

#[derive(Debug)]
enum Whom {
    Anybody,
    /// The machine's certificates, read at the first handshake: reading hundreds of files at the start of a program that
    /// may never open a connection costs more than all the rest of its start.
    System(OnceLock<Result<Arc<WebPkiServerVerifier>, rustls::Error>>),
}

impl Verifier {
    fn system(&self) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let store = Arc::new(system());
        if store.is_empty() {
            return Err(rustls::Error::General(
                "no trusted certificates on this machine; install ca-certificates or set SSL_CERT_FILE".to_owned(),
            ));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(store, self.provider.clone()).build();
        verifier.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.whom {
            Whom::Anybody => Ok(ServerCertVerified::assertion()),
            Whom::System(loaded) => {
                let system = loaded.get_or_init(|| self.system()).as_ref().map_err(Clone::clone)?;
                system.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
