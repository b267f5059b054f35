//! The pipeline: a request is parsed, its sender found, allowed, and its handler called.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use http::request::Parts;
use http::{Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::authn::{self, User};
use crate::authz::{self, Attributes, Decision};
use crate::discovery;
use crate::faults::{Cut, LoggedRequest};
use crate::handlers;
use crate::health;
use crate::impersonate::impersonate;
use crate::openapi;
use crate::request::{Query, RequestInfo};
use crate::respond::{self, Answer};
use crate::sim::{Inner, KubeSim};
use crate::status::Status;

/// The largest body that is read.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// A request on its way through the server.
pub(crate) struct Call {
    pub inner: Arc<Inner>,
    pub user: User,
    pub info: RequestInfo,
    pub query: Query,
    pub parts: Parts,
    pub body: Bytes,
}

impl KubeSim {
    /// The server as a service: it takes requests with or without a socket.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.0.clone())
    }
}

async fn serve(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let info = RequestInfo::new(&parts.method, parts.uri.path(), &query);
    let injected = inner.faults().take(&info);
    let fault = injected.label();
    if let Some(delay) = injected.delay {
        inner.clock.sleep(delay).await;
    }
    let mut logged = LoggedRequest {
        n: 0,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        verb: info.verb.to_owned(),
        group: info.group.clone(),
        resource: info.named_in_roles(),
        name: info.name.clone(),
        status: 0,
        user: String::new(),
        fault,
    };
    let headers = parts.headers.clone();
    let answer = match authenticate(&inner, &parts) {
        Err(status) => status.into(),
        Ok(user) => {
            logged.user.clone_from(&user.name);
            let failed = injected.fail;
            let cut_before = injected.cut == Some(Cut::Before);
            let nothing = || Status::new(0, "", "the connection was cut");
            match failed
                .or_else(|| cut_before.then(nothing))
                .map_or_else(|| admit(&inner, &user, &info, &query), Err)
            {
                Err(status) => status.into(),
                Ok(()) => match collect(body, &parts.method).await {
                    Err(status) => status.into(),
                    Ok(body) => dispatch(Call {
                        inner: inner.clone(),
                        user,
                        info,
                        query,
                        parts,
                        body,
                    }),
                },
            }
        }
    };
    logged.status = answer.status;
    inner.faults().log(logged);
    if injected.cut.is_some() {
        return respond::cut();
    }
    respond::encode(&headers, answer)
}

fn authenticate(inner: &Inner, parts: &Parts) -> Result<User, Status> {
    let header = parts
        .headers
        .get(http::header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let tokens = inner.tokens();
    let state = inner.state();
    let sender = authn::authenticate(header, &tokens, &inner.signer, &state, inner.clock.now())?;
    impersonate(&state.store, sender, &parts.headers)
}

/// Whether the request may go on: authorization, and the parameters that every request understands.
fn admit(inner: &Inner, user: &User, info: &RequestInfo, query: &Query) -> Result<(), Status> {
    if let Some(timeout) = query.get("timeout").filter(|t| !t.is_empty())
        && kit::go_duration::parse(timeout).is_err()
    {
        return Err(Status::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration \"{timeout}\""
        )));
    }
    let state = inner.state();
    match authz::authorize(&state.store, user, &Attributes::of(info)) {
        Decision::Allowed(_) => Ok(()),
        Decision::NoOpinion => Err(authz::denied(user, info)),
    }
}

async fn collect(body: Body, method: &Method) -> Result<Bytes, Status> {
    if matches!(*method, Method::GET | Method::HEAD) {
        // Read and forgotten, so that the connection can be used again.
        let _ = Limited::new(body, BODY_LIMIT).collect().await;
        return Ok(Bytes::new());
    }
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(format!(
            "Request entity too large: limit is {BODY_LIMIT}"
        ))),
        Err(error) => Err(Status::bad_request(error.to_string())),
    }
}

fn dispatch(call: Call) -> Answer {
    if call.info.is_resource {
        return handlers::resource(call);
    }
    match call.info.path.trim_end_matches('/') {
        "/version" => health::version(&call.inner.version()),
        path if path == "/healthz" || path == "/livez" || path == "/readyz" => health::probe(path, "", &call),
        path if ["/healthz/", "/livez/", "/readyz/"].iter().any(|p| path.starts_with(p)) => {
            let (probe, check) = path[1..].split_once('/').unwrap_or_default();
            health::probe(&format!("/{probe}"), check, &call)
        }
        path if path == "/api" || path == "/apis" || path.starts_with("/api/") || path.starts_with("/apis/") => {
            discovery::answer(&call)
        }
        path if path.starts_with("/openapi/v3") => openapi::answer(&call),
        _ => Answer::not_found(),
    }
}
