//! Which processor the measuring thread has.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Processors that this process may use; at least one.
pub fn cores() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
    cores.first().context("no processor")?;
    Ok(cores)
}

/// The calling thread, and those that it starts, on one processor until this is dropped.
pub struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Pins the calling thread.
    pub fn to(core: usize) -> Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only).with_context(|| format!("processor {core}"))?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was allowed before; if that has changed, this thread stays where it is.
        let _ = sched_setaffinity(None, &self.before);
    }
}
