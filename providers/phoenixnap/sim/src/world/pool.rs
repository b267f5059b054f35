//! Networks of addresses, and what is still free in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: its first address, and how many bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    first: u128,
    bits: u8,
    v6: bool,
}

impl Pool {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u8 = bits.parse().ok()?;
        let (first, width, v6) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32, false),
            IpAddr::V6(address) => (address.to_bits(), 128, true),
        };
        let pool = Self { first, bits, v6 };
        (bits <= width && first % pool.size() == 0).then_some(pool)
    }

    /// How many addresses it has; those of the whole of IPv6 are one too many to count, and one less is told.
    fn size(self) -> u128 {
        let width: u32 = if self.v6 { 128 } else { 32 };
        1u128.checked_shl(width - u32::from(self.bits)).unwrap_or(u128::MAX)
    }

    fn end(self) -> u128 {
        self.first.saturating_add(self.size())
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first < other.end() && other.first < self.end()
    }

    pub(crate) fn contains(self, address: &str) -> bool {
        match address.parse() {
            Ok(IpAddr::V4(address)) => !self.v6 && (self.first..self.end()).contains(&u128::from(address.to_bits())),
            Ok(IpAddr::V6(address)) => self.v6 && (self.first..self.end()).contains(&address.to_bits()),
            Err(_) => false,
        }
    }

    /// The first aligned network of `bits` in it that overlaps none of `taken`.
    pub(crate) fn carve(self, bits: u8, taken: &[Self]) -> Option<Self> {
        if bits < self.bits {
            return None;
        }
        let mut candidate = Self { bits, ..self };
        while candidate.end() <= self.end() {
            match taken
                .iter()
                .filter(|other| other.overlaps(candidate))
                .map(|other| other.end())
                .max()
            {
                None => return Some(candidate),
                // On to the next aligned place after what is in the way.
                Some(end) => candidate.first = end.div_ceil(candidate.size()) * candidate.size(),
            }
        }
        None
    }

    /// Its `n`-th address, counted from 0.
    pub(crate) fn nth(self, n: u128) -> Option<String> {
        let address = self.first.checked_add(n).filter(|address| *address < self.end())?;
        Some(self.text(address))
    }

    /// How many addresses lie between the first two, which are the network and its gateway, and the last.
    pub(crate) fn usable(self) -> std::ops::Range<u128> {
        match self.size() {
            0..=2 => 1..self.size(),
            size if self.v6 => 2..size,
            size => 2..size - 1,
        }
    }

    fn text(self, address: u128) -> String {
        if self.v6 {
            Ipv6Addr::from_bits(address).to_string()
        } else {
            Ipv4Addr::from_bits(u32::try_from(address).unwrap_or(u32::MAX)).to_string()
        }
    }
}

impl std::fmt::Display for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.text(self.first), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(text: &str) -> Pool {
        Pool::parse(text).unwrap()
    }

    #[test]
    fn networks_are_carved_aligned_and_apart_until_nothing_is_left() {
        let whole = pool("203.0.113.0/27");
        let mut taken = vec![pool("203.0.113.2/31")];
        let mut carved = Vec::new();
        while let Some(next) = whole.carve(29, &taken) {
            taken.push(next);
            carved.push(next.to_string());
        }
        assert_eq!(carved, ["203.0.113.8/29", "203.0.113.16/29", "203.0.113.24/29"]);
        assert_eq!(whole.carve(31, &taken).unwrap().to_string(), "203.0.113.0/31");
        assert_eq!(whole.carve(26, &[]), None);
    }

    #[test]
    fn only_networks_are_networks() {
        for text in ["203.0.113.1/29", "203.0.113.0", "203.0.113.0/33", "x/8", "::1/64", ""] {
            assert_eq!(Pool::parse(text), None, "{text}");
        }
        assert_eq!(pool("2001:db8::/64").to_string(), "2001:db8::/64");
        assert_eq!(pool("0.0.0.0/0").nth(5).unwrap(), "0.0.0.5");
    }
}
