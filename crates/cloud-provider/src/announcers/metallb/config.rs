//! The configuration in MetalLB's config map (0.9 to 0.12.1), and what announcing changes in it.
//!
//! Mirrors `metal/loadbalancers/metallb/config.go` of cloud-provider-equinix-metal. Differs from upstream: keys that are not
//! known here are kept, in their places; a peer is recognised by its node and address, so that a changed source address or
//! password is put right; peers of nodes that left go; a pool that serves others as well stays.

use std::collections::BTreeSet;
use std::fmt;

use kit::lenient::nullable;
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::selectors::{NodeSelector, ServiceRef, is_same_set};
use super::{Mode, Names};
use crate::announcers::Speaker;
use crate::helpers::Cidr;

/// Between the names of a pool that serves several Services.
const JOINER: char = ',';

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Config {
    /// The BGP sessions.
    #[serde(deserialize_with = "nullable")]
    pub peers: Vec<Peer>,
    /// The addresses.
    #[serde(deserialize_with = "nullable")]
    pub address_pools: Vec<Pool>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A BGP session.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Peer {
    /// The node's autonomous system.
    #[serde(deserialize_with = "nullable")]
    pub my_asn: u32,
    /// The peer's autonomous system.
    #[serde(deserialize_with = "nullable")]
    pub peer_asn: u32,
    /// The peer's address.
    #[serde(deserialize_with = "nullable")]
    pub peer_address: String,
    /// The peer's port; 0 for the usual one.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub peer_port: u16,
    /// The node's address.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub source_address: String,
    /// How long the peer is believed, as a Go duration.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub hold_time: String,
    /// The node's router ID.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub router_id: String,
    /// From which nodes, and for which Services.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub node_selectors: Vec<NodeSelector>,
    /// The password of the session.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub password: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A pool of addresses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Pool {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// `bgp` or `layer2`.
    #[serde(deserialize_with = "nullable")]
    pub protocol: String,
    /// The addresses, as networks or ranges.
    #[serde(deserialize_with = "nullable")]
    pub addresses: Vec<String>,
    /// Whether `.0` and `.255` are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avoid_buggy_ips: Option<bool>,
    /// Whether MetalLB gives addresses to Services that ask for none. True where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    /// How they are announced.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub bgp_advertisements: Vec<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A password of digits is a number to YAML, and a text to MetalLB.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("peer_address", &self.peer_address)
            .field("node_selectors", &self.node_selectors)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Peer {
    /// The order of node selectors does not count.
    fn eq(&self, other: &Self) -> bool {
        self.own() == other.own() && is_same_set(&self.node_selectors, &other.node_selectors) && self.rest == other.rest
    }
}

impl Peer {
    fn own(&self) -> impl PartialEq + '_ {
        (
            (self.my_asn, self.peer_asn, self.peer_port, &self.peer_address),
            (&self.source_address, &self.hold_time, &self.router_id, &self.password),
        )
    }

    /// The Services that need it.
    pub fn services(&self, names: &Names) -> BTreeSet<ServiceRef> {
        self.node_selectors
            .iter()
            .filter_map(|one| one.remembers(names))
            .collect()
    }

    /// The one host that it is for; nothing when it is for others as well.
    fn host(&self, names: &Names) -> Option<&str> {
        let mut others = self.node_selectors.iter().filter(|one| !one.is_memory(names));
        let host = others.next()?.selects();
        others.next().map_or(host, |_| None)
    }

    /// What selects nodes comes first, in its order; then the Services, sorted.
    fn set_services(&mut self, names: &Names, services: &BTreeSet<ServiceRef>) {
        self.node_selectors.retain(|one| one.remembers(names).is_none());
        let remember = |service: &ServiceRef| NodeSelector::service(names, service);
        self.node_selectors.extend(services.iter().map(remember));
    }

    /// Remembers that a Service needs it.
    pub fn add_service(&mut self, names: &Names, service: &ServiceRef) {
        let mut services = self.services(names);
        if services.insert(service.clone()) {
            self.set_services(names, &services);
        }
    }

    /// Forgets a Service; whether none is left that needs it although one did.
    pub fn remove_service(&mut self, names: &Names, service: &ServiceRef) -> bool {
        let mut services = self.services(names);
        if !services.remove(service) {
            return false;
        }
        self.set_services(names, &services);
        services.is_empty()
    }
}

impl PartialEq for Pool {
    /// The order of addresses and advertisements does not count, and null is the default.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.is_alike(other)
    }
}

impl Pool {
    /// Whether it differs in nothing but the name.
    pub fn is_alike(&self, other: &Self) -> bool {
        fn sorted<T: Clone, K: Ord>(list: &[T], key: impl Fn(&T) -> K) -> Vec<K> {
            let mut keys: Vec<K> = list.iter().map(key).collect();
            keys.sort();
            keys
        }
        self.protocol == other.protocol
            && self.avoid_buggy_ips.unwrap_or(false) == other.avoid_buggy_ips.unwrap_or(false)
            && self.auto_assign.unwrap_or(true) == other.auto_assign.unwrap_or(true)
            && sorted(&self.addresses, Clone::clone) == sorted(&other.addresses, Clone::clone)
            && sorted(&self.bgp_advertisements, Value::to_string) == sorted(&other.bgp_advertisements, Value::to_string)
            && self.rest == other.rest
    }

    /// The Services it is named for, `namespace/name` each; none when somebody else named it.
    fn services(&self) -> BTreeSet<String> {
        let names: BTreeSet<String> = self.name.split(JOINER).map(str::to_owned).collect();
        if names.iter().all(|name| name.split('/').count() == 2) {
            names
        } else {
            BTreeSet::new()
        }
    }

    fn set_services(&mut self, services: &BTreeSet<String>) {
        let names: Vec<&str> = services.iter().map(String::as_str).collect();
        self.name = names.join(&JOINER.to_string());
    }

    fn has(&self, address: &Cidr) -> bool {
        self.addresses
            .iter()
            .any(|one| one.parse().is_ok_and(|one: Cidr| one == *address))
    }
}

impl Config {
    /// What a text says. An empty one says nothing. The error is the place of what cannot be understood, without its text.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        if yaml.trim().is_empty() {
            return Ok(Self::default());
        }
        let value: Option<Value> = serde_saphyr::from_str(yaml).map_err(|error| {
            let place = error.location();
            place.map_or_else(
                || "it is no YAML".to_owned(),
                |place| format!("line {} is no YAML", place.line()),
            )
        })?;
        let mut config: Self = serde_json::from_value(value.unwrap_or_else(|| json!({})))
            .map_err(|_| "peers or address-pools are not what MetalLB expects".to_owned())?;
        config.repair();
        Ok(config)
    }

    /// The text.
    pub fn to_yaml(&self) -> String {
        // By way of JSON, which cannot fail for what came from JSON.
        serde_json::to_value(self)
            .ok()
            .and_then(|value| serde_saphyr::to_string(&value).ok())
            .unwrap_or_default()
    }

    /// Puts right two keys that the original wrote in a spelling that MetalLB does not read.
    fn repair(&mut self) {
        let advertisements = self
            .address_pools
            .iter_mut()
            .flat_map(|pool| &mut pool.bgp_advertisements);
        for fields in advertisements.filter_map(Value::as_object_mut) {
            for (wrong, right) in [("LocalPref", "localpref"), ("Communities", "communities")] {
                if let Some(value) = fields.shift_remove(wrong)
                    && !value.is_null()
                {
                    fields.entry(right).or_insert(value);
                }
            }
        }
    }

    /// Adds a pool, or its name to one that is the same but for the name; whether anything changed.
    pub fn add_pool(&mut self, pool: Pool) -> bool {
        let Some(alike) = self.address_pools.iter_mut().find(|one| one.is_alike(&pool)) else {
            self.address_pools.push(pool);
            return true;
        };
        let mut names: BTreeSet<String> = alike.name.split(JOINER).map(str::to_owned).collect();
        let added = names.insert(pool.name);
        if added {
            alike.set_services(&names);
        }
        added
    }

    /// Makes these addresses the ones that are announced for a Service.
    pub fn set_addresses(&mut self, mode: &Mode, service: &ServiceRef, addresses: &[Cidr]) {
        let key = service.key();
        // What is announced already, by whomever, is not announced twice: MetalLB refuses pools that overlap.
        let mut missing: Vec<Cidr> = addresses.to_vec();
        self.address_pools.retain_mut(|pool| {
            let before = missing.len();
            missing.retain(|address| !pool.has(address));
            let mut services = pool.services();
            if services.is_empty() {
                return true;
            }
            let changed = if missing.len() < before {
                services.insert(key.clone())
            } else {
                services.remove(&key)
            };
            if changed {
                pool.set_services(&services);
            }
            if services.len() == 1 && services.contains(&key) {
                let wanted = |one: &String| one.parse().is_ok_and(|one: Cidr| addresses.contains(&one));
                pool.addresses.retain(wanted);
            }
            !services.is_empty()
        });
        if missing.is_empty() {
            return;
        }
        let protocol = match mode {
            Mode::Bgp => "bgp",
            Mode::Layer2 { .. } => "layer2",
        };
        self.add_pool(Pool {
            name: key,
            protocol: protocol.to_owned(),
            addresses: missing.iter().map(ToString::to_string).collect(),
            auto_assign: Some(false),
            ..Pool::default()
        });
    }

    /// Makes these speakers the ones that a Service needs. The peers of hosts in `unknown` stay as they are.
    pub fn set_speakers(
        &mut self,
        names: &Names,
        service: &ServiceRef,
        speakers: &[Speaker],
        unknown: &BTreeSet<String>,
    ) {
        let mut missing: Vec<(&Speaker, &String)> = speakers
            .iter()
            .flat_map(|speaker| speaker.peers.iter().map(move |peer| (speaker, peer)))
            .collect();
        self.peers.retain_mut(|peer| {
            let found = missing.iter().position(|(speaker, address)| {
                **address == peer.peer_address && peer.host(names) == Some(speaker.host.as_str())
            });
            let Some(found) = found else {
                let kept = peer.host(names).is_some_and(|host| unknown.contains(host));
                return kept || !peer.remove_service(names, service);
            };
            let (speaker, _) = missing.swap_remove(found);
            if peer.services(names).is_empty() {
                // Somebody else's: it does what is needed.
                return true;
            }
            describe(peer, speaker);
            peer.add_service(names, service);
            true
        });
        // In the order of speakers and peers, whatever was found in between.
        for speaker in speakers {
            for address in &speaker.peers {
                if !missing
                    .iter()
                    .any(|(one, peer)| one.host == speaker.host && *peer == address)
                {
                    continue;
                }
                let mut peer = Peer {
                    peer_address: address.clone(),
                    node_selectors: vec![NodeSelector::host(&speaker.host)],
                    ..Peer::default()
                };
                describe(&mut peer, speaker);
                peer.add_service(names, service);
                self.peers.push(peer);
            }
        }
    }

    /// The Services that something stands here for.
    pub fn services(&self, names: &Names) -> BTreeSet<String> {
        let pools = self.address_pools.iter().flat_map(Pool::services);
        let peers = self.peers.iter().flat_map(|peer| peer.services(names));
        pools.chain(peers.map(|service| service.key())).collect()
    }
}

fn describe(peer: &mut Peer, speaker: &Speaker) {
    (peer.my_asn, peer.peer_asn) = (speaker.local_asn, speaker.peer_asn);
    peer.source_address.clone_from(&speaker.source);
    let password = speaker.password.as_ref().map(ExposeSecret::expose_secret);
    password.unwrap_or_default().clone_into(&mut peer.password);
}

#[cfg(test)]
mod tests;
