//! Allocation of local TEIDs, which the UPF alone does: TS 29.244 §5.5.3.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use tern_pfcp::{CreatedPdr, FTeid};
use tern_types::Random;

/// TEIDs in use. They are drawn at random: nobody who has not seen one can guess it.
#[derive(Debug)]
pub(crate) struct Teids {
    used: HashSet<u32, RandomState>,
    random: Random,
}

/// Draws until a free one is found. With the sessions that fit, each misses with less than 1 %.
const DRAWS_MAX: usize = 64;

impl Teids {
    pub(crate) fn new(random: Random) -> Self {
        Self { used: HashSet::default(), random }
    }

    /// A TEID that is not 0 and not in use.
    pub(crate) fn allocate(&mut self) -> Option<u32> {
        for _ in 0..DRAWS_MAX {
            let teid = self.random.u32();
            if teid != 0 && self.used.insert(teid) {
                return Some(teid);
            }
        }
        None
    }

    /// Takes a TEID that was given away before a restart; false if it is in use.
    pub(crate) fn claim(&mut self, teid: u32) -> bool {
        teid != 0 && self.used.insert(teid)
    }

    /// Those of a session that is there stay in use, though another one gave them back.
    pub(crate) fn keep(&mut self, teids: &[u32]) {
        self.used.extend(teids);
    }

    pub(crate) fn free(&mut self, teid: u32) {
        self.used.remove(&teid);
    }

    /// Takes back what was allocated for a request that failed after all.
    pub(crate) fn free_created(&mut self, created: &[CreatedPdr]) {
        for pdr in created {
            if let Some(FTeid::Assigned { teid, .. }) = pdr.f_teid {
                self.free(teid);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }
}
