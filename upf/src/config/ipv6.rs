//! An IPv6 address with a prefix, in the configuration.

use std::fmt;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

/// An address with the length of its prefix: `2001:db8:45::1/48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for Ipv6Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(address, length)| {
            let length = length.parse().ok().filter(|length| *length <= 128)?;
            Some(Self { address: address.parse().ok()?, length })
        });
        parsed
            .ok_or_else(|| format!("expected an address with a prefix like 2001:db8:45::1/48, got {text:?}"))
    }
}

impl From<Ipv6Prefix> for String {
    fn from(prefix: Ipv6Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_written() {
        let prefix = Ipv6Prefix::try_from("2001:db8:45::1/48".to_owned()).expect("a prefix");
        assert_eq!(prefix.length, 48);
        assert_eq!(String::from(prefix), "2001:db8:45::1/48");
        let contains = |text: &str| prefix.contains(text.parse().expect("an address"));
        assert!(contains("2001:db8:45:ffff::9") && !contains("2001:db8:46::1"));
        let all = Ipv6Prefix { length: 0, ..prefix };
        assert!(
            all.contains(Ipv6Addr::LOCALHOST)
                && !Ipv6Prefix { length: 128, ..prefix }.contains(Ipv6Addr::LOCALHOST)
        );
        for text in ["2001:db8:45::1", "2001:db8:45::1/129", "10.45.0.1/16", "x/48", "2001:db8::/", ""] {
            assert!(Ipv6Prefix::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
