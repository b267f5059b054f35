//! The addresses and ports that services are given.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::service::{headless, list, needs_health_port, needs_ip, needs_node_ports};
use crate::field::FieldError;
use crate::json::list_mut;
use crate::meta;
use crate::store::{Claims, Store};

/// 10.96.0.0/16.
const NETWORK: [u8; 2] = [10, 96];
/// The first address that is given out by itself; those before it are for services that ask.
const FIRST: u64 = 256;
const ADDRESSES: u64 = 65_000;
const FIRST_PORT: i64 = 30_000;
const LAST_PORT: i64 = 32_767;
/// The first ports are for services that ask, too.
const ASKED_PORTS: i64 = 86;
/// Where the ports of dry runs begin: outside of the range, they are not really taken.
const DRY_PORT: i64 = 32_769;

/// `clusterIP` and the first of `clusterIPs` are one thing.
pub(super) fn normalize(object: &mut Value, old: Option<&Value>) {
    let spec = &object["spec"];
    let single = spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    let several = spec.get("clusterIPs").is_some();
    let before = old.map(|o| (o["spec"]["clusterIP"].clone(), o["spec"].get("clusterIPs").cloned()));
    match before {
        Some((ip, ips)) if object["spec"].get("clusterIPs").cloned() == ips && object["spec"]["clusterIP"] != ip => {
            if single.is_empty() {
                remove(object, "clusterIPs");
            } else {
                object["spec"]["clusterIPs"] = json!([single]);
            }
        }
        _ if !single.is_empty() && !several => object["spec"]["clusterIPs"] = json!([single]),
        _ => {}
    }
}

fn remove(object: &mut Value, member: &str) {
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.shift_remove(member);
    }
}

/// What other services have taken.
struct Taken<'a> {
    all: &'a Claims,
    /// What this service holds itself.
    own: Claims,
    /// What has just been given to it.
    given: BTreeSet<i64>,
    /// Where the search begins; it moves with every write, so that what was freed is not given out again at once.
    start: u64,
    dry_run: bool,
}

impl<'a> Taken<'a> {
    fn of(store: &'a Store, object: &Value, dry_run: bool) -> Self {
        let own = store.get("services", meta::namespace(object), meta::name(object));
        Self {
            all: store.claims(),
            own: Claims::of(own.map(|o| &**o)),
            given: BTreeSet::new(),
            start: store.revision(),
            dry_run,
        }
    }

    fn address(&self, address: &str) -> bool {
        self.all.address(address, &self.own)
    }

    fn port(&self, number: i64, protocol: Option<&str>) -> bool {
        self.given.contains(&number) || self.all.port(number, protocol, &self.own)
    }

    fn free_address(&self) -> Option<String> {
        (0..ADDRESSES)
            .map(|n| {
                let offset = u16::try_from(FIRST + (self.start + n) % ADDRESSES).unwrap_or(u16::MAX);
                let [high, low] = offset.to_be_bytes();
                Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low).to_string()
            })
            .find(|address| !self.address(address))
    }

    fn free_port(&mut self) -> Option<i64> {
        let number = if self.dry_run {
            (DRY_PORT..i64::from(u16::MAX)).find(|n| !self.port(*n, None))?
        } else {
            let first = FIRST_PORT + ASKED_PORTS;
            let count = LAST_PORT - first + 1;
            let start = i64::try_from(self.start).unwrap_or(0);
            (0..count)
                .map(|n| first + (start + n) % count)
                .find(|n| !self.port(*n, None))?
        };
        self.given.insert(number);
        Some(number)
    }
}

/// Gives a service the addresses and ports it needs.
pub(super) fn allocate(new: &mut Value, old: Option<&Value>, store: &Store, dry_run: bool) -> Vec<FieldError> {
    let errors = families(new);
    if !errors.is_empty() {
        return errors;
    }
    // What others have taken is looked up only when something is asked for.
    if old.is_some_and(|o| o["spec"] == new["spec"]) {
        return Vec::new();
    }
    let mut taken = Taken::of(store, new, dry_run);
    let mut errors = addresses(new, old, &taken);
    if errors.is_empty() {
        errors = ports(new, old, &mut taken);
    }
    errors
}

/// The cluster has IPv4 only.
fn families(new: &mut Value) -> Vec<FieldError> {
    if !needs_ip(new) {
        return Vec::new();
    }
    for (i, family) in list(new, "ipFamilies").iter().enumerate() {
        let dual = headless(new) && new["spec"].get("selector").is_none();
        if family != "IPv4" && !dual {
            return vec![FieldError::invalid(
                format!("spec.ipFamilies[{i}]"),
                family.clone(),
                "not configured on this cluster",
            )];
        }
    }
    let anything = headless(new) && new["spec"].get("selector").is_none();
    if new["spec"]["ipFamilyPolicy"] == "RequireDualStack" && !anything {
        let why = "this cluster is not configured for dual-stack services";
        return vec![FieldError::invalid("spec.ipFamilyPolicy", "RequireDualStack", why)];
    }
    let (policy, families) = if anything {
        ("RequireDualStack", json!(["IPv4", "IPv6"]))
    } else {
        ("SingleStack", json!(["IPv4"]))
    };
    if new["spec"].get("ipFamilyPolicy").is_none() {
        new["spec"]["ipFamilyPolicy"] = json!(policy);
    }
    if new["spec"].get("ipFamilies").is_none() {
        new["spec"]["ipFamilies"] = families;
    }
    Vec::new()
}

fn addresses(new: &mut Value, old: Option<&Value>, taken: &Taken<'_>) -> Vec<FieldError> {
    if !needs_ip(new) || headless(new) {
        return Vec::new();
    }
    let given = list(new, "clusterIPs")
        .first()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let kept = old.is_some_and(|o| o["spec"].get("clusterIPs") == new["spec"].get("clusterIPs"));
    if given.is_empty() {
        let Some(address) = taken.free_address() else {
            return vec![FieldError::invalid(
                "spec.clusterIPs",
                json!([]),
                "failed to allocate a serviceIP: range is full",
            )];
        };
        new["spec"]["clusterIP"] = json!(address);
        new["spec"]["clusterIPs"] = json!([address]);
        return Vec::new();
    }
    if kept {
        return Vec::new();
    }
    let inside = given.parse::<Ipv4Addr>().is_ok_and(|a| a.octets()[..2] == NETWORK);
    let problem = if !inside {
        "the provided network does not match the current range"
    } else if taken.address(&given) {
        "provided IP is already allocated"
    } else {
        new["spec"]["clusterIP"] = json!(given);
        return Vec::new();
    };
    let why = format!("failed to allocate IP {given}: {problem}");
    vec![FieldError::invalid(
        "spec.clusterIPs",
        new["spec"]["clusterIPs"].clone(),
        &why,
    )]
}

fn ports(new: &mut Value, old: Option<&Value>, taken: &mut Taken<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let needed = needs_node_ports(new);
    let before: Vec<i64> = old
        .map(|o| list(o, "ports").iter().filter_map(|p| p["nodePort"].as_i64()).collect())
        .unwrap_or_default();
    let check = |number: i64, protocol: &str, taken: &Taken<'_>| {
        if !(FIRST_PORT..=LAST_PORT).contains(&number) {
            return Some(format!(
                "provided port is not in the valid range. The range of valid ports is {FIRST_PORT}-{LAST_PORT}"
            ));
        }
        let clash = taken.port(number, Some(protocol));
        clash.then(|| "provided port is already allocated".to_owned())
    };
    let mut given = Vec::new();
    for (i, port) in list(new, "ports").iter().enumerate() {
        let Some(number) = port["nodePort"].as_i64() else {
            continue;
        };
        let protocol = port["protocol"].as_str().unwrap_or_default();
        if !before.contains(&number)
            && let Some(problem) = check(number, protocol, taken)
        {
            errors.push(FieldError::invalid(
                format!("spec.ports[{i}].nodePort"),
                number,
                &problem,
            ));
        }
        given.push(number);
    }
    if !errors.is_empty() {
        return errors;
    }
    taken.given.extend(given);
    if needed {
        for port in list_mut(new, "/spec/ports") {
            if port.get("nodePort").is_none()
                && let Some(number) = taken.free_port()
            {
                port["nodePort"] = json!(number);
            }
        }
    }
    if needs_health_port(new)
        && new["spec"].get("healthCheckNodePort").is_none()
        && let Some(number) = taken.free_port()
    {
        new["spec"]["healthCheckNodePort"] = json!(number);
    }
    errors
}
