//! SDF filters: the IPFilterRule of RFC 6733 §4.3.1 as TS 29.212 §5.4.2 restricts it.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use pdr_classifier::{Address, Masked, Prefix, SdfFilter};

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

/// Reads a filter; `assigned` are the UE's addresses, for each of which there is an alternative. The description
/// is written for downlink; for uplink source and destination are exchanged (TS 29.244 §5.2.1A.2A).
pub(crate) fn sdf_filters(
    filter: &tern_pfcp::SdfFilter,
    uplink: bool,
    assigned: &[Prefix],
) -> Result<Vec<SdfFilter>, FilterError> {
    let described = match &filter.flow_description {
        Some(description) => parse(description)?,
        None if filter.tos_traffic_class.is_none()
            && filter.security_parameter_index.is_none()
            && filter.flow_label.is_none() =>
        {
            return Err(FilterError::Empty);
        }
        None => SdfFilter::default(),
    };
    let mark = |[value, mask]: [u8; 2]| Masked::new(value.into(), mask.into());
    let filter = SdfFilter {
        tos: filter.tos_traffic_class.map(mark),
        spi: filter.security_parameter_index,
        flow_label: filter.flow_label,
        ..described
    };
    let filter = if uplink { filter.reversed() } else { filter };
    Ok(alternatives(filter, assigned))
}

/// The filter with the UE's addresses in the place of `assigned`, which is any one where they are not known.
fn alternatives(filter: SdfFilter, assigned: &[Prefix]) -> Vec<SdfFilter> {
    if filter.source != Address::Assigned && filter.destination != Address::Assigned {
        return vec![filter];
    }
    let with = |is: Address| {
        let given = |address| if address == Address::Assigned { is } else { address };
        let (source, destination) = (given(filter.source), given(filter.destination));
        SdfFilter { source, destination, ..filter.clone() }
    };
    match assigned {
        [] => vec![with(Address::Any)],
        prefixes => prefixes.iter().map(|prefix| with(Address::Prefix(*prefix))).collect(),
    }
}

/// `permit out <protocol> from <address> [ports] to <address> [ports]`.
fn parse(text: &str) -> Result<SdfFilter, FilterError> {
    let mut words = text.split_ascii_whitespace().peekable();
    let mut keyword = |expected: &'static str| match words.next() {
        Some(word) if word == expected => Ok(()),
        _ => Err(FilterError::Expected(expected)),
    };
    keyword("permit")?;
    keyword("out")?;
    let protocol = match words.next() {
        Some("ip") => None,
        Some("icmp") => Some(1),
        Some("tcp") => Some(6),
        Some("udp") => Some(17),
        Some(number) => Some(number.parse().map_err(|_| FilterError::Expected("a protocol number or ip"))?),
        None => return Err(FilterError::Expected("a protocol number or ip")),
    };
    let mut filter = SdfFilter { protocol, ..SdfFilter::default() };
    if words.next() != Some("from") {
        return Err(FilterError::Expected("from"));
    }
    filter.source = address(words.next())?;
    if let Some(word) = words.next_if(|word| *word != "to") {
        filter.source_ports = ports(word)?;
    }
    if words.next() != Some("to") {
        return Err(FilterError::Expected("to"));
    }
    filter.destination = address(words.next())?;
    if let Some(word) = words.next() {
        filter.destination_ports = ports(word)?;
    }
    // Options are not used (TS 29.212 §5.4.2).
    if words.next().is_some() { Err(FilterError::Expected("the end")) } else { Ok(filter) }
}

fn address(word: Option<&str>) -> Result<Address, FilterError> {
    match word {
        Some("any") => Ok(Address::Any),
        Some("assigned") => Ok(Address::Assigned),
        Some(word) => prefix(word).map(Address::Prefix),
        None => Err(FilterError::Expected(PREFIX)),
    }
}

const PREFIX: &str = "a prefix, any or assigned";

/// An address, or one with the length of its prefix.
fn prefix(word: &str) -> Result<Prefix, FilterError> {
    const EXPECTED: FilterError = FilterError::Expected(PREFIX);
    let Some((address, bits)) = word.split_once('/') else {
        return word.parse().map(Prefix::host).map_err(|_| EXPECTED);
    };
    let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
    Prefix::new(address, bits.parse().map_err(|_| EXPECTED)?).map_err(|_| EXPECTED)
}

fn ports(word: &str) -> Result<Vec<RangeInclusive<u16>>, FilterError> {
    const EXPECTED: FilterError = FilterError::Expected("ports like 80,443,8000-8080");
    let mut ranges = Vec::new();
    for range in word.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let low: u16 = low.parse().map_err(|_| EXPECTED)?;
        let high: u16 = high.parse().map_err(|_| EXPECTED)?;
        if low > high || ranges.len() == PORT_RANGES_MAX {
            return Err(EXPECTED);
        }
        ranges.push(low..=high);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use pdr_classifier::{Classifier, Filters, LinkedList, Pdi, Pdr, PdrId, Sdf, SourceInterface};
    use tern_pfcp::SdfFilter;

    use super::super::flow::Ends;
    use super::super::flow::Flow;
    use super::super::lookup::{Origin, downlink_key, tunnelled_key};
    use super::{Prefix, parse, sdf_filters};
    use std::net::Ipv4Addr;

    const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

    fn flow(source: [u8; 4], destination: [u8; 4], protocol: u8, ports: Option<(u16, u16)>) -> Flow {
        Flow {
            ends: Ends::V4 { source: source.into(), destination: destination.into() },
            protocol,
            tos: 0x28,
            ports,
            spi: None,
            total_length: 20,
        }
    }

    /// Whether a packet of this direction is one that the filter describes.
    fn matches(filter: &tern_pfcp::SdfFilter, flow: &Flow, uplink: bool) -> bool {
        let filters = sdf_filters(filter, uplink, &[Prefix::host(UE.into())]).expect("is read");
        let pdi = Pdi {
            source_interface: if uplink { SourceInterface::Access } else { SourceInterface::SgiLanN6Lan },
            sdf_filters: filters.into_iter().map(Sdf::Filter).collect(),
            ..Pdi::default()
        };
        let pdr = Pdr { id: PdrId(1), precedence: 1, pdi };
        let mut rules = LinkedList::new();
        rules.insert(&pdr.compile(&Filters::new()).expect("compiles")).expect("there is room");
        let key = if uplink {
            tunnelled_key(flow, &[], Origin::Access, 1, None)
        } else {
            downlink_key(flow, &[], 0)
        };
        rules.classify(&key).is_some()
    }

    #[test]
    fn when_a_description_names_prefix_and_ports_then_both_directions_match() {
        let filter = SdfFilter::flow("permit out 17 from 203.0.113.0/24 53,5000-5010 to assigned 1024-65535");
        let matches = |flow, uplink| matches(&filter, &flow, uplink);
        let down = |port| flow([203, 0, 113, 9], [10, 45, 0, 2], 17, Some((port, 4000)));
        assert!(matches(down(53), false) && matches(down(5010), false));
        assert!(!matches(down(54), false) && !matches(down(53), true));
        assert!(matches(flow([10, 45, 0, 2], [203, 0, 113, 9], 17, Some((4000, 53))), true));
        assert!(!matches(flow([203, 0, 114, 9], [10, 45, 0, 2], 17, Some((53, 4000))), false));
        assert!(!matches(flow([203, 0, 113, 9], [10, 45, 0, 3], 17, Some((53, 4000))), false));
        assert!(!matches(flow([203, 0, 113, 9], [10, 45, 0, 2], 6, Some((53, 4000))), false));
    }

    #[test]
    fn when_a_packet_has_no_ports_then_a_filter_with_ports_does_not_match() {
        let fragment = flow([203, 0, 113, 9], [10, 45, 0, 2], 17, None);
        assert!(!matches(&SdfFilter::flow("permit out ip from any 53 to assigned"), &fragment, false));
        assert!(matches(&SdfFilter::flow("permit out ip from any to assigned"), &fragment, false));
    }

    #[test]
    fn when_a_filter_has_tos_or_spi_then_they_are_looked_at() {
        let packet = flow([203, 0, 113, 9], [10, 45, 0, 2], 50, None);
        let tos = |value| SdfFilter { tos_traffic_class: Some([value, 0xFC]), ..SdfFilter::default() };
        assert!(matches(&tos(0x2B), &packet, false) && !matches(&tos(0x2C), &packet, false));
        let spi = SdfFilter { security_parameter_index: Some(7), ..SdfFilter::default() };
        assert!(!matches(&spi, &packet, false) && matches(&spi, &Flow { spi: Some(7), ..packet }, false));
        let label = SdfFilter { flow_label: Some(1), ..SdfFilter::default() };
        assert!(!matches(&label, &packet, false), "no IPv4 packet has a flow label");
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
            "permit out ip from 2001:db8::/129 to any",
            "permit out ip from 2001:db8::1::2 to any",
            "permit out ip from 1.2.3 to any",
            "permit out ip from any 9-8 to any",
            "permit out ip from any 70000 to any",
            "permit out ip from any to any 80 frag",
            "permit out ip from !1.2.3.4 to any",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_or_compiled(text in "(permit|deny)? ?(out )?[a-z0-9./ ,!-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
