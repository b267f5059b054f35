//! The control API below `/_sim`: how tests and people steer a simulated cloud from outside.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::front::Front;

/// The longest step of `advance`, ten years: beyond it a mistyped number is likelier than a wish.
const LONGEST_STEP: f64 = 10.0 * 365.25 * 86_400.0;

pub(crate) fn router(front: Front) -> Router {
    Router::new()
        .route("/state", get(state).put(replace).patch(merge))
        .route("/requests", get(requests).delete(forget))
        .route("/faults", get(faults).post(inject).delete(clear))
        .route("/advance", post(advance))
        .route("/reset", post(reset))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "no such control call"))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "not a method of this control call")
        })
        .layer(DefaultBodyLimit::disable())
        .with_state(front)
}

async fn state(State(front): State<Front>) -> Json<Value> {
    Json(front.cloud().state())
}

async fn replace(State(front): State<Front>, body: Bytes) -> Response {
    let state: Value = match parse(&body) {
        Ok(state) => state,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    put(&front, state)
}

/// Not a separate kind of state change: reads, merges (RFC 7396) and replaces.
async fn merge(State(front): State<Front>, body: Bytes) -> Response {
    let patch: Value = match parse(&body) {
        Ok(patch) => patch,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let mut state = front.cloud().state();
    json_patch::merge(&mut state, &patch);
    put(&front, state)
}

fn put(front: &Front, state: Value) -> Response {
    match front.replace(state) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(bad) => refusal(StatusCode::BAD_REQUEST, &format!("state refused: {bad}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn requests(
    State(front): State<Front>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Response {
    match query {
        Ok(Query(Since { since })) => Json(front.requests_since(since)).into_response(),
        Err(_) => refusal(
            StatusCode::BAD_REQUEST,
            "the only parameter is since, the number of a request",
        ),
    }
}

async fn forget(State(front): State<Front>) -> StatusCode {
    front.clear_requests();
    StatusCode::NO_CONTENT
}

async fn faults(State(front): State<Front>) -> Json<Vec<Fault>> {
    Json(front.faults())
}

async fn inject(State(front): State<Front>, body: Bytes) -> Response {
    let fault: Fault = match parse(&body) {
        Ok(fault) => fault,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let shown = Json(fault.clone());
    match front.inject(fault) {
        Ok(()) => (StatusCode::CREATED, shown).into_response(),
        Err(bad) => refusal(StatusCode::BAD_REQUEST, &format!("fault refused: {}", with_cause(&bad))),
    }
}

async fn clear(State(front): State<Front>) -> StatusCode {
    front.clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

async fn advance(State(front): State<Front>, body: Bytes) -> Response {
    let Advance { seconds } = match parse(&body) {
        Ok(advance) => advance,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    if !(0.0..=LONGEST_STEP).contains(&seconds) {
        return refusal(
            StatusCode::BAD_REQUEST,
            "seconds must be between 0 and ten years; time does not run backwards",
        );
    }
    let step = Duration::from_secs_f64(seconds);
    let clock = front.cloud().clock();
    let before = clock.now();
    clock.advance(step);
    if clock.since(before) < step {
        return refusal(
            StatusCode::CONFLICT,
            "this simulation lives by the wall clock, which cannot be moved",
        );
    }
    Json(json!({ "now": clock.now().to_string() })).into_response()
}

async fn reset(State(front): State<Front>) -> StatusCode {
    front.reset();
    StatusCode::NO_CONTENT
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body cannot be used: {error}"))
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
