//! Arms in turn, and what comes of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tern_tests::bench::{Spread, cpu};
use tokio::runtime::Runtime;

use crate::Bench;
use crate::place::Placement;

/// Before the first round that counts, each arm runs this long.
const WARM_UP: Duration = Duration::from_millis(50);

/// The measuring end of an arm.
pub trait Client {
    /// Does the operation again and again until `until`, and adds the time of each.
    fn run(&mut self, until: Instant, times: &mut Vec<Duration>) -> Result<()>;
}

impl Client for &mut (dyn Client + '_) {
    fn run(&mut self, until: Instant, times: &mut Vec<Duration>) -> Result<()> {
        (**self).run(until, times)
    }
}

/// A client that blocks: one operation.
pub struct Blocking<F>(pub F);

impl<F: FnMut() -> Result<()>> Client for Blocking<F> {
    fn run(&mut self, until: Instant, times: &mut Vec<Duration>) -> Result<()> {
        let mut started = Instant::now();
        while started < until {
            (self.0)()?;
            let done = Instant::now();
            times.push(done - started);
            started = done;
        }
        Ok(())
    }
}

/// A client on a runtime of its own.
pub struct OnRuntime<F> {
    /// Where it runs.
    pub runtime: Runtime,
    /// One operation.
    pub call: F,
}

impl<F: AsyncFnMut() -> Result<()>> Client for OnRuntime<F> {
    fn run(&mut self, until: Instant, times: &mut Vec<Duration>) -> Result<()> {
        let call = &mut self.call;
        self.runtime.block_on(async {
            let mut started = Instant::now();
            while started < until {
                call().await?;
                let done = Instant::now();
                times.push(done - started);
                started = done;
            }
            Ok(())
        })
    }
}

/// One of the things that are compared.
pub struct Arm<'a> {
    /// Its name in the report.
    pub name: &'a str,
    /// The process of its other end.
    pub peer: u32,
    /// Its measuring end, in this process.
    pub client: Box<dyn Client + 'a>,
}

/// What an arm's rounds gave.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// What was measured.
    pub what: String,
    /// Which arm.
    pub arm: String,
    /// Where its ends were.
    pub placement: Placement,
    /// Operations in all.
    pub operations: usize,
    /// Microseconds of an operation, over all rounds.
    pub us: Spread,
    /// Median of each round, in the order of the rounds.
    pub round_p50_us: Vec<f64>,
    /// 99th percentile of each round.
    pub round_p99_us: Vec<f64>,
    /// CPU time of both ends for an operation, by rounds.
    pub cpu_us: Spread,
    /// The same, in the order of the rounds.
    pub round_cpu_us: Vec<f64>,
}

/// Runs the arms in turn, as many rounds as the bench has.
pub fn in_turn(
    bench: &Bench,
    what: &str,
    placement: Placement,
    arms: &mut [Arm<'_>],
) -> Result<Vec<Figures>> {
    let mut rounds: Vec<Rounds> = arms.iter().map(|_| Rounds::default()).collect();
    for arm in &mut *arms {
        one(arm, WARM_UP, &mut Rounds::default())?;
    }
    for _ in 0..bench.rounds {
        for (arm, rounds) in arms.iter_mut().zip(&mut rounds) {
            bench.stop.check()?;
            one(arm, bench.round_time, rounds).with_context(|| format!("{what}: {}", arm.name))?;
        }
    }
    let names = arms.iter().map(|arm| arm.name);
    Ok(rounds.into_iter().zip(names).map(|(rounds, arm)| rounds.figures(what, arm, placement)).collect())
}

fn one(arm: &mut Arm<'_>, time: Duration, rounds: &mut Rounds) -> Result<()> {
    rounds.add(&mut *arm.client, arm.peer, time)
}

/// The rounds of an arm so far.
#[derive(Default)]
pub struct Rounds {
    us: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Rounds {
    /// One more round.
    pub fn add(&mut self, client: &mut dyn Client, peer: u32, time: Duration) -> Result<()> {
        let mut times = Vec::new();
        let cpu = || anyhow::Ok(cpu::of_self() + cpu::of_process(peer)?);
        let before = cpu()?;
        client.run(Instant::now() + time, &mut times)?;
        let used = cpu()?.saturating_sub(before);
        ensure!(!times.is_empty(), "no operation came to its end");
        let us: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        self.cpu_us.push(used.as_secs_f64() * 1e6 / us.len() as f64);
        let spread = Spread::of(us.clone());
        self.p50_us.push(spread.p50);
        self.p99_us.push(spread.p99);
        self.us.extend(us);
        Ok(())
    }

    /// What they gave.
    pub fn figures(self, what: &str, arm: &str, placement: Placement) -> Figures {
        Figures {
            what: what.to_owned(),
            arm: arm.to_owned(),
            placement,
            operations: self.us.len(),
            us: Spread::of(self.us),
            round_p50_us: self.p50_us,
            round_p99_us: self.p99_us,
            cpu_us: Spread::of(self.cpu_us.clone()),
            round_cpu_us: self.cpu_us,
        }
    }
}

/// Medians, 99th percentiles and CPU time behind a ratio.
pub fn note(over: &Figures, under: &Figures) -> String {
    format!(
        "{}; p50 {:.1} ÷ {:.1} µs, p99 {:.1} ÷ {:.1} µs, CPU {:.1} ÷ {:.1} µs",
        over.placement.name(),
        over.us.p50,
        under.us.p50,
        over.us.p99,
        under.us.p99,
        over.cpu_us.p50,
        under.cpu_us.p50,
    )
}
