//! Procedures of UEs that all do the same at the same time: the core with its SBI over TCP against the core
//! with its SBI through shared memory.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tern_figures::{Bound, Row, Spread, plot, ratio};
use tern_tests::core::Sbi;

use crate::ues::{Role, Times};
use crate::{Bench, Report, Series, Served};

/// UEs at once.
pub const POINTS: [u32; 6] = [1, 4, 8, 16, 32, 64];
/// Latency ÷ UEs may grow by this much between these two.
const KNEE: (u32, u32, f64) = (16, 64, 1.3);
/// How long one run may take.
const RUN_TIME: Duration = Duration::from_secs(90);
const ARMS: [(&str, Sbi); 2] = [("tcp", Sbi::Tcp), ("shm", Sbi::Shm)];
/// For fewer UEs no ratio is promised.
const COMPARED_FROM: u32 = 4;

/// A procedure's times.
type Of = fn(&Times) -> &Vec<f64>;

/// What the ratio must be and should be, as the mean over the numbers of UEs.
#[derive(Clone, Copy)]
struct Goal {
    must: f64,
    aim: f64,
}

/// Procedures, their goals, and where their times are.
const PROCEDURES: [(&str, Option<Goal>, Of); 4] = [
    ("registration", Some(Goal { must: 1.9, aim: 2.2 }), |times| &times.registration),
    ("PDU session establishment", Some(Goal { must: 2.1, aim: 2.5 }), |times| &times.session),
    ("paging", Some(Goal { must: 1.6, aim: 2.0 }), |times| &times.paging),
    ("N2 handover", None, |times| &times.handover),
];

/// A procedure of so many UEs at once.
#[derive(Debug, Serialize)]
pub struct Point {
    procedure: &'static str,
    sbi: &'static str,
    ues: u32,
    /// Milliseconds, over all UEs of all runs.
    ms: Spread,
    /// Median of each run, in the order of the runs.
    run_p50_ms: Vec<f64>,
}

/// Measures and reports.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut ratios = PROCEDURES.map(|_| Vec::new());
    for &ues in &bench.ues {
        let arms = bench.stop.unless_asked(turns(bench, ues)).with_context(|| format!("{ues} UEs"))?;
        for ((procedure, _, of), ratios) in PROCEDURES.into_iter().zip(&mut ratios) {
            let [tcp, shm] = [0, 1].map(|arm| point(procedure, ARMS[arm].0, ues, &arms[arm], of));
            let note = format!(
                "p50 {:.2} ÷ {:.2} ms, p99 {:.2} ÷ {:.2} ms",
                tcp.ms.p50, shm.ms.p50, tcp.ms.p99, shm.ms.p99
            );
            let figure = ratio(&tcp.run_p50_ms, &shm.run_p50_ms);
            if ues >= COMPARED_FROM {
                ratios.push(figure.p50);
            }
            let what = format!("{procedure}, {ues} UEs at once: TCP ÷ shared memory");
            report.row(Row::ratio(what, figure, note));
            report.series.extend([tcp, shm].map(Series::AtOnce));
        }
    }
    for ((procedure, goal, _), ratios) in PROCEDURES.into_iter().zip(ratios) {
        let Some(Goal { must, aim }) = goal.filter(|_| !ratios.is_empty()) else { continue };
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let what = format!("{procedure}, mean from {COMPARED_FROM} UEs on: TCP ÷ shared memory");
        let row = Row::ratio(what, Spread::of(vec![mean]), "");
        report.row(row.goal(Bound::AtLeast(aim)).must(Bound::AtLeast(must)));
    }
    knee(report);
    Ok(())
}

/// Runs of both cores, in turn.
async fn turns(bench: &Bench, ues: u32) -> Result<[Vec<Times>; 2]> {
    let mut cores = Vec::new();
    for (name, sbi) in ARMS {
        cores.push(Served::start(bench, name, sbi, ues + 1).await?);
    }
    let role = Role::AtOnce { ues };
    let mut runs = [Vec::new(), Vec::new()];
    for run in 0..=bench.runs {
        for (core, runs) in cores.iter().zip(&mut runs) {
            let times: Times = core.measure(&role, RUN_TIME).await?;
            // The first one fills the caches of discovery.
            if run > 0 {
                runs.push(times);
            }
        }
    }
    for core in cores {
        core.stop().await?;
    }
    Ok(runs)
}

fn point(procedure: &'static str, sbi: &'static str, ues: u32, runs: &[Times], of: Of) -> Point {
    let run_p50_ms = runs.iter().map(|run| Spread::of(of(run).clone()).p50).collect();
    let ms = Spread::of(runs.iter().flat_map(|run| of(run).iter().copied()).collect());
    Point { procedure, sbi, ues, ms, run_p50_ms }
}

fn points(report: &Report) -> impl Iterator<Item = &Point> {
    report.series.iter().filter_map(|series| match series {
        Series::AtOnce(point) => Some(point),
        _ => None,
    })
}

/// Whether more UEs at once cost each of them more than their number.
fn knee(report: &mut Report) {
    let (few, many, most) = KNEE;
    let mut rows = Vec::new();
    for (procedure, goal, _) in PROCEDURES {
        let at = |ues| points(report).find(|p| p.procedure == procedure && p.sbi == "shm" && p.ues == ues);
        let (Some(fewer), Some(more)) = (at(few), at(many)) else { continue };
        let growth = (more.ms.p50 / f64::from(many)) / (fewer.ms.p50 / f64::from(few));
        let what = format!("{procedure}: latency ÷ UEs at {many} ÷ that at {few}, shared memory");
        let note = format!("p50 {:.2} and {:.2} ms", more.ms.p50, fewer.ms.p50);
        let row = Row::ratio(what, Spread::of(vec![growth]), note);
        rows.push(if goal.is_some() { row.must(Bound::AtMost(most)) } else { row });
    }
    rows.into_iter().for_each(|row| report.row(row));
}

/// A picture of each procedure: its name, and what is in the file.
pub fn plots(report: &Report) -> Vec<(String, String)> {
    let curve = |procedure: &str, name, colour, sbi: &str, of: fn(&Spread) -> f64| plot::Curve {
        name,
        colour,
        points: points(report)
            .filter(|point| point.procedure == procedure && point.sbi == sbi)
            .map(|point| (point.ues, of(&point.ms)))
            .collect(),
    };
    let picture = |procedure: &str| {
        let curves = [
            curve(procedure, "TCP, p50", "#b8570d", "tcp", |ms| ms.p50),
            curve(procedure, "TCP, p99", "#f0b27a", "tcp", |ms| ms.p99),
            curve(procedure, "shared memory, p50", "#1b6ca8", "shm", |ms| ms.p50),
            curve(procedure, "shared memory, p99", "#8fc1e3", "shm", |ms| ms.p99),
        ];
        let name = format!("core-{}.svg", procedure.to_lowercase().replace(' ', "-"));
        (name, plot::svg(procedure, report.machine(), &curves))
    };
    let measured = |(procedure, ..): &(&str, _, _)| points(report).any(|point| point.procedure == *procedure);
    PROCEDURES.iter().filter(|one| measured(one)).map(|(procedure, ..)| picture(procedure)).collect()
}
