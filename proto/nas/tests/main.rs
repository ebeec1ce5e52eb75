//! Our messages against pycrate, and the decoder against noise.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use tern_nas::nas_5gs::*;
use tern_nas::session::{self, PcoAnswer, PcoRequest};
use tern_nas::{MobileIdentity, NgKsi, registration};
use tern_types::{Ambr, AmfId, BitRate, Dnn, Guami, Guti5g, Imei, PlmnId, Qfi, Snssai, Tac, Tai};

fn gmm(message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
    Nas5gsMessage::new_5gmm(message).encode().unwrap()
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let plmn_id = PlmnId::new("310", "410").unwrap();
    let slices = [Snssai::new(1, None), Snssai::new(2, Some(0x01_0203))];
    let guti = Guti5g { guami: Guami { plmn_id, amf_id: AmfId::new(2, 1, 3) }, tmsi: 0xdead_beef };
    let suci = "suci-0-310-410-0-0-0-000000001".parse().unwrap();
    let identity = |identity: MobileIdentity| identity.to_ie().unwrap();
    let ksi = registration::ngksi(NgKsi::new(1));
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration)
        .with_follow_on_request(true);
    let request =
        NasRegistrationRequest::new(kind, registration::ngksi(None), identity(MobileIdentity::Suci(suci)))
            .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xf0, 0x70]))
            .with_requested_nssai(registration::nssai(&slices).unwrap());
    let result = NasFGsRegistrationResult::from_result(RegistrationResult::ThreeGppAccess);
    let tais = [Tai { plmn_id, tac: Tac::new(7).unwrap() }, Tai { plmn_id, tac: Tac::new(9).unwrap() }];
    let accept = NasRegistrationAccept::new(result)
        .with_fg_guti(identity(MobileIdentity::Guti(guti)))
        .with_tai_list(registration::tai_list(&tais).unwrap())
        .with_allowed_nssai(registration::nssai(&slices).unwrap())
        .with_t3512_value(registration::t3512(std::time::Duration::from_secs(3240)));
    let algorithms =
        NasSecurityAlgorithms::from_algorithms(CipheringAlgorithm::NEA2, IntegrityAlgorithm::NIA2);
    let command =
        NasSecurityModeCommand::new(algorithms, ksi, NasUeSecurityCapability::new(vec![0xf0, 0x70]))
            .with_imeisv_request(NasImeisvRequest::new(1))
            .with_additional_5g_security_information(NasAdditional5gSecurityInformation::from_flags(
                true, false,
            ));
    let imeisv = Imei::from_digits("4370816125816151").unwrap();
    let complete = NasSecurityModeComplete::new()
        .with_imeisv(identity(MobileIdentity::Imei(imeisv)))
        .with_nas_message_container(NasMessageContainer::new(gmm(request.clone())));
    let challenge = NasAuthenticationRequest::new(ksi, NasAbba::new(vec![0, 0]))
        .with_authentication_parameter_rand(NasAuthenticationParameterRand::from_rand([1; 16]))
        .with_authentication_parameter_autn(NasAuthenticationParameterAutn::from_autn([2; 16]));
    // EAP-Request/AKA'-Notification, its response, and how a session ends.
    let eap = |octets: &[u8]| NasEapMessage::new(octets.to_vec());
    let eap_request = NasAuthenticationRequest::new(ksi, NasAbba::new(vec![0, 0]))
        .with_eap_message(eap(&[1, 8, 0, 12, 50, 12, 0, 0, 12, 1, 0x40, 0]));
    let eap_response = NasAuthenticationResponse::new().with_eap_message(eap(&[2, 8, 0, 8, 50, 12, 0, 0]));
    let eap_result = NasAuthenticationResult::new(ksi, eap(&[4, 8, 0, 4]));
    let eap_reject = NasAuthenticationReject::new().with_eap_message(eap(&[4, 8, 0, 4]));
    let eap_command =
        command.clone().with_eap_message(eap(&[3, 7, 0, 4])).with_abba(NasAbba::new(vec![0, 0]));
    let qfi = Qfi::new(1).unwrap();
    let rate = BitRate::from_bps(1_000_000_000);
    let established = NasPduSessionEstablishmentAccept::new(
        NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4),
        NasSscMode::from_mode(SscModeValue::Ssc1),
        session::default_rule(qfi).unwrap(),
        session::session_ambr(Ambr { uplink: rate, downlink: rate }),
    )
    .with_fgsm_cause(NasFGsmCause::from_cause(GsmCause::PduSessionTypeIpv4OnlyAllowed))
    .with_pdu_address(NasPduAddress::from_ipv4([10, 45, 0, 2]))
    .with_s_nssai(registration::snssai(slices[1]))
    .with_authorized_qos_flow_descriptions(session::flow_descriptions(&[(qfi, 9)]).unwrap())
    .with_extended_protocol_configuration_options(
        session::pco_answer(&PcoAnswer {
            dns_ipv4: vec![Ipv4Addr::new(9, 9, 9, 9)],
            dns_ipv6: vec![std::net::Ipv6Addr::LOCALHOST],
            mtu_ipv4: Some(1400),
        })
        .unwrap()
        .unwrap(),
    )
    .with_dnn(session::dnn(&Dnn::new("internet").unwrap()));
    let of_type = |kind, address| {
        let (rule, ambr) = (session::default_rule(qfi).unwrap(), Ambr { uplink: rate, downlink: rate });
        NasPduSessionEstablishmentAccept::new(
            NasPduSessionType::from_session_type(kind),
            NasSscMode::from_mode(SscModeValue::Ssc1),
            rule,
            session::session_ambr(ambr),
        )
        .with_pdu_address(address)
        .with_s_nssai(registration::snssai(slices[1]))
        .with_dnn(session::dnn(&Dnn::new("internet").unwrap()))
    };
    let interface = [0, 0, 0, 0, 0, 0, 0, 2];
    let ipv6 = NasPduAddress::from_ipv6_iid(interface);
    let ipv4v6 = NasPduAddress::from_ipv4v6(interface, [10, 45, 0, 2]);
    let asked = NasPduSessionEstablishmentRequest::new(NasIntegrityProtectionMaximumDataRate::from_rates(
        MaxDataRate::FullRate,
        MaxDataRate::FullRate,
    ))
    .with_pdu_session_type(NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4v6))
    .with_extended_protocol_configuration_options(
        session::pco_request(PcoRequest { dns_ipv4: true, dns_ipv6: true, mtu_ipv4: true }).unwrap(),
    );
    let gsm = |message: Nas5gsmMessage| Nas5gsMessage::new_5gsm(message, 5, 1).encode().unwrap();
    let container = NasPayloadContainer::new(gsm(asked.clone().into()));
    let transport = NasUlNasTransport::new(
        NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
        container,
    )
    .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(5))
    .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest))
    .with_s_nssai(registration::snssai(slices[0]))
    .with_dnn(session::dnn(&Dnn::new("internet").unwrap()));
    vec![
        ("RegistrationRequest", gmm(request)),
        ("RegistrationAccept", gmm(accept)),
        ("SecurityModeCommand", gmm(command)),
        ("SecurityModeComplete", gmm(complete)),
        ("AuthenticationRequest", gmm(challenge)),
        ("AuthenticationRequest with EAP", gmm(eap_request)),
        ("AuthenticationResponse with EAP", gmm(eap_response)),
        ("AuthenticationResult", gmm(eap_result)),
        ("AuthenticationReject with EAP", gmm(eap_reject)),
        ("SecurityModeCommand with EAP", gmm(eap_command)),
        ("UlNasTransport", gmm(transport)),
        ("PduSessionEstablishmentAccept", gsm(established.into())),
        ("PduSessionEstablishmentAccept of IPv6", gsm(of_type(PduSessionTypeValue::Ipv6, ipv6).into())),
        ("PduSessionEstablishmentAccept of IPv4v6", gsm(of_type(PduSessionTypeValue::Ipv4v6, ipv4v6).into())),
        ("PduSessionEstablishmentRequest", gsm(asked.into())),
    ]
}

#[test]
fn our_messages_have_no_findings() {
    for (name, octets) in samples() {
        let message = tern_nas::decode(&octets, Direction::Downlink).unwrap();
        let findings: Vec<String> = message.validate().iter().map(ToString::to_string).collect();
        assert_eq!(findings, Vec::<String>::new(), "{name}");
        assert_eq!(tern_nas::encode(&message).unwrap(), octets, "{name}");
    }
}

const PYCRATE: &str = r"
import sys
try:
    from pycrate_mobile.NAS import parse_NAS5G
except ImportError:
    try:
        from pycrate_mobile.NAS5G import parse_NAS5G
    except ImportError:
        print('missing'); sys.exit(0)
for line in sys.stdin:
    message, error = parse_NAS5G(bytes.fromhex(line.strip()))
    if error:
        print('error', error); continue
    value = message.get_val()
    message.set_val(value)
    print(message.to_bytes().hex())
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
        println!("SKIPPED tern-nas pycrate_encodes_our_messages_to_the_same_octets: {reason}");
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

fn read_everything(octets: &[u8]) {
    let Ok(message) = tern_nas::decode(octets, Direction::Uplink) else { return };
    let _ = message.validate();
    match message {
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationRequest(request)) => {
            let _ = MobileIdentity::of(&request.fgs_mobile_identity);
            let _ = request.requested_nssai.as_ref().map(registration::nssai_of);
        }
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationAccept(accept)) => {
            let _ = accept.tai_list.as_ref().map(registration::tais);
        }
        Nas5gsMessage::Gsm(_, Nas5gsmMessage::PduSessionEstablishmentAccept(accept)) => {
            let flows = accept.authorized_qos_flow_descriptions.as_ref();
            let _ = session::check_qos(&accept.authorized_qos_rules, flows);
            let _ = session::session_ambr_of(&accept.session_ambr);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_octets_panic(mut octets in proptest::collection::vec(any::<u8>(), 0..120), gmm in any::<bool>()) {
        read_everything(&octets);
        if octets.len() > 3 {
            octets[0] = if gmm { 0x7e } else { 0x2e };
            octets[1] = 0;
            read_everything(&octets);
        }
    }

    #[test]
    fn no_changed_message_panics(which in 0usize..15, at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let (_, mut octets) = samples().swap_remove(which);
        let at = at.index(octets.len());
        octets[at] ^= with;
        read_everything(&octets);
    }
}
