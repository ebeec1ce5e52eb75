//! The core alone, hand-driven.

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::prelude::{any, proptest};
use tern_ngap::ngap::{
    AMFUENGAPID, Cause, CauseMisc, CauseProtocol, CauseRadioNetwork, Criticality, NASPDU, NGAP_PDU,
    PagingDRX, ProtocolExtensionContainer, ProtocolExtensionField, RANUENGAPID, RATInformation, ResetAll,
    ResetType, SupportedTAItem, SupportedTAList, TimeToWait, UEAssociatedLogicalNGConnectionItem,
    UEAssociatedLogicalNGConnectionList, UERetentionInformation, encode_open_type,
};
use tern_ngap::{NgapPduKind as K, build_ngap, build_ngap_ie, decode, ie};
use tern_types::{Duration, Instant, PlmnId, Snssai, Tac};

use super::super::message::{GnbId, N2Command, N2Event, Place, ResetScope, ServedAmf};
use super::super::{Input, Limits, Output, Termination};
use super::gnb::{Setup, encode, initial_ue_message, served};

const GNB: GnbId = GnbId(1);
const OTHER: GnbId = GnbId(2);
const LIFE: u64 = 9;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(0) + Duration::from_secs(seconds)
}

struct Bench {
    core: Termination,
    now: Instant,
}

impl Bench {
    /// An AMF attached and configured, two associations up.
    fn new(limits: Limits) -> Self {
        let mut it = Self { core: Termination::new(limits, LIFE, true), now: at(0) };
        it.put(Input::AmfAttached(None));
        it.put(Input::Command(N2Command::Configure(served())));
        it.put(Input::Associated(GNB, peer(1)));
        it.put(Input::Associated(OTHER, peer(2)));
        it
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = self.core.handle(self.now, input);
        outputs.retain(|output| !matches!(output, Output::Count(_)));
        outputs
    }

    fn receive(&mut self, from: GnbId, pdu: Bytes) -> Vec<Output> {
        self.put(Input::Received { from, stream: 0, ppid: 60, pdu })
    }

    /// Receives one message that has one answer and no event; that answer.
    fn answer(&mut self, from: GnbId, pdu: Bytes) -> NGAP_PDU {
        let outputs = self.receive(from, pdu);
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        sent(&outputs[0], from)
    }

    fn set_up(&mut self, from: GnbId, setup: &Setup) -> Vec<Output> {
        let outputs = self.receive(from, setup.request());
        let response = outputs.iter().find(|output| matches!(output, Output::Send { .. }));
        assert_eq!(sent(response.expect("an answer"), from).kind(), K::Successful_NGSetup);
        outputs
    }
}

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 38412))
}

fn sent(output: &Output, expected: GnbId) -> NGAP_PDU {
    let Output::Send { to, stream, pdu } = output else { panic!("a message, not {output:?}") };
    assert_eq!((*to, *stream), (expected, 0));
    decode(pdu).expect("decodes")
}

fn cause_of(pdu: &NGAP_PDU) -> Cause {
    pdu.ie::<ie::Cause>().expect("a cause").expect("decodes")
}

fn refusal(change: impl FnOnce(&mut Setup)) -> NGAP_PDU {
    let mut setup = Setup::new(1, 32);
    change(&mut setup);
    Bench::new(Limits::default()).answer(GNB, setup.request())
}

/// TS 38.413 §8.7.1.2.
#[test]
fn when_a_gnb_sets_up_then_it_is_answered_and_the_amf_is_told() {
    for bits in 22..=32 {
        let mut bench = Bench::new(Limits::default());
        let setup = Setup::new(0x2b_cdef, bits);
        let outputs = bench.set_up(GNB, &setup);
        let response = sent(&outputs[0], GNB);
        assert!(response.check().expect("checks").is_empty());
        assert_eq!(response.ie::<ie::AMFName>().expect("a name").expect("decodes").0, "tern-amf");
        let Output::Event(N2Event::GnbUp(gnb)) = &outputs[1] else { panic!("{outputs:?}") };
        assert_eq!((gnb.id, gnb.global, gnb.peer), (GNB, setup.global, Some(peer(1))));
        assert_eq!((gnb.default_paging_drx, gnb.name.as_deref()), (64, Some("gnb")));
        assert_eq!(gnb.supported_tas[0].plmns[0].slices, [setup.slice]);
    }
}

/// TS 38.413 §8.7.1.3.
#[test]
fn when_no_broadcast_plmn_is_served_then_setup_fails_with_unknown_plmn() {
    let unknown = Cause::misc(CauseMisc::unknown_PLMN_or_SNPN);
    let failure = refusal(|setup| setup.plmn = PlmnId::new("999", "070").expect("digits"));
    assert_eq!((failure.kind(), cause_of(&failure)), (K::Unsuccessful_NGSetup, unknown.clone()));
    let failure = refusal(|setup| setup.tac = Tac::new(0xff_ffff).expect("24 bits"));
    assert_eq!((failure.kind(), cause_of(&failure)), (K::Unsuccessful_NGSetup, unknown));
}

#[test]
fn when_no_slice_is_served_then_setup_fails_with_slice_not_supported() {
    let failure = refusal(|setup| setup.slice = Snssai::new(7, Some(0x01_0203)));
    let cause = Cause::radioNetwork(CauseRadioNetwork::slice_not_supported);
    assert_eq!((failure.kind(), cause_of(&failure)), (K::Unsuccessful_NGSetup, cause));
}

/// TS 38.413 §10.3.5: the missing IE is named.
#[test]
fn when_a_mandatory_ie_is_missing_then_setup_fails_with_diagnostics() {
    let request = build_ngap!(InitiatingMessage, NGSetup, NGSetupRequest, DefaultPagingDRX(PagingDRX::v32),);
    let failure = Bench::new(Limits::default()).answer(GNB, encode(&request.expect("builds")));
    assert_eq!(failure.kind(), K::Unsuccessful_NGSetup);
    assert_eq!(cause_of(&failure), Cause::protocol(CauseProtocol::abstract_syntax_error_reject));
    let diagnostics = failure.ie::<ie::CriticalityDiagnostics>().expect("present").expect("decodes");
    assert_eq!(diagnostics.ies_criticality_diagnostics.expect("a list").0.len(), 2);
}

#[test]
fn when_no_amf_has_configured_then_setup_fails_with_a_time_to_wait() {
    let mut core = Termination::new(Limits::default(), LIFE, true);
    core.handle(at(0), Input::Associated(GNB, peer(1)));
    let pdu = Setup::new(1, 32).request();
    let outputs = core.handle(at(0), Input::Received { from: GNB, stream: 0, ppid: 60, pdu });
    let send = outputs.iter().find(|output| matches!(output, Output::Send { .. })).expect("an answer");
    let failure = sent(send, GNB);
    assert_eq!(cause_of(&failure), Cause::misc(CauseMisc::control_processing_overload));
    assert_eq!(failure.ie::<ie::TimeToWait>().expect("present").expect("decodes"), TimeToWait::v5s);
}

#[test]
fn when_there_are_as_many_gnbs_as_allowed_then_one_more_is_refused() {
    let mut bench = Bench::new(Limits { gnbs: 1, ..Limits::default() });
    bench.set_up(GNB, &Setup::new(1, 32));
    let failure = bench.answer(OTHER, Setup::new(2, 32).request());
    assert_eq!(cause_of(&failure), Cause::misc(CauseMisc::control_processing_overload));
    // The same gNB again is not one more.
    bench.set_up(OTHER, &Setup::new(1, 32));
}

#[test]
fn when_a_gnb_comes_on_a_new_association_then_the_old_one_is_replaced() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let outputs = bench.set_up(OTHER, &Setup::new(1, 32));
    assert_eq!(outputs[0], Output::Event(N2Event::GnbDown(GNB)));
    assert!(matches!(outputs[1], Output::Abort(GNB, _)));
    assert!(matches!(outputs[3], Output::Event(N2Event::GnbUp(_))));
    assert!(bench.put(Input::Lost(GNB, "aborted".into())).is_empty());
    assert_eq!(bench.core.gnbs().count(), 1);
    // An equal value of another length is another gNB.
    bench.put(Input::Associated(GnbId(3), peer(3)));
    bench.set_up(GnbId(3), &Setup::new(1, 31));
    assert_eq!(bench.core.gnbs().count(), 2);
}

/// TS 38.413 §8.7.1.1.
#[test]
fn when_a_gnb_sets_up_again_then_its_ues_are_reset_unless_retained() {
    let mut bench = Bench::new(Limits::default());
    let setup = Setup::new(1, 32);
    bench.set_up(GNB, &setup);
    let outputs = bench.set_up(GNB, &setup);
    assert_eq!(outputs[0], Output::Event(N2Event::Reset { gnb: GNB, ues: ResetScope::All }));
    let mut retaining = decode(&setup.request()).expect("decodes");
    let mut ies = retaining.protocol_ies().expect("decodes").into_owned();
    let retained = UERetentionInformation::ues_retained;
    ies.0.push(build_ngap_ie!(NGSetupRequest, UERetentionInformation(retained)).expect("builds"));
    retaining.set_protocol_ies(ies).expect("sets");
    let outputs = bench.receive(GNB, encode(&retaining));
    let response = sent(&outputs[0], GNB);
    assert!(response.ie::<ie::UERetentionInformation>().is_some());
    assert!(matches!(outputs[1], Output::Event(N2Event::GnbUp(_))), "no reset");
}

/// TS 38.413 §8.7.2.
#[test]
fn when_a_gnb_updates_its_configuration_then_it_is_acknowledged_or_refused() {
    let mut bench = Bench::new(Limits::default());
    let update = |setup: &Setup| {
        let pdu = build_ngap!(
            InitiatingMessage,
            RANConfigurationUpdate,
            RANConfigurationUpdate,
            SupportedTAList(setup.areas()),
            DefaultPagingDRX(PagingDRX::v256),
        );
        encode(&pdu.expect("builds"))
    };
    let setup = Setup::new(1, 32);
    let early = bench.answer(GNB, update(&setup));
    assert_eq!(early.kind(), K::Unsuccessful_RANConfigurationUpdate);
    let state = CauseProtocol::message_not_compatible_with_receiver_state;
    assert_eq!(cause_of(&early), Cause::protocol(state));
    bench.set_up(GNB, &setup);
    let outputs = bench.receive(GNB, update(&setup));
    assert_eq!(sent(&outputs[0], GNB).kind(), K::Successful_RANConfigurationUpdate);
    let Output::Event(N2Event::GnbUpdated(gnb)) = &outputs[1] else { panic!("{outputs:?}") };
    assert_eq!((gnb.default_paging_drx, gnb.global), (256, setup.global));
    let elsewhere = Setup { tac: Tac::new(99).expect("24 bits"), ..setup };
    let refused = bench.answer(GNB, update(&elsewhere));
    assert_eq!(refused.kind(), K::Unsuccessful_RANConfigurationUpdate);
    assert_eq!(cause_of(&refused), Cause::misc(CauseMisc::unknown_PLMN_or_SNPN));
}

fn reset(reset: ResetType) -> Bytes {
    let cause = Cause::misc(CauseMisc::unspecified);
    let pdu = build_ngap!(InitiatingMessage, NGReset, NGReset, Cause(cause), ResetType(reset),);
    encode(&pdu.expect("builds"))
}

/// TS 38.413 §8.7.4.2.
#[test]
fn when_a_gnb_resets_then_it_is_acknowledged_and_the_amf_is_told() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let outputs = bench.receive(GNB, reset(ResetType::nG_Interface(ResetAll::reset_all)));
    assert_eq!(outputs[0], Output::Event(N2Event::Reset { gnb: GNB, ues: ResetScope::All }));
    assert_eq!(sent(&outputs[1], GNB).kind(), K::Successful_NGReset);

    let item = |amf: Option<u64>, ran: Option<u32>| {
        UEAssociatedLogicalNGConnectionItem::new(amf.map(AMFUENGAPID), ran.map(RANUENGAPID), None)
    };
    let list = UEAssociatedLogicalNGConnectionList(vec![item(Some(9), Some(7)), item(None, Some(8))]);
    let outputs = bench.receive(GNB, reset(ResetType::partOfNG_Interface(list.clone())));
    let ues = ResetScope::Some(vec![(Some(9), Some(7)), (None, Some(8))]);
    assert_eq!(outputs[0], Output::Event(N2Event::Reset { gnb: GNB, ues }));
    let acknowledge = sent(&outputs[1], GNB);
    let echoed = acknowledge.ie::<ie::UEAssociatedLogicalNGConnectionList>();
    assert_eq!(echoed.expect("present").expect("decodes"), list);
}

/// TS 38.413 §8.7.4.4.1: neither identity is there; the item may come back as it is.
#[test]
fn when_a_reset_has_an_empty_item_then_it_is_ignored_and_the_others_are_reset() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let items =
        [None, Some(8)].map(|ran| UEAssociatedLogicalNGConnectionItem::new(None, ran.map(RANUENGAPID), None));
    let list = UEAssociatedLogicalNGConnectionList(items.to_vec());
    let outputs = bench.receive(GNB, reset(ResetType::partOfNG_Interface(list)));
    let ues = ResetScope::Some(vec![(None, None), (None, Some(8))]);
    assert_eq!(outputs[0], Output::Event(N2Event::Reset { gnb: GNB, ues }));
    assert_eq!(sent(&outputs[1], GNB).kind(), K::Successful_NGReset);
}

/// TS 38.413 §8.7.4.4.3: the gNB resets what the AMF is resetting.
#[test]
fn when_resets_cross_then_the_gnbs_is_acknowledged() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let ours = N2Command::Reset { gnb: GNB, ues: ResetScope::All };
    assert_eq!(sent(&bench.put(Input::Command(ours))[0], GNB).kind(), K::Initiating_NGReset);
    let outputs = bench.receive(GNB, reset(ResetType::nG_Interface(ResetAll::reset_all)));
    assert_eq!(outputs[0], Output::Event(N2Event::Reset { gnb: GNB, ues: ResetScope::All }));
    assert_eq!(sent(&outputs[1], GNB).kind(), K::Successful_NGReset);
    let acknowledge = build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,).expect("builds");
    assert!(bench.receive(GNB, encode(&acknowledge)).is_empty());
}

/// TS 38.413 §8.7.4.2.2.
#[test]
fn when_the_amf_resets_then_the_gnb_is_told() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let ues = ResetScope::Some(vec![(Some(5), None)]);
    let outputs = bench.put(Input::Command(N2Command::Reset { gnb: GNB, ues }));
    let request = sent(&outputs[0], GNB);
    assert!(request.check().expect("checks").is_empty());
    assert!(
        matches!(request.ie::<ie::ResetType>(), Some(Ok(ResetType::partOfNG_Interface(list))) if list.0.len() == 1)
    );
    let acknowledge = build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,).expect("builds");
    assert!(bench.receive(GNB, encode(&acknowledge)).is_empty());
    let gone = N2Command::Reset { gnb: OTHER, ues: ResetScope::All };
    assert!(bench.put(Input::Command(gone)).is_empty(), "not set up");
}

/// TS 38.413 §10.2.
#[test]
fn when_a_message_is_undecodable_then_a_transfer_syntax_error_is_indicated() {
    let limits = Limits { undecodable: 3, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.set_up(GNB, &Setup::new(1, 32));
    for _ in 0..3 {
        let indication = bench.answer(GNB, Bytes::from_static(&[0xff; 40]));
        assert_eq!(indication.kind(), K::Initiating_ErrorIndication);
        assert_eq!(cause_of(&indication), Cause::protocol(CauseProtocol::transfer_syntax_error));
    }
    let outputs = bench.receive(GNB, Bytes::from_static(&[0xff]));
    assert_eq!(outputs[0], Output::Event(N2Event::GnbDown(GNB)));
    assert!(matches!(outputs[1], Output::Abort(GNB, _)));
}

/// TS 38.413 §10.3.4.1.
#[test]
fn when_a_procedure_is_unknown_then_its_criticality_decides() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    let message = |criticality: u8| Bytes::copy_from_slice(&[0, 0xf0, criticality, 3, 0, 0, 0]);
    let indication = bench.answer(GNB, message(0x00));
    let rejected = CauseProtocol::abstract_syntax_error_reject;
    assert_eq!(cause_of(&indication), Cause::protocol(rejected));
    let diagnostics = indication.ie::<ie::CriticalityDiagnostics>().expect("present").expect("decodes");
    assert_eq!(diagnostics.procedure_code.map(|code| code.0), Some(0xf0));
    let indication = bench.answer(GNB, message(0x80));
    let notified = CauseProtocol::abstract_syntax_error_ignore_and_notify;
    assert_eq!(cause_of(&indication), Cause::protocol(notified));
    assert!(bench.receive(GNB, message(0x40)).is_empty(), "ignored");
}

/// TS 38.413 §10.4.
#[test]
fn when_a_message_goes_the_wrong_way_then_an_error_is_indicated() {
    let mut bench = Bench::new(Limits::default());
    let downlink = build_ngap!(
        InitiatingMessage,
        DownlinkNASTransport,
        DownlinkNASTransport,
        AMF_UE_NGAP_ID(AMFUENGAPID(3)),
        RAN_UE_NGAP_ID(RANUENGAPID(4)),
        NAS_PDU(NASPDU(vec![0x7e].into())),
    );
    let downlink = encode(&downlink.expect("builds"));
    let early = bench.answer(GNB, downlink.clone());
    let state = CauseProtocol::message_not_compatible_with_receiver_state;
    assert_eq!(cause_of(&early), Cause::protocol(state));
    bench.set_up(GNB, &Setup::new(1, 32));
    let indication = bench.answer(GNB, downlink);
    assert_eq!(cause_of(&indication), Cause::protocol(CauseProtocol::semantic_error));
    assert_eq!(indication.ie::<ie::AMF_UE_NGAP_ID>().expect("present").expect("decodes").0, 3);
    assert!(indication.check().expect("checks").is_empty());
}

#[test]
fn when_an_error_indication_comes_then_none_is_sent_back() {
    let mut bench = Bench::new(Limits::default());
    let cause = Cause::protocol(CauseProtocol::unspecified);
    let indication = build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, Cause(cause),);
    let indication = encode(&indication.expect("builds"));
    assert!(bench.receive(GNB, indication.clone()).is_empty());
    bench.set_up(GNB, &Setup::new(1, 32));
    assert!(bench.receive(GNB, indication).is_empty());
    let of_ue =
        build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, RAN_UE_NGAP_ID(RANUENGAPID(1)),);
    let outputs = bench.receive(GNB, encode(&of_ue.expect("builds")));
    assert!(matches!(outputs[0], Output::Event(N2Event::Ngap { .. })), "a UE's is the core's");
}

#[test]
fn when_a_ue_message_comes_then_the_amf_gets_it_with_its_stream() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    for stream in [0, 5] {
        let pdu = initial_ue_message(1);
        let outputs = bench.put(Input::Received { from: GNB, stream, ppid: 60, pdu: pdu.clone() });
        assert_eq!(outputs, [Output::Event(N2Event::Ngap { gnb: GNB, stream, pdu: pdu.clone() })]);
        let outputs = bench.put(Input::Command(N2Command::Ngap { gnb: GNB, stream, pdu: pdu.clone() }));
        assert_eq!(outputs, [Output::Send { to: GNB, stream, pdu }]);
    }
}

/// TS 38.412 §7.
#[test]
fn when_the_ppid_is_not_60_then_the_message_is_discarded() {
    let mut bench = Bench::new(Limits::default());
    let pdu = Setup::new(1, 32).request();
    assert!(bench.put(Input::Received { from: GNB, stream: 0, ppid: 61, pdu }).is_empty());
    assert_eq!(bench.core.gnbs().count(), 0);
}

#[test]
fn when_ng_setup_does_not_come_then_the_association_is_aborted() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(OTHER, &Setup::new(1, 32));
    assert_eq!(bench.core.deadline(), Some(at(30)));
    bench.now = at(30);
    let outputs = bench.put(Input::Expired);
    assert!(matches!(outputs[..], [Output::Abort(GNB, _)]), "{outputs:?}");
    assert_eq!((bench.core.deadline(), bench.core.associations()), (None, 1));
}

#[test]
fn when_the_association_restarts_then_the_gnb_is_down_until_it_sets_up_again() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    assert_eq!(bench.put(Input::Restarted(GNB)), [Output::Event(N2Event::GnbDown(GNB))]);
    let outputs = bench.set_up(GNB, &Setup::new(1, 32));
    assert!(matches!(outputs[1], Output::Event(N2Event::GnbUp(_))));
}

#[test]
fn when_the_amf_is_away_then_it_is_told_what_it_must_know_on_its_return() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    bench.put(Input::AmfDetached);
    assert!(bench.receive(GNB, initial_ue_message(1)).is_empty(), "kept");
    let acknowledge = bench.answer(GNB, reset(ResetType::nG_Interface(ResetAll::reset_all)));
    assert_eq!(acknowledge.kind(), K::Successful_NGReset);
    let response = bench.answer(OTHER, Setup::new(2, 24).request());
    assert_eq!(response.kind(), K::Successful_NGSetup);
    // The first AMF has heard of the first gNB and nothing since.
    let heard = Place { life: LIFE, number: 1 };
    let outputs = bench.put(Input::AmfAttached(Some(heard)));
    let Output::Event(N2Event::Attached { gnbs, heard: from, .. }) = &outputs[0] else {
        panic!("{outputs:?}")
    };
    assert_eq!(gnbs.iter().map(|gnb| gnb.id).collect::<Vec<_>>(), [GNB, OTHER]);
    assert_eq!(*from, heard);
    let Output::Event(N2Event::Ngap { gnb: GNB, pdu, .. }) = &outputs[1] else { panic!("{outputs:?}") };
    assert_eq!(*pdu, initial_ue_message(1));
    assert_eq!(outputs[2], Output::Event(N2Event::Reset { gnb: GNB, ues: ResetScope::All }));
    assert!(matches!(&outputs[3], Output::Event(N2Event::GnbUp(gnb)) if gnb.id == OTHER));
    assert_eq!(outputs.len(), 4);
}

#[test]
fn when_a_new_amf_comes_then_it_is_told_nothing_that_was_said_before() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    bench.put(Input::AmfDetached);
    assert!(bench.receive(GNB, initial_ue_message(1)).is_empty());
    let outputs = bench.put(Input::AmfAttached(None));
    let [Output::Event(N2Event::Attached { gnbs, .. })] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(gnbs.len(), 1);
}

/// What gNBs say while no AMF is there has a bound; a reset that has no room is not forgotten.
#[test]
fn when_no_amf_comes_for_long_then_no_more_is_kept_than_has_room() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    bench.put(Input::Command(N2Command::Heard(Place { life: LIFE, number: 1 })));
    bench.put(Input::AmfDetached);
    for _ in 0..5_000 {
        assert!(bench.receive(GNB, initial_ue_message(1)).is_empty());
    }
    bench.answer(GNB, reset(ResetType::nG_Interface(ResetAll::reset_all)));
    let outputs = bench.put(Input::AmfAttached(Some(Place { life: LIFE, number: 1 })));
    let kept = |output: &&Output| matches!(output, Output::Event(N2Event::Ngap { .. }));
    assert_eq!(outputs.iter().filter(kept).count(), 4_096);
    assert_eq!(outputs.last(), Some(&Output::Event(N2Event::Reset { gnb: GNB, ues: ResetScope::All })));
}

/// TS 38.413 §8.7.3.
#[test]
fn when_the_amf_serves_something_else_then_gnbs_are_told() {
    let mut bench = Bench::new(Limits::default());
    bench.set_up(GNB, &Setup::new(1, 32));
    assert!(bench.put(Input::Command(N2Command::Configure(served()))).is_empty(), "nothing new");
    let mut other = served();
    other.relative_capacity = 1;
    let outputs = bench.put(Input::Command(N2Command::Configure(other)));
    let update = sent(&outputs[0], GNB);
    assert_eq!(update.kind(), K::Initiating_AMFConfigurationUpdate);
    assert!(update.check().expect("checks").is_empty());
}

/// TS 38.413 §8.7.3.3: not before the time to wait is over, and with the same content; §8.7.3.4: nor if there
/// is no answer.
#[test]
fn when_a_gnb_does_not_take_the_configuration_then_it_is_told_again_at_its_time() {
    let failure = |wait: Option<TimeToWait>| {
        let why = Cause::misc(CauseMisc::unspecified);
        let pdu = match wait {
            Some(wait) => build_ngap!(
                UnsuccessfulOutcome,
                AMFConfigurationUpdate,
                AMFConfigurationUpdateFailure,
                Cause(why),
                TimeToWait(wait),
            ),
            None => build_ngap!(
                UnsuccessfulOutcome,
                AMFConfigurationUpdate,
                AMFConfigurationUpdateFailure,
                Cause(why),
            ),
        };
        encode(&pdu.expect("builds"))
    };
    let changed = || {
        let mut bench = Bench::new(Limits::default());
        bench.set_up(GNB, &Setup::new(1, 32));
        let other = ServedAmf { relative_capacity: 1, ..served() };
        let outputs = bench.put(Input::Command(N2Command::Configure(other)));
        let update = sent(&outputs[0], GNB);
        (bench, update)
    };
    let expire = |bench: &mut Bench, second: u64| {
        bench.now = at(second);
        bench.put(Input::Expired)
    };
    // The second association never sets up.
    let (mut bench, update) = changed();
    bench.put(Input::Lost(OTHER, "gone".into()));
    assert!(bench.receive(GNB, failure(Some(TimeToWait::v10s))).is_empty());
    assert!(expire(&mut bench, 9).is_empty());
    let outputs = expire(&mut bench, 10);
    assert_eq!(sent(&outputs[0], GNB), update);
    let acknowledge =
        build_ngap!(SuccessfulOutcome, AMFConfigurationUpdate, AMFConfigurationUpdateAcknowledge,);
    bench.receive(GNB, encode(&acknowledge.expect("builds")));
    assert_eq!(bench.core.deadline(), None);
    // A gNB that names no time is left in peace.
    let (mut bench, _) = changed();
    bench.put(Input::Lost(OTHER, "gone".into()));
    bench.receive(GNB, failure(None));
    assert_eq!(bench.core.deadline(), None);
    // One that does not answer is told three times in all.
    let (mut bench, update) = changed();
    bench.put(Input::Lost(OTHER, "gone".into()));
    for second in [5, 10] {
        let outputs = expire(&mut bench, second);
        assert_eq!(sent(&outputs[0], GNB), update);
    }
    assert!(expire(&mut bench, 15).is_empty());
    assert_eq!(bench.core.deadline(), None);
}

/// TS 38.413 §8.7.1.4.
#[test]
fn when_no_rat_of_a_gnb_is_served_then_setup_fails() {
    let with = |rats: &[RATInformation]| {
        let setup = Setup::new(1, 32);
        let item = setup.areas().0.remove(0);
        let areas = rats.iter().map(|rat| {
            let value = encode_open_type(rat).expect("encodes").into_owned();
            let field = ProtocolExtensionField::new(179u16, Criticality::reject, value);
            let extensions = Some(ProtocolExtensionContainer(vec![field]));
            SupportedTAItem { ie_extensions: extensions, ..item.clone() }
        });
        let pdu = build_ngap!(
            InitiatingMessage,
            NGSetup,
            NGSetupRequest,
            GlobalRANNodeID(tern_ngap::convert::global_gnb_id(setup.global)),
            SupportedTAList(SupportedTAList(areas.collect())),
            DefaultPagingDRX(PagingDRX::v64),
        );
        encode(&pdu.expect("builds"))
    };
    let mut bench = Bench::new(Limits::default());
    let refused = bench.answer(GNB, with(&[RATInformation::nb_IoT, RATInformation::nR_LEO]));
    assert_eq!(refused.kind(), K::Unsuccessful_NGSetup);
    assert!(matches!(cause_of(&refused), Cause::misc(_)));
    let outputs = bench.receive(GNB, with(&[RATInformation::nb_IoT, RATInformation::unlicensed]));
    assert_eq!(sent(&outputs[0], GNB).kind(), K::Successful_NGSetup);
}

proptest! {
    /// No octets make N2 panic, and it answers one message with at most one.
    #[test]
    fn no_octets_make_n2_panic(octets: Vec<u8>, before in any::<bool>(), stream: u16) {
        let mut bench = Bench::new(Limits::default());
        if !before {
            bench.set_up(GNB, &Setup::new(1, 32));
        }
        let input = Input::Received { from: GNB, stream, ppid: 60, pdu: octets.into() };
        let outputs = bench.put(input);
        assert!(outputs.iter().filter(|output| matches!(output, Output::Send { .. })).count() <= 1);
    }

    /// The same for messages that were good once.
    #[test]
    fn no_damaged_message_makes_n2_panic(kind in 0usize..4, changes: Vec<(usize, u8)>, cut: Option<usize>) {
        let mut octets = match kind {
            0 => Setup::new(1, 32).request().to_vec(),
            1 => initial_ue_message(7).to_vec(),
            2 => reset(ResetType::nG_Interface(ResetAll::reset_all)).to_vec(),
            _ => {
                let item = UEAssociatedLogicalNGConnectionItem::new(Some(AMFUENGAPID(1)), None, None);
                reset(ResetType::partOfNG_Interface(UEAssociatedLogicalNGConnectionList(vec![item]))).to_vec()
            }
        };
        let length = octets.len();
        for (place, value) in changes {
            octets[place % length] ^= value;
        }
        if let Some(cut) = cut {
            octets.truncate(cut % length);
        }
        let mut bench = Bench::new(Limits::default());
        bench.set_up(GNB, &Setup::new(1, 32));
        bench.receive(GNB, octets.into());
    }
}
