//! Packet filters in text: the IPFilterRule that TS 29.212 §5.4.2 leaves of RFC 6733 §4.3.1.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text of one packet filter, at most.
pub const TEXT_MAX: usize = 256;

/// A packet filter: `permit out <protocol> from <remote> [ports] to <local> [ports]`, where
/// the protocol is `ip`, a number, `tcp`, `udp` or `icmp`, and an end is `any`, `assigned` or
/// an address with an optional prefix length. Kept with protocol names as numbers, as the
/// specification writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlowDescription(String);

impl FlowDescription {
    /// Every packet of a session.
    pub fn match_all() -> Self {
        Self("permit out ip from any to assigned".to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlowDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FlowDescription {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            let form = "permit out <protocol> from <remote> [ports] to <local> [ports]";
            Err(format!("packet filter: expected \"{form}\", but {what} in {text:?}"))
        };
        if text.len() > TEXT_MAX {
            return Err(format!("packet filter: expected at most {TEXT_MAX} octets"));
        }
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.first_chunk() != Some(&["permit", "out"]) {
            return wrong("no \"permit out\"");
        }
        let Some(protocol) = words.get(2).and_then(|word| protocol(word)) else {
            return wrong("no protocol");
        };
        words[2] = &protocol;
        let ends = words[3..].split(|word| *word == "to").collect::<Vec<_>>();
        let [["from", remote @ ..], local] = ends[..] else { return wrong("no \"from\" and \"to\"") };
        if !is_end(remote) || !is_end(local) {
            return wrong("no address and ports");
        }
        Ok(Self(words.join(" ")))
    }
}

impl TryFrom<String> for FlowDescription {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FlowDescription> for String {
    fn from(flow: FlowDescription) -> Self {
        flow.0
    }
}

fn protocol(word: &str) -> Option<String> {
    match word {
        "ip" => Some("ip".to_owned()),
        "icmp" => Some("1".to_owned()),
        "tcp" => Some("6".to_owned()),
        "udp" => Some("17".to_owned()),
        number => number.parse::<u8>().ok().map(|number| number.to_string()),
    }
}

/// An address, and ports or none.
fn is_end(words: &[&str]) -> bool {
    match words {
        [address] => is_address(address),
        [address, ports] => is_address(address) && ports.split(',').all(is_port_range),
        _ => false,
    }
}

fn is_address(word: &str) -> bool {
    let (address, prefix) = word.split_once('/').map_or((word, None), |(a, p)| (a, Some(p)));
    match address.parse() {
        Ok(address) => prefix.is_none_or(|prefix| {
            let longest = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
            prefix.parse::<u8>().is_ok_and(|len| len <= longest)
        }),
        Err(_) => matches!(word, "any" | "assigned"),
    }
}

fn is_port_range(text: &str) -> bool {
    let port = |text: &str| text.parse::<u16>().ok();
    match text.split_once('-') {
        Some((first, last)) => matches!((port(first), port(last)), (Some(f), Some(l)) if f <= l),
        None => port(text).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_written_as_specified() {
        for (text, written) in [
            ("permit out ip from any to assigned", "permit out ip from any to assigned"),
            (
                "permit out udp from 192.0.2.0/24 53,60-70 to assigned 1",
                "permit out 17 from 192.0.2.0/24 53,60-70 to assigned 1",
            ),
            ("permit  out 6 from 2001:db8::/32 to any", "permit out 6 from 2001:db8::/32 to any"),
        ] {
            assert_eq!(text.parse::<FlowDescription>().unwrap().as_str(), written);
        }
        assert_eq!(FlowDescription::match_all().as_str().parse(), Ok(FlowDescription::match_all()));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "permit",
            "permit out",
            "deny out ip from any to any",
            "permit in ip from any to any",
            "permit out foo from any to any",
            "permit out ip from any",
            "permit out ip to any",
            "permit out ip from any to any to any",
            "permit out ip from 192.0.2.0/33 to any",
            "permit out ip from any 70-60 to any",
            "permit out ip from any 1 2 to any",
            "permit out ip from x to any",
        ] {
            assert!(text.parse::<FlowDescription>().is_err(), "{text}");
        }
    }
}
