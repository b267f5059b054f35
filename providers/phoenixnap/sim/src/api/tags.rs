//! `/tag-manager/v1/tags`.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use crate::failure::Failure;
use crate::world::World;

const KNOWN: [&str; 3] = ["name", "isBillingTag", "description"];

pub(super) fn list(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let ids = world.tag_ids(&ask.account, ask.query("name"));
    let told: Result<Value, Failure> = ids.iter().map(|id| world.tag_json(&ask.account, id)).collect();
    Ok(Answer::ok(told?))
}

pub(super) fn read(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    Ok(Answer::ok(world.tag_json(&ask.account, ask.id())?))
}

pub(super) fn create(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let id = world.create_tag(&ask.account, ask.fields(&KNOWN)?)?;
    Ok(Answer::with(201, world.tag_json(&ask.account, &id)?))
}

pub(super) fn change(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.change_tag(&ask.account, ask.id(), ask.fields(&KNOWN)?)?;
    Ok(Answer::ok(world.tag_json(&ask.account, ask.id())?))
}

pub(super) fn delete(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let name = world.delete_tag(&ask.account, ask.id())?;
    let result = format!("Tag [{name}] has been deleted.");
    Ok(Answer::ok(json!({"result": result, "tagId": ask.id()})))
}
