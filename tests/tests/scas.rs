//! The AMF's security assurance, TS 33.512, by clause. What is not of this core: NAS based redirection to
//! EPS (§4.2.2.1.3), NAS algorithms at a change of AMF (§4.2.2.4.2), and what is for control plane CIoT.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_amf::Reauthentication;
use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm};
use tern_nas::nas_5gs::{Direction, GmmCause, Nas5gmmMessage, Nas5gsMessage, NasAuthenticationFailure};
use tern_nas::nas_5gs::{NasAuthenticationFailureParameter, NasFGmmCause};
use tern_nas::security::{HeaderType, payload_unverified};
use tern_ngap::NgapPduKind;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::NGAP_PDU;
use tern_sbi_transport::Fault;
use tern_sctp::mem::MemVerdict;
use ue_ransim::ue::{Fate, Misdeed, Moment, RegistrationKind, Trick, Ue, Way};

use crate::outcome::{cause, rejection};
use crate::simulation::{AMF_ADDRESS, Downlink, Nf, Setup, Simulation, simulate};

/// The AMF's messages, as they are in clear: NEA0 is chosen.
fn in_clear(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 1);
    setup.amf.security.ciphering = vec![CipheringAlgorithm::Nea0];
    setup
}

/// NAS messages that the UE has received, by their first words.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Nas5gmmMessage>>>);

impl Heard {
    fn listen(ue: &mut Ue) -> Self {
        let heard = Self::default();
        let list = Arc::clone(&heard.0);
        ue.set_radio(move |way, octets| {
            let plain = payload_unverified(octets).filter(|_| way == Way::Down);
            let message = plain.and_then(|plain| tern_nas::decode_gmm(plain, Direction::Downlink).ok());
            list.lock().expect("no panic").extend(message);
            Fate::Arrives
        });
        heard
    }

    fn count(&self, is: impl Fn(&Nas5gmmMessage) -> bool) -> usize {
        self.0.lock().expect("no panic").iter().filter(|message| is(message)).count()
    }

    fn challenges(&self) -> usize {
        self.count(|message| matches!(message, Nas5gmmMessage::AuthenticationRequest(_)))
    }
}

fn is_authentication(path: &str) -> bool {
    path == "/nausf-auth/v1/ue-authentications"
}

/// TC_SYNC_FAIL_SEAF_AMF: no new challenge before the AUSF has answered, and none if it does not.
#[test]
fn scas_4_2_2_1_1_synchronization_failure_handling() {
    for answers in [true, false] {
        let mut setup = in_clear(1);
        setup.group().sqn = Some("000000100000".into());
        simulate(setup, async |sim| {
            let mut requests = 0;
            sim.on_sbi(move |request| {
                requests += u32::from(is_authentication(&request.path));
                let resynchronises = is_authentication(&request.path) && requests == 2;
                let fault = if answers { Fault::Delay(Duration::from_secs(3)) } else { Fault::DropRequest };
                resynchronises.then_some(fault)
            });
            let mut ue = sim.ue(0);
            let heard = Heard::listen(&mut ue);
            let early = heard.clone();
            let watch = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2900)).await;
                early.challenges()
            });
            let registered = ue.register().await;
            assert_eq!(registered.is_ok(), answers, "{registered:?}");
            assert_eq!(watch.await.expect("no panic"), 1, "before the AUSF has answered");
            assert_eq!(heard.challenges(), if answers { 2 } else { 1 });
            assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 1);
        });
    }
}

/// TC_SYNC_FAIL_SEAF_AMF: an indication that nobody has asked for changes nothing.
#[test]
fn scas_4_2_2_1_1_unsolicited_synchronization_failure() {
    simulate(in_clear(2), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let heard = Heard::listen(&mut ue);
        let failure = NasAuthenticationFailure::new(NasFGmmCause::from_cause(GmmCause::SynchFailure))
            .with_authentication_failure_parameter(NasAuthenticationFailureParameter::from_auts([1; 14]));
        let plain = tern_nas::encode(&Nas5gsMessage::new_5gmm(failure)).expect("a message");
        let mut context = ue.security_context().expect("a context").clone();
        let octets = context.protect(&plain, HeaderType::Ciphered).expect("a COUNT");
        ue.send_octets(octets.into()).await.expect("connected");
        ue.idle(Duration::from_secs(30)).await.expect("connected");
        assert_eq!(heard.challenges(), 0);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 1);
        assert_eq!(sim.status(Nf::Amf)["registered"], 1);
    });
}

/// TC_RES_STAR_FAIL, SUCI in the first message: AUTHENTICATION REJECT.
#[test]
fn scas_4_2_2_1_2_res_star_verification_failure_of_a_suci() {
    simulate(in_clear(3), async |sim| {
        let mut ue = sim.ue(0);
        ue.set_tricks(vec![Trick { at: Moment::AuthenticationResponse, what: Misdeed::WrongRes }]);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The same with a 5G-GUTI: the SUCI is asked for, and the answer to its challenge decides.
#[test]
fn scas_4_2_2_1_2_res_star_verification_failure_of_a_5g_guti() {
    let mut setup = in_clear(4);
    setup.amf.security.reauthentication = Reauthentication::Always;
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.go_idle().await.expect("idle");
        let heard = Heard::listen(&mut ue);
        ue.set_tricks(vec![Trick { at: Moment::AuthenticationResponse, what: Misdeed::WrongRes }]);
        assert_eq!(rejection(ue.register().await).0, "AUTHENTICATION REJECT");
        assert_eq!(heard.count(|message| matches!(message, Nas5gmmMessage::IdentityRequest(_))), 1);
        assert_eq!(heard.challenges(), 2);
        sim.assert_conforming();
    });
}

/// SECURITY MODE COMPLETE with a wrong MAC, or without one, is as good as none.
#[test]
fn scas_4_2_2_1_4_nas_integrity_failure() {
    for what in [Misdeed::WrongMac, Misdeed::Plain] {
        simulate(in_clear(5), async |sim| {
            let mut ue = sim.ue(0);
            ue.set_tricks(vec![Trick { at: Moment::SecurityModeComplete, what }]);
            let heard = Heard::listen(&mut ue);
            let refused = ue.register().await;
            assert!(refused.is_err(), "{refused:?}");
            let accepts = heard.count(|message| matches!(message, Nas5gmmMessage::RegistrationAccept(_)));
            assert_eq!((accepts, sim.counted(Nf::Amf, "amf.gmm.registered")), (0, 0));
        });
    }
}

/// TC_NAS_REPLAY_AMF: a captured message is taken once.
#[test]
fn scas_4_2_2_3_1_replay_protection_of_nas_signalling_messages() {
    for at in [Moment::SecurityModeComplete, Moment::RegistrationComplete, Moment::SessionRequest] {
        simulate(in_clear(6), async |sim| {
            let mut ue = sim.ue(0);
            ue.set_tricks(vec![Trick { at, what: Misdeed::Replay }]);
            ue.register().await.expect("registered");
            ue.establish_session(Default::default()).await.expect("a session");
            sim.settle().await;
            assert_eq!(sim.counted(Nf::Amf, "amf.nas.discarded"), 1, "{at:?}");
            assert_eq!(sim.held().await["SMF sessions"], 1);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TC_NAS_NULL_INT_AMF: NIA0 is not selected, even where the UE has it first or has nothing else.
#[test]
fn scas_4_2_2_3_2_nas_null_integrity_protection() {
    for (nia, selected) in [(vec![0, 2], Some(IntegrityAlgorithm::Nia2)), (vec![0], None)] {
        let mut setup = Setup::new(7, 1);
        setup.group().nia = nia;
        simulate(setup, async |sim| {
            let mut ue = sim.ue(0);
            let heard = Heard::listen(&mut ue);
            match (ue.register().await, selected) {
                (Ok(_), Some(selected)) => {
                    assert_eq!(ue.security_context().expect("a context").integrity(), selected);
                }
                (refused, None) => {
                    assert_eq!(cause(refused), 23);
                    let commands =
                        heard.count(|message| matches!(message, Nas5gmmMessage::SecurityModeCommand(_)));
                    assert_eq!(commands, 0);
                }
                (other, _) => panic!("{other:?}"),
            }
            sim.assert_conforming();
        });
    }
}

/// The first of the operator's list that the UE has, for integrity and for ciphering, and all that follows is
/// protected with it: the simulator's UE reports what is not.
#[test]
fn scas_4_2_2_3_3_nas_integrity_algorithm_selection_and_use() {
    use IntegrityAlgorithm::{Nia1, Nia2, Nia3};
    let cases = [
        ([Nia2, Nia1, Nia3], vec![0, 1, 2, 3], Nia2),
        ([Nia2, Nia1, Nia3], vec![0, 1, 3], Nia1),
        ([Nia3, Nia1, Nia2], vec![1, 2, 3], Nia3),
        ([Nia3, Nia1, Nia2], vec![2], Nia2),
    ];
    for (seed, (list, nia, selected)) in (10..).zip(cases) {
        let mut setup = Setup::new(seed, 1);
        setup.amf.security.integrity = list.into();
        setup.group().nia = nia;
        simulate(setup, async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            assert_eq!(ue.security_context().expect("a context").integrity(), selected);
            ue.establish_session(Default::default()).await.expect("a session");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// The first IE of UE Security Capabilities (id 119, criticality ignore) and the length of what follows.
const CAPABILITIES: [u8; 4] = [0x00, 0x77, 0x40, 0x09];

fn capability_in(pdu: &NGAP_PDU) -> Option<SecurityCapability> {
    let ie = pdu.ie::<tern_ngap::ie::UESecurityCapabilities>()?.ok()?;
    Some(SecurityCapability::from_ngap(&ie))
}

/// A source gNB that bids down: the AMF tells the target the UE's own capabilities.
#[test]
fn scas_4_2_2_4_1_bidding_down_prevention_in_xn_handover() {
    simulate(Setup::new(14, 1).gnbs(2), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let _session = ue.establish_session(Default::default()).await.expect("a session");
        sim.settle().await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        sim.on_n2(move |from, _, message| {
            let Ok(pdu) = tern_ngap::decode(&message.data) else { return MemVerdict::Pass };
            match pdu.kind() {
                NgapPduKind::Successful_PathSwitchRequest if from.ip() == AMF_ADDRESS => {
                    list.lock().expect("no panic").push(capability_in(&pdu));
                }
                NgapPduKind::Initiating_PathSwitchRequest => {
                    let at = message.data.windows(4).position(|window| window == CAPABILITIES);
                    let at = at.expect("UE Security Capabilities") + CAPABILITIES.len() + 1;
                    let mut data = message.data.to_vec();
                    // No algorithm but NEA0 and NIA0 is left.
                    data[at..at + 4].fill(0);
                    return MemVerdict::Replace(data.into());
                }
                _ => {}
            }
            MemVerdict::Pass
        });
        let target = sim.rig.gnbs[1].clone();
        ue.handover_xn(&target).await.expect("handed over");
        let own = SecurityCapability::from_nas(&[0xf0, 0xf0]).without_null();
        assert_eq!(*told.lock().expect("no panic"), [Some(own)]);
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.capability_mismatch"), 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// A new 5G-GUTI after each registration and after an answer to a page.
#[test]
fn scas_4_2_2_5_1_5g_guti_allocation() {
    simulate(Setup::new(15, 1), async |sim: &mut Simulation| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        let mut seen = BTreeSet::new();
        let mut is_new = |ue: &Ue, what: &str| {
            let tmsi = ue.guti().expect("a 5G-GUTI").tmsi;
            assert!(seen.insert(tmsi), "{what}: a 5G-GUTI of before");
        };
        ue.register().await.expect("registered");
        is_new(&ue, "initial registration by SUCI");
        for kind in [RegistrationKind::Initial, RegistrationKind::Mobility, RegistrationKind::Periodic] {
            ue.go_idle().await.expect("idle");
            ue.register_as(kind).await.expect("registered");
            is_new(&ue, "registration by 5G-GUTI");
        }
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        n4.packet_waits(0).await;
        ue.await_page(Duration::from_millis(500)).await.expect("paged");
        ue.resume(&mut session).await.expect("resources");
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        is_new(&ue, "service request that answers a page");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TC_UE_SEC_CAP_HANDLING_AMF: no algorithm at all, null algorithms alone, none of the mandatory ones.
#[test]
fn scas_4_2_2_6_1_invalid_or_unacceptable_ue_security_capabilities_handling() {
    for (seed, (nea, nia)) in (16..).zip([(vec![], vec![]), (vec![0], vec![0]), (vec![0, 1, 2], vec![7])]) {
        let mut setup = Setup::new(seed, 1);
        (setup.group().nea, setup.group().nia) = (nea, nia);
        simulate(setup, async |sim| {
            let mut ue = sim.ue(0);
            let (message, cause) = rejection(ue.register().await);
            assert_eq!((message, cause), ("REGISTRATION REJECT", 23));
            assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 0);
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// The gNB is told the capabilities that the UE has.
#[test]
fn scas_4_2_2_6_2_correct_transfer_of_ue_security_capabilities_in_as_security_establishment() {
    for (seed, (nea, nia)) in (20..).zip([(0xf0, 0xf0), (0xc0, 0x20), (0xa0, 0x30)]) {
        let mut setup = Setup::new(seed, 1);
        let numbers = |bits: u8| (0..8).filter(|bit| bits & 0x80 >> bit != 0).collect::<Vec<u8>>();
        (setup.group().nea, setup.group().nia) = (numbers(nea), numbers(nia));
        simulate(setup, async |sim| {
            let told = Arc::new(Mutex::new(Vec::new()));
            let list = Arc::clone(&told);
            sim.on_n2(move |_, _, message| {
                let pdu = tern_ngap::decode(&message.data);
                if let Ok(pdu) = pdu.as_ref()
                    && pdu.kind() == NgapPduKind::Initiating_InitialContextSetup
                {
                    list.lock().expect("no panic").extend(capability_in(pdu));
                }
                MemVerdict::Pass
            });
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            let own = SecurityCapability::from_nas(&[nea, nia]).without_null();
            assert_eq!(*told.lock().expect("no panic"), [own]);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_conforming();
        });
    }
}
