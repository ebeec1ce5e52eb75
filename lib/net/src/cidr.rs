//! Addresses with the length of their prefix, of either version of IP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// An address and the length of its prefix: `10.99.2.1/24`, `2001:db8::1/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// 0 to 32, or to 128.
    pub length: u8,
}

/// Text that is no [`Cidr`].
#[derive(Debug, thiserror::Error)]
#[error("expected an address with a prefix like 10.99.2.1/24 or 2001:db8::1/64, found `{0}`")]
pub struct NotACidr(String);

impl Cidr {
    /// The address with its host bits zero.
    pub fn network(self) -> Self {
        Self { address: of_bits(bits(self.address) & !self.host_bits(), self.address), length: self.length }
    }

    /// Whether `address` has the same prefix.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, length: self.length }.network() == self.network()
    }

    /// The address `further` on in the same network; `None` where that ends before. The network's own
    /// address and the broadcast address of IPv4 are no host's.
    pub fn further(self, further: u32) -> Option<Self> {
        let host = (bits(self.address) & self.host_bits()).checked_add(u128::from(further))?;
        let last = if self.is_shared_v4() { self.host_bits() - 1 } else { self.host_bits() };
        let first = u128::from(self.is_shared_v4());
        (first..=last).contains(&host).then(|| Self {
            address: of_bits(bits(self.network().address) | host, self.address),
            length: self.length,
        })
    }

    /// Whether it is a network of IPv4 with an own and a broadcast address (RFC 3021 has those without).
    fn is_shared_v4(self) -> bool {
        self.address.is_ipv4() && self.length < 31
    }

    fn host_bits(self) -> u128 {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        match width - u32::from(self.length) {
            128 => u128::MAX,
            hosts => (1 << hosts) - 1,
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with these bits, of the version that `like` is of.
fn of_bits(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
            (length <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, length })
        });
        parsed.ok_or_else(|| NotACidr(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Cidr {
    type Error = NotACidr;

    fn try_from(text: String) -> Result<Self, NotACidr> {
        text.parse()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_checked() {
        for text in ["10.0.0.1", "10.0.0.1/33", "2001:db8::1/129", "/8", "x/8", "10.0.0.1/", "::/0/0"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert_eq!(cidr("0.0.0.0/0").to_string(), "0.0.0.0/0");
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert_eq!(cidr("10.1.2.3/16").network(), cidr("10.1.0.0/16"));
        assert_eq!(cidr("2001:db8::5/64").network(), cidr("2001:db8::/64"));
        assert!(cidr("0.0.0.0/0").contains("9.9.9.9".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").contains("::9".parse().unwrap()));
        assert!(!cidr("10.1.2.3/24").contains("10.1.3.3".parse().unwrap()));
    }

    #[test]
    fn addresses_go_on_to_the_last_host() {
        assert_eq!(cidr("10.0.0.250/24").further(4), Some(cidr("10.0.0.254/24")));
        assert_eq!(cidr("10.0.0.250/24").further(5), None);
        assert_eq!(cidr("10.0.0.0/24").further(0), None);
        assert_eq!(cidr("10.0.0.0/31").further(1), Some(cidr("10.0.0.1/31")));
        assert_eq!(cidr("10.0.0.7/32").further(1), None);
        assert_eq!(cidr("10.0.0.7/32").further(0), Some(cidr("10.0.0.7/32")));
        assert_eq!(cidr("2001:db8::fffe/112").further(1), Some(cidr("2001:db8::ffff/112")));
        assert_eq!(cidr("2001:db8::fffe/112").further(2), None);
        assert_eq!(cidr("::1/0").further(1), Some(cidr("::2/0")));
    }
}
