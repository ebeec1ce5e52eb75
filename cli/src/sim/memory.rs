//! Resident memory of the network functions that run on this machine, of this binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ue_ransim::load::Memory;

/// Between two looks.
const BETWEEN: Duration = Duration::from_secs(1);
/// Processes that are looked at; another core may run here as well.
const PROCESSES_MAX: usize = 64;
/// What `tern` is called with as a process of a core.
const NAMES: [&str; 11] = ["nrf", "udr", "udm", "ausf", "pcf", "nssf", "amf", "smf", "upf", "n2", "manager"];

/// Processes of a core, and what they have held.
#[derive(Debug, Default)]
pub struct Processes {
    seen: BTreeMap<(String, u32), Vec<(u64, u64)>>,
    next: Duration,
}

impl Processes {
    /// Looks at them, if it is time.
    pub fn look(&mut self, elapsed: Duration) {
        if elapsed < self.next {
            return;
        }
        self.next = elapsed + BETWEEN;
        let Ok(binary) = std::env::current_exe() else { return };
        for (name, pid, kib) in processes(&binary) {
            if self.seen.len() < PROCESSES_MAX || self.seen.contains_key(&(name.clone(), pid)) {
                self.seen.entry((name, pid)).or_default().push((elapsed.as_secs(), kib));
            }
        }
    }

    /// What was seen; a name that there is twice has the process's number with it.
    pub fn into_memory(self) -> Vec<Memory> {
        let names: Vec<String> = self.seen.keys().map(|(name, _)| name.clone()).collect();
        let several = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
        let each = self.seen.into_iter().map(|((name, pid), samples)| {
            let process = if several(&name) { format!("{name} {pid}") } else { name };
            Memory { process, samples }
        });
        each.collect()
    }
}

/// Processes of this binary that are network functions: name, number, resident KiB.
fn processes(binary: &Path) -> Vec<(String, u32, u64)> {
    let Ok(directory) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = directory.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| process(binary, pid)).collect()
}

fn process(binary: &Path, pid: u32) -> Option<(String, u32, u64)> {
    let of = PathBuf::from(format!("/proc/{pid}"));
    if std::fs::read_link(of.join("exe")).ok()? != binary {
        return None;
    }
    let arguments = std::fs::read(of.join("cmdline")).ok()?;
    let name = arguments.split(|&octet| octet == 0).nth(1)?;
    let name = NAMES.into_iter().find(|known| known.as_bytes() == name)?;
    let status = std::fs::read_to_string(of.join("status")).ok()?;
    Some((name.to_owned(), pid, resident(&status)?))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_twice_has_its_number() {
        let mut processes = Processes::default();
        for (name, pid) in [("amf", 7), ("amf", 9), ("smf", 8)] {
            processes.seen.insert((name.into(), pid), vec![(0, 1000), (1, 1100)]);
        }
        let names: Vec<String> = processes.into_memory().into_iter().map(|memory| memory.process).collect();
        assert_eq!(names, ["amf 7", "amf 9", "smf"]);
    }

    #[test]
    fn resident_memory_is_read_from_a_status() {
        assert_eq!(resident("Name:\ttern\nVmHWM:\t  9 kB\nVmRSS:\t   12345 kB\n"), Some(12_345));
        assert_eq!(resident("Name:\tkthreadd\n"), None);
    }
}
