//! Durations counted in buckets: any number of them in bounded memory, each within a thousandth.

use std::collections::BTreeMap;

/// Up to `2 << PRECISION` each value has a bucket of its own; beyond, each power of two has this many bits.
const PRECISION: u32 = 10;
/// The same for [`Histogram::coarse`]: eight buckets for each power of two.
const COARSE: u32 = 3;

/// How often which values came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        *self.buckets.entry(bucket(value, PRECISION)).or_default() += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    /// How many values came.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest of them.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Their mean, 0 of none.
    pub fn mean(&self) -> u64 {
        u64::try_from(self.sum / u128::from(self.count.max(1))).unwrap_or(u64::MAX)
    }

    /// The value that this many of a million do not exceed, by nearest rank; 0 of none.
    pub fn quantile(&self, per_million: u32) -> u64 {
        let rank = (u128::from(self.count) * u128::from(per_million)).div_ceil(1_000_000).max(1);
        let mut seen = 0;
        for (&bucket, &count) in &self.buckets {
            seen += u128::from(count);
            if seen >= rank {
                return highest(bucket, PRECISION).min(self.max);
            }
        }
        self.max
    }

    /// Few buckets for people and pictures: the highest value of each that is not empty, and its count.
    pub fn coarse(&self) -> Vec<(u64, u64)> {
        let mut coarse = BTreeMap::<u64, u64>::new();
        for (&fine, &count) in &self.buckets {
            *coarse.entry(bucket(highest(fine, PRECISION), COARSE)).or_default() += count;
        }
        coarse.into_iter().map(|(bucket, count)| (highest(bucket, COARSE), count)).collect()
    }
}

fn bucket(value: u64, precision: u32) -> u64 {
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(precision + 1);
    (u64::from(octave) << precision) + (value >> octave)
}

/// The highest value that falls into a bucket.
fn highest(bucket: u64, precision: u32) -> u64 {
    let octave = (bucket >> precision).saturating_sub(1);
    let lowest = bucket - (octave << precision);
    // The last bucket ends with the last value.
    u64::try_from(((u128::from(lowest) + 1) << octave) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for precision in [COARSE, PRECISION] {
            for value in (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 40) - 1, u64::MAX - 1, u64::MAX]) {
                let highest = highest(bucket(value, precision), precision);
                assert!(highest >= value && highest - value <= value >> precision, "{value}: {highest}");
                let next = highest.checked_add(1).map(|next| bucket(next, precision));
                assert!(next.is_none_or(|next| next == bucket(value, precision) + 1), "{value}");
            }
        }
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank_and_within_a_thousandth() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(500_000), histogram.mean(), histogram.max()), (0, 0, 0));
        (1..=100_000).for_each(|value| histogram.record(value));
        for (per_million, exact) in [(500_000, 50_000), (990_000, 99_000), (999_000, 99_900)] {
            let found = histogram.quantile(per_million);
            assert!((exact..=exact + exact / 1000).contains(&found), "{per_million}: {found}");
        }
        assert_eq!((histogram.quantile(1_000_000), histogram.max()), (100_000, 100_000));
        assert_eq!((histogram.count(), histogram.mean()), (100_000, 50_000));
    }

    #[test]
    fn few_buckets_hold_all_values() {
        let mut histogram = Histogram::default();
        [3, 900, 1000, 70_000].iter().for_each(|&value| histogram.record(value));
        let coarse = histogram.coarse();
        assert_eq!(coarse.iter().map(|(_, count)| count).sum::<u64>(), 4);
        assert_eq!(coarse[0], (3, 1));
        assert!(coarse.iter().any(|&(highest, _)| (1000..1152).contains(&highest)), "{coarse:?}");
    }
}
