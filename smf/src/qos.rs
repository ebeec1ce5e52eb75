//! QoS flows of a session, from the subscription and the policy (TS 23.501 §5.7, TS 29.512 §4.2.6).

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tern_ngap::transfer::GbrRates;
use tern_types::{Ambr, Arp, BitRate, PreemptionCapability, PreemptionVulnerability, Qfi};

/// QFI of the default QoS flow.
pub const DEFAULT_QFI: Qfi = match Qfi::new(1) {
    Some(qfi) => qfi,
    None => panic!("1 is a QFI"),
};

/// Packet filters of one QoS rule (TS 24.501 §9.11.4.13: a count of 4 bits).
pub const FILTERS_PER_RULE_MAX: usize = 15;

/// What a session gets whose subscription names no default QoS (TS 23.501 Table 5.7.4-1: 5QI 9).
pub const DEFAULT_QOS: (u8, Arp) = (
    9,
    Arp {
        priority_level: 8,
        preempt_cap: PreemptionCapability::NotPreempt,
        preempt_vuln: PreemptionVulnerability::NotPreemptable,
    },
);

/// What a session gets whose subscription and policy name no AMBR.
pub const DEFAULT_AMBR: Ambr =
    Ambr { uplink: BitRate::from_bps(1_000_000_000), downlink: BitRate::from_bps(1_000_000_000) };

/// One QoS flow: what is bound to the same 5QI and ARP (TS 23.503 §6.1.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QosFlow {
    /// Its identity.
    pub qfi: Qfi,
    /// 5QI.
    pub five_qi: u8,
    /// Allocation and retention priority.
    pub arp: Arp,
    /// Services in it; the default flow has every other packet too.
    pub rules: Vec<ServiceRule>,
}

impl QosFlow {
    /// Bit rates of a flow with guaranteed ones: the sums of its services' (TS 23.503 §6.1.3.2.4).
    pub fn gbr(&self) -> Option<GbrRates> {
        let sum = |of: fn(&ServiceRule) -> Option<Ambr>| {
            self.rules.iter().filter_map(of).reduce(|a, b| Ambr {
                uplink: BitRate::from_bps(a.uplink.bps().saturating_add(b.uplink.bps())),
                downlink: BitRate::from_bps(a.downlink.bps().saturating_add(b.downlink.bps())),
            })
        };
        let guaranteed = sum(|rule| rule.gbr)?;
        let maximum = sum(|rule| rule.mbr.or(rule.gbr))?;
        Some(GbrRates { maximum, guaranteed })
    }

    /// What the access network and the UE know of it.
    pub fn parameters(&self) -> (u8, Arp, Option<GbrRates>) {
        (self.five_qi, self.arp, self.gbr())
    }
}

/// A PCC rule that is enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRule {
    /// Its number in the session, from 1: rules on N4 and to the UE are named after it.
    pub number: u8,
    /// QoS rule precedence towards the UE.
    pub nas_precedence: u8,
    /// PCC rule identity.
    pub name: String,
    /// Lower values are looked at first.
    pub precedence: u32,
    /// 1 to [`FILTERS_PER_RULE_MAX`]: one of them must match.
    pub filters: Vec<FlowFilter>,
    /// Maximum bit rate of the service.
    pub mbr: Option<Ambr>,
    /// Guaranteed bit rate of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gbr: Option<Ambr>,
    /// Uplink packets pass.
    pub uplink_open: bool,
    /// Downlink packets pass.
    pub downlink_open: bool,
}

/// A flow description of a PCC rule: an IPFilterRule as TS 29.212 §5.4.2 restricts it, of the
/// form `permit out <protocol> from <remote> [ports] to <assigned|any|UE> [ports]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFilter {
    /// The description itself, as PFCP carries it.
    pub text: String,
    /// IP protocol; `None` for every one.
    pub protocol: Option<u8>,
    /// Remote network and prefix length; `None` for every one.
    pub remote: Option<(IpAddr, u8)>,
    /// Remote ports, both ends included.
    pub remote_ports: Option<(u16, u16)>,
    /// UE's ports, both ends included.
    pub local_ports: Option<(u16, u16)>,
}

impl FlowFilter {
    /// Whether every packet matches.
    pub fn is_match_all(&self) -> bool {
        self.protocol.is_none()
            && self.remote.is_none()
            && self.remote_ports.is_none()
            && self.local_ports.is_none()
    }
}

impl FromStr for FlowFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("flow description {text:?}: {what}");
        let mut words = text.split_ascii_whitespace().peekable();
        let mut expect = |word: &str| match words.next() {
            Some(found) if found == word => Ok(()),
            _ => Err(wrong(&format!("{word:?} expected"))),
        };
        expect("permit")?;
        expect("out")?;
        let protocol = match words.next() {
            Some("ip") => None,
            Some(number) => Some(number.parse().map_err(|_| wrong("protocol: ip or a number expected"))?),
            None => return Err(wrong("no protocol")),
        };
        if words.next() != Some("from") {
            return Err(wrong("\"from\" expected"));
        }
        let remote = match words.next() {
            Some("any") => None,
            Some(network) => Some(prefix(network).ok_or_else(|| wrong("network expected"))?),
            None => return Err(wrong("no source")),
        };
        let ports = |words: &mut std::iter::Peekable<std::str::SplitAsciiWhitespace<'_>>| {
            let is_ports = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            match words.next_if(is_ports) {
                Some(text) => {
                    port_range(text).map(Some).ok_or_else(|| wrong("one port or port range expected"))
                }
                None => Ok(None),
            }
        };
        let remote_ports = ports(&mut words)?;
        if words.next() != Some("to") {
            return Err(wrong("\"to\" expected"));
        }
        // The destination is the UE: its address is the session's, however it is written.
        words.next().ok_or_else(|| wrong("no destination"))?;
        let local_ports = ports(&mut words)?;
        if words.next().is_some() {
            return Err(wrong("options are not served"));
        }
        Ok(Self { text: text.to_owned(), protocol, remote, remote_ports, local_ports })
    }
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, length)| (a, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(longest), |length| length.parse().ok())?;
    (length <= longest).then_some((address, length))
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let range: (u16, u16) = (low.parse().ok()?, high.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_descriptions_are_read() {
        let filter: FlowFilter = "permit out 17 from 10.1.0.0/16 5000-5010 to assigned 80".parse().unwrap();
        assert_eq!(filter.protocol, Some(17));
        assert_eq!(filter.remote, Some((IpAddr::from([10, 1, 0, 0]), 16)));
        assert_eq!(filter.remote_ports, Some((5000, 5010)));
        assert_eq!(filter.local_ports, Some((80, 80)));
        assert!("permit out ip from any to assigned".parse::<FlowFilter>().unwrap().is_match_all());
        for wrong in [
            "",
            "deny out ip from any to assigned",
            "permit in ip from any to assigned",
            "permit out tcp from any to assigned",
            "permit out ip from 10.0.0.0/33 to any",
            "permit out ip from any 9-3 to any",
            "permit out ip from any to",
            "permit out ip from any to any established",
        ] {
            assert!(wrong.parse::<FlowFilter>().is_err(), "{wrong}");
        }
    }
}
