//! Ranges of addresses: what a user is granted.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all addresses with a prefix: `127.0.0.10`, `10.1.0.0/16`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    ip: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// The addresses that begin with the first `prefix` bits of `ip`; `None` if it has fewer bits.
    pub fn new(ip: IpAddr, prefix: u8) -> Option<Self> {
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some(Self { ip, prefix })
    }

    /// Its first address as it was written.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Bits that are the same in all.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differing = u32::from(own) ^ u32::from(ip);
                u32::from(self.prefix) <= differing.leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let differing = u128::from(own) ^ u128::from(ip);
                u32::from(self.prefix) <= differing.leading_zeros()
            }
            _ => false,
        }
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.ip) || other.contains(self.ip)
    }
}

impl From<IpAddr> for AddressRange {
    fn from(ip: IpAddr) -> Self {
        Self { ip, prefix: if ip.is_ipv4() { 32 } else { 128 } }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::from(self.ip) {
            write!(f, "{}", self.ip)
        } else {
            write!(f, "{}/{}", self.ip, self.prefix)
        }
    }
}

/// A text that is no address range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as 127.0.0.10, or one with a prefix length such as 10.1.0.0/16")]
pub struct NotAnAddressRange;

impl FromStr for AddressRange {
    type Err = NotAnAddressRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((ip, prefix)) = text.split_once('/') else {
            return text.parse().map(|ip: IpAddr| Self::from(ip)).map_err(|_| NotAnAddressRange);
        };
        let (ip, prefix) = ip.parse().ok().zip(prefix.parse().ok()).ok_or(NotAnAddressRange)?;
        Self::new(ip, prefix).ok_or(NotAnAddressRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_what_begins_with_their_prefix() {
        let range: AddressRange = "10.1.0.0/16".parse().unwrap();
        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(!range.contains("10.2.0.0".parse().unwrap()));
        assert!(!range.contains("::ffff:10.1.0.1".parse().unwrap()));
        let all: AddressRange = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        let one: AddressRange = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
        assert!(all.overlaps(&range) && range.overlaps(&all) && !range.overlaps(&one));
        assert_eq!((range.to_string(), one.to_string()), ("10.1.0.0/16".to_owned(), "::1".to_owned()));
        for wrong in ["", "10.0.0.1/33", "10.0.0/8", "x", "::/129"] {
            assert_eq!(wrong.parse::<AddressRange>(), Err(NotAnAddressRange), "{wrong}");
        }
    }
}
