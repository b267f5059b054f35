//! Elastic IPs over HTTP.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::ask::{Ask, Caller};
use super::includes::Includes;
use super::page::Page;
use super::show;
use crate::failure::Failure;
use crate::world::{NewReservation, ReservationKind, World};

/// How many reservations a page has unless the client says otherwise.
const PAGE: usize = 250;

pub(crate) async fn list(ask: Ask) -> Answer {
    ask.list(|world, caller| {
        let project = caller.project(world, ask.id("project"))?;
        let page = Page::of(&ask, PAGE, world.settings.page_limit)?;
        let kinds = ask.params("types");
        let own = world.reservations.iter().filter(|it| it.project == project.id);
        let asked = own.filter(|it| kinds.is_empty() || kinds.iter().any(|kind| kind == it.kind.word()));
        let includes = Includes::of(&ask);
        let show = |it| show::reservation(world, it, &includes);
        Ok(page.of_list(&ask, "ip_addresses", asked.collect(), show))
    })
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "type", default)]
    kind: String,
    quantity: Option<i64>,
    metro: Option<String>,
    facility: Option<String>,
    tags: Option<Vec<String>>,
    details: Option<String>,
    comments: Option<String>,
    customdata: Option<Value>,
    fail_on_approval_required: Option<bool>,
}

pub(crate) async fn create(ask: Ask) -> Answer {
    ask.write(StatusCode::CREATED, |world, caller| {
        let project = caller.project(world, ask.id("project"))?.id.clone();
        let new = checked(world, project, ask.body()?)?;
        let id = world.reserve(new)?;
        let made = world.reservations.get(&id).ok_or_else(Failure::not_found)?;
        Ok(Some(show::reservation(world, made, &Includes::of(&ask))))
    })
}

fn checked(world: &World, project: String, wanted: Wanted) -> Result<NewReservation, Failure> {
    let mut errors = Vec::new();
    let kind = match wanted.kind.as_str() {
        "public_ipv4" => Some(ReservationKind::PublicIpv4),
        "global_ipv4" => Some(ReservationKind::GlobalIpv4),
        "private_ipv4" => Some(ReservationKind::PrivateIpv4),
        "public_ipv6" => Some(ReservationKind::PublicIpv6),
        "" => {
            errors.push("type can't be blank".to_owned());
            None
        }
        // A VRF's addresses are asked for with the VRF's id, which this cloud has none of.
        other => {
            errors.push(format!("{other} is not a valid type"));
            None
        }
    };
    let quantity = u32::try_from(wanted.quantity.unwrap_or(0)).unwrap_or(0);
    if !quantity.is_power_of_two() || quantity > 256 {
        errors.push("quantity must be a power of two between 1 and 256".to_owned());
    }
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut place = (None, None);
    match (kind, some(wanted.metro), some(wanted.facility)) {
        (Some(ReservationKind::GlobalIpv4), None, None) => {}
        (Some(ReservationKind::GlobalIpv4), ..) => {
            errors.push("a global_ipv4 reservation has neither metro nor facility".to_owned());
        }
        (_, Some(_), Some(_)) => errors.push("metro and facility cannot both be given".to_owned()),
        (_, None, None) => errors.push("one of metro and facility must be given".to_owned()),
        (_, Some(code), None) => match world.metro(&code.to_lowercase()) {
            Some(metro) => place.0 = Some(metro.code.clone()),
            None => errors.push(format!("{code} is not a valid metro")),
        },
        (_, None, Some(code)) => match world.facility(&code) {
            Some(facility) => place = (Some(facility.metro.clone()), Some(facility.code.clone())),
            None => errors.push(format!("{code} is not a valid facility")),
        },
    }
    let Some(kind) = kind.filter(|_| errors.is_empty()) else {
        return Err(Failure::invalid_all(errors));
    };
    Ok(NewReservation {
        project,
        kind,
        quantity,
        metro: place.0,
        facility: place.1,
        tags: wanted.tags.unwrap_or_default(),
        details: wanted.details.or(wanted.comments),
        customdata: wanted.customdata,
        fail_on_approval: wanted.fail_on_approval_required.unwrap_or_default(),
    })
}

pub(crate) async fn read(ask: Ask) -> Answer {
    ask.read(|world, caller| found(world, caller, ask.id("id"), &Includes::of(&ask)))
}

/// What has this id: an assignment, a reservation, or a management address.
fn found(world: &World, caller: &Caller, id: &str, includes: &Includes) -> Result<Value, Failure> {
    caller.check(world, &owner(world, id)?)?;
    if let Some(it) = world.assignments.get(id) {
        return Ok(includes.trim(show::assignment(world, it, includes)));
    }
    if let Some(it) = world.reservations.get(id) {
        return Ok(show::reservation(world, it, includes));
    }
    let mut nics = world
        .devices
        .iter()
        .flat_map(|device| device.nics.iter().map(move |nic| (device, nic)));
    let (device, nic) = nics.find(|(_, nic)| nic.id == id).ok_or_else(Failure::not_found)?;
    Ok(includes.trim(show::nic(world, device, nic, includes)))
}

/// The project of what has this id.
fn owner(world: &World, id: &str) -> Result<String, Failure> {
    let reservation = match world.assignments.get(id) {
        Some(it) => it.reservation.as_str(),
        None => id,
    };
    if let Some(it) = world.reservations.get(reservation) {
        return Ok(it.project.clone());
    }
    let device = world
        .devices
        .iter()
        .find(|device| device.nics.iter().any(|nic| nic.id == id));
    device
        .map(|device| device.project.clone())
        .ok_or_else(Failure::not_found)
}

#[derive(Deserialize)]
struct Change {
    details: Option<String>,
    tags: Option<Vec<String>>,
    customdata: Option<Value>,
}

pub(crate) async fn update(ask: Ask) -> Answer {
    ask.write(StatusCode::OK, |world, caller| {
        let id = ask.id("id");
        caller.check(world, &owner(world, id)?)?;
        let change: Change = ask.body()?;
        let (details, tags, customdata) = if let Some(it) = world.assignments.get_mut(id) {
            (&mut it.details, &mut it.tags, &mut it.customdata)
        } else if let Some(it) = world.reservations.get_mut(id) {
            (&mut it.details, &mut it.tags, &mut it.customdata)
        } else {
            return Err(Failure::invalid("Management addresses cannot be changed"));
        };
        *details = change.details.or(details.take());
        *customdata = change.customdata.or(customdata.take());
        if let Some(new) = change.tags {
            *tags = new;
        }
        found(world, caller, id, &Includes::of(&ask)).map(Some)
    })
}

pub(crate) async fn delete(ask: Ask) -> Answer {
    ask.write(StatusCode::NO_CONTENT, |world, caller| {
        let id = ask.id("id");
        caller.check(world, &owner(world, id)?)?;
        world.delete_ip(id)?;
        Ok(None)
    })
}

pub(crate) async fn of_device(ask: Ask) -> Answer {
    ask.read(|world, caller| {
        let device = caller.device(world, ask.id("id"))?;
        let includes = Includes::of(&ask);
        let own = device.nics.iter().map(|nic| show::nic(world, device, nic, &includes));
        let elastic = world.assignments.iter().filter(|it| it.device == device.id);
        let elastic = elastic.map(|it| show::assignment(world, it, &includes));
        Ok(json!({"ip_addresses": own.chain(elastic).map(|it| includes.trim(it)).collect::<Vec<Value>>()}))
    })
}

#[derive(Deserialize)]
struct WantedAssignment {
    #[serde(default)]
    address: String,
}

pub(crate) async fn assign(ask: Ask) -> Answer {
    ask.write(StatusCode::CREATED, |world, caller| {
        let device = caller.device(world, ask.id("id"))?.id.clone();
        let wanted: WantedAssignment = ask.body()?;
        let id = world.assign(&device, &wanted.address)?;
        found(world, caller, &id, &Includes::of(&ask)).map(Some)
    })
}
