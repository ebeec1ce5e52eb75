//! Who a UE says it is: SUCI by each scheme, 5G-GUTI known and unknown. TS 24.501 §5.4.3,
//! §5.5.1.2.2, TS 33.501 §6.12, annex C.

use serde_json::json;
use tern_types::Guti5g;
use ue_ransim::config::SuciConfig;

use crate::outcome::cause;
use crate::simulation::{Nf, Setup, simulate};

/// Key pairs of TS 33.501 §C.4.
const PRIVATE_A: &str = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d";
const PUBLIC_A: &str = "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650";
const PRIVATE_B: &str = "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda";
const PUBLIC_B: &str = "0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1";

fn with_home_network_keys(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 1);
    let keys = json!([
        { "id": 1, "scheme": "A", "private_key": PRIVATE_A },
        { "id": 2, "scheme": "B", "private_key": PRIVATE_B },
    ]);
    setup.udm.home_network_keys = serde_json::from_value(keys).expect("keys");
    setup.udm.null_scheme = false;
    setup
}

/// TS 33.501 annex C.3.4.1, C.3.4.2.
#[test]
fn when_the_supi_is_concealed_by_profile_a_or_b_then_the_ue_registers() {
    let profile_a = SuciConfig { key_id: 1, profile_a: Some(PUBLIC_A.into()), ..SuciConfig::default() };
    let profile_b = SuciConfig { key_id: 2, profile_b: Some(PUBLIC_B.into()), ..SuciConfig::default() };
    for (seed, suci) in [(1, profile_a), (2, profile_b)] {
        let mut setup = with_home_network_keys(seed);
        setup.group().suci = suci;
        simulate(setup, async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// A key that the home network has not: TS 29.503 Table 6.3.7.3-1; the UE is not authenticated.
#[test]
fn when_the_home_network_key_is_unknown_then_the_ue_is_turned_away() {
    let mut setup = with_home_network_keys(1);
    setup.group().suci = SuciConfig { key_id: 9, profile_a: Some(PUBLIC_A.into()), ..SuciConfig::default() };
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(cause(ue.register().await), 3);
        assert_eq!(sim.counted(Nf::Udm, "udm.identities_refused"), 1);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// A scheme that the home network does not take, here the null scheme: TS 29.503 Table 6.3.7.3-1.
#[test]
fn when_the_scheme_is_not_taken_then_the_ue_is_turned_away() {
    simulate(with_home_network_keys(1), async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(cause(ue.register().await), 3);
        assert_eq!(sim.counted(Nf::Udm, "udm.identities_refused"), 1);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.5.1.2.5: #3 where the home network does not know the subscriber.
#[test]
fn when_the_supi_is_unknown_then_illegal_ue() {
    let mut setup = Setup::new(1, 1);
    setup.subscribers.clear();
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(cause(ue.register().await), 3);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// TS 24.501 §5.5.1.2.2, §5.4.1.1: a UE whose message proves its context is not challenged again.
#[test]
fn when_a_ue_comes_again_with_its_guti_then_it_is_known_and_gets_another_one() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let first = ue.guti().expect("a 5G-GUTI");
        ue.deregister(false).await.expect("deregistered");
        ue.register().await.expect("registered again");
        // TS 33.501 §6.12.3: a new one at each initial registration.
        assert_ne!(ue.guti().expect("a 5G-GUTI"), first);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 1);
        ue.deregister(true).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.4.3.1: who cannot be told from the 5G-GUTI is asked for the SUCI.
#[test]
fn when_the_guti_is_unknown_then_the_ue_is_asked_who_it_is() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        let guami = ue.link().map_or(sim.rig.gnbs[0].amf().guamis[0], |link| link.gnb().amf().guamis[0]);
        ue.set_guti(Some(Guti5g { guami, tmsi: 0x0123_4567 }));
        ue.register().await.expect("registered");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The 5G-GUTI is known, but nothing proves that it is this UE's (TS 24.501 §4.4.4.3): the older
/// context stays as it is until authentication has shown who comes.
#[test]
fn when_the_ue_has_lost_its_keys_then_it_is_authenticated_again() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        ue.lose_radio();
        ue.forget_security_context();
        ue.register().await.expect("registered again");
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 2);
        sim.settle().await;
        // TS 24.501 §5.5.1.2.4: an initial registration begins without sessions.
        assert!(!sim.held().await.contains_key("SMF sessions"), "{:?}", sim.held().await);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// An AMF that has died knows no 5G-GUTI of before.
#[test]
fn when_the_amf_has_restarted_then_the_ue_registers_anew() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        sim.restart(Nf::Amf).await;
        let gnb = sim.new_gnb(0).await;
        ue.move_to(&gnb);
        ue.register().await.expect("registered with the new AMF");
        ue.establish_session(Default::default()).await.expect("a session");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}
