//! What a list of the project's devices shows, kept small: a project may have thousands.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::client::Device;

/// A device, as far as its node is concerned.
#[derive(Debug)]
pub(super) struct Seen {
    pub id: Box<str>,
    pub host: Box<str>,
    pub state: Arc<str>,
    /// Its kind, region and zone.
    pub plan: Arc<str>,
    pub metro: Arc<str>,
    pub facility: Arc<str>,
    pub addresses: Box<[SeenAddress]>,
}

/// An address of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenAddress {
    pub ip: IpAddr,
    /// Whether the world can reach it.
    pub public: bool,
    /// Whether it came with the device, so that it is no Elastic IP.
    pub management: bool,
}

/// Words that many devices share, each kept once.
#[derive(Default)]
struct Words(HashSet<Arc<str>>);

impl Words {
    fn keep(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.0.get(word) {
            return Arc::clone(known);
        }
        let word: Arc<str> = word.into();
        self.0.insert(Arc::clone(&word));
        word
    }
}

impl Seen {
    fn new(device: Device, words: &mut Words) -> Self {
        let addresses = device.ip_addresses.iter().filter_map(|ip| {
            Some(SeenAddress {
                ip: ip.address.parse().ok()?,
                public: ip.public,
                management: ip.management,
            })
        });
        Self {
            addresses: addresses.collect(),
            state: words.keep(&device.state),
            plan: words.keep(&device.plan.slug),
            metro: words.keep(&device.metro.code),
            facility: words.keep(&device.facility.code),
            id: device.id.into(),
            host: device.hostname.into(),
        }
    }
}

impl From<Device> for Seen {
    fn from(device: Device) -> Self {
        Self::new(device, &mut Words::default())
    }
}

/// A list that is being read.
#[derive(Default)]
pub(super) struct Reading {
    devices: Vec<Seen>,
    words: Words,
}

impl Reading {
    pub(super) fn add(&mut self, device: Device) {
        if !device.id.is_empty() {
            self.devices.push(Seen::new(device, &mut self.words));
        }
    }

    pub(super) fn done(self) -> Listed {
        let mut devices = self.devices;
        devices.sort_by(|one, other| one.id.cmp(&other.id));
        // What moves from one page to the next while they are read comes twice.
        devices.dedup_by(|one, other| one.id == other.id);
        let places = || (0..).zip(&devices);
        let mut by_host: Vec<u32> = places().map(|(at, _)| at).collect();
        by_host.sort_by_key(|at| &devices[*at as usize].host);
        let own = |(at, device): (u32, &'_ Seen)| {
            let came_along = device.addresses.iter().filter(|address| address.management);
            came_along.map(|address| (address.ip, at)).collect::<Vec<_>>()
        };
        let mut by_address: Vec<(IpAddr, u32)> = places().flat_map(own).collect();
        by_address.sort_unstable();
        Listed {
            by_host: by_host.into(),
            by_address: by_address.into(),
            devices: devices.into(),
        }
    }
}

/// What a list of the project's devices showed.
#[derive(Debug)]
pub(super) struct Listed {
    /// In the order of their IDs.
    devices: Box<[Seen]>,
    /// Where they are in there, in the order of their host names.
    by_host: Box<[u32]>,
    /// The same, in the order of the addresses that they came with.
    by_address: Box<[(IpAddr, u32)]>,
}

impl Listed {
    /// The device with this ID.
    pub(super) fn device(&self, id: &str) -> Option<&Seen> {
        let at = self.devices.binary_search_by(|device| (*device.id).cmp(id)).ok()?;
        self.devices.get(at)
    }

    /// The devices with this host name.
    pub(super) fn with_host(&self, host: &str) -> Vec<&Seen> {
        let device = |at: &u32| &self.devices[*at as usize];
        let first = self.by_host.partition_point(|at| *device(at).host < *host);
        let those = self.by_host[first..].iter().map(device);
        those.take_while(|device| *device.host == *host).collect()
    }

    /// The devices that came with one of these addresses.
    pub(super) fn with_address(&self, addresses: &BTreeSet<IpAddr>) -> Vec<&Seen> {
        let with = |ip: &IpAddr| {
            let first = self.by_address.partition_point(|(other, _)| other < ip);
            let those = self.by_address[first..].iter().copied();
            let ip = *ip;
            those.take_while(move |(other, _)| *other == ip).map(|(_, at)| at)
        };
        let places: BTreeSet<u32> = addresses.iter().flat_map(with).collect();
        places.into_iter().map(|at| &self.devices[at as usize]).collect()
    }
}
