//! CPU time of processes, and what machine this is.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time of a process and its descendants that still run, user and system.
pub fn of_tree(root: u32) -> Result<Duration> {
    let mut total = of_process(root)?;
    let children = std::fs::read_to_string(format!("/proc/{root}/task/{root}/children"))?;
    for child in children.split_whitespace() {
        total += of_tree(child.parse()?)?;
    }
    Ok(total)
}

/// From the scheduler's own account in nanoseconds, all threads together: finer than the clock
/// ticks of `/proc/<pid>/stat`.
fn of_process(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let running = stat.split(' ').next().context("an empty schedstat")?;
        nanos += running.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Processor and number of cores.
pub fn machine() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{}, {cores} cores", model.unwrap_or("unknown processor")))
}
