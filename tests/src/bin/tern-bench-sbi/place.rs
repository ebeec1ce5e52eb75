//! Which processor does what.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Where the two ends of a measurement run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Both on one.
    OneCore,
    /// Each on its own.
    TwoCores,
}

impl Placement {
    /// Those that the machine has room for.
    pub fn all(cores: &[usize]) -> &'static [Self] {
        if cores.len() > 1 { &[Self::OneCore, Self::TwoCores] } else { &[Self::OneCore] }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneCore => "one core",
            Self::TwoCores => "two cores",
        }
    }

    /// The client's processor.
    pub fn client(self, cores: &[usize]) -> usize {
        cores[0]
    }

    /// The server's.
    pub fn server(self, cores: &[usize]) -> usize {
        match self {
            Self::OneCore => cores[0],
            Self::TwoCores => cores[1],
        }
    }
}

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
