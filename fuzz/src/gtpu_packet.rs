//! GTP-U packets: any octets are refused or understood, never beyond the datagram.

use tern_gtpu::{Elements, GpduHeader, Packet, PduSessionContainer};

use crate::messages::GNB;

/// The input is a datagram.
pub fn run(data: &[u8]) -> usize {
    let Ok(packet) = Packet::parse(data) else { return 0 };
    assert!(packet.header_length >= 8 && packet.header_length + packet.payload.len() <= data.len());
    assert_eq!(packet.payload, &data[packet.header_length..][..packet.payload.len()]);
    // Each element takes at least its type.
    assert!(Elements::new(packet.payload).count() <= packet.payload.len());
    if packet.is_g_pdu() {
        rewritten(&packet);
    }
    1
}

/// What it says of its tunnel and its flow is written and read as the same.
fn rewritten(packet: &Packet<'_>) {
    let header = GpduHeader { teid: packet.teid, container: packet.container };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.payload.len());
    datagram.extend_from_slice(packet.payload);
    // With a longer header than before it may not fit the length field.
    if datagram.len() > usize::from(u16::MAX) {
        return;
    }
    let again = Packet::parse(&datagram).expect("what was written is read");
    assert_eq!((again.teid, again.payload), (packet.teid, packet.payload));
    assert_eq!(again.container, packet.container);
}

/// A packet of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        // G-PDUs: plain; a PDCP PDU number before a DL container with a PPI; an extension to be ignored.
        "30ff000400000007deadbeef",
        "36ff001400000007000100c0010000850200894000000000deadbeef",
        "34ff000c000000070000002001aabb00deadbeef",
        // An extension that must be understood, and is not.
        "34ff000800000007000000830100000000",
    ]
    .map(octets)
    .to_vec();
    let header = GpduHeader { teid: 7, container: Some(PduSessionContainer::uplink(9)) };
    let mut datagram = vec![0; header.length() + 4];
    header.write(&mut datagram[..header.length()], 4);
    seeds.push(datagram);
    let mut out = [0; 40];
    let length = tern_gtpu::error_indication(7, GNB.into(), Some(2152), &mut out);
    seeds.push(out[..length].to_vec());
    let mut out = [0; 20];
    let length = tern_gtpu::end_marker(7, Some(PduSessionContainer::downlink(9)), &mut out);
    seeds.push(out[..length].to_vec());
    let (mut request, mut response, mut told) = ([0; 12], [0; 14], [0; 16]);
    let lengths = [
        tern_gtpu::echo_request(1, &mut request),
        tern_gtpu::echo_response(1, &mut response),
        tern_gtpu::supported_extension_headers_notification(&mut told),
    ];
    let written = [&request[..], &response[..], &told[..]].into_iter().zip(lengths);
    seeds.extend(written.map(|(octets, length)| octets[..length].to_vec()));
    seeds
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit)).collect()
}
