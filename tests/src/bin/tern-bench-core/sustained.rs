//! UEs that come at a rate: the highest at which 99 of 100 are registered soon, and what becomes of them at five
//! times that.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tern_figures::{Bound, Row, Spread};
use tern_tests::core::Sbi;

use crate::ues::{Arrivals, Role, WARM_UP_S};
use crate::{Bench, Report, Series, Served};

/// What 99 of 100 registrations may take.
const P99_MAX_MS: f64 = 100.0;
/// UEs a second at first; then so much more as long as it goes.
const RATE_FIRST: f64 = 100.0;
const GROWTH: f64 = 1.5;
/// Rates that are tried in all, and UEs a second at most.
const STEPS_MAX: u32 = 12;
const RATE_MAX: f64 = 4_000.0;
/// Rates as near to one another as this are one.
const NEAR: f64 = 1.06;
/// How long a rate lasts, behind the warm-up.
const SECONDS: u64 = 8;
/// What comes beyond the highest rate.
const BEYOND: f64 = 5.0;
/// Registrations a second there ÷ those at the best rate.
const GOODPUT_MUST: f64 = 0.9;
/// How long it may take in all.
const STEP_TIME: Duration = Duration::from_secs(60);
/// Enough for the highest rate: eight seconds and the warm-up.
const SUBSCRIBERS: u32 = 40_000;

/// One rate.
#[derive(Debug, Serialize)]
pub struct Step {
    sbi: &'static str,
    /// UEs that come.
    registrations_per_s: f64,
    /// UEs that are registered meanwhile.
    goodput_per_s: f64,
    /// Of these.
    ms: Spread,
    failed: u32,
}

impl Step {
    async fn measure(core: &Served, sbi: &'static str, rate: f64) -> Result<Self> {
        // No more come than there are subscribers.
        let enough = (f64::from(SUBSCRIBERS) / rate) as u64;
        let seconds = SECONDS.min(enough.saturating_sub(WARM_UP_S)).max(1);
        let arrivals: Arrivals = core.measure(&Role::Arrive { rate, seconds }, STEP_TIME).await?;
        let ms = Spread::of(arrivals.registration);
        let (failed, goodput_per_s) = (arrivals.failed, arrivals.goodput_per_s);
        println!("  {sbi}: {rate:.0}/s, p50 {:.2}, p99 {:.2} ms, {failed} failed", ms.p50, ms.p99);
        Ok(Self { sbi, registrations_per_s: rate, goodput_per_s, ms, failed })
    }

    fn holds(&self) -> bool {
        self.failed == 0 && self.ms.p99 < P99_MAX_MS
    }
}

/// Measures and reports.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, sbi) in [("shm", Sbi::Shm), ("tcp", Sbi::Tcp)] {
        let (steps, beyond) = bench.stop.unless_asked(search(bench, name, sbi))?;
        let (rate, note) = match best(&steps) {
            Some(step) => (
                step.registrations_per_s,
                format!(
                    "p50 {:.2}, p99 {:.2} ms; {SECONDS} s a rate; simulator beside it",
                    step.ms.p50, step.ms.p99
                ),
            ),
            None => (0.0, "at no rate".to_owned()),
        };
        let what = format!("registrations a second with a p99 below {P99_MAX_MS} ms, {name}");
        report.row(Row::new(what, Spread::of(vec![rate]), "/s", note).must(Bound::Above(0.0)));
        if let Some(beyond) = &beyond {
            report_beyond(report, &steps, beyond);
        }
        report.series.extend(beyond.map(Series::Sustained));
        report.series.extend(steps.into_iter().map(Series::Sustained));
    }
    Ok(())
}

/// The highest rate that holds.
fn best(steps: &[Step]) -> Option<&Step> {
    let holding = steps.iter().filter(|step| step.holds());
    holding.max_by(|a, b| a.registrations_per_s.total_cmp(&b.registrations_per_s))
}

/// Too many come: as many as ever are to be registered, and as soon.
fn report_beyond(report: &mut Report, steps: &[Step], beyond: &Step) {
    let peak = steps.iter().map(|step| step.goodput_per_s).fold(0.0, f64::max);
    let what = format!("goodput at {BEYOND} times that rate ÷ the peak, {}", beyond.sbi);
    let note = format!(
        "{:.0} of {:.0} a second are registered, the peak is {peak:.0}; {} refused",
        beyond.goodput_per_s, beyond.registrations_per_s, beyond.failed
    );
    let row = Row::ratio(what, Spread::of(vec![beyond.goodput_per_s / peak]), note);
    report.row(row.must(Bound::AtLeast(GOODPUT_MUST)));
    let what = format!("p99 of UEs that are registered at {BEYOND} times that rate, {}", beyond.sbi);
    let note = format!("p50 {:.2} ms", beyond.ms.p50);
    let row = Row::new(what, Spread::of(vec![beyond.ms.p99]), "ms", note);
    report.row(row.must(Bound::AtMost(P99_MAX_MS)));
}

/// Grows the rate until it is too high, then halves the distance; at last far beyond the best one.
async fn search(bench: &Bench, name: &'static str, sbi: Sbi) -> Result<(Vec<Step>, Option<Step>)> {
    let core = Served::start(bench, name, sbi, SUBSCRIBERS).await?;
    let mut steps: Vec<Step> = Vec::new();
    let (mut good, mut bad) = (None::<f64>, None::<f64>);
    for _ in 0..STEPS_MAX {
        let rate = match (good, bad) {
            (None, None) => RATE_FIRST,
            (Some(good), None) => (good * GROWTH).min(RATE_MAX),
            (None, Some(bad)) => bad / GROWTH,
            (Some(good), Some(bad)) => (good * bad).sqrt(),
        };
        let step = Step::measure(&core, name, rate).await?;
        if step.holds() {
            good = Some(rate);
        } else {
            bad = Some(rate);
        }
        steps.push(step);
        let found = good.zip(bad).is_some_and(|(good, bad)| bad / good < NEAR);
        if found || good.is_some_and(|good| good >= RATE_MAX) {
            break;
        }
    }
    let beyond = match best(&steps) {
        Some(best) => Some(Step::measure(&core, name, best.registrations_per_s * BEYOND).await?),
        None => None,
    };
    core.stop().await?;
    Ok((steps, beyond))
}
