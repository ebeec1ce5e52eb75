//! Two processes: the UPF on one core, a generator on another, and memif between them; and `testpmd` that only
//! moves frames in the UPF's place, in turn.

use std::time::Duration;

use anyhow::Result;
use tern_figures::{Row, Spread};
use tern_upf::{Config, DataPathKind};

use crate::Bench;
use crate::child::{Child, Role};
use crate::frames::config;
use crate::generator::{Ask, Found};
use crate::n4::Remote;
use crate::report::Report;
use crate::scene::{End, Shape};
use crate::testpmd;

const SESSIONS: usize = 10_000;
const PDRS: usize = 8;
/// Times that both are started.
const TURNS: usize = 2;
/// Far more than `testpmd` takes to start.
const TESTPMD_STARTS_IN: Duration = Duration::from_secs(3);

/// Devices of both ends; `place` tells those of one measurement from those of another.
fn devices(place: &str, role: &str) -> [String; 2] {
    let process = std::process::id();
    [0, 1].map(|port| {
        format!("net_memif{port},role={role},id={port},socket=/tern-bench-{process}-{place}-{port},socket-abstract=yes")
    })
}

/// What comes back, of the UPF and of `testpmd`.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let sessions = SESSIONS.min(bench.sessions);
    let mut all: [[Vec<f64>; 3]; 2] = Default::default();
    for turn in 0..TURNS {
        for (subject, rates) in all.iter_mut().enumerate() {
            let place = format!("{turn}-{subject}");
            let found = if subject == 0 { upf(bench, &place, sessions) } else { moved(bench, &place) }?;
            rates.iter_mut().zip(found).for_each(|(rates, found)| rates.extend(found));
        }
    }
    let [upf, moved] = all;
    for ((direction, ours), theirs) in
        ["uplink", "downlink", "both directions"].into_iter().zip(upf).zip(moved)
    {
        let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
        let note = format!(
            "{sessions} sessions, {PDRS} PDRs, QER, URR; testpmd io in its place {:.2} Mpps ({:.2}–{:.2}); wall clock, \
             all that comes back",
            theirs.p50, theirs.min, theirs.max
        );
        report.row(Row::new(format!("two processes, memif, {direction}"), ours, "Mpps", note));
    }
    Ok(())
}

fn upf(bench: &Bench, place: &str, sessions: usize) -> Result<Found> {
    let [n3, n6] = devices(place, "server");
    let shape = Shape::new(sessions, PDRS);
    let config = Config { sessions_max: sessions, ..config(DataPathKind::Dpdk, &n3, &n6) };
    let _upf = Child::start(&[], &Role::Upf { config: Box::new(config), core: bench.core })?;
    let (ends, _) = Remote::associate(Remote::socket()?)?.establish(&shape, 0..sessions)?;
    generate(bench, place, ends)
}

fn moved(bench: &Bench, place: &str) -> Result<Found> {
    let _testpmd = testpmd::start(bench, &[], &devices(place, "server"))?;
    // It does not say when it listens; a client that comes before is refused.
    std::thread::sleep(TESTPMD_STARTS_IN);
    let nowhere = End { teid: 1, ue: crate::scene::ue_address(0), seid: 0 };
    generate(bench, place, vec![nowhere])
}

fn generate(bench: &Bench, place: &str, ends: Vec<End>) -> Result<Found> {
    let ask = Ask {
        devices: devices(place, "client"),
        ends,
        rounds: bench.rounds.min(9),
        core: bench.cores.first().copied().unwrap_or_default(),
    };
    let mut generator = Child::start(&[], &Role::Generator(Box::new(ask)))?;
    let _: String = generator.hear()?;
    generator.hear()
}
