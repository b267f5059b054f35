//! What the control API of this cloud has beyond that of all clouds: what happens in data centres and back offices.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;

use crate::api::answer::{Answer, json_response, no_content};
use crate::api::{Includes, show};
use crate::failure::Failure;
use crate::service::Service;
use crate::world::{BgpStatus, DeviceState, World};

/// The calls, with their whole paths.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/_sim/leaks", get(leaks))
        .route("/_sim/devices/{id}/state", post(set_state).put(set_state))
        .route("/_sim/devices/{id}/announce", post(announce).put(announce))
        .route("/_sim/projects/{project}/delete", post(delete_project))
        .route("/_sim/ips/{id}/approve", post(approve))
        .route("/_sim/ips/{id}/deny", post(deny))
        .route("/_sim/bgp/{project}/approve", post(approve_bgp))
        .route("/_sim/bgp/{project}/disable", post(disable_bgp))
        .with_state(service)
}

async fn leaks(State(service): State<Arc<Service>>) -> Response {
    json_response(StatusCode::OK, &service.with(|world| world.leaks()))
}

fn change(service: &Service, act: impl FnOnce(&mut World) -> Result<(), Failure>) -> Answer {
    service.write(act).map(|()| no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedState {
    state: String,
}

/// Puts a device into a state, named by its id or its hostname.
async fn set_state(State(service): State<Arc<Service>>, Path(id): Path<String>, body: Bytes) -> Response {
    let wanted: WantedState = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return Failure::bad_json(&error).into_response(),
    };
    change(&service, |world| {
        let state = DeviceState::named(&wanted.state)
            .ok_or_else(|| Failure::invalid(format!("{:?} is no state of a device", wanted.state)))?;
        let id = by_name(world, &id)?;
        world.force_state(&id, state)
    })
    .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    prefixes: Vec<String>,
}

/// Has the routing daemon of a device announce these prefixes, and no others.
async fn announce(State(service): State<Arc<Service>>, Path(id): Path<String>, body: Bytes) -> Response {
    let wanted: Announced = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return Failure::bad_json(&error).into_response(),
    };
    let shown = service.write(|world| {
        let id = by_name(world, &id)?;
        if let Some(device) = world.devices.get_mut(&id) {
            device.announced = wanted.prefixes;
        }
        Ok(show::device(world, world.device(&id)?, &Includes::default()))
    });
    shown.map_or_else(IntoResponse::into_response, |_| no_content())
}

fn by_name(world: &World, name: &str) -> Result<String, Failure> {
    let mut devices = world.devices.iter();
    let found = devices.find(|device| device.id == name || device.hostname == name);
    found.map(|device| device.id.clone()).ok_or_else(Failure::not_found)
}

/// Takes a project away from under everybody who still names it.
async fn delete_project(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let gone = |world: &mut World| {
        let project = world.projects.get_mut(&id).ok_or_else(Failure::not_found)?;
        project.gone = true;
        Ok(())
    };
    change(&service, gone).into_response()
}

async fn approve(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    change(&service, |world| world.decide(&id, true)).into_response()
}

async fn deny(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    change(&service, |world| world.decide(&id, false)).into_response()
}

async fn approve_bgp(State(service): State<Arc<Service>>, Path(project): Path<String>) -> Response {
    change(&service, |world| world.set_bgp(&project, BgpStatus::Enabled)).into_response()
}

async fn disable_bgp(State(service): State<Arc<Service>>, Path(project): Path<String>) -> Response {
    change(&service, |world| world.set_bgp(&project, BgpStatus::Disabled)).into_response()
}
