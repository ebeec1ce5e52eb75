//! CPU time and memory of processes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Of each process below a launcher, and of the launcher itself, by its command.
pub type ByCommand<T> = BTreeMap<String, T>;

/// CPU time of a process and its descendants that still run, user and system.
pub fn of_tree(root: u32) -> Result<ByCommand<Duration>> {
    let mut times = BTreeMap::new();
    for process in tree(root)? {
        *times.entry(command(process)?).or_default() += of_process(process)?;
    }
    Ok(times)
}

/// Memory in KiB: resident, and the share of it that is its own (pages of the binary, which all
/// use, are divided among them).
pub fn memory(root: u32) -> Result<ByCommand<(u64, u64)>> {
    let mut memory = BTreeMap::new();
    for process in tree(root)? {
        let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let of = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|v| v.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
        };
        memory.insert(command(process)?, (of("Rss:"), of("Pss:")));
    }
    Ok(memory)
}

fn tree(root: u32) -> Result<Vec<u32>> {
    let mut all = vec![root];
    let children = std::fs::read_to_string(format!("/proc/{root}/task/{root}/children"))?;
    for child in children.split_whitespace() {
        all.extend(tree(child.parse()?)?);
    }
    Ok(all)
}

/// The word behind the program's name: `amf` of `tern amf --config …`.
fn command(process: u32) -> Result<String> {
    let line = std::fs::read_to_string(format!("/proc/{process}/cmdline"))?;
    Ok(line.split('\0').nth(1).unwrap_or_default().to_owned())
}

/// From the scheduler's own account in nanoseconds, all threads together: finer than the clock
/// ticks of `/proc/<pid>/stat`. What a thread has run since the last tick is not in it while it runs.
pub fn of_process(process: u32) -> Result<Duration> {
    Ok(threads(process)?.into_iter().map(|(_, time)| time).sum())
}

/// The same for each thread of the processes below `root`, by command and the thread's own name.
pub fn of_threads(root: u32) -> Result<BTreeMap<(String, String), Duration>> {
    let mut times = BTreeMap::new();
    for process in tree(root)? {
        let command = command(process)?;
        for (thread, time) in threads(process)? {
            *times.entry((command.clone(), thread)).or_default() += time;
        }
    }
    Ok(times)
}

/// Name and CPU time of each thread.
fn threads(process: u32) -> Result<Vec<(String, Duration)>> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        let stat = std::fs::read_to_string(task.join("schedstat"))?;
        let running = stat.split(' ').next().context("an empty schedstat")?;
        all.push((name.trim_end().to_owned(), Duration::from_nanos(running.parse()?)));
    }
    Ok(all)
}

/// CPU time of this process.
pub fn of_self() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
