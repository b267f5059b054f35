//! What a list of the project's devices shows.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::client::{Device, Href, IpAddress};

/// What a list of the project's devices showed.
#[derive(Debug)]
pub(super) struct Listed {
    devices: Vec<Device>,
    by_id: HashMap<String, usize>,
    by_host: HashMap<String, Vec<usize>>,
    /// By the addresses that devices came with.
    by_address: HashMap<IpAddr, Vec<usize>>,
}

impl Listed {
    /// Of these devices.
    pub(super) fn new(mut devices: Vec<Device>) -> Self {
        let mut seen = BTreeSet::new();
        // What moves from one page to the next while they are read comes twice.
        devices.retain(|device| !device.id.is_empty() && seen.insert(device.id.clone()));
        let mut listed = Self {
            by_id: HashMap::new(),
            by_host: HashMap::new(),
            by_address: HashMap::new(),
            devices: Vec::new(),
        };
        devices.iter_mut().for_each(cut);
        for (n, device) in devices.iter().enumerate() {
            listed.by_id.insert(device.id.clone(), n);
            listed.by_host.entry(device.hostname.clone()).or_default().push(n);
            for ip in device.ip_addresses.iter().filter(|ip| ip.management) {
                if let Ok(ip) = ip.address.parse() {
                    listed.by_address.entry(ip).or_default().push(n);
                }
            }
        }
        listed.devices = devices;
        listed
    }

    /// The device with this ID.
    pub(super) fn device(&self, id: &str) -> Option<&Device> {
        self.devices.get(*self.by_id.get(id)?)
    }

    /// The devices with this host name.
    pub(super) fn with_host(&self, host: &str) -> Vec<&Device> {
        let places = self.by_host.get(host).into_iter().flatten();
        places.filter_map(|n| self.devices.get(*n)).collect()
    }

    /// The devices that came with one of these addresses.
    pub(super) fn with_address(&self, addresses: &BTreeSet<IpAddr>) -> Vec<&Device> {
        let places: BTreeSet<_> = addresses
            .iter()
            .filter_map(|ip| self.by_address.get(ip))
            .flatten()
            .collect();
        places.into_iter().filter_map(|n| self.devices.get(*n)).collect()
    }
}

/// Leaves of a device what is read: lists of thousands are kept.
fn cut(device: &mut Device) {
    device.project = Href::default();
    let ips = std::mem::take(&mut device.ip_addresses).into_iter();
    let ips = ips.filter(|ip| !ip.address.is_empty()).map(|ip| IpAddress {
        address: ip.address,
        public: ip.public,
        management: ip.management,
        ..IpAddress::default()
    });
    device.ip_addresses = ips.collect();
    device.ip_addresses.shrink_to_fit();
}
