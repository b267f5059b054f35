//! `/bmc/v1/servers`.

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use crate::failure::Failure;
use crate::world::{Action, Reach, World, block_id, flag};

const CREATE: [&str; 15] = [
    "hostname",
    "description",
    "os",
    "type",
    "location",
    "installDefaultSshKeys",
    "sshKeys",
    "sshKeyIds",
    "reservationId",
    "pricingModel",
    "networkType",
    "osConfiguration",
    "tags",
    "networkConfiguration",
    "storageConfiguration",
];

pub(super) fn list(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let ids = world.server_ids(&ask.account, &ask.queries("tag"));
    let told: Result<Value, Failure> = ids.iter().map(|id| world.server_json(&ask.account, id)).collect();
    world.servers_read(&ids);
    Ok(Answer::ok(told?))
}

pub(super) fn read(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let told = world.server_json(&ask.account, ask.id())?;
    world.servers_read(&[ask.id().to_owned()]);
    Ok(Answer::ok(told))
}

pub(super) fn create(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let id = world.create_server(&ask.account, ask.fields(&CREATE)?)?;
    let mut told = world.server_json(&ask.account, &id)?;
    told["password"] = format!("sim-{:016x}", world.draw()).into();
    Ok(Answer::ok(told))
}

pub(super) fn change(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.change_server(&ask.account, ask.id(), ask.fields(&["hostname", "description"])?)?;
    Ok(Answer::ok(world.server_json(&ask.account, ask.id())?))
}

pub(super) fn delete(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.deprovision(&ask.account, ask.id(), true)?;
    let result = "The server is being deleted.";
    Ok(Answer::ok(json!({"result": result, "serverId": ask.id()})))
}

pub(super) fn tag(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.tag_server(&ask.account, ask.id(), &ask.body)?;
    Ok(Answer::ok(world.server_json(&ask.account, ask.id())?))
}

pub(super) fn act(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let (account, id) = (&ask.account, ask.id());
    let mut done = |action: Action, told: &str| {
        world.act(account, id, action)?;
        Ok(Answer::ok(json!({"result": told})))
    };
    match ask.part(1) {
        "power-on" => done(Action::PowerOn, "Power on server initiated."),
        "power-off" | "shutdown" => done(Action::PowerOff, "Power off server initiated."),
        "reboot" => done(Action::Reboot, "Reboot server initiated."),
        "reset" => done(Action::Reset, "Reset server initiated."),
        "deprovision" => {
            let delete = match &ask.body {
                Value::Null => None,
                _ => flag(ask.fields(&["deleteIpBlocks"])?, "deleteIpBlocks")?,
            };
            world.deprovision(account, id, delete.unwrap_or(false))?;
            Ok(Answer::with(202, json!(format!("Server {id} is being deprovisioned."))))
        }
        _ => Err(Failure::new(404, "No such action.")),
    }
}

pub(super) fn give_block(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let block = block_id(&ask.body)?;
    world.give_block(&ask.account, ask.id(), &block)?;
    Ok(Answer::with(202, json!({"id": block})))
}

pub(super) fn take_block(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let delete = match &ask.body {
        Value::Null => None,
        _ => flag(ask.fields(&["deleteIpBlocks"])?, "deleteIpBlocks")?,
    };
    world.take_block(&ask.account, ask.id(), ask.part(1), delete.unwrap_or(false))?;
    Ok(Answer::with(
        202,
        json!("The specified IP block is being removed from the server."),
    ))
}

/// Which kind of network a path names, twice.
fn reach(ask: &Ask) -> Result<Reach, Failure> {
    match (ask.part(1), ask.part(2)) {
        ("public-network-configuration", "public-networks") => Ok(Reach::Public),
        ("private-network-configuration", "private-networks") => Ok(Reach::Private),
        _ => Err(Failure::new(404, "No such path.")),
    }
}

pub(super) fn join(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let known = ["id", "ips", "dhcp", "statusDescription", "computeSlaacIp"];
    let told = world.join(&ask.account, ask.id(), reach(ask)?, ask.fields(&known)?)?;
    Ok(Answer::with(202, told))
}

pub(super) fn readdress(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    let place = (ask.id(), ask.part(3));
    let told = world.readdress(
        &ask.account,
        place,
        reach(ask)?,
        ask.fields(&["ips", "computeSlaacIp", "dhcp"])?,
    )?;
    Ok(Answer::ok(told))
}

pub(super) fn leave(world: &mut World, ask: &Ask) -> Result<Answer, Failure> {
    world.leave(&ask.account, ask.id(), reach(ask)?, ask.part(3))?;
    Ok(Answer::with(
        202,
        json!("The server is being removed from the network."),
    ))
}
