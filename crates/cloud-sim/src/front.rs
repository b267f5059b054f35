//! What stands in front of every simulated cloud: the log, the faults, the control API.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use kit::Clock;
use serde_json::Value;
use tower::ServiceExt;

use crate::control;
use crate::fault::{Action, BadFault, Fault, Faults};
use crate::log::{Log, LoggedRequest};

/// What the control API needs of a simulated cloud.
///
/// Whatever depends on time is caught up by the cloud itself, before it answers.
pub trait Cloud: Send + Sync + 'static {
    /// The clock it lives by.
    fn clock(&self) -> &Clock;

    /// The seed all its chance comes from.
    fn seed(&self) -> u64;

    /// Every object, as JSON that [`Cloud::replace`] takes back.
    fn state(&self) -> Value;

    /// Replaces every object. What is not given gets its start value. Nothing changes when the state is refused.
    fn replace(&self, state: Value) -> Result<(), BadState>;

    /// Goes back to the start state. The clock runs on.
    fn reset(&self);

    /// Its API over a copy of the present state that nothing changes any more: what stale reads are answered from. It is
    /// asked for before every write, so it should be cheap. A cloud that says `None` answers no stale reads.
    fn frozen(&self) -> Option<Router> {
        None
    }
}

/// Why a state was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadState(String);

impl BadState {
    /// A refusal for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<serde_json::Error> for BadState {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Marks a response that must not be sent: whoever hosts the router cuts the connection instead, as [`crate::serve`] and
/// [`crate::Network`] do. Found among the response's extensions.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection was cut")]
pub struct ConnectionCut;

/// The request log, the faults and the control API of one simulated cloud. Clones share them.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    cloud: Arc<dyn Cloud>,
    log: Log,
    faults: Faults,
    /// The API over the state before the last write.
    previous: Mutex<Option<Router>>,
}

impl Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("log", &self.0.log)
            .field("faults", &self.0.faults)
            .finish_non_exhaustive()
    }
}

impl Front {
    /// The front of `cloud`.
    pub fn new(cloud: Arc<dyn Cloud>) -> Self {
        crate::evidence::listen();
        let faults = Faults::new(cloud.seed());
        Self(Arc::new(Inner {
            cloud,
            log: Log::default(),
            faults,
            previous: Mutex::new(None),
        }))
    }

    /// The cloud's `api` behind log and faults, with the control API below `/_sim` beside it.
    pub fn router(&self, api: Router) -> Router {
        let guarded = api.layer(axum::middleware::from_fn_with_state(self.clone(), pass));
        Router::new()
            .nest("/_sim", control::router(self.clone()))
            .fallback_service(guarded)
    }

    /// What the cloud was asked, oldest first; of the last 20,000 requests.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.requests_since(0)
    }

    /// What the cloud was asked after request number `n`.
    pub fn requests_since(&self, n: u64) -> Vec<LoggedRequest> {
        self.0.log.since(n)
    }

    /// Forgets what was asked; the numbering goes on.
    pub fn clear_requests(&self) {
        self.0.log.clear();
    }

    /// Puts a fault in force.
    pub fn inject(&self, fault: Fault) -> Result<(), BadFault> {
        self.0.faults.arm(fault)
    }

    /// The faults that are not spent, with what is left of their counts.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.list()
    }

    /// Takes all faults out of force.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// Replaces the cloud's state.
    pub fn replace(&self, state: Value) -> Result<(), BadState> {
        self.cloud().replace(state)?;
        self.remember(None);
        Ok(())
    }

    /// Brings the cloud back to its start state, with an empty log and no faults. The clock runs on.
    pub fn reset(&self) {
        self.cloud().reset();
        self.remember(None);
        self.0.log.restart();
        self.0.faults.restart();
    }

    pub(crate) fn cloud(&self) -> &dyn Cloud {
        &*self.0.cloud
    }

    fn remember(&self, previous: Option<Router>) {
        *self.0.previous.lock().unwrap_or_else(PoisonError::into_inner) = previous;
    }

    fn previous(&self) -> Option<Router> {
        self.0.previous.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Logs a request, lets a fault at it, and passes it on.
async fn pass(State(front): State<Front>, request: Request, next: Next) -> Response {
    crate::evidence::plant_headers(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let action = front.0.faults.strike(&method, uri.path());
    let kind = action.as_ref().map(Action::kind);
    let n = front.0.log.begin(method.as_str(), uri.path(), uri.query(), kind);
    let response = answer(&front, action, request, next).await;
    if response.extensions().get::<ConnectionCut>().is_none() {
        front.0.log.end(n, response.status().as_u16());
    }
    response
}

async fn answer(front: &Front, action: Option<Action>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let done = async |request: Request| {
        if !reads {
            front.remember(front.cloud().frozen());
        }
        next.run(request).await
    };
    match action {
        None => done(request).await,
        Some(Action::Status {
            status,
            headers,
            body,
            after,
        }) => {
            if after {
                done(request).await;
            }
            made_up(status, &headers, body)
        }
        Some(Action::Delay { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            done(request).await
        }
        Some(Action::DropBefore) => cut(),
        Some(Action::DropAfter) => {
            done(request).await;
            cut()
        }
        Some(Action::Stale) => match front.previous().filter(|_| reads) {
            Some(previous) => match previous.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            None => done(request).await,
        },
        Some(Action::Truncate { bytes }) => truncated(done(request).await, bytes).await,
        Some(Action::Hang) => std::future::pending().await,
    }
}

fn cut() -> Response {
    let mut response = StatusCode::BAD_GATEWAY.into_response();
    response.extensions_mut().insert(ConnectionCut);
    response
}

fn made_up(status: u16, headers: &std::collections::BTreeMap<String, String>, body: Option<Value>) -> Response {
    let (kind, body) = match body {
        None => (None, String::new()),
        Some(Value::String(text)) => (Some("text/plain; charset=utf-8"), text),
        Some(json) => (Some("application/json"), json.to_string()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = kind {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The response with its length told and only a part of it sent.
async fn truncated(response: Response, bytes: Option<usize>) -> Response {
    let (mut head, body) = response.into_parts();
    let whole = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let part = whole.slice(..bytes.unwrap_or(whole.len() / 2).min(whole.len()));
    let broken = futures::stream::once(async {
        // A breath, so that a real connection sends what it has before it breaks.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err::<Bytes, Box<dyn Error + Send + Sync>>(Box::new(ConnectionCut))
    });
    let stream = futures::stream::once(async move { Ok(part) }).chain(broken);
    Response::from_parts(head, Body::from_stream(stream))
}

#[cfg(test)]
mod tests;
