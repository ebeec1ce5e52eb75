//! The floor: what DPDK's `testpmd` takes to receive a packet from nowhere and send it to nowhere.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tern_figures::{Row, Spread};

use crate::Bench;

const PROGRAM: &str = "dpdk-testpmd";
/// How long it forwards before each look at its counters.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looks: the first rate is over the time before forwarding began.
const LOOKS: usize = 6;

/// Nanoseconds a packet of one core.
pub struct Floor {
    /// Median over the looks.
    pub ns: f64,
    spread: Spread,
    memory: &'static str,
}

impl Floor {
    /// Runs `testpmd` between two null devices.
    pub fn measure(bench: &Bench) -> Result<Self> {
        let huge = std::fs::read_to_string("/proc/sys/vm/nr_hugepages").unwrap_or_default();
        let (memory, flags): (_, &[&str]) = match huge.trim().parse::<u32>() {
            Ok(pages) if pages >= 256 => ("huge pages", &["--in-memory", "--iova-mode=va"]),
            _ => ("4 KiB pages", &["--no-huge", "-m", "256", "--no-shconf"]),
        };
        let main = bench.cores.first().copied().unwrap_or_default();
        let mut child = Command::new(PROGRAM)
            .arg(format!("--lcores=0@{main},1@{}", bench.core))
            .args(["--no-pci", "--vdev=net_null0", "--vdev=net_null1"])
            .args(flags)
            .args(["--", "-i", "--forward-mode=io", "--total-num-mbufs=4096", "--nb-cores=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{PROGRAM} (package dpdk) cannot be started"))?;
        let mut input = child.stdin.take().context("no standard input")?;
        writeln!(input, "start")?;
        for _ in 0..LOOKS {
            std::thread::sleep(INTERVAL);
            writeln!(input, "show port stats all")?;
        }
        writeln!(input, "stop\nquit")?;
        drop(input);
        let output = child.wait_with_output()?;
        let rates = rates(&String::from_utf8_lossy(&output.stdout));
        ensure!(rates.len() == LOOKS, "{PROGRAM} gave {} of {LOOKS} rates", rates.len());
        let spread = Spread::of(rates[1..].iter().map(|rate| 1e9 / rate).collect());
        Ok(Self { ns: spread.p50, spread, memory })
    }

    /// A line of the table.
    pub fn row(&self) -> Row {
        Row::new("the floor: testpmd io between two null devices", self.spread, "ns", self.memory)
    }
}

/// Packets a second sent on both ports, look by look.
fn rates(text: &str) -> Vec<f64> {
    let rates: Vec<f64> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Tx-pps:")?.split_whitespace().next()?.parse().ok())
        .collect();
    rates.chunks_exact(2).map(|ports| ports.iter().sum()).collect()
}
