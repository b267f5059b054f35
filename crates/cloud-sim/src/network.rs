//! An internet without sockets, for code under test that would otherwise open some.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::{BoxError, Router};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, header};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use crate::front::ConnectionCut;

/// An in-process internet: a tower service that brings each request to the router of its host. Clones share it.
///
/// Hosts are looked up by authority with port, then by host alone, then by the resolvers. Every request is counted,
/// recorded in order, and can be the last one that gets through: see [`Network::cut`].
#[derive(Clone, Default)]
pub struct Network(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Says when a cut strikes.
    down: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<String, Router>,
    resolvers: Vec<Resolver>,
    requests: Vec<Outgoing>,
    cut: Option<Cut>,
    down: bool,
}

type Resolver = Arc<dyn Fn(&str) -> Option<Router> + Send + Sync>;

/// One request that was sent into a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The HTTP method.
    pub method: String,
    /// The host, with its port if one was given.
    pub host: String,
    /// The path, without the query.
    pub path: String,
    /// What was answered; nothing when no answer came back.
    pub status: Option<u16>,
}

/// At which outgoing request, counted from 1 over the network's whole life, the caller is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection fails and the server never sees the request.
    Before(usize),
    /// The server carries the request out and the answer is lost.
    After(usize),
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The request names no host.
    #[error("the request names no host")]
    NoHost,
    /// Nobody answers to the host's name.
    #[error("no such host: {0}")]
    UnknownHost(String),
    /// The connection could not be made.
    #[error("connection refused by {0}")]
    Refused(String),
    /// The connection was lost before the answer came.
    #[error("connection reset by {0}")]
    Reset(String),
}

/// As a client on a real network would see it: the service gives these, so that code which tells a connection that never
/// was from one that was lost does so here too.
impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> Self {
        let kind = match &error {
            NetworkError::NoHost => io::ErrorKind::InvalidInput,
            NetworkError::UnknownHost(_) => io::ErrorKind::HostUnreachable,
            NetworkError::Refused(_) => io::ErrorKind::ConnectionRefused,
            NetworkError::Reset(_) => io::ErrorKind::ConnectionReset,
        };
        io::Error::new(kind, error)
    }
}

impl Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Network")
            .field("hosts", &state.hosts.keys().collect::<Vec<_>>())
            .field("requests", &state.requests.len())
            .field("cut", &state.cut)
            .field("down", &state.down)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// An internet without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `router` on the net as `host` (`name` or `name:port`), in place of what was there.
    pub fn host(&self, host: &str, router: Router) -> &Self {
        self.lock().hosts.insert(host.to_lowercase(), router);
        self
    }

    /// Adds a way to find hosts that no name was registered for, such as those that appear later. It is asked for the
    /// authority with port, then for the host alone.
    pub fn resolver(&self, resolve: impl Fn(&str) -> Option<Router> + Send + Sync + 'static) -> &Self {
        self.lock().resolvers.push(Arc::new(resolve));
        self
    }

    /// A service for one host, whose requests name only a path.
    pub fn for_host(&self, host: &str) -> ForHost {
        ForHost {
            network: self.clone(),
            host: host.to_owned(),
        }
    }

    /// What was sent so far, in order.
    pub fn requests(&self) -> Vec<Outgoing> {
        self.lock().requests.clone()
    }

    /// How many requests were sent so far.
    pub fn sent(&self) -> usize {
        self.lock().requests.len()
    }

    /// Cuts the caller off at that request, and from all others after it until [`Network::heal`]: as if its process had
    /// died there.
    pub fn cut(&self, cut: Cut) {
        self.lock().cut = Some(cut);
    }

    /// Lets requests through again and forgets the cut.
    pub fn heal(&self) {
        {
            let mut state = self.lock();
            state.cut = None;
            state.down = false;
        }
        self.0.down.send_replace(false);
    }

    /// Returns when a cut has struck; at once when one has and was not healed.
    pub async fn struck(&self) {
        let mut down = self.0.down.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = down.wait_for(|down| *down).await;
    }

    /// Sends one request. The same as calling the service, whose error is this one within an [`io::Error`].
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<Body>, NetworkError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let host = host_of(&request).ok_or(NetworkError::NoHost)?;
        let number = self.record(request.method().as_str(), &host, request.uri().path());
        let after = match self.passes(number) {
            Passage::Free => false,
            Passage::LastAnswerLost => true,
            Passage::Closed => return Err(NetworkError::Refused(host)),
        };
        let router = self
            .resolve(&host)
            .ok_or_else(|| NetworkError::UnknownHost(host.clone()))?;
        let response = match router.oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if after {
            self.fall();
            return Err(NetworkError::Reset(host));
        }
        // Cut off by another request while this one was under way: a dead process reads no answers.
        if self.lock().down || response.extensions().get::<ConnectionCut>().is_some() {
            return Err(NetworkError::Reset(host));
        }
        if let Some(entry) = self.lock().requests.get_mut(number - 1) {
            entry.status = Some(response.status().as_u16());
        }
        Ok(response)
    }

    fn record(&self, method: &str, host: &str, path: &str) -> usize {
        let mut state = self.lock();
        state.requests.push(Outgoing {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            status: None,
        });
        state.requests.len()
    }

    fn passes(&self, number: usize) -> Passage {
        let (down, cut) = {
            let state = self.lock();
            (state.down, state.cut)
        };
        match cut {
            _ if down => Passage::Closed,
            Some(Cut::Before(n)) if number >= n => {
                self.fall();
                Passage::Closed
            }
            Some(Cut::After(n)) if number == n => Passage::LastAnswerLost,
            Some(Cut::After(n)) if number > n => Passage::Closed,
            _ => Passage::Free,
        }
    }

    fn fall(&self) {
        self.lock().down = true;
        self.0.down.send_replace(true);
    }

    fn resolve(&self, host: &str) -> Option<Router> {
        let host = host.to_lowercase();
        let bare = bare(&host);
        let resolvers = {
            let state = self.lock();
            if let Some(router) = state.hosts.get(&host).or_else(|| state.hosts.get(bare)) {
                return Some(router.clone());
            }
            state.resolvers.clone()
        };
        // Without the lock: a resolver may well look at this network.
        resolvers
            .iter()
            .find_map(|resolve| resolve(&host).or_else(|| resolve(bare)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Passage {
    Free,
    LastAnswerLost,
    Closed,
}

fn host_of<B>(request: &Request<B>) -> Option<String> {
    let by_uri = request.uri().authority().map(|authority| {
        let text = authority.as_str();
        text.rsplit_once('@').map_or(text, |(_, host)| host).to_owned()
    });
    by_uri.or_else(|| request.headers().get(header::HOST)?.to_str().ok().map(str::to_owned))
}

/// The host without its port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

impl<B> Service<Request<B>> for Network
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let network = self.clone();
        Box::pin(async move { Ok(network.send(request).await.map_err(io::Error::from)?) })
    }
}

/// A [`Network`] seen by a client that knows only one host and names only paths, as a `kube` client's service does.
#[derive(Clone, Debug)]
pub struct ForHost {
    network: Network,
    host: String,
}

impl<B> Service<Request<B>> for ForHost
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Answer {
        let placed = place(request.uri(), &self.host);
        let network = self.network.clone();
        Box::pin(async move {
            *request.uri_mut() = placed?;
            Ok(network.send(request).await.map_err(io::Error::from)?)
        })
    }
}

fn place(uri: &Uri, host: &str) -> Result<Uri, BoxError> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(host.parse::<Authority>()?);
    parts.path_and_query = parts.path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests;
