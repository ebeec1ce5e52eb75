//! Nausf_UEAuthentication: EAP-AKA', with a peer of its own.

use std::time::Duration;

use tern_crypto::{Autn, EapAkaPrimeKeys, SqnArray, Usim, UsimRefusal, k_seaf};
use tern_eap::{AkaPrime, Attributes, Body, Code, Packet, Subtype};
use tern_sbi::common::{Base64, Secret};
use tern_sbi::nausf_auth::*;
use tern_sbi::{Location, Operation, Reply, Response};

use crate::{Bench, NETWORK, authenticate, functions, refusal, supi};

/// An AUSF whose UDM's subscribers authenticate by EAP-AKA'.
async fn bench() -> Bench {
    let bench = Bench::new("").await;
    *bench.udm.eap.lock().unwrap() = true;
    bench
}

/// A session as the serving network has it.
struct Session {
    id: String,
    request: Vec<u8>,
}

async fn begin(bench: &Bench) -> Session {
    let context = bench.call(&authenticate()).await.unwrap();
    assert_eq!((context.status, &context.body.auth_type), (201, &AuthType::EapAkaPrime));
    let AuthData::EapPayload(Base64(request)) = context.body.auth_data.clone() else {
        panic!("{context:?}");
    };
    let uri = Location::parse(&context.body.eap_session_uri().unwrap()).unwrap();
    let resource = Location::parse(context.location.as_deref().unwrap()).unwrap();
    assert_eq!(uri.path, format!("{}/eap-session", resource.path));
    assert_eq!(context.body.confirmation_uri(), None);
    Session { id: resource.last_segment().unwrap(), request }
}

impl Session {
    fn operation(&self, packet: &[u8]) -> EapAuthMethod {
        let session = EapSession::new(Base64(packet.to_vec()));
        EapAuthMethod { auth_ctx_id: self.id.clone(), session }
    }

    /// Hands a packet over; if the session goes on, its request is the new one.
    async fn say(&mut self, bench: &Bench, packet: &[u8]) -> EapSession {
        let answer = bench.call(&self.operation(packet)).await.unwrap();
        assert_eq!(answer.status, 200);
        let ongoing = answer.body.auth_result == Some(AuthResult::AuthenticationOngoing);
        assert_eq!(answer.body.links.is_some(), ongoing);
        if ongoing {
            self.request = answer.body.eap_payload.0.clone();
        }
        answer.body
    }
}

fn aka(octets: &[u8]) -> (Packet, AkaPrime) {
    let packet = Packet::decode(octets).unwrap();
    let Body::AkaPrime(body) = packet.body.clone() else { panic!("{packet:?}") };
    (packet, body)
}

fn response(request: &[u8], subtype: Subtype, attributes: Attributes) -> Packet {
    Packet::aka_prime(Code::Response, request[1], subtype, attributes)
}

/// The peer's answer to a challenge, and its K_AUSF.
fn answer(usim: &mut Usim, request: &[u8]) -> Result<(Vec<u8>, [u8; 32]), UsimRefusal> {
    let (packet, body) = aka(request);
    assert_eq!((packet.code, body.subtype), (Code::Request, Subtype::Challenge));
    let attributes = body.attributes;
    assert_eq!((attributes.network_name.as_deref(), &attributes.kdfs[..]), (Some(NETWORK), &[1][..]));
    let answer =
        usim.authenticate_eap(&attributes.rand.unwrap(), &Autn(attributes.autn.unwrap()), NETWORK)?;
    let keys = EapAkaPrimeKeys::derive(&answer.ck_prime, &answer.ik_prime, supi().imsi());
    assert!(packet.is_authentic(request, &keys.k_aut));
    let attributes = Attributes { res: Some(answer.res.to_vec()), ..Attributes::default() };
    let response = response(request, Subtype::Challenge, attributes).encode(Some(&keys.k_aut));
    Ok((response, *keys.k_ausf().as_bytes()))
}

fn usim() -> Usim {
    Usim::new(functions(), SqnArray::default())
}

/// The results that the UDM has heard.
async fn results(bench: &Bench) -> Vec<(bool, AuthType)> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let events = bench.udm.events.lock().unwrap();
    events.iter().map(|event| (event.success, event.auth_type.clone())).collect()
}

/// TS 33.501 §6.1.3.1.
#[tokio::test(start_paused = true)]
async fn when_the_response_is_right_then_the_serving_network_gets_the_ues_key() {
    let bench = bench().await;
    let mut session = begin(&bench).await;
    let (packet, k_ausf) = answer(&mut usim(), &session.request).unwrap();
    let key = k_seaf(&k_ausf.into(), NETWORK);
    // The second time, the first reply was lost.
    for _ in 0..2 {
        let result = session.say(&bench, &packet).await;
        assert_eq!(result.auth_result, Some(AuthResult::AuthenticationSuccess));
        assert_eq!(result.eap_payload.0, [3, packet[1], 0, 4]);
        assert_eq!((&result.supi, result.k_seaf), (&Some(supi()), Some(Secret::new(*key.as_bytes()))));
    }
    assert_eq!(results(&bench).await, [(true, AuthType::EapAkaPrime)]);
}

/// RFC 4187 §6.3.2, §6.3.3.
#[tokio::test(start_paused = true)]
async fn when_res_is_wrong_then_a_notification_then_failure_and_no_second_try() {
    let bench = bench().await;
    let mut session = begin(&bench).await;
    let (right, _) = answer(&mut usim(), &session.request).unwrap();
    let mut wrong = right.clone();
    wrong[12] ^= 1;
    let result = session.say(&bench, &wrong).await;
    assert_eq!((result.supi, result.k_seaf), (None, None));
    let (_, notification) = aka(&session.request);
    assert_eq!(notification.subtype, Subtype::Notification);
    // The first response, late, is none to the notification.
    let again = session.say(&bench, &right).await;
    assert_eq!(again.auth_result, Some(AuthResult::AuthenticationOngoing));
    let acknowledged = response(&session.request, Subtype::Notification, Attributes::default()).encode(None);
    for _ in 0..2 {
        let result = session.say(&bench, &acknowledged).await;
        assert_eq!(result.auth_result, Some(AuthResult::AuthenticationFailure));
        assert_eq!(result.eap_payload.0, [4, acknowledged[1], 0, 4]);
        assert_eq!((result.supi, result.k_seaf), (None, None));
    }
    assert_eq!(results(&bench).await, [(false, AuthType::EapAkaPrime)]);
}

#[tokio::test(start_paused = true)]
async fn when_the_peer_refuses_then_failure() {
    let bench = bench().await;
    for subtype in [Subtype::AuthenticationReject, Subtype::ClientError] {
        let mut session = begin(&bench).await;
        let packet = response(&session.request, subtype, Attributes::default()).encode(None);
        let result = session.say(&bench, &packet).await;
        assert_eq!(result.auth_result, Some(AuthResult::AuthenticationFailure));
        assert_eq!(result.eap_payload.0, [4, 0, 0, 4]);
    }
    assert_eq!(results(&bench).await.len(), 2);
}

/// TS 33.102 §6.3.5.
#[tokio::test(start_paused = true)]
async fn when_the_usim_is_out_of_step_then_auts_reaches_the_udm_and_another_challenge_the_ue() {
    let bench = bench().await;
    let mut session = begin(&bench).await;
    let mut usim = usim();
    let first = session.request.clone();
    answer(&mut usim, &first).unwrap();
    // The same challenge again: its number is not fresh any more.
    let Err(UsimRefusal::SynchFailure(auts)) = answer(&mut usim, &first) else { panic!("fresh twice") };
    let attributes = Attributes { auts: Some(auts.0), kdfs: vec![1], ..Attributes::default() };
    let packet = response(&first, Subtype::SynchronizationFailure, attributes).encode(None);
    session.say(&bench, &packet).await;
    assert_ne!(session.request[1], first[1]);
    {
        let requests = bench.udm.requests.lock().unwrap();
        let info = requests[1].resynchronization_info.as_ref().unwrap();
        assert_eq!((info.rand.0, info.auts.0), ([1; 16], auts.0));
    }
    assert_eq!(results(&bench).await, []);
    let (packet, _) = answer(&mut usim, &session.request).unwrap();
    let result = session.say(&bench, &packet).await;
    assert_eq!(result.auth_result, Some(AuthResult::AuthenticationSuccess));
}

#[tokio::test(start_paused = true)]
async fn when_the_udm_does_not_believe_auts_then_a_notification() {
    let bench = bench().await;
    let mut session = begin(&bench).await;
    let attributes = Attributes { auts: Some([7; 14]), ..Attributes::default() };
    let packet = response(&session.request, Subtype::SynchronizationFailure, attributes).encode(None);
    // What the UDM cannot answer is no failure of the UE.
    *bench.udm.refusal.lock().unwrap() = Some((500, "SYSTEM_FAILURE"));
    let refused = refusal(bench.call(&session.operation(&packet)).await);
    assert_eq!(refused, (500, "AV_GENERATION_PROBLEM".to_owned()));
    assert_eq!(results(&bench).await, []);
    *bench.udm.refusal.lock().unwrap() = Some((403, "AUTHENTICATION_REJECTED"));
    session.say(&bench, &packet).await;
    assert_eq!(aka(&session.request).1.subtype, Subtype::Notification);
    assert_eq!(results(&bench).await, [(false, AuthType::EapAkaPrime)]);
}

/// A confirmation of one method says nothing about the other's challenge.
#[tokio::test(start_paused = true)]
async fn when_the_other_methods_resource_is_used_then_there_is_none() {
    let bench = bench().await;
    let eap = begin(&bench).await;
    let confirmation = ConfirmationData::new(Secret::new([0; 16]));
    let confirm = Confirm5gAka { auth_ctx_id: eap.id.clone(), confirmation };
    assert_eq!(refusal(bench.call(&confirm).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
    *bench.udm.eap.lock().unwrap() = false;
    let aka: Response<UeAuthenticationCtx> = bench.call(&authenticate()).await.unwrap();
    let id = Location::parse(aka.location.as_deref().unwrap()).unwrap().last_segment().unwrap();
    let session = Session { id, request: Vec::new() };
    let refused = refusal(bench.call(&session.operation(&[2, 0, 0, 5, 3])).await);
    assert_eq!(refused, (404, "CONTEXT_NOT_FOUND".to_owned()));
    assert_eq!(results(&bench).await, []);
}

/// TS 29.509 §6.1.3.4: with links it is HAL.
#[test]
fn an_answer_with_links_is_hal_and_one_without_is_not() {
    let reply = |links: bool| -> Reply {
        let mut session = EapSession::new(Base64(vec![3, 0, 0, 4]));
        session.links = links.then(Default::default);
        EapAuthMethod::to_reply(Ok(Response::ok(session)))
    };
    assert!(matches!(reply(true).body, tern_sbi::Body::Hal(_)));
    assert!(matches!(reply(false).body, tern_sbi::Body::Json(_)));
}

#[tokio::test(start_paused = true)]
async fn when_the_ausf_is_another_process_then_the_session_goes_on() {
    let mut bench = bench().await;
    let mut session = begin(&bench).await;
    let (packet, _) = answer(&mut usim(), &session.request).unwrap();
    bench.restart().await;
    let result = session.say(&bench, &packet).await;
    assert_eq!(result.auth_result, Some(AuthResult::AuthenticationSuccess));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let delete = DeleteEapAuth { auth_ctx_id: session.id.clone() };
    assert_eq!(bench.call(&delete).await.unwrap().status, 204);
    assert_eq!(*bench.udm.removals.lock().unwrap(), ["e1"]);
    assert_eq!(refusal(bench.call(&session.operation(&packet)).await), (404, "CONTEXT_NOT_FOUND".to_owned()));
}
