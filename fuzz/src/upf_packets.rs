//! The UPF's packets: whatever comes from the gNB and the data network, to sessions with rules of many kinds.

use std::net::{Ipv4Addr, SocketAddr};

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_pfcp::*;
use tern_types::{Instant, Random};
use tern_upf::{Config, Side, UserPlane, Worker};

use crate::input::{Input, put};
use crate::messages::{BUFFERED, DNS, DROPPED, METERED, SMF, action, association, establishment, ue};
use crate::wire::{Sent, Wire};

/// Records of one input.
const RECORDS_MAX: usize = 128;
/// Packets that wait in one session.
const BUFFER_MAX: usize = 4;
/// Sessions of the scene.
const SESSIONS: u8 = 2;
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const SMF_AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SMF), PORT);

/// A UDP packet of 60 octets.
fn udp(source: Ipv4Addr, destination: Ipv4Addr, ports: [u16; 2]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    for field in [ports[0], ports[1], 40, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.resize(60, 0xAB);
    packet
}

/// A packet as a gNB sends it.
fn tunnelled(teid: u32, qfi: Option<u8>, packet: &[u8]) -> Vec<u8> {
    let header = GpduHeader { teid, container: qfi.map(PduSessionContainer::uplink) };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.len());
    datagram.extend_from_slice(packet);
    datagram
}

/// A sound packet of this UE to a server's port.
pub fn uplink(teid: u32, ue: Ipv4Addr, port: u16) -> Vec<u8> {
    tunnelled(teid, Some(9), &udp(ue, SERVER, [4_000, port]))
}

/// A sound packet to this UE from a server's port.
pub fn downlink(ue: Ipv4Addr, port: u16) -> Vec<u8> {
    udp(SERVER, ue, [port, 4_000])
}

/// A UPF with one worker and [`SESSIONS`] sessions.
struct Scene {
    plane: UserPlane,
    worker: Worker<Wire>,
    now: Instant,
    sequence: u32,
    /// SEID and TEID of each session.
    sessions: Vec<(u64, u32)>,
}

impl Scene {
    fn new() -> Self {
        let config = Config { workers: 1, buffer_packets_max: BUFFER_MAX, ..Config::default() };
        let started = Instant::from_micros(1_700_000_000_000_000);
        let mut plane = UserPlane::new(&config, started, Random::from_seed([7; 32]));
        let now = started + UserPlane::STARTS_IN;
        let worker = plane.worker(Wire::default());
        let mut scene = Self { plane, worker, now, sequence: 0, sessions: Vec::new() };
        scene.ask(None, association());
        for session in 0..SESSIONS {
            let answer = scene.ask(Some(0), establishment(session));
            let Message::SessionEstablishmentResponse(response) = answer else { panic!("{answer:?}") };
            let Some(FTeid::Assigned { teid, .. }) = response.created_pdr[0].f_teid else {
                panic!("no F-TEID")
            };
            scene.sessions.extend(response.up_f_seid.map(|f_seid| (f_seid.seid, teid)));
        }
        scene
    }

    fn ask(&mut self, seid: Option<u64>, message: impl Into<Message>) -> Message {
        self.sequence += 1;
        let frame = Frame { seid, sequence: self.sequence, message: message.into() };
        let mut answers = Vec::new();
        self.plane.handle_datagram(self.now, SMF_AT, &frame.encode().expect("a valid message"), &mut answers);
        self.worker.turn();
        let mut frames =
            answers.iter().map(|octets| Frame::decode(octets).expect("what the UPF sends can be read"));
        // Reports come besides the answer.
        frames.rfind(|frame| !frame.message.kind().is_request()).expect("an answer").message
    }

    /// The packet's way: what leaves because of it.
    fn packet(&mut self, side: Side, octets: &[u8]) -> Vec<Sent> {
        let before = self.dropped();
        self.worker.io_mut().arriving.push((side, octets.to_vec()));
        self.worker.turn();
        let sent: Vec<Sent> = self.worker.io_mut().sent.drain(..).collect();
        let dropped = self.dropped() - before;
        // An unknown TEID is counted, and answered.
        assert!(sent.len() <= 1 && dropped <= 1, "{} left, {dropped} dropped", sent.len());
        sent.iter().for_each(|sent| self.check(side, octets, sent));
        sent
    }

    /// What leaves is a part of what came, of a UE that has this tunnel, or GTP-U that can be read.
    fn check(&self, side: Side, octets: &[u8], sent: &Sent) {
        match (side, sent.to) {
            (Side::Access, None) => {
                let came = tern_gtpu::Packet::parse(octets).expect("it was understood");
                assert!(came.is_g_pdu() && came.payload.starts_with(&sent.octets));
                let number =
                    self.sessions.iter().position(|(_, teid)| *teid == came.teid).expect("a session");
                assert_eq!(sent.octets[12..16], ue(number as u8).octets(), "the UE's address");
            }
            (Side::Access, Some(_)) => {
                let answer = tern_gtpu::Packet::parse(&sent.octets).expect("what is answered can be read");
                assert!(!answer.is_g_pdu() && sent.octets.len() <= 40);
            }
            (Side::Network(_), to) => {
                let packet = tern_gtpu::Packet::parse(&sent.octets).expect("what is sent can be read");
                assert!(to.is_some() && packet.is_g_pdu() && octets.starts_with(packet.payload));
                assert_eq!(packet.container.map(|container| container.qfi), Some(9));
                let number = packet.teid & 0xFF;
                assert_eq!(packet.payload[16..20], ue(number as u8).octets(), "the UE's address");
            }
        }
    }

    fn dropped(&self) -> u64 {
        let counters = self.plane.counters();
        counters.iter().filter(|(name, _)| name.starts_with("upf.drop.")).map(|(_, count)| count).sum()
    }

    /// Packets that waited leave when they may; then sound ones pass as ever, and all is measured.
    fn serves(mut self) {
        let sessions = std::mem::take(&mut self.sessions);
        for ((seid, teid), number) in sessions.into_iter().zip(0..) {
            self.ask(Some(seid), action(3, ApplyAction::FORW));
            let released = self.worker.io_mut().sent.drain(..).count();
            assert!(released <= BUFFER_MAX);
            self.ask(Some(seid), action(2, ApplyAction::FORW));
            self.worker.io_mut().sent.clear();
            self.sessions.push((seid, teid));
            assert_eq!(self.packet(Side::Network(0), &downlink(ue(number), DNS)).len(), 1);
            let answer = self.ask(Some(seid), SessionDeletionRequest::default());
            let Message::SessionDeletionResponse(response) = answer else { panic!("{answer:?}") };
            assert_eq!(response.usage_report.len(), 2);
            assert_eq!(self.packet(Side::Network(0), &downlink(ue(number), DNS)).len(), 0);
        }
        self.worker.turn();
        assert_eq!((self.plane.sessions(), self.worker.reachable()), (0, 0));
    }
}

const DATAGRAM: u8 = 0;
const TUNNELLED: u8 = 1;
const NETWORK: u8 = 2;
const TO_UE: u8 = 3;
const ACTION: u8 = 4;
const SOUND: u8 = 5;
const KINDS: u8 = 6;

/// Records: a datagram of the gNB; a packet in a tunnel; a packet of the data network; one with the UE's address
/// put in; a change of what a FAR does; a sound packet to or from a port.
pub fn run(data: &[u8]) -> usize {
    let (mut input, mut scene, mut sent) = (Input::new(data), Scene::new(), 0);
    for _ in 0..RECORDS_MAX {
        if input.is_empty() {
            break;
        }
        let (kind, number) = (input.u8() % KINDS, input.u8());
        let session = number % SESSIONS;
        let (seid, teid) = scene.sessions[usize::from(session)];
        sent += match kind {
            DATAGRAM => scene.packet(Side::Access, input.octets()).len(),
            TUNNELLED => {
                let qfi = (number & 0x80 == 0).then_some(number >> 1 & 0x3F);
                scene.packet(Side::Access, &tunnelled(teid, qfi, input.octets())).len()
            }
            NETWORK => scene.packet(Side::Network(number.into()), input.octets()).len(),
            TO_UE => {
                let mut octets = input.octets().to_vec();
                if let Some(address) = octets.get_mut(16..20) {
                    address.copy_from_slice(&ue(session).octets());
                }
                scene.packet(Side::Network(0), &octets).len()
            }
            ACTION => {
                let actions = [ApplyAction::FORW, ApplyAction::DROP, ApplyAction::BUFF | ApplyAction::NOCP];
                let change = action(1 + u32::from(number >> 1) % 4, actions[usize::from(number >> 3) % 3]);
                scene.ask(Some(seid), change);
                // What waited leaves.
                scene.worker.io_mut().sent.drain(..).count().min(BUFFER_MAX)
            }
            _ => {
                let port = input.u16();
                let up = scene.packet(Side::Access, &uplink(teid, ue(session), port)).len();
                up + scene.packet(Side::Network(0), &downlink(ue(session), port)).len()
            }
        };
    }
    scene.serves();
    sent
}

/// Sound packets to each rule, and each kind of record once.
pub fn seeds() -> Vec<Vec<u8>> {
    let sound = |session: u8, port: u16| [&[SOUND, session][..], &port.to_le_bytes()].concat();
    let with = |kind: u8, number: u8, octets: &[u8]| {
        let mut record = vec![kind, number];
        put(&mut record, octets);
        record
    };
    let ports = [1, DNS, BUFFERED, DROPPED, METERED];
    let rules = ports.iter().flat_map(|port| sound(0, *port)).collect();
    let quota = std::iter::repeat_n(sound(1, METERED), 50).flatten().collect();
    // FAR 3 forwards what waits; FAR 2 buffers.
    let buffered =
        [sound(0, BUFFERED), vec![ACTION, 4], vec![ACTION, 2 | 16], sound(0, 1), vec![ACTION, 2]].concat();
    let echo = [0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0];
    let spoofed = udp(SERVER, SERVER, [1, 2]);
    vec![
        rules,
        quota,
        buffered,
        with(DATAGRAM, 0, &echo),
        with(DATAGRAM, 0, &tunnelled(5, None, &spoofed)),
        with(TUNNELLED, 18, &udp(ue(0), SERVER, [4_000, DNS])),
        with(TUNNELLED, 0x80, &spoofed),
        with(NETWORK, 0, &downlink(ue(1), DNS)),
        with(TO_UE, 0, &downlink(SERVER, DNS)),
    ]
}
