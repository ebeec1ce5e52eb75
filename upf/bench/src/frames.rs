//! Frames as they come on N3 and N6: Ethernet, IPv4, and in the uplink UDP and GTP-U around the user packet.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_types::Ipv4Prefix;
use tern_upf::{Config, DataPathKind, DpdkConfig, LinkConfig, N3Config, N6Config};

use crate::scene::{GNB, SERVER};
use crate::source::{Direction, Hit};

/// The UPF on N3 and on N6.
pub const UPF_N3: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
pub const UPF_N6: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 254);
/// Of who sends, and of who receives.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const BROADCAST: [u8; 6] = [0xff; 6];
/// User packets of the goals, and long ones.
pub const SHORT: usize = 64;
pub const LONG: usize = 1_400;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const GTPU: usize = 16;
/// In front of an uplink user packet.
const UPLINK: usize = ETHERNET + IPV4 + UDP + GTPU;
/// Frames between two that say whose an address is: a UPF asks again after a minute.
const ANNOUNCE_EVERY: usize = 1 << 20;

/// Octets of a frame around a user packet.
pub const fn frame_octets(direction: Direction, user: usize) -> usize {
    match direction {
        Direction::Uplink => UPLINK + user,
        Direction::Downlink => ETHERNET + user,
    }
}

/// A UPF's configuration on these two ports, or on the kernel's sockets.
pub fn config(data_path: DataPathKind, n3: &str, n6: &str) -> Config {
    let link = |device: &str, address| LinkConfig {
        device: device.to_owned(),
        address: Some(Ipv4Prefix { address, length: 24 }),
        gateway: None,
        ipv6: None,
        ipv6_gateway: None,
        vlan: None,
        mtu: 1_500,
    };
    let network = N6Config {
        address: Ipv4Prefix { address: Ipv4Addr::new(10, 255, 255, 254), length: 8 },
        link: Some(link(n6, UPF_N6)),
        ..N6Config::default()
    };
    Config {
        n3: N3Config { address: UPF_N3.into(), link: Some(link(n3, UPF_N3)), ..N3Config::default() },
        n6: vec![network],
        data_path,
        dpdk: DpdkConfig { idle_sleep_us: 0, ..DpdkConfig::default() },
        workers: 1,
        ..Config::default()
    }
}

/// Frames in an order, one written after the other.
#[derive(Clone)]
pub struct Frames {
    hits: Arc<[Hit]>,
    at: usize,
    direction: Direction,
    /// Headers, up to the user packet's UDP header.
    head: Vec<u8>,
    /// Of the user packet's header without what differs.
    sum: u32,
    announcement: [u8; ANNOUNCEMENT],
    until_announced: usize,
}

impl Frames {
    /// To whoever is at the other end.
    pub fn new(hits: Arc<[Hit]>, direction: Direction, user_octets: usize) -> Self {
        let mut head = [&BROADCAST[..], &MAC, &[8, 0]].concat();
        if direction == Direction::Uplink {
            let octets = UPLINK - ETHERNET + user_octets;
            head.extend(ipv4(octets, GNB, UPF_N3, true));
            head.extend(udp(octets - IPV4, 2152, 2152));
            let mut header = [0; GTPU];
            GpduHeader { teid: 0, container: Some(PduSessionContainer::uplink(9)) }
                .write(&mut header, user_octets);
            head.extend(header);
        }
        // The UE's address is what is missing in the sum.
        let (from, to) = match direction {
            Direction::Uplink => (Ipv4Addr::UNSPECIFIED, SERVER),
            Direction::Downlink => (SERVER, Ipv4Addr::UNSPECIFIED),
        };
        let user = ipv4(user_octets, from, to, false);
        let sum = sum(&user);
        head.extend(user);
        head.extend(udp(user_octets - IPV4, 0, 0));
        let (us, upf) = match direction {
            Direction::Uplink => (GNB, UPF_N3),
            Direction::Downlink => (SERVER, UPF_N6),
        };
        Self { hits, at: 0, direction, head, sum, announcement: announcement(us, upf), until_announced: 0 }
    }

    /// The same from another place of the order on.
    #[must_use]
    pub fn starting(mut self, at: usize) -> Self {
        self.at = at % self.hits.len();
        self
    }

    /// Has the next one say whose our address is.
    pub fn announce(&mut self) {
        self.until_announced = 0;
    }

    /// Writes the next one over a buffer of [`frame_octets`]; what a user packet holds is left as it is.
    #[inline]
    pub fn write(&mut self, frame: &mut [u8]) {
        if self.until_announced == 0 {
            self.until_announced = ANNOUNCE_EVERY;
            frame[..ANNOUNCEMENT].copy_from_slice(&self.announcement);
            return;
        }
        self.until_announced -= 1;
        let hit = self.hits[self.at];
        self.at = if self.at + 1 == self.hits.len() { 0 } else { self.at + 1 };
        frame[..self.head.len()].copy_from_slice(&self.head);
        let ue = u32::from(hit.ue);
        let checksum = fold(self.sum + (ue >> 16) + (ue & 0xffff)).to_be_bytes();
        let (user, address, port) = match self.direction {
            Direction::Uplink => {
                let teid = UPLINK - GTPU + 4;
                frame[teid..teid + 4].copy_from_slice(&hit.teid.to_be_bytes());
                (&mut frame[UPLINK..], 12, 22)
            }
            Direction::Downlink => (&mut frame[ETHERNET..], 16, 20),
        };
        user[address..address + 4].copy_from_slice(&ue.to_be_bytes());
        user[10..12].copy_from_slice(&checksum);
        user[port..port + 2].copy_from_slice(&hit.port.to_be_bytes());
    }
}

const ANNOUNCEMENT: usize = ETHERNET + 28;

/// An ARP request (RFC 826) of ours for the UPF, from which it learns whose our address is.
fn announcement(us: Ipv4Addr, upf: Ipv4Addr) -> [u8; ANNOUNCEMENT] {
    let parts: [&[u8]; 8] =
        [&BROADCAST, &MAC, &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 1], &MAC, &us.octets(), &[0; 6], &upf.octets()];
    let mut octets = [0; ANNOUNCEMENT];
    octets.copy_from_slice(&parts.concat());
    octets
}

fn ipv4(octets: usize, from: Ipv4Addr, to: Ipv4Addr, with_checksum: bool) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(octets as u16).to_be_bytes());
    (header[8], header[9]) = (64, 17);
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    if with_checksum {
        let checksum = fold(sum(&header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    header
}

/// Headers of a user packet, IPv4 and UDP, without the octets behind.
pub fn user_packet(from: Ipv4Addr, to: Ipv4Addr, port: u16, octets: usize) -> Vec<u8> {
    let mut headers = ipv4(octets, from, to, true).to_vec();
    headers.extend(udp(octets - IPV4, port, port));
    headers
}

fn udp(octets: usize, from: u16, to: u16) -> [u8; UDP] {
    let mut header = [0; UDP];
    header[0..2].copy_from_slice(&from.to_be_bytes());
    header[2..4].copy_from_slice(&to.to_be_bytes());
    header[4..6].copy_from_slice(&(octets as u16).to_be_bytes());
    header
}

/// RFC 1071.
fn sum(header: &[u8]) -> u32 {
    header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(direction: Direction) -> Frames {
        let hits = [Hit { teid: 0x0102_0304, ue: Ipv4Addr::new(10, 200, 255, 3), port: 1_001 }];
        Frames::new(hits.into(), direction, SHORT)
    }

    #[test]
    fn the_first_frame_says_whose_our_address_is_and_the_next_ones_are_traffic() {
        for direction in Direction::ALL {
            let mut frames = frames(direction);
            let mut octets = vec![0; frame_octets(direction, SHORT)];
            frames.write(&mut octets);
            assert_eq!(octets[12..14], [8, 6]);
            frames.write(&mut octets);
            assert_eq!((&octets[..6], &octets[12..14]), (&BROADCAST[..], &[8, 0][..]));
        }
    }

    #[test]
    fn all_headers_have_the_checksums_that_a_upf_asks_for() {
        for (direction, headers) in
            [(Direction::Uplink, &[ETHERNET, UPLINK][..]), (Direction::Downlink, &[ETHERNET])]
        {
            let mut frames = frames(direction);
            let mut octets = vec![0; frame_octets(direction, SHORT)];
            frames.write(&mut octets);
            frames.write(&mut octets);
            for at in headers {
                assert_eq!(fold(sum(&octets[*at..at + IPV4])), 0, "{direction:?} at {at}");
            }
        }
    }

    #[test]
    fn the_tunnel_holds_the_user_packet() {
        let mut frames = frames(Direction::Uplink);
        let mut octets = vec![0; frame_octets(Direction::Uplink, SHORT)];
        frames.write(&mut octets);
        frames.write(&mut octets);
        let parsed = tern_gtpu::Packet::parse(&octets[ETHERNET + IPV4 + UDP..]).expect("parses");
        assert!(parsed.is_g_pdu());
        assert_eq!((parsed.teid, parsed.payload.len()), (0x0102_0304, SHORT));
        assert_eq!(parsed.payload[12..16], [10, 200, 255, 3]);
        assert_eq!(parsed.payload[22..24], 1_001u16.to_be_bytes());
    }
}
