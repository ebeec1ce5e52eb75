//! One seed run twice gives one hash: nothing depends on addresses in memory, maps' orders, real
//! time or the threads beside.

use tokio::task::JoinSet;

use crate::simulation::{Outcome, Setup, simulate};

fn busy(seed: u64) -> Outcome<u64> {
    let mut setup = Setup::new(seed, 12).gnbs(2);
    setup.keep_trace = true;
    simulate(setup, async |sim| {
        sim.make_unreliable();
        let mut tasks = JoinSet::new();
        for index in 0..12 {
            let mut ue = sim.ue(index);
            tasks.spawn(async move {
                ue.register_persistently(5).await?;
                ue.establish_session(Default::default()).await?;
                ue.go_idle().await?;
                ue.service_request(&[]).await?;
                ue.deregister(false).await
            });
        }
        let mut fine = 0;
        while let Some(done) = tasks.join_next().await {
            fine += u64::from(done.expect("no panic").is_ok());
        }
        fine
    })
}

#[test]
fn when_a_seed_is_run_twice_then_all_is_the_same() {
    for seed in [1, 2, 3] {
        let (one, other) = (busy(seed), busy(seed));
        let differs = one.lines.iter().zip(&other.lines).enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differs, None, "seed {seed}, of {} and {} messages", one.lines.len(), other.lines.len());
        assert_eq!((one.hash, one.value), (other.hash, other.value), "seed {seed}");
        assert!(one.lines.len() > 1000);
    }
    assert_ne!(busy(1).hash, busy(2).hash);
}
