//! The UE's addresses in PDIs: TS 29.244 §8.2.62.

use std::net::{IpAddr, Ipv4Addr};

use pdr_classifier::{Prefix, Side, UeIp};
use tern_pfcp::*;

use super::rules::{Refusal, RuleSet};

/// The length of a prefix that says none (TS 29.244 §8.2.62).
const PREFIX_LENGTH: u8 = 64;

/// The addresses of a UE, each once.
#[derive(Debug, Default)]
pub(super) struct UeAddresses {
    pub(super) v4: Vec<Ipv4Addr>,
    pub(super) v6: Vec<Prefix>,
}

impl UeAddresses {
    /// Those of one PDI, or why they cannot be.
    pub(super) fn of_pdi(pdi: &Pdi) -> Result<Self, &'static str> {
        let mut all = Self::default();
        all.add(pdi)?;
        Ok(all.each_once())
    }

    /// Those of all PDIs of a session.
    pub(super) fn of_session(rules: &RuleSet) -> Result<Self, Refusal> {
        let mut all = Self::default();
        for pdr in rules.pdrs.values() {
            all.add(&pdr.pdi).map_err(|why| Refusal::rule(FailedRuleId::Pdr(pdr.pdr_id), 93, why))?;
        }
        Ok(all.each_once())
    }

    fn add(&mut self, pdi: &Pdi) -> Result<(), &'static str> {
        for ue in &pdi.ue_ip_addresses {
            self.v4.extend(ue.ipv4);
            self.v6.extend(prefix_of(ue)?);
        }
        Ok(())
    }

    fn each_once(mut self) -> Self {
        self.v4.sort_unstable();
        self.v4.dedup();
        self.v6.sort_unstable_by_key(|prefix| (prefix.address(), prefix.length()));
        self.v6.dedup();
        self
    }

    /// All, as prefixes.
    pub(super) fn prefixes(&self) -> Vec<Prefix> {
        let hosts = self.v4.iter().map(|address| Prefix::host(IpAddr::V4(*address)));
        hosts.chain(self.v6.iter().copied()).collect()
    }

    /// The first of each kind, for the classifier.
    pub(super) fn ue_ip(&self, side: Side) -> Option<UeIp> {
        let (v4, v6) = (self.v4.first().copied(), self.v6.first().copied());
        (v4.is_some() || v6.is_some()).then_some(UeIp { side, v4, v6 })
    }

    /// Those behind the first of each kind.
    pub(super) fn others(&self) -> Vec<Prefix> {
        let hosts = self.v4.iter().skip(1).map(|address| Prefix::host(IpAddr::V4(*address)));
        hosts.chain(self.v6.iter().skip(1).copied()).collect()
    }
}

/// The IPv6 prefix, with the bits that are delegated beyond it or the length that is said. Host bits are zero.
fn prefix_of(ue: &UeIpAddress) -> Result<Option<Prefix>, &'static str> {
    let Some(address) = ue.ipv6 else { return Ok(None) };
    let delegated = PREFIX_LENGTH.checked_sub(ue.ipv6_delegation_bits.unwrap_or(0));
    let length = ue.ipv6_prefix_length.or(delegated).unwrap_or(u8::MAX);
    match length {
        1..=128 => {
            let bits = address.to_bits() & (u128::MAX << (128 - u32::from(length)));
            let prefix = Prefix::new(IpAddr::V6(bits.into()), length);
            prefix.map(Some).map_err(|_| "an IPv6 prefix has 1 to 128 bits")
        }
        _ => Err("an IPv6 prefix has 1 to 128 bits"),
    }
}
