//! The listening ports of load balancers.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, Caller, Failure, answer_list, answer_read, answer_write, created, found, when};
use crate::world::{Port, World};

pub(super) fn show(it: &Port) -> Value {
    json!({
        "id": it.id, "name": it.name, "number": it.number, "loadbalancer_id": it.balancer, "pool_ids": it.pools,
        "created_at": when(it.created_at), "updated_at": when(it.updated_at),
    })
}

pub(super) async fn list(ask: Ask) -> Answer {
    answer_list(&ask, |world, caller| {
        let id = &found(world, caller, ask.id("id"))?.id;
        Ok(json!({"ports": world.ports_of(id).map(show).collect::<Vec<Value>>()}))
    })
}

pub(super) async fn read(ask: Ask) -> Answer {
    answer_read(&ask, |world, caller| {
        let id = &found(world, caller, ask.id("id"))?.id;
        let number = ask.id("number");
        let port = world.ports_of(id).find(|port| port.number.to_string() == number);
        port.map(show).ok_or_else(Failure::not_found)
    })
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    number: Option<u16>,
    #[serde(default)]
    pool_ids: Option<Vec<String>>,
}

pub(super) async fn create(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::CREATED, |world, caller| {
        let balancer = found(world, caller, ask.id("id"))?.id.clone();
        let wanted: Wanted = ask.body()?;
        let name = wanted.name.unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::invalid("name must not be empty"));
        }
        let pools = wanted.pool_ids.unwrap_or_default();
        let id = world.create_port(&balancer, name, wanted.number.unwrap_or_default(), pools)?;
        Ok(Some(created(&id)))
    })
}

/// The port of this id, if it is the caller's.
fn port(world: &World, caller: &Caller, id: &str) -> Result<String, Failure> {
    let it = world.balancer_ports.get(id).ok_or_else(Failure::not_found)?;
    found(world, caller, &it.balancer)?;
    Ok(it.id.clone())
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    number: Option<u16>,
    #[serde(default)]
    add_pool_ids: Vec<String>,
    #[serde(default)]
    remove_pool_ids: Vec<String>,
}

pub(super) async fn update(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::OK, |world, caller| {
        let id = port(world, caller, ask.id("id"))?;
        let change: Change = ask.body()?;
        world.check_pools(&change.add_pool_ids)?;
        let now = world.now;
        let it = world.balancer_ports.get_mut(&id).ok_or_else(Failure::not_found)?;
        it.name = change.name.unwrap_or_else(|| std::mem::take(&mut it.name));
        it.number = change.number.unwrap_or(it.number);
        it.pools.retain(|pool| !change.remove_pool_ids.contains(pool));
        for pool in change.add_pool_ids {
            if !it.pools.contains(&pool) {
                it.pools.push(pool);
            }
        }
        it.updated_at = Some(now);
        let (shown, balancer, number) = (show(it), it.balancer.clone(), it.number);
        if number == 0 || world.ports_of(&balancer).filter(|port| port.number == number).count() > 1 {
            return Err(Failure::invalid(format!(
                "the load balancer cannot have a second port {number}"
            )));
        }
        Ok(Some(shown))
    })
}

pub(super) async fn delete(ask: Ask) -> Answer {
    answer_write(&ask, StatusCode::NO_CONTENT, |world, caller| {
        let id = port(world, caller, ask.id("id"))?;
        world.balancer_ports.remove(&id);
        Ok(None)
    })
}
