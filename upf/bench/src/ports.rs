//! A worker on ports of DPDK, in one process: null devices whose frames are written as they are received, and
//! rings that another core fills. What is measured is a process of its own, as it starts DPDK once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tern_dpdk::{Eal, Frame, Memory, Options, Port as DpdkPort, Queue};
use tern_figures::place::Pinned;
use tern_figures::turns::{in_turn, timed};
use tern_pfcp::Frame as Pfcp;
use tern_upf::{
    BURST, Config, DataPathKind, EthernetIo, Packet, PacketIo, Port, Worker, dpdk_io, worker_of_ue,
};

use crate::frames::{Frames, LONG, SHORT, config, frame_octets};
use crate::pfcp::handover;
use crate::scene::{End, Scene, Shape};
use crate::source::{Direction, Hit, Trace};

/// Packets of one pass.
const PASS: usize = 1 << 16;
/// Packets of one pass of two workers at the same time, or while rules change.
const LONG_PASS: usize = 1 << 18;
/// Rules of a session.
const PDRS: usize = 8;
/// How long rings are looked at for one figure.
const WINDOW: Duration = Duration::from_millis(100);
/// Buffers: more than are ever under way.
const BUFFERS: u32 = 16_383;
const MEMORY_MIB: u32 = 128;
const FRAME_MAX: u16 = 2_048;
/// Changes of rules a second.
pub const CHANGES: f64 = 50_000.0;

/// What is to be measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Sessions.
    pub sessions: usize,
    /// Rounds of each arm.
    pub rounds: usize,
    /// The worker's processor, and the one of what is beside it.
    pub core: usize,
    /// As above.
    pub other: usize,
    /// Whether the slow parts that do not depend on the number of sessions are measured too.
    pub all: bool,
}

/// An arm with what it took in each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arm {
    /// What it is.
    pub what: String,
    /// Nanoseconds a packet, or million packets a second.
    pub rounds: Vec<f64>,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Whether buffers were in huge pages.
    pub huge_pages: bool,
    /// Cycles of the time stamp counter in a nanosecond.
    pub ghz: f64,
    /// All arms.
    pub arms: Vec<Arm>,
    /// Changes of rules a second that there were.
    pub changes: f64,
}

impl Found {
    fn new(eal: Eal) -> Self {
        Self {
            huge_pages: eal.has_huge_pages(),
            ghz: eal.tsc_hz() as f64 / 1e9,
            arms: Vec::new(),
            changes: 0.0,
        }
    }

    fn add(&mut self, what: impl Into<String>, rounds: Vec<f64>) {
        self.arms.push(Arm { what: what.into(), rounds });
    }

    /// An arm by its name.
    pub fn arm(&self, what: &str) -> Result<&[f64]> {
        let arm = self.arms.iter().find(|arm| arm.what == what);
        Ok(&arm.with_context(|| format!("nothing was measured of {what}"))?.rounds)
    }
}

/// A port whose frames are written when they are received, as long as it has some to write.
struct Fill {
    queue: Queue,
    next: Receiver<Option<Frames>>,
    frames: Option<Frames>,
}

impl Port for Fill {
    fn receive(&mut self, packets: &mut [Packet]) -> usize {
        if let Ok(next) = self.next.try_recv() {
            self.frames = next;
        }
        let Some(frames) = &mut self.frames else { return 0 };
        let came = Port::receive(&mut self.queue, packets);
        packets[..came].iter_mut().for_each(|packet| frames.write(packet.bytes_mut()));
        came
    }

    fn give(&mut self, packet: &mut Packet, worker: usize) {
        Port::give(&mut self.queue, packet, worker);
    }

    fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        self.queue.frame(length)
    }

    fn send(&mut self, packet: &mut Packet) -> bool {
        Port::send(&mut self.queue, packet)
    }

    fn flush(&mut self) -> usize {
        self.queue.flush()
    }
}

/// What a worker's two ports are given to write, by direction.
type Taps = [Sender<Option<Frames>>; 2];

fn eal(devices: &[String]) -> Result<Eal> {
    let options = Options {
        devices: devices.to_vec(),
        memory: Memory::Auto,
        memory_mib: MEMORY_MIB,
        buffers: BUFFERS,
        frame_max: FRAME_MAX,
        cpu: 0,
    };
    Ok(Eal::start(&options)?)
}

/// Null devices for N3 and N6 whose frames have the octets of these user packets.
fn null_devices(number: usize, user: usize) -> [String; 2] {
    let device = |at, direction| format!("net_null{},size={}", number + at, frame_octets(direction, user));
    [device(0, Direction::Uplink), device(1, Direction::Downlink)]
}

/// The interfaces of all workers on two devices, with what their ports are given.
fn filled(config: &Config, eal: Eal) -> Result<(Vec<EthernetIo<Fill>>, Vec<Taps>)> {
    let mut senders = Vec::new();
    let ios = dpdk_io(config, eal, |queue| {
        let (sender, next) = channel();
        senders.push(sender);
        Fill { queue, next, frames: None }
    })?;
    let mut taps = Vec::new();
    let mut senders = senders.into_iter();
    while let (Some(n3), Some(n6)) = (senders.next(), senders.next()) {
        taps.push([n3, n6]);
    }
    Ok((ios, taps))
}

/// What the frames of both directions are about.
struct Traces {
    hits: [Arc<[Hit]>; 2],
    user: usize,
}

impl Traces {
    fn new(ends: &[End], shape: &Shape, user: usize) -> Self {
        Self { hits: Direction::ALL.map(|direction| Trace::new(ends, shape, direction).hits()), user }
    }

    fn frames(&self, direction: Direction, at: usize) -> Frames {
        let hits = self.hits[direction as usize].clone();
        Frames::new(hits, direction, self.user).starting(at)
    }

    /// Has a worker's ports write these directions from now on.
    fn give(&self, taps: &Taps, directions: &[Direction], at: usize) {
        for (direction, tap) in Direction::ALL.into_iter().zip(taps) {
            let frames = directions.contains(&direction).then(|| self.frames(direction, at));
            // The worker has the other end.
            let _ = tap.send(frames);
        }
    }
}

/// The directions of an arm.
const ARMS: [(&str, &[Direction]); 3] = [
    ("uplink", &[Direction::Uplink]),
    ("downlink", &[Direction::Downlink]),
    ("both", &[Direction::Uplink, Direction::Downlink]),
];

/// Packets of one turn: each of two ports has half of a burst.
const fn a_turn(directions: &[Direction]) -> usize {
    BURST / 2 * directions.len()
}

/// What has come out so far, and what was dropped.
fn passed(scene: &Scene) -> (u64, u64) {
    let counters = scene.plane.counters();
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        counters.iter().filter(|(name, _)| wanted(name)).map(|(_, value)| value).sum()
    };
    (sum(&|name| name.ends_with(".packets")), sum(&|name| name.starts_with("upf.drop")))
}

/// One worker: null devices and rings, the writing of frames alone, copies alone, and changes of rules.
pub fn measure(ask: &Ask) -> Result<Found> {
    let null = null_devices(0, SHORT);
    let long = null_devices(2, LONG);
    let plain = format!("net_null4,size={LONG}");
    let eal = eal(&[&null[..], &long, std::slice::from_ref(&plain)].concat())?;
    let shape = Shape::new(ask.sessions, PDRS);
    let mut scene = Scene::new(&shape)?;
    let on = |devices: &[String; 2]| Config {
        sessions_max: ask.sessions,
        ..config(DataPathKind::Dpdk, &devices[0], &devices[1])
    };
    let (ios, taps) = filled(&on(&null), eal)?;
    let mut worker = scene.plane.worker(first(ios)?);
    let (ios, long_taps) = filled(&on(&long), eal)?;
    let mut long_worker = scene.plane.worker(first(ios)?);
    let rings = Rings::lay(eal)?;
    let mut ring_worker = scene.plane.worker(first(dpdk_io(&on(&rings.upf), eal, |queue| queue)?)?);
    scene.establish(&shape)?;
    let mut found = Found::new(eal);
    let pinned = Pinned::to(ask.core)?;
    let traces = Traces::new(&scene.ends, &shape, SHORT);
    null_arms(ask, &mut found, "null", &mut worker, &traces, &taps[0]);
    let before = passed(&scene);
    ensure!(before.1 == 0 && before.0 > 0, "{} packets came out, {} were dropped", before.0, before.1);
    write_alone(ask, &mut found, &traces);
    if ask.all {
        let traces = Traces::new(&scene.ends, &shape, LONG);
        null_arms(ask, &mut found, "null, long", &mut long_worker, &traces, &long_taps[0]);
        copies(ask, &mut found, eal, &plain)?;
    }
    drop(pinned);
    rings.measure(ask, &mut found, &traces, &mut ring_worker)?;
    if ask.all {
        changes(ask, &mut found, &mut scene, &traces, &taps[0], &mut worker)?;
    }
    Ok(found)
}

fn first<T>(all: Vec<T>) -> Result<T> {
    all.into_iter().next().context("no worker")
}

fn null_arms(
    ask: &Ask,
    found: &mut Found,
    name: &str,
    worker: &mut Worker<impl PacketIo>,
    traces: &Traces,
    taps: &Taps,
) {
    let mut arms = ARMS;
    let mut at = 0;
    let mut round = |directions: &[Direction]| {
        traces.give(taps, directions, at);
        at += PASS;
        // Announcements, and the commands that wait.
        worker.turn();
        let turns = PASS / a_turn(directions);
        timed(|| (0..turns).for_each(|_| worker.turn())) / PASS as f64
    };
    // Both first, so that both have said who they are.
    arms.iter().rev().for_each(|(_, directions)| _ = round(directions));
    let rounds = in_turn(&mut arms, ask.rounds, |(_, directions), _| round(directions));
    for ((direction, _), rounds) in ARMS.iter().zip(rounds) {
        found.add(format!("{name}, {direction}"), rounds);
    }
}

/// What the bench itself takes to write a frame.
fn write_alone(ask: &Ask, found: &mut Found, traces: &Traces) {
    for direction in Direction::ALL {
        let mut octets = vec![0; frame_octets(direction, traces.user)];
        let mut frames = traces.frames(direction, 0);
        let round = |_| {
            let ns = timed(|| (0..PASS).for_each(|_| frames.write(std::hint::black_box(&mut octets))));
            ns / PASS as f64
        };
        found.add(format!("writing, {}", direction.name()), (0..ask.rounds).map(round).collect());
    }
}

/// A frame from a null device to a null device: in the buffer that it came in, as the shipped interfaces send it, and
/// with its octets copied to a buffer of one's own and from there to one of the port's.
fn copies(ask: &Ask, found: &mut Found, eal: Eal, device: &str) -> Result<()> {
    let mut queue = first(DpdkPort::start(eal, device, 1, 1_500)?)?;
    let mut frames = Vec::with_capacity(BURST);
    let mut packets = vec![vec![0u8; 2_048]; BURST];
    let mut pass = |octets: usize, copy: bool| {
        let ns = timed(|| {
            for _ in 0..PASS / BURST {
                if !copy {
                    move_frames(&mut queue, &mut frames);
                    continue;
                }
                let mut at = 0;
                let got = queue.receive(BURST, |frame| {
                    let from = &frame[..frame.len().min(octets)];
                    packets[at][..from.len()].copy_from_slice(from);
                    at += 1;
                });
                for packet in packets.iter().take(got) {
                    if let Some(frame) = queue.frame(octets) {
                        frame.copy_from_slice(&packet[..octets]);
                    }
                }
                queue.flush();
            }
        });
        ns / PASS as f64
    };
    let mut arms = [(SHORT, false), (SHORT, true), (LONG, false), (LONG, true)];
    arms.iter().for_each(|(octets, copy)| _ = pass(*octets, *copy));
    let rounds = in_turn(&mut arms, ask.rounds, |(octets, copy), _| pass(*octets, *copy));
    for ((octets, copy), rounds) in arms.iter().zip(rounds) {
        let what = if *copy { "copied" } else { "not copied" };
        found.add(format!("{octets} octets, {what}"), rounds);
    }
    Ok(())
}

/// Cables between the UPF and another core, and such ones for a forwarder that only copies.
struct Rings {
    upf: [String; 2],
    ends: [Queue; 2],
    plain: [Queue; 2],
    plain_ends: [Queue; 2],
}

impl Rings {
    fn lay(eal: Eal) -> Result<Self> {
        let start = |name: &str| first(DpdkPort::start(eal, name, 1, 1_500)?);
        let [n3, gnb] = eal.cable("n3", "gnb", 1)?;
        let [n6, dn] = eal.cable("n6", "dn", 1)?;
        let [one, one_end] = eal.cable("one", "one_end", 1)?;
        let [two, two_end] = eal.cable("two", "two_end", 1)?;
        Ok(Self {
            upf: [n3, n6],
            ends: [start(&gnb)?, start(&dn)?],
            plain: [start(&one)?, start(&two)?],
            plain_ends: [start(&one_end)?, start(&two_end)?],
        })
    }

    /// Million packets a second that come out, by rounds: of the worker, and of a loop that copies frames.
    fn measure(
        mut self,
        ask: &Ask,
        found: &mut Found,
        traces: &Traces,
        worker: &mut Worker<impl PacketIo>,
    ) -> Result<()> {
        for (name, directions) in ARMS {
            let mut rates = Vec::new();
            beside(ask, &mut self.ends, traces, directions, |came| {
                rates = windows(ask.rounds, came, || worker.turn());
            })?;
            found.add(format!("ring, {name}"), rates);
        }
        let [one, two] = &mut self.plain;
        let mut rates = Vec::new();
        beside(ask, &mut self.plain_ends, traces, ARMS[0].1, |came| {
            rates = windows(ask.rounds, came, || {
                one.receive(BURST, |octets| {
                    if let Some(frame) = two.frame(octets.len()) {
                        frame.copy_from_slice(&octets);
                    }
                });
                two.flush();
            });
        })?;
        found.add("ring, copying", rates);
        Ok(())
    }
}

/// Does `work` on one core while another sends into these ends and counts what comes from them.
fn beside(
    ask: &Ask,
    ends: &mut [Queue; 2],
    traces: &Traces,
    directions: &[Direction],
    work: impl FnOnce(&AtomicU64),
) -> Result<()> {
    let (stop, came) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let generator = scope.spawn(|| -> Result<()> {
            let _pinned = Pinned::to(ask.other)?;
            let mut frames = Direction::ALL.map(|direction| traces.frames(direction, 0));
            let mut total = 0;
            // Both ends say who they are, so that each direction finds its way.
            let mut announced = false;
            while !stop.load(Ordering::Relaxed) {
                for direction in Direction::ALL {
                    let (queue, frames) = (&mut ends[direction as usize], &mut frames[direction as usize]);
                    let count = match (directions.contains(&direction), announced) {
                        (true, _) => BURST,
                        (false, true) => 0,
                        (false, false) => 1,
                    };
                    for _ in 0..count {
                        let Some(octets) = queue.frame(frame_octets(direction, SHORT)) else { break };
                        frames.write(octets);
                    }
                    queue.flush();
                    total += queue.discard(BURST) as u64;
                }
                announced = true;
                came.store(total, Ordering::Relaxed);
            }
            Ok(())
        });
        let pinned = Pinned::to(ask.core);
        work(&came);
        stop.store(true, Ordering::Relaxed);
        drop(pinned?);
        generator.join().map_err(|_| anyhow::anyhow!("the generator ended early"))?
    })
}

/// Million packets a second, window by window.
fn windows(rounds: usize, came: &AtomicU64, mut turn: impl FnMut()) -> Vec<f64> {
    let mut window = || {
        let (begun, before) = (Instant::now(), came.load(Ordering::Relaxed));
        while begun.elapsed() < WINDOW {
            (0..16).for_each(|_| turn());
        }
        let packets = came.load(Ordering::Relaxed) - before;
        packets as f64 / begun.elapsed().as_secs_f64() / 1e6
    };
    window();
    (0..rounds).map(|_| window()).collect()
}

/// Packets while the PFCP core, on another core, changes rules, and while it does not.
fn changes(
    ask: &Ask,
    found: &mut Found,
    scene: &mut Scene,
    traces: &Traces,
    taps: &Taps,
    worker: &mut Worker<impl PacketIo>,
) -> Result<()> {
    let both = ARMS[2].1;
    let (mut rounds, mut rates) = ([Vec::new(), Vec::new()], Vec::new());
    for round in 0..ask.rounds * 2 {
        let changing = round % 2 == 1;
        traces.give(taps, both, round * LONG_PASS);
        let mut requests = Vec::new();
        // More than a pass has time for.
        for number in 0..if changing { (CHANGES / 2.0) as usize } else { 0 } {
            let end = scene.ends[(round * 7_919 + number) % scene.ends.len()];
            let request = Pfcp::session(end.seid, scene.smf.next_sequence(), handover(number + round).into());
            requests.push(request.encode()?);
        }
        let done = AtomicBool::new(false);
        let (ns, rate) = std::thread::scope(|scope| -> Result<(f64, f64)> {
            let packets = scope.spawn(|| -> Result<f64> {
                let _pinned = Pinned::to(ask.core)?;
                let ns = timed(|| (0..LONG_PASS / BURST).for_each(|_| worker.turn()));
                done.store(true, Ordering::Relaxed);
                Ok(ns / LONG_PASS as f64)
            });
            let pinned = Pinned::to(ask.other);
            let (begun, mut sent) = (Instant::now(), 0);
            while !done.load(Ordering::Relaxed) && sent < requests.len() {
                if sent as f64 > begun.elapsed().as_secs_f64() * CHANGES {
                    std::hint::spin_loop();
                    continue;
                }
                scene.smf.send(&mut scene.plane, &requests[sent]);
                sent += 1;
            }
            let rate = sent as f64 / begun.elapsed().as_secs_f64();
            drop(pinned?);
            let ns = packets.join().map_err(|_| anyhow::anyhow!("the worker ended early"))??;
            Ok((ns, rate))
        })?;
        scene.smf.answered()?;
        rounds[usize::from(changing)].push(ns);
        if changing {
            rates.push(rate);
        }
    }
    found.changes = tern_figures::Spread::of(rates).p50;
    let [quiet, changing] = rounds;
    found.add("no changes", quiet);
    found.add("changes", changing);
    Ok(())
}

/// Two workers on two cores with sessions of their own, beside one of them alone; the same of two loops that
/// only move frames.
pub fn pair(ask: &Ask) -> Result<Found> {
    let null = null_devices(0, SHORT);
    let plain = "net_null2,size=64".to_owned();
    let eal = eal(&[&null[..], std::slice::from_ref(&plain)].concat())?;
    let shape = Shape::new(ask.sessions, PDRS);
    let two =
        Config { workers: 2, sessions_max: ask.sessions, ..config(DataPathKind::Dpdk, &null[0], &null[1]) };
    let mut scene = Scene::with(&Config { workers: 2, ..shape.config() })?;
    let (ios, taps) = filled(&two, eal)?;
    let mut workers: Vec<_> = ios.into_iter().map(|io| scene.plane.worker(io)).collect();
    scene.establish(&shape)?;
    let own: Vec<Traces> = (0..workers.len())
        .map(|worker| {
            let is_own = |end: &&End| worker_of_ue(end.ue, taps.len()) == worker;
            let ends: Vec<End> = scene.ends.iter().filter(is_own).copied().collect();
            Traces::new(&ends, &shape, SHORT)
        })
        .collect();
    let mut queues = DpdkPort::start(eal, &plain, 2, 1_500)?;
    let mut found = Found::new(eal);
    let cores = [ask.core, ask.other];
    let names = ["one", "two", "one, null loop", "two, null loop"];
    let mut rounds = vec![Vec::new(); names.len()];
    for round in 0..=ask.rounds {
        for turn in 0..names.len() {
            let arm = (round + turn) % names.len();
            let running = if names[arm].starts_with("one") { 1 } else { 2 };
            for (worker, taps) in taps.iter().enumerate() {
                let directions: &[Direction] = if worker < running { ARMS[2].1 } else { &[] };
                own[worker].give(taps, directions, round * LONG_PASS);
            }
            let rates = match arm {
                0..=1 => together(&cores, &mut workers[..running], |worker| worker.turn())?,
                _ => together(&cores, &mut queues[..running], |queue| {
                    move_frames(queue, &mut Vec::with_capacity(BURST));
                })?,
            };
            // The first round is for caches.
            if round > 0 {
                rounds[arm].push(rates.iter().sum());
            }
        }
    }
    for (name, rounds) in names.into_iter().zip(rounds) {
        found.add(name, rounds);
    }
    let (out, dropped) = passed(&scene);
    ensure!(out > 0 && dropped == 0, "{out} packets came out, {dropped} were dropped");
    Ok(found)
}

/// What moves frames and nothing else: as many as a worker's turn. `room` is empty before and after.
fn move_frames(queue: &mut Queue, room: &mut Vec<Frame>) {
    queue.receive(BURST, |frame| room.push(frame));
    room.drain(..).for_each(|frame| queue.send(frame));
    queue.flush();
}

/// Million packets a second of processor time, of each of these on a core of its own at the same time.
fn together<T: Send>(cores: &[usize], all: &mut [T], turn: impl Fn(&mut T) + Sync) -> Result<Vec<f64>> {
    let barrier = Barrier::new(all.len());
    std::thread::scope(|scope| {
        let (barrier, turn) = (&barrier, &turn);
        let mut threads = Vec::new();
        for (one, &core) in all.iter_mut().zip(cores) {
            threads.push(scope.spawn(move || -> Result<f64> {
                let _pinned = Pinned::to(core)?;
                barrier.wait();
                let ns = timed(|| (0..LONG_PASS / BURST).for_each(|_| turn(&mut *one)));
                Ok(LONG_PASS as f64 / ns * 1e3)
            }));
        }
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<f64>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread ended early"))?
        };
        threads.into_iter().map(join).collect()
    })
}
