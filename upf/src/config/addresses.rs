//! Our addresses on an interface, in the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::path::ReferencePoint;

/// An address of IPv4, one of IPv6, or one of each: `192.0.2.18`, `2001:db8::18`, `[192.0.2.18, "2001:db8::18"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Addresses {
    /// Of IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// Of IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

/// Our addresses of tunnels, as peers see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelEnds {
    pub(crate) n3: Addresses,
    /// If they are others than those of N3.
    pub(crate) n9: Option<Addresses>,
}

impl TunnelEnds {
    /// Those of one interface.
    pub(crate) fn of(self, interface: ReferencePoint) -> Addresses {
        match interface {
            ReferencePoint::N3 => self.n3,
            ReferencePoint::N9 => self.n9.unwrap_or(self.n3),
        }
    }
}

#[cfg(test)]
impl From<Ipv4Addr> for TunnelEnds {
    fn from(address: Ipv4Addr) -> Self {
        Self { n3: address.into(), n9: None }
    }
}

/// As a file has them.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "an IPv4 or IPv6 address, or a list of one of each")]
enum Written {
    One(String),
    All(Vec<String>),
}

impl Addresses {
    /// One address.
    pub const fn one(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self { ipv4: Some(address), ipv6: None },
            IpAddr::V6(address) => Self { ipv4: None, ipv6: Some(address) },
        }
    }

    /// Those that there are, IPv4 first.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }

    /// The one of the version of another address.
    pub fn like(self, other: IpAddr) -> Option<IpAddr> {
        self.all().find(|address| address.is_ipv4() == other.is_ipv4())
    }

    /// Whether others are all among these, and are any.
    pub(crate) fn holds(self, others: Self) -> bool {
        let is_ours = |other: IpAddr| self.all().any(|address| address == other);
        others.all().next().is_some() && others.all().all(is_ours)
    }

    /// These, and of the versions that are missing the others.
    pub(super) fn or(self, others: Self) -> Self {
        Self { ipv4: self.ipv4.or(others.ipv4), ipv6: self.ipv6.or(others.ipv6) }
    }
}

impl From<Ipv4Addr> for Addresses {
    fn from(address: Ipv4Addr) -> Self {
        Self::one(address.into())
    }
}

impl TryFrom<Written> for Addresses {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let texts = match written {
            Written::One(text) => vec![text],
            Written::All(texts) => texts,
        };
        let mut all = Self { ipv4: None, ipv6: None };
        for text in &texts {
            let twice = match text.parse() {
                Ok(IpAddr::V4(address)) => all.ipv4.replace(address).is_some(),
                Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
                    return Err(format!("expected an address of IPv4 in its own form, got {text:?}"));
                }
                Ok(IpAddr::V6(address)) => all.ipv6.replace(address).is_some(),
                Err(_) => return Err(format!("expected an IPv4 or IPv6 address, got {text:?}")),
            };
            if twice {
                return Err(format!("expected one address of each version of IP, got {texts:?}"));
            }
        }
        if texts.is_empty() { Err("expected an address".to_owned()) } else { Ok(all) }
    }
}

impl From<Addresses> for Written {
    fn from(addresses: Addresses) -> Self {
        let mut texts: Vec<String> = addresses.all().map(|address| address.to_string()).collect();
        if texts.len() == 1 { Self::One(texts.remove(0)) } else { Self::All(texts) }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.all().map(|address| address.to_string()).collect();
        f.write_str(&texts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct File {
        n3: Addresses,
    }

    fn read(text: &str) -> Result<File, String> {
        tern_config::parse("upf.yaml", &format!("n3: {text}")).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn one_address_or_one_of_each_version_is_read_and_written_as_it_was() {
        let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 18), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x18));
        for (text, ipv4, ipv6) in [
            ("192.0.2.18", Some(v4), None),
            ("\"2001:db8::18\"", None, Some(v6)),
            ("[192.0.2.18, \"2001:db8::18\"]", Some(v4), Some(v6)),
            ("[\"2001:db8::18\", 192.0.2.18]", Some(v4), Some(v6)),
            ("[192.0.2.18]", Some(v4), None),
        ] {
            let read = read(text).expect(text);
            assert_eq!(read.n3, Addresses { ipv4, ipv6 }, "{text}");
            let again = serde_json::from_value(serde_json::to_value(&read).expect("writes"));
            assert_eq!(again.ok(), Some(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_or_two_of_a_version_is_refused_with_words() {
        for (text, why) in [
            ("[]", "expected an address"),
            ("n3.example", "expected an IPv4 or IPv6 address"),
            ("[192.0.2.18, 192.0.2.19]", "one address of each version"),
            ("[\"::1\", \"::2\"]", "one address of each version"),
            ("\"::ffff:192.0.2.18\"", "in its own form"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
