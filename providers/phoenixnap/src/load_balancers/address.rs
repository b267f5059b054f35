//! The addresses of a block, and which of them are free.

use std::net::{IpAddr, Ipv4Addr};

use cloud_provider::helpers::Cidr;

use crate::client::PublicNetwork;
use crate::config::BlockSize;

/// How many addresses at the start of a block are not for Services: the network's own, and the gateway's.
const RESERVED: u32 = 2;

/// The addresses of a block that Services may have, in order: all between its gateway and its broadcast address. Only IPv4.
///
/// The original always takes the first of them (`phoenixnap/loadbalancers.go`).
pub(super) fn usable(block: Cidr) -> impl Iterator<Item = IpAddr> {
    let (first, last) = match (block.network, block.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits(), last.to_bits()),
        _ => (1, 0),
    };
    (first.saturating_add(RESERVED)..last).map(|bits| Ipv4Addr::from_bits(bits).into())
}

/// How many addresses for Services a block of this size has.
pub(super) fn room_of(size: BlockSize) -> usize {
    let block: Result<Cidr, _> = format!("0.0.0.0{size}").parse();
    block.map_or(0, |block| usable(block).count())
}

/// The addresses that members of a network have.
pub(super) struct Members(Vec<(IpAddr, IpAddr, String)>);

impl Members {
    /// Those of this network. They are told one by one, or as `first - last`.
    pub fn of(network: &PublicNetwork) -> Self {
        let members = network.memberships.iter();
        let addresses = members.flat_map(|member| member.ips.iter().map(|text| (text, &member.resource_id)));
        let ranges = addresses.filter_map(|(text, member)| {
            let (first, last) = text.split_once(" - ").unwrap_or((text, text));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?, member.clone()))
        });
        Self(ranges.collect())
    }

    /// Whether a member has the address.
    pub fn have(&self, address: IpAddr) -> bool {
        self.0
            .iter()
            .any(|(first, last, _)| *first <= address && address <= *last)
    }

    /// A member that has an address of a block.
    pub fn inside(&self, block: Cidr) -> Option<&str> {
        let inside = |(first, last, _): &&(IpAddr, IpAddr, String)| {
            block.contains(*first) || block.contains(*last) || (*first <= block.network && block.network <= *last)
        };
        self.0.iter().find(inside).map(|(_, _, member)| member.as_str())
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Member;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn the_third_address_is_the_first_that_a_service_may_have() {
        for (block, count, first) in [
            ("203.0.113.8/29", 5, Some("203.0.113.10")),
            ("203.0.113.16/28", 13, Some("203.0.113.18")),
            ("203.0.113.0/30", 1, Some("203.0.113.2")),
            ("203.0.113.0/31", 0, None),
            ("203.0.113.7/32", 0, None),
            ("255.255.255.255/32", 0, None),
            ("2001:db8::/64", 0, None),
        ] {
            let all: Vec<IpAddr> = usable(cidr(block)).collect();
            assert_eq!(
                (all.len(), all.first().map(ToString::to_string).as_deref()),
                (count, first),
                "{block}"
            );
        }
    }

    #[test]
    fn a_block_has_room_for_all_but_three_of_its_addresses() {
        let room = |size: &str| room_of(size.parse().unwrap());
        assert_eq!((room("/30"), room("/29"), room("/28")), (1, 5, 13));
    }

    #[test]
    fn members_have_single_addresses_and_ranges() {
        let ips = ["203.0.113.10", "203.0.113.12 - 203.0.113.14", "nonsense", ""].map(str::to_owned);
        let network = PublicNetwork {
            memberships: vec![Member {
                resource_id: "server".to_owned(),
                ips: ips.into(),
                ..Member::default()
            }],
            ..PublicNetwork::default()
        };
        let members = Members::of(&network);
        for (address, expected) in [("203.0.113.10", true), ("203.0.113.11", false), ("203.0.113.13", true)] {
            assert_eq!(members.have(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(members.inside(cidr("203.0.113.8/29")), Some("server"));
        assert_eq!(members.inside(cidr("203.0.113.16/29")), None);
    }
}
