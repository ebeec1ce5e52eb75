//! SDF filters: the IPFilterRule of RFC 6733 §4.3.1 as TS 29.212 §5.4.2 restricts it.

use std::net::Ipv4Addr;

use tern_pfcp::SdfFilter;

use super::flow::Flow;

/// Port ranges in one list of a flow description.
const PORT_RANGES_MAX: usize = 32;

/// Why a filter cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("flow description: expected {0}")]
    Expected(&'static str),
    #[error("filter is empty")]
    Empty,
}

/// One compiled SDF filter. "Remote" is the data network's side, whatever the direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    protocol: Option<u8>,
    remote: Prefix,
    remote_ports: Vec<(u16, u16)>,
    local: Prefix,
    local_ports: Vec<(u16, u16)>,
    tos: Option<(u8, u8)>,
    spi: Option<u32>,
    /// An IPv6 flow label, which no IPv4 packet has.
    never: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    address: u32,
    mask: u32,
}

impl Prefix {
    const ANY: Self = Self { address: 0, mask: 0 };

    fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.address
    }
}

impl Filter {
    /// Compiles a filter; `assigned` is the UE's address.
    pub(crate) fn compile(filter: &SdfFilter, assigned: Option<Ipv4Addr>) -> Result<Self, FilterError> {
        let mut compiled = match &filter.flow_description {
            Some(description) => parse(description, assigned)?,
            None if filter.tos_traffic_class.is_none()
                && filter.security_parameter_index.is_none()
                && filter.flow_label.is_none() =>
            {
                return Err(FilterError::Empty);
            }
            None => Self::any(),
        };
        compiled.tos = filter.tos_traffic_class.map(|[value, mask]| (value & mask, mask));
        compiled.spi = filter.security_parameter_index;
        compiled.never = filter.flow_label.is_some();
        Ok(compiled)
    }

    fn any() -> Self {
        Self {
            protocol: None,
            remote: Prefix::ANY,
            remote_ports: Vec::new(),
            local: Prefix::ANY,
            local_ports: Vec::new(),
            tos: None,
            spi: None,
            never: false,
        }
    }

    /// Whether a packet of this direction matches. The description is written for downlink; for
    /// uplink source and destination are exchanged (TS 29.244 §5.2.1A.2A).
    #[inline]
    pub(crate) fn matches(&self, flow: &Flow, uplink: bool) -> bool {
        let (remote, local, ports) = if uplink {
            (flow.destination, flow.source, flow.ports.map(|(source, destination)| (destination, source)))
        } else {
            (flow.source, flow.destination, flow.ports)
        };
        !self.never
            && self.protocol.is_none_or(|protocol| protocol == flow.protocol)
            && self.remote.contains(remote)
            && self.local.contains(local)
            && in_ranges(&self.remote_ports, ports.map(|(remote, _)| remote))
            && in_ranges(&self.local_ports, ports.map(|(_, local)| local))
            && self.tos.is_none_or(|(value, mask)| flow.tos & mask == value)
            && self.spi.is_none_or(|spi| flow.spi == Some(spi))
    }
}

fn in_ranges(ranges: &[(u16, u16)], port: Option<u16>) -> bool {
    ranges.is_empty()
        || port.is_some_and(|port| ranges.iter().any(|(low, high)| (*low..=*high).contains(&port)))
}

/// `permit out <protocol> from <address> [ports] to <address> [ports]`.
fn parse(text: &str, assigned: Option<Ipv4Addr>) -> Result<Filter, FilterError> {
    let mut words = text.split_ascii_whitespace().peekable();
    let mut keyword = |expected: &'static str| match words.next() {
        Some(word) if word == expected => Ok(()),
        _ => Err(FilterError::Expected(expected)),
    };
    keyword("permit")?;
    keyword("out")?;
    let mut filter = Filter::any();
    filter.protocol = match words.next() {
        Some("ip") => None,
        Some("icmp") => Some(1),
        Some("tcp") => Some(6),
        Some("udp") => Some(17),
        Some(number) => Some(number.parse().map_err(|_| FilterError::Expected("a protocol number or ip"))?),
        None => return Err(FilterError::Expected("a protocol number or ip")),
    };
    if words.next() != Some("from") {
        return Err(FilterError::Expected("from"));
    }
    filter.remote = prefix(words.next(), assigned)?;
    if let Some(word) = words.next_if(|word| *word != "to") {
        filter.remote_ports = ports(word)?;
    }
    if words.next() != Some("to") {
        return Err(FilterError::Expected("to"));
    }
    filter.local = prefix(words.next(), assigned)?;
    if let Some(word) = words.next() {
        filter.local_ports = ports(word)?;
    }
    // Options are not used (TS 29.212 §5.4.2).
    if words.next().is_some() { Err(FilterError::Expected("the end")) } else { Ok(filter) }
}

fn prefix(word: Option<&str>, assigned: Option<Ipv4Addr>) -> Result<Prefix, FilterError> {
    const EXPECTED: FilterError = FilterError::Expected("an IPv4 prefix, any or assigned");
    let (address, bits) = match word {
        Some("any") => return Ok(Prefix::ANY),
        Some("assigned") => match assigned {
            Some(address) => (address, 32),
            None => return Ok(Prefix::ANY),
        },
        Some(word) => match word.split_once('/') {
            Some((address, bits)) => {
                (address.parse().map_err(|_| EXPECTED)?, bits.parse().map_err(|_| EXPECTED)?)
            }
            None => (word.parse().map_err(|_| EXPECTED)?, 32),
        },
        None => return Err(EXPECTED),
    };
    let mask = match bits {
        0 => 0,
        1..=32 => u32::MAX << (32 - bits),
        _ => return Err(EXPECTED),
    };
    Ok(Prefix { address: u32::from(address) & mask, mask })
}

fn ports(word: &str) -> Result<Vec<(u16, u16)>, FilterError> {
    const EXPECTED: FilterError = FilterError::Expected("ports like 80,443,8000-8080");
    let mut ranges = Vec::new();
    for range in word.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let low: u16 = low.parse().map_err(|_| EXPECTED)?;
        let high: u16 = high.parse().map_err(|_| EXPECTED)?;
        if low > high || ranges.len() == PORT_RANGES_MAX {
            return Err(EXPECTED);
        }
        ranges.push((low, high));
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

    fn flow(source: [u8; 4], destination: [u8; 4], protocol: u8, ports: Option<(u16, u16)>) -> Flow {
        Flow {
            source: source.into(),
            destination: destination.into(),
            protocol,
            tos: 0x28,
            ports,
            spi: None,
            total_length: 20,
        }
    }

    fn filter(text: &str) -> Filter {
        Filter::compile(&SdfFilter::flow(text), Some(UE)).expect("compiles")
    }

    #[test]
    fn when_a_description_names_prefix_and_ports_then_both_directions_match() {
        let filter = filter("permit out 17 from 203.0.113.0/24 53,5000-5010 to assigned 1024-65535");
        let down = |port| flow([203, 0, 113, 9], [10, 45, 0, 2], 17, Some((port, 4000)));
        assert!(filter.matches(&down(53), false) && filter.matches(&down(5010), false));
        assert!(!filter.matches(&down(54), false) && !filter.matches(&down(53), true));
        assert!(filter.matches(&flow([10, 45, 0, 2], [203, 0, 113, 9], 17, Some((4000, 53))), true));
        assert!(!filter.matches(&flow([203, 0, 114, 9], [10, 45, 0, 2], 17, Some((53, 4000))), false));
        assert!(!filter.matches(&flow([203, 0, 113, 9], [10, 45, 0, 3], 17, Some((53, 4000))), false));
        assert!(!filter.matches(&flow([203, 0, 113, 9], [10, 45, 0, 2], 6, Some((53, 4000))), false));
    }

    #[test]
    fn when_a_packet_has_no_ports_then_a_filter_with_ports_does_not_match() {
        let fragment = flow([203, 0, 113, 9], [10, 45, 0, 2], 17, None);
        assert!(!filter("permit out ip from any 53 to assigned").matches(&fragment, false));
        assert!(filter("permit out ip from any to assigned").matches(&fragment, false));
    }

    #[test]
    fn when_a_filter_has_tos_or_spi_then_they_are_looked_at() {
        let packet = flow([203, 0, 113, 9], [10, 45, 0, 2], 50, None);
        let tos = SdfFilter { tos_traffic_class: Some([0x2B, 0xFC]), ..SdfFilter::default() };
        assert!(Filter::compile(&tos, None).expect("compiles").matches(&packet, false));
        let spi = SdfFilter { security_parameter_index: Some(7), ..SdfFilter::default() };
        let spi = Filter::compile(&spi, None).expect("compiles");
        assert!(!spi.matches(&packet, false) && spi.matches(&Flow { spi: Some(7), ..packet }, false));
    }

    #[test]
    fn when_a_description_is_wrong_then_it_is_refused() {
        for text in [
            "",
            "deny out ip from any to any",
            "permit in ip from any to any",
            "permit out foo from any to any",
            "permit out ip from any",
            "permit out ip from 1.2.3.4/33 to any",
            "permit out ip from 1.2.3 to any",
            "permit out ip from any 9-8 to any",
            "permit out ip from any 70000 to any",
            "permit out ip from any to any 80 frag",
            "permit out ip from !1.2.3.4 to any",
        ] {
            assert!(parse(text, None).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_or_compiled(text in "(permit|deny)? ?(out )?[a-z0-9./ ,!-]{0,60}") {
            let _ = parse(&text, None);
        }
    }
}
