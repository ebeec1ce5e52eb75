//! Files in ClassBench's form.

use std::path::Path;

use pdr_classifier::classbench::{ClassBenchError, LINE_OCTETS_MAX, RULES_MAX, load, read};
use pdr_classifier::generate::{Hits, trace};
use pdr_classifier::{
    Classifier as _, Filters, Key, Lane, PartitionSort, PdrId, Rule, Side, SortedVector, SourceInterface,
};
use proptest::prelude::*;

const FILE: &str = "\
@203.0.113.7/32\t198.51.100.0/24\t0 : 65535\t443 : 443\t0x06/0xFF\t0x0000/0x0200\t
@203.0.113.0/24\t0.0.0.0/0\t1024 : 65535\t53 : 53\t0x11/0xFF

@2001:db8::/32 2001:db8:1::/48 0 : 65535 0 : 65535 0x00/0x00\r
@0.0.0.0/0\t0.0.0.0/0\t0 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000";

fn set(text: &str) -> SortedVector {
    let mut rules = SortedVector::new();
    for pdr in read(text.as_bytes()).unwrap() {
        rules.insert(&pdr.compile(&Filters::new()).unwrap()).unwrap();
    }
    rules
}

fn packet(source: &str, destination: &str, protocol: u32, ports: Option<(u32, u32)>) -> Key {
    let key = Key::new()
        .with(Lane::SourceInterface, SourceInterface::Core as u32)
        .with_address(Side::Source, source.parse().unwrap())
        .with_address(Side::Destination, destination.parse().unwrap())
        .with(Lane::Protocol, protocol);
    match ports {
        Some((source, destination)) => {
            key.with(Lane::SourcePort, source).with(Lane::DestinationPort, destination)
        }
        None => key,
    }
}

#[test]
fn when_a_file_is_read_then_its_lines_are_rules_in_their_order() {
    let rules = set(FILE);
    assert_eq!(rules.len(), 4);
    for (source, destination, protocol, ports, expected) in [
        ("203.0.113.7", "198.51.100.9", 6, Some((9, 443)), 1),
        ("203.0.113.7", "198.51.100.9", 17, Some((1024, 53)), 2),
        ("203.0.113.7", "198.51.100.9", 17, Some((1023, 53)), 4),
        ("2001:db8::1", "2001:db8:1::1", 50, None, 3),
        ("192.0.2.1", "192.0.2.2", 1, None, 4),
    ] {
        let key = packet(source, destination, protocol, ports);
        assert_eq!(rules.classify(&key), Some(PdrId(expected)), "{source} {destination} {ports:?}");
    }
    assert_eq!(rules.classify(&packet("2001:db9::1", "2001:db8:1::1", 6, None)), None);
}

#[test]
fn when_a_file_is_there_then_it_is_loaded_and_classifiers_agree_on_it() {
    let path = std::env::temp_dir().join(format!("pdr-classifier-filters-{}", std::process::id()));
    std::fs::write(&path, FILE).unwrap();
    let pdrs = load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect();
    let (list, sorted) = (set(FILE), PartitionSort::build(&rules).unwrap());
    for key in trace(&rules, Hits::Uniform, 200, 1) {
        assert!(list.classify(&key).is_some());
        assert_eq!(list.classify(&key), sorted.classify(&key));
    }
    assert!(matches!(load(Path::new("/nowhere/filters")), Err(ClassBenchError::Io { line: 1, .. })));
}

#[test]
fn when_a_field_is_wrong_then_the_error_names_line_and_field() {
    let good = "@192.0.2.0/24 198.51.100.0/24 0 : 65535 0 : 65535 0x06/0xFF\n";
    for (line, text) in [
        ("192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF", "source address: expected @ and a prefix"),
        ("@192.0.2.0 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF", "source address: expected an address and"),
        ("@192.0.2.0/33 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF", "found \"192.0.2.0/33\""),
        ("@192.0.2/24 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF", "source address: expected"),
        ("@192.0.2.0/24 198.51.100.0/-1 0 : 1 0 : 1 0x06/0xFF", "destination address: expected"),
        ("@192.0.2.0/24 2001:db8::/32 0 : 1 0 : 1 0x06/0xFF", "expected the source's IP version"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 65536 0 : 1 0x06/0xFF", "source ports: expected two ports"),
        ("@192.0.2.0/24 198.51.100.0/24 0 - 1 0 : 1 0x06/0xFF", "source ports: expected two ports"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 9 : 8 0x06/0xFF", "destination ports: expected a last port"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 9", "destination ports: expected two ports"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1", "protocol: expected a protocol and the mask"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1 0x06/0x0F", "protocol: expected"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1 0x106/0xFF", "protocol: expected"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF flags", "flags: expected a value"),
        ("@192.0.2.0/24 198.51.100.0/24 0 : 1 0 : 1 0x06/0xFF 0/0 x", "end of the line: expected nothing"),
    ] {
        let error = read(format!("{good}{line}\n").as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2, ") && error.contains(text), "{line}: {error}");
    }
    let error = read(&b"@\xFF\xFE"[..]).unwrap_err().to_string();
    assert!(error.contains("line 1, line: expected text"), "{error}");
}

#[test]
fn when_a_line_or_a_file_is_too_long_then_it_is_refused() {
    let line = format!("{:width$}\n", "", width = LINE_OCTETS_MAX - 1);
    assert!(read(line.as_bytes()).unwrap().is_empty());
    let error = read(format!(" {line}").as_bytes()).unwrap_err();
    assert!(matches!(error, ClassBenchError::LineLength { line: 1 }));
    // An error repeats no more than the beginning of what is wrong.
    let long = "@".repeat(LINE_OCTETS_MAX - 1);
    assert!(read(long.as_bytes()).unwrap_err().to_string().len() < LINE_OCTETS_MAX);
    let rule = "@0.0.0.0/0 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00\n";
    assert_eq!(read(rule.repeat(RULES_MAX).as_bytes()).unwrap().len(), RULES_MAX);
    let error = read(rule.repeat(RULES_MAX + 1).as_bytes()).unwrap_err();
    assert!(matches!(error, ClassBenchError::TooManyRules { line } if line == RULES_MAX + 1));
}

/// Words of a line, right and wrong ones.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(":".to_owned()),
        Just("@".to_owned()),
        Just("0x06/0xFF".to_owned()),
        Just("0x/0x".to_owned()),
        Just("\n".to_owned()),
        any::<(std::net::Ipv4Addr, u8)>().prop_map(|(address, length)| format!("@{address}/{length}")),
        any::<(std::net::Ipv6Addr, u8)>().prop_map(|(address, length)| format!("{address}/{length}")),
        any::<u32>().prop_map(|number| number.to_string()),
        any::<u16>().prop_map(|number| number.to_string()),
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn whatever_octets_a_file_has_it_is_read_or_refused(octets: Vec<u8>) {
        let _ = read(octets.as_slice());
    }

    #[test]
    fn whatever_words_a_file_has_its_rules_can_be_compiled(words in prop::collection::vec(word(), 0..40)) {
        if let Ok(pdrs) = read(words.join(" ").as_bytes()) {
            for pdr in pdrs {
                prop_assert!(pdr.compile(&Filters::new()).is_ok());
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        source: std::net::Ipv4Addr,
        destination: std::net::Ipv4Addr,
        lengths in (0u8..=32, 0u8..=32),
        ports: (u16, u16, u16, u16),
        protocol: Option<u8>,
    ) {
        let ((from, to), (back, forth)) = ((ports.0.min(ports.1), ports.0.max(ports.1)), (ports.2, ports.3));
        let mask = if protocol.is_some() { 0xFF } else { 0 };
        let line = format!(
            "@{source}/{}\t{destination}/{}\t{from} : {to}\t{} : {}\t0x{:02x}/0x{mask:02X}\t0x1000/0x1000\t\n",
            lengths.0, lengths.1, back.min(forth), back.max(forth), protocol.unwrap_or_default(),
        );
        let rules = set(&line);
        let packet = |port: u16| {
            let protocol = u32::from(protocol.unwrap_or(6));
            let ports = (u32::from(port), u32::from(back));
            packet(&source.to_string(), &destination.to_string(), protocol, Some(ports))
        };
        prop_assert_eq!(rules.classify(&packet(from)), Some(PdrId(1)));
        prop_assert_eq!(rules.classify(&packet(to)), Some(PdrId(1)));
        if to < u16::MAX {
            prop_assert_eq!(rules.classify(&packet(to + 1)), None);
        }
    }
}
