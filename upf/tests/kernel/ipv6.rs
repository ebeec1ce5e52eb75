//! IPv6 through the kernel: a UE's prefix, the TUN device's address, ICMPv6 echoes (RFC 4443 §4).

use std::net::{Ipv6Addr, UdpSocket};

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_pfcp::UeIpAddress;

use super::{Smf, UPF_N3, checksum};

/// The address of the TUN device, whose prefix holds the UEs'.
pub(super) const TUN: &str = "2001:db8:45::1/48";
/// An address of the data network.
pub(super) const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 7);
/// The UE's, in its /64.
const UE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x45, 9, 0, 0, 0, 2);
const ICMPV6: u8 = 58;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Echoes of short and of long packets, there and back.
pub(super) fn packets_pass(smf: &Smf, gnb: &UdpSocket) {
    let ue = UeIpAddress { ipv6: Some(UE), destination: true, ..UeIpAddress::default() };
    let (_, teid) = smf.establish_for(2, 20, ue);
    for (sequence, length) in [(1, 8), (2, 56), (3, 1_300)] {
        let request = echo_request(sequence, length);
        let header = GpduHeader { teid, container: Some(PduSessionContainer::uplink(1)) };
        let mut datagram = vec![0; header.length()];
        header.write(&mut datagram, request.len());
        datagram.extend_from_slice(&request);
        gnb.send_to(&datagram, UPF_N3).expect("sends");
        let mut buffer = [0; 2048];
        let received = gnb.recv(&mut buffer).expect("an answer");
        let answer = tern_gtpu::Packet::parse(&buffer[..received]).expect("GTP-U");
        assert_eq!(answer.container, Some(PduSessionContainer::downlink(1)));
        assert_eq!(answer.payload.len(), request.len());
        assert_eq!((answer.payload[0] >> 4, answer.payload[6]), (6, ICMPV6));
        assert_eq!(answer.payload[8..40], [SERVER.octets(), UE.octets()].concat());
        assert_eq!(answer.payload[40], ECHO_REPLY);
        assert_eq!(answer.payload[44..], request[44..]);
    }
}

fn echo_request(sequence: u16, length: usize) -> Vec<u8> {
    let mut icmp = vec![ECHO_REQUEST, 0, 0, 0, 0x12, 0x34];
    icmp.extend_from_slice(&sequence.to_be_bytes());
    icmp.resize(8 + length, 0x5A);
    // RFC 8200 §8.1.
    let pseudo =
        [&UE.octets()[..], &SERVER.octets(), &(icmp.len() as u32).to_be_bytes(), &[0, 0, 0, ICMPV6], &icmp];
    let sum = checksum(&pseudo.concat());
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(icmp.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[ICMPV6, 64]);
    packet.extend_from_slice(&UE.octets());
    packet.extend_from_slice(&SERVER.octets());
    packet.extend_from_slice(&icmp);
    packet
}
