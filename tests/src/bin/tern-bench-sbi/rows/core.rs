//! Registrations and PDU sessions of 4, 16 and 64 UEs at once: the core with its SBI over TCP against
//! the core with its SBI through shared memory, both up at the same time and loaded in turn.

use anyhow::{Context as _, Result};
use tern_figures::{Bound, Row, Spread, ratio};
use tern_tests::bench::load::{Loaded, Point, Run};
use tern_tests::core::{Sbi, Setup};

use crate::Bench;
use crate::report::Report;

/// UEs at once.
const POINTS: [u32; 3] = [4, 16, 64];
/// Where the other ways of shared memory are measured as well.
const MORE_AT: u32 = 16;
/// Latency ÷ UEs may grow by this much between these two.
const KNEE: (u32, u32, f64) = (16, 64, 1.3);

/// A core: its name, how its SBI travels, and further lines of its file.
type Arm = (&'static str, Sbi, &'static str);

const TCP: Arm = ("tcp", Sbi::Tcp, "");
const SHM: Arm = ("shm", Sbi::Shm, "");
const HTTP2: Arm = ("shm-http2", Sbi::Shm, "sbi_codec: http2\n");
const SESSION: Arm = ("shm-session", Sbi::Shm, "sbi_connections: session\n");

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.output.join("sbi");
    std::fs::create_dir_all(&directory)?;
    for ues in POINTS {
        let arms: &[Arm] = if ues == MORE_AT { &[TCP, SHM, HTTP2, SESSION] } else { &[TCP, SHM] };
        let points = bench.stop.unless_asked(turns(bench, arms, ues));
        let points = points.with_context(|| format!("{ues} UEs"))?;
        rows(report, ues, &points);
        for ((name, ..), point) in arms.iter().zip(points) {
            report.points.entry((*name).to_owned()).or_default().push(point);
        }
    }
    knee(report);
    Ok(())
}

async fn turns(bench: &Bench, arms: &[Arm], ues: u32) -> Result<Vec<Point>> {
    let directory = bench.output.join("sbi");
    let mut cores = Vec::new();
    for &(name, sbi, more) in arms {
        let setup = Setup { sbi, ..Setup::new(&bench.tern, directory.join(name)) };
        cores.push(Loaded::start(directory.clone(), setup, more, ues).await.context(name)?);
    }
    for core in &mut cores {
        core.warm_up().await?;
    }
    for _ in 0..bench.runs {
        for core in &mut cores {
            core.run().await?;
        }
    }
    let mut points = Vec::new();
    for core in cores {
        points.push(core.finish().await?);
    }
    Ok(points)
}

fn rows(report: &mut Report, ues: u32, points: &[Point]) {
    let [tcp, shm, more @ ..] = points else { return };
    let registration = |point: &Point| (point.registration_ms, series(point, |run| run.registration_ms));
    let session = |point: &Point| (point.session_ms, series(point, |run| run.session_ms));
    let (better, double) = (Bound::Above(1.0), Bound::AtLeast(2.0));
    let row = compared("registration latency", ues, registration(tcp), registration(shm));
    report.row(row.goal(Bound::AtLeast(2.2)).must(better));
    let row = compared("PDU session latency", ues, session(tcp), session(shm));
    report.row(row.goal(Bound::AtLeast(2.5)).must(better));
    let last = |point: &Point| (point.last_done_ms, series(point, |run| run.last_done_ms));
    let name = "first registration request to the last session, all at once";
    report.row(compared(name, ues, last(tcp), last(shm)).must(better));
    let cpu = |point: &Point| (point.core_cpu_ms_per_ue, series(point, |run| run.core_cpu_ms_per_ue));
    let name = "the core's CPU for registration, session and release, per UE";
    report.row(compared(name, ues, cpu(tcp), cpu(shm)).must(double));
    for (point, (arm, ..)) in more.iter().zip([HTTP2, SESSION]) {
        let name = |what: &str| format!("{what} ({arm} instead of shm)");
        report.row(compared(&name("registration latency"), ues, registration(tcp), registration(point)));
        report.row(compared(&name("PDU session latency"), ues, session(tcp), session(point)));
        report.row(compared(&name("the core's CPU per UE"), ues, cpu(tcp), cpu(point)));
    }
}

/// One figure of each run, in their order.
fn series(point: &Point, of: impl Fn(&Run) -> f64) -> Vec<f64> {
    point.by_run.iter().map(of).collect()
}

fn compared(what: &str, ues: u32, tcp: (Spread, Vec<f64>), shm: (Spread, Vec<f64>)) -> Row {
    let note = format!(
        "p50 {:.2} ÷ {:.2} ms, p99 {:.2} ÷ {:.2} ms; not pinned",
        tcp.0.p50, shm.0.p50, tcp.0.p99, shm.0.p99
    );
    Row::ratio(format!("{what}, {ues} UEs: TCP ÷ shared memory"), ratio(&tcp.1, &shm.1), note)
}

/// Whether more UEs at once cost each of them more than their number.
fn knee(report: &mut Report) {
    let (few, many, most) = KNEE;
    let mut rows = Vec::new();
    for arm in [SHM.0, TCP.0] {
        let points = report.points.get(arm).map(Vec::as_slice).unwrap_or_default();
        let at = |ues| points.iter().find(|point| point.ues == ues);
        let (Some(few_ues), Some(many_ues)) = (at(few), at(many)) else { continue };
        let figures = [
            ("registration", few_ues.registration_ms.p50, many_ues.registration_ms.p50),
            ("PDU session", few_ues.session_ms.p50, many_ues.session_ms.p50),
        ];
        for (what, few_ms, many_ms) in figures {
            let growth = (many_ms / f64::from(many)) / (few_ms / f64::from(few));
            let row = Row::ratio(
                format!("{what} latency ÷ UEs at {many} ÷ that at {few}, {arm}"),
                Spread::of(vec![growth]),
                format!("p50 {many_ms:.2} ms and {few_ms:.2} ms"),
            );
            rows.push(if arm == SHM.0 { row.goal(Bound::AtMost(most)) } else { row });
        }
    }
    rows.into_iter().for_each(|row| report.row(row));
}
