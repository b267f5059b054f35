//! MetalLB's namespace in memory: what is planned is done.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::super::*;

pub(super) fn names() -> Names {
    Names::new("equinix-metal", "metal.equinix.com", "equinix-metal-bgp-adv")
}

pub(super) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

pub(super) fn service(name: &str) -> Service {
    Service {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        ..Service::default()
    }
}

pub(super) fn speaker(n: u8) -> Speaker {
    Speaker {
        node: format!("n{n}"),
        host: format!("n{n}"),
        source: format!("10.0.0.{n}"),
        local_asn: 65000,
        peer_asn: 65530,
        peers: vec!["169.254.255.1".to_owned(), "169.254.255.2".to_owned()],
        password: Some(SecretString::from("Passw0rd")),
    }
}

#[derive(Clone)]
pub(super) struct World {
    pub observed: Observed,
    pub mode: Mode,
    pub version: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            observed: Observed::default(),
            mode: Mode::Bgp,
            version: 1,
        }
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

impl World {
    /// A namespace in which users have made things of every kind.
    pub fn with_foreign() -> Self {
        let mut world = Self::default();
        let object = |name: &str, spec: Value| json!({ "metadata": { "name": name }, "spec": spec });
        world
            .observed
            .pools
            .push(object("lab", json!({ "addresses": ["203.0.113.0/24"] })));
        let selectors = json!([{ "matchLabels": { "kubernetes.io/hostname": "n1" } }]);
        let spec = json!({ "peerAddress": "169.254.255.1", "nodeSelectors": selectors });
        world.observed.peers.push(object("router", spec));
        world.observed.advertisements.push(object("all", json!({})));
        world
    }

    fn list(&mut self, kind: Kind) -> &mut Vec<Value> {
        match kind {
            Kind::IpAddressPool => &mut self.observed.pools,
            Kind::BgpPeer => &mut self.observed.peers,
            Kind::BgpAdvertisement | Kind::L2Advertisement => &mut self.observed.advertisements,
        }
    }

    pub fn plan(&self, service: &Service, addresses: &[Cidr], speakers: &[Speaker], unknown: &[&str]) -> Vec<Change> {
        let unknown = unknown.iter().map(|host| (*host).to_owned()).collect();
        let target = Target {
            service,
            addresses,
            speakers,
            unknown: &unknown,
        };
        plan(&names(), &self.mode, &self.observed, &target)
    }

    pub fn announce(&mut self, service: &Service, addresses: &[&str], speakers: &[Speaker], unknown: &[&str]) {
        let addresses: Vec<Cidr> = addresses.iter().map(|text| cidr(text)).collect();
        for change in self.plan(service, &addresses, speakers, unknown) {
            self.version += 1;
            let version = self.version.to_string();
            let place = |list: &[Value], wanted: &str| list.iter().position(|one| name(one) == wanted);
            match change {
                Change::Create(kind, mut object) => {
                    object["metadata"]["resourceVersion"] = version.into();
                    let list = self.list(kind);
                    assert_eq!(place(list, name(&object)), None, "{} exists", name(&object));
                    list.push(object);
                }
                Change::Patch(kind, name, body) => {
                    let list = self.list(kind);
                    let at = place(list, &name).unwrap();
                    let known = text(&list[at], "/metadata/resourceVersion").to_owned();
                    assert_eq!(text(&body, "/metadata/resourceVersion"), known);
                    merge(&mut list[at], &body);
                    list[at]["metadata"]["resourceVersion"] = version.into();
                }
                Change::Delete { kind, name, .. } => {
                    let list = self.list(kind);
                    let at = place(list, &name).unwrap();
                    list.remove(at);
                }
            }
        }
    }

    pub fn withdraw(&mut self, service: &Service) {
        self.announce(service, &[], &[], &[]);
    }

    fn lists(&self) -> [&Vec<Value>; 3] {
        [
            &self.observed.pools,
            &self.observed.peers,
            &self.observed.advertisements,
        ]
    }

    /// What is not ours.
    pub fn foreign(&self) -> Vec<Value> {
        let all = self.lists().into_iter().flatten();
        all.filter(|object| !is_ours(&names(), object)).cloned().collect()
    }

    /// Whether nothing of ours is there.
    pub fn is_empty(&self) -> bool {
        self.lists()
            .into_iter()
            .flatten()
            .all(|object| !is_ours(&names(), object))
    }

    /// What there is, without versions and without what describes a session, which may have been put right.
    pub fn without_descriptions(&self) -> Vec<Value> {
        let strip = |object: &Value| {
            let mut object = object.clone();
            object["metadata"]["resourceVersion"] = Value::Null;
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.shift_remove("password");
            }
            object
        };
        let mut all: Vec<Value> = self.lists().into_iter().flatten().map(strip).collect();
        all.sort_by_key(|object| (name(object).to_owned(), object.to_string()));
        all
    }
}
