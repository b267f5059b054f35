//! What carries a request to a server and its answer back.

mod connect;
mod tls;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

pub use tls::{Roots, system_certificates};

/// Any error, as tower passes them on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

type Inner = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>;

/// Carries requests: over the network, or to a service in this process. Clones share connections.
#[derive(Clone)]
pub struct Transport(Inner);

/// Why a transport did not send a request. For those that stand before others and hold requests back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Withheld(pub String);

/// Why a network transport cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The certificates given to trust are no PEM certificates.
    #[error("read the trusted certificates")]
    Roots(#[source] rustls_pki_types::pem::Error),
    /// There is no certificate in the PEM text given.
    #[error("no certificate among the trusted certificates given")]
    NoRoots,
    /// A certificate was refused by the TLS library, or the library cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
}

/// How a network transport connects. `Default` is what programs outside tests use.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// Whom to trust. Default: [`Roots::System`].
    pub roots: Roots,
    /// How long an unused connection is kept. Default 90 s.
    pub idle_timeout: Duration,
    /// How many unused connections are kept per host. Default 100.
    pub max_idle: usize,
    /// How long a connection may take to open. Default 10 s.
    pub connect_timeout: Duration,
    /// Which requests go through a proxy. Default: [`Proxy::Environment`].
    pub proxy: Proxy,
}

/// Which requests go through a proxy. What runs on this machine never does.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment,
    /// None.
    Never,
    /// As these say; each is written like the variable of that name, and empty ones mean none.
    Fixed {
        /// For `https` URLs.
        https: String,
        /// For `http` URLs.
        http: String,
        /// Hosts that are asked directly.
        no: String,
    },
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            idle_timeout: Duration::from_secs(90),
            max_idle: 100,
            connect_timeout: Duration::from_secs(10),
            proxy: Proxy::Environment,
        }
    }
}

impl Transport {
    /// HTTP/1.1 over TCP, and TLS by rustls with ring where the URL says `https`.
    pub fn network(options: &TransportOptions) -> Result<Self, TransportError> {
        let tls = tls::client_config(&options.roots)?;
        let client: legacy::Client<_, Full<Bytes>> = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.max_idle)
            .build(connect::connector(tls, options));
        Ok(Self::from_service(client))
    }

    /// What `make` makes, which happens for the first request: a program that may never ask anything starts without. An
    /// error of `make` is that of every request.
    pub fn lazy(make: impl FnOnce() -> Result<Self, TransportError> + Send + 'static) -> Self {
        let made = Arc::new(LazyLock::new(|| make().map_err(Arc::new)));
        let service = tower::service_fn(move |request| {
            let made = Arc::clone(&made);
            async move {
                let Self(transport) = LazyLock::force(&made).as_ref().map_err(Arc::clone)?.clone();
                transport.oneshot(request).await
            }
        });
        Self(BoxCloneSyncService::new(service))
    }

    /// Any HTTP service in this process: an `axum::Router`, a simulated network, a closure by `tower::service_fn`.
    pub fn from_service<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(BoxCloneSyncService::new(
            service
                .map_response(|response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync()))
                .map_err(Into::into),
        ))
    }
}

impl Service<Request<Full<Bytes>>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = <Inner as Service<Request<Full<Bytes>>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// The proxy this error happened at, as it is shown, and what went wrong there.
pub(crate) fn at_proxy<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<(&'a str, &'a BoxError)> {
    causes(error)
        .find_map(|error| error.downcast_ref::<connect::ProxyError>())
        .map(|error| (error.proxy.as_str(), &error.source))
}

/// Whether a transport held the request back.
pub(crate) fn withheld(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(<dyn std::error::Error>::is::<Withheld>)
}

/// Whether this error is a refusal of the server's certificate.
pub(crate) fn untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error)
        .filter_map(tls_error)
        .any(|error| matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::General(_)))
}

/// The TLS library's error, out of the I/O errors it is wrapped in.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(wrapped) => tls_error(wrapped.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// Whether this error proves that no request left: the connection was never there.
pub(crate) fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|error| {
        error
            .downcast_ref::<legacy::Error>()
            .is_some_and(legacy::Error::is_connect)
            || error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// The error and its causes, outermost first.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
