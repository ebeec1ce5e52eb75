//! Two nodes and a network that loses, repeats and delays: a clock, no sockets.

use std::net::SocketAddr;

use proptest::prelude::*;
use tern_n4::*;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 8805))
}

const START: Instant = Instant::from_micros(1_000_000);

fn smf(stamp: u32) -> Node {
    let mut config = NodeConfig::new(NodeId::Address(address(1).ip()), RecoveryTimeStamp(stamp));
    config.associate = vec![address(2)];
    config.cp_function_features = Some(CpFunctionFeatures::default());
    Node::new(config, START)
}

/// An SMF that has its associations from its predecessor.
fn successor() -> Node {
    Node::new(NodeConfig::new(NodeId::Address(address(1).ip()), RecoveryTimeStamp(10)), START)
}

fn upf(stamp: u32, accept: Accept) -> Node {
    let mut config = NodeConfig::new(NodeId::Fqdn("upf.test".to_owned()), RecoveryTimeStamp(stamp));
    config.accept = accept;
    config.up_function_features = Some(UpFunctionFeatures::FTUP);
    Node::new(config, START)
}

/// Both ends and the time.
struct Pair {
    now: Instant,
    smf: Node,
    upf: Node,
    /// Datagrams to drop, from now on.
    lose: usize,
    transmitted: usize,
    events: Vec<(u8, Output)>,
}

impl Pair {
    fn new(accept: Accept) -> Self {
        let (smf, upf) = (smf(10), upf(20, accept));
        Self { now: START, smf, upf, lose: 0, transmitted: 0, events: Vec::new() }
    }

    fn connected() -> Self {
        let mut pair = Self::new(Accept::Any);
        pair.run(Duration::ZERO);
        assert!(pair.smf.association(address(2).ip()).is_some());
        pair.events.clear();
        pair
    }

    /// Delivers at once, then lets the time pass from deadline to deadline.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.deliver();
            let next = self.smf.next_deadline().into_iter().chain(self.upf.next_deadline()).min();
            match next {
                Some(at) if at <= end => {
                    self.now = at.max(self.now);
                    self.smf.handle_deadline(self.now);
                    self.upf.handle_deadline(self.now);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn deliver(&mut self) {
        loop {
            let (from, output) = match (self.smf.next_output(), self.upf.next_output()) {
                (Some(output), other) => {
                    if let Some(other) = other {
                        self.take(2, other);
                    }
                    (1, output)
                }
                (None, Some(output)) => (2, output),
                (None, None) => return,
            };
            self.take(from, output);
        }
    }

    fn take(&mut self, from: u8, output: Output) {
        match output {
            Output::Transmit { to, bytes } => {
                self.transmitted += 1;
                if self.lose > 0 {
                    self.lose -= 1;
                } else if to == address(1) {
                    self.smf.handle_datagram(self.now, address(from), &bytes);
                } else if to == address(2) {
                    self.upf.handle_datagram(self.now, address(from), &bytes);
                }
            }
            Output::Request { request, message } => {
                let answer = SessionDeletionResponse::default();
                self.upf.respond(self.now, &request, Some(1), answer.into());
                self.events.push((from, Output::Request { request, message }));
            }
            event => self.events.push((from, event)),
        }
    }

    fn delete(&mut self) -> Token {
        let request = SessionDeletionRequest::default();
        self.smf.send_request(self.now, address(2), Some(5), request.into()).expect("sent")
    }

    fn count(&self, wanted: impl Fn(&Output) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }
}

#[test]
fn when_the_upf_accepts_then_both_are_associated() {
    let mut pair = Pair::new(Accept::Only(vec![address(1).ip()]));
    pair.run(Duration::ZERO);
    let association = pair.smf.association(address(2).ip()).expect("associated");
    assert_eq!(association.node_id, NodeId::Fqdn("upf.test".to_owned()));
    assert_eq!(association.up_function_features, UpFunctionFeatures::FTUP);
    assert!(pair.upf.association(address(1).ip()).is_some());
    assert_eq!(pair.count(|event| matches!(event, Output::PeerUp { .. })), 2);
}

#[test]
fn when_the_upf_does_not_accept_then_the_smf_goes_on_trying() {
    let mut pair = Pair::new(Accept::Only(vec![address(9).ip()]));
    pair.run(Duration::from_secs(9));
    assert!(pair.smf.association(address(2).ip()).is_none());
    assert_eq!(pair.transmitted, 10, "five requests and their refusals");
}

#[test]
fn when_a_request_or_its_answer_is_lost_then_it_is_done_once_and_answered() {
    for lost in [1, 2, 3] {
        let mut pair = Pair::connected();
        pair.delete();
        if lost == 2 {
            // The first arrives; its answer and the repetition are lost.
            let Some(Output::Transmit { bytes, .. }) = pair.smf.next_output() else { panic!("sent") };
            pair.upf.handle_datagram(pair.now, address(1), &bytes);
        }
        pair.lose = lost;
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.count(|event| matches!(event, Output::Request { .. })), 1, "lost {lost}");
        assert_eq!(pair.count(|event| matches!(event, Output::Response { .. })), 1, "lost {lost}");
    }
}

#[test]
fn when_all_retransmissions_are_lost_then_the_request_times_out_after_n1() {
    let mut pair = Pair::connected();
    let token = pair.delete();
    pair.lose = usize::MAX;
    let before = pair.transmitted;
    pair.run(Duration::from_millis(3_999));
    assert_eq!(pair.count(|event| matches!(event, Output::TimedOut { .. })), 0);
    pair.run(Duration::from_millis(1));
    assert_eq!(pair.events, [(1, Output::TimedOut { token, peer: address(2) })]);
    assert_eq!(pair.transmitted - before, 4, "one and N1 = 3 more");
}

#[test]
fn when_a_duplicate_arrives_before_the_answer_then_it_is_not_asked_again() {
    let mut upf = upf(20, Accept::Any);
    let mut smf = smf(10);
    let Some(Output::Transmit { bytes, .. }) = smf.next_output() else { panic!("sent") };
    upf.handle_datagram(START, address(1), &bytes);
    while upf.next_output().is_some() {}
    let request = Frame::session(1, 77, SessionDeletionRequest::default().into()).encode().expect("encodes");
    upf.handle_datagram(START, address(1), &request);
    upf.handle_datagram(START, address(1), &request);
    let Some(Output::Request { request: asked, .. }) = upf.next_output() else { panic!("asked") };
    assert_eq!(upf.next_output(), None);
    upf.respond(START, &asked, Some(1), SessionDeletionResponse::default().into());
    let first = upf.next_output().expect("answered");
    upf.handle_datagram(START, address(1), &request);
    assert_eq!(upf.next_output(), Some(first));
    // Long after, the same sequence number is a new request.
    upf.handle_datagram(START + Duration::from_secs(6), address(1), &request);
    assert!(matches!(upf.next_output(), Some(Output::Request { .. })));
    assert_eq!(upf.responses_kept(), 1);
}

#[test]
fn when_the_peer_is_silent_then_heartbeats_find_out_and_the_association_returns() {
    let mut pair = Pair::connected();
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.events, [], "heartbeats are answered");
    pair.lose = usize::MAX;
    pair.run(Duration::from_secs(15));
    let down = |event: &Output| matches!(event, Output::PeerDown { reason: DownReason::Unreachable, .. });
    assert_eq!(pair.count(down), 2);
    pair.lose = 0;
    pair.run(Duration::from_secs(10));
    assert!(pair.smf.association(address(2).ip()).is_some());
    // The UPF is told to forget the sessions of the old association, and the SMF knows that it does.
    for (side, peer) in [(1, 2), (2, 1)] {
        let restarted = (side, Output::PeerRestarted { address: address(peer) });
        assert_eq!(pair.events.iter().filter(|event| **event == restarted).count(), 1, "{side}");
    }
}

#[test]
fn when_the_upf_restarts_then_its_recovery_time_stamp_tells() {
    let mut pair = Pair::connected();
    pair.upf = upf(21, Accept::Any);
    pair.run(Duration::from_secs(30));
    assert!(pair.events.contains(&(1, Output::PeerRestarted { address: address(2) })));
    assert!(pair.smf.association(address(2).ip()).is_some());
    assert!(pair.upf.association(address(1).ip()).is_some());
}

#[test]
fn when_a_restarted_upf_is_seen_then_the_association_is_there_again_at_once() {
    let mut pair = Pair::connected();
    pair.upf = upf(21, Accept::Any);
    // No sooner than the heartbeat.
    pair.run(Duration::from_secs(10));
    assert!(pair.upf.association(address(1).ip()).is_some());
    let last =
        pair.events.iter().rposition(|(side, event)| *side == 1 && matches!(event, Output::PeerUp { .. }));
    let seen =
        pair.events.iter().rposition(|event| *event == (1, Output::PeerRestarted { address: address(2) }));
    assert!(seen < last, "lost first, then there: {:?}", pair.events);
}

/// A recovery time stamp counts in seconds.
#[test]
fn when_an_association_is_asked_for_in_the_second_of_the_start_then_it_is_granted_behind_it() {
    let mut pair = Pair::new(Accept::Any);
    let mut config = pair.upf.config().clone();
    config.grants_from = Some(START + Duration::from_millis(1_500));
    pair.upf = Node::new(config, START);
    pair.run(Duration::from_millis(1_499));
    assert_eq!(pair.upf.associations().count() + pair.smf.associations().count(), 0);
    pair.run(Duration::from_millis(1));
    assert_eq!(pair.upf.associations().count() + pair.smf.associations().count(), 2);
    assert_eq!(pair.count(|event| matches!(event, Output::PeerUp { .. })), 2, "repetitions are not answered");
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.count(|event| matches!(event, Output::PeerRestarted { .. })), 0);
}

#[test]
fn when_the_upf_restarts_within_a_second_then_its_refusal_tells() {
    let mut pair = Pair::connected();
    pair.upf = upf(20, Accept::Any);
    pair.delete();
    pair.run(Duration::from_secs(3));
    assert!(pair.events.contains(&(1, Output::PeerRestarted { address: address(2) })));
    assert!(pair.upf.association(address(1).ip()).is_some());
}

#[test]
fn when_the_smf_restarts_then_the_upf_is_told_at_its_association_setup() {
    let mut pair = Pair::connected();
    pair.smf = smf(11);
    pair.run(Duration::from_secs(1));
    let restarted = Output::PeerRestarted { address: address(1) };
    assert!(pair.events.contains(&(2, restarted)));
    assert_eq!(pair.upf.associations().count(), 1);
}

/// A successor of the SMF goes on with the association that it had.
#[test]
fn when_the_smf_goes_on_with_its_association_then_the_upf_notices_nothing() {
    let mut pair = Pair::connected();
    let association = pair.smf.association(address(2).ip()).expect("associated").clone();
    pair.smf = successor();
    pair.smf.resume(pair.now, association.clone());
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.events, [(1, Output::PeerUp { association })]);
}

/// It learns from the heartbeat that the UPF has started again meanwhile.
#[test]
fn when_the_upf_has_restarted_before_the_smf_goes_on_then_the_smf_hears_of_it_at_once() {
    let mut pair = Pair::connected();
    let association = pair.smf.association(address(2).ip()).expect("associated").clone();
    (pair.smf, pair.upf) = (successor(), upf(21, Accept::Any));
    pair.smf.resume(pair.now, association);
    pair.run(Duration::ZERO);
    let told = pair.events.iter().any(|(_, event)| matches!(event, Output::PeerRestarted { .. }));
    assert!(told && pair.smf.association(address(2).ip()).is_some(), "{:?}", pair.events);
}

/// What the SMF has asked for and its successor asks again is done once.
#[test]
fn when_a_successor_repeats_a_request_under_its_number_then_it_is_done_once() {
    let mut pair = Pair::connected();
    let association = pair.smf.association(address(2).ip()).expect("associated").clone();
    let delete = || Message::from(SessionDeletionRequest::default());
    pair.smf.send_request_as(pair.now, address(2), Some(5), delete(), 77).expect("sent");
    // It dies before it hears the answer.
    let Some(Output::Transmit { bytes, .. }) = pair.smf.next_output() else { panic!() };
    pair.upf.handle_datagram(pair.now, address(1), &bytes);
    pair.smf = successor();
    pair.deliver();
    pair.smf.resume(pair.now, association);
    // Another one comes first, so that the repetition has its number not by chance.
    let other = pair.smf.send_request_as(pair.now, address(2), Some(6), delete(), 78).expect("sent");
    let token = pair.smf.send_request_as(pair.now, address(2), Some(5), delete(), 77).expect("sent");
    pair.run(Duration::ZERO);
    let asked = pair.events.iter().filter(|(_, event)| matches!(event, Output::Request { .. })).count();
    assert_eq!(asked, 2, "77 once, and 78");
    let answered = |of: Token| {
        pair.events.iter().any(|(_, event)| matches!(event, Output::Response { token, .. } if *token == of))
    };
    assert!(answered(token) && answered(other));
}

#[test]
fn when_the_association_is_released_then_it_ends_on_both_sides() {
    let mut pair = Pair::connected();
    pair.smf.release(pair.now, address(2));
    pair.run(Duration::from_secs(60));
    let down = |event: &Output| matches!(event, Output::PeerDown { reason: DownReason::Released, .. });
    assert_eq!(pair.count(down), 2);
    assert_eq!(pair.smf.associations().count() + pair.upf.associations().count(), 0);
}

#[test]
fn when_there_is_no_association_then_a_session_request_is_refused_with_cause_72() {
    let mut upf = upf(20, Accept::Any);
    let establishment = SessionEstablishmentRequest {
        cp_f_seid: FSeid::new(99, address(1).ip()),
        create_pdr: vec![CreatePdr::default()],
        create_far: vec![CreateFar::default()],
        ..Default::default()
    };
    let bytes = Frame::session(0, 3, establishment.into()).encode().expect("encodes");
    upf.handle_datagram(START, address(1), &bytes);
    let Some(Output::Transmit { bytes, .. }) = upf.next_output() else { panic!("answered") };
    let answer = Frame::decode(&bytes).expect("decodes");
    assert_eq!((answer.seid, answer.sequence), (Some(99), 3));
    let Message::SessionEstablishmentResponse(answer) = answer.message else { panic!("another message") };
    assert_eq!(answer.cause, Cause::NO_ESTABLISHED_PFCP_ASSOCIATION);
}

#[test]
fn when_a_request_is_malformed_then_cause_and_ie_are_told() {
    let mut upf = upf(20, Accept::Any);
    upf.handle_datagram(START, address(1), &[0x20, 5, 0, 4, 0, 0, 9, 0]);
    let Some(Output::Transmit { bytes, .. }) = upf.next_output() else { panic!("answered") };
    let Message::AssociationSetupResponse(answer) = Frame::decode(&bytes).expect("decodes").message else {
        panic!("another message");
    };
    assert_eq!(answer.cause, Cause::MANDATORY_IE_MISSING);
}

#[test]
fn when_the_version_is_another_then_ours_is_told_and_only_once() {
    let mut upf = upf(20, Accept::Any);
    upf.handle_datagram(START, address(1), &[0x40, 1, 0, 4, 0, 0, 9, 0]);
    let Some(Output::Transmit { bytes, .. }) = upf.next_output() else { panic!("answered") };
    assert_eq!(bytes, [0x20, 11, 0, 4, 0, 0, 9, 0]);
    upf.handle_datagram(START, address(1), &[0x40, 11, 0, 4, 0, 0, 9, 0]);
    assert_eq!(upf.next_output(), None);
}

#[test]
fn when_an_answer_comes_from_another_address_or_of_another_kind_then_it_is_discarded() {
    let mut pair = Pair::connected();
    pair.delete();
    let Some(Output::Transmit { bytes, .. }) = pair.smf.next_output() else { panic!("sent") };
    let sequence = Frame::decode(&bytes).expect("decodes").sequence;
    let answer = |message: Message| Frame::session(1, sequence, message).encode().expect("encodes");
    let right = answer(SessionDeletionResponse::default().into());
    pair.smf.handle_datagram(pair.now, address(7), &right);
    let wrong = answer(SessionModificationResponse::default().into());
    pair.smf.handle_datagram(pair.now, address(2), &wrong);
    assert_eq!((pair.smf.next_output(), pair.smf.discarded()), (None, 2));
    pair.smf.handle_datagram(pair.now, address(2), &right);
    assert!(matches!(pair.smf.next_output(), Some(Output::Response { .. })));
}

proptest! {
    #[test]
    fn any_datagrams_leave_a_node_that_works(
        datagrams in proptest::collection::vec(
            (1u8..4, proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..40),
    ) {
        let mut pair = Pair::connected();
        for (from, mut bytes, header) in datagrams {
            if header && bytes.len() >= 8 {
                bytes[0] = 0x20 | bytes[0] & 1;
                let length = (bytes.len() - 4) as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
            }
            pair.upf.handle_datagram(pair.now, address(from), &bytes);
            pair.smf.handle_datagram(pair.now, address(from), &bytes);
        }
        pair.run(Duration::from_secs(60));
        pair.delete();
        pair.run(Duration::from_secs(10));
        let answers = pair.count(|event| matches!(event, Output::Response { .. }));
        prop_assert!(answers >= 1);
    }
}
