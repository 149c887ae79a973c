//! How often which value came up, for values from one hop to hours in microseconds.
//!
//! Buckets are linear within each power of two (as in Gil Tene's HdrHistogram), so that the error
//! is relative: numbers below 128 are kept as they are, larger ones within 0.8 %. Counting
//! is integer arithmetic, so what comes out doesn't depend on the order of what went in.
//!
//! Not for a few values whose exact order matters: sort these.

use serde::Serialize;

/// Counts of values in buckets. At most 30 KB, whatever is recorded; a few hundred bytes for hops.
///
/// ```
/// use dht_sim::histogram::Histogram;
///
/// let hops: Histogram = [1, 2, 2, 3].into_iter().collect();
/// assert_eq!((hops.count(), hops.quantile(0.5), hops.max()), (4, Some(2), Some(3)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Up to the bucket of the greatest value.
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    /// Meaningless as long as nothing has been recorded, like `max`.
    min: u64,
    max: u64,
}

impl Histogram {
    /// An empty one.
    pub const fn new() -> Self {
        Self { buckets: Vec::new(), count: 0, sum: 0, min: 0, max: 0 }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += u128::from(value);
        let index = index_of(value);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
    }

    /// How many values were recorded.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The smallest value, exactly.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest value, exactly.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The mean: of the values themselves, not of their buckets.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The smallest value that at least the part `q` of all values does not exceed (the "nearest
    /// rank"): exact below 128 and at both ends, else within 0.8 %. `q` is taken into 0 to 1.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = rank(q, self.count)?;
        if rank == self.count {
            return Some(self.max);
        }
        let mut seen = 0u64;
        let bucket = self.buckets().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        let value = bucket.map_or(self.max, |(middle, _)| middle);
        Some(value.clamp(self.min, self.max))
    }

    /// The buckets that are not empty, smallest values first.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let buckets = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        buckets.map(|(index, count)| {
            let (low, high) = bounds(index);
            (low + (high - low) / 2, *count)
        })
    }

    /// The figures that people ask for.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            mean: self.mean(),
            min: self.min(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max(),
        }
    }
}

impl FromIterator<u64> for Histogram {
    fn from_iter<T: IntoIterator<Item = u64>>(values: T) -> Self {
        let mut all = Self::new();
        values.into_iter().for_each(|value| all.record(value));
        all
    }
}

/// The figures of a [`Histogram`]; all but the count are missing if it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// The smallest one.
    pub min: Option<u64>,
    /// The median.
    pub p50: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// The 99.9th percentile.
    pub p999: Option<u64>,
    /// The greatest one.
    pub max: Option<u64>,
}

/// Which of `count` values in order, from 1, is the quantile `q`.
fn rank(q: f64, count: u64) -> Option<u64> {
    // 0.07 * 100.0 is a little more than 7, and must not become 8.
    const ROUNDING: f64 = 1.0 - 4.0 * f64::EPSILON;
    let rank = (q * count as f64 * ROUNDING).ceil() as u64;
    (count > 0).then(|| rank.clamp(1, count))
}

/// The bucket of a value.
const fn index_of(value: u64) -> usize {
    // Below 2^(STEP_BITS + 1) a bucket can't be narrower than it is in the first octave: one value.
    let octave = (value | 1 << STEP_BITS).ilog2() - STEP_BITS;
    ((octave as usize) << STEP_BITS) + (value >> octave) as usize
}

/// The smallest and the greatest value of a bucket.
const fn bounds(index: usize) -> (u64, u64) {
    let octave = (index >> STEP_BITS).saturating_sub(1);
    let low = ((index - (octave << STEP_BITS)) as u64) << octave;
    (low, low + ((1 << octave) - 1))
}

/// 64 buckets for each power of two: none wider than 1/64 of its values, so that its middle is
/// nowhere off by more than 1/128.
const STEP_BITS: u32 = 6;
const _: () = assert!(index_of(u64::MAX) == 3775, "the documented 30 KB");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_has_no_figures() {
        let empty = Histogram::new();
        assert_eq!(empty.summary(), Summary::default());
        assert_eq!(empty.buckets().count(), 0);
    }

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        let mut next = 0;
        for index in 0..=index_of(u64::MAX) {
            let (low, high) = bounds(index);
            assert_eq!(low, next, "{index}");
            assert_eq!([low, high].map(index_of), [index; 2]);
            assert!(high - low <= low / 64, "{low} to {high} is too wide");
            next = high.wrapping_add(1);
        }
        assert_eq!(next, 0, "the last one ends at the greatest number");
    }

    #[test]
    fn small_values_are_exact() {
        let hops: Histogram = (0..128).collect();
        assert!(hops.buckets().eq((0..128).map(|hops| (hops, 1))));
        let ranks =
            [(0.0, 0), (0.07, 8), (0.5, 63), (0.99, 126), (1.0, 127), (-1.0, 0), (2.0, 127)];
        for (q, value) in ranks {
            assert_eq!(hops.quantile(q), Some(value), "{q}");
        }
        assert_eq!(hops.quantile(f64::NAN), Some(0), "no number is no reason to panic");
    }

    #[test]
    fn ranks_are_whole_where_they_should_be() {
        for percent in 1..=100 {
            for count in [100, 1_000, 100_000, 100_000_000_000] {
                let q = f64::from(percent) / 100.0;
                assert_eq!(rank(q, count), Some(count / 100 * percent as u64), "{q} of {count}");
            }
        }
        assert_eq!(rank(0.5, 3), Some(2));
        assert_eq!(rank(0.501, 1_000_000_001), Some(501_000_001));
        assert_eq!(rank(0.0, 3), Some(1));
    }

    #[test]
    fn extreme_values_fit() {
        let mut all = Histogram::new();
        [u64::MAX, u64::MAX, 0].into_iter().for_each(|value| all.record(value));
        assert_eq!(all.count(), 3);
        assert_eq!((all.min(), all.max()), (Some(0), Some(u64::MAX)));
        assert_eq!(all.quantile(0.5), Some(bounds(index_of(u64::MAX)).0 + ((1 << 56) - 1)));
    }

    /// From hops to hours: every number of bits is as likely.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (0u32..=64, any::<u64>())
            .prop_map(|(bits, value)| value.checked_shr(64 - bits).unwrap_or(0));
        prop::collection::vec(value, 1..300)
    }

    proptest! {
        #[test]
        fn figures_are_those_of_the_sorted_values(mut values in values(), q in 0.0..=1.0f64) {
            let all: Histogram = values.iter().copied().collect();
            values.sort_unstable();
            prop_assert_eq!(all.count(), values.len() as u64);
            prop_assert_eq!(all.min(), values.first().copied());
            prop_assert_eq!(all.max(), values.last().copied());
            let sum: u128 = values.iter().copied().map(u128::from).sum();
            prop_assert_eq!(all.mean(), Some(sum as f64 / values.len() as f64));
            for q in [q, 0.0, 0.5, 0.9, 0.99, 1.0] {
                let exact = values[rank(q, all.count()).unwrap() as usize - 1];
                let got = all.quantile(q).unwrap();
                prop_assert!(got.abs_diff(exact) <= exact / 128, "{} is not {}", got, exact);
            }
            for (middle, count) in all.buckets() {
                let within = |value: &&u64| index_of(**value) == index_of(middle);
                prop_assert_eq!(values.iter().filter(within).count() as u64, count);
            }
        }
    }
}
