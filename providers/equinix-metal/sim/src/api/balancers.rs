//! Load balancers over HTTP: an API of its own, with tokens of its own.

mod pools;
mod ports;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, json_response, no_content};
use super::ask::{Ask, Caller};
use crate::failure::Failure;
use crate::service::Service;
use crate::world::{Balancer, LOCATIONS, PROVIDER_ID, World, stamp};

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/api-keys/exchange", post(exchange))
        .route("/v1/projects/{project}/loadbalancers", get(list).post(create))
        .route(
            "/v1/projects/{project}/loadbalancers/pools",
            get(pools::list).post(pools::create),
        )
        .route("/v1/loadbalancers/{id}", get(read).patch(update).delete(delete))
        .route("/v1/loadbalancers/{id}/ports", get(ports::list).post(ports::create))
        // Read by number, changed by id.
        .route("/v1/loadbalancers/{id}/ports/{number}", get(ports::read))
        .route(
            "/v1/loadbalancers/ports/{id}",
            get(async || Failure::no_method())
                .patch(ports::update)
                .delete(ports::delete),
        )
        .route(
            "/v1/loadbalancers/pools/{id}",
            get(pools::read).patch(pools::update).delete(pools::delete),
        )
        .route(
            "/v1/loadbalancers/pools/{id}/origins",
            get(pools::origins).post(pools::create_origin),
        )
        .route(
            "/v1/loadbalancers/pools/origins/{id}",
            get(pools::read_origin)
                .patch(pools::update_origin)
                .delete(pools::delete_origin),
        )
}

/// Gives a token for a key of the Metal API.
async fn exchange(ask: Ask) -> Answer {
    let body = ask.service().write(|world| {
        let key = ask.bearer().ok_or_else(Failure::unauthorized)?;
        Caller::by_key(world, Some(key))?;
        let token = world.exchange(key);
        Ok(json!({
            "access_token": token, "token_type": "bearer", "expires_in": world.settings.token_ttl.as_secs(),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }))
    })?;
    Ok(json_response(StatusCode::OK, &body))
}

/// Who has this token.
fn caller(ask: &Ask, world: &World) -> Result<Caller, Failure> {
    let token = ask.bearer().ok_or_else(Failure::unauthorized)?;
    let token = world
        .balancer_tokens
        .get(token)
        .filter(|token| token.expires > world.now);
    Caller::by_key(world, Some(&token.ok_or_else(Failure::unauthorized)?.key))
}

/// Answers a read.
fn answer_read(ask: &Ask, act: impl FnOnce(&World, &Caller) -> Result<Value, Failure>) -> Answer {
    ask.service()
        .with(|world| Ok(json_response(StatusCode::OK, &act(world, &caller(ask, world)?)?)))
}

/// Answers a list, which may be behind.
fn answer_list(ask: &Ask, act: impl FnOnce(&World, &Caller) -> Result<Value, Failure>) -> Answer {
    // The token may be younger than what the list shows.
    ask.service().with(|world| caller(ask, world)).and_then(|caller| {
        ask.service()
            .with_lists(|world| Ok(json_response(StatusCode::OK, &act(world, &caller)?)))
    })
}

/// Answers a write.
fn answer_write(
    ask: &Ask,
    status: StatusCode,
    act: impl FnOnce(&mut World, &Caller) -> Result<Option<Value>, Failure>,
) -> Answer {
    let body = ask.service().write(|world| {
        let caller = caller(ask, world)?;
        if caller.is_read_only() {
            return Err(Failure::read_only());
        }
        act(world, &caller)
    })?;
    Ok(body.map_or_else(no_content, |body| json_response(status, &body)))
}

/// What a creation is answered with.
fn created(id: &str) -> Value {
    json!({"version": "v1", "message": "created", "id": id, "status": 201})
}

fn when(at: Option<jiff::Timestamp>) -> Value {
    at.map_or(Value::Null, |at| stamp(at).into())
}

/// A load balancer, if it is the caller's.
fn found<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Balancer, Failure> {
    let it = world.balancers.get(id).ok_or_else(Failure::not_found)?;
    caller.check(world, &it.project)?;
    Ok(it)
}

/// A load balancer as its API writes it.
pub(crate) fn show(world: &World, it: &Balancer) -> Value {
    let place = LOCATIONS.iter().find(|(_, id, _)| *id == it.location);
    let ports: Vec<Value> = world.ports_of(&it.id).map(ports::show).collect();
    // Side by side with the ports: the pools of each.
    let pools: Vec<Vec<Value>> = world
        .ports_of(&it.id)
        .map(|port| {
            let pools = port.pools.iter().filter_map(|id| world.balancer_pools.get(id));
            pools.map(|pool| pools::show(world, pool)).collect()
        })
        .collect();
    json!({
        "id": it.id, "name": it.name, "created_at": when(it.created_at), "updated_at": when(it.updated_at),
        "provider": {"id": PROVIDER_ID, "name": "emlb"}, "ports": ports, "pools": pools,
        "ips": world.balancer_addresses(it),
        "location": {"id": it.location, "name": place.map(|(_, _, name)| *name), "metro": place.map(|(metro, ..)| *metro)},
    })
}

async fn list(ask: Ask) -> Answer {
    answer_list(&ask, |world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        let own = world.balancers.iter().filter(|it| it.project == project.id);
        Ok(json!({"loadbalancers": own.map(|it| show(world, it)).collect::<Vec<Value>>()}))
    })
}

async fn read(ask: Ask) -> Answer {
    answer_read(&ask, |world, caller| {
        Ok(show(world, found(world, caller, ask.id("id"))?))
    })
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    location_id: Option<String>,
    provider_id: Option<String>,
    port_ids: Option<Vec<String>>,
}

async fn create(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::CREATED, |world, caller| {
        let project = caller.project(world, ask.id("project"))?.id.clone();
        let wanted: Wanted = ask.body()?;
        let mut errors = Vec::new();
        let name = wanted.name.unwrap_or_default();
        if name.is_empty() {
            errors.push("name must not be empty".to_owned());
        }
        let location = wanted.location_id.unwrap_or_default();
        if !LOCATIONS.iter().any(|(_, id, _)| *id == location) {
            errors.push(format!("there is no location {location:?}"));
        }
        if wanted.provider_id.as_deref() != Some(PROVIDER_ID) {
            errors.push("there is no such provider".to_owned());
        }
        if wanted.port_ids.is_some_and(|ports| !ports.is_empty()) {
            errors.push("ports belong to the load balancer they were made for".to_owned());
        }
        if !errors.is_empty() {
            return Err(Failure::invalid_all(errors));
        }
        let id = world.draw_balancer_id("loadbal");
        world.balancers.insert(Balancer {
            id: id.clone(),
            project,
            name,
            location,
            created_at: Some(world.now),
            updated_at: Some(world.now),
        });
        Ok(Some(created(&id)))
    })
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    #[serde(default)]
    add_port_ids: Vec<String>,
    #[serde(default)]
    remove_port_ids: Vec<String>,
    #[serde(default)]
    clear_ports: bool,
}

async fn update(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::OK, |world, caller| {
        let id = found(world, caller, ask.id("id"))?.id.clone();
        let change: Change = ask.body()?;
        if !change.add_port_ids.is_empty() {
            return Err(Failure::invalid("ports belong to the load balancer they were made for"));
        }
        if change.name.as_deref() == Some("") {
            return Err(Failure::invalid("name must not be empty"));
        }
        world
            .balancer_ports
            .retain(|port| port.balancer != id || !(change.clear_ports || change.remove_port_ids.contains(&port.id)));
        let now = world.now;
        if let Some(it) = world.balancers.get_mut(&id) {
            it.name = change.name.unwrap_or_else(|| std::mem::take(&mut it.name));
            it.updated_at = Some(now);
        }
        Ok(Some(
            json!({"version": "v1", "message": "updated", "id": id, "status": 200}),
        ))
    })
}

async fn delete(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::NO_CONTENT, |world, caller| {
        let id = found(world, caller, ask.id("id"))?.id.clone();
        world.delete_balancer(&id);
        Ok(None)
    })
}
