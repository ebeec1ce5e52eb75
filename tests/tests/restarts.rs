//! Network functions that die and come back in the middle of what UEs do: TS 29.500 §6.5, TS 23.527.

use std::time::Duration;

use tern_sbi_transport::Faults;
use tern_sctp::mem::MemFaults;
use tern_types::Random;

use crate::outcome::is_allowed;
use crate::simulation::{Nf, Setup, simulate};

/// Moments of a life that the delays below stretch.
const LIFE_MS: u64 = 400;

/// What is stored (the AUSF's pending authentications, the UDR's subscribers and sequence numbers,
/// the PCF's policies, the NRF's profiles) outlives the function; the rest is asked for again.
#[test]
fn when_a_network_function_restarts_at_any_moment_then_ues_are_served_again() {
    for nf in [Nf::Nrf, Nf::Udr, Nf::Udm, Nf::Ausf, Nf::Pcf, Nf::Nssf] {
        for moment in (3..LIFE_MS).step_by(50) {
            simulate(Setup::new(moment, 1), async |sim| {
                let mut late = Faults::new(Random::from_seed([7; 32]));
                late.delay_max = Duration::from_millis(10);
                sim.network.sbi.set_faults(Some(late));
                sim.network.sctp.set_faults(MemFaults::delayed(Duration::from_millis(5)));
                let mut ue = sim.ue(0);
                let life = tokio::spawn(async move {
                    let lived = async {
                        ue.register().await?;
                        ue.establish_session(Default::default()).await?;
                        ue.deregister(false).await
                    };
                    let lived = lived.await;
                    (ue, lived)
                });
                sim.pass(Duration::from_millis(moment)).await;
                sim.kill(nf).await;
                sim.pass(Duration::from_millis(200)).await;
                sim.restart(nf).await;
                let (mut ue, lived) = life.await.expect("no panic");
                assert!(is_allowed(&lived), "{nf} at {moment}: {lived:?}");
                sim.pass(Duration::from_secs(40)).await;
                ue.lose_radio();
                ue.register().await.unwrap_or_else(|error| panic!("{nf} at {moment}: {error}"));
                ue.establish_session(Default::default()).await.expect("a session");
                ue.deregister(false).await.expect("deregistered");
                sim.pass(Duration::from_secs(20)).await;
                sim.assert_nothing_held().await;
                sim.assert_conforming();
            });
        }
    }
}

/// TS 33.102 annex C: what the UDR has given out it never gives out again, also after a restart: no
/// USIM finds a sequence number used.
#[test]
fn when_the_udr_restarts_often_then_no_sequence_number_is_used_again() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        for _ in 0..8 {
            ue.forget_security_context();
            ue.register().await.expect("registered");
            ue.deregister(true).await.expect("deregistered");
            sim.restart(Nf::Udr).await;
        }
        assert_eq!(sim.rig.journal.counted("ue.synch_failure"), 0);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The AMF dies at any moment; its gNB comes again, and so does the UE.
#[test]
fn when_the_amf_dies_at_any_moment_then_the_ue_registers_with_its_successor() {
    for moment in (3..LIFE_MS).step_by(50) {
        simulate(Setup::new(moment, 1), async |sim| {
            sim.network.sctp.set_faults(MemFaults::delayed(Duration::from_millis(10)));
            let mut ue = sim.ue(0);
            let life = tokio::spawn(async move {
                let _ = ue.register().await;
                let _ = ue.establish_session(Default::default()).await;
                ue
            });
            sim.pass(Duration::from_millis(moment)).await;
            sim.restart(Nf::Amf).await;
            let mut ue = life.await.expect("no panic");
            let gnb = sim.new_gnb(0).await;
            ue.move_to(&gnb);
            sim.pass(Duration::from_secs(60)).await;
            ue.register().await.unwrap_or_else(|error| panic!("{moment}: {error}"));
            ue.establish_session(Default::default()).await.expect("a session");
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(20)).await;
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}
