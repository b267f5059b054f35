//! Finding a node's server by its name, while the node has no provider ID.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cloud_provider::data::Node;
use cloud_provider::names::ANNOTATION_PROVIDED_NODE_IP;

use crate::client::{Server, ServerStatus};

/// Why no server can be named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("node name cannot be empty string")]
    Empty,
    #[error(
        "{count} servers have the hostname {name:?} and the node's addresses do not tell which of them it is: give them \
         different names, or set the node's spec.providerID"
    )]
    Ambiguous { name: String, count: usize },
}

/// The server with the node's name; nothing when there is none.
///
/// Hostnames are not unique. Servers that are on their way out count only when there are no others, and of several the one
/// that has an address of the node is meant. Hostnames may have capital letters, which names of nodes cannot have.
pub(super) fn find<'a>(
    node: &Node,
    servers: impl Iterator<Item = &'a Server>,
) -> Result<Option<&'a Server>, NameError> {
    if node.name.is_empty() {
        return Err(NameError::Empty);
    }
    let named: Vec<&Server> = servers
        .filter(|server| server.hostname.eq_ignore_ascii_case(&node.name))
        .collect();
    let exact: Vec<&Server> = named
        .iter()
        .copied()
        .filter(|server| server.hostname == node.name)
        .collect();
    let mut candidates = if exact.is_empty() { named } else { exact };
    if candidates.len() > 1 {
        let alive = |server: &&Server| !matches!(server.status, ServerStatus::Deleting | ServerStatus::Reserved);
        let staying: Vec<&Server> = candidates.iter().copied().filter(alive).collect();
        candidates = if staying.is_empty() { candidates } else { staying };
    }
    if candidates.len() > 1 {
        let known = addresses_of(node);
        let shares = |server: &&Server| addresses(server).any(|address| known.contains(&address));
        let count = candidates.len();
        candidates.retain(|server| shares(server));
        if candidates.len() != 1 {
            return Err(NameError::Ambiguous {
                name: node.name.clone(),
                count,
            });
        }
    }
    Ok(candidates.first().copied())
}

/// The addresses of a server, of either family.
fn addresses(server: &Server) -> impl Iterator<Item = IpAddr> {
    let all = server.private_ip_addresses.iter().chain(&server.public_ip_addresses);
    all.filter_map(|text| text.trim().parse().ok())
}

/// The addresses that the node itself names.
fn addresses_of(node: &Node) -> BTreeSet<IpAddr> {
    let provided = node.annotations.get(ANNOTATION_PROVIDED_NODE_IP);
    let provided = provided.into_iter().flat_map(|text| text.split(','));
    let told = node.addresses.iter().map(|address| address.address.as_str());
    provided
        .chain(told)
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use cloud_provider::data::Address;

    use super::*;

    fn server(id: &str, hostname: &str, address: &str) -> Server {
        Server {
            id: id.to_owned(),
            hostname: hostname.to_owned(),
            status: ServerStatus::PoweredOn,
            private_ip_addresses: vec![address.to_owned()],
            ..Server::default()
        }
    }

    fn node(name: &str, address: &str) -> Node {
        Node {
            name: name.to_owned(),
            addresses: vec![Address::internal(address)],
            ..Node::default()
        }
    }

    fn found(node: &Node, servers: &[Server]) -> Result<Option<String>, NameError> {
        find(node, servers.iter()).map(|server| server.map(|server| server.id.clone()))
    }

    #[test]
    fn a_server_is_found_by_its_hostname_in_any_case_and_the_very_same_first() {
        let servers = [
            server("a", "Node-1", "10.0.0.1"),
            server("b", "node-2", "10.0.0.2"),
            server("c", "NODE-2", "10.0.0.3"),
        ];
        assert_eq!(found(&node("node-1", ""), &servers), Ok(Some("a".to_owned())));
        assert_eq!(found(&node("node-2", ""), &servers), Ok(Some("b".to_owned())));
        assert_eq!(found(&node("node-3", ""), &servers), Ok(None));
        assert_eq!(
            found(&node("", ""), &servers).unwrap_err().to_string(),
            "node name cannot be empty string"
        );
    }

    #[test]
    fn of_several_the_one_with_the_nodes_address_is_meant_and_no_other() {
        let servers = [server("a", "same", "10.0.0.1"), server("b", "same", "10.0.0.2")];
        assert_eq!(found(&node("same", "10.0.0.2"), &servers), Ok(Some("b".to_owned())));
        let ambiguous = found(&node("same", "10.0.0.9"), &servers).unwrap_err();
        assert!(
            ambiguous
                .to_string()
                .starts_with("2 servers have the hostname \"same\""),
            "{ambiguous}"
        );
    }

    #[test]
    fn a_server_that_is_being_deleted_gives_way_to_its_successor() {
        let mut servers = [server("a", "same", "10.0.0.1"), server("b", "same", "10.0.0.1")];
        servers[0].status = ServerStatus::Deleting;
        assert_eq!(found(&node("same", ""), &servers), Ok(Some("b".to_owned())));
        assert_eq!(found(&node("same", ""), &servers[..1]), Ok(Some("a".to_owned())));
    }
}
