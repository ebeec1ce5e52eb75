//! GTP-U bytes: hand-made vectors, a dissector, any bytes.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use tern_gtpu::*;

/// An uplink G-PDU as a gNB sends it, QFI 9, around an ICMP echo request.
const UPLINK: &str = "34ff0024000000010000008501100900450000\
                      1c000100004001665f0a2d000208080808\
                      0800f7fe00000001";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(char::is_whitespace, "")).expect("hex")
}

fn written() -> Vec<Vec<u8>> {
    let ip = &bytes(UPLINK)[16..];
    let mut all = Vec::new();
    let ppi = PduSessionContainer { ppi: Some(5), rqi: true, ..PduSessionContainer::downlink(63) };
    for container in
        [None, Some(PduSessionContainer::downlink(1)), Some(PduSessionContainer::uplink(9)), Some(ppi)]
    {
        let header = GpduHeader { teid: 1, container };
        let mut packet = vec![0; header.length()];
        header.write(&mut packet, ip.len());
        packet.extend_from_slice(ip);
        all.push(packet);
    }
    let (mut b12, mut b14, mut b16, mut b20, mut b40) = ([0; 12], [0; 14], [0; 16], [0; 20], [0; 40]);
    let n = echo_request(7, &mut b12);
    all.push(b12[..n].to_vec());
    let n = echo_response(7, &mut b14);
    all.push(b14[..n].to_vec());
    let n = supported_extension_headers_notification(&mut b16);
    all.push(b16[..n].to_vec());
    let n = end_marker(5, Some(PduSessionContainer::downlink(1)), &mut b20);
    all.push(b20[..n].to_vec());
    for (address, port) in [("198.51.100.7", None), ("2001:db8::1", Some(40_000))] {
        let n = error_indication(0xCAFE, address.parse().expect("address"), port, &mut b40);
        all.push(b40[..n].to_vec());
    }
    all
}

#[test]
fn an_uplink_packet_is_read() {
    let datagram = bytes(UPLINK);
    let packet = Packet::parse(&datagram).expect("parses");
    assert_eq!((packet.teid, packet.sequence), (1, None));
    assert_eq!(packet.container, Some(PduSessionContainer::uplink(9)));
    assert_eq!(packet.payload, &datagram[16..]);
}

#[test]
fn written_packets_have_these_octets() {
    let all = written();
    assert_eq!(hex::encode(&all[0][..8]), "30ff001c00000001");
    assert_eq!(hex::encode(&all[1][..16]), "34ff0024000000010000008501000100");
    assert_eq!(hex::encode(&all[2]), hex::encode(bytes(UPLINK)));
    assert_eq!(hex::encode(&all[3][..20]), "34ff002800000001000000850200ffa000000000");
    assert_eq!(hex::encode(&all[4]), "320100040000000000070000");
    assert_eq!(hex::encode(&all[5]), "3202000600000000000700000e00");
    assert_eq!(hex::encode(&all[6]), "321f000800000000000000008d024085");
    assert_eq!(hex::encode(&all[7]), "34fe0008000000050000008501000100");
    assert_eq!(hex::encode(&all[8]), "321a001000000000000000001000 00cafe850004c6336407".replace(' ', ""));
    assert_eq!(hex::encode(&all[9][..16]), "361a0020000000000000004001 9c4000".replace(' ', ""));
}

#[test]
fn what_is_written_is_read_back() {
    for datagram in written() {
        Packet::parse(&datagram).expect("parses");
    }
    let all = written();
    let packet = Packet::parse(&all[3]).expect("parses");
    let container = packet.container.expect("container");
    assert_eq!((container.qfi, container.rqi, container.ppi), (63, true, Some(5)));
    let error = Packet::parse(&all[9]).expect("parses");
    assert_eq!(error.udp_port, Some(40_000));
    let elements = Elements::new(error.payload);
    assert_eq!(elements.find(element::TEID_DATA_I), Some(&[0, 0, 0xCA, 0xFE][..]));
    assert_eq!(elements.find(element::GTPU_PEER_ADDRESS).map(<[u8]>::len), Some(16));
}

#[test]
fn what_cannot_be_processed_is_refused() {
    let parse = |text: &str| Packet::parse(&bytes(text)).expect_err("refused");
    assert_eq!(parse("30ff00"), DecodeError::Truncated(3));
    assert_eq!(parse("30ff000400000001ffff"), DecodeError::Truncated(10));
    assert_eq!(parse("50ff000000000001"), DecodeError::Version(0x50));
    assert_eq!(parse("20ff000000000001"), DecodeError::Version(0x20));
    assert_eq!(parse("34ff0002000000010000"), DecodeError::Truncated(10));
    assert_eq!(parse("34ff000800000001 00000085 00100900"), DecodeError::ExtensionLength(12));
    assert_eq!(parse("34ff000800000001 00000085 02100900"), DecodeError::ExtensionLength(12));
    assert_eq!(parse("34ff000800000001 00000083 01000000"), DecodeError::UnsupportedExtension(0x83));
    let chain = format!("34ff0028000000010000 0020{}", "01000020".repeat(9));
    assert_eq!(parse(&chain), DecodeError::TooManyExtensions);
}

#[test]
fn an_extension_that_may_be_ignored_is_skipped() {
    let datagram = bytes("36ff000e00000001 12340020 01aabb85 01100300 c0ff");
    let datagram = [&datagram[..2], &[0, 14], &datagram[4..]].concat();
    let packet = Packet::parse(&datagram).expect("parses");
    assert_eq!(packet.sequence, Some(0x1234));
    assert_eq!((packet.container.map(|c| c.qfi), packet.payload), (Some(3), &[0xC0, 0xFF][..]));
}

#[test]
fn tshark_finds_nothing_malformed() {
    let mut pcap: Vec<u8> = Vec::new();
    for field in [0xA1B2_C3D4u32, 0x0004_0002, 0, 0, 0xFFFF, 101] {
        pcap.extend_from_slice(&field.to_le_bytes());
    }
    let all = written();
    for message in &all {
        let mut packet = vec![0x45, 0];
        packet.extend_from_slice(&(message.len() as u16 + 28).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend_from_slice(&Ipv4Addr::new(192, 0, 2, 1).octets());
        packet.extend_from_slice(&Ipv4Addr::new(192, 0, 2, 2).octets());
        for field in [PORT, PORT, message.len() as u16 + 8, 0] {
            packet.extend_from_slice(&field.to_be_bytes());
        }
        packet.extend_from_slice(message);
        for field in [0, 0, packet.len() as u32, packet.len() as u32] {
            pcap.extend_from_slice(&field.to_le_bytes());
        }
        pcap.extend_from_slice(&packet);
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gtpu-vectors.pcap");
    std::fs::write(&path, pcap).expect("writes the capture");
    let filter = "gtp && !_ws.malformed && !(_ws.expert.severity >= \"Warning\" && !icmp)";
    let Ok(output) = Command::new("tshark").args(["-Y", filter, "-r"]).arg(&path).output() else {
        println!("SKIPPED tern-gtpu tshark_finds_nothing_malformed: tshark is not installed");
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout);
    assert_eq!(listing.lines().count(), all.len(), "{listing}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_refused_or_understood(
        mut datagram in proptest::collection::vec(any::<u8>(), 0..200),
        valid_start in any::<bool>(),
    ) {
        if valid_start && datagram.len() > 8 {
            datagram[0] = 0x30 | datagram[0] & 7;
            let length = (datagram.len() - 8) as u16;
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
        }
        if let Ok(packet) = Packet::parse(&datagram) {
            prop_assert!(packet.payload.len() + 8 <= datagram.len());
            prop_assert!(Elements::new(packet.payload).count() <= packet.payload.len());
        }
    }
}
