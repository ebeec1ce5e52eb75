//! Registration, sessions and deregistration where nothing goes wrong: TS 23.502 §4.2.2, §4.3.2.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use crate::simulation::{Nf, Setup, simulate};

/// TS 23.502 §4.2.2.2.2, §4.3.2.2.1, §4.2.2.3.2.
#[test]
fn when_one_ue_registers_and_has_a_session_then_all_functions_know_it_and_forget_it() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let session = ue.establish_session(Default::default()).await.expect("a session");
        assert!(session.address.to_string().starts_with("10.45."), "{}", session.address);
        sim.settle().await;
        let all = BTreeMap::from([
            ("AMF registered", 1),
            ("AMF connected", 1),
            ("AMF sessions", 1),
            ("SMF sessions", 1),
            ("SMF addresses", 1),
            ("UPF sessions", 1),
            ("PCF AM policies", 1),
            ("PCF SM policies", 1),
            ("UDM SMF registrations", 1),
            ("UDM subscriptions", 2),
            ("UDM AMF registrations", 1),
        ]);
        assert_eq!(sim.held().await, all);
        ue.release_session(session.psi).await.expect("released");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 1);
    });
}

/// As above, many at once, over several gNBs.
#[test]
fn when_64_ues_come_at_once_then_each_registers_and_has_a_session() {
    simulate(Setup::new(2, 64).gnbs(3), async |sim| {
        let mut tasks = JoinSet::new();
        for index in 0..64 {
            let mut ue = sim.ue(index);
            tasks.spawn(async move {
                ue.register().await?;
                let session = ue.establish_session(Default::default()).await?;
                ue.deregister(false).await?;
                Ok::<_, ue_ransim::SimError>(session.address)
            });
        }
        let mut addresses = Vec::new();
        while let Some(done) = tasks.join_next().await {
            addresses.push(done.expect("no panic").expect("registered with a session"));
        }
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 64);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}
