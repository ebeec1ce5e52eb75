//! EAP-AKA' from the UDR's record to the USIM, and how it fails: TS 33.501 §6.1.3.1, TS 24.501 §5.4.1.2.

use serde_json::json;
use ue_ransim::ue::{Misdeed, Moment, Trick};

use crate::outcome::rejection;
use crate::simulation::{Nf, Setup, simulate};

/// One UE whose method is EAP-AKA'.
fn eap() -> Setup {
    let mut setup = Setup::new(1, 1);
    let keys = setup.group().clone();
    setup.subscribers[0].authentication =
        serde_json::from_value(json!({ "method": "eap-aka-prime", "k": keys.k, "opc": keys.opc }))
            .expect("keys");
    setup
}

fn with_trick(what: Misdeed) -> Setup {
    let mut setup = eap();
    setup.group().tricks = vec![Trick { at: Moment::AuthenticationResponse, what }];
    setup
}

#[test]
fn when_the_method_is_eap_aka_prime_then_the_ue_registers_by_it() {
    simulate(eap(), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(sim.rig.journal.counted("ue.eap_success"), 1);
        ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        // Its keys serve as those of 5G AKA do: NAS, and K_gNB.
        ue.service_request(&[]).await.expect("served");
        ue.deregister(false).await.expect("deregistered");
        ue.forget_security_context();
        ue.register().await.expect("registered by its 5G-GUTI, authenticated again");
        assert_eq!(sim.rig.journal.counted("ue.eap_success"), 2);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The home network decides for each subscriber.
#[test]
fn when_subscribers_have_different_methods_then_each_is_authenticated_by_its_own() {
    let mut setup = Setup::new(2, 2);
    setup.subscribers[1].authentication.method = tern_udr::Method::EapAkaPrime;
    simulate(setup, async |sim| {
        for (index, successes) in [(0, 0), (1, 1)] {
            let mut ue = sim.ue(index);
            ue.register().await.expect("registered");
            assert_eq!(sim.rig.journal.counted("ue.eap_success"), successes);
            ue.deregister(false).await.expect("deregistered");
        }
        assert_eq!(sim.counted(Nf::Ausf, "ausf.authentications"), 2);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 33.102 §6.3.5: AKA'-Synchronization-Failure brings another challenge in the same session.
#[test]
fn when_the_sequence_number_is_out_of_range_then_it_is_resynchronised() {
    let mut setup = eap();
    setup.group().sqn = Some("000000100000".into());
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.resynchronisations"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// RFC 4187 §6.3.2: the AUSF notifies the UE, whose acknowledgement ends the session.
#[test]
fn when_res_is_wrong_then_a_notification_and_authentication_reject_with_eap_failure() {
    simulate(with_trick(Misdeed::WrongRes), async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(sim.rig.journal.counted("ue.eap_notification"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.failures"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.authentications"), 0);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

#[test]
fn when_the_ue_refuses_the_challenge_then_authentication_reject_with_eap_failure() {
    simulate(with_trick(Misdeed::MacFailure), async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(sim.rig.journal.counted("ue.eap_notification"), 0);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// The UE derives the keys on its own: with another K nothing fits.
#[test]
fn when_the_keys_differ_then_the_ue_finds_a_wrong_mac_and_is_rejected() {
    let mut setup = eap();
    setup.group().k = "00112233445566778899aabbccddeeff".into();
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.1.3.1"]);
        sim.assert_nothing_held().await;
    });
}

/// What is no EAP response at all is as good as none: T3560 goes on to its fifth expiry.
#[test]
fn when_garbage_or_nothing_comes_then_the_core_goes_on() {
    for what in [Misdeed::Garbage, Misdeed::Silence] {
        simulate(with_trick(what), async |sim| {
            let mut ue = sim.ue(0);
            assert!(ue.register().await.is_err());
            let _ = ue.idle(std::time::Duration::from_secs(60)).await;
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
            assert_eq!(sim.status(Nf::Amf)["ues"], 0);
        });
    }
}

/// The same octets twice are one response.
#[test]
fn when_the_response_is_repeated_then_it_counts_once() {
    simulate(with_trick(Misdeed::Replay), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(sim.counted(Nf::Ausf, "ausf.authentications"), 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
    });
}

/// What the AUSF has said once it says again.
#[test]
fn when_the_ausfs_reply_is_lost_then_the_ue_registers_all_the_same() {
    simulate(eap(), async |sim| {
        let mut ue = sim.ue(0);
        let mut first = true;
        sim.on_sbi(move |request| {
            let session = request.path.ends_with("/eap-session");
            (session && std::mem::take(&mut first)).then_some(tern_sbi_transport::Fault::DropReply)
        });
        // The reply is lost: the request is repeated or the UE tries again, and the result is the same.
        ue.register_persistently(3).await.expect("registered");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}
