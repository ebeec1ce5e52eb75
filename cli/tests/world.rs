//! A core in namespaces of its own, and what tests ask of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use tern_sctp::SctpMode;
use tern_tests::core::{Core, K, OPC, SUPI, Sbi, Setup};
use tern_tests::netns::remove_orphans;
use tern_tests::topology::{DN_ADDRESS, N2_CORE, Topology};
use tern_types::Random;
use tokio::signal::unix::{SignalKind, signal};
use ue_ransim::config::UeGroup;
use ue_ransim::env::Udp;
use ue_ransim::{Config, Rig, SimEnv};

/// The binary under test.
pub const TERN: &str = env!("CARGO_BIN_EXE_tern");
/// Every network function of a core.
pub const NFS: [&str; 9] = ["nrf", "udr", "udm", "ausf", "pcf", "nssf", "upf", "smf", "amf"];
/// Set in the process that a test runs in.
const INSIDE: &str = "TERN_TEST_INSIDE";
/// Longest test; `TERN_TEST_TIME_S` allows more to one that lasts as long as it is told.
const TEST_TIME: Duration = Duration::from_secs(200);
/// The allocator of `tern` gives freed memory back at once: what is resident is what is held, not what
/// the busiest moment before had.
const RETURN_FREED_MEMORY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");
/// How long a log line may take to appear.
const LOG_TIME: Duration = Duration::from_secs(5);
/// How long a tool may take.
const TOOL_TIME: Duration = Duration::from_secs(20);
/// Addresses of gNBs on N2 and N3, 10.99.2.n and 10.99.3.n: one for each that a test makes.
const GNBS: std::ops::RangeInclusive<u8> = 10..=30;

/// Data networks of a core whose UEs may have IPv6 in the first one; the topology needs `add_ipv6` with it.
pub const IPV6_NETWORK: &str = "dnns:\n  \
    - { name: internet, pool: 10.45.0.0/16, ipv6: \"2001:db8:45::/48\", dns: [1.1.1.1, \"2001:db8:6::53\"] }\n  \
    - { name: ims, pool: 10.46.0.0/16 }\n";

/// How often a test repeats what must not fail even once; `make stress` asks for more.
pub fn runs(ordinary: u32) -> u32 {
    std::env::var("TERN_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(ordinary)
}

/// Runs a test in a process of its own, as root in network namespaces of its own: its SCTP stack
/// is the process's only one. Where that is not possible the test is skipped, and says so.
pub fn isolated<W: Future<Output = Result<()>>>(test: &str, work: impl FnOnce() -> W) {
    isolated_times(1, test, work);
}

/// The same so many times, one after the other, each in a process and namespaces of its own.
pub fn isolated_times<W: Future<Output = Result<()>>>(times: u32, test: &str, work: impl FnOnce() -> W) {
    if std::env::var_os(INSIDE).is_some() {
        return inside(work);
    }
    if !possible() {
        return skip(&format!("tern {test}"));
    }
    for _ in 0..times {
        again(test);
    }
}

/// Runs this test in a process of its own; its figures are shown.
fn again(test: &str) {
    let output = Command::new(std::env::current_exe().expect("invariant: this test"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("RUST_BACKTRACE", "0")
        .envs([RETURN_FREED_MEMORY])
        .stdin(Stdio::null())
        .output()
        .expect("the test starts again");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    for figure in text.lines().filter(|line| line.starts_with("MEASURED")) {
        println!("{figure}");
    }
    if !output.status.success() {
        eprintln!("{text}\n{}", output.status);
        // Without a backtrace: what went wrong inside is the last that is read.
        resume_unwind(Box::new("failed inside"));
    }
}

fn inside<W: Future<Output = Result<()>>>(work: impl FnOnce() -> W) {
    set_parent_process_death_signal(Some(Signal::TERM)).expect("invariant: a valid signal");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(async {
        let mut ended = signal(SignalKind::terminate())?;
        tokio::select! {
            biased;
            _ = ended.recv() => bail!("told to end"),
            result = tokio::time::timeout(test_time(), work()) => result.context("the test takes too long")?,
        }
    });
    if let Err(error) = result {
        panic!("{error:?}");
    }
}

fn test_time() -> Duration {
    let seconds = std::env::var("TERN_TEST_TIME_S").ok().and_then(|text| text.parse().ok());
    seconds.map_or(TEST_TIME, Duration::from_secs)
}

/// Root with TUN devices and network namespaces.
fn possible() -> bool {
    let made = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    Path::new("/dev/net/tun").exists() && made.is_ok_and(|status| status.success())
}

/// How the SBI travels in this run of the tests: `TERN_SBI`, or as the core does by itself.
pub fn sbi() -> Sbi {
    let chosen = std::env::var("TERN_SBI").unwrap_or_else(|_| "auto".to_owned());
    clap::ValueEnum::from_str(&chosen, true).expect("TERN_SBI is auto, shm or tcp")
}

/// Says that a test cannot run here; it must stand in `tests/skips.txt` with the reason.
pub fn skip(test: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/skips.txt");
    let list = std::fs::read_to_string(file).expect("tests/skips.txt");
    let reason = list.lines().filter_map(|line| line.split_once('|')).find(|(name, _)| name.trim() == test);
    let Some((_, reason)) = reason else { panic!("{test} cannot run here and is not in tests/skips.txt") };
    println!("SKIPPED {test}: {}", reason.trim());
}

/// Hosts with a core that runs, seen from the gNBs' host.
pub struct World {
    /// Where its files are; `core.yaml` is the core's.
    pub directory: PathBuf,
    /// The hosts.
    pub topology: Topology,
    /// `tern up`; taken by those who end it in their own way.
    pub core: Option<Core>,
    random: Random,
    next_gnb: u8,
    // Last: removed when all that uses it is gone.
    _files: tempfile::TempDir,
}

impl World {
    /// Makes the hosts and brings a core up; `more` is added to its file. The calling thread, and
    /// with it the simulator, is on the gNBs' host from now on.
    pub async fn start(more: &str) -> Result<Self> {
        let mut world = Self::without_core().await?;
        let core = Core::start_with(world.setup(), &world.topology.core, more).await?;
        world.core = Some(core);
        Ok(world)
    }

    /// The hosts alone.
    pub async fn without_core() -> Result<Self> {
        remove_orphans()?;
        let files = tempfile::tempdir()?;
        let topology = Topology::create()?;
        for (host, link) in GNBS.flat_map(|host| [(host, "n2"), (host, "n3")]) {
            let address = format!("10.99.{}.{host}/24", &link[1..]);
            topology.gnb.ip(&["addr", "add", &address, "dev", link])?;
        }
        topology.gnb.enter()?;
        let mut random = Random::from_seed([7; 32]);
        Ok(Self {
            directory: files.path().join("core"),
            topology,
            core: None,
            random: random.fork(),
            next_gnb: *GNBS.start(),
            _files: files,
        })
    }

    /// What `tern up` is started with.
    pub fn setup(&self) -> Setup {
        Setup { sbi: sbi(), ..Setup::new(TERN, self.directory.clone()) }
    }

    /// Runs `tern` on the core's host with the core's file; its standard output.
    pub async fn tern(&self, arguments: &[&str]) -> Result<String> {
        let (success, output) = self.run(arguments).await?;
        ensure!(success, "tern {}: {output}", arguments.join(" "));
        Ok(output)
    }

    /// The same, which must fail; what it says.
    pub async fn tern_fails(&self, arguments: &[&str]) -> Result<String> {
        let (success, output) = self.run(arguments).await?;
        ensure!(!success, "tern {} did not fail: {output}", arguments.join(" "));
        Ok(output)
    }

    /// Whether it succeeded, and its standard output; both outputs if it failed.
    async fn run(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = self.topology.core.task(TERN);
        command.args(arguments).arg("--config").arg(self.directory.join("core.yaml"));
        let output = tokio::time::timeout(TOOL_TIME, command.kill_on_drop(true).output()).await;
        let output = output.with_context(|| format!("tern {} takes too long", arguments.join(" ")))??;
        let mut text = output.stdout;
        if !output.status.success() {
            text.extend(output.stderr);
        }
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// Adds subscribers from [`SUPI`] on.
    pub async fn add_subscribers(&self, count: u32) -> Result<()> {
        let count = count.to_string();
        self.tern(&["subscriber", "add", SUPI, "--k", K, "--opc", OPC, "--count", &count]).await?;
        Ok(())
    }

    /// The status that an NF tells.
    pub async fn status(&self, nf: &str) -> Result<serde_json::Value> {
        let all: serde_json::Value = serde_json::from_str(&self.tern(&["status", "--json"]).await?)?;
        Ok(all[nf]["state"].clone())
    }

    /// Waits until an NF's status says so.
    pub async fn wait_for(&self, nf: &str, name: &str, value: u64, limit: Duration) -> Result<()> {
        let what = format!("{value} {name}");
        self.wait_until(nf, &what, limit, |status| status[name].as_u64() == Some(value)).await
    }

    /// Waits until this holds of an NF's status, which is as old as its last look at itself.
    pub async fn wait_until(
        &self,
        nf: &str,
        what: &str,
        limit: Duration,
        holds: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<()> {
        let until = Instant::now() + limit;
        loop {
            let status = self.status(nf).await?;
            if holds(&status) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{nf}: {what} expected: {status}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until no UE is connected or registered, and no session is left.
    pub async fn wait_for_nobody(&self) -> Result<()> {
        for name in ["registered", "connected", "sessions"] {
            self.wait_for("amf", name, 0, LOG_TIME).await?;
        }
        self.wait_for("smf", "sessions", 0, LOG_TIME).await?;
        let smf = self.status("smf").await?;
        let used = smf["addressesInUse"].as_array().context("no addressesInUse")?;
        let prefixes = smf["prefixesInUse"].as_array().context("no prefixesInUse")?;
        ensure!(used.iter().chain(prefixes).all(|used| used == 0), "{smf}");
        Ok(())
    }

    /// Subscribers from [`SUPI`] on, in the cell of a new gNB with addresses of its own.
    pub fn config(&mut self, ues: u32) -> Config {
        let host = self.next_gnb;
        assert!(GNBS.contains(&host), "more gNBs than addresses");
        self.next_gnb += 1;
        let mut group = UeGroup::new(SUPI.parse().expect("invariant: a SUPI"), K, OPC);
        group.count = ues;
        Config {
            amf: vec![SocketAddr::new(N2_CORE.into(), 38412)],
            n2: vec![IpAddr::V4(Ipv4Addr::new(10, 99, 2, host))],
            n3: vec![IpAddr::V4(Ipv4Addr::new(10, 99, 3, host))],
            ues: vec![group],
            gnb_id: u32::from(host),
            ..Config::default()
        }
    }

    /// A simulator's environment on the gNBs' host; this process has an SCTP stack there from now
    /// on, and no other process may.
    pub fn sim_env(&mut self) -> SimEnv {
        let sctp = tern_sctp::choose(SctpMode::Auto).expect("raw sockets are allowed").backend;
        SimEnv::new(sctp, Arc::new(Udp), self.random.fork())
    }

    /// gNBs as `config` says, connected.
    pub async fn rig(&mut self, config: Config) -> Result<Rig> {
        Ok(Rig::connect(config, self.sim_env()).await?)
    }

    /// A UE registers, has a session, pings the data network and deregisters, all as the
    /// specifications say.
    pub async fn serves(&mut self) -> Result<()> {
        let config = self.config(1);
        let mut rig = self.rig(config).await?;
        let mut ue = rig.ue(0)?;
        ue.register().await.context("a good UE")?;
        let mut session = ue.establish_session(Default::default()).await.context("a good UE")?;
        let pings = session.ping(DN_ADDRESS, 3, Duration::from_millis(10)).await?;
        ensure!(pings.rtt.len() == 3, "{pings:?}");
        ue.deregister(false).await.context("a good UE")?;
        rig.stop().await;
        clean(&rig)
    }

    /// What the core has logged.
    pub fn log(&mut self) -> Vec<String> {
        self.core.as_mut().map(|core| core.process().lines()).unwrap_or_default()
    }

    /// Waits until one line of the core's log has all these parts.
    pub async fn logged(&mut self, parts: &[&str]) -> Result<String> {
        let until = Instant::now() + LOG_TIME;
        loop {
            let found = self.log().into_iter().find(|line| parts.iter().all(|part| line.contains(part)));
            if let Some(line) = found {
                return Ok(line);
            }
            ensure!(Instant::now() < until, "nothing logged with {parts:?}:\n{}", self.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The process IDs of the network functions by name.
    pub fn pids(&mut self) -> Result<BTreeMap<&'static str, u32>> {
        let core = self.core.as_mut().context("no core")?;
        let parent = core.process().id().context("tern up has ended")?;
        let children = children(parent);
        NFS.iter()
            .map(|&nf| {
                let pid = children.iter().find(|(_, arguments)| arguments.get(1).is_some_and(|a| a == nf));
                Ok((nf, pid.with_context(|| format!("no process of {nf}"))?.0))
            })
            .collect()
    }

    /// Resident memory of each network function, in KiB.
    pub fn memory(&mut self) -> Result<BTreeMap<&'static str, u64>> {
        self.pids()?.into_iter().map(|(nf, pid)| Ok((nf, resident(pid)?))).collect()
    }

    /// Fails if a network function has grown by more than `kib` since.
    pub fn check_growth(&mut self, before: &BTreeMap<&'static str, u64>, kib: u64, what: &str) -> Result<()> {
        let after = self.memory()?;
        let grown: Vec<(&str, u64, u64)> = after.iter().map(|(&nf, &now)| (nf, before[nf], now)).collect();
        let text: Vec<String> = grown.iter().map(|(nf, was, now)| format!("{nf} {was}→{now}")).collect();
        println!("MEASURED resident KiB, {what} (bound +{kib}): {}", text.join("  "));
        for (nf, was, now) in grown {
            ensure!(now <= was + kib, "{nf} grew from {was} to {now} KiB: {what}");
        }
        Ok(())
    }

    /// Stops a core of which a process may have died: in order, without a panic.
    pub async fn stop(mut self) -> Result<()> {
        check_log(&self.log())?;
        self.core.take().context("no core")?.stop().await
    }

    /// Stops the core: in order, without a panic, and no process has died before.
    pub async fn finish(mut self) -> Result<()> {
        let log = self.log();
        let core = self.core.take().context("no core")?;
        core.stop().await?;
        check_log(&log)?;
        ensure!(
            !log.iter().any(|line| line.contains("starting it again")),
            "an NF died:\n{}",
            log.join("\n")
        );
        Ok(())
    }
}

/// Fails if a process has panicked.
pub fn check_log(log: &[String]) -> Result<()> {
    match log.iter().find(|line| line.contains("panicked")) {
        Some(line) => bail!("a panic: {line}\n{}", log.join("\n")),
        None => Ok(()),
    }
}

/// Fails if the core did what a specification does not allow.
pub fn clean(rig: &Rig) -> Result<()> {
    let failures = rig.journal.failures();
    ensure!(failures.is_empty(), "not as specified: {failures:#?}");
    Ok(())
}

/// Processes whose parent is `parent`, with their arguments.
pub fn children(parent: u32) -> Vec<(u32, Vec<String>)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| status_number(pid, "PPid:").is_ok_and(|of| of == u64::from(parent)))
        .map(|pid| {
            let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = text.split(|&octet| octet == 0).map(|a| String::from_utf8_lossy(a).into_owned());
            (pid, arguments.collect())
        })
        .collect()
}

/// Resident memory in KiB.
pub fn resident(pid: u32) -> Result<u64> {
    status_number(pid, "VmRSS:")
}

/// Whether a process is there and no zombie.
pub fn lives(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Sends a signal to a process of the core.
pub fn kill(pid: u32, with: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("no process ID")?;
    Ok(rustix::process::kill_process(pid, with)?)
}

fn status_number(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    Ok(value.with_context(|| format!("{pid}: no {name}"))?.parse()?)
}
