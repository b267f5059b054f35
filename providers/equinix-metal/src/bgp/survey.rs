//! What lists tell of all devices of the project at once, in place of requests for each.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cloud_provider::fresh::Fresh;
use cloud_provider::helpers::Cidr;
use tokio::time::Instant;
use tracing::debug;

use crate::client::{BgpSession, Device, MetalClient, MetalError, MetalResult};

/// How old lists may be where many nodes are looked up in them. Services that are looked after at the same time share them.
const SHARED: Duration = Duration::from_secs(5);
/// How old the list of sessions may be where one node or two are looked up in it.
const RECENT: Duration = Duration::from_mins(5);
/// Up to so many nodes are asked about one by one; for more, a list costs less.
const FEW: usize = 2;

/// The devices that had a BGP session.
#[derive(Debug)]
pub(super) struct Sessions {
    /// When this was asked for.
    pub at: Instant,
    /// Nothing where the API has no such list, or this key may not read it: the original never did.
    devices: Option<HashSet<String>>,
}

impl Sessions {
    /// Whether a device had one; nothing when that has to be asked of the device.
    pub fn of(&self, device: &str) -> Option<bool> {
        let devices = self.devices.as_ref()?;
        Some(devices.contains(device))
    }
}

/// The devices' private networks.
pub(super) type Networks = HashMap<String, Option<Cidr>>;

/// Lists, kept for a while.
#[derive(Default)]
pub(super) struct Survey {
    sessions: Fresh<Sessions, MetalError>,
    networks: Fresh<Networks, MetalError>,
}

impl Survey {
    /// The sessions, when so many nodes are to be looked at: as they once were, when there are none.
    pub async fn sessions(&self, client: &MetalClient, due: usize) -> MetalResult<Arc<Sessions>> {
        let age = match due {
            0 => Duration::MAX,
            1..=FEW => RECENT,
            _ => SHARED,
        };
        self.sessions_of(client, age).await
    }

    /// The sessions as they are now.
    pub async fn sessions_now(&self, client: &MetalClient) -> MetalResult<Arc<Sessions>> {
        self.sessions_of(client, Duration::ZERO).await
    }

    async fn sessions_of(&self, client: &MetalClient, age: Duration) -> MetalResult<Arc<Sessions>> {
        let ask = async {
            let at = Instant::now();
            let devices = match client.project_bgp_sessions().await {
                Ok(sessions) => {
                    let devices = sessions.iter().filter(|one| is_ipv4(one));
                    Some(devices.map(|one| one.device.id().to_owned()).collect())
                }
                Err(error) if error.concerns_all() => return Err(error),
                Err(error) => {
                    debug!(
                        "devices are asked for their BGP sessions one by one: {}",
                        kit::chain(&error)
                    );
                    None
                }
            };
            Ok(Sessions { at, devices })
        };
        self.sessions.get(age, ask).await
    }

    /// The networks, when so many nodes are to be looked at; nothing when each is to be asked for by itself.
    pub async fn networks(&self, client: &MetalClient, due: usize) -> MetalResult<Option<Arc<Networks>>> {
        if due <= FEW {
            return Ok(None);
        }
        let ask = async {
            let devices = client.devices_with_blocks().await?.into_iter();
            Ok(devices
                .map(|device| (private_network(&device), device.id))
                .map(|(network, id)| (id, network))
                .collect())
        };
        self.networks.get(SHARED, ask).await.map(Some)
    }
}

/// Whether a session is the one that is needed.
pub(super) fn is_ipv4(session: &BgpSession) -> bool {
    session.address_family == "ipv4"
}

/// The block that a device's private management address was taken from.
pub(super) fn private_network(device: &Device) -> Option<Cidr> {
    let address = device
        .ip_addresses
        .iter()
        .find(|one| !one.public && one.management && one.address_family == 4)?;
    let _: IpAddr = address.parent_block.network.parse().ok()?;
    format!("{}/{}", address.parent_block.network, address.parent_block.cidr)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_a_private_network_has_none() {
        assert_eq!(private_network(&Device::default()), None);
    }
}
