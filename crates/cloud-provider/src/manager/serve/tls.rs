//! TLS of the secure port: what is spoken, what is shown, and who the other side is.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::FromDer as _;

use super::ServeError;
use super::certificates::{self, Certificates, Own, Pair};
use crate::manager::auth::{Certified, Proxied, User};
use crate::manager::flags::Parsed;
use crate::manager::trust::Authorities;

type Verifier = Arc<dyn ClientCertVerifier>;

/// What TLS takes, and whose certificates mean what.
pub(crate) struct Tls {
    pub config: Arc<rustls::ServerConfig>,
    people: Option<Verifier>,
    proxies: Option<Verifier>,
}

/// Where TLS comes from: the flags, the files they name, and the cluster.
pub(crate) struct Source {
    flags: Parsed,
    own: Own,
}

impl Source {
    /// What these flags name; the server is reached at `bind`.
    pub fn new(flags: &Parsed, bind: IpAddr) -> Self {
        Self {
            flags: flags.clone(),
            own: Own::new(flags, bind),
        }
    }

    /// What is there now, with these authorities of the cluster.
    pub fn read(&self, cluster: &Authorities) -> Result<Tls, ServeError> {
        tls(&self.flags, self.own.read()?, cluster)
    }
}

fn tls(parsed: &Parsed, own: Pair, cluster: &Authorities) -> Result<Tls, ServeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = Certificates::new(own, &parsed.list("tls-sni-cert-key"), &provider)?;
    let versions: &[&rustls::SupportedProtocolVersion] = match parsed.text("tls-min-version").as_str() {
        "VersionTLS13" => &[&rustls::version::TLS13],
        _ => rustls::ALL_VERSIONS,
    };
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(ServeError::Tls)?;
    let people = roots(parsed, "client-ca-file", cluster.clients.as_deref())?;
    let proxies = roots(parsed, "requestheader-client-ca-file", cluster.proxies.as_deref())?;
    let verifier = |roots: &RootCertStore| -> Result<Option<Verifier>, ServeError> {
        if roots.is_empty() {
            return Ok(None);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(&provider));
        let built = builder.allow_unauthenticated().build().map_err(ServeError::Clients)?;
        Ok(Some(built))
    };
    let mut all = people.clone();
    all.roots.extend(proxies.roots.iter().cloned());
    let builder = match verifier(&all)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    let http2 = !parsed.bool("disable-http2-serving");
    config.alpn_protocols = if http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(Tls {
        config: Arc::new(config),
        people: verifier(&people)?,
        proxies: verifier(&proxies)?,
    })
}

/// The authorities in the file that a flag names, or else in what the cluster says.
fn roots(parsed: &Parsed, flag: &str, cluster: Option<&str>) -> Result<RootCertStore, ServeError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = parsed.optional(flag).map(PathBuf::from) {
        roots.add_parsable_certificates(certificates::read_chain(&path)?);
    } else if let Some(pem) = cluster {
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
    }
    Ok(roots)
}

impl Tls {
    /// Who the certificates of a connection say is there: somebody, a proxy, or both where one authority does both.
    pub fn peer(&self, chain: &[CertificateDer<'_>]) -> (Option<Certified>, Option<Proxied>) {
        let Some((first, rest)) = chain.split_first() else {
            return (None, None);
        };
        let vouches = |verifier: &Option<Verifier>| {
            verifier
                .as_ref()
                .is_some_and(|verifier| verifier.verify_client_cert(first, rest, UnixTime::now()).is_ok())
        };
        let Some(user) = user(first) else { return (None, None) };
        let proxied = vouches(&self.proxies).then(|| Proxied(user.name.clone()));
        (vouches(&self.people).then_some(Certified(user)), proxied)
    }
}

/// Who a verified client certificate says its owner is: the common name, and the organizations as groups.
fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let mut groups: Vec<String> = parsed
        .subject()
        .iter_organization()
        .filter_map(|group| group.as_str().ok())
        .map(str::to_owned)
        .collect();
    groups.push("system:authenticated".to_owned());
    Some(User { name, groups })
}
