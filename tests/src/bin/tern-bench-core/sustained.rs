//! UEs that come at a rate: the highest at which 99 of 100 are registered soon.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tern_figures::{Bound, Row, Spread};
use tern_tests::core::Sbi;

use crate::ues::{Arrivals, Role};
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
/// How long it may take in all.
const STEP_TIME: Duration = Duration::from_secs(60);
/// Enough for the highest rate: eight seconds and the warm-up.
const SUBSCRIBERS: u32 = 40_000;

/// One rate.
#[derive(Debug, Serialize)]
pub struct Step {
    sbi: &'static str,
    registrations_per_s: f64,
    ms: Spread,
    failed: u32,
}

impl Step {
    fn holds(&self) -> bool {
        self.failed == 0 && self.ms.p99 < P99_MAX_MS
    }
}

/// Measures and reports.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, sbi) in [("shm", Sbi::Shm), ("tcp", Sbi::Tcp)] {
        let steps = bench.stop.unless_asked(search(bench, name, sbi))?;
        let best = steps
            .iter()
            .filter(|step| step.holds())
            .max_by(|a, b| a.registrations_per_s.total_cmp(&b.registrations_per_s));
        let (rate, note) = match best {
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
        report.series.extend(steps.into_iter().map(Series::Sustained));
    }
    Ok(())
}

/// Grows the rate until it is too high, then halves the distance.
async fn search(bench: &Bench, name: &'static str, sbi: Sbi) -> Result<Vec<Step>> {
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
        let arrivals: Arrivals = core.measure(&Role::Arrive { rate, seconds: SECONDS }, STEP_TIME).await?;
        let ms = Spread::of(arrivals.registration);
        let step = Step { sbi: name, registrations_per_s: rate, ms, failed: arrivals.failed };
        println!("  {name}: {rate:.0}/s, p50 {:.2}, p99 {:.2} ms, {} failed", ms.p50, ms.p99, step.failed);
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
    core.stop().await?;
    Ok(steps)
}
