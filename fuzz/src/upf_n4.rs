//! The UPF's N4: what one SMF sends in a row, and what it may not break for another one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tern_pfcp::*;
use tern_types::{Duration, Instant, Random};
use tern_upf::{Config, Side, UserPlane, Worker};

use crate::edit::edited;
use crate::input::{Input, put};
use crate::messages::{OF_SMF, SMF, action, association, establishment, of_smf, ue};
use crate::upf_packets::{downlink, uplink};
use crate::wire::Wire;

/// Sessions that fit.
const SESSIONS_MAX: usize = 4;
/// Records of one input.
const RECORDS_MAX: usize = 48;
/// Answers and reports that one datagram may cause: its own answer, and reports that its sessions had due.
const ANSWERS_MAX: usize = 64;
/// The SMF that sends what is mutated, and one that does nothing wrong.
const HOSTILE: SocketAddr = SocketAddr::new(IpAddr::V4(SMF), PORT);
const HONEST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99)), PORT);
/// The session of the one that does nothing wrong: a UE that no other has.
const HONEST_SESSION: u8 = 200;
/// Sequence numbers of the honest one begin here.
const HONEST_SEQUENCE: u32 = 1 << 20;

/// A UPF with one worker, and two SMFs.
struct Scene {
    plane: UserPlane,
    worker: Worker<Wire>,
    now: Instant,
    sequence: u32,
    /// Sequence numbers of the UPF's requests that wait for answers.
    asked: Vec<u32>,
    /// Those of heartbeats, which are always answered: the association lives.
    heartbeats: Vec<u32>,
    /// SEIDs that the UPF gave, in the order of the sessions' establishment.
    seids: Vec<u64>,
}

impl Scene {
    /// Nobody is associated.
    fn new() -> Self {
        let config =
            Config { workers: 1, sessions_max: SESSIONS_MAX, buffer_packets_max: 4, ..Config::default() };
        let started = Instant::from_micros(1_700_000_000_000_000);
        let mut plane = UserPlane::new(&config, started, Random::from_seed([7; 32]));
        let now = started + UserPlane::STARTS_IN;
        let worker = plane.worker(Wire::default());
        Self { plane, worker, now, sequence: 0, asked: Vec::new(), heartbeats: Vec::new(), seids: Vec::new() }
    }

    /// Gives the UPF a datagram; what it answers to it, if that is an answer.
    fn give(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Frame> {
        let mut answers = Vec::new();
        self.plane.handle_datagram(self.now, from, datagram, &mut answers);
        assert!(answers.len() <= ANSWERS_MAX, "{} answers to one datagram", answers.len());
        self.worker.turn();
        self.hear(&answers)
    }

    /// What the UPF sends can be read; the last answer among it.
    fn hear(&mut self, answers: &[Vec<u8>]) -> Option<Frame> {
        let mut answer = None;
        for octets in answers {
            let frame = Frame::decode(octets).expect("what the UPF sends can be read");
            if let Message::HeartbeatRequest(_) = frame.message {
                self.heartbeats.push(frame.sequence);
                continue;
            }
            if frame.message.kind().is_request() {
                self.asked.push(frame.sequence);
                continue;
            }
            if let Message::SessionEstablishmentResponse(response) = &frame.message {
                self.seids.extend(response.up_f_seid.map(|f_seid| f_seid.seid));
            }
            answer = Some(frame);
        }
        answer
    }

    /// Sends a request and hears its answer.
    fn ask(&mut self, from: SocketAddr, seid: Option<u64>, message: impl Into<Message>) -> Message {
        self.sequence += 1;
        let message = message.into();
        let sequence = if from == HONEST { HONEST_SEQUENCE + self.sequence } else { self.sequence };
        let octets = Frame { seid, sequence, message }.encode().expect("a valid message");
        let answer = self.give(from, &octets).expect("a valid request is answered");
        assert_eq!(answer.sequence, sequence);
        answer.message
    }

    /// Lets time pass, and the UPF do what is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.plane.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            let mut answers = Vec::new();
            self.plane.handle_deadline(self.now, &mut answers);
            self.hear(&answers);
            for sequence in std::mem::take(&mut self.heartbeats) {
                let message =
                    HeartbeatResponse { recovery_time_stamp: RecoveryTimeStamp(1), ..Default::default() };
                let frame = Frame::node(sequence, message.into());
                self.give(HOSTILE, &frame.encode().expect("a valid message"));
            }
        }
        self.now = end;
    }

    /// A packet from the gNB or the data network, and how many packets leave.
    fn packet(&mut self, side: Side, octets: Vec<u8>) -> usize {
        self.worker.io_mut().sent.clear();
        self.worker.io_mut().arriving.push((side, octets));
        self.worker.turn();
        self.worker.io_mut().sent.drain(..).count()
    }

    /// The hostile SMF sends a datagram; whether it was accepted.
    fn hostile(&mut self, datagram: &[u8]) -> bool {
        let before = self.plane.sessions();
        let answer = self.give(HOSTILE, datagram);
        let sessions = self.plane.sessions();
        assert!(sessions <= SESSIONS_MAX);
        let cause = answer.as_ref().and_then(|answer| answer.message.cause());
        let refused = cause.is_some_and(|cause| !cause.is_accepted());
        // The association's end takes all sessions; nothing that is refused takes any.
        assert!(!refused || sessions == before, "{before} sessions, then {sessions}: {answer:?}");
        cause.is_some_and(|cause| cause.is_accepted())
    }

    /// The SMF that does nothing wrong is served, whatever the other one did, and nothing is left of both.
    fn serves(mut self) {
        let release =
            |node| AssociationReleaseRequest { node_id: NodeId::Address(node), ..Default::default() };
        self.hostile(&Frame::node(0xFF_FFFF, release(SMF.into()).into()).encode().expect("a valid message"));
        self.ask(HOSTILE, None, association());
        self.ask(HOSTILE, None, release(SMF.into()));
        assert_eq!((self.plane.sessions(), self.plane.kept()), (0, 0), "the association ended");
        self.worker.turn();
        assert_eq!(self.worker.reachable(), 0);

        assert_eq!(self.ask(HONEST, None, association()).cause(), Some(Cause::REQUEST_ACCEPTED));
        let answer = self.ask(HONEST, Some(0), establishment(HONEST_SESSION));
        let Message::SessionEstablishmentResponse(response) = answer else { panic!("{answer:?}") };
        assert_eq!(response.cause, Cause::REQUEST_ACCEPTED);
        let seid = response.up_f_seid.map(|f_seid| f_seid.seid);
        let Some(FTeid::Assigned { teid, .. }) = response.created_pdr[0].f_teid else {
            panic!("{response:?}")
        };
        assert_eq!(self.packet(Side::Access, uplink(teid, ue(HONEST_SESSION), 1)), 1);
        assert_eq!(self.packet(Side::Network(0), downlink(ue(HONEST_SESSION), 1)), 1);
        let answer = self.ask(HONEST, seid, action(2, ApplyAction::DROP));
        assert_eq!(answer.cause(), Some(Cause::REQUEST_ACCEPTED));
        assert_eq!(self.packet(Side::Network(0), downlink(ue(HONEST_SESSION), 1)), 0);
        let answer = self.ask(HONEST, seid, SessionDeletionRequest::default());
        let Message::SessionDeletionResponse(response) = answer else { panic!("{answer:?}") };
        let volume = response.usage_report[0].volume.expect("it was measured");
        assert_eq!((volume.uplink, volume.downlink), (Some(60), Some(60)));
        self.worker.turn();
        assert_eq!((self.plane.sessions(), self.plane.kept(), self.worker.reachable()), (0, 0, 0));
    }
}

/// What a record says the hostile SMF does.
const DATAGRAM: u8 = 0;
const MESSAGE: u8 = 1;
const PASS: u8 = 2;
const PACKET: u8 = 3;
const KINDS: u8 = 4;

/// Records of an associated SMF: a datagram; a message of a number, about a session, with edits; time that
/// passes; a packet of the session last established.
pub fn run(data: &[u8]) -> usize {
    let (mut input, mut scene, mut accepted) = (Input::new(data), Scene::new(), 0);
    scene.ask(HOSTILE, None, association());
    for _ in 0..RECORDS_MAX {
        if input.is_empty() {
            break;
        }
        accepted += match input.u8() % KINDS {
            DATAGRAM => usize::from(scene.hostile(input.octets())),
            MESSAGE => usize::from(message(&mut scene, &mut input)),
            PASS => {
                scene.pass(Duration::from_secs(input.u8().into()));
                0
            }
            _ => {
                let (session, port) = (input.u8(), input.u8());
                scene.packet(Side::Network(0), downlink(ue(session), port.into()))
            }
        };
    }
    scene.serves();
    accepted
}

fn message(scene: &mut Scene, input: &mut Input<'_>) -> bool {
    let (number, session) = (input.u8(), input.u8() % (SESSIONS_MAX as u8 + 1));
    let message = of_smf(number, session);
    let kind = message.kind();
    let known = scene.seids.iter().rev().nth(session.into()).copied().unwrap_or(session.into());
    let seid = match kind {
        MessageType::SessionEstablishmentRequest => Some(0),
        kind => kind.is_session().then_some(known),
    };
    scene.sequence += 1;
    let waiting = if kind.is_request() { None } else { scene.asked.pop() };
    let sequence = waiting.unwrap_or(scene.sequence);
    let octets = Frame { seid, sequence, message }.encode().expect("a valid message");
    scene.hostile(&edited(&octets, input))
}

/// Sessions come, change and go; each message that there is; a datagram.
pub fn seeds() -> Vec<Vec<u8>> {
    let message = |number, session| [MESSAGE, number, session, 0];
    let life = [
        &message(0, 0)[..],
        &[PACKET, 0, 1],
        &message(1, 0),
        &message(3, 0),
        &[PACKET, 0, 1],
        &message(4, 0),
        &message(10, 0),
        &message(2, 0),
        &[PASS, 61],
        &message(0, 0),
        &message(0, 1),
        &message(5, 1),
        &message(5, 0),
    ]
    .concat();
    let all = (0..OF_SMF).map(|number| [&message(0, 0)[..], &message(number, 0)].concat());
    let mut datagram = vec![DATAGRAM];
    let heartbeat = Frame::node(77, of_smf(7, 0)).encode().expect("a valid message");
    put(&mut datagram, &heartbeat);
    // One with edits: an IE goes, one comes twice, one gets another value, a length is wrong.
    let edits = [MESSAGE, 0, 0, 4, 30, 10, 40, 1, 50, 2, 1, 0, 9, 60, 7, 255, 255];
    let full = (0..=SESSIONS_MAX as u8).flat_map(|session| message(0, session)).collect();
    all.chain([life, datagram, edits.to_vec(), full]).collect()
}
