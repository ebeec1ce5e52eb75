//! What a packet costs.

use anyhow::{Result, ensure};
use serde::Serialize;
use tern_figures::place::Pinned;
use tern_figures::turns::{in_turn, timed};
use tern_figures::{Bound, Row, Spread, ratio};
use tern_upf::{BURST, ClassifierKind, Packet, PacketIo as _, Worker};

use crate::Bench;
use crate::floor::Floor;
use crate::report::{self, Report};
use crate::scene::{Scene, Shape};
use crate::source::{Direction, Source, Trace};

/// Packets of one pass.
const PASS: usize = 1 << 16;
/// Rules of a session where they are not what is varied.
const PDRS: usize = 8;

/// A goal: ÷ the floor, at so many sessions.
struct Goal {
    sessions: usize,
    must: f64,
    aim: f64,
}

const GOALS: [Goal; 4] = [
    Goal { sessions: 100, must: 2.0, aim: 1.0 },
    Goal { sessions: 10_000, must: 2.0, aim: 1.0 },
    Goal { sessions: 100_000, must: 3.0, aim: 1.5 },
    Goal { sessions: 1_000_000, must: 8.0, aim: 4.0 },
];
/// Million packets a second with the floor's I/O, at so many sessions.
const RATES: [(usize, f64, f64); 2] = [(10_000, 20.0, 30.0), (1_000_000, 7.0, 12.0)];
/// One packet at a time ÷ bursts, with the most sessions.
const BURSTS_MUST: f64 = 1.6;
const BURSTS_AIM: f64 = 2.0;
/// With a QER, with a URR ÷ without.
const ADDED_MUST: f64 = 1.2;
const ADDED_AIM: f64 = 1.1;

/// What was measured of one kind of packets.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// What differs.
    pub what: String,
    /// `uplink` or `downlink`.
    pub direction: &'static str,
    /// Sessions.
    pub sessions: usize,
    /// Rules of each.
    pub pdrs: usize,
    /// Packets at once.
    pub burst: usize,
    /// Nanoseconds a packet by rounds, without what the source of packets takes.
    pub ns: Spread,
    /// The source's.
    pub source_ns: Spread,
    /// In the order of the rounds.
    pub round_ns: Vec<f64>,
}

/// A user plane and its sessions.
struct Setting<'a> {
    what: &'a str,
    shape: Shape,
    scene: Scene,
    worker: Worker<Source>,
}

impl<'a> Setting<'a> {
    fn new((what, shape): &(&'a str, Shape)) -> Result<Self> {
        let mut scene = Scene::new(shape)?;
        let idle = Trace::new(&[], shape, Direction::Uplink).source(1);
        let worker = scene.plane.worker(idle);
        scene.establish(shape)?;
        Ok(Self { what, shape: *shape, scene, worker })
    }
}

/// Packets that the worker of a setting is given.
struct Arm {
    /// Which setting.
    setting: usize,
    direction: Direction,
    burst: usize,
    source: Source,
    packets: Vec<Packet>,
}

impl Arm {
    fn new(setting: usize, trace: &Trace, direction: Direction, burst: usize) -> Self {
        let packets = Packet::burst();
        Self { setting, direction, burst, source: trace.source(burst), packets }
    }

    /// Nanoseconds a packet, of the source alone and with the worker.
    fn round(&mut self, settings: &mut [Setting]) -> (f64, f64) {
        let worker = &mut settings[self.setting].worker;
        let turns = PASS / self.burst;
        let alone = timed(|| {
            for _ in 0..turns {
                // It is a source that cannot fail.
                let _ = self.source.receive(&mut self.packets, std::time::Duration::ZERO);
            }
        });
        std::mem::swap(worker.io_mut(), &mut self.source);
        let together = timed(|| (0..turns).for_each(|_| worker.turn()));
        std::mem::swap(worker.io_mut(), &mut self.source);
        (alone / PASS as f64, together / PASS as f64)
    }
}

/// Both directions through scenes of these shapes, in bursts of these sizes, all in turn: what differs between two
/// shapes is not what the machine did between them.
fn measure(bench: &Bench, shapes: &[(&str, Shape)], bursts: &[usize]) -> Result<Vec<Series>> {
    let mut settings = shapes.iter().map(Setting::new).collect::<Result<Vec<_>>>()?;
    let mut arms: Vec<Arm> = Vec::new();
    for (at, Setting { shape, scene, .. }) in settings.iter().enumerate() {
        for direction in Direction::ALL {
            let trace = Trace::new(&scene.ends, shape, direction);
            arms.extend(bursts.iter().map(|&burst| Arm::new(at, &trace, direction, burst)));
        }
    }
    let _pinned = Pinned::to(bench.core)?;
    arms.iter_mut().for_each(|arm| _ = arm.round(&mut settings));
    let mut alone = Vec::new();
    let rounds = in_turn(&mut arms, bench.rounds, |arm, _| {
        let (source, together) = arm.round(&mut settings);
        alone.push(source);
        together - source
    });
    let source_ns = Spread::of(alone);
    for arm in &arms {
        let worked = (1 + bench.rounds) * (PASS / arm.burst) * arm.burst;
        ensure!(arm.source.sent == worked as u64, "{} of {worked} packets came out", arm.source.sent);
    }
    let series = arms.iter().zip(rounds).map(|(arm, round_ns)| {
        let Setting { what, shape, .. } = &settings[arm.setting];
        Series {
            what: (*what).to_owned(),
            direction: arm.direction.name(),
            sessions: shape.sessions,
            pdrs: shape.pdrs,
            burst: arm.burst,
            ns: Spread::of(round_ns.clone()),
            source_ns,
            round_ns,
        }
    });
    Ok(series.collect())
}

/// By the number of sessions, against what `testpmd` takes to do nothing with a packet.
pub fn by_sessions(bench: &Bench, report: &mut Report) -> Result<()> {
    let floor = Floor::measure(bench)?;
    report.row(floor.row());
    let mut last = Vec::new();
    for goal in GOALS.iter().filter(|goal| goal.sessions <= bench.sessions) {
        let bursts = [BURST, 1];
        let series = measure(bench, &[("sessions", Shape::new(goal.sessions, PDRS))], &bursts)?;
        for one in series.iter().filter(|one| one.burst == BURST) {
            let over: Vec<f64> = one.round_ns.iter().map(|ns| ns / floor.ns).collect();
            let what = format!("{}, {} sessions ÷ floor", one.direction, one.sessions);
            let note = format!("{:.1} ns a packet, {PDRS} PDRs, QER, URR", one.ns.p50);
            let row = Row::ratio(what, Spread::of(over), note);
            report.row(row.goal(Bound::AtMost(goal.aim)).must(Bound::AtMost(goal.must)));
            for (_, must, aim) in RATES.iter().filter(|(sessions, ..)| *sessions == goal.sessions) {
                let rates: Vec<f64> = one.round_ns.iter().map(|ns| 1_000.0 / (ns + floor.ns)).collect();
                let what =
                    format!("{}, {} sessions, one core, with the floor's I/O", one.direction, one.sessions);
                let row = Row::new(what, Spread::of(rates), "Mpps", "from the two times added");
                report.row(row.goal(Bound::AtLeast(*aim)).must(Bound::AtLeast(*must)));
            }
        }
        report::add(report, &series);
        last = series;
    }
    for pair in last.chunks_exact(2) {
        let what = format!("{}, {} sessions, one at a time ÷ bursts", pair[0].direction, pair[0].sessions);
        let note = format!("{:.1} ns a packet one at a time", pair[1].ns.p50);
        let row = Row::ratio(what, ratio(&pair[1].round_ns, &pair[0].round_ns), note);
        report.row(row.goal(Bound::AtLeast(BURSTS_AIM)).must(Bound::AtLeast(BURSTS_MUST)));
    }
    Ok(())
}

/// By what a session is made of.
pub fn by_rules(bench: &Bench, report: &mut Report) -> Result<()> {
    const SESSIONS: usize = 10_000;
    /// Packet detection rules, and sessions that fit in memory with them.
    const SIZES: [(usize, usize); 5] = [(2, SESSIONS), (8, SESSIONS), (32, 1_000), (100, 100), (1_000, 10)];
    const KINDS: [(ClassifierKind, &str); 4] = [
        (ClassifierKind::Hybrid, "Hybrid"),
        (ClassifierKind::PartitionSort, "PartitionSort"),
        (ClassifierKind::TupleSpaceSearch, "TupleSpaceSearch"),
        (ClassifierKind::LinkedList, "LinkedList"),
    ];
    for (pdrs, sessions) in SIZES {
        let kinds =
            KINDS.map(|(classifier, name)| (name, Shape { classifier, ..Shape::new(sessions, pdrs) }));
        report::add(report, &measure(bench, &kinds, &[BURST])?);
    }
    let with = |what, qer, urr| (what, Shape { qer, urr, ..Shape::new(SESSIONS, PDRS) });
    let settings = [
        with("neither QER nor URR", false, false),
        with("QER", true, false),
        with("URR", false, true),
        with("QER and URR", true, true),
    ];
    let series = measure(bench, &settings, &[BURST])?;
    let of = |what: &'static str| series.iter().filter(move |one| one.what == what);
    for what in ["QER", "URR"] {
        for (one, without) in of(what).zip(of("neither QER nor URR")) {
            let added = ratio(&one.round_ns, &without.round_ns);
            let note = format!("{SESSIONS} sessions, {:.1} and {:.1} ns", one.ns.p50, without.ns.p50);
            let row = Row::ratio(format!("{}, with {what} ÷ without", one.direction), added, note);
            report.row(row.goal(Bound::AtMost(ADDED_AIM)).must(Bound::AtMost(ADDED_MUST)));
        }
    }
    report::add(report, &series);
    Ok(())
}
