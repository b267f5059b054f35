//! One HTTPS request with a client certificate: the played API server to its etcd, and tests to the API server.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A server, whom to trust there and who we are; all PEM.
#[derive(Clone)]
pub struct Client {
    /// `127.0.0.1:2379`
    pub address: String,
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl Client {
    /// The status and the body of the answer; nothing when there is none.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let chain = |pem: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_slice_iter(pem.as_bytes())
                .map(Result::unwrap)
                .collect()
        };
        let mut roots = RootCertStore::empty();
        for certificate in chain(&self.ca) {
            roots.add(certificate).unwrap();
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(&self.certificate), key)
            .unwrap();
        let tcp = TcpStream::connect(&self.address).await.ok()?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.ok()?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let exchange = async {
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            Some((status, String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::select! {
            answer = exchange => answer,
            _ = connection => None,
        }
    }
}
