//! Whatever a UE or a gNB sends: no panic, and no context that stays.

use bytes::Bytes;
use proptest::prelude::*;
use tern_nas::nas_5gs::*;

use super::rig::*;
use crate::Input;
use crate::n2::message::N2Event;

/// AKA'-Authentication-Reject.
const EAP_RESPONSE: [u8; 8] = [2, 7, 0, 8, 50, 2, 0, 0];

/// NAS messages worth changing a few octets of.
fn seeds() -> Vec<Vec<u8>> {
    let ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let cause = NasFGmmCause::from_cause(GmmCause::SynchFailure);
    let auts = NasAuthenticationFailureParameter::from_auts([1; 14]);
    let failure = NasAuthenticationFailure::new(cause).with_authentication_failure_parameter(auts);
    [
        request.clone(),
        plain(failure),
        plain(NasIdentityResponse::new(Ue::suci())),
        ue.security_mode_complete(&request),
        plain(NasRegistrationComplete::new()),
        plain(NasAuthenticationResponse::new().with_eap_message(NasEapMessage::new(EAP_RESPONSE.to_vec()))),
    ]
    .iter()
    .map(|octets| octets.to_vec())
    .collect()
}

fn mutated() -> impl Strategy<Value = Bytes> {
    let change = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (any::<prop::sample::Index>(), change, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(which, changes, cut, whole)| {
            let seeds = seeds();
            let mut octets = which.get(&seeds).clone();
            for (at, value) in changes {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            if !whole {
                octets.truncate(cut.index(octets.len()) + 1);
            }
            octets.into()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_nas_octets_in_any_step_never_panic(
        initial in mutated(),
        steps in prop::collection::vec((mutated(), 0u8..4), 0..12),
        good in any::<bool>(),
        eap in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        rig.eap = eap;
        let mut ue = Ue::new(1);
        if good {
            let request = ue.registration_request(RegistrationType::InitialRegistration);
            ue.initial(&mut rig, &request);
            rig.serve();
            ue.hear(&mut rig);
        } else {
            ue.initial(&mut rig, &initial);
        }
        for (octets, step) in steps {
            match step {
                0 => rig.serve(),
                1 if rig.deadline.is_some() => rig.expire(),
                _ => ue.uplink(&mut rig, &octets),
            }
        }
        prop_assert!(rig.amf.ue_count() <= 1);
    }

    #[test]
    fn any_ngap_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut rig = Rig::new();
        rig.input(Input::N2(N2Event::Ngap { gnb: GNB, stream: 0, pdu: octets.into() }));
        prop_assert_eq!(rig.amf.ue_count(), 0);
    }
}
