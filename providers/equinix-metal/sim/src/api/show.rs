//! Objects as the API writes them.

use serde_json::{Map, Value, json};

use super::includes::Includes;
use crate::world::{
    Assignment, BgpConfig, Device, DeviceState, Nic, Project, Reservation, ReservationKind, Session, World, learned,
    stamp,
};
use crate::world::{MAX_PREFIX, PEER_ASN};

/// The address of an object.
pub(crate) fn href(kind: &str, id: &str) -> Value {
    json!({ "href": format!("{}/{kind}/{id}", super::BASE) })
}

fn when(at: Option<jiff::Timestamp>) -> Value {
    at.map_or(Value::Null, |at| stamp(at).into())
}

pub(crate) fn device(world: &World, it: &Device, includes: &Includes) -> Value {
    let mut shown = json!({
        "id": it.id, "short_id": it.short_id(), "hostname": it.hostname, "description": it.description,
        "state": it.state.word(), "tags": it.tags, "locked": it.locked, "customdata": it.customdata.clone().unwrap_or(json!({})),
        "billing_cycle": "hourly", "user": "root", "iqn": "", "always_pxe": false, "spot_instance": false,
        "bonding_mode": 5, "network_frozen": false, "termination_time": it.termination_time,
        "created_at": when(it.created_at), "updated_at": when(it.updated_at),
        "provisioning_percentage": it.progress(world.now),
        "operating_system": {"slug": it.operating_system, "name": it.operating_system},
        "plan": plan(world, &it.plan),
        "metro": metro(world, &it.metro),
        "facility": it.facility.as_deref().map_or(Value::Null, |code| facility(world, code, includes.wants("facility.metro"))),
        "project": href("projects", &it.project), "project_lite": href("projects", &it.project),
        "network_ports": [{
            "id": crate::seed::named_id(&format!("port/{}", it.id)), "type": "NetworkPort", "name": "eth0",
            "data": {"mac": it.mac, "bonded": true}, "network_type": "layer3",
        }],
        "ssh_keys": [], "volumes": [], "provisioning_events": [], "actions": actions(it.state),
        "href": format!("{}/devices/{}", super::BASE, it.id),
    });
    let addresses = includes.under("ip_addresses");
    let mut all: Vec<Value> = it.nics.iter().map(|entry| nic(world, it, entry, &addresses)).collect();
    let elastic = world.assignments.iter().filter(|entry| entry.device == it.id);
    all.extend(elastic.map(|entry| assignment(world, entry, &addresses)));
    shown["ip_addresses"] = all.into();
    for (name, project_id) in [("project", &it.project), ("project_lite", &it.project)] {
        if includes.wants(name)
            && let Some(of) = world.projects.get(project_id)
        {
            shown[name] = project(of);
        }
    }
    includes.trim(shown)
}

fn actions(state: DeviceState) -> Value {
    let words: &[&str] = match state {
        DeviceState::Active => &["power_off", "reboot", "rescue", "reinstall"],
        DeviceState::Inactive => &["power_on", "reinstall"],
        _ => &[],
    };
    words.iter().map(|word| json!({"type": word, "name": word})).collect()
}

/// A management address as an assignment.
pub(crate) fn nic(world: &World, device: &Device, it: &Nic, includes: &Includes) -> Value {
    let block = it.block.as_deref().and_then(|id| world.reservations.get(id));
    let parent = match block {
        Some(block) => parent_block(block),
        None => json!({
            "network": it.network, "netmask": it.netmask, "cidr": it.cidr, "href": format!("{}/ips/{}", super::BASE, it.id),
        }),
    };
    json!({
        "id": it.id, "type": "IPAssignment", "address": it.address, "address_family": it.family, "cidr": it.cidr,
        "public": it.public, "management": true, "manageable": true, "enabled": true, "global_ip": false,
        "gateway": it.gateway, "netmask": it.netmask, "network": it.network, "tags": [], "details": Value::Null,
        "created_at": when(device.created_at), "assigned_to": assigned_to(world, device, includes),
        "parent_block": stub_unless(includes.wants("parent_block"), parent),
        "href": format!("{}/ips/{}", super::BASE, it.id),
    })
}

/// An Elastic IP's assignment.
pub(crate) fn assignment(world: &World, it: &Assignment, includes: &Includes) -> Value {
    let block = world.reservations.get(&it.reservation);
    let device = world.devices.get(&it.device);
    let v6 = it.address.contains(':');
    let kind = block.map(|block| block.kind);
    json!({
        "id": it.id, "type": "IPAssignment", "address": it.address, "address_family": if v6 { 6 } else { 4 },
        "cidr": if v6 { 128 } else { 32 }, "public": kind != Some(ReservationKind::PrivateIpv4), "management": false,
        "manageable": true, "enabled": true, "global_ip": kind == Some(ReservationKind::GlobalIpv4),
        "gateway": it.address, "netmask": if v6 { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } else { "255.255.255.255" },
        "network": it.address, "tags": it.tags, "details": it.details, "customdata": it.customdata.clone().unwrap_or(json!({})),
        "created_at": when(it.created_at),
        "assigned_to": device.map_or_else(|| href("devices", &it.device), |device| assigned_to(world, device, includes)),
        "parent_block": block.map_or(Value::Null, |block| stub_unless(includes.wants("parent_block"), parent_block(block))),
        "href": format!("{}/ips/{}", super::BASE, it.id),
    })
}

fn assigned_to(world: &World, it: &Device, includes: &Includes) -> Value {
    if includes.wants("assigned_to") {
        device(world, it, &includes.under("assigned_to"))
    } else {
        href("devices", &it.id)
    }
}

fn parent_block(it: &Reservation) -> Value {
    json!({
        "network": it.network, "netmask": netmask(it), "cidr": it.cidr, "href": format!("{}/ips/{}", super::BASE, it.id),
    })
}

fn netmask(it: &Reservation) -> Option<String> {
    if it.kind == ReservationKind::PublicIpv6 {
        return Some("ffff:ffff:ffff:ff00::".to_owned());
    }
    it.block().map(|block| block.netmask().to_string())
}

fn stub_unless(wanted: bool, full: Value) -> Value {
    if wanted { full } else { json!({"href": full["href"]}) }
}

pub(crate) fn reservation(world: &World, it: &Reservation, includes: &Includes) -> Value {
    let address = it.first_address();
    let gateway = it
        .block()
        .filter(|block| block.cidr() < 31)
        .map(|block| block.nth(1).to_string());
    let mut shown = json!({
        "id": it.id, "type": it.kind.word(), "address": address, "address_family": it.kind.family(), "cidr": it.cidr,
        "network": address, "netmask": address.and_then(|_| netmask(it)), "gateway": gateway.as_deref().or(address),
        "public": !matches!(it.kind, ReservationKind::PrivateIpv4 | ReservationKind::Vrf),
        "management": it.management, "manageable": true, "enabled": it.state.word() == "created",
        "global_ip": it.kind == ReservationKind::GlobalIpv4, "addon": !it.management, "bill": !it.management,
        "available": format!("{}/ips/{}/available", super::BASE, it.id),
        "state": it.state.word(), "tags": it.tags, "details": it.details, "customdata": it.customdata.clone().unwrap_or(json!({})),
        "created_at": when(it.created_at), "project": href("projects", &it.project), "project_lite": href("projects", &it.project),
        "requested_by": href("users", crate::api::USER_ID), "metal_gateway": Value::Null,
        "metro": it.metro.as_deref().map_or(Value::Null, |code| metro(world, code)),
        "href": format!("{}/ips/{}", super::BASE, it.id),
    });
    if let Some(code) = it.facility.as_deref() {
        shown["facility"] = facility(world, code, includes.wants("facility.metro"));
    }
    if it.kind == ReservationKind::Vrf {
        shown["vrf"] = href("vrfs", &crate::seed::named_id(&format!("vrf/{}", it.project)));
    }
    let below = includes.under("assignments");
    let assignments = world.assignments.iter().filter(|entry| entry.reservation == it.id);
    shown["assignments"] = assignments
        .map(|entry| stub_unless(includes.wants("assignments"), assignment(world, entry, &below)))
        .collect();
    if includes.wants("project")
        && let Some(of) = world.projects.get(&it.project)
    {
        shown["project"] = project(of);
    }
    includes.trim(shown)
}

pub(crate) fn project(it: &Project) -> Value {
    json!({
        "id": it.id, "name": it.name, "type": "default", "customdata": {}, "tags": [], "devices": [], "members": [],
        "memberships": [], "invitations": [], "ssh_keys": [], "volumes": [], "network_status": {},
        "bgp_config": it.bgp.as_ref().map(|_| json!({"href": format!("{}/projects/{}/bgp-config", super::BASE, it.id)})),
        "href": format!("{}/projects/{}", super::BASE, it.id),
    })
}

pub(crate) fn plan(world: &World, slug: &str) -> Value {
    let id = world.plan(slug).map(|plan| plan.id.clone()).unwrap_or_default();
    json!({
        "id": id, "slug": slug, "name": slug, "class": slug, "description": slug, "line": "baremetal",
        "legacy": false, "href": format!("{}/plans/{id}", super::BASE),
    })
}

pub(crate) fn metro(world: &World, code: &str) -> Value {
    let Some(it) = world.metro(code) else {
        return Value::Null;
    };
    json!({
        "id": it.id, "code": it.code, "name": it.name, "country": it.country,
        "href": format!("{}/locations/metros/{}", super::BASE, it.id),
    })
}

pub(crate) fn facility(world: &World, code: &str, with_metro: bool) -> Value {
    let Some(it) = world.facility(code) else {
        return Value::Null;
    };
    let metro = stub_unless(with_metro, metro(world, &it.metro));
    json!({
        "id": it.id, "code": it.code, "name": it.name, "features": ["baremetal", "layer_2", "global_ipv4"], "ip_ranges": [],
        "address": Value::Null, "metro": metro, "href": format!("{}/facilities/{}", super::BASE, it.id),
    })
}

pub(crate) fn bgp_config(world: &World, of: &Project, it: &BgpConfig) -> Value {
    let own = |session: &&Session| {
        world
            .devices
            .get(&session.device)
            .is_some_and(|device| device.project == of.id)
    };
    let sessions: Vec<Value> = world
        .sessions
        .iter()
        .filter(own)
        .map(|it| href("bgp/sessions", &it.id))
        .collect();
    json!({
        "id": it.id, "asn": it.asn, "deployment_type": it.deployment_type, "md5": it.md5, "max_prefix": MAX_PREFIX,
        "status": it.status, "ranges": [], "route_object": Value::Null, "sessions": sessions,
        "project": href("projects", &of.id), "requested_at": when(it.requested_at), "created_at": when(it.requested_at),
        "href": format!("{}/projects/{}/bgp-config", super::BASE, of.id),
    })
}

pub(crate) fn session(world: &World, it: &Session) -> Value {
    let device = world.devices.get(&it.device);
    let up = world.session_status(it).contains("up");
    let routes: Vec<&String> = device
        .filter(|_| up)
        .map(|device| learned(device, it.family).collect())
        .unwrap_or_default();
    json!({
        "id": it.id, "address_family": if it.family == 6 { "ipv6" } else { "ipv4" }, "default_route": it.default_route,
        "device": href("devices", &it.device), "learned_routes": routes, "status": world.session_status(it),
        "created_at": when(it.created_at), "updated_at": when(it.updated_at),
        "href": format!("{}/bgp/sessions/{}", super::BASE, it.id),
    })
}

/// The routers a device's session is with.
pub(crate) fn neighbor(world: &World, device: &Device, it: &Session) -> Value {
    let bgp = world
        .projects
        .get(&device.project)
        .and_then(|project| project.bgp.as_ref());
    let multihop = world.plan(&device.plan).is_none_or(|plan| plan.multihop);
    let own = device
        .nics
        .iter()
        .find(|nic| nic.family == it.family && (it.family == 6 || !nic.public));
    let own = own.or_else(|| device.nics.iter().find(|nic| nic.family == it.family));
    let mut peers: Vec<String> = match (multihop, it.family) {
        (true, 6) => vec![
            "fc00:0000:0000:0000:0000:0000:0000:000e".to_owned(),
            "fc00:0000:0000:0000:0000:0000:0000:000f".to_owned(),
        ],
        (true, _) => vec!["169.254.255.1".to_owned(), "169.254.255.2".to_owned()],
        (false, _) => own.map(|nic| nic.gateway.clone()).into_iter().collect(),
    };
    if world.settings.shuffled_peers {
        peers.reverse();
    }
    let password = bgp.and_then(|bgp| bgp.md5.clone());
    let routes: Vec<Value> = learned(device, it.family)
        .map(|route| json!({"route": route, "exact": false}))
        .collect();
    let mut shown = Map::new();
    shown.insert("address_family".to_owned(), it.family.into());
    shown.insert("customer_as".to_owned(), bgp.map(|bgp| bgp.asn).into());
    shown.insert("customer_ip".to_owned(), own.map(|nic| nic.address.clone()).into());
    shown.insert("md5_enabled".to_owned(), password.is_some().into());
    shown.insert("md5_password".to_owned(), password.into());
    shown.insert("multihop".to_owned(), multihop.into());
    shown.insert("peer_as".to_owned(), PEER_ASN.into());
    shown.insert("peer_ips".to_owned(), peers.into());
    shown.insert("routes_in".to_owned(), routes.into());
    shown.insert(
        "routes_out".to_owned(),
        json!([{"route": if it.family == 6 { "::/0" } else { "0.0.0.0/0" }, "exact": true}]),
    );
    shown.into()
}
