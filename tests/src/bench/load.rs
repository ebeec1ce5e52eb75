//! A core under load: UEs that all register at once, have a session each, and leave.
//!
//! Registration is INITIAL UE MESSAGE to the UPLINK NAS TRANSPORT with REGISTRATION COMPLETE, the
//! session is the UPLINK NAS TRANSPORT with its establishment request to PDU SESSION RESOURCE
//! SETUP REQUEST; both from a capture at the core's N2 interface, read by tshark. CPU time is
//! that of the core's processes, without the simulator.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::cpu::{self, ByCommand};
use super::{Spread, n2};
use crate::capture::Capture;
use crate::core::{Core, Setup, Sim};
use crate::topology::Topology;

/// How long the simulator may take for one run.
const SIM_TIME: Duration = Duration::from_secs(60);

/// One point's figures.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Point {
    pub ues: u32,
    pub runs: u32,
    pub registration_ms: Spread,
    pub session_ms: Spread,
    /// First INITIAL UE MESSAGE to the last PDU SESSION RESOURCE SETUP REQUEST.
    pub last_done_ms: Spread,
    pub core_cpu_ms_per_ue: Spread,
    /// Which process used it: the mean over the runs.
    pub cpu_ms_per_ue_by_process: ByCommand<f64>,
    /// After the last run.
    pub memory_kib_by_process: ByCommand<Memory>,
    pub memory_kib: Memory,
    /// Medians of each run, in their order: what two cores' runs in turn are compared by.
    pub by_run: Vec<Run>,
}

/// The medians of one run.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Run {
    pub registration_ms: f64,
    pub session_ms: f64,
    pub last_done_ms: f64,
    pub core_cpu_ms_per_ue: f64,
}

/// Resident, and resident with shared pages divided among those who share them.
#[derive(Debug, Default, Clone, Copy, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Memory {
    pub rss: u64,
    pub pss: u64,
}

/// What the runs of one point gave.
#[derive(Default)]
struct Measured {
    registration_ms: Vec<f64>,
    session_ms: Vec<f64>,
    last_done_ms: Vec<f64>,
    cpu_ms_per_ue: Vec<f64>,
    by_process: ByCommand<f64>,
    by_run: Vec<Run>,
}

/// A core in namespaces of its own, and what its runs gave so far. Removed when dropped.
pub struct Loaded {
    output: PathBuf,
    setup: Setup,
    core: Core,
    topology: Topology,
    launcher: u32,
    ues: u32,
    runs: u32,
    measured: Measured,
}

impl Loaded {
    /// Starts a core with `ues` subscribers. Configuration, captures and logs go to `output`; the name
    /// of `setup`'s directory tells cores that run at the same time apart. `more` is further lines of
    /// the core's file.
    pub async fn start(output: PathBuf, setup: Setup, more: &str, ues: u32) -> Result<Self> {
        let name = setup.directory.file_name().context("a core's directory has a name")?;
        let topology = Topology::create_as(&name.to_string_lossy())?;
        let mut core = Core::start_with(setup.clone(), &topology.core, more).await?;
        core.add_subscribers(&topology.core, ues).await?;
        let launcher = core.process().id().context("tern up has ended")?;
        Ok(Self { output, setup, core, topology, launcher, ues, runs: 0, measured: Measured::default() })
    }

    /// The process of `tern up`.
    pub fn launcher(&self) -> u32 {
        self.launcher
    }

    /// A run that does not count: it fills the caches of discovery, as in a core that has been up for
    /// a while.
    pub async fn warm_up(&mut self) -> Result<()> {
        let counted = std::mem::take(&mut self.measured);
        let outcome = self.one_run("warm-up").await;
        self.measured = counted;
        outcome
    }

    /// A run that counts.
    pub async fn run(&mut self) -> Result<()> {
        self.one_run(&self.runs.to_string()).await?;
        self.runs += 1;
        Ok(())
    }

    async fn one_run(&mut self, run: &str) -> Result<()> {
        let directory = self.setup.directory.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{directory}-{}-{run}", self.ues);
        let file = self.output.join(format!("n2-{name}.pcap"));
        let capture = Capture::start(&self.topology.core, &["n2"], "", &file).await?;
        let before = cpu::of_tree(self.launcher)?;
        let sim = Sim { ues: self.ues, tun: false, exec: Vec::new(), more: "ping: 0".to_owned() };
        let sim_name = format!("sim-{name}");
        let mut sim = sim.start(&self.setup.tern, &self.topology, &self.output, &sim_name, false)?;
        sim.succeed(SIM_TIME).await?;
        let after = cpu::of_tree(self.launcher)?;
        let times = n2::read(&capture.stop().await?)?;
        self.note(&before, after, times)
    }

    fn note(
        &mut self,
        before: &ByCommand<Duration>,
        after: ByCommand<Duration>,
        times: n2::Times,
    ) -> Result<()> {
        let ues = self.ues as usize;
        ensure!(times.registration_ms.len() == ues, "{} registrations", times.registration_ms.len());
        ensure!(times.session_ms.len() == ues, "{} sessions", times.session_ms.len());
        let measured = &mut self.measured;
        let mut total = 0.0;
        for (process, time) in after {
            // Threads that ended meanwhile took their time with them.
            let used = time.saturating_sub(before.get(&process).copied().unwrap_or_default());
            let ms_per_ue = used.as_secs_f64() * 1e3 / f64::from(self.ues);
            *measured.by_process.entry(process).or_default() += ms_per_ue;
            total += ms_per_ue;
        }
        measured.by_run.push(Run {
            registration_ms: Spread::of(times.registration_ms.clone()).p50,
            session_ms: Spread::of(times.session_ms.clone()).p50,
            last_done_ms: times.last_done_ms,
            core_cpu_ms_per_ue: total,
        });
        measured.registration_ms.extend(times.registration_ms);
        measured.session_ms.extend(times.session_ms);
        measured.last_done_ms.push(times.last_done_ms);
        measured.cpu_ms_per_ue.push(total);
        Ok(())
    }

    /// Stops the core; what all runs gave.
    pub async fn finish(mut self) -> Result<Point> {
        let memory = cpu::memory(self.launcher)?;
        let memory: ByCommand<Memory> =
            memory.into_iter().map(|(name, (rss, pss))| (name, Memory { rss, pss })).collect();
        self.core.stop().await?;
        let measured = &mut self.measured;
        measured.by_process.values_mut().for_each(|ms| *ms /= f64::from(self.runs.max(1)));
        let measured = self.measured;
        Ok(Point {
            ues: self.ues,
            runs: self.runs,
            registration_ms: Spread::of(measured.registration_ms),
            session_ms: Spread::of(measured.session_ms),
            last_done_ms: Spread::of(measured.last_done_ms),
            core_cpu_ms_per_ue: Spread::of(measured.cpu_ms_per_ue),
            cpu_ms_per_ue_by_process: measured.by_process,
            memory_kib: memory.values().fold(Memory::default(), |sum, one| Memory {
                rss: sum.rss + one.rss,
                pss: sum.pss + one.pss,
            }),
            memory_kib_by_process: memory,
            by_run: measured.by_run,
        })
    }
}
