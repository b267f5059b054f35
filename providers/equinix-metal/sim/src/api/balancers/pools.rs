//! Pools, and the origins in them.

use std::net::IpAddr;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, Caller, Failure, answer_list, answer_read, answer_write, created, when};
use crate::world::{Origin, Pool, Protocol, World};

pub(super) fn show(world: &World, it: &Pool) -> Value {
    let using = || world.balancer_ports.iter().filter(|port| port.pools.contains(&it.id));
    let ports: Vec<Value> = using()
        .map(|port| json!({"id": port.id, "number": port.number}))
        .collect();
    let balancers: Vec<Value> = using().map(|port| json!({"id": port.balancer})).collect();
    let origins: Vec<Value> = of_pool(world, &it.id).map(show_origin).collect();
    json!({
        "id": it.id, "name": it.name, "protocol": it.protocol, "project_id": it.project, "ports": ports, "origins": origins,
        "loadbalancers": balancers, "created_at": when(it.created_at), "updated_at": when(it.updated_at),
    })
}

fn show_origin(it: &Origin) -> Value {
    json!({
        "id": it.id, "name": it.name, "target": it.target, "port_number": it.port_number, "active": it.active,
        "pool_id": it.pool, "created_at": when(it.created_at), "updated_at": when(it.updated_at),
    })
}

fn of_pool<'a>(world: &'a World, pool: &'a str) -> impl Iterator<Item = &'a Origin> {
    world.balancer_origins.iter().filter(move |origin| origin.pool == pool)
}

/// A pool, if it is the caller's.
fn found<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Pool, Failure> {
    let it = world.balancer_pools.get(id).ok_or_else(Failure::not_found)?;
    caller.check(world, &it.project)?;
    Ok(it)
}

pub(super) async fn list(ask: Ask) -> Answer {
    answer_list(&ask, |world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        let own = world.balancer_pools.iter().filter(|it| it.project == project.id);
        Ok(json!({"pools": own.map(|it| show(world, it)).collect::<Vec<Value>>()}))
    })
}

pub(super) async fn read(ask: Ask) -> Answer {
    answer_read(&ask, |world, caller| {
        Ok(show(world, found(world, caller, ask.id("id"))?))
    })
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    protocol: Option<Protocol>,
    #[serde(default)]
    port_ids: Option<Vec<String>>,
    #[serde(default)]
    origin_ids: Option<Vec<String>>,
}

pub(super) async fn create(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::CREATED, |world, caller| {
        let project = caller.project(world, ask.id("project"))?.id.clone();
        let wanted: Wanted = ask.body()?;
        let name = wanted.name.unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::invalid("name must not be empty"));
        }
        let protocol = wanted
            .protocol
            .ok_or_else(|| Failure::invalid("protocol must be tcp or udp"))?;
        if wanted.origin_ids.is_some_and(|origins| !origins.is_empty()) {
            return Err(Failure::invalid("origins belong to the pool they were made for"));
        }
        let ports = wanted.port_ids.unwrap_or_default();
        let id = world.draw_balancer_id("loadpol");
        world.balancer_pools.insert(Pool {
            id: id.clone(),
            project,
            name,
            protocol,
            created_at: Some(world.now),
            updated_at: Some(world.now),
        });
        attach(world, &id, &ports)?;
        Ok(Some(created(&id)))
    })
}

/// Puts a pool behind ports.
fn attach(world: &mut World, pool: &str, ports: &[String]) -> Result<(), Failure> {
    for port in ports {
        let port = world
            .balancer_ports
            .get_mut(port)
            .ok_or_else(|| Failure::invalid(format!("there is no port {port}")))?;
        if !port.pools.iter().any(|known| known == pool) {
            port.pools.push(pool.to_owned());
        }
    }
    Ok(())
}

/// Takes a pool from behind the ports of which this is true.
fn detach(world: &mut World, pool: &str, from: impl Fn(&str) -> bool) {
    let ports: Vec<String> = world.balancer_ports.iter().map(|port| port.id.clone()).collect();
    for port in ports.into_iter().filter(|port| from(port)) {
        if let Some(port) = world.balancer_ports.get_mut(&port) {
            port.pools.retain(|known| known != pool);
        }
    }
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    protocol: Option<Protocol>,
    #[serde(default)]
    add_port_ids: Vec<String>,
    #[serde(default)]
    remove_port_ids: Vec<String>,
    #[serde(default)]
    clear_ports: bool,
    #[serde(default)]
    remove_origin_ids: Vec<String>,
    #[serde(default)]
    clear_origins: bool,
}

pub(super) async fn update(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::OK, |world, caller| {
        let id = found(world, caller, ask.id("id"))?.id.clone();
        let change: Change = ask.body()?;
        if change.name.as_deref() == Some("") {
            return Err(Failure::invalid("name must not be empty"));
        }
        detach(world, &id, |port| {
            change.clear_ports || change.remove_port_ids.iter().any(|it| it == port)
        });
        attach(world, &id, &change.add_port_ids)?;
        world.balancer_origins.retain(|origin| {
            origin.pool != id || !(change.clear_origins || change.remove_origin_ids.contains(&origin.id))
        });
        let now = world.now;
        if let Some(it) = world.balancer_pools.get_mut(&id) {
            it.name = change.name.unwrap_or_else(|| std::mem::take(&mut it.name));
            it.protocol = change.protocol.unwrap_or(it.protocol);
            it.updated_at = Some(now);
        }
        Ok(Some(show(world, found(world, caller, &id)?)))
    })
}

pub(super) async fn delete(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::NO_CONTENT, |world, caller| {
        let id = found(world, caller, ask.id("id"))?.id.clone();
        world.delete_pool(&id);
        Ok(None)
    })
}

pub(super) async fn origins(ask: Ask) -> Answer {
    answer_list(&ask, |world, caller| {
        let pool = &found(world, caller, ask.id("id"))?.id;
        Ok(json!({"origins": of_pool(world, pool).map(show_origin).collect::<Vec<Value>>()}))
    })
}

#[derive(Deserialize)]
struct WantedOrigin {
    name: Option<String>,
    target: Option<String>,
    port_number: Option<u16>,
    active: Option<bool>,
}

pub(super) async fn create_origin(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::CREATED, |world, caller| {
        let pool = found(world, caller, ask.id("id"))?.id.clone();
        let wanted: WantedOrigin = ask.body()?;
        let id = world.draw_balancer_id("loadogn");
        let mut origin = Origin {
            id: id.clone(),
            pool,
            created_at: Some(world.now),
            active: true,
            ..Origin::default()
        };
        change_origin(&mut origin, wanted)?;
        origin.updated_at = Some(world.now);
        world.balancer_origins.insert(origin);
        Ok(Some(created(&id)))
    })
}

/// Sets what is given, and refuses an origin that cannot work.
fn change_origin(it: &mut Origin, wanted: WantedOrigin) -> Result<(), Failure> {
    it.name = wanted.name.unwrap_or_else(|| std::mem::take(&mut it.name));
    it.target = wanted.target.unwrap_or_else(|| std::mem::take(&mut it.target));
    it.port_number = wanted.port_number.unwrap_or(it.port_number);
    it.active = wanted.active.unwrap_or(it.active);
    let mut errors = Vec::new();
    if it.name.is_empty() {
        errors.push("name must not be empty".to_owned());
    }
    if it.target.parse::<IpAddr>().is_err() {
        errors.push(format!("target {:?} is no IP address", it.target));
    }
    if it.port_number == 0 {
        errors.push("port_number must be between 1 and 65535".to_owned());
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid_all(errors))
}

/// An origin, if it is the caller's.
fn origin<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Origin, Failure> {
    let it = world.balancer_origins.get(id).ok_or_else(Failure::not_found)?;
    found(world, caller, &it.pool)?;
    Ok(it)
}

pub(super) async fn read_origin(ask: Ask) -> Answer {
    answer_read(&ask, |world, caller| {
        Ok(show_origin(origin(world, caller, ask.id("id"))?))
    })
}

pub(super) async fn update_origin(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::OK, |world, caller| {
        let id = origin(world, caller, ask.id("id"))?.id.clone();
        let now = world.now;
        let it = world.balancer_origins.get_mut(&id).ok_or_else(Failure::not_found)?;
        change_origin(it, ask.body()?)?;
        it.updated_at = Some(now);
        Ok(Some(show_origin(it)))
    })
}

pub(super) async fn delete_origin(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::NO_CONTENT, |world, caller| {
        let id = origin(world, caller, ask.id("id"))?.id.clone();
        world.balancer_origins.remove(&id);
        Ok(None)
    })
}
