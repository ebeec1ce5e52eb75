//! 5G AKA that fails, and how it recovers: TS 24.501 §5.4.1.3, TS 33.501 §6.1.3.

use serde_json::json;
use ue_ransim::ue::{Misdeed, Moment, SessionRequest, Trick};

use crate::outcome::rejection;
use crate::simulation::{Nf, Setup, simulate};

fn with_trick(at: Moment, what: Misdeed) -> Setup {
    let mut setup = Setup::new(1, 1);
    setup.group().tricks = vec![Trick { at, what }];
    setup
}

/// TS 24.501 §5.4.1.3.7 c: the USIM does not accept the network's MAC, and a SUCI leaves no
/// better identity to ask for.
#[test]
fn when_the_keys_differ_then_the_ue_finds_a_wrong_mac_and_is_rejected() {
    let mut setup = Setup::new(1, 1);
    setup.group().k = "00112233445566778899aabbccddeeff".into();
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.authentication_rejected"), 1);
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.1.3.2.0"]);
        sim.assert_nothing_held().await;
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// TS 24.501 §5.4.1.3.5: RES* is wrong.
#[test]
fn when_res_star_is_wrong_then_authentication_reject() {
    simulate(with_trick(Moment::AuthenticationResponse, Misdeed::WrongRes), async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        // The AMF itself sees that HRES* is wrong (TS 33.501 §6.1.3.2.0 step 9).
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.authentication_failed"), 1);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 33.102 §6.3.5, TS 24.501 §5.4.1.3.7 f: the USIM is ahead of the home network.
#[test]
fn when_the_sequence_number_is_out_of_range_then_it_is_resynchronised() {
    let mut setup = Setup::new(1, 1);
    setup.group().sqn = Some("000000100000".into());
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 2);
        ue.deregister(false).await.expect("deregistered");
        // The next vector is accepted at once.
        ue.forget_security_context();
        ue.register().await.expect("registered again");
        assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 1);
        ue.deregister(true).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.4.2.5: the UE does not accept the security mode.
#[test]
fn when_the_ue_rejects_the_security_mode_then_the_registration_is_rejected() {
    simulate(with_trick(Moment::SecurityModeComplete, Misdeed::Reject), async |sim| {
        let mut ue = sim.ue(0);
        let refused = ue.register().await;
        assert!(refused.is_err(), "{refused:?}");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// TS 24.501 §4.4.3.3, §4.4.4.3: a message whose MAC is wrong is discarded; T3560 goes on.
#[test]
fn when_a_mac_is_wrong_then_the_message_is_as_good_as_none() {
    for at in [Moment::SecurityModeComplete, Moment::RegistrationComplete] {
        simulate(with_trick(at, Misdeed::WrongMac), async |sim| {
            let mut ue = sim.ue(0);
            let registered = ue.register().await;
            assert_eq!(registered.is_ok(), at == Moment::RegistrationComplete, "{registered:?}");
            let _ = ue.idle(std::time::Duration::from_secs(40)).await;
            assert!(sim.counted(Nf::Amf, "amf.nas.discarded") >= 1);
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
        });
    }
}

/// TS 24.501 §4.4.3.2: the same octets are accepted once.
#[test]
fn when_a_message_is_replayed_then_it_counts_once() {
    let moments = [
        Moment::AuthenticationResponse,
        Moment::SecurityModeComplete,
        Moment::RegistrationComplete,
        Moment::SessionRequest,
        Moment::DeregistrationRequest,
    ];
    for at in moments {
        simulate(with_trick(at, Misdeed::Replay), async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            ue.establish_session(Default::default()).await.expect("a session");
            sim.settle().await;
            assert_eq!(sim.held().await["SMF sessions"], 1);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 1);
            assert_eq!(sim.counted(Nf::Amf, "amf.session.created"), 1);
        });
    }
}

/// TS 24.501 §4.4.4.3: after secure exchange is established, what is not protected is discarded.
#[test]
fn when_a_message_comes_in_clear_then_it_is_discarded() {
    for at in [Moment::SecurityModeComplete, Moment::RegistrationComplete] {
        simulate(with_trick(at, Misdeed::Plain), async |sim| {
            let mut ue = sim.ue(0);
            let _ = ue.register().await;
            let _ = ue.idle(std::time::Duration::from_secs(40)).await;
            assert!(sim.counted(Nf::Amf, "amf.nas.unprotected_discarded") >= 1, "{at:?}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
        });
    }
}

/// Octets that are no NAS message change nothing (TS 24.501 §7.2).
#[test]
fn when_garbage_comes_then_the_core_goes_on() {
    for at in [Moment::AuthenticationResponse, Moment::SecurityModeComplete, Moment::RegistrationComplete] {
        simulate(with_trick(at, Misdeed::Garbage), async |sim| {
            let mut ue = sim.ue(0);
            let _ = ue.register().await;
            let _ = ue.idle(std::time::Duration::from_secs(60)).await;
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
            assert_eq!(sim.status(Nf::Amf)["connected"], u64::from(at == Moment::RegistrationComplete));
        });
    }
}

/// TS 35.231, TS 33.501 §6.1.3.2: TUAK instead of MILENAGE, from the UDR's record to the USIM, and
/// its AUTS where the USIM is ahead.
#[test]
fn when_the_subscriber_uses_tuak_then_it_registers_and_is_resynchronised() {
    const K256: &str = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";
    const TOPC: &str = "305425427e18c503c8a4b294ea72c95e399a5df0e8ea3a1a11a5a7d5c45ab8ce";
    // A key of 128 bits, the usual one, and one of 256.
    for (seed, k) in [(1, None), (2, Some(K256))] {
        let mut setup = Setup::new(seed, 1);
        let k = k.map_or_else(|| setup.group().k.clone(), str::to_owned);
        setup.subscribers[0].authentication =
            serde_json::from_value(json!({ "algorithm": "tuak", "k": k, "opc": TOPC })).expect("keys");
        let group = setup.group();
        (group.k, group.opc, group.topc) = (k, None, Some(TOPC.into()));
        group.sqn = Some("000000100000".into());
        simulate(setup, async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 1);
            ue.establish_session(SessionRequest::default()).await.expect("a session");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}
