//! What is compared is measured in turn: A B C, B C A, …. What disturbs the machine for a while disturbs
//! all, and one is compared with another round by round.

use rustix::time::{ClockId, clock_gettime};

/// What each of the arms gives in each of the rounds, by arms.
pub fn in_turn<A>(
    arms: &mut [A],
    rounds: usize,
    mut measure: impl FnMut(&mut A, usize) -> f64,
) -> Vec<Vec<f64>> {
    let mut figures = vec![Vec::with_capacity(rounds); arms.len()];
    for round in 0..rounds {
        for turn in 0..arms.len() {
            let at = (round + turn) % arms.len();
            figures[at].push(measure(&mut arms[at], round));
        }
    }
    figures
}

/// Nanoseconds of the thread's processor time: what other threads take meanwhile is not in it.
pub fn timed(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let started = now();
    work();
    now() - started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_the_next_arm() {
        let mut order = Vec::new();
        let figures = in_turn(&mut [10.0, 20.0, 30.0], 2, |arm, round| {
            order.push(*arm);
            *arm + round as f64
        });
        assert_eq!(order, [10.0, 20.0, 30.0, 20.0, 30.0, 10.0]);
        assert_eq!(figures, [[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]]);
    }
}
