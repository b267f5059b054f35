//! Devices over HTTP.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::ask::Ask;
use super::includes::Includes;
use super::page::Page;
use super::show;
use crate::failure::Failure;
use crate::world::{Device, NewDevice, WantedAddress, World};

/// How many devices a page has unless the client says otherwise.
const PAGE: usize = 10;

pub(crate) async fn read(ask: Ask) -> Answer {
    ask.read(|world, caller| {
        let device = caller.device(world, ask.id("id"))?;
        Ok(show::device(world, device, &Includes::of(&ask)))
    })
}

pub(crate) async fn list(ask: Ask) -> Answer {
    ask.list(|world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        let page = Page::of(&ask, PAGE, world.settings.page_limit)?;
        let own = world.devices.iter().filter(|device| device.project == project.id);
        let asked = own.filter(|device| matches(world, device, &ask)).collect();
        let includes = Includes::of(&ask);
        Ok(page.of_list(&ask, "devices", asked, |it| show::device(world, it, &includes)))
    })
}

/// Whether a device passes the filters of the query.
fn matches(world: &World, device: &Device, ask: &Ask) -> bool {
    let plan_type = |kind: &str| device.plan == kind || kind == "default";
    let addresses = || {
        let elastic = world.assignments.iter().filter(|it| it.device == device.id);
        let elastic = elastic.map(|it| it.address.as_str());
        device.nics.iter().map(|nic| nic.address.as_str()).chain(elastic)
    };
    let found = |text: &str| {
        device.hostname.contains(text)
            || device.description.as_deref().is_some_and(|it| it.contains(text))
            || device.tags.iter().any(|tag| tag.contains(text))
            || device.id.starts_with(text)
            || addresses().any(|address| address == text)
    };
    let flag = |text: &str| text == "true" || text == "1";
    ask.query()
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .all(|(name, value)| match name.as_str() {
            "hostname" => device.hostname.contains(value.as_str()),
            "facility" => device.facility.as_deref() == Some(value),
            "metro" => device.metro == *value,
            "tag" => device.tags.contains(value),
            "type" => plan_type(value),
            "mac_address" => device.mac.eq_ignore_ascii_case(value),
            "has_termination_time" => device.termination_time.is_some() == flag(value),
            // No device of this cloud is reserved hardware.
            "reserved" => !flag(value),
            "categories" | "categories[]" => value.split(',').any(|kind| kind == "compute"),
            "search" => found(value),
            _ => true,
        })
}

/// One place or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Places {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Wanted {
    plan: Option<String>,
    operating_system: Option<String>,
    metro: Option<String>,
    facility: Option<Places>,
    hostname: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    locked: Option<bool>,
    customdata: Option<Value>,
    termination_time: Option<String>,
    ip_addresses: Option<Vec<WantedAddress>>,
}

pub(crate) async fn create(ask: Ask) -> Answer {
    ask.write(StatusCode::CREATED, |world, caller| {
        let project = caller.project(world, ask.id("project"))?.id.clone();
        let new = checked(world, project, ask.body()?)?;
        let id = world.create_device(new);
        let device = world.device(&id)?;
        Ok(Some(show::device(world, device, &Includes::of(&ask))))
    })
}

fn checked(world: &World, project: String, wanted: Wanted) -> Result<NewDevice, Failure> {
    let mut errors = Vec::new();
    let plan = wanted.plan.unwrap_or_default();
    let by_id = world
        .plans
        .iter()
        .find(|known| known.id == plan)
        .map(|known| known.slug.clone());
    let plan = by_id.unwrap_or(plan);
    if plan.is_empty() {
        errors.push("plan can't be blank".to_owned());
    } else if world.plan(&plan).is_none() {
        errors.push(format!("{plan} is not a valid plan"));
    }
    let operating_system = wanted.operating_system.unwrap_or_default();
    if operating_system.is_empty() {
        errors.push("operating_system can't be blank".to_owned());
    }
    let facilities = match wanted.facility {
        None => Vec::new(),
        Some(Places::One(one)) => vec![one],
        Some(Places::Many(many)) => many,
    };
    let mut place = (String::new(), None);
    match (wanted.metro, facilities.as_slice()) {
        (Some(_), [_, ..]) => errors.push("metro and facility cannot both be given".to_owned()),
        (None, []) => errors.push("one of metro and facility must be given".to_owned()),
        (Some(code), []) => match world.metro(&code.to_lowercase()) {
            Some(metro) => place = (metro.code.clone(), None),
            None => errors.push(format!("{code} is not a valid metro")),
        },
        (None, codes) => {
            let any = codes.iter().any(|code| code == "any");
            let known = codes.iter().find_map(|code| world.facility(code));
            match known.or_else(|| world.facilities.first().filter(|_| any)) {
                Some(facility) => place = (facility.metro.clone(), Some(facility.code.clone())),
                None => errors.push(format!("{} is not a valid facility", codes.join(", "))),
            }
        }
    }
    if let Some(name) = wanted.hostname.as_deref()
        && !hostname_is_good(name)
    {
        errors.push(format!("{name:?} is not a valid hostname"));
    }
    if let Some(addresses) = &wanted.ip_addresses {
        if addresses.is_empty() {
            errors.push("ip_addresses must not be empty".to_owned());
        }
        if addresses.iter().any(|it| !matches!(it.address_family, 4 | 6)) {
            errors.push("address_family must be 4 or 6".to_owned());
        }
    }
    if !errors.is_empty() {
        return Err(Failure::invalid_all(errors));
    }
    Ok(NewDevice {
        project,
        hostname: wanted.hostname.filter(|name| !name.is_empty()),
        description: wanted.description,
        plan,
        metro: place.0,
        facility: place.1,
        operating_system,
        tags: wanted.tags.unwrap_or_default(),
        locked: wanted.locked.unwrap_or_default(),
        customdata: wanted.customdata,
        termination_time: wanted.termination_time,
        wanted: wanted.ip_addresses,
    })
}

fn hostname_is_good(name: &str) -> bool {
    name.len() <= 253
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !name.starts_with('-')
}

#[derive(Deserialize)]
struct Change {
    hostname: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    locked: Option<bool>,
    customdata: Option<Value>,
}

pub(crate) async fn update(ask: Ask) -> Answer {
    ask.write(StatusCode::OK, |world, caller| {
        let id = caller.device(world, ask.id("id"))?.id.clone();
        let change: Change = ask.body()?;
        if let Some(name) = change.hostname.as_deref()
            && !hostname_is_good(name)
        {
            return Err(Failure::invalid(format!("{name:?} is not a valid hostname")));
        }
        let now = world.now;
        let device = world.devices.get_mut(&id).ok_or_else(Failure::not_found)?;
        if let Some(hostname) = change.hostname.filter(|name| !name.is_empty()) {
            device.hostname = hostname;
        }
        device.description = change.description.or(device.description.take());
        device.tags = change.tags.unwrap_or_else(|| std::mem::take(&mut device.tags));
        device.locked = change.locked.unwrap_or(device.locked);
        device.customdata = change.customdata.or(device.customdata.take());
        device.updated_at = Some(now);
        Ok(Some(show::device(world, world.device(&id)?, &Includes::of(&ask))))
    })
}

pub(crate) async fn delete(ask: Ask) -> Answer {
    ask.write(StatusCode::NO_CONTENT, |world, caller| {
        let id = caller.device(world, ask.id("id"))?.id.clone();
        world.delete_device(&id)?;
        Ok(None)
    })
}

#[derive(Deserialize)]
struct WantedAction {
    #[serde(rename = "type", default)]
    kind: String,
}

pub(crate) async fn act(ask: Ask) -> Answer {
    ask.write(StatusCode::ACCEPTED, |world, caller| {
        let id = caller.device(world, ask.id("id"))?.id.clone();
        let action: WantedAction = ask.body()?;
        world.act_on_device(&id, &action.kind)?;
        Ok(None)
    })
}
