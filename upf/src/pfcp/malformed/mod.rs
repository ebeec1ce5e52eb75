//! What is malformed or abusive on N4: each kind is refused with its cause, changes nothing, and a session of
//! before works on and is measured right. `docs/testing.md` has the table of kinds.

mod ies;
mod peers;
mod rules;

use tern_pfcp::*;

use crate::path::{DropReason, Verdict};
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
/// Sequence numbers that the SMF of the bench does not come to.
const FIRST_SEQUENCE: u32 = 0xA0_0000;
/// The SMF's end of sessions that must not come about.
const OTHER_SEID: u64 = CP_SEID + 1;
/// Grouped IEs of the requests below.
const GROUPS: [u16; 7] = [1, 2, 3, 4, 6, 7, 80];

const ESTABLISHMENT: MessageType = MessageType::SessionEstablishmentRequest;
const MODIFICATION: MessageType = MessageType::SessionModificationRequest;
const FAILURE: Cause = Cause::RULE_CREATION_MODIFICATION_FAILURE;

/// A UPF with a session that must survive, and one that knows how much passed through it.
struct Scene {
    bench: Bench,
    seid: u64,
    teid: u32,
    sequence: u32,
    packets: u64,
}

/// What a refusal must not change.
#[derive(Debug, PartialEq)]
struct State {
    sessions: usize,
    kept: usize,
    published: usize,
    reachable: usize,
}

impl Scene {
    fn new() -> Self {
        let mut bench = Bench::new();
        let (seid, teid) = bench.session();
        let mut scene = Self { bench, seid, teid, sequence: FIRST_SEQUENCE, packets: 0 };
        scene.pass();
        scene
    }

    fn state(&self) -> State {
        State {
            sessions: self.bench.core.session_count(),
            kept: self.bench.core.kept(),
            published: self.bench.published.len(),
            reachable: self.bench.tables.len(),
        }
    }

    /// A packet in each direction.
    fn pass(&mut self) {
        assert_eq!(self.bench.uplink(&gtpu(self.teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
        assert_eq!(self.bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
        self.packets += 1;
    }

    /// The datagram of a message with these IEs.
    fn datagram(&mut self, kind: MessageType, seid: Option<u64>, ies: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut octets = vec![0x20 | u8::from(seid.is_some()), kind as u8, 0, 0];
        octets.extend(seid.iter().flat_map(|seid| seid.to_be_bytes()));
        octets.extend_from_slice(&(self.sequence << 8).to_be_bytes());
        octets.extend_from_slice(ies);
        let length = (octets.len() - 4) as u16;
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets
    }

    fn give(&mut self, kind: MessageType, seid: Option<u64>, ies: &[u8]) -> Vec<Frame> {
        let datagram = self.datagram(kind, seid, ies);
        self.bench.give(self.bench.smf_address, &datagram)
    }

    /// The one answer to a request.
    fn answer(&mut self, kind: MessageType, seid: u64, ies: &[u8]) -> Message {
        let mut answers = self.give(kind, Some(seid), ies);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0).message
    }

    /// The request is refused, for this reason, and nothing changes by it.
    #[track_caller]
    fn refused(&mut self, kind: MessageType, ies: &[u8], expected: Refused) {
        let before = self.state();
        let seid = if kind == ESTABLISHMENT { 0 } else { self.seid };
        let answer = self.answer(kind, seid, ies);
        assert_eq!(Refused::of(&answer), expected, "{answer:?}");
        assert_eq!(self.state(), before);
    }

    /// The session of before is as it was.
    fn serves(mut self) {
        self.pass();
        let answer = self.bench.modify(self.seid, forward_update(ApplyAction::DROP));
        assert_eq!(answer.cause, Cause::REQUEST_ACCEPTED);
        let dropped = self.bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0;
        assert_eq!(dropped, Verdict::Drop(DropReason::FarDrop));
        let response = self.bench.delete(self.seid);
        let volume = response.usage_report[0].volume.expect("it is measured");
        let octets = Some(60 * self.packets);
        assert_eq!((volume.uplink, volume.downlink), (octets, octets));
    }
}

/// Cause, offending IE and failed rule of an answer.
#[derive(Debug, PartialEq)]
struct Refused(Cause, Option<u16>, Option<FailedRuleId>);

impl Refused {
    fn ie(cause: Cause, ie: u16) -> Self {
        Self(cause, Some(ie), None)
    }

    fn of(answer: &Message) -> Self {
        let (offending, rule) = match answer {
            Message::SessionEstablishmentResponse(answer) => (answer.offending_ie, answer.failed_rule_id),
            Message::SessionModificationResponse(answer) => (answer.offending_ie, answer.failed_rule_id),
            Message::SessionDeletionResponse(answer) => (answer.offending_ie, None),
            _ => (None, None),
        };
        Self(answer.cause().expect("an answer"), offending.map(|offending| offending.0), rule)
    }
}

/// The usual session once more, as another one.
fn other() -> SessionEstablishmentRequest {
    let f_seid = FSeid::new(OTHER_SEID, [127, 0, 0, 17].into());
    SessionEstablishmentRequest { cp_f_seid: f_seid, ..establishment() }
}

/// [`other`], with a session's IEs of all kinds that the tests below damage.
fn full() -> Vec<u8> {
    let mut request = other();
    request.create_pdr[0].pdi.sdf_filters = vec![SdfFilter::flow("permit out ip from any to any")];
    request.create_qer[0].mbr = Some(BitRate { uplink_kbps: 9, downlink_kbps: 9 });
    request.create_urr[0].volume_threshold = Some(Volume { total: Some(9), ..Default::default() });
    Message::from(request).to_ies()
}

fn ies(request: impl Into<Message>) -> Vec<u8> {
    request.into().to_ies()
}

fn ie(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// These IEs, one by one.
fn split(mut octets: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    while let Some((&[k1, k0, l1, l0], rest)) = octets.split_first_chunk::<4>() {
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([l1, l0])));
        all.push((u16::from_be_bytes([k1, k0]), value));
        octets = rest;
    }
    all
}

/// These IEs with one of them changed, for each of them, those inside groups too; and its type.
fn each(octets: &[u8], change: &dyn Fn(u16, &[u8]) -> Vec<u8>) -> Vec<(u16, Vec<u8>)> {
    let all = split(octets);
    let whole =
        |ies: &[(u16, &[u8])]| ies.iter().flat_map(|(kind, value)| ie(*kind, value)).collect::<Vec<u8>>();
    let mut variants = Vec::new();
    for (place, (kind, value)) in all.iter().enumerate() {
        let (before, after) = (whole(&all[..place]), whole(&all[place + 1..]));
        let mut inside = if GROUPS.contains(kind) { each(value, change) } else { Vec::new() };
        inside.iter_mut().for_each(|(_, group)| *group = ie(*kind, group));
        inside.push((*kind, change(*kind, value)));
        variants.extend(inside.into_iter().map(|(kind, ie)| (kind, [&before[..], &ie, &after].concat())));
    }
    variants
}
