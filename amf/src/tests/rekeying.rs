//! New keys on a connection: TS 38.413 §8.3.4, TS 33.501 §6.9.4.4, §6.9.5, TS 24.501 §5.4.2.

use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm, KGnb, next_hop};
use tern_nas::nas_5gs::*;
use tern_nas::security::{HeaderType, NasSecurityContext};
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, NgapPduKind, build_ngap, extract_ngap_ies};

use super::n2_steps::{self, R, asked, require};
use super::path_switch::{acknowledged, switch, switched};
use super::rig::*;
use super::two_gnbs::*;
use crate::Reauthentication;

const UPDATE: RegistrationType = RegistrationType::MobilityRegistrationUpdating;

/// The UE registers on its connection, and proves who it is again: the K_gNB of its new K_AMF.
fn reauthenticate(rig: &mut Rig, ue: &mut Ue) -> KGnb {
    begin(rig, ue);
    let request = ue.registration_request(UPDATE);
    ue.prove(rig, &request);
    new_k_gnb(ue)
}

fn begin(rig: &mut Rig, ue: &mut Ue) {
    rig.amf.config.security.reauthentication = Reauthentication::EachRegistration;
    let request = ue.registration_request(UPDATE);
    let octets = ue.protect(&request, HeaderType::Ciphered);
    ue.uplink(rig, &octets);
    rig.serve();
}

fn new_k_gnb(ue: &Ue) -> KGnb {
    ue.security.as_ref().unwrap().k_gnb(ue.k_gnb_count)
}

/// NH of NCC 2 in the chain that begins with this key.
fn second(ue: &Ue, k_gnb: &KGnb) -> [u8; 32] {
    let k_amf = ue.k_amf.as_ref().unwrap();
    *next_hop(k_amf, next_hop(k_amf, k_gnb.as_bytes()).as_bytes()).as_bytes()
}

/// The key of the UE CONTEXT MODIFICATION REQUEST that comes next.
fn modification(rig: &mut Rig) -> [u8; 32] {
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextModification, "{pdu}");
    let read = || -> Result<[u8; 32], CodecError> {
        extract_ngap_ies!(pdu, UEContextModificationRequest,
            req key: [u8; 32] = SecurityKey(key) => key.0.as_octets().try_into().unwrap(),
        );
        Ok(key)
    };
    read().unwrap()
}

fn not_modified(rig: &mut Rig, ue: &Ue, why: R) {
    let failure = build_ngap!(
        UnsuccessfulOutcome,
        UEContextModification,
        UEContextModificationFailure,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(why)),
    );
    rig.gnb(ue.stream, &failure.unwrap());
}

fn has_new_context(rig: &Rig) -> bool {
    let pdu = rig.downlink.front().expect("an NGAP message");
    pdu.ie::<tern_ngap::ie::NewSecurityContextInd>().is_some()
}

/// The rest of the registration.
fn finish(rig: &mut Rig, ue: &mut Ue) {
    rig.serve();
    ue.accepted(rig);
    ue.say(rig, NasRegistrationComplete::new());
}

/// TS 33.501 §6.9.4.4: the K_gNB of the latest SECURITY MODE COMPLETE, and a chain that begins with it.
#[test]
fn when_a_connected_ue_is_authenticated_again_then_its_gnb_has_the_new_key_and_handovers_its_chain() {
    let (mut rig, mut ue) = connected(&[5]);
    let before = ue.k_amf.clone().unwrap();
    let k_gnb = reauthenticate(&mut rig, &mut ue);
    assert_ne!(ue.k_amf.as_ref().unwrap().as_bytes(), before.as_bytes());
    assert_eq!(modification(&mut rig), *k_gnb.as_bytes());
    ue.context_is_modified(&mut rig);
    finish(&mut rig, &mut ue);
    ue.gnb_informed(&mut rig);
    assert!(rig.downlink.is_empty());
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, switched());
    assert!(!has_new_context(&rig));
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!((acknowledge.ncc, acknowledge.nh), (2, second(&ue, &k_gnb)));
}

/// TS 33.501 §6.9.2.3.2: the UE has gone to another gNB before its own had the key.
#[test]
fn when_an_xn_handover_is_quicker_than_the_new_key_then_the_target_gets_it_as_ncc_0() {
    let (mut rig, mut ue) = connected(&[5]);
    let k_gnb = reauthenticate(&mut rig, &mut ue);
    modification(&mut rig);
    not_modified(&mut rig, &ue, R::xn_handover_triggered);
    finish(&mut rig, &mut ue);
    assert!(rig.downlink.is_empty(), "the gNB is asked once");
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, switched());
    assert!(has_new_context(&rig));
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!((acknowledge.ncc, acknowledge.nh), (0, *k_gnb.as_bytes()));
    // The next handover takes the new chain, without the indicator.
    rig.told = OTHER_GNB;
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, switched());
    assert!(!has_new_context(&rig));
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!((acknowledge.ncc, acknowledge.nh), (2, second(&ue, &k_gnb)));
}

/// TS 33.501 §6.9.2.3.3; the handover comes to nothing, and the source gNB gets the key after all.
#[test]
fn when_an_n2_handover_is_quicker_and_fails_then_the_source_gnb_is_given_the_key() {
    let (mut rig, mut ue) = connected(&[5]);
    let k_gnb = reauthenticate(&mut rig, &mut ue);
    modification(&mut rig);
    require(&mut rig, &ue, &[5]);
    not_modified(&mut rig, &ue, R::ng_intra_system_handover_triggered);
    // The registration's requests came before the handover's.
    let update = rig.requests.pop_back().unwrap();
    finish(&mut rig, &mut ue);
    rig.requests.push_back(update);
    n2_steps::prepare(&mut rig);
    assert!(has_new_context(&rig));
    let request = asked(&mut rig);
    assert_eq!((request.ncc, request.nh), (0, *k_gnb.as_bytes()));
    n2_steps::fail_allocation(&mut rig, request.amf_id, R::no_radio_resources_available_in_target_cell);
    assert_eq!(rig.next().kind(), NgapPduKind::Unsuccessful_HandoverPreparation);
    assert_eq!(modification(&mut rig), *k_gnb.as_bytes());
    ue.context_is_modified(&mut rig);
    assert_eq!(rig.count("amf.ngap.rekeyed"), 1);
}

#[test]
fn when_no_handover_comes_then_the_gnb_is_given_the_key_again() {
    let (mut rig, mut ue) = connected(&[5]);
    let k_gnb = reauthenticate(&mut rig, &mut ue);
    modification(&mut rig);
    not_modified(&mut rig, &ue, R::xn_handover_triggered);
    finish(&mut rig, &mut ue);
    while rig.downlink.is_empty() {
        rig.expire();
    }
    assert_eq!(modification(&mut rig), *k_gnb.as_bytes());
}

/// TS 38.413 §8.3.4.3: a gNB that does not take the key loses the UE, which comes again with its new keys.
#[test]
fn when_the_gnb_refuses_the_key_or_is_silent_then_the_connection_is_released() {
    for silent in [false, true] {
        let (mut rig, mut ue) = connected(&[5]);
        reauthenticate(&mut rig, &mut ue);
        modification(&mut rig);
        finish(&mut rig, &mut ue);
        if silent {
            while rig.downlink.is_empty() {
                rig.expire();
            }
        } else {
            not_modified(&mut rig, &ue, R::unspecified);
        }
        assert_eq!(rig.released(), Cause::radioNetwork(R::release_due_to_5gc_generated_reason));
        let context = rig.amf.ue(&supi()).unwrap();
        assert!(context.registered && context.n2.is_none());
        rig.requests.clear();
        ue.ran_id += 1;
        let request = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
        rig.amf.config.security.reauthentication = Reauthentication::WhenNeeded;
        let octets = ue.protect(&request, HeaderType::Integrity);
        ue.initial(&mut rig, &octets);
        rig.serve();
        ue.accepted(&mut rig);
        assert_eq!(ue.k_gnb, Some(*new_k_gnb(&ue).as_bytes()));
    }
}

/// TS 33.501 §6.9.5: no SECURITY MODE COMMAND while a gNB is being given AS keys.
#[test]
fn when_the_gnb_has_not_answered_with_keys_then_security_mode_waits_for_it() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register_to_accept(&mut rig);
    // INITIAL CONTEXT SETUP REQUEST is on its way.
    begin(&mut rig, &mut ue);
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    assert!(rig.downlink.is_empty());
    ue.context_is_set_up(&mut rig);
    let request = ue.registration_request(UPDATE);
    ue.secure(&mut rig, &request);
    assert_eq!(modification(&mut rig), *new_k_gnb(&ue).as_bytes());
}

/// A UE whose AMF prefers other algorithms since it was here last; SECURITY MODE COMMAND as it came.
fn with_other_algorithms() -> (Rig, Ue, bytes::Bytes) {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    ue.ran_id += 1;
    rig.served.clear();
    rig.amf.config.security.integrity = vec![IntegrityAlgorithm::Nia1];
    rig.amf.config.security.ciphering = vec![CipheringAlgorithm::Nea1];
    let request = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let command = ue.hear_octets(&mut rig);
    (rig, ue, command)
}

/// TS 24.501 §5.4.2.1, TS 33.501 §6.7.1.1: the K_AMF and its COUNTs stay, the AS keys as well.
#[test]
fn when_the_amf_prefers_other_algorithms_then_they_are_taken_into_use_without_authentication() {
    let (mut rig, mut ue, command) = with_other_algorithms();
    let (nea, nia) = (CipheringAlgorithm::Nea1, IntegrityAlgorithm::Nia1);
    let count = ue.security.as_ref().unwrap().received_count().unwrap();
    let mut context = ue.security.clone().unwrap().with_algorithms(nea, nia);
    let opened = context.unprotect(&command).expect("the MAC of the new algorithm");
    assert_eq!(opened.count, count + 1);
    let Nas5gmmMessage::SecurityModeCommand(command) =
        tern_nas::decode_gmm(&opened.plain, Direction::Downlink).unwrap()
    else {
        panic!("no command")
    };
    assert_eq!(command.selected_nas_security_algorithms.value, nea.code() << 4 | nia.code());
    assert_eq!(tern_nas::registration::ngksi_of(&command.ngksi), ue.ksi);
    ue.security = Some(context);
    let octets = ue.protect(&plain(NasSecurityModeComplete::new()), HeaderType::CipheredNewContext);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
    assert!(!rig.served.contains(&"Authenticate"));
    let context = rig.amf.ue(&supi()).unwrap().security.clone().unwrap();
    assert_eq!((context.ciphering(), context.integrity()), (nea, nia));
    assert_eq!(ue.k_gnb, Some(*new_k_gnb(&ue).as_bytes()));
    assert_eq!(rig.count("amf.ngap.rekeyed"), 0);
}

/// TS 24.501 §5.4.2.5: the algorithms of before hold again, and no COUNT of theirs is used twice.
#[test]
fn when_other_algorithms_are_refused_then_those_of_before_stay_with_counts_that_go_on() {
    let (mut rig, mut ue, _command) = with_other_algorithms();
    let before: NasSecurityContext = ue.security.clone().unwrap();
    let count = before.received_count().unwrap();
    let cause = NasFGmmCause::from_cause(GmmCause::SecurityModeRejectedUnspecified);
    ue.say(&mut rig, NasSecurityModeReject::new(cause));
    let nas = ue.hear_octets(&mut rig);
    let opened = ue.security.as_mut().unwrap().unprotect(&nas).expect("the context of before");
    assert_eq!(opened.count, count + 2);
    assert_eq!(before.integrity(), IntegrityAlgorithm::Nia2);
}
