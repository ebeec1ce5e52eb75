//! How far a load is: one line that is written over, where somebody sees it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use ue_ransim::load::LoadProgress;

const WIDTH: usize = 24;

/// A line of the terminal; silent where standard output is none.
pub struct Bar {
    shown: bool,
}

impl Bar {
    pub fn new() -> Self {
        Self { shown: std::io::stdout().is_terminal() }
    }

    /// Shows how far it is.
    pub fn show(&mut self, progress: &LoadProgress) {
        if self.shown {
            self.write(&format!("\r{}\x1b[K", line(progress)));
        }
    }

    /// Leaves the line to others.
    pub fn clear(&mut self) {
        if self.shown {
            self.write("\r\x1b[K");
        }
    }

    fn write(&mut self, text: &str) {
        let mut out = std::io::stdout();
        // Nobody sees it any more.
        self.shown = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
    }
}

fn line(progress: &LoadProgress) -> String {
    let LoadProgress { elapsed, whole, ues, registered, left, done, failed } = progress;
    let share = (elapsed.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
    let full = (share * WIDTH as f64) as usize;
    let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '·' }).collect();
    format!(
        "{bar} {} of {}  {registered} of {ues} UEs registered, {left} left  {done} done, {failed} failed",
        clock(*elapsed),
        clock(*whole)
    )
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_time_has_passed() {
        let mut progress = LoadProgress {
            elapsed: Duration::from_secs(305),
            whole: Duration::from_secs(610),
            ues: 1000,
            registered: 998,
            left: 0,
            done: 12_345,
            failed: 2,
        };
        let text = line(&progress);
        assert_eq!(text.matches('█').count(), WIDTH / 2);
        assert!(text.contains("5:05 of 10:10  998 of 1000 UEs registered"), "{text}");
        progress.elapsed = Duration::from_secs(700);
        assert_eq!(line(&progress).matches('█').count(), WIDTH);
        progress.whole = Duration::ZERO;
        assert_eq!(line(&progress).matches('█').count(), WIDTH);
    }
}
