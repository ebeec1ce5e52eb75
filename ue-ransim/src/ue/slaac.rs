//! The UE's end of an IPv6 link: router discovery (RFC 4861 §6.3) and addresses made of what is advertised (RFC 4862,
//! TS 23.501 §5.8.2.2).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::error::SimError;
use crate::icmp::{packet_v6, read_v6};

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Not from beyond the link (RFC 4861 §6.1.2).
const HOP_LIMIT: u8 = 255;
/// Octets of an advertisement in front of its options.
const ADVERTISEMENT_FIXED: usize = 16;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
const MTU_MIN: u32 = 1_280;
/// Solicitations sent before a UE gives up, and between two (RFC 4861 §10).
const SOLICITATIONS_MAX: u32 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

const DISCOVERY: &str = "RFC 4861 §6.1.2";
const ADDRESSES: &str = "TS 23.501 §5.8.2.2";

/// A session's IPv6 link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Link {
    /// The interface identifier that the network has given.
    pub interface: u64,
    /// The UE's address, once a router has advertised the prefix.
    pub address: Option<Ipv6Addr>,
}

impl Ipv6Link {
    pub(super) fn new(interface: [u8; 8]) -> Self {
        Self { interface: u64::from_be_bytes(interface), address: None }
    }

    /// The UE's link-local address.
    pub fn link_local(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(self.interface))
    }
}

/// What a router advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Advertisement {
    prefix: Ipv6Addr,
    mtu: Option<u32>,
}

/// Something wrong with an advertisement: the clause, and what.
type Fault = (&'static str, String);

impl Advertisement {
    /// Reads a packet; `None` if it is not an advertisement.
    fn read(packet: &[u8]) -> Option<Result<Self, Fault>> {
        let ((source, _), hop_limit, message) =
            read_v6(packet).filter(|(.., message)| message[..2] == [ADVERTISEMENT, 0])?;
        let wrong = |clause, what: &str| Some(Err((clause, what.to_owned())));
        if hop_limit != HOP_LIMIT {
            return wrong(DISCOVERY, "a router advertisement whose hop limit is not 255");
        }
        if !source.is_unicast_link_local() {
            return wrong(DISCOVERY, "a router advertisement from an address that is not link-local");
        }
        let lifetime = message.get(6..8).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
        if lifetime.is_none_or(|lifetime| lifetime == 0) {
            return wrong(ADDRESSES, "a router that is none: its lifetime is 0");
        }
        Some(Self::of_options(message.get(ADVERTISEMENT_FIXED..).unwrap_or_default()))
    }

    fn of_options(mut options: &[u8]) -> Result<Self, Fault> {
        let wrong = |clause, what: &str| Err((clause, what.to_owned()));
        let (mut prefixes, mut mtu) = (Vec::new(), None);
        while let [kind, length, ..] = *options {
            let split = options.split_at_checked(usize::from(length) * 8).filter(|_| length > 0);
            let Some((option, rest)) = split else {
                return wrong(DISCOVERY, "an option of a router advertisement has a wrong length");
            };
            match (kind, option) {
                (PREFIX_INFORMATION, option) if option.len() == 32 => prefixes.push(option),
                (MTU, &[_, _, _, _, a, b, c, d]) => mtu = Some(u32::from_be_bytes([a, b, c, d])),
                _ => {}
            }
            options = rest;
        }
        let [option] = prefixes[..] else {
            return Err((ADDRESSES, format!("a router advertisement with {} prefixes", prefixes.len())));
        };
        let number =
            |at: usize| u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]]);
        let (valid, preferred) = (number(4), number(8));
        if option[2] != 64 {
            return wrong(ADDRESSES, "an advertised prefix that has not 64 bits");
        }
        if option[3] & (AUTONOMOUS | ON_LINK) != AUTONOMOUS {
            return wrong(ADDRESSES, "an advertised prefix that is on-link, or not for addresses");
        }
        if valid == 0 || preferred == 0 || preferred > valid {
            return wrong("RFC 4862 §5.5.3", "an advertised prefix with lifetimes that cannot be");
        }
        if mtu.is_some_and(|mtu| mtu < MTU_MIN) {
            return wrong("RFC 4861 §6.3.4", "an advertised MTU below 1280");
        }
        let prefix = option[16..].first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
        let prefix = prefix.filter(|prefix| !prefix.is_unicast_link_local() && !prefix.is_multicast());
        match prefix {
            Some(prefix) => Ok(Self { prefix, mtu }),
            None => wrong("RFC 4862 §5.5.3", "an advertised prefix of which no address can be made"),
        }
    }
}

impl Session {
    /// Awaits an advertisement that nobody has asked for; the UE's address that follows from it.
    pub async fn await_advertisement(&mut self, within: Duration) -> Result<Ipv6Addr, SimError> {
        let advertised = self.next_advertisement(Instant::now() + within).await;
        advertised.ok_or_else(|| SimError::State(format!("no router advertisement within {within:?}")))
    }

    /// Solicits routers until one advertises (RFC 4861 §6.3.7); the UE's address that follows from it.
    pub async fn solicit_router(&mut self) -> Result<Ipv6Addr, SimError> {
        let link = self.ipv6.ok_or_else(|| SimError::State("the session has no IPv6 link".into()))?;
        let message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        let solicitation = packet_v6((link.link_local(), ALL_ROUTERS), HOP_LIMIT, message);
        for _ in 0..SOLICITATIONS_MAX {
            self.journal.count("ue.router_solicitation");
            self.send(&solicitation).await?;
            let until = Instant::now() + SOLICITATION_INTERVAL;
            if let Some(address) = self.next_advertisement(until).await {
                return Ok(address);
            }
        }
        Err(SimError::State("no router advertisement, although it was solicited".into()))
    }

    async fn next_advertisement(&mut self, until: Instant) -> Option<Ipv6Addr> {
        while let Ok(packet) = tokio::time::timeout_at(until, self.recv()).await {
            match Advertisement::read(&packet?) {
                None => {}
                Some(Ok(advertisement)) => {
                    self.journal.count("ue.router_advertisement");
                    return self.configure(advertisement);
                }
                Some(Err((clause, what))) => {
                    self.journal.failure(format_args!("PDU session {}", self.psi), clause, what);
                }
            }
        }
        None
    }

    fn configure(&mut self, advertisement: Advertisement) -> Option<Ipv6Addr> {
        let link = self.ipv6.as_mut()?;
        let address = Ipv6Addr::from_bits(advertisement.prefix.to_bits() | u128::from(link.interface));
        if link.address.replace(address).is_some_and(|before| before != address) {
            self.journal.failure(
                format_args!("PDU session {}", self.psi),
                ADDRESSES,
                "the prefix of a session changes",
            );
        }
        if self.address.is_ipv6() {
            self.address = IpAddr::V6(address);
        }
        if let Some(mtu) = advertisement.mtu.and_then(|mtu| u16::try_from(mtu).ok()) {
            self.mtu = self.mtu.min(mtu);
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const UE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    /// An advertisement with an MTU of 1400 and 2001:db8:45:7::/64, changed at one place of its message.
    fn packet(at: usize, to: u8) -> Vec<u8> {
        let mut message = vec![ADVERTISEMENT, 0, 0, 0, 64, 0, 0x07, 0x08];
        message.extend([0; 8]);
        message.extend([MTU, 1, 0, 0, 0, 0, 0x05, 0x78]);
        message.extend([PREFIX_INFORMATION, 4, 64, AUTONOMOUS]);
        message.extend([0xff; 8]);
        message.extend([0; 4]);
        message.extend([0x20, 1, 0xd, 0xb8, 0, 0x45, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        message[at] = to;
        packet_v6((ROUTER, UE), HOP_LIMIT, message)
    }

    #[test]
    fn when_an_advertisement_is_right_then_prefix_and_mtu_are_read() {
        let read = Advertisement::read(&packet(4, 0)).unwrap().unwrap();
        assert_eq!((read.prefix.to_string().as_str(), read.mtu), ("2001:db8:45:7::", Some(1400)));
    }

    #[test]
    fn when_an_advertisement_is_not_as_3gpp_wants_it_then_it_is_said() {
        for (at, to, clause) in [
            (26, 63, ADDRESSES),
            (27, AUTONOMOUS | ON_LINK, ADDRESSES),
            (27, 0, ADDRESSES),
            (24, 99, ADDRESSES),
            (22, 0x04, "RFC 4861 §6.3.4"),
            (28, 0, "RFC 4862 §5.5.3"),
            (17, 0, DISCOVERY),
            (40, 0xff, "RFC 4862 §5.5.3"),
        ] {
            let fault = Advertisement::read(&packet(at, to)).unwrap().unwrap_err();
            assert_eq!(fault.0, clause, "{at}: {}", fault.1);
        }
        let mut far = packet(4, 0);
        far[7] = 64;
        assert_eq!(Advertisement::read(&far).unwrap().unwrap_err().0, DISCOVERY);
        // A wrong checksum, or another packet: none.
        let mut other = packet(4, 0);
        other[50] ^= 1;
        assert!(Advertisement::read(&other).is_none());
        assert!(Advertisement::read(&packet(0, 136)).is_none());
    }
}
