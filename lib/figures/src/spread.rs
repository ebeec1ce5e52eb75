//! Many values in few.

use serde::Serialize;

/// Median, 99th percentile and the extremes, by rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of these values; not numbers if there is none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * values.len() as f64).ceil() as usize;
            values.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self { p50: at(0.5), p99: at(0.99), min: at(0.0), max: at(1.0) }
    }
}

/// One series over another, round by round.
pub fn ratio(over: &[f64], under: &[f64]) -> Spread {
    Spread::of(over.iter().zip(under).map(|(over, under)| over / under).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_by_rank() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((spread.p50, spread.p99, spread.min, spread.max), (50.0, 99.0, 1.0, 100.0));
    }
}
