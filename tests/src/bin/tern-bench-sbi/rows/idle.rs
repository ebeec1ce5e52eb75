//! The whole core without work: CPU time of all its processes, by thread.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tern_figures::{Bound, Row};
use tern_tests::bench::{Spread, cpu, load::Loaded};
use tern_tests::core::{Sbi, Setup};

use crate::Bench;
use crate::report::Report;

/// What a core does after its start is over by then.
const SETTLE: Duration = Duration::from_secs(10);
/// The thread that is usrsctp's timer, which ticks always: it is told apart.
const USRSCTP_TIMER: &str = "sctp-timers";

/// A thread that was not idle.
#[derive(Debug, Serialize)]
pub struct Busy {
    process: String,
    thread: String,
    percent_of_a_core: f64,
}

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (time, busy) = bench.stop.unless_asked(watch(bench))?;
    let of = |timer: bool| -> f64 {
        let chosen = busy.iter().filter(|busy| (busy.thread == USRSCTP_TIMER) == timer);
        chosen.map(|busy| busy.percent_of_a_core).sum()
    };
    let row = |what: &str, percent: f64, note: String| {
        Row::new(what, Spread::of(vec![percent]), "% of a core", note)
    };
    let most: Vec<String> = busy
        .iter()
        .take(4)
        .map(|busy| format!("{}/{} {:.3}", busy.process, busy.thread, busy.percent_of_a_core))
        .collect();
    let idle = row(
        "idle CPU of all network functions, manager and launcher",
        of(false),
        format!("{:.0} s, not pinned, no gNB; most: {}", time.as_secs_f64(), most.join(", ")),
    );
    report.row(idle.goal(Bound::AtMost(0.2)).must(Bound::AtMost(0.2)));
    report.row(row("idle CPU of usrsctp's timer thread", of(true), "not in the line above".to_owned()));
    report.idle = busy;
    Ok(())
}

/// How long it was watched, and the threads, the busiest first.
async fn watch(bench: &Bench) -> Result<(Duration, Vec<Busy>)> {
    let directory = bench.output.join("sbi");
    let setup = Setup { sbi: Sbi::Shm, ..Setup::new(&bench.tern, directory.join("idle")) };
    let core = Loaded::start(directory, setup, "", 1).await?;
    tokio::time::sleep(SETTLE).await;
    let (before, started) = (cpu::of_threads(core.launcher())?, Instant::now());
    tokio::time::sleep(bench.idle_time).await;
    let (after, time) = (cpu::of_threads(core.launcher())?, started.elapsed());
    core.finish().await?;
    let mut busy: Vec<Busy> = after
        .into_iter()
        .map(|(key, used)| {
            let used = used.saturating_sub(before.get(&key).copied().unwrap_or_default());
            let percent_of_a_core = 100.0 * used.as_secs_f64() / time.as_secs_f64();
            Busy { process: key.0, thread: key.1, percent_of_a_core }
        })
        .collect();
    busy.sort_by(|a, b| b.percent_of_a_core.total_cmp(&a.percent_of_a_core));
    Ok((time, busy))
}
