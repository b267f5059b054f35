//! With whom a node speaks BGP, and how that is found out.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cloud_provider::helpers::Cidr;
use secrecy::SecretString;

use super::error::BgpError;
use crate::client::{BgpNeighbor, BgpSession, Device, MetalClient, MetalResult};

/// A node's BGP sessions.
#[derive(Clone, Debug)]
pub(super) struct Peering {
    /// The node's autonomous system.
    pub local_asn: u32,
    /// That of its peers.
    pub peer_asn: u32,
    /// The node's address.
    pub source: String,
    /// Its peers' addresses, sorted.
    pub peers: Vec<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The node's private network.
    pub network: Option<Cidr>,
}

/// Where a device's session comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// It was there.
    Found,
    /// It was made just now.
    Made,
}

/// What lists tell of all devices of the project at once, in place of two requests for each.
#[derive(Debug)]
pub(super) struct Survey {
    /// The devices that have a session.
    sessions: HashSet<String>,
    /// The devices' private networks.
    networks: HashMap<String, Option<Cidr>>,
}

impl Survey {
    /// Takes it: one request for the sessions, one for each thousand devices.
    pub async fn take(client: &MetalClient) -> MetalResult<Self> {
        let (sessions, devices) = futures::try_join!(client.project_bgp_sessions(), client.devices_with_blocks())?;
        let sessions = sessions.iter().filter(|one| is_ipv4(one));
        Ok(Self {
            sessions: sessions.map(|one| one.device.id().to_owned()).collect(),
            networks: devices
                .into_iter()
                .map(|device| (private_network(&device), device.id))
                .map(|(network, id)| (id, network))
                .collect(),
        })
    }
}

/// Finds out with whom a node speaks, and has it speak if it does not. What the survey does not show, this very device is
/// asked about.
pub(super) async fn look(
    client: &MetalClient,
    node: &str,
    device: &str,
    survey: Option<&Survey>,
) -> Result<(Peering, Session), BgpError> {
    let session = ensure_session(client, node, device, survey).await?;
    let neighbors = client
        .bgp_neighbors(device)
        .await
        .map_err(|source| BgpError::Neighbors {
            device: device.to_owned(),
            source,
        })?;
    let neighbor = neighbors.into_iter().find(|one| one.address_family == 4);
    let neighbor = neighbor.ok_or_else(|| BgpError::NoNeighbor(device.to_owned()))?;
    let network = if let Some(network) = survey.and_then(|survey| survey.networks.get(device)) {
        *network
    } else {
        let described = client.device_with_blocks(device).await;
        private_network(&described.map_err(|source| BgpError::Network {
            node: node.to_owned(),
            source,
        })?)
    };
    Ok((peering(neighbor, network), session))
}

async fn ensure_session(
    client: &MetalClient,
    node: &str,
    device: &str,
    survey: Option<&Survey>,
) -> Result<Session, BgpError> {
    let failed = |source| BgpError::Session {
        node: node.to_owned(),
        source,
    };
    let has_one = async || -> Result<bool, BgpError> {
        let sessions = client.bgp_sessions(device).await.map_err(failed)?;
        Ok(sessions.iter().any(is_ipv4))
    };
    let found = match survey {
        Some(survey) => survey.sessions.contains(device),
        None => has_one().await?,
    };
    if found {
        return Ok(Session::Found);
    }
    match client.create_bgp_session(device, "ipv4").await {
        // Refused because there is one already, or made although the answer was lost?
        Err(error) if !has_one().await? => Err(failed(error)),
        _ => Ok(Session::Made),
    }
}

fn is_ipv4(session: &BgpSession) -> bool {
    session.address_family == "ipv4"
}

fn peering(neighbor: BgpNeighbor, network: Option<Cidr>) -> Peering {
    let mut peers = neighbor.peer_ips;
    peers.sort();
    peers.dedup();
    Peering {
        local_asn: neighbor.customer_as,
        peer_asn: neighbor.peer_as,
        source: neighbor.customer_ip,
        peers,
        password: neighbor.md5_password,
        network,
    }
}

/// The block that a device's private management address was taken from.
fn private_network(device: &Device) -> Option<Cidr> {
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
        let neighbor = BgpNeighbor {
            peer_ips: vec!["169.254.255.2".to_owned(), "169.254.255.1".to_owned()],
            ..BgpNeighbor::default()
        };
        assert_eq!(peering(neighbor, None).peers, ["169.254.255.1", "169.254.255.2"]);
    }
}
