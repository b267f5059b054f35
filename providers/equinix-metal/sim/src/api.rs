//! The service over HTTP: the Metal API below its base path and below the root, load balancers below `/v1`, and the
//! exchange of keys for their tokens.

pub(crate) mod answer;
mod ask;
mod balancers;
mod bgp;
mod devices;
mod includes;
mod ips;
mod page;
mod reference;
pub(crate) mod show;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, header};
use http_body_util::BodyExt;

pub(crate) use balancers::show as show_balancer;
pub(crate) use includes::Includes;

use crate::failure::Failure;
use crate::oddity;
use crate::service::{Rate, Service};

/// Where the Metal API is.
pub(crate) const BASE: &str = "/metal/v1";

/// What an API says that will end.
const DEPRECATION: [(&str, &str); 3] = [
    ("deprecation", "true"),
    ("sunset", "Tue, 30 Jun 2026 00:00:00 GMT"),
    (
        "link",
        "<https://deploy.equinix.com/blog/sunsetting-equinix-metal>; rel=\"sunset\"",
    ),
];

/// The only user.
pub(crate) const USER_ID: &str = "2e0b4c7a-6c0f-4f3e-9a55-0c6f2a7d1e10";

/// Everything the service answers, without the control API.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .nest(BASE, metal())
        .merge(metal())
        .merge(balancers::router())
        .fallback(async || Failure::not_found())
        .method_not_allowed_fallback(async || Failure::no_method())
        .layer(axum::middleware::from_fn_with_state(service.clone(), dress))
        .with_state(service)
}

fn metal() -> Router<Arc<Service>> {
    Router::new()
        .route("/user", get(reference::user))
        .route("/plans", get(reference::plans))
        .route("/facilities", get(reference::facilities))
        .route("/locations/metros", get(reference::metros))
        .route("/projects", get(reference::projects))
        .route("/projects/{project}", get(reference::project))
        .route("/projects/{project}/devices", get(devices::list).post(devices::create))
        .route("/projects/{project}/ips", get(ips::list).post(ips::create))
        .route("/projects/{project}/bgp-config", get(bgp::config))
        .route("/projects/{project}/bgp-configs", post(bgp::enable))
        .route("/projects/{project}/bgp/sessions", get(bgp::project_sessions))
        .route(
            "/devices/{id}",
            get(devices::read).put(devices::update).delete(devices::delete),
        )
        .route("/devices/{id}/actions", post(devices::act))
        .route("/devices/{id}/ips", get(ips::of_device).post(ips::assign))
        .route(
            "/devices/{id}/bgp/sessions",
            get(bgp::device_sessions).post(bgp::create_session),
        )
        .route("/devices/{id}/bgp/neighbors", get(bgp::neighbors))
        .route(
            "/bgp/sessions/{id}",
            get(bgp::read_session)
                .put(bgp::update_session)
                .delete(bgp::delete_session),
        )
        .route("/ips/{id}", get(ips::read).patch(ips::update).delete(ips::delete))
}

/// Counts a request against its key's rate, and gives every answer the headers they all have.
async fn dress(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let key = headers
        .get(ask::KEY_HEADER)
        .or_else(|| headers.get(header::AUTHORIZATION));
    let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let (rate, allowed) = service.count(&key);
    let response = match allowed {
        Ok(()) => next.run(request).await,
        Err(throttled) => throttled.into_response(),
    };
    let mut response = odd(&service, &path, response).await;
    let Rate {
        limit,
        remaining,
        reset,
    } = rate;
    let id = crate::seed::named_id(&format!("request/{}", service.requests()));
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", limit.into());
    headers.insert("x-ratelimit-remaining", remaining.into());
    headers.insert("x-ratelimit-reset", reset.into());
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    if service.with(|world| world.settings.deprecated) {
        for (name, value) in DEPRECATION {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

async fn odd(service: &Service, path: &str, response: Response) -> Response {
    let oddities = service.with(|world| world.settings.oddities.clone());
    if oddities.is_empty() || !response.status().is_success() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // A body made here is whole.
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes().to_vec())
        .unwrap_or_default();
    let body = oddity::apply(&oddities, path, &mut head.headers, body);
    Response::from_parts(head, Body::from(body))
}
