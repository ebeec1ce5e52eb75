//! Registration updates (TS 24.501 §5.5.1.3), K_gNB, and networks, slices and gNBs of every form.

use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::{HeaderType, NasSecurityContext};
use tern_types::{PlmnId, Snssai, Tac, Tai};

use super::rig::*;
use crate::{Config, Reauthentication, ServedPlmn};

pub(super) fn returning(rig: &mut Rig, ue: &mut Ue, kind: RegistrationType) {
    ue.go_idle(rig);
    ue.ran_id += 1;
    let request = ue.registration_request(kind);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(rig, &octets);
    rig.serve();
}

/// TS 24.501 §5.4.2.2: RINMR where the AMF has not the whole initial message.
#[test]
fn when_the_initial_message_was_whole_then_security_mode_does_not_ask_for_it_again() {
    let mut config = Config::default();
    config.security.reauthentication = Reauthentication::Always;
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    returning(&mut rig, &mut ue, RegistrationType::InitialRegistration);
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(*challenge.abba.value, [0, 0]);
    ue.respond(&mut rig, &challenge);
    let Nas5gmmMessage::SecurityModeCommand(command) = ue.hear(&mut rig) else { panic!() };
    assert!(command.additional_5g_security_information.is_none());
    assert_eq!(command.imeisv_request.unwrap().value & 7, 1);
    let octets = ue.protect(&plain(NasSecurityModeComplete::new()), HeaderType::CipheredNewContext);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
}

/// TS 33.501 §6.8.1.1.2: the latest SECURITY MODE COMPLETE, whatever comes between it and the
/// context's setup.
#[test]
fn when_another_request_follows_security_mode_complete_then_k_gnb_keeps_its_count() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    let count = ue.k_gnb_count;
    ue.requested = Some(vec![Snssai::new(1, None)]);
    let other = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&other, HeaderType::Ciphered);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
    let k_gnb = ue.security.as_ref().unwrap().k_gnb(count);
    assert_eq!(ue.k_gnb.as_ref(), Some(k_gnb.as_bytes()));
}

/// TS 24.501 §5.5.1.3.4.
#[test]
fn when_an_update_names_no_slices_then_the_allowed_ones_stay() {
    let mut rig = Rig::new();
    rig.amf.config.served[0].slices.push(Snssai::new(2, None));
    rig.subscribed = vec![Snssai::new(1, None), Snssai::new(2, None)];
    let mut ue = Ue::new(1);
    ue.requested = Some(vec![Snssai::new(2, None)]);
    ue.register(&mut rig);
    ue.requested = None;
    returning(&mut rig, &mut ue, RegistrationType::PeriodicRegistrationUpdating);
    let accept = ue.accepted(&mut rig);
    assert_eq!(nas::nssai_of(accept.allowed_nssai.as_ref().unwrap()), [Snssai::new(2, None)]);
}

/// TS 24.501 §4.4.3.5: before the NAS COUNT wraps around, there are new keys.
#[test]
fn when_the_nas_count_is_nearly_used_up_then_the_ue_is_authenticated_again() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let late = |context: &NasSecurityContext| -> NasSecurityContext {
        let mut value = serde_json::to_value(context).unwrap();
        for count in ["next", "reserved", "expected"] {
            value[count] = 0xff_ff00u32.into();
        }
        serde_json::from_value(value).unwrap()
    };
    ue.security = ue.security.as_ref().map(late);
    for context in rig.amf.ues.values_mut() {
        context.security = context.security.as_ref().map(late);
    }
    returning(&mut rig, &mut ue, RegistrationType::PeriodicRegistrationUpdating);
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    let request = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
    ue.secure(&mut rig, &request);
    rig.serve();
    ue.accepted(&mut rig);
    assert!(ue.security.as_ref().unwrap().next_count() < 10);
}

/// Two and three digits of MNC, all through identities, K_SEAF and the TAI list.
#[test]
fn when_the_mnc_has_two_or_three_digits_then_the_ue_registers() {
    for (mcc, mnc) in [("001", "01"), ("001", "001"), ("310", "410"), ("999", "70"), ("999", "070")] {
        let plmn = PlmnId::new(mcc, mnc).unwrap();
        let mut rig = Rig::with(Config {
            served: vec![ServedPlmn { plmn, ..Default::default() }],
            ..Default::default()
        });
        let mut ue = Ue::new(1);
        ue.tai = Tai { plmn_id: plmn, tac: Tac::new(1).unwrap() };
        let accept = ue.register(&mut rig);
        assert_eq!(ue.guti.unwrap().guami.plmn_id, plmn);
        assert_eq!(nas::tais(accept.tai_list.as_ref().unwrap()).unwrap(), [ue.tai]);
    }
}

/// TS 23.003 §28.4.2: SD FFFFFF is no SD.
#[test]
fn when_a_ue_requests_sd_ffffff_then_it_gets_the_slice_without_sd() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration);
    let request = NasRegistrationRequest::new(kind, nas::ngksi(None), Ue::suci())
        .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()))
        .with_requested_nssai(NasNssai::new(vec![4, 1, 0xff, 0xff, 0xff]));
    let request = plain(request);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    let accept = ue.accepted(&mut rig);
    assert_eq!(nas::nssai_of(accept.allowed_nssai.as_ref().unwrap()), [Snssai::new(1, None)]);
    assert!(accept.rejected_nssai.is_none());
}
