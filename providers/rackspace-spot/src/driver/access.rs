//! A Kubernetes client for a cloudspace's own API server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cloud_http::{Body, BoxError, Roots, Transport, TransportError};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use kit::Class;
use kontainer_engine::DriverError;
use secrecy::{ExposeSecret as _, SecretString};
use tower::{Service, ServiceExt as _};

use super::kubeconfig::Access;
use crate::Settings;

/// Why an API server cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Its address is none.
    #[error("the API server's address {0:?} is not an https URL")]
    Server(String),
    /// The token cannot stand in a header.
    #[error("the token for the API server cannot stand in a header")]
    Token,
    /// The connection cannot be set up.
    #[error("set up the connection to the API server")]
    Transport(#[from] TransportError),
}

impl From<AccessError> for DriverError {
    fn from(error: AccessError) -> Self {
        Self::new(Class::Permanent, "failed to reach the cluster's API server").caused_by(error)
    }
}

/// A client that trusts what the access says. Nothing is repeated below it: its callers do that.
pub(super) fn client(settings: &Settings, access: &Access) -> Result<kube::Client, AccessError> {
    let roots = match &access.ca {
        Some(pem) => Roots::Pem(pem.clone()),
        None if access.insecure => Roots::Anybody,
        None => Roots::System,
    };
    let transport = (settings.clusters)(&roots)?;
    let uri: Uri = access
        .server
        .parse()
        .map_err(|_| AccessError::Server(access.server.clone()))?;
    let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority().cloned()) else {
        return Err(AccessError::Server(access.server.clone()));
    };
    let token = access.token.as_ref().map(bearer).transpose()?;
    let server = ApiServer {
        transport,
        scheme,
        authority,
        token,
        timeout: settings.timeout,
    };
    Ok(kube::Client::new(server, "default"))
}

fn bearer(token: &SecretString) -> Result<HeaderValue, AccessError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| AccessError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Gives requests, which name only a path, their server, credential and deadline.
#[derive(Clone)]
struct ApiServer {
    transport: Transport,
    scheme: Scheme,
    authority: Authority,
    token: Option<HeaderValue>,
    timeout: std::time::Duration,
}

impl Service<Request<kube::client::Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let mut uri = head.uri.into_parts();
            uri.scheme = Some(server.scheme);
            uri.authority = Some(server.authority);
            head.uri = Uri::from_parts(uri)?;
            if let Some(token) = server.token {
                head.headers.insert(header::AUTHORIZATION, token);
            }
            let body: Bytes = body.collect().await?.to_bytes();
            let send = server.transport.oneshot(Request::from_parts(head, Full::new(body)));
            tokio::time::timeout(server.timeout, send).await?
        })
    }
}
