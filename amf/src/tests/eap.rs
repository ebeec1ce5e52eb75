//! EAP based primary authentication: TS 24.501 §5.4.1.2.

use tern_crypto::{AMF_5G, Autn, EapAkaPrimeKeys, EapAkaPrimeVector, k_amf, k_seaf};
use tern_eap::{AkaPrime, Attributes, Body, Code, Packet, Subtype};
use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::ngap::{Cause, CauseNas};
use tern_sbi::common::{Base64, LinksValue, Secret};
use tern_sbi::nausf_auth::*;
use tern_sbi::{Operation, Response};

use super::rig::*;
use crate::{Config, Reauthentication};

/// An AUSF that is as simple as can be: a challenge, and success for whoever has the right MAC.
pub(super) struct Ausf {
    keys: EapAkaPrimeKeys,
    /// The request that awaits its response.
    request: Vec<u8>,
    /// Responses so far.
    pub heard: Vec<Vec<u8>>,
}

impl Ausf {
    pub(super) fn begin(rig: &mut Rig, name: &str) -> UeAuthenticationCtx {
        rig.sqn = rig.sqn.next().unwrap();
        let functions = tern_crypto::AuthenticationFunctions::milenage(&K, &OPC);
        let vector = EapAkaPrimeVector::generate(&functions, rig.sqn, AMF_5G, [9; 16], name);
        let keys = EapAkaPrimeKeys::derive(&vector.ck_prime, &vector.ik_prime, rig.authenticated.imsi());
        let attributes = Attributes {
            rand: Some(vector.rand),
            autn: Some(vector.autn.0),
            kdfs: vec![tern_eap::KDF_CK_PRIME],
            network_name: Some(name.to_owned()),
            ..Attributes::default()
        };
        let request = Packet::aka_prime(Code::Request, 7, Subtype::Challenge, attributes);
        let request = request.encode(Some(&keys.k_aut));
        rig.eap_server = Some(Self { keys, request: request.clone(), heard: Vec::new() });
        let uri = "http://127.0.0.13:8080/nausf-auth/v1/ue-authentications/1/eap-session".to_owned();
        let links = [(LINK_EAP_SESSION.to_owned(), LinksValue::to(uri))].into();
        UeAuthenticationCtx::new(AuthType::EapAkaPrime, AuthData::EapPayload(Base64(request)), links)
    }

    pub(super) fn judge(rig: &mut Rig, operation: &EapAuthMethod, name: &str) -> EapSession {
        let server = rig.eap_server.as_mut().expect("a session");
        let octets = &operation.session.eap_payload.0;
        server.heard.push(octets.clone());
        let id = server.request[1];
        assert_eq!(tern_eap::header(octets), Ok((Code::Response, id)));
        let result = |code| Base64(Packet::result(code, id).encode(None));
        let subtype = match Packet::decode(octets)
            .map(|packet| (packet.is_authentic(octets, &server.keys.k_aut), packet.body))
        {
            Ok((true, Body::AkaPrime(_))) => None,
            Ok((false, Body::AkaPrime(aka))) => Some(aka.subtype),
            _ => Some(Subtype::ClientError),
        };
        match subtype {
            None => EapSession {
                auth_result: Some(AuthResult::AuthenticationSuccess),
                k_seaf: Some(Secret::new(*k_seaf(&server.keys.k_ausf(), name).as_bytes())),
                supi: Some(rig.authenticated.clone()),
                ..EapSession::new(result(Code::Success))
            },
            Some(Subtype::Challenge) => {
                let attributes = Attributes { notification: Some(16384), ..Attributes::default() };
                let request = Packet::aka_prime(Code::Request, id + 1, Subtype::Notification, attributes);
                server.request = request.encode(None);
                let auth_result = Some(AuthResult::AuthenticationOngoing);
                EapSession { auth_result, ..EapSession::new(Base64(server.request.clone())) }
            }
            Some(_) => {
                let auth_result = Some(AuthResult::AuthenticationFailure);
                EapSession { auth_result, ..EapSession::new(result(Code::Failure)) }
            }
        }
    }
}

fn with_eap(config: Config) -> Rig {
    let mut rig = Rig::with(config);
    rig.eap = true;
    rig
}

fn challenged(rig: &mut Rig, ue: &mut Ue) -> (bytes::Bytes, Box<NasAuthenticationRequest>) {
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    rig.serve();
    (request, heard_request(rig, ue))
}

fn heard_request(rig: &mut Rig, ue: &mut Ue) -> Box<NasAuthenticationRequest> {
    let Nas5gmmMessage::AuthenticationRequest(request) = ue.hear(rig) else { panic!("no challenge") };
    assert_eq!(&request.abba.value[..], [0, 0]);
    assert!(request.authentication_parameter_rand.is_none());
    assert!(request.authentication_parameter_autn.is_none());
    request
}

fn packet(request: &NasAuthenticationRequest) -> Vec<u8> {
    request.eap_message.as_ref().expect("an EAP message").value.to_vec()
}

/// The USIM's answer; K_AMF is the UE's own.
fn answer(ue: &mut Ue, request: &NasAuthenticationRequest) -> Vec<u8> {
    let octets = packet(request);
    let read = Packet::decode(&octets).unwrap();
    let Body::AkaPrime(AkaPrime { attributes, .. }) = &read.body else { panic!("{read:?}") };
    let name = ue.tai.plmn_id.serving_network_name();
    let autn = Autn(attributes.autn.unwrap());
    let answer = ue.usim.authenticate_eap(&attributes.rand.unwrap(), &autn, &name).expect("accepted");
    let keys = EapAkaPrimeKeys::derive(&answer.ck_prime, &answer.ik_prime, ue.supi.imsi());
    ue.k_amf = Some(k_amf(&k_seaf(&keys.k_ausf(), &name), ue.supi.imsi(), &[0, 0]));
    let attributes = Attributes { res: Some(answer.res.to_vec()), ..Attributes::default() };
    Packet::aka_prime(Code::Response, octets[1], Subtype::Challenge, attributes).encode(Some(&keys.k_aut))
}

fn refusal(request: &NasAuthenticationRequest) -> Vec<u8> {
    let id = packet(request)[1];
    let reject = Subtype::AuthenticationReject;
    Packet::aka_prime(Code::Response, id, reject, Attributes::default()).encode(None)
}

fn response(eap: &[u8]) -> NasAuthenticationResponse {
    NasAuthenticationResponse::new().with_eap_message(NasEapMessage::new(eap.to_vec()))
}

fn say(rig: &mut Rig, ue: &mut Ue, eap: &[u8]) {
    ue.say(rig, response(eap));
    rig.serve();
}

#[test]
fn when_the_response_is_right_then_eap_success_comes_with_the_security_mode_command() {
    let mut rig = with_eap(Config::default());
    let mut ue = Ue::new(1);
    let (whole, request) = challenged(&mut rig, &mut ue);
    let octets = answer(&mut ue, &request);
    say(&mut rig, &mut ue, &octets);
    assert_eq!(rig.eap_server.as_ref().unwrap().heard, [octets]);
    let Nas5gmmMessage::SecurityModeCommand(command) = ue.hear(&mut rig) else { panic!("no command") };
    assert_eq!(&command.eap_message.as_ref().expect("EAP-Success").value[..], [3, 7, 0, 4]);
    assert_eq!(&command.abba.as_ref().expect("ABBA").value[..], [0, 0]);
    assert_eq!(nas::ngksi_of(&command.ngksi), nas::ngksi_of(&request.ngksi));
    let complete = ue.security_mode_complete(&whole);
    let octets = ue.protect(&complete, HeaderType::CipheredNewContext);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
}

#[test]
fn when_the_ue_refuses_then_eap_failure_comes_with_authentication_reject() {
    let mut rig = with_eap(Config::default());
    let mut ue = Ue::new(1);
    let (_, request) = challenged(&mut rig, &mut ue);
    say(&mut rig, &mut ue, &refusal(&request));
    let Nas5gmmMessage::AuthenticationReject(reject) = ue.hear(&mut rig) else { panic!("no reject") };
    assert_eq!(&reject.eap_message.as_ref().expect("EAP-Failure").value[..], [4, 7, 0, 4]);
    assert_eq!(rig.released(), Cause::nas(CauseNas::authentication_failure));
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_the_ausf_has_another_request_then_it_goes_to_the_ue() {
    let mut rig = with_eap(Config::default());
    let mut ue = Ue::new(1);
    let (_, request) = challenged(&mut rig, &mut ue);
    let mut wrong = answer(&mut ue, &request);
    *wrong.last_mut().unwrap() ^= 1;
    say(&mut rig, &mut ue, &wrong);
    let notification = heard_request(&mut rig, &mut ue);
    assert_eq!(packet(&notification)[..], [1, 8, 0, 12, 50, 12, 0, 0, 12, 1, 0x40, 0]);
    assert_eq!(notification.ngksi, request.ngksi);
    say(&mut rig, &mut ue, &refusal(&notification));
    let Nas5gmmMessage::AuthenticationReject(reject) = ue.hear(&mut rig) else { panic!("no reject") };
    assert_eq!(&reject.eap_message.as_ref().expect("EAP-Failure").value[..], [4, 8, 0, 4]);
}

/// With a 5G-GUTI the identity may be to blame.
#[test]
fn when_a_failure_follows_a_guti_then_authentication_result_ends_the_session_and_the_suci_is_asked_for() {
    let mut config = Config::default();
    config.security.reauthentication = Reauthentication::Always;
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    rig.eap = true;
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let request = heard_request(&mut rig, &mut ue);
    say(&mut rig, &mut ue, &refusal(&request));
    let Nas5gmmMessage::AuthenticationResult(result) = ue.hear(&mut rig) else { panic!("no result") };
    assert_eq!(&result.eap_message.value[..], [4, 7, 0, 4]);
    assert_eq!(nas::ngksi_of(&result.ngksi), nas::ngksi_of(&request.ngksi));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
    ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
    rig.serve();
    let request = heard_request(&mut rig, &mut ue);
    let octets = answer(&mut ue, &request);
    say(&mut rig, &mut ue, &octets);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::SecurityModeCommand(_)));
}

/// RFC 3748 §4.1: T3560 has the request sent again, octet for octet, and the fifth expiry aborts.
#[test]
fn when_it_is_no_response_to_the_request_then_it_is_discarded_and_t3560_goes_on() {
    let mut rig = with_eap(Config::default());
    let mut ue = Ue::new(1);
    let (_, request) = challenged(&mut rig, &mut ue);
    let right = answer(&mut ue, &request);
    let mut other = right.clone();
    other[1] += 1;
    let cut = &right[..right.len() - 1];
    for eap in [&other[..], cut, &packet(&request), &[3, 7, 0, 4]] {
        say(&mut rig, &mut ue, eap);
        assert!(rig.downlink.is_empty(), "{eap:?}");
    }
    ue.say(&mut rig, NasAuthenticationResponse::new());
    assert_eq!(rig.count("amf.gmm.eap_discarded"), 5);
    assert_eq!(rig.eap_server.as_ref().unwrap().heard.len(), 0);
    for _ in 0..4 {
        rig.expire();
        assert_eq!(heard_request(&mut rig, &mut ue), request);
    }
    rig.expire();
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_the_ngksi_is_in_use_then_the_same_eap_request_comes_under_another() {
    let mut rig = with_eap(Config::default());
    let mut ue = Ue::new(1);
    let (_, first) = challenged(&mut rig, &mut ue);
    let in_use = NasFGmmCause::from_cause(GmmCause::NgKsiAlreadyInUse);
    ue.say(&mut rig, NasAuthenticationFailure::new(in_use));
    let second = heard_request(&mut rig, &mut ue);
    assert_ne!(nas::ngksi_of(&first.ngksi), nas::ngksi_of(&second.ngksi));
    assert_eq!(packet(&first), packet(&second));
    assert!(rig.requests.is_empty());
}

/// Nothing of the home network that does not hold together makes a UE authenticated.
#[test]
fn when_the_ausfs_answer_makes_no_sense_then_the_registration_is_rejected() {
    let success = |change: fn(&mut EapSession)| {
        let mut session = EapSession {
            auth_result: Some(AuthResult::AuthenticationSuccess),
            k_seaf: Some(Secret::new([1; 32])),
            supi: Some(supi()),
            ..EapSession::new(Base64(vec![3, 7, 0, 4]))
        };
        change(&mut session);
        EapAuthMethod::to_reply(Ok(Response::ok(session)))
    };
    let replies = [
        success(|s| s.k_seaf = None),
        success(|s| s.supi = None),
        success(|s| s.auth_result = None),
        success(|s| s.eap_payload = Base64(vec![4, 7, 0, 4])),
        success(|s| s.eap_payload = Base64(vec![1])),
        success(|s| s.auth_result = Some(AuthResult::AuthenticationFailure)),
        success(|s| s.auth_result = Some(AuthResult::AuthenticationOngoing)),
        problem(404, "CONTEXT_NOT_FOUND"),
    ];
    for reply in replies {
        let mut rig = with_eap(Config::default());
        let mut ue = Ue::new(1);
        let (_, request) = challenged(&mut rig, &mut ue);
        let octets = answer(&mut ue, &request);
        rig.refusals.insert("EapAuthMethod", reply);
        say(&mut rig, &mut ue, &octets);
        let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!("no reject") };
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
        rig.released();
        assert_eq!(rig.amf.ue_count(), 0);
    }
}
