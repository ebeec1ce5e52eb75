//! Collisions: TS 24.501 §5.5.1.2.8, §5.5.2.3.5; TS 38.413 §8.6.1, §8.3.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tern_sctp::mem::MemVerdict;
use tern_types::Guti5g;
use ue_ransim::ue::{Fate, Misdeed, Moment, Trick, Ue, Way};

use crate::outcome::rejection;
use crate::simulation::{Nf, RAN_ADDRESS, Setup, simulate};

/// In the place of the uplink message of this number, the REGISTRATION REQUEST (changed by
/// `change`) arrives once more. The message itself is lost.
fn requests_again(
    ue: &mut Ue,
    number: usize,
    change: impl Fn(&mut Vec<u8>) + Send + 'static,
) -> Arc<Mutex<usize>> {
    let (mut first, mut seen) = (None, 0);
    let done = Arc::new(Mutex::new(0));
    let count = Arc::clone(&done);
    ue.set_radio(move |way, octets| {
        if way == Way::Down {
            return Fate::Arrives;
        }
        let request = first.get_or_insert_with(|| octets.to_vec());
        seen += 1;
        if seen - 1 != number {
            return Fate::Arrives;
        }
        *count.lock().expect("unpoisoned") += 1;
        let mut again = request.clone();
        change(&mut again);
        Fate::Becomes(vec![Bytes::from(again)])
    });
    done
}

/// TS 24.501 §5.5.1.2.8 d.2, e: the same request again is ignored before REGISTRATION ACCEPT, and
/// answered with it after; the procedure goes on.
#[test]
fn when_the_same_registration_request_comes_again_then_the_procedure_goes_on() {
    for number in 1..4 {
        simulate(Setup::new(1, 1), async |sim| {
            let mut ue = sim.ue(0);
            let done = requests_again(&mut ue, number, |_| {});
            ue.register().await.expect("registered");
            ue.idle(Duration::from_secs(20)).await.expect("idle");
            assert_eq!(*done.lock().expect("unpoisoned"), 1, "{number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registration_started"), 1, "{number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 1, "{number}");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 24.501 §5.5.1.2.8 d.1, e: a request that differs aborts what was running, and is progressed.
/// A UE that has begun secure exchange does not take the challenge that follows, which is in clear
/// (TS 24.501 §4.4.4.2): its next attempt succeeds.
#[test]
fn when_another_registration_request_comes_then_the_first_is_aborted() {
    for number in 1..3 {
        simulate(Setup::new(1, 1), async |sim| {
            let mut ue = sim.ue(0);
            // The follow-on request bit of the 5GS registration type.
            let done = requests_again(&mut ue, number, |request| request[3] ^= 0x08);
            let registered = ue.register().await;
            assert_eq!(*done.lock().expect("unpoisoned"), 1, "{number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registration_started"), 2, "{number}");
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.procedure_aborted"), 1, "{number}");
            if number == 1 {
                registered.expect("registered");
                sim.assert_conforming();
            } else {
                assert!(registered.is_err(), "{registered:?}");
                ue.register().await.expect("registered");
            }
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(40)).await;
            sim.assert_nothing_held().await;
        });
    }
}

/// The UE falls silent at `at` in its first attempt only; what it does then is up to the scenario.
fn silent_at(at: Moment) -> Setup {
    let mut setup = Setup::new(1, 1);
    setup.group().tricks = vec![Trick { at, what: Misdeed::Silence }];
    setup
}

const MOMENTS: [Moment; 3] =
    [Moment::AuthenticationResponse, Moment::SecurityModeComplete, Moment::RegistrationComplete];

/// TS 24.501 §5.5.1.2.8 a, TS 38.413 §8.6.1: a connected UE comes on a new connection, whatever is
/// under way on the older one; that one is released.
#[test]
fn when_a_connected_ue_comes_on_a_new_connection_then_the_older_is_released() {
    for at in MOMENTS {
        simulate(silent_at(at), async |sim| {
            let mut ue = sim.ue(0);
            let _ = tokio::time::timeout(Duration::from_secs(1), ue.register()).await;
            ue.lose_radio();
            // The same subscriber, without the trick.
            let mut setup = sim.setup.clone();
            setup.group().tricks.clear();
            let mut again = sim.ue_of(&setup, 0);
            again.set_guti(ue.guti());
            again.register().await.unwrap_or_else(|error| panic!("{at:?}: {error}"));
            sim.settle().await;
            assert_eq!(sim.held().await["AMF registered"], 1, "{at:?}");
            again.establish_session(Default::default()).await.expect("a session");
            again.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(40)).await;
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 24.501 §5.5.1.2.8 h: a DEREGISTRATION REQUEST in a registration. Before security it proves
/// nothing and ends nothing but the connection (TS 24.501 §4.4.4.3).
#[test]
fn when_a_ue_deregisters_during_registration_then_nothing_stays() {
    for at in MOMENTS {
        simulate(silent_at(at), async |sim| {
            let mut ue = sim.ue(0);
            let _ = tokio::time::timeout(Duration::from_secs(1), ue.register()).await;
            let _ = ue.deregister(true).await;
            sim.pass(Duration::from_secs(40)).await;
            sim.assert_nothing_held().await;
        });
    }
}

/// A UE that was registered returns with its 5G-GUTI while the network thinks it connected, with a
/// session: the session goes, for the registration is an initial one (TS 24.501 §5.5.1.2.4).
#[test]
fn when_a_registered_ue_returns_unexpectedly_then_it_starts_afresh() {
    simulate(Setup::new(1, 1).gnbs(2), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        let other = sim.rig.gnbs[1].clone();
        ue.move_to(&other);
        ue.register().await.expect("registered again");
        sim.settle().await;
        let held = sim.held().await;
        assert_eq!((held["AMF connected"], held.get("SMF sessions")), (1, None));
        ue.establish_session(Default::default()).await.expect("a session");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.6.1: INITIAL UE MESSAGE with a RAN UE NGAP ID that is in use: the connection that
/// had it is gone.
#[test]
fn when_a_ran_ue_ngap_id_is_used_again_then_the_older_context_is_released() {
    simulate(Setup::new(1, 1), async |sim| {
        let first = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&first);
        sim.on_n2(move |from, _, message| {
            // The first message of a stream other than 0 is INITIAL UE MESSAGE.
            if from.ip() == RAN_ADDRESS && message.stream != 0 {
                keep.lock().expect("unpoisoned").get_or_insert((message.data.clone(), message.stream));
            }
            MemVerdict::Pass
        });
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        let (octets, stream) = first.lock().expect("unpoisoned").clone().expect("a message");
        let gnb = sim.rig.gnbs[0].clone();
        gnb.send_octets(octets, stream).await.expect("sent");
        sim.settle().await;
        // The SUCI of the repeated message begins a registration of its own, whose AMF UE NGAP ID the
        // gNB does not take (TS 38.413 §10.6).
        assert!(!sim.held().await.contains_key("AMF connected"));
        ue.lose_radio();
        ue.service_request(&[1]).await.expect("the UE itself is known and idle");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
    });
}

/// TS 24.501 §5.6.1.5: #9 for a UE that the AMF does not know.
#[test]
fn when_an_unknown_ue_requests_service_then_cause_9() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        let guami = sim.rig.gnbs[0].amf().guamis[0];
        ue.set_guti(Some(Guti5g { guami, tmsi: 0x0bad_cafe }));
        assert_eq!(rejection(ue.service_request(&[]).await), ("SERVICE REJECT", 9));
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
        ue.register().await.expect("registered");
        ue.deregister(true).await.expect("deregistered");
        sim.assert_nothing_held().await;
    });
}
