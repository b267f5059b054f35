//! BGP over HTTP.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::ask::{Ask, Caller};
use super::show;
use crate::failure::Failure;
use crate::world::{BgpConfig, BgpStatus, Deployment, Session, World};

/// The autonomous system of a project that names none.
const LOCAL_ASN: u32 = 65000;

pub(crate) async fn config(ask: Ask) -> Answer {
    ask.read(|world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        // A project that never asked for BGP has an empty one.
        Ok(project
            .bgp
            .as_ref()
            .map_or(json!({}), |bgp| show::bgp_config(world, project, bgp)))
    })
}

#[derive(Deserialize)]
struct Wanted {
    deployment_type: Option<String>,
    asn: Option<i64>,
    md5: Option<String>,
    use_case: Option<String>,
}

pub(crate) async fn enable(ask: Ask) -> Answer {
    ask.write(StatusCode::NO_CONTENT, |world, caller| {
        let project = caller.project(world, ask.id("project"))?.id.clone();
        let wanted: Wanted = ask.body()?;
        let mut errors = Vec::new();
        let deployment_type = match wanted.deployment_type.as_deref() {
            Some("local") => Deployment::Local,
            Some("global") => Deployment::Global,
            other => {
                errors.push(format!(
                    "{:?} is not a valid deployment_type",
                    other.unwrap_or_default()
                ));
                Deployment::Local
            }
        };
        let asn = u32::try_from(wanted.asn.unwrap_or(i64::from(LOCAL_ASN))).unwrap_or_else(|_| {
            errors.push("asn must be between 0 and 4294967295".to_owned());
            0
        });
        if !errors.is_empty() {
            return Err(Failure::invalid_all(errors));
        }
        let config = BgpConfig {
            id: String::new(),
            asn,
            deployment_type,
            status: BgpStatus::Requested,
            md5: wanted.md5,
            use_case: wanted.use_case,
            requested_at: None,
        };
        world.enable_bgp(&project, config)?;
        Ok(None)
    })
}

pub(crate) async fn project_sessions(ask: Ask) -> Answer {
    ask.list(|world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        let own = |it: &&Session| {
            world
                .devices
                .get(&it.device)
                .is_some_and(|device| device.project == project.id)
        };
        Ok(sessions(world, world.sessions.iter().filter(own)))
    })
}

pub(crate) async fn device_sessions(ask: Ask) -> Answer {
    ask.read(|world, caller| {
        let device = caller.device(world, ask.id("id"))?;
        Ok(sessions(
            world,
            world.sessions.iter().filter(|it| it.device == device.id),
        ))
    })
}

fn sessions<'a>(world: &World, of: impl Iterator<Item = &'a Session>) -> Value {
    json!({"bgp_sessions": of.map(|it| show::session(world, it)).collect::<Vec<Value>>()})
}

pub(crate) async fn neighbors(ask: Ask) -> Answer {
    ask.read(|world, caller| {
        let device = caller.device(world, ask.id("id"))?;
        let own = world.sessions.iter().filter(|it| it.device == device.id);
        let all: Vec<Value> = own.map(|it| show::neighbor(world, device, it)).collect();
        Ok(json!({ "bgp_neighbors": all }))
    })
}

#[derive(Deserialize)]
struct WantedSession {
    address_family: Option<String>,
    default_route: Option<bool>,
}

pub(crate) async fn create_session(ask: Ask) -> Answer {
    ask.write(StatusCode::CREATED, |world, caller| {
        let device = caller.device(world, ask.id("id"))?.id.clone();
        let wanted: WantedSession = ask.body()?;
        let family = match wanted.address_family.as_deref() {
            Some("ipv4") => 4,
            Some("ipv6") => 6,
            other => {
                let other = other.unwrap_or_default();
                return Err(Failure::invalid(format!("{other:?} is not a valid address_family")));
            }
        };
        let id = world.create_session(&device, family, wanted.default_route.unwrap_or_default())?;
        let made = world.sessions.get(&id).ok_or_else(Failure::not_found)?;
        Ok(Some(show::session(world, made)))
    })
}

/// A session, if it is of the caller's device.
fn session<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Session, Failure> {
    let it = world.sessions.get(id).ok_or_else(Failure::not_found)?;
    caller.device(world, &it.device)?;
    Ok(it)
}

pub(crate) async fn read_session(ask: Ask) -> Answer {
    ask.read(|world, caller| Ok(show::session(world, session(world, caller, ask.id("id"))?)))
}

pub(crate) async fn update_session(ask: Ask) -> Answer {
    ask.write(StatusCode::OK, |world, caller| {
        let id = session(world, caller, ask.id("id"))?.id.clone();
        // The whole body is whether the session has a default route.
        let default_route: bool = ask.body()?;
        let now = world.now;
        let it = world.sessions.get_mut(&id).ok_or_else(Failure::not_found)?;
        (it.default_route, it.updated_at) = (default_route, Some(now));
        Ok(Some(show::session(world, session(world, caller, &id)?)))
    })
}

pub(crate) async fn delete_session(ask: Ask) -> Answer {
    ask.write(StatusCode::NO_CONTENT, |world, caller| {
        let id = session(world, caller, ask.id("id"))?.id.clone();
        world.sessions.remove(&id);
        Ok(None)
    })
}
