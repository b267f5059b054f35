//! With whom a node speaks BGP, and how that is found out.

use cloud_provider::helpers::Cidr;
use secrecy::SecretString;

use super::error::BgpError;
use super::survey::{Networks, Sessions, is_ipv4, private_network};
use crate::client::{BgpNeighbor, MetalClient, MetalError};

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

/// Finds out with whom a node speaks, and has it speak if it does not. What lists do not show, this very device is asked
/// about.
pub(super) async fn look(
    client: &MetalClient,
    node: &str,
    device: &str,
    sessions: &Sessions,
    networks: Option<&Networks>,
) -> Result<(Peering, Session), BgpError> {
    let found = match sessions.of(device) {
        Some(found) => found,
        None => has_session(client, node, device).await?,
    };
    let session = if found {
        Session::Found
    } else {
        make_session(client, node, device).await?
    };
    let neighbors = client
        .bgp_neighbors(device)
        .await
        .map_err(|source| BgpError::Neighbors {
            device: device.to_owned(),
            source,
        })?;
    let neighbor = neighbors.into_iter().find(|one| one.address_family == 4);
    let neighbor = neighbor.ok_or_else(|| BgpError::NoNeighbor(device.to_owned()))?;
    let network = if let Some(network) = networks.and_then(|networks| networks.get(device)) {
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

fn failed(node: &str, source: MetalError) -> BgpError {
    let node = node.to_owned();
    BgpError::Session { node, source }
}

async fn has_session(client: &MetalClient, node: &str, device: &str) -> Result<bool, BgpError> {
    let sessions = client.bgp_sessions(device).await;
    let sessions = sessions.map_err(|source| failed(node, source))?;
    Ok(sessions.iter().any(is_ipv4))
}

async fn make_session(client: &MetalClient, node: &str, device: &str) -> Result<Session, BgpError> {
    let Err(error) = client.create_bgp_session(device, "ipv4").await else {
        return Ok(Session::Made);
    };
    // Refused because there is one already, or made although the answer was lost?
    match has_session(client, node, device).await? {
        false => Err(failed(node, error)),
        true if error.is_ambiguous() => Ok(Session::Made),
        true => Ok(Session::Found),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_sorted_as_the_original_numbers_them() {
        let neighbor = BgpNeighbor {
            peer_ips: vec!["169.254.255.2".to_owned(), "169.254.255.1".to_owned()],
            ..BgpNeighbor::default()
        };
        assert_eq!(peering(neighbor, None).peers, ["169.254.255.1", "169.254.255.2"]);
    }
}
