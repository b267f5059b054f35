//! Which BGP sessions there are to be.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::super::selectors::{ServiceRef, is_memory, only_labels};
use super::super::{LABEL_HOST, Names};
use super::{Change, Kind, Target, create, delete, is_ours, name, patch, text};
use crate::announcers::Speaker;

/// The port that BGP is spoken on.
const PORT: u16 = 179;

fn selectors(peer: &Value) -> &[Value] {
    let list = peer.pointer("/spec/nodeSelectors").and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn remembers(names: &Names, selector: &Value) -> Option<ServiceRef> {
    ServiceRef::read(names, &only_labels(selector)?)
}

/// The Services that need a peer.
pub(super) fn services(names: &Names, peer: &Value) -> BTreeSet<ServiceRef> {
    selectors(peer)
        .iter()
        .filter_map(|selector| remembers(names, selector))
        .collect()
}

/// The one host that a peer is for; nothing when it is for others as well.
fn host(names: &Names, peer: &Value) -> Option<String> {
    let mut others = selectors(peer)
        .iter()
        .filter(|selector| !only_labels(selector).is_some_and(|labels| is_memory(names, &labels)));
    let mut labels = only_labels(others.next()?)?;
    let host = labels.remove(LABEL_HOST).filter(|_| labels.is_empty());
    others.next().map_or(host, |_| None)
}

/// What selects nodes first, in its order; then the Services, sorted.
fn with_services(names: &Names, peer: &Value, services: &BTreeSet<ServiceRef>) -> Vec<Value> {
    let nodes = selectors(peer)
        .iter()
        .filter(|selector| remembers(names, selector).is_none())
        .cloned();
    let services = services
        .iter()
        .map(|service| json!({ "matchLabels": service.labels(names) }));
    nodes.chain(services).collect()
}

/// What a speaker says about its session. Ports and times are as the user may have set them.
fn described(speaker: &Speaker, address: &str) -> Map<String, Value> {
    let mut spec = Map::new();
    spec.insert("myASN".to_owned(), speaker.local_asn.into());
    spec.insert("peerASN".to_owned(), speaker.peer_asn.into());
    spec.insert("peerAddress".to_owned(), address.into());
    spec.insert("sourceAddress".to_owned(), speaker.source.as_str().into());
    if let Some(password) = &speaker.password {
        spec.insert("password".to_owned(), password.expose_secret().into());
    }
    spec
}

/// `pools_left` tells whether any address of ours is still announced: without one, peers that no Service remembers are what
/// an older program left.
pub(super) fn plan(names: &Names, observed: &[Value], target: &Target<'_>, pools_left: bool) -> Vec<Change> {
    let service = ServiceRef::from(target.service);
    let wanted: Vec<(&Speaker, usize, &str)> = target
        .speakers
        .iter()
        .flat_map(|speaker| {
            let numbered = speaker.peers.iter().enumerate();
            numbered.map(move |(n, address)| (speaker, n, address.as_str()))
        })
        .collect();
    let mut met = vec![false; wanted.len()];
    let mut changes = Vec::new();
    for peer in observed.iter().filter(|peer| is_ours(names, peer)) {
        let (host, address) = (host(names, peer), text(peer, "/spec/peerAddress"));
        let mut services = services(names, peer);
        let found = wanted.iter().enumerate().position(|(at, (speaker, _, wanted))| {
            !met.get(at).copied().unwrap_or(true) && host.as_deref() == Some(&speaker.host) && *wanted == address
        });
        let Some((at, (speaker, ..))) = found.and_then(|at| Some((at, wanted.get(at)?))) else {
            if host.is_some_and(|host| target.unknown.contains(&host)) {
                continue;
            }
            let forgotten = services.remove(&service);
            // A peer that nobody remembers was made by an older program. It goes with its node, and with the last address.
            let leftover = !forgotten && (!target.addresses.is_empty() || !pools_left);
            if services.is_empty() && (forgotten || leftover) {
                changes.push(delete(Kind::BgpPeer, peer));
            } else if forgotten {
                let body = json!({ "spec": { "nodeSelectors": with_services(names, peer, &services) } });
                changes.push(patch(Kind::BgpPeer, peer, body));
            }
            continue;
        };
        if let Some(met) = met.get_mut(at) {
            *met = true;
        }
        let mut spec = Map::new();
        for (key, value) in described(speaker, address) {
            if peer.pointer(&format!("/spec/{key}")) != Some(&value) {
                spec.insert(key, value);
            }
        }
        if speaker.password.is_none() && !text(peer, "/spec/password").is_empty() {
            spec.insert("password".to_owned(), Value::Null);
        }
        if services.insert(service.clone()) {
            spec.insert("nodeSelectors".to_owned(), with_services(names, peer, &services).into());
        }
        if !spec.is_empty() {
            changes.push(patch(Kind::BgpPeer, peer, json!({ "spec": spec })));
        }
    }
    let mut taken: BTreeSet<String> = observed.iter().map(|peer| name(peer).to_owned()).collect();
    for ((speaker, n, address), _) in wanted.iter().zip(&met).filter(|(_, met)| !**met) {
        let mut numbers = *n..=*n + taken.len();
        let free = numbers.find_map(|n| Some(format!("{}-{n}", speaker.node)).filter(|name| !taken.contains(name)));
        let Some(free) = free else { continue };
        let mut spec = described(speaker, address);
        spec.insert("peerPort".to_owned(), PORT.into());
        spec.insert("holdTime".to_owned(), "0s".into());
        spec.insert("keepaliveTime".to_owned(), "0s".into());
        let selectors = json!([
            { "matchLabels": { LABEL_HOST: speaker.host } },
            { "matchLabels": service.labels(names) },
        ]);
        spec.insert("nodeSelectors".to_owned(), selectors);
        changes.push(create(names, Kind::BgpPeer, &free, &[], &spec.into()));
        taken.insert(free);
    }
    changes
}
