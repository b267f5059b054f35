//! `/ips/v1/ip-blocks`.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use crate::failure::Failure;
use crate::world::World;

pub(super) fn list(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let ids = world.block_ids(&ask.account, &ask.queries("tag"));
    let told: Result<Value, Failure> = ids.iter().map(|id| world.block_json(&ask.account, id)).collect();
    world.blocks_read(&ids);
    Ok(Answer::ok(told?))
}

pub(super) fn read(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let told = world.block_json(&ask.account, ask.id())?;
    world.blocks_read(&[ask.id().to_owned()]);
    Ok(Answer::ok(told))
}

pub(super) fn create(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["location", "cidrBlockSize", "ipVersion", "description", "tags"];
    let id = world.create_block(&ask.account, ask.fields(&known)?)?;
    Ok(Answer::with(201, world.block_json(&ask.account, &id)?))
}

pub(super) fn change(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.describe_block(&ask.account, ask.id(), ask.fields(&["description"])?)?;
    Ok(Answer::ok(world.block_json(&ask.account, ask.id())?))
}

pub(super) fn tag(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.tag_block(&ask.account, ask.id(), &ask.body)?;
    Ok(Answer::ok(world.block_json(&ask.account, ask.id())?))
}

pub(super) fn delete(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.delete_block(&ask.account, ask.id())?;
    Ok(Answer::ok(
        json!({"result": "IP Block has been deleted.", "ipBlockId": ask.id()}),
    ))
}
