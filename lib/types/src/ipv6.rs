//! IPv6 addresses with a prefix: an interface's, and the network that sessions get their prefixes of.

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::{ParseError, serde_as_text};

/// An address with the length of its prefix: `2001:db8:45::1/48`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Prefix {
    /// The address.
    pub address: Ipv6Addr,
    /// 0 to 128.
    pub length: u8,
}

impl Ipv6Prefix {
    /// Whether an address has the same prefix.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
        (address.to_bits() ^ self.address.to_bits()) & mask == 0
    }
}

impl FromStr for Ipv6Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let length = length.parse().ok().filter(|length| *length <= 128)?;
            Some(Self { address: address.parse().ok()?, length })
        });
        let expected = "an address with a prefix like 2001:db8:45::1/48";
        parsed.ok_or_else(|| ParseError::new("IPv6 prefix", expected, text))
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

serde_as_text!(Ipv6Prefix);

/// A network of several links, each a prefix of 64 bits: `2001:db8:45::/48`. The bits behind its prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Network(Ipv6Prefix);

impl Ipv6Network {
    /// Shortest and longest prefix: 4 to 2⁴⁸ links.
    pub const LENGTHS: RangeInclusive<u8> = 16..=62;

    /// `None` if the prefix length is not in [`Self::LENGTHS`] or bits behind it are set.
    pub fn new(address: Ipv6Addr, length: u8) -> Option<Self> {
        let network = Self(Ipv6Prefix { address, length });
        let is_one = Self::LENGTHS.contains(&length) && address.to_bits() & network.behind() == 0;
        is_one.then_some(network)
    }

    /// Whether the network holds `address`.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        self.0.contains(address)
    }

    /// Whether an address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }

    /// The network's own address.
    pub fn first(self) -> Ipv6Addr {
        self.0.address
    }

    /// The last address.
    pub fn last(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.first().to_bits() | self.behind())
    }

    /// The first host's address.
    pub fn first_host(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.first().to_bits() | 1)
    }

    /// An address with the network's prefix.
    pub fn with(self, address: Ipv6Addr) -> Ipv6Prefix {
        Ipv6Prefix { address, length: self.0.length }
    }

    fn behind(self) -> u128 {
        u128::MAX.checked_shr(u32::from(self.0.length)).unwrap_or(0)
    }
}

impl FromStr for Ipv6Network {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = text.parse().ok().and_then(|Ipv6Prefix { address, length }| Self::new(address, length));
        let expected = "a network such as 2001:db8:45::/48, prefix 16 to 62, the bits behind it zero";
        parsed.ok_or_else(|| ParseError::new("IPv6 network", expected, text))
    }
}

impl fmt::Display for Ipv6Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(Ipv6Network);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_written() {
        let prefix: Ipv6Prefix = "2001:db8:45::1/48".parse().unwrap();
        assert_eq!((prefix.length, prefix.to_string().as_str()), (48, "2001:db8:45::1/48"));
        let contains = |text: &str| prefix.contains(text.parse().unwrap());
        assert!(contains("2001:db8:45:ffff::9") && !contains("2001:db8:46::1"));
        let all = Ipv6Prefix { length: 0, ..prefix };
        let one = Ipv6Prefix { length: 128, ..prefix };
        assert!(all.contains(Ipv6Addr::LOCALHOST) && !one.contains(Ipv6Addr::LOCALHOST));
        for text in ["2001:db8:45::1", "2001:db8:45::1/129", "10.45.0.1/16", "x/48", "2001:db8::/", ""] {
            assert!(text.parse::<Ipv6Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_checked() {
        for text in ["2001:db8:45::1/48", "2000::/8", "2001:db8::/63", "2001:db8:45::", "10.45.0.0/16"] {
            assert!(text.parse::<Ipv6Network>().is_err(), "{text}");
        }
        let network: Ipv6Network = "2001:db8:45::/48".parse().unwrap();
        assert_eq!(network.last().to_string(), "2001:db8:45:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(network.with(network.first_host()).to_string(), "2001:db8:45::1/48");
        let network_of = |text: &str| text.parse::<Ipv6Network>().unwrap();
        assert!(network.overlaps(network_of("2001:db8:45:8000::/50")));
        assert!(
            network_of("2001:db8::/32").overlaps(network)
                && !network.overlaps(network_of("2001:db8:46::/48"))
        );
    }
}
