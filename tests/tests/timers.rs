//! Messages that the radio loses, and UEs that fall silent: the supervised procedures of
//! TS 24.501 Table 10.2.2.

use std::time::Duration;

use tern_types::Guti5g;
use ue_ransim::ue::{Fate, Misdeed, Moment, Trick, Way};

use crate::simulation::{Nf, Setup, simulate};

/// Loses the NAS message of this number that goes this way.
fn loses(way: Way, number: usize) -> impl FnMut(Way, &[u8]) -> Fate + Send + 'static {
    let mut seen = 0;
    move |of, _| {
        if of != way {
            return Fate::Arrives;
        }
        seen += 1;
        if seen - 1 == number { Fate::Lost } else { Fate::Arrives }
    }
}

/// AUTHENTICATION REQUEST, SECURITY MODE COMMAND, REGISTRATION ACCEPT: one loss of each costs one
/// expiry of T3560 or T3550 (TS 24.501 §5.4.1.3.7, §5.4.2.7, §5.5.1.2.8 c).
#[test]
fn when_a_downlink_message_is_lost_then_it_is_sent_again_once() {
    for number in 0..3 {
        simulate(Setup::new(1, 1), async |sim| {
            let mut ue = sim.ue(0);
            ue.set_radio(loses(Way::Down, number));
            let took = ue.register().await.expect("registered");
            assert_eq!(took.as_secs(), 6, "message {number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 1);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// AUTHENTICATION RESPONSE, SECURITY MODE COMPLETE, REGISTRATION COMPLETE (0 is the request
/// itself, without which nothing begins).
#[test]
fn when_an_uplink_answer_is_lost_then_its_request_is_sent_again_once() {
    for number in 1..4 {
        simulate(Setup::new(1, 1), async |sim| {
            let mut ue = sim.ue(0);
            ue.set_radio(loses(Way::Up, number));
            ue.register().await.expect("registered");
            ue.idle(Duration::from_secs(10)).await.expect("idle");
            assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 1, "message {number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 1);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

fn silent(at: Moment) -> Setup {
    let mut setup = Setup::new(1, 1);
    setup.group().tricks = vec![Trick { at, what: Misdeed::Silence }];
    setup
}

/// TS 24.501 §5.4.1.3.7 b, §5.4.2.7 b: four retransmissions, and the fifth expiry, after 30 s, ends
/// the procedure and the connection.
#[test]
fn when_the_ue_is_silent_in_a_common_procedure_then_the_fifth_expiry_ends_it() {
    for at in [Moment::AuthenticationResponse, Moment::SecurityModeComplete] {
        simulate(silent(at), async |sim| {
            let mut ue = sim.ue(0);
            assert!(ue.register().await.is_err());
            sim.pass(Duration::from_secs(14)).await;
            assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 4, "{at:?}");
            assert_eq!(sim.status(Nf::Amf)["connected"], 1, "T3560 has not expired five times");
            sim.pass(Duration::from_secs(2)).await;
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.no_answer"), 1, "{at:?}");
            assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 4, "{at:?}");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 24.501 §5.4.3.6 b: the same for IDENTITY REQUEST under T3570.
#[test]
fn when_the_ue_does_not_say_who_it_is_then_the_fifth_expiry_ends_it() {
    simulate(silent(Moment::IdentityResponse), async |sim| {
        let mut ue = sim.ue(0);
        let guami = sim.rig.gnbs[0].amf().guamis[0];
        ue.set_guti(Some(Guti5g { guami, tmsi: 7 }));
        assert!(ue.register().await.is_err());
        sim.pass(Duration::from_secs(20)).await;
        assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 4);
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.no_answer"), 1);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// TS 24.501 §5.5.1.2.8 c: the fifth expiry of T3550 leaves the UE registered, and either 5G-GUTI
/// is accepted.
#[test]
fn when_registration_complete_never_comes_then_the_ue_is_registered_on_the_fifth_expiry() {
    simulate(silent(Moment::RegistrationComplete), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("the ACCEPT came");
        ue.idle(Duration::from_secs(40)).await.expect("idle");
        assert_eq!(sim.counted(Nf::Amf, "amf.nas.retransmission"), 4);
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registration_unconfirmed"), 1);
        assert_eq!(sim.status(Nf::Amf)["registered"], 1);
        ue.lose_radio();
        ue.service_request(&[]).await.expect("the 5G-GUTI is accepted");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.3.7: a UE that is not heard of is deregistered when the mobile reachable timer
/// (T3512 and four minutes) and the implicit de-registration timer have expired.
#[test]
fn when_an_idle_ue_is_not_heard_of_then_it_is_deregistered_implicitly() {
    let mut setup = Setup::new(1, 1);
    setup.amf.timers.t3512_s = 600;
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.pass(Duration::from_secs(600 + 240 + 200)).await;
        assert_eq!(sim.held().await["AMF registered"], 1);
        sim.pass(Duration::from_secs(60)).await;
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        // Its security context is kept for its return, but not for ever.
        sim.pass(Duration::from_secs(3700)).await;
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}
