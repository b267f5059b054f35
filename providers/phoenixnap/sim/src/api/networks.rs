//! `/networks/v1`.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use crate::failure::Failure;
use crate::world::{World, block_id};

pub(super) fn list_public(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let ids = world.public_network_ids(&ask.account, ask.query("location"));
    let told: Result<Value, Failure> = ids
        .iter()
        .map(|id| world.public_network_json(&ask.account, id))
        .collect();
    Ok(Answer::ok(told?))
}

pub(super) fn read_public(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    Ok(Answer::ok(world.public_network_json(&ask.account, ask.id())?))
}

pub(super) fn create_public(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["name", "location", "description", "vlanId", "ipBlocks", "raEnabled"];
    let id = world.create_public_network(&ask.account, ask.fields(&known)?)?;
    Ok(Answer::with(201, world.public_network_json(&ask.account, &id)?))
}

pub(super) fn change_public(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["name", "description", "raEnabled"];
    world.change_public_network(&ask.account, ask.id(), ask.fields(&known)?)?;
    Ok(Answer::ok(world.public_network_json(&ask.account, ask.id())?))
}

pub(super) fn delete_public(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.delete_public_network(&ask.account, ask.id())?;
    Ok(Answer::empty(204))
}

pub(super) fn add_block(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    ask.fields(&["id"])?;
    let told = world.add_block(&ask.account, ask.id(), &block_id(&ask.body)?)?;
    Ok(Answer::with(202, told))
}

pub(super) fn remove_block(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.remove_block(&ask.account, ask.id(), ask.part(1), ask.force())?;
    let told = "The specified IP block is being removed from the Public Network.";
    Ok(Answer::with(202, json!(told)))
}

pub(super) fn list_private(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let ids = world.private_network_ids(&ask.account, ask.query("location"));
    let told: Result<Value, Failure> = ids
        .iter()
        .map(|id| world.private_network_json(&ask.account, id))
        .collect();
    Ok(Answer::ok(told?))
}

pub(super) fn read_private(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    Ok(Answer::ok(world.private_network_json(&ask.account, ask.id())?))
}

pub(super) fn create_private(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["name", "location", "description", "locationDefault", "vlanId", "cidr"];
    let id = world.create_private_network(&ask.account, ask.fields(&known)?, ask.force())?;
    Ok(Answer::with(201, world.private_network_json(&ask.account, &id)?))
}

pub(super) fn change_private(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["name", "locationDefault", "description"];
    world.change_private_network(&ask.account, ask.id(), ask.fields(&known)?)?;
    Ok(Answer::ok(world.private_network_json(&ask.account, ask.id())?))
}

pub(super) fn delete_private(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.delete_private_network(&ask.account, ask.id())?;
    Ok(Answer::empty(204))
}
