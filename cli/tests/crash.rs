//! A network function is killed while it works.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tern_crypto::Milenage;
use tern_tests::core::{K, OPC};
use tokio::task::JoinSet;
use ue_ransim::Rig;
use ue_ransim::ue::{Fate, Ue, Way};

use crate::world::{World, clean, isolated, isolated_times, kill, lives, runs};

/// UEs of a burst.
const UES: u32 = 64;
/// Times that one core's UDR is killed: the launcher gives a core up whose processes die too often.
const KILLS: u32 = 3;
/// Challenges of the burst before the UDR is killed, in turn.
const CHALLENGES: [usize; 3] = [1, 24, 60];

#[test]
fn when_the_udr_is_killed_during_a_burst_then_no_subscriber_and_no_sequence_number_is_lost() {
    isolated_times(
        runs(KILLS).div_ceil(KILLS),
        "crash::when_the_udr_is_killed_during_a_burst_then_no_subscriber_and_no_sequence_number_is_lost",
        udr_is_killed,
    );
}

/// The test above would see a sequence number used twice: here the store forgets them.
#[test]
fn when_the_store_is_rolled_back_then_the_reuse_is_seen() {
    isolated("crash::when_the_store_is_rolled_back_then_the_reuse_is_seen", store_is_rolled_back);
}

/// Sequence numbers that UEs have been given, in order.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Given {
    /// Takes the sequence number out of each AUTHENTICATION REQUEST that this UE receives.
    fn watch(&self, ue: &mut Ue) {
        let (given, supi) = (self.clone(), ue.supi().to_string());
        ue.set_radio(move |way, octets| {
            if let (Way::Down, Some(sqn)) = (way, sqn_of(octets)) {
                given.all().entry(supi.clone()).or_default().push(sqn);
            }
            Fate::Arrives
        });
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.all().values().map(Vec::len).sum()
    }

    /// A number that is not above all before it, if there is one. A repetition of the same message
    /// is none: T3560 sends it again (TS 24.501 §5.4.1.3.7).
    fn reused(&self) -> Option<(String, Vec<u64>)> {
        let all = self.all();
        let wrong = |list: &[u64]| list.windows(2).any(|pair| pair[1] <= pair[0]);
        all.iter().find(|(_, list)| wrong(list)).map(|(supi, list)| (supi.clone(), list.clone()))
    }
}

/// SQN = (SQN ⊕ AK) ⊕ AK (TS 33.102 §6.3.2) of a plain AUTHENTICATION REQUEST with an ABBA of two
/// octets (TS 24.501 §8.2.1).
fn sqn_of(octets: &[u8]) -> Option<u64> {
    let [0x7e, 0x00, 0x56, _, 2, 0, 0, 0x21, rest @ ..] = octets else { return None };
    let (rand, rest) = rest.split_first_chunk::<16>()?;
    let autn = rest.strip_prefix(&[0x20, 16])?;
    let mut key = ([0; 16], [0; 16]);
    for (text, octets) in [(K, &mut key.0), (OPC, &mut key.1)] {
        for (index, octet) in octets.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
    }
    let ak = Milenage::new(&key.0, &key.1).f2345(rand).ak;
    Some(autn.iter().zip(ak).take(6).fold(0, |sqn, (a, b)| sqn << 8 | u64::from(a ^ b)))
}

/// Each UE comes anew, without 5G-GUTI and keys, and registers once; how many succeed. What the
/// USIM has accepted before does not matter here: `Given` judges the numbers.
fn burst(rig: &mut Rig, given: &Given) -> Result<JoinSet<bool>> {
    let mut tasks = JoinSet::new();
    for index in 0..UES {
        let mut ue = rig.ue(index)?;
        given.watch(&mut ue);
        tasks.spawn(async move { ue.register().await.is_ok() });
    }
    Ok(tasks)
}

async fn succeeded(mut tasks: JoinSet<bool>) -> usize {
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += usize::from(done.unwrap_or(false));
    }
    count
}

async fn udr_is_killed() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(UES).await?;
    let config = world.config(UES);
    let mut rig = world.rig(config).await?;
    let given = Given::default();
    for run in 1..=KILLS {
        let before = given.count();
        let udr = world.pids()?["udr"];
        let tasks = burst(&mut rig, &given)?;
        while given.count() < before + CHALLENGES[run as usize % CHALLENGES.len()] {
            ensure!(!tasks.is_empty(), "nobody is challenged");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        kill(udr, Signal::KILL)?;
        let registered = succeeded(tasks).await;
        world.logged(&["udr ended", "starting it again"]).await?;
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while world.log().iter().filter(|line| line.contains("udr is registered again")).count()
            < run as usize
        {
            ensure!(std::time::Instant::now() < until, "the UDR is not registered again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(!lives(udr) && world.pids()?["udr"] != udr);
        println!(
            "MEASURED UDR killed, run {run}: {} challenges, {registered} of {UES} registered at once",
            given.count() - before
        );

        // All are there, and all can come.
        let list = world.tern(&["subscriber", "list"]).await?;
        ensure!(list.lines().count() == UES as usize, "{list}");
        // For a moment others may still have no way to the UDR: who is refused comes again.
        let until = std::time::Instant::now() + Duration::from_secs(10);
        let mut again = 0;
        while again < UES as usize && std::time::Instant::now() < until {
            again = succeeded(burst(&mut rig, &given)?).await;
        }
        ensure!(again == UES as usize, "{again} of {UES} registered after the restart");
        if let Some((supi, list)) = given.reused() {
            anyhow::bail!("{supi} was given {list:x?}");
        }
    }
    ensure!(given.count() >= 2 * UES as usize, "{} challenges seen", given.count());
    rig.stop().await;
    clean(&rig)?;
    let log = world.log();
    crate::world::check_log(&log)?;
    world.core.take().context("the core")?.stop().await
}

async fn store_is_rolled_back() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(UES).await?;
    let config = world.config(UES);
    let mut rig = world.rig(config).await?;
    let given = Given::default();
    let data = world.directory.join("data");
    // The store and its journal, as a copy that is made of both at once.
    let files = ["udr.redb", "udr.redb.journal"];
    let copied = |from: &Path, to: &Path| {
        files.iter().try_for_each(|file| std::fs::copy(from.join(file), to.join(file)).map(|_| ()))
    };
    let old = world.directory.join("old");
    std::fs::create_dir(&old)?;
    copied(&data, &old)?;
    ensure!(succeeded(burst(&mut rig, &given)?).await == UES as usize);
    ensure!(given.reused().is_none());

    // The launcher is kept from restarting it until the old store is in place.
    let core = world.core.as_mut().context("the core")?;
    core.process().signal(Signal::STOP)?;
    let udr = world.pids()?["udr"];
    kill(udr, Signal::KILL)?;
    while lives(udr) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    copied(&old, &data)?;
    let core = world.core.as_mut().context("the core")?;
    core.process().signal(Signal::CONT)?;
    world.logged(&["udr is registered again"]).await?;
    succeeded(burst(&mut rig, &given)?).await;
    ensure!(given.reused().is_some(), "a sequence number given out twice is not seen");
    rig.stop().await;
    world.core.take().context("the core")?.stop().await
}
