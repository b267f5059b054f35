//! The service over HTTP: objects, login, organizer and prices on one base address.

mod login;
mod objects;
mod organizer;
mod prices;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use http::{HeaderMap, header};

use crate::failure::Failure;
use crate::resource::{API_VERSION, Resource};
use crate::service::Service;
use crate::token::Identity;
use crate::world::World;

/// Everything the service answers, without the control API.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let objects = Router::new()
        .route(
            "/namespaces/{namespace}/{plural}",
            get(objects::list).post(objects::create).delete(objects::delete_all),
        )
        .route(
            "/namespaces/{namespace}/{plural}/{name}",
            get(objects::read)
                .put(objects::replace)
                .patch(objects::patch)
                .delete(objects::delete),
        )
        .route("/{plural}", get(objects::list_cluster))
        .route("/{plural}/{name}", get(objects::read_cluster));
    Router::new()
        .nest(&format!("/apis/{API_VERSION}"), objects)
        .route("/apis/auth.ngpc.rxt.io/v1/organizations", get(organizer::organizations))
        .route(
            "/apis/auth.ngpc.rxt.io/v1/generate-kubeconfig",
            post(organizer::generate_kubeconfig),
        )
        .route("/oauth/token", post(login::token))
        .route("/.well-known/openid-configuration", get(login::configuration))
        .route("/.well-known/jwks.json", get(login::jwks))
        .route("/percentiles.json", get(prices::percentiles))
        .route("/comparable_prices.json", get(prices::comparable))
        .route("/history/{class}", get(prices::history))
        .fallback(async || Failure::no_resource())
        .method_not_allowed_fallback(async || Failure::no_method())
        .with_state(service)
}

/// Who asks, by the bearer token.
fn identity(service: &Service, world: &World, headers: &HeaderMap) -> Result<Identity, Failure> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    token
        .and_then(|token| service.signer.identify(token, world.now))
        .ok_or_else(Failure::unauthorized)
}

/// Who asks, if they may do this in `namespace`.
fn authorize(
    service: &Service,
    world: &World,
    headers: &HeaderMap,
    verb: &str,
    resource: Resource,
    place: (&str, Option<&str>),
) -> Result<(), Failure> {
    let identity = identity(service, world, headers)?;
    let (namespace, name) = place;
    let own = world
        .organizations
        .iter()
        .any(|org| org.id == identity.org_id && org.namespace() == namespace);
    if own {
        return Ok(());
    }
    Err(Failure::forbidden(resource, name, verb, &identity.email, namespace))
}
