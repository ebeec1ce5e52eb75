//! The UE's addresses in PDIs (TS 29.244 §8.2.62) and the networks behind it: framed routes (TS 23.501
//! §5.6.14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pdr_classifier::{Prefix, Side, UeIp};
use smallvec::SmallVec;
use tern_pfcp::*;

use super::rules::{Refusal, RuleSet};

/// The length of a prefix that says none (TS 29.244 §8.2.62).
const PREFIX_LENGTH: u8 = 64;

/// The addresses of a UE, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UeAddresses {
    pub(super) v4: SmallVec<[Ipv4Addr; 4]>,
    pub(super) v6: Vec<Prefix>,
    /// Networks behind the UE.
    pub(super) framed: Vec<Prefix>,
}

/// What a PDI has that cannot be: the IE, and why.
type Wrong = (u16, &'static str);

impl UeAddresses {
    /// Those of one PDI, or why they cannot be.
    pub(super) fn of_pdi(pdi: &Pdi) -> Result<Self, Wrong> {
        let mut all = Self::default();
        all.add(pdi)?;
        Ok(all.each_once())
    }

    /// Those of all PDIs of a session.
    pub(super) fn of_session(rules: &RuleSet) -> Result<Self, Refusal> {
        let mut all = Self::default();
        for pdr in rules.pdrs.iter() {
            all.add(&pdr.pdi).map_err(|(ie, why)| Refusal::rule(FailedRuleId::Pdr(pdr.pdr_id), ie, why))?;
        }
        Ok(all.each_once())
    }

    fn add(&mut self, pdi: &Pdi) -> Result<(), Wrong> {
        for ue in &pdi.ue_ip_addresses {
            self.v4.extend(ue.ipv4);
            self.v6.extend(prefix_of(ue).map_err(|why| (93, why))?);
        }
        for route in &pdi.framed_routes {
            let prefix = framed(&route.0).filter(Prefix::is_v4);
            self.framed.push(prefix.ok_or((153, "a framed route begins with an IPv4 prefix"))?);
        }
        for route in &pdi.framed_ipv6_routes {
            let prefix = framed(&route.0).filter(|prefix| !prefix.is_v4());
            self.framed.push(prefix.ok_or((155, "a framed IPv6 route begins with an IPv6 prefix"))?);
        }
        Ok(())
    }

    fn each_once(mut self) -> Self {
        self.v4.sort_unstable();
        self.v4.dedup();
        for prefixes in [&mut self.v6, &mut self.framed] {
            prefixes.sort_unstable_by_key(|prefix| (prefix.address(), prefix.length()));
            prefixes.dedup();
        }
        self
    }

    /// What "assigned" stands for in a session: its first address of each version.
    pub(super) fn assigned(rules: &RuleSet) -> Vec<Prefix> {
        let all = || rules.pdrs.iter().flat_map(|pdr| &pdr.pdi.ue_ip_addresses);
        let v4 = all().find_map(|ue| ue.ipv4).map(|address| Prefix::host(IpAddr::V4(address)));
        let v6 = all().find_map(|ue| prefix_of(ue).ok().flatten());
        v4.into_iter().chain(v6).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is this one of IPv4, and nothing else.
    pub(super) fn is_only(&self, address: Ipv4Addr) -> bool {
        self.v4[..] == [address] && self.v6.is_empty() && self.framed.is_empty()
    }

    /// The first of each kind, for the classifier.
    pub(super) fn ue_ip(&self, side: Side) -> Option<UeIp> {
        let (v4, v6) = (self.v4.first().copied(), self.v6.first().copied());
        (v4.is_some() || v6.is_some()).then_some(UeIp { side, v4, v6 })
    }

    /// Those behind the first of each kind, and the framed routes.
    pub(super) fn others(&self) -> Vec<Prefix> {
        let hosts = self.v4.iter().skip(1).map(|address| Prefix::host(IpAddr::V4(*address)));
        hosts.chain(self.v6.iter().skip(1).copied()).chain(self.framed.iter().copied()).collect()
    }

    /// All that are not single addresses of IPv4.
    pub(super) fn not_single(&self) -> Box<[Prefix]> {
        self.v6.iter().chain(&self.framed).copied().collect()
    }
}

/// The IPv6 prefix, with the bits that are delegated beyond it or the length that is said. Host bits are zero.
fn prefix_of(ue: &UeIpAddress) -> Result<Option<Prefix>, &'static str> {
    let Some(address) = ue.ipv6 else { return Ok(None) };
    let delegated = PREFIX_LENGTH.checked_sub(ue.ipv6_delegation_bits.unwrap_or(0));
    let length = ue.ipv6_prefix_length.or(delegated).unwrap_or(u8::MAX);
    network(IpAddr::V6(address), length).map(Some).ok_or("an IPv6 prefix has 1 to 128 bits")
}

/// The network of a framed route, which is its first word; gateway and metrics are the UE's matter. Without a
/// length, that of the address's class (RFC 2865 §5.22), or a host's.
fn framed(text: &str) -> Option<Prefix> {
    let word = text.split_ascii_whitespace().next()?;
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address.parse().ok()?, length.parse().ok()?),
        None => {
            let address: IpAddr = word.parse().ok()?;
            (address, class_of(address))
        }
    };
    network(address, length)
}

/// The bits of a network that says none.
fn class_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V6(_) => 128,
        IpAddr::V4(address) => match address.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            192..224 => 24,
            224.. => 32,
        },
    }
}

/// A prefix whose host bits are zero, so that the same network is the same prefix. All addresses are no
/// network: they would take what is the others'.
fn network(address: IpAddr, length: u8) -> Option<Prefix> {
    let host_bits = |longest: u8| longest.checked_sub(length).filter(|_| length > 0).map(u32::from);
    let address: IpAddr = match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & u32::MAX << host_bits(32)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & u128::MAX << host_bits(128)?).into(),
    };
    Prefix::new(address, length).ok()
}
