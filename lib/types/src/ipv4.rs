//! IPv4 addresses with a prefix: an interface's, and the network of a pool.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::{ParseError, serde_as_text};

/// An address with the length of its prefix: `10.45.0.1/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv4Prefix {
    /// The address.
    pub address: Ipv4Addr,
    /// 0 to 32.
    pub length: u8,
}

impl Ipv4Prefix {
    /// Whether an address has the same prefix.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0);
        (address.to_bits() ^ self.address.to_bits()) & mask == 0
    }
}

impl FromStr for Ipv4Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let length = length.parse().ok().filter(|length| *length <= 32)?;
            Some(Self { address: address.parse().ok()?, length })
        });
        parsed.ok_or_else(|| ParseError::new("prefix", "an address with a prefix like 10.45.0.1/16", text))
    }
}

impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

serde_as_text!(Ipv4Prefix);

/// A network of several hosts: `10.45.0.0/16`. Its host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv4Network(Ipv4Prefix);

impl Ipv4Network {
    /// Shortest and longest prefix: 2 to 16,777,214 hosts.
    pub const LENGTHS: std::ops::RangeInclusive<u8> = 8..=30;

    /// `None` if the prefix length is not in [`Self::LENGTHS`] or host bits are set.
    pub fn new(address: Ipv4Addr, length: u8) -> Option<Self> {
        let network = Self(Ipv4Prefix { address, length });
        (Self::LENGTHS.contains(&length) && u32::from(address) & network.hosts() == 0).then_some(network)
    }

    /// Whether the network holds `address`.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.0.contains(address)
    }

    /// Whether an address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }

    /// The network's own address.
    pub fn first(self) -> Ipv4Addr {
        self.0.address
    }

    /// The broadcast address.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first()) | self.hosts())
    }

    /// The first host's address.
    pub fn first_host(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first()) + 1)
    }

    /// An address with the network's prefix.
    pub fn with(self, address: Ipv4Addr) -> Ipv4Prefix {
        Ipv4Prefix { address, length: self.0.length }
    }

    fn hosts(self) -> u32 {
        u32::MAX.checked_shr(u32::from(self.0.length)).unwrap_or(0)
    }
}

impl FromStr for Ipv4Network {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parsed = text.parse().ok().and_then(|Ipv4Prefix { address, length }| Self::new(address, length));
        let expected = "a network such as 10.45.0.0/16, prefix 8 to 30, host bits zero";
        parsed.ok_or_else(|| ParseError::new("network", expected, text))
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(Ipv4Network);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_written() {
        let prefix: Ipv4Prefix = "10.45.0.1/16".parse().unwrap();
        assert_eq!((prefix.address, prefix.length), (Ipv4Addr::new(10, 45, 0, 1), 16));
        assert_eq!(prefix.to_string(), "10.45.0.1/16");
        for text in ["10.45.0.1", "10.45.0.1/33", "x/16", "10.45.0.1/", ""] {
            assert!(text.parse::<Ipv4Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_checked() {
        for text in ["10.0.0.1/16", "10.0.0.0/7", "10.0.0.0/31", "10.0.0.0", "x/16", "10.0.0.0/99"] {
            assert!(text.parse::<Ipv4Network>().is_err(), "{text}");
        }
        let network: Ipv4Network = "10.45.0.0/16".parse().unwrap();
        assert_eq!(network.last(), Ipv4Addr::new(10, 45, 255, 255));
        assert_eq!(network.with(network.first_host()).to_string(), "10.45.0.1/16");
        let network_of = |text: &str| text.parse::<Ipv4Network>().unwrap();
        assert!(network.overlaps(network_of("10.45.7.0/24")) && network_of("10.0.0.0/8").overlaps(network));
        assert!(!network.overlaps(network_of("10.46.0.0/16")));
    }
}
