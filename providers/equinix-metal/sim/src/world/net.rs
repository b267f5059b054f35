//! Arithmetic with addresses, and free room in a pool of them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A block of IPv4 addresses, aligned to its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block {
    start: u32,
    cidr: u8,
}

impl Block {
    /// The block of this size that `address` is in.
    pub(crate) fn around(address: Ipv4Addr, cidr: u8) -> Self {
        let cidr = cidr.min(32);
        let start = address.to_bits() & mask(cidr);
        Self { start, cidr }
    }

    pub(crate) fn cidr(self) -> u8 {
        self.cidr
    }

    pub(crate) fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.start)
    }

    pub(crate) fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.cidr))
    }

    /// The `n`th address, the last one if there are fewer.
    pub(crate) fn nth(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.start + n.min(!mask(self.cidr)))
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.cidr) == self.start
    }

    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(!mask(self.cidr)) + 1
    }

    /// The first free block of this size in this one. No two that are taken overlap.
    pub(crate) fn room(self, cidr: u8, taken: &BTreeSet<Self>) -> Option<Self> {
        let size = u64::from(!mask(cidr)) + 1;
        let aligned = |at: u64| at.div_ceil(size) * size;
        let mut at = aligned(u64::from(self.start));
        // One that begins before this block may reach into it.
        let before = taken.range(..self).next_back().filter(|block| block.end() > at);
        let taken = before.into_iter().chain(taken.range(self..));
        let taken = taken.take_while(|block| u64::from(block.start) < self.end());
        for block in taken {
            if at + size <= u64::from(block.start) {
                break;
            }
            at = at.max(aligned(block.end()));
        }
        let start = u32::try_from(at).ok()?;
        (at + size <= self.end()).then_some(Self { start, cidr })
    }
}

fn mask(cidr: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(cidr.min(32))).unwrap_or(0)
}

/// The `n`th network of this size after `base`.
pub(crate) fn network_v6(base: Ipv6Addr, cidr: u8, n: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(base.to_bits() + (u128::from(n) << (128 - u32::from(cidr))))
}

/// The netmask of an IPv6 network of this size.
pub(crate) fn netmask_v6(cidr: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - u32::from(cidr)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        let (address, cidr) = text.split_once('/').unwrap();
        Block::around(address.parse().unwrap(), cidr.parse().unwrap())
    }

    #[test]
    fn the_first_gap_that_fits_is_taken_and_a_full_pool_has_none() {
        let pool = block("10.0.0.0/29");
        for (taken, cidr, expected) in [
            (&[][..], 32, Some("10.0.0.0")),
            (&["10.0.0.0/32"], 32, Some("10.0.0.1")),
            (&["10.0.0.0/32", "10.0.0.4/32"], 31, Some("10.0.0.2")),
            (&["10.0.0.1/32"], 30, Some("10.0.0.4")),
            (&["10.0.0.0/30", "10.0.0.4/32"], 30, None),
            (&["10.0.0.0/29"], 32, None),
            (&["9.0.0.0/8", "11.0.0.0/8"], 29, Some("10.0.0.0")),
        ] {
            let taken = taken.iter().map(|text| block(text)).collect();
            let found = pool.room(cidr, &taken).map(|block| block.network().to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn blocks_know_their_bounds() {
        let wide = block("10.1.2.3/25");
        assert_eq!(wide.network().to_string(), "10.1.2.0");
        assert_eq!(wide.netmask().to_string(), "255.255.255.128");
        assert!(wide.contains("10.1.2.127".parse().unwrap()) && !wide.contains("10.1.2.128".parse().unwrap()));
        assert_eq!(
            block("255.255.255.255/32")
                .room(32, &BTreeSet::new())
                .map(|b| b.nth(9).to_string()),
            Some("255.255.255.255".to_owned())
        );
        assert_eq!(netmask_v6(56).to_string(), "ffff:ffff:ffff:ff00::");
        assert_eq!(
            network_v6("2604:1380::".parse().unwrap(), 56, 2).to_string(),
            "2604:1380:0:200::"
        );
    }
}
