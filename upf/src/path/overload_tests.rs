//! A worker that has more than it can do, on a virtual clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;

use tern_pfcp::*;

use super::super::Peer;
use super::super::Side;
use super::super::rates::{FIRST, GUARANTEED, SECOND, flows, packet};
use super::*;
use crate::testing::{Bench, GNB};

const MS: u64 = 1_000_000;
/// What a packet costs to receive, and to send: 40,000 a second are forwarded, 200,000 received.
const RECEIVE_NS: u64 = 5_000;
const SEND_NS: u64 = 20_000;
/// Packets in the receive queue, and taken from it at once.
const QUEUE: usize = 4_000;
const SHARE: usize = 32;
/// Octets of a packet: 1,000 a second are 800 kbit/s.
const OCTETS: usize = 100;

/// One flow's packets.
struct Offer {
    side: Side,
    bytes: Vec<u8>,
    interval_ns: u64,
    next_ns: u64,
    number: u32,
    lost: usize,
}

/// Interfaces whose receives and sends take time, and their receive queue.
struct Wire {
    clock: Arc<AtomicU64>,
    offers: BTreeMap<u16, Offer>,
    /// The flow that fills the queue whenever it is looked at.
    endless: Option<u16>,
    queue: VecDeque<(Side, Vec<u8>)>,
    behind: bool,
    /// Numbers of the packets that were sent, by flow.
    sent: BTreeMap<u16, Vec<u32>>,
    echoes: usize,
}

impl Wire {
    fn now_ns(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn spend(&self, ns: u64) {
        self.clock.fetch_add(ns, Ordering::Relaxed);
    }

    fn arrive(&mut self) {
        let now_ns = self.now_ns();
        while let Some((port, offer)) = self.offers.iter_mut().min_by_key(|(_, offer)| offer.next_ns)
            && offer.next_ns <= now_ns
        {
            offer.next_ns += offer.interval_ns;
            match self.queue.len() {
                QUEUE.. => offer.lost += 1,
                _ => self.queue.push_back((offer.side, offer.numbered(*port))),
            }
            offer.number += 1;
        }
        if let Some(port) = self.endless
            && let Some(offer) = self.offers.get_mut(&port)
        {
            while self.queue.len() < QUEUE {
                self.queue.push_back((offer.side, offer.numbered(port)));
                offer.number += 1;
            }
        }
    }

    fn note(&mut self, packet: &Packet) {
        self.spend(SEND_NS);
        // Shorter than a numbered one: an echo response.
        let Some(at) = packet.bytes().len().checked_sub(6).filter(|at| *at > 20) else {
            self.echoes += 1;
            return;
        };
        let (port, number) = packet.bytes()[at..].split_at(2);
        let port = u16::from_be_bytes(port.try_into().expect("two octets"));
        let number = u32::from_be_bytes(number.try_into().expect("four octets"));
        self.sent.entry(port).or_default().push(number);
    }
}

impl Offer {
    /// The next packet, with its flow and number at its end.
    fn numbered(&self, port: u16) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(at) = bytes.len().checked_sub(6).filter(|at| *at > 20) {
            bytes[at..at + 2].copy_from_slice(&port.to_be_bytes());
            bytes[at + 2..].copy_from_slice(&self.number.to_be_bytes());
        }
        bytes
    }
}

impl PacketIo for Wire {
    fn receive(&mut self, packets: &mut [Packet], wait: Duration) -> std::io::Result<usize> {
        self.arrive();
        if self.queue.is_empty() && !wait.is_zero() {
            let until = self.now_ns() + u64::try_from(wait.as_nanos()).expect("a short wait");
            let next = self.offers.values().map(|offer| offer.next_ns).chain([until]).min();
            self.clock.fetch_max(next.expect("the end of the wait"), Ordering::Relaxed);
            self.arrive();
        }
        let taken = self.queue.len().min(SHARE);
        for (packet, (side, bytes)) in packets.iter_mut().zip(self.queue.drain(..taken)) {
            packet.set(&bytes);
            packet.came(side, GNB);
        }
        self.behind = taken == SHARE;
        self.spend(1_000 + RECEIVE_NS * taken as u64);
        Ok(taken)
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    fn send_access(&mut self, packet: &mut Packet, _: Peer) {
        self.note(packet);
    }

    fn send_network(&mut self, packet: &mut Packet, _: u16) {
        self.note(packet);
    }

    fn flush(&mut self, _: &mut dyn FnMut(DropReason, usize)) {}
}

/// A worker, and the session that its packets are of.
struct Machine {
    bench: Bench,
    worker: Worker<Wire>,
    commands: Sender<Command>,
    counters: Arc<PathCounters>,
    seid: u64,
    teid: u32,
    published: usize,
}

impl Machine {
    fn of(request: SessionEstablishmentRequest) -> Self {
        let mut bench = Bench::new();
        let (seid, teid) = bench.session_of(request);
        let clock = Arc::new(AtomicU64::new(MS));
        let wire = Wire {
            clock: clock.clone(),
            offers: BTreeMap::new(),
            endless: None,
            queue: VecDeque::new(),
            behind: false,
            sent: BTreeMap::new(),
            echoes: 0,
        };
        let (commands, receiver) = std::sync::mpsc::channel();
        let counters = Arc::<PathCounters>::default();
        let config = WorkerConfig {
            index: 0,
            alone: true,
            tunnel_ends: Ipv4Addr::LOCALHOST.into(),
            error_indications_after: Duration::ZERO,
            clock: Box::new(move || clock.load(Ordering::Relaxed)),
            commands: receiver,
            events: Box::new(|_| true),
            counters: counters.clone(),
            stop: Arc::default(),
        };
        let worker = Worker::new(config, wire);
        let mut machine = Self { bench, worker, commands, counters, seid, teid, published: 0 };
        machine.publish();
        machine
    }

    /// With a guaranteed flow beside the others, or the same flow without a guarantee.
    fn with(is_guaranteed: bool) -> Self {
        let mut request = flows(10_000_000, None);
        if !is_guaranteed {
            request.create_qer.iter_mut().for_each(|qer| qer.gbr = None);
        }
        Self::of(request)
    }

    /// Tells the worker what is new.
    fn publish(&mut self) {
        for at in self.published..self.bench.published.len() {
            let before = at.checked_sub(1).map(|before| self.bench.published[before].clone());
            let session = self.bench.published[at].clone();
            self.commands.send(Command::Publish { session, before }).expect("the worker is there");
        }
        self.published = self.bench.published.len();
    }

    /// From now on so many packets of a flow arrive in a second; none if that is 0.
    fn offer(&mut self, port: u16, uplink: bool, per_second: u64) {
        let (side, bytes) = packet(self.teid, port, OCTETS, uplink);
        self.offer_these(port, side, bytes, per_second);
    }

    fn offer_these(&mut self, port: u16, side: Side, bytes: Vec<u8>, per_second: u64) {
        let next_ns = if per_second == 0 { u64::MAX } else { self.worker.io.now_ns() };
        let interval_ns = 1_000_000_000_u64.checked_div(per_second).unwrap_or(0);
        let new = Offer { side, bytes, interval_ns, next_ns, number: 0, lost: 0 };
        let offer = self.worker.io.offers.entry(port).or_insert(new);
        (offer.interval_ns, offer.next_ns) = (interval_ns, next_ns);
    }

    fn run(&mut self, ms: u64) {
        let end = self.worker.io.now_ns() + ms * MS;
        while self.worker.io.now_ns() < end {
            self.worker.turn();
        }
    }

    /// Nothing arrives any more, and all that waits is worked on.
    fn settle(&mut self) {
        self.worker.io.endless = None;
        self.worker.io.offers.values_mut().for_each(|offer| offer.next_ns = u64::MAX);
        self.run(2_000);
        assert!(self.worker.io.queue.is_empty() && self.worker.backlog.is_empty());
        assert!(!self.worker.overload.is_on());
    }

    fn sent(&self, port: u16) -> &[u32] {
        self.worker.io.sent.get(&port).map_or(&[], Vec::as_slice)
    }

    fn offered(&self, port: u16) -> u32 {
        self.worker.io.offers[&port].number
    }

    fn all_sent_in_order(&self, port: u16) -> bool {
        self.sent(port).iter().copied().eq(0..self.offered(port))
    }

    fn shed(&self) -> u64 {
        self.counters.drops(DropReason::Overload)
    }
}

fn is_in_order(numbers: &[u32]) -> bool {
    numbers.is_sorted_by(|one, other| one < other)
}

/// TS 23.501 §5.7.2.5; that tokens are taken once shows in a flow that is just within its guarantee.
#[test]
fn when_plain_flows_overload_a_worker_then_a_flow_within_its_gfbr_loses_nothing() {
    for uplink in [true, false] {
        let mut machine = Machine::with(true);
        machine.offer(FIRST, uplink, 100_000);
        machine.offer(GUARANTEED, uplink, 1_200);
        machine.run(3_000);
        let sent = machine.sent(FIRST).len();
        // Half of the time goes into receiving; what is left is for sending.
        assert!((65_000..75_000).contains(&sent), "the worker does what it can: {sent}");
        machine.settle();
        assert!(machine.all_sent_in_order(GUARANTEED));
        assert!(is_in_order(machine.sent(FIRST)));
        assert_eq!(machine.worker.io.offers[&FIRST].lost, 0, "nobody loses in the receive queue");
        let passed = machine.sent(FIRST).len() as u64;
        assert_eq!(passed + machine.shed(), u64::from(machine.offered(FIRST)));

        let mut machine = Machine::with(false);
        machine.offer(FIRST, uplink, 100_000);
        machine.offer(GUARANTEED, uplink, 1_200);
        machine.run(3_000);
        let lost = machine.worker.io.offers[&GUARANTEED].lost;
        assert!(lost > 1_000, "without a guarantee all lose alike: {lost}");
        assert_eq!(machine.shed(), 0);
    }
}

#[test]
fn when_a_worker_keeps_up_then_nothing_waits_and_nothing_is_dropped() {
    let mut machine = Machine::with(true);
    machine.offer(FIRST, true, 35_000);
    machine.offer(GUARANTEED, true, 1_200);
    for _ in 0..2_000 {
        machine.run(1);
        assert!(!machine.worker.overload.is_on());
    }
    machine.settle();
    assert!(machine.all_sent_in_order(FIRST) && machine.all_sent_in_order(GUARANTEED));
}

#[test]
fn when_the_receive_queue_never_runs_empty_then_most_of_the_throughput_stays() {
    let rate = |is_guaranteed| {
        let mut machine = Machine::with(is_guaranteed);
        machine.offer(FIRST, true, 0);
        machine.worker.io.endless = Some(FIRST);
        machine.run(40_000);
        assert_eq!(machine.worker.overload.is_on(), is_guaranteed);
        assert!(is_in_order(machine.sent(FIRST)));
        let sent = machine.sent(FIRST).len();
        machine.settle();
        sent as f64
    };
    let (with, without) = (rate(true), rate(false));
    assert!(with > without * 0.6, "{with} of {without}");
}

#[test]
fn when_a_gbr_flow_exceeds_its_gfbr_then_it_gets_that_at_least_and_in_order() {
    let mut machine = Machine::with(true);
    machine.offer(FIRST, true, 99_991);
    // 1.6 Mbit/s, between the GFBR of 1 and the MFBR of 2.
    machine.offer(GUARANTEED, true, 2_003);
    machine.run(1_000);
    let before = machine.sent(GUARANTEED).len();
    machine.run(4_000);
    let rate = (machine.sent(GUARANTEED).len() - before) / 4;
    // 1,250 are guaranteed. Of the others few find room: those within the guarantee have come before them.
    assert!((1_240..2_000).contains(&rate), "{rate}");
    machine.settle();
    assert!(is_in_order(machine.sent(GUARANTEED)));
}

#[test]
fn when_overload_comes_and_goes_then_no_flow_is_out_of_order() {
    let mut machine = Machine::with(true);
    machine.offer(SECOND, false, 4_000);
    machine.offer(GUARANTEED, true, 1_600);
    let mut periods = 0;
    for round in 0..60 {
        let (before, was_on) = (machine.shed(), machine.worker.overload.is_on());
        machine.offer(FIRST, true, if round % 2 == 0 { 90_000 } else { 3_000 });
        machine.run(20 + round * 3);
        if round % 2 == 0 {
            periods += u64::from(machine.shed() > before && !was_on);
        }
    }
    assert!(periods > 15, "{periods}");
    machine.settle();
    for port in [FIRST, SECOND, GUARANTEED] {
        assert!(is_in_order(machine.sent(port)), "{port}");
    }
}

#[test]
fn when_a_worker_is_overloaded_then_signalling_is_answered() {
    let mut machine = Machine::with(true);
    let mut echo = [0; 12];
    let length = tern_gtpu::echo_request(7, &mut echo);
    machine.offer(FIRST, true, 100_000);
    machine.run(50);
    machine.offer_these(0, Side::Access, echo[..length].to_vec(), 100);
    machine.run(1_000);
    machine.settle();
    assert_eq!(machine.worker.io.echoes, machine.offered(0) as usize);
    assert!(machine.worker.io.echoes > 90);
}

#[test]
fn when_a_guarantee_ends_then_it_is_a_flow_like_the_others() {
    let mut machine = Machine::with(true);
    machine.offer(FIRST, true, 100_000);
    machine.offer(GUARANTEED, true, 1_200);
    machine.run(100);
    assert!(machine.worker.overload.is_on());
    let update = UpdateQer { qer_id: QerId(4), gbr: Some(BitRate::default()), ..Default::default() };
    let request = SessionModificationRequest { update_qer: vec![update], ..Default::default() };
    machine.bench.modify(machine.seid, request);
    machine.publish();
    machine.run(1_000);
    assert!(!machine.worker.overload.is_on(), "there is nothing to guarantee");
    assert!(machine.worker.io.offers[&GUARANTEED].lost > 300);
    assert!(is_in_order(machine.sent(FIRST)) && is_in_order(machine.sent(GUARANTEED)));
}

#[test]
fn when_a_session_goes_while_its_packets_wait_then_they_are_of_no_session() {
    let mut machine = Machine::with(true);
    machine.offer(FIRST, false, 100_000);
    machine.run(100);
    assert!(!machine.worker.backlog.is_empty());
    let session = machine.bench.published.last().expect("published").clone();
    machine.commands.send(Command::Remove(session)).expect("the worker is there");
    machine.settle();
    assert!(machine.counters.drops(DropReason::UnknownUe) > 500);
    let (sent, offered) = (machine.sent(FIRST).len() as u64, u64::from(machine.offered(FIRST)));
    let lost = machine.worker.io.offers[&FIRST].lost as u64;
    assert_eq!(sent + machine.shed() + machine.counters.drops(DropReason::UnknownUe) + lost, offered);
}
