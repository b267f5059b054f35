//! What announcing changes in MetalLB's custom resources, decided from what there is.
//!
//! Mirrors `metal/loadbalancers/metallb/cr.go` and `cr_config.go` of cloud-provider-equinix-metal. Differs from upstream:
//! peers remember their Services from the start and keep them when they change; changed addresses, passwords and source
//! addresses are put right; one advertisement of ours is found wherever it stands in the list; nothing is listed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::selectors::ServiceRef;
use super::{Mode, Names, is_service_label, pool_name, service_labels, serving};
use crate::announcers::Speaker;
use crate::data::Service;
use crate::helpers::Cidr;

mod peers;

/// The kinds of custom resources that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Addresses.
    IpAddressPool,
    /// BGP sessions.
    BgpPeer,
    /// Which addresses are announced by BGP.
    BgpAdvertisement,
    /// Which addresses are announced by ARP and NDP.
    L2Advertisement,
}

impl Kind {
    /// Its name in objects.
    pub fn name(self) -> &'static str {
        match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::BgpPeer => "BGPPeer",
            Self::BgpAdvertisement => "BGPAdvertisement",
            Self::L2Advertisement => "L2Advertisement",
        }
    }

    /// Its name in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::IpAddressPool => "ipaddresspools",
            Self::BgpPeer => "bgppeers",
            Self::BgpAdvertisement => "bgpadvertisements",
            Self::L2Advertisement => "l2advertisements",
        }
    }
}

/// What there is in MetalLB's namespace, whoever made it, sorted by name.
#[derive(Clone, Default)]
pub struct Observed {
    /// All address pools.
    pub pools: Vec<Value>,
    /// All BGP peers; not read where layer 2 does the announcing.
    pub peers: Vec<Value>,
    /// All advertisements of the kind that the mode asks for.
    pub advertisements: Vec<Value>,
}

/// What is to be announced for one Service.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Its addresses; none to withdraw it.
    pub addresses: &'a [Cidr],
    /// The nodes that announce them.
    pub speakers: &'a [Speaker],
    /// The hosts whose peers stay as they are.
    pub unknown: &'a BTreeSet<String>,
}

/// One write. It has no `Debug`: there are passwords in it.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// Makes an object.
    Create(Kind, Value),
    /// Merges this into an object; the version it was decided on is in it.
    Patch(Kind, String, Value),
    /// Removes an object, if it is still the one with this UID and version.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// Its version.
        version: String,
    },
}

/// What to write, in this order. Nothing when all is as it should be.
pub fn plan(names: &Names, mode: &Mode, observed: &Observed, target: &Target<'_>) -> Vec<Change> {
    let pools = pools(names, observed, target);
    let mut changes = Vec::new();
    let (first, last): (Vec<_>, Vec<_>) = pools.changes.into_iter().partition(|change| !is_delete(change));
    if *mode == Mode::Bgp {
        changes.extend(peers::plan(names, &observed.peers, target, pools.left));
    }
    changes.extend(first);
    // Before its last pool goes, the advertisement does: without a list of pools it would announce all there are.
    changes.extend(advertisement(
        names,
        mode,
        &observed.advertisements,
        &pools.serving,
        &pools.gone,
    ));
    changes.extend(last);
    changes
}

fn is_delete(change: &Change) -> bool {
    matches!(change, Change::Delete { .. })
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
    serde_json::from_value(labels).unwrap_or_default()
}

pub(super) fn is_ours(names: &Names, object: &Value) -> bool {
    labels(object).get(&names.owner.0) == Some(&names.owner.1)
}

pub(super) fn create(names: &Names, kind: Kind, name: &str, more: &[(String, String)], spec: &Value) -> Change {
    let mut labels = json!({ names.owner.0.as_str(): names.owner.1.as_str() });
    for (key, value) in more {
        labels[key] = value.as_str().into();
    }
    let object = json!({ "metadata": { "name": name, "labels": labels }, "spec": spec });
    Change::Create(kind, object)
}

pub(super) fn patch(kind: Kind, object: &Value, mut body: Value) -> Change {
    body["metadata"]["resourceVersion"] = text(object, "/metadata/resourceVersion").into();
    Change::Patch(kind, name(object).to_owned(), body)
}

pub(super) fn delete(kind: Kind, object: &Value) -> Change {
    Change::Delete {
        kind,
        name: name(object).to_owned(),
        uid: text(object, "/metadata/uid").to_owned(),
        version: text(object, "/metadata/resourceVersion").to_owned(),
    }
}

#[derive(Default)]
struct Pools {
    changes: Vec<Change>,
    /// Our pools that have addresses of the Service.
    serving: BTreeSet<String>,
    /// Our pools that go.
    gone: BTreeSet<String>,
    /// Whether a pool of ours is left.
    left: bool,
}

fn addresses(pool: &Value) -> Vec<&str> {
    let list = pool.pointer("/spec/addresses").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a pool names just this address.
fn names_it(pool: &Value, address: &Cidr) -> bool {
    addresses(pool)
        .iter()
        .any(|text| text.parse().is_ok_and(|one: Cidr| one == *address))
}

/// Whether an address is anywhere in a pool.
fn covers(pool: &Value, address: &Cidr) -> bool {
    let within = |from: &str, to: &str| -> Option<bool> {
        let (from, to): (IpAddr, IpAddr) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        Some((from..=to).contains(&address.network))
    };
    addresses(pool).iter().any(|text| match text.split_once('-') {
        Some((from, to)) => within(from, to).unwrap_or(false),
        None => text.parse().is_ok_and(|one: Cidr| one.contains(address.network)),
    })
}

fn pools(names: &Names, observed: &Observed, target: &Target<'_>) -> Pools {
    let service = target.service;
    let (ours, foreign): (Vec<&Value>, Vec<&Value>) = observed.pools.iter().partition(|pool| is_ours(names, pool));
    // What another's pool has is announced as he says; MetalLB refuses pools that overlap.
    let mut wanted: Vec<Cidr> = target.addresses.to_vec();
    wanted.retain(|address| !foreign.iter().any(|pool| covers(pool, address)));
    let holder = |address: &Cidr| ours.iter().find(|pool| names_it(pool, address)).map(|pool| name(pool));
    let (held, free): (Vec<Cidr>, Vec<Cidr>) = wanted.iter().partition(|address| holder(address).is_some());
    let mut own = pool_name(service);
    if foreign.iter().any(|pool| name(pool) == own) {
        own = format!("{own}-{}", names.owner.1);
    }
    let mut result = Pools::default();
    let mut own_exists = false;
    for pool in &ours {
        let labels = labels(pool);
        let label = serving(service, &labels);
        let is_service =
            |(key, value): &(&String, &String)| is_service_label(key, value) && Some(*key) != label.as_ref();
        let alone = !labels.iter().any(|label| is_service(&label)) && (label.is_some() || name(pool) == own);
        let mut has: Vec<Cidr> = held.clone();
        has.retain(|address| holder(address) == Some(name(pool)));
        if name(pool) == own {
            own_exists = true;
            has.extend(&free);
        }
        let mut body = json!({});
        if has.is_empty() {
            if alone {
                result.changes.push(delete(Kind::IpAddressPool, pool));
                result.gone.insert(name(pool).to_owned());
                continue;
            }
            if let Some(key) = label {
                body["metadata"] = json!({ "labels": { key: null } });
            }
        } else {
            result.serving.insert(name(pool).to_owned());
            if label.is_none() {
                let [first, second] = service_labels(service);
                let (key, value) = if labels.contains_key(&first.0) { second } else { first };
                body["metadata"] = json!({ "labels": { key: value } });
            }
            let mut list: Vec<String> = has.iter().map(ToString::to_string).collect();
            let known = addresses(pool);
            if !alone {
                let kept = known.iter().filter(|one| !list.iter().any(|new| new == *one));
                list = kept.map(|one| (*one).to_owned()).chain(list.clone()).collect();
            }
            let differs = list.len() != known.len() || list.iter().any(|one| !known.contains(&one.as_str()));
            if differs {
                body["spec"] = json!({ "addresses": list });
            }
        }
        result.left = true;
        if body != json!({}) {
            result.changes.push(patch(Kind::IpAddressPool, pool, body));
        }
    }
    if !own_exists && !free.is_empty() {
        let list: Vec<String> = free.iter().map(ToString::to_string).collect();
        let spec = json!({ "addresses": list, "autoAssign": false });
        let [label, _] = service_labels(service);
        result
            .changes
            .push(create(names, Kind::IpAddressPool, &own, &[label], &spec));
        result.serving.insert(own);
        result.left = true;
    }
    result
}

/// Our advertisement lists all pools of ours. Where the user has made one with our label instead, he covers them himself.
fn advertisement(
    names: &Names,
    mode: &Mode,
    observed: &[Value],
    serving: &BTreeSet<String>,
    gone: &BTreeSet<String>,
) -> Option<Change> {
    let (kind, places) = match mode {
        Mode::Bgp => (Kind::BgpAdvertisement, Vec::new()),
        Mode::Layer2 { interfaces, nodes } => (Kind::L2Advertisement, places(interfaces, nodes.as_ref())),
    };
    let ours: Vec<&Value> = observed.iter().filter(|one| is_ours(names, one)).collect();
    let Some(known) = ours.iter().find(|one| name(one) == names.advertisement) else {
        if serving.is_empty() || !ours.is_empty() {
            return None;
        }
        let pools: Vec<&String> = serving.iter().collect();
        let mut spec = json!({ "ipAddressPools": pools });
        for (field, value) in places {
            spec[field] = value;
        }
        return Some(create(names, kind, &names.advertisement, &[], &spec));
    };
    let list = known.pointer("/spec/ipAddressPools").and_then(Value::as_array);
    let before: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    if before.is_empty() {
        // Somebody made it announce every pool: naming one would take away the others.
        return None;
    }
    let mut after: Vec<&str> = Vec::new();
    for pool in before.iter().copied().chain(serving.iter().map(String::as_str)) {
        if !gone.contains(pool) && !after.contains(&pool) {
            after.push(pool);
        }
    }
    if after.is_empty() {
        return Some(delete(kind, known));
    }
    let mut spec = Map::new();
    if after != before {
        spec.insert("ipAddressPools".to_owned(), json!(after));
    }
    let moved = places
        .into_iter()
        .filter(|(field, value)| known["spec"][*field] != *value);
    spec.extend(moved.map(|(field, value)| (field.to_owned(), value)));
    (!spec.is_empty()).then(|| patch(kind, known, json!({ "spec": spec })))
}

/// Where addresses are announced, as fields of an advertisement. What is not given is whoever's who wrote it.
fn places(interfaces: &[String], nodes: Option<&Value>) -> Vec<(&'static str, Value)> {
    let interfaces = (!interfaces.is_empty()).then(|| ("interfaces", json!(interfaces)));
    let nodes = nodes.map(|nodes| ("nodeSelectors", json!([nodes])));
    interfaces.into_iter().chain(nodes).collect()
}

/// The Services that something stands here for.
pub fn announced(names: &Names, observed: &Observed) -> BTreeSet<String> {
    let pools = observed
        .pools
        .iter()
        .filter(|pool| is_ours(names, pool))
        .flat_map(|pool| {
            labels(pool)
                .into_iter()
                .filter(|(key, value)| is_service_label(key, value))
                .map(|(key, value)| {
                    let part = |text: &str, prefix| text.strip_prefix(prefix).unwrap_or_default().to_owned();
                    ServiceRef::new(&part(&value, "namespace-"), &part(&key, "service-")).key()
                })
                .collect::<Vec<_>>()
        });
    let peers = observed.peers.iter().filter(|peer| is_ours(names, peer));
    let peers = peers.flat_map(|peer| peers::services(names, peer));
    pools.chain(peers.map(|service| service.key())).collect()
}

#[cfg(test)]
mod tests;
