//! The project's devices, listed once for all who ask at about the same time.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::client::{Device, Href, IpAddress, MetalClient, MetalError, MetalResult};

/// What a list of the project's devices showed.
#[derive(Debug)]
pub(super) struct Listed {
    /// When it was asked for.
    at: Instant,
    devices: Vec<Device>,
    by_id: HashMap<String, usize>,
    by_host: HashMap<String, Vec<usize>>,
    /// By the addresses that devices came with.
    by_address: HashMap<IpAddr, Vec<usize>>,
}

impl Listed {
    fn new(at: Instant, mut devices: Vec<Device>) -> Self {
        let mut seen = BTreeSet::new();
        // What moves from one page to the next while they are read comes twice.
        devices.retain(|device| !device.id.is_empty() && seen.insert(device.id.clone()));
        let mut listed = Self {
            at,
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
    (device.tags, device.project) = (Vec::new(), Href::default());
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

/// Lists devices, and keeps the last list for a while.
pub(super) struct DeviceList {
    client: MetalClient,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    listed: Option<Arc<Listed>>,
    /// When the last try failed, and why.
    failed: Option<(Instant, MetalError)>,
}

impl DeviceList {
    pub(super) fn new(client: MetalClient) -> Self {
        Self {
            client,
            last: Mutex::default(),
        }
    }

    /// A list that was asked for at most `age` ago. Who comes while another one is asking waits for that answer, good or
    /// bad.
    pub(super) async fn get(&self, age: Duration) -> MetalResult<Arc<Listed>> {
        let came = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(listed) = &last.listed
            && came.saturating_duration_since(listed.at) <= age
        {
            return Ok(Arc::clone(listed));
        }
        if let Some((at, error)) = &last.failed
            && *at > came
        {
            return Err(error.clone());
        }
        let at = Instant::now();
        match self.client.devices().await {
            Ok(devices) => {
                let listed = Arc::new(Listed::new(at, devices));
                last.listed = Some(Arc::clone(&listed));
                Ok(listed)
            }
            Err(error) => {
                last.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}
