//! HTTPS on the secure port: a given certificate, one kept in a directory, or one made up on the spot.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::RootCertStore;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};
use x509_parser::prelude::FromDer as _;

use super::auth::{Certified, Proxied, User};
use super::flags::Parsed;

pub(super) mod certificates;
mod listen;

use certificates::Certificates;
pub(crate) use listen::listen;

/// How long a client may take to greet.
const HANDSHAKE: Duration = Duration::from_secs(32);
/// How long answers under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// The names of the files in `--cert-dir`.
const FILES: [&str; 2] = ["cloud-controller-manager.crt", "cloud-controller-manager.key"];

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or not ours.
    #[error("failed to create listener: failed to listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A file with certificates or a key cannot be used.
    #[error("cannot read {0}")]
    Pem(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The certificate made could not be kept.
    #[error("cannot write {0}")]
    Keep(PathBuf, #[source] io::Error),
    /// The flag makes no sense.
    #[error("--tls-sni-cert-key {0:?} is not of the form CERT,KEY[:NAME,...]")]
    Sni(String),
    /// Certificate and key do not go together.
    #[error("cannot use the certificate")]
    Tls(#[source] rustls::Error),
    /// The authorities for client certificates are none.
    #[error("cannot use the authorities for client certificates")]
    Clients(#[source] rustls::server::VerifierBuilderError),
}

type Verifier = Arc<dyn ClientCertVerifier>;

/// The authorities that the cluster names, as PEM, for what no flag says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorities {
    pub clients: Option<String>,
    pub proxies: Option<String>,
}

/// What TLS takes, and whose certificates mean what.
pub(crate) struct Tls {
    config: Arc<rustls::ServerConfig>,
    people: Option<Verifier>,
    proxies: Option<Verifier>,
}

/// What TLS takes, from the flags and the cluster.
pub(crate) fn tls(parsed: &Parsed, bind: IpAddr, cluster: &Authorities) -> Result<Tls, ServeError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = certificate(parsed, bind)?;
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
        roots.add_parsable_certificates(certificates(&path)?);
    } else if let Some(pem) = cluster {
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
    }
    Ok(roots)
}

impl Tls {
    /// Who the certificates of a connection say is there: somebody, a proxy, or both where one authority does both.
    fn peer(&self, chain: &[CertificateDer<'_>]) -> (Option<Certified>, Option<Proxied>) {
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

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn certificate(parsed: &Parsed, bind: IpAddr) -> Result<Pair, ServeError> {
    if let (Some(cert), Some(key)) = (
        parsed.optional("tls-cert-file"),
        parsed.optional("tls-private-key-file"),
    ) {
        return read(Path::new(&cert), Path::new(&key));
    }
    let kept = parsed
        .optional("cert-dir")
        .map(|dir| FILES.map(|file| Path::new(&dir).join(file)));
    if let Some([cert, key]) = &kept
        && cert.exists()
        && key.exists()
    {
        return read(cert, key);
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    if !bind.is_unspecified() {
        names.push(bind.to_string());
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(ServeError::Make)?;
    if let Some([cert, key]) = &kept {
        let keep = |path: &PathBuf, text: String| {
            kit::fs::write_private(path, text.as_bytes()).map_err(|error| ServeError::Keep(path.clone(), error))
        };
        if let Some(dir) = cert.parent() {
            kit::fs::create_private_dir(dir).map_err(|error| ServeError::Keep(dir.to_owned(), error))?;
        }
        keep(cert, made.cert.pem())?;
        keep(key, made.signing_key.serialize_pem())?;
    }
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.der().clone()], key))
}

fn read(cert: &Path, key: &Path) -> Result<Pair, ServeError> {
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| ServeError::Pem(key.to_owned(), error))?;
    Ok((certificates(cert)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let broken = |error| ServeError::Pem(path.to_owned(), error);
    CertificateDer::pem_file_iter(path)
        .map_err(broken)?
        .collect::<Result<_, _>>()
        .map_err(broken)
}

/// Where TLS is read anew from, and how often: certificates are renewed while the process runs.
pub(crate) struct Reload {
    pub every: Duration,
    pub read: Box<dyn Fn() -> Result<Tls, ServeError> + Send + Sync>,
}

/// Whether certificates are in files that somebody may renew.
pub(crate) fn is_in_files(parsed: &Parsed) -> bool {
    // One that is made up on the spot would be another one each time.
    parsed.optional("tls-cert-file").is_some() || parsed.optional("cert-dir").is_some()
}

/// Serves until `stop` is cancelled, and a little longer to those who are being answered.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Tls,
    reload: Option<Reload>,
    router: Router,
    stop: CancellationToken,
) {
    let mut tls = Arc::new(tls);
    let connections = TaskTracker::new();
    let every = reload.as_ref().map_or(Duration::from_hours(24), |reload| reload.every);
    let mut renewal = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            _ = renewal.tick() => {
                match reload.as_ref().map(|reload| (reload.read)()) {
                    Some(Ok(fresh)) => tls = Arc::new(fresh),
                    // Half written, most likely: the old ones serve until the next look.
                    Some(Err(error)) => warn!(error = %kit::chain(&error), "cannot read the certificates again"),
                    None => {}
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: some will be closed.
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(Arc::clone(&tls), stream, router.clone(), stop.clone()));
    }
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

async fn connection(tls: Arc<Tls>, stream: TcpStream, router: Router, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "TLS handshake failed"),
        Err(_) => return,
    };
    let (certified, proxied) = tls.peer(stream.get_ref().1.peer_certificates().unwrap_or_default());
    let service = router.map_request(move |request: axum::http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(certified) = &certified {
            request.extensions_mut().insert(certified.clone());
        }
        if let Some(proxied) = &proxied {
            request.extensions_mut().insert(proxied.clone());
        }
        request
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        _ = served.as_mut() => {}
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
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

#[cfg(test)]
mod tests;
