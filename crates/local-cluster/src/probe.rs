//! Whether an API server takes work.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use kube_kit::kubeconfig::Access;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A list of nodes may be long; nothing else we ask for is.
const MOST_BODY: usize = 32 * 1024 * 1024;

/// What an API server said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Its version; empty when it did not say.
    pub(crate) version: String,
    /// Why it does not take work, as far as it is its own fault; `None` when it is ready.
    pub(crate) trouble: Option<String>,
    /// Whether anything answered at all.
    pub(crate) reached: bool,
    ready_nodes: usize,
    /// What is wrong with nodes that are there.
    node_trouble: Option<String>,
}

impl Report {
    /// Why the cluster, which should have so many nodes, does not take work; `None` when it does.
    pub(crate) fn trouble(&self, nodes: usize) -> Option<String> {
        if self.trouble.is_some() || nodes == 0 {
            return self.trouble.clone();
        }
        if self.node_trouble.is_some() {
            return self.node_trouble.clone();
        }
        (self.ready_nodes < nodes).then(|| format!("{} of {nodes} nodes are ready", self.ready_nodes))
    }
}

/// Asks for readiness, version and nodes, all at once, with the credentials of the kubeconfig.
pub(crate) async fn probe(access: &Access, limit: Duration) -> Report {
    let target = match Target::of(access) {
        Ok(target) => target,
        Err(trouble) => {
            return Report {
                trouble: Some(trouble),
                ..Report::default()
            };
        }
    };
    let ask = |path| {
        let target = &target;
        // Three connections' buffers are much for one future.
        Box::pin(async move {
            tokio::time::timeout(limit, target.get(path)).await.unwrap_or_else(|_| {
                Err(format!(
                    "the API server does not answer within {}",
                    kit::go_duration::format(limit)
                ))
            })
        })
    };
    let (readyz, version, nodes) =
        tokio::join!(ask("/readyz?verbose"), ask("/version"), ask("/api/v1/nodes?limit=500"));
    let mut report = Report {
        reached: readyz.is_ok() || version.is_ok(),
        ..Report::default()
    };
    report.trouble = match readyz {
        Ok((StatusCode::OK, _)) => None,
        Ok((status, body)) => Some(not_ready(status, &body)),
        Err(error) => Some(error),
    };
    if let Ok((StatusCode::OK, body)) = version {
        report.version = serde_json::from_slice(&body)
            .map(|version: Version| version.git_version)
            .unwrap_or_default();
    }
    match nodes {
        Ok((StatusCode::OK, body)) => report.count(&body),
        Ok((status, _)) => report.node_trouble = Some(format!("the nodes cannot be listed ({status})")),
        Err(error) => report.node_trouble = Some(error),
    }
    report
}

/// The checks that failed, by name, out of the verbose form of `/readyz`.
fn not_ready(status: StatusCode, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let failed: Vec<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if failed.is_empty() {
        format!("the API server is not ready ({status})")
    } else {
        format!("the API server is not ready: {}", failed.join(", "))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(Deserialize)]
struct Nodes {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Named,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Report {
    fn count(&mut self, body: &[u8]) {
        let Ok(nodes) = serde_json::from_slice::<Nodes>(body) else {
            self.node_trouble = Some("the list of nodes cannot be read".to_owned());
            return;
        };
        for node in nodes.items {
            let ready = node.status.conditions.iter().find(|one| one.r#type == "Ready");
            match ready.map(|one| one.status.as_str()) {
                Some("True") => self.ready_nodes += 1,
                other => {
                    let what = other.unwrap_or("not told");
                    self.node_trouble = Some(format!("node {} is not ready (Ready is {what})", node.metadata.name));
                }
            }
        }
    }
}

/// An API server and how to reach it.
struct Target {
    server: Uri,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token: Option<String>,
}

impl Target {
    fn of(access: &Access) -> Result<Self, String> {
        let server: Uri = access
            .server
            .parse()
            .map_err(|_| format!("{:?} is no URL", access.server))?;
        let host = server
            .host()
            .ok_or_else(|| format!("{:?} names no host", access.server))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = server.scheme_str() != Some("http");
        let tls = if secure {
            let name = access.tls_server_name.clone().unwrap_or_else(|| host.clone());
            let name = ServerName::try_from(name).map_err(|_| format!("{host:?} is no host name"))?;
            Some((TlsConnector::from(Arc::new(tls(access)?)), name))
        } else {
            None
        };
        let port = server.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let token = access.token.as_ref().map(|token| token.expose_secret().to_owned());
        Ok(Self {
            server,
            host,
            port,
            tls,
            token,
        })
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        // Straight to the address: a proxy has no business between us and a cluster on this machine.
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("the API server does not take connections: {error}"))?;
        let _ = tcp.set_nodelay(true);
        match &self.tls {
            Some((connector, name)) => {
                let stream = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| format!("the API server's TLS is not what the kubeconfig says: {error}"))?;
                self.exchange(stream, path).await
            }
            None => self.exchange(tcp, path).await,
        }
    }

    async fn exchange<S>(&self, stream: S, path: &str) -> Result<(StatusCode, Bytes), String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = |error: &dyn std::fmt::Display| format!("the API server breaks off: {error}");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let base = self.server.path().trim_end_matches('/');
        let authority = self
            .server
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .unwrap_or_default();
        let mut request = Request::get(format!("{base}{path}")).header(header::HOST, authority);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| broken(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BODY)
                .collect()
                .await
                .map_err(|error| broken(&error))?;
            Ok((status, body.to_bytes()))
        };
        // The connection is driven here, so that dropping this future closes it.
        tokio::select! {
            outcome = exchange => outcome,
            ended = async { connection.await.err() } => Err(match ended {
                Some(error) => broken(&error),
                None => "the API server closes the connection".to_owned(),
            }),
        }
    }
}

fn tls(access: &Access) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(access.ca.as_deref().unwrap_or_default()) {
        let certificate = certificate.map_err(|error| format!("the kubeconfig's CA cannot be read: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("the kubeconfig's CA cannot be used: {error}"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match (&access.client_certificate, &access.client_key) {
        (Some(certificate), Some(key)) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
                .collect::<Result<_, _>>()
                .map_err(|error| format!("the kubeconfig's client certificate cannot be read: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
                .map_err(|error| format!("the kubeconfig's client key cannot be read: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| error.to_string())
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// Whether a server answers a path with success. Used while it comes up.
pub(crate) async fn answers(access: &Access, path: &str, limit: Duration) -> bool {
    let Ok(target) = Target::of(access) else { return false };
    matches!(
        tokio::time::timeout(limit, target.get(path)).await,
        Ok(Ok((StatusCode::OK, _)))
    )
}
