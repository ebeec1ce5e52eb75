//! NAS congestion control, UE side (TS 24.501 §5.3.9): while T3346 runs the UE begins nothing but an answer to
//! a page.

use std::time::Duration;

use tern_nas::nas_5gs::NasGprsTimer2;
use tokio::time::Instant;

use super::Ue;

/// 5GMM cause "congestion".
pub(super) const CONGESTION: u8 = 22;

impl Ue {
    /// Whether T3346 runs, and for how long.
    pub fn t3346(&self) -> Option<Duration> {
        self.t3346.map(|at| at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// The network has said how long to stay away (TS 24.501 §5.5.1.2.5, §5.5.1.3.5, §5.5.2.3.2, §5.6.1.5).
    pub(super) fn start_t3346(&mut self, cause: u8, timer: Option<&NasGprsTimer2>) -> Option<Duration> {
        let seconds = timer.and_then(|timer| timer.to_seconds()).filter(|&seconds| seconds > 0);
        let back_off = seconds.map(Duration::from_secs);
        if cause == CONGESTION {
            match back_off {
                Some(wait) => self.t3346 = Some(Instant::now() + wait),
                None => self.failure("TS 24.501 §5.3.9", "cause #22 without T3346"),
            }
        }
        back_off
    }

    /// A page stops it (TS 24.501 §5.3.9).
    pub(super) fn stop_t3346(&mut self) {
        self.t3346 = None;
    }

    /// Waits until it has expired; says whether a page has ended that, which is to be answered then.
    pub(super) async fn await_t3346(&mut self) -> bool {
        let Some(until) = self.t3346.filter(|&at| at > Instant::now()) else { return false };
        self.journal.count("ue.t3346_waited");
        let paged = self.camp_for_pages(until).await;
        self.stop_t3346();
        paged
    }
}
