//! The addresses and node ports that services hold, counted as services come and go: who gives out a free one need not look at
//! all services.

use std::collections::BTreeMap;

use serde_json::Value;

/// A node port and its protocol.
pub(crate) type Port = (i64, String);

/// How many services hold each address and each port.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    addresses: BTreeMap<String, usize>,
    ports: BTreeMap<Port, usize>,
}

/// What one service holds.
fn held(service: &Value) -> (Vec<&str>, Vec<Port>) {
    let spec = &service["spec"];
    let list = |member: &str| spec[member].as_array().map_or(&[][..], Vec::as_slice);
    let addresses = list("clusterIPs").iter().filter_map(Value::as_str).collect();
    let mut ports: Vec<Port> = list("ports")
        .iter()
        .filter_map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or_default();
            Some((port["nodePort"].as_i64()?, protocol.to_owned()))
        })
        .collect();
    let health = spec["healthCheckNodePort"].as_i64();
    ports.extend(health.map(|number| (number, "TCP".to_owned())));
    (addresses, ports)
}

impl Claims {
    /// What one service holds, or nobody.
    pub fn of(service: Option<&Value>) -> Self {
        let mut claims = Self::default();
        if let Some(service) = service {
            claims.add(service);
        }
        claims
    }

    pub fn add(&mut self, service: &Value) {
        let (addresses, ports) = held(service);
        for address in addresses {
            *self.addresses.entry(address.to_owned()).or_default() += 1;
        }
        for port in ports {
            *self.ports.entry(port).or_default() += 1;
        }
    }

    pub fn remove(&mut self, service: &Value) {
        fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
            if let Some(count) = counts.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
            }
        }
        let (addresses, ports) = held(service);
        for address in addresses {
            less(&mut self.addresses, &address.to_owned());
        }
        for port in ports {
            less(&mut self.ports, &port);
        }
    }

    /// Whether anybody but `own` holds the address.
    pub fn address(&self, address: &str, own: &Self) -> bool {
        let count = |claims: &Self| claims.addresses.get(address).copied().unwrap_or(0);
        count(self) > count(own)
    }

    /// Whether anybody but `own` holds the port, with this protocol or, without one, with any.
    pub fn port(&self, number: i64, protocol: Option<&str>, own: &Self) -> bool {
        self.ports
            .range((number, String::new())..(number + 1, String::new()))
            .filter(|((_, held), _)| protocol.is_none_or(|p| p == held))
            .any(|(port, count)| *count > own.ports.get(port).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_hold_is_taken_until_they_go() {
        let service =
            json!({"spec": {"clusterIPs": ["10.96.0.9"], "ports": [{"nodePort": 30_000, "protocol": "UDP"}]}});
        let (mut claims, nobody) = (Claims::of(Some(&service)), Claims::of(None));
        assert!(claims.address("10.96.0.9", &nobody) && claims.port(30_000, None, &nobody));
        assert!(claims.port(30_000, Some("UDP"), &nobody) && !claims.port(30_000, Some("TCP"), &nobody));
        assert!(!claims.port(30_001, None, &nobody) && !claims.port(29_999, None, &nobody));
        let own = Claims::of(Some(&service));
        assert!(!claims.address("10.96.0.9", &own) && !claims.port(30_000, None, &own));
        claims.remove(&service);
        assert!(!claims.address("10.96.0.9", &nobody) && !claims.port(30_000, None, &nobody));
    }
}
