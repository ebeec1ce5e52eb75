//! DPDK's `testpmd`, which moves each frame from one port to the other and looks at none: what stands in the
//! UPF's place.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::Bench;
use crate::child::Child;

pub const PROGRAM: &str = "dpdk-testpmd";
/// Huge pages of 2 MiB that it needs.
const HUGE_PAGES_MIN: u32 = 128;

/// How its memory is made: a name for it, and its arguments.
pub fn memory() -> (&'static str, &'static [&'static str]) {
    let free = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    match free.unwrap_or_default().trim().parse::<u32>() {
        Ok(pages) if pages >= HUGE_PAGES_MIN => {
            ("huge pages", &["-m", "128", "--in-memory", "--iova-mode=va"])
        }
        _ => ("4 KiB pages", &["--no-huge", "-m", "128", "--no-shconf"]),
    }
}

/// Starts it between two devices, perhaps by another program (`ip netns exec NAME`), on the measuring core.
pub fn start(bench: &Bench, by: &[&str], devices: &[String; 2]) -> Result<Child> {
    let main = bench.cores.first().copied().unwrap_or_default();
    let mut command = match by {
        [] => Command::new(PROGRAM),
        [other, arguments @ ..] => {
            let mut command = Command::new(other);
            command.args(arguments).arg(PROGRAM);
            command
        }
    };
    command.arg(format!("--lcores=0@{main},1@{}", bench.core)).args(["--no-pci", "--no-telemetry"]);
    command.args(devices.iter().map(|device| format!("--vdev={device}"))).args(memory().1);
    command.args(["--", "--auto-start", "--forward-mode=io", "--total-num-mbufs=8192", "--nb-cores=1"]);
    command.stderr(Stdio::null());
    // Without `-i` it forwards until its standard input says something or ends.
    Child::spawn(&mut command)
}
