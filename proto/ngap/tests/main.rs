//! Our messages against vectors of another encoder, against pycrate itself, and against noise.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::transfer::{
    GtpTunnel, PathSwitchRequest as Moved, QosFlow, SessionType, SetupRequest, SetupResponse,
    encode_path_switch_acknowledge, encode_path_switch_setup_failed, encode_path_switch_unsuccessful,
};
use tern_ngap::{build_ngap, cause, convert, extract_ngap_ies};
use tern_types::{
    Ambr, AmfId, Arp, BitRate, GlobalGnbId, GnbId, Guami, PlmnId, PreemptionCapability,
    PreemptionVulnerability, Qfi, Snssai, Tac, Tai,
};

/// Encoded by pycrate 0.8.1: the first and third have an IE of no release, the last a cause of a later one.
const VECTORS: [(&str, &str); 4] = [
    (
        "NGSetupRequest",
        "00150042000005001b00080000f110000004080052400c0480676e622d7269672d30310066001200000000010000f1100001100801020300100015400140fde74004deadbeef",
    ),
    (
        "InitialUEMessage",
        "000f404c00000500550005c0ffffffff0026001b1a7e004179000d0100f110000000000000000010022e04f0f0f0f0007900135000f110000000010000f110000001e0010203005a4001180070400100",
    ),
    (
        "InitialUEMessage",
        "000f403100000400550002000100260004037e0041007900174000f110000000010400f1100000010000fde640020102005a400118",
    ),
    ("UEContextReleaseRequest", "002a4015000003000a0002002a005500020007000f400211a0"),
];

/// A message with an unknown IE is read, its known IEs are there, and it goes on by criticality.
#[test]
fn vectors_of_another_encoder_are_read() {
    for (name, vector) in VECTORS {
        let octets = hex::decode(vector).unwrap();
        let pdu = tern_ngap::decode(&octets).unwrap();
        assert!(pdu.to_string().starts_with(name), "{pdu}");
        let accepted = matches!(tern_ngap::judge(&pdu).unwrap(), tern_ngap::Verdict::Accept);
        assert!(accepted, "{name}: {:?}", pdu.check().unwrap());
        assert_eq!(pdu.encode().unwrap().to_vec(), octets);
    }
}

#[test]
fn when_an_unknown_ie_must_be_understood_then_the_message_is_rejected() {
    // IE 64999 of the first vector, with criticality reject instead of ignore.
    let reject = VECTORS[0].1.replace("fde740", "fde700");
    let pdu = tern_ngap::decode(&hex::decode(reject).unwrap()).unwrap();
    assert!(matches!(tern_ngap::judge(&pdu).unwrap(), tern_ngap::Verdict::Reject(_)));
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let plmn_id = PlmnId::new("310", "410").unwrap();
    let tai = Tai { plmn_id, tac: Tac::new(7).unwrap() };
    let guami = Guami { plmn_id, amf_id: AmfId::new(2, 1, 3) };
    let slices = [Snssai::new(1, None), Snssai::new(2, Some(0x01_0203))];
    let gnb = GlobalGnbId { plmn_id, gnb_id: GnbId::new(0x2a_5555, 22).unwrap() };
    let support = || {
        SliceSupportList(slices.iter().map(|&s| SliceSupportItem::new(convert::snssai(s), None)).collect())
    };
    let area = SupportedTAItem::new(
        TAC(tai.tac.to_octets()),
        BroadcastPLMNList(vec![BroadcastPLMNItem::new(convert::plmn(plmn_id), support(), None)]),
        None,
    );
    let location = convert::NrLocation { tai, cell_plmn: plmn_id, nr_cell_id: 0x5_4321_0001 };
    let transfer = SetupRequest {
        ambr: Some(Ambr { uplink: BitRate::from_bps(5_000_000), downlink: BitRate::from_bps(9_000_000) }),
        uplink: GtpTunnel::new(0xcafe, "192.0.2.7".parse().unwrap()),
        session_type: SessionType::Ipv4,
        flows: vec![QosFlow {
            qfi: Qfi::new(5).unwrap(),
            five_qi: Some(7),
            arp: Arp {
                priority_level: 3,
                preempt_cap: PreemptionCapability::MayPreempt,
                preempt_vuln: PreemptionVulnerability::Preemptable,
            },
            priority_level: Some(70),
            gbr: None,
        }],
    };
    let response = SetupResponse {
        downlink: GtpTunnel { ipv6: Some("2001:db8::1".parse().unwrap()), ..transfer.uplink },
        flows: vec![Qfi::new(5).unwrap()],
        failed: Vec::new(),
    };
    let setup = PDUSessionResourceSetupItemSUReq::new(
        PDUSessionID(1),
        None,
        convert::snssai(slices[1]),
        transfer.encode().unwrap().to_vec().into(),
        None,
    );
    let done = PDUSessionResourceSetupItemSURes::new(
        PDUSessionID(1),
        response.encode().unwrap().to_vec().into(),
        None,
    );
    let capability = SecurityCapability::from_nas(&[0xf0, 0x70]);
    let octets = |transfer: Result<bytes::Bytes, tern_ngap::EncodeError>| transfer.unwrap().to_vec();
    let why = cause::radio_network(CauseRadioNetwork::radio_resources_not_available);
    let why = tern_ngap::NgapCause::of(&why);
    let moved = Moved { downlink: transfer.uplink, flows: vec![Qfi::new(5).unwrap()] };
    let to_switch =
        PDUSessionResourceToBeSwitchedDLItem::new(PDUSessionID(1), octets(moved.encode()).into(), None);
    let not_set_up = PDUSessionResourceFailedToSetupItemPSReq::new(
        PDUSessionID(2),
        octets(encode_path_switch_setup_failed(why)).into(),
        None,
    );
    let switched = PDUSessionResourceSwitchedItem::new(
        PDUSessionID(1),
        octets(encode_path_switch_acknowledge(Some(transfer.uplink))).into(),
        None,
    );
    let unsuccessful = octets(encode_path_switch_unsuccessful(why));
    let released =
        PDUSessionResourceReleasedItemPSAck::new(PDUSessionID(2), unsuccessful.clone().into(), None);
    let failed = PDUSessionResourceReleasedItemPSFail::new(PDUSessionID(2), unsuccessful.into(), None);
    let pdus = [
        (
            "NGSetupRequest",
            build_ngap!(
                InitiatingMessage,
                NGSetup,
                NGSetupRequest,
                GlobalRANNodeID(convert::global_gnb_id(gnb)),
                RANNodeName("gnb one"),
                SupportedTAList(SupportedTAList(vec![area])),
                DefaultPagingDRX(PagingDRX::v128),
            ),
        ),
        (
            "InitialUEMessage",
            build_ngap!(
                InitiatingMessage,
                InitialUEMessage,
                InitialUEMessage,
                RAN_UE_NGAP_ID(u32::MAX),
                NAS_PDU(vec![0x7e, 0, 0x41]),
                UserLocationInformation(convert::user_location(location)),
                RRCEstablishmentCause(RRCEstablishmentCause::mo_Signalling),
                FiveG_S_TMSI(convert::s_tmsi(tern_types::STmsi5g { amf_set: 1, amf_pointer: 3, tmsi: 9 })),
                UEContextRequest(UEContextRequest::requested),
            ),
        ),
        (
            "InitialContextSetupRequest",
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(1u64 << 39),
                RAN_UE_NGAP_ID(7u32),
                GUAMI(convert::guami(guami)),
                AllowedNSSAI(convert::allowed_nssai(&slices)),
                UESecurityCapabilities(capability.to_ngap()),
                SecurityKey([0x5a; 32]),
                NAS_PDU(vec![0x7e, 2, 1, 2, 3, 4, 5, 6]),
            ),
        ),
        (
            "PDUSessionResourceSetupRequest",
            build_ngap!(
                InitiatingMessage,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupRequest,
                AMF_UE_NGAP_ID(1u64),
                RAN_UE_NGAP_ID(7u32),
                PDUSessionResourceSetupListSUReq(PDUSessionResourceSetupListSUReq(vec![setup])),
                UEAggregateMaximumBitRate(convert::ue_ambr(transfer.ambr.unwrap())),
            ),
        ),
        (
            "PDUSessionResourceSetupResponse",
            build_ngap!(
                SuccessfulOutcome,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupResponse,
                AMF_UE_NGAP_ID(1u64),
                RAN_UE_NGAP_ID(7u32),
                PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(vec![done])),
            ),
        ),
        (
            "UEContextReleaseCommand",
            build_ngap!(
                InitiatingMessage,
                UEContextRelease,
                UEContextReleaseCommand,
                UE_NGAP_IDs(UENGAPIDs::uE_NGAP_ID_pair(UENGAPIDPair::new(
                    AMFUENGAPID(1),
                    RANUENGAPID(7),
                    None
                ))),
                Cause(cause::nas(CauseNas::deregister)),
            ),
        ),
        (
            "PathSwitchRequest",
            build_ngap!(
                InitiatingMessage,
                PathSwitchRequest,
                PathSwitchRequest,
                RAN_UE_NGAP_ID(7u32),
                SourceAMF_UE_NGAP_ID(1u64 << 36),
                UserLocationInformation(convert::user_location(location)),
                UESecurityCapabilities(capability.to_ngap()),
                PDUSessionResourceToBeSwitchedDLList(PDUSessionResourceToBeSwitchedDLList(vec![to_switch])),
                PDUSessionResourceFailedToSetupListPSReq(PDUSessionResourceFailedToSetupListPSReq(vec![
                    not_set_up
                ])),
            ),
        ),
        (
            "PathSwitchRequestAcknowledge",
            build_ngap!(
                SuccessfulOutcome,
                PathSwitchRequest,
                PathSwitchRequestAcknowledge,
                AMF_UE_NGAP_ID(1u64 << 36),
                RAN_UE_NGAP_ID(7u32),
                UESecurityCapabilities(capability.to_ngap()),
                SecurityContext(SecurityContext::new(NextHopChainingCount(2), [0xa5; 32].into(), None)),
                PDUSessionResourceSwitchedList(PDUSessionResourceSwitchedList(vec![switched])),
                PDUSessionResourceReleasedListPSAck(PDUSessionResourceReleasedListPSAck(vec![released])),
                AllowedNSSAI(convert::allowed_nssai(&slices)),
            ),
        ),
        (
            "PathSwitchRequestFailure",
            build_ngap!(
                UnsuccessfulOutcome,
                PathSwitchRequest,
                PathSwitchRequestFailure,
                AMF_UE_NGAP_ID(1u64 << 36),
                RAN_UE_NGAP_ID(7u32),
                PDUSessionResourceReleasedListPSFail(PDUSessionResourceReleasedListPSFail(vec![failed])),
            ),
        ),
    ];
    pdus.into_iter().map(|(name, pdu)| (name, pdu.unwrap().encode().unwrap().to_vec())).collect()
}

#[test]
fn our_messages_deviate_from_nothing() {
    for (name, octets) in samples() {
        let pdu = tern_ngap::decode(&octets).unwrap();
        assert_eq!(pdu.check().unwrap(), [], "{name}");
    }
}

#[test]
fn macros_work_through_this_crate() {
    fn ran_id(octets: &[u8]) -> Result<u32, tern_ngap::DecodeError> {
        let pdu = tern_ngap::decode_borrowed(octets)?;
        extract_ngap_ies!(pdu, InitialUEMessage, req ran_id: u32 = RAN_UE_NGAP_ID(id));
        Ok(ran_id)
    }
    assert_eq!(ran_id(&samples()[1].1).unwrap(), u32::MAX);
    assert!(ran_id(&samples()[0].1).is_err());
}

const PYCRATE: &str = r"
import sys, logging
logging.disable(logging.CRITICAL)
try:
    from pycrate_asn1dir import NGAP
except ImportError:
    print('missing'); sys.exit(0)
pdu = NGAP.NGAP_PDU_Descriptions.NGAP_PDU
for line in sys.stdin:
    pdu.from_aper(bytes.fromhex(line.strip()))
    value = pdu.get_val()
    pdu.set_val(value)
    print(pdu.to_aper().hex())
";

/// The independent oracle: pycrate decodes each message and encodes its value to the same octets.
#[test]
fn pycrate_encodes_our_messages_to_the_same_octets() {
    let samples = samples();
    let lines: Vec<String> = samples.iter().map(|(_, octets)| hex::encode(octets)).collect();
    let Some(answer) = python(PYCRATE, &lines.join("\n")) else { return };
    let answers: Vec<&str> = answer.lines().collect();
    assert_eq!(answers.len(), lines.len(), "{answer}");
    for ((name, _), (ours, theirs)) in samples.iter().zip(lines.iter().zip(answers)) {
        assert_eq!(ours, theirs, "{name}");
    }
}

/// Runs a script in the python that `TERN_PYTHON` names, else python3; `None`, said in a line that
/// `tests/skips.txt` must know, where python or pycrate is missing.
fn python(script: &str, input: &str) -> Option<String> {
    let skip = |reason: &str| {
        println!("SKIPPED tern-ngap pycrate_encodes_our_messages_to_the_same_octets: {reason}");
        None
    };
    let python = std::env::var_os("TERN_PYTHON").unwrap_or_else(|| "python3".into());
    let child =
        Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else { return skip("there is no python3") };
    // One that cannot run the script has gone before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    if answer.trim() == "missing" {
        return skip("pycrate is not installed");
    }
    assert!(output.status.success(), "the oracle ends with {}", output.status);
    Some(answer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(pdu) = tern_ngap::decode(&octets) {
            let _ = tern_ngap::judge(&pdu);
        }
        let _ = SetupRequest::decode(&octets);
        let _ = SetupResponse::decode(&octets);
    }

    #[test]
    fn no_changed_message_panics(which in 0usize..9, at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let (_, mut octets) = samples().swap_remove(which);
        let at = at.index(octets.len());
        octets[at] ^= with;
        if let Ok(pdu) = tern_ngap::decode(&octets) {
            let _ = tern_ngap::judge(&pdu);
            let _ = pdu.to_string();
        }
    }
}
