//! Something counted over time, in a bounded space: whole numbers per interval, and whenever the
//! space is full every two intervals become one.
//!
//! So a run of a minute shows every second and a run of a week every hour, and its length need not be known
//! beforehand. Sums stay exact.

use crate::world::Micros;

/// Sums per interval of virtual time, the first of which begins at 0.
///
/// ```
/// use dht_sim::series::Series;
///
/// let mut sent = Series::new(1_000_000, 60);
/// sent.add(500_000, 3);
/// sent.add(700_000, 4);
/// let first = sent.intervals().next().unwrap();
/// assert_eq!((first.sum, first.per_second(), first.mean()), (7, 7.0, Some(3.5)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    width: Micros,
    capacity: usize,
    /// Up to the last interval in which something was added.
    intervals: Vec<Interval>,
}

impl Series {
    /// An empty one: intervals of `width` (at least a microsecond) at first, and room for
    /// `capacity` of them (at least two).
    pub fn new(width: Micros, capacity: usize) -> Self {
        Self { width: width.max(1), capacity: capacity.max(2), intervals: Vec::new() }
    }

    /// Adds `value` to the interval of `at`: bytes of a datagram, 1 for an event, or a level like the size of a table,
    /// whose [mean](Interval::mean) then says something.
    pub fn add(&mut self, at: Micros, value: u64) {
        self.put(at, value, 1);
    }

    /// Adds what `other` holds. Exact if both began with the same width; otherwise what `other`
    /// has in one interval goes to where that begins.
    pub fn merge(&mut self, other: &Self) {
        while self.width < other.width {
            self.halve();
        }
        for interval in other.intervals() {
            self.put(interval.start, interval.sum, interval.count);
        }
    }

    /// How long an interval is by now.
    pub const fn width(&self) -> Micros {
        self.width
    }

    /// All intervals, also empty ones, up to the last one in which something was added.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        self.intervals.iter().copied()
    }

    fn put(&mut self, at: Micros, sum: u64, count: u64) {
        let index = loop {
            match usize::try_from(at / self.width) {
                Ok(index) if index < self.capacity => break index,
                _ => self.halve(),
            }
        };
        let Self { width, intervals, .. } = self;
        for index in intervals.len()..=index {
            let start = (index as u64).saturating_mul(*width);
            intervals.push(Interval { start, width: *width, sum: 0, count: 0 });
        }
        intervals[index].add(sum, count);
    }

    fn halve(&mut self) {
        self.width = self.width.saturating_mul(2);
        let pairs = self.intervals.chunks(2).map(|pair| {
            let mut both = Interval { width: self.width, ..pair[0] };
            pair.iter().skip(1).for_each(|second| both.add(second.sum, second.count));
            both
        });
        self.intervals = pairs.collect();
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new(5_000_000, 512)
    }
}

/// What was added in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// When it begins.
    pub start: Micros,
    /// How long it is.
    pub width: Micros,
    /// All that was added.
    pub sum: u64,
    /// How often something was added.
    pub count: u64,
}

impl Interval {
    /// The middle, in seconds: where a plot puts it.
    pub fn middle_secs(&self) -> f64 {
        (self.start as f64 + self.width as f64 / 2.0) / 1e6
    }

    /// The sum per second. Of the last interval too, which may not be over: leave that out.
    pub fn per_second(&self) -> f64 {
        self.sum as f64 * 1e6 / self.width as f64
    }

    fn add(&mut self, sum: u64, count: u64) {
        self.sum = self.sum.saturating_add(sum);
        self.count = self.count.saturating_add(count);
    }

    /// The mean of what was added, if anything was.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(series: &Series) -> Vec<u64> {
        series.intervals().map(|interval| interval.sum).collect()
    }

    #[test]
    fn resolution_halves_when_full() {
        let mut series = Series::new(10, 4);
        for at in [0, 9, 10, 29, 39] {
            series.add(at, at + 1);
        }
        assert_eq!((series.width(), sums(&series)), (10, vec![11, 11, 30, 40]));
        series.add(40, 5);
        assert_eq!((series.width(), sums(&series)), (20, vec![22, 70, 5]));
        series.add(700, 1);
        assert_eq!((series.width(), sums(&series)), (320, vec![97, 0, 1]));
    }

    #[test]
    fn an_odd_room_loses_nothing() {
        let mut series = Series::new(1, 3);
        (0..4).for_each(|at| series.add(at, 10 + at));
        assert_eq!((series.width(), sums(&series)), (2, vec![21, 25]));
    }

    #[test]
    fn merging_takes_the_coarser_resolution() {
        let (mut roomy, mut tight) = (Series::new(10, 100), Series::new(10, 2));
        for series in [&mut roomy, &mut tight] {
            (0..4).for_each(|n| series.add(10 * n, 1 + n));
        }
        let mut merged = roomy.clone();
        merged.merge(&tight);
        // In finer ones what the other has would be at the wrong place.
        assert_eq!((merged.width(), sums(&merged)), (20, vec![6, 14]));
        tight.merge(&roomy);
        assert_eq!((tight.width(), sums(&tight)), (20, vec![6, 14]));
    }

    #[test]
    fn the_end_of_time_is_reached() {
        let mut series = Series::new(0, 0);
        series.add(0, 1);
        series.add(u64::MAX, u64::MAX);
        series.add(u64::MAX, 1);
        assert_eq!((series.width(), sums(&series)), (1 << 63, vec![1, u64::MAX]));
    }

    #[test]
    fn rates_and_means() {
        let mut series = Series::new(2_000_000, 8);
        for (at, value) in [(500_000, 100), (1_999_999, 300), (4_000_000, 7)] {
            series.add(at, value);
        }
        let all: Vec<_> = series.intervals().collect();
        assert_eq!([all[0].per_second(), all[0].middle_secs()], [200.0, 1.0]);
        assert_eq!(all[0].mean(), Some(200.0));
        assert_eq!((all[1].per_second(), all[1].mean()), (0.0, None));
        assert_eq!((all[2].middle_secs(), all[2].mean()), (5.0, Some(7.0)));
    }

    proptest! {
        #[test]
        fn every_interval_has_what_was_added_in_it(
            added in prop::collection::vec((0u64..5_000, 0u64..100), 0..100),
            capacity in 2usize..40,
        ) {
            let mut series = Series::new(3, capacity);
            added.iter().for_each(|(at, value)| series.add(*at, *value));
            prop_assert!(series.intervals.len() <= capacity);
            let width = series.width();
            // No coarser than it has to be.
            let last = added.iter().map(|(at, _)| *at).max().unwrap_or(0);
            prop_assert!(width == 3 || last / (width / 2) >= capacity as u64);
            for interval in series.intervals() {
                let within = || added.iter().filter(|(at, _)| at / width == interval.start / width);
                prop_assert_eq!(interval.count, within().count() as u64);
                prop_assert_eq!(interval.sum, within().map(|(_, value)| value).sum::<u64>());
            }
            let count: u64 = series.intervals().map(|interval| interval.count).sum();
            prop_assert_eq!(count, added.len() as u64);
        }

        #[test]
        fn merging_is_adding_all_to_one(
            a in prop::collection::vec((0u64..5_000, 0u64..100), 0..50),
            b in prop::collection::vec((0u64..5_000, 0u64..100), 0..50),
        ) {
            let series = |added: &[&[(u64, u64)]]| {
                let mut series = Series::new(3, 16);
                added.concat().iter().for_each(|(at, value)| series.add(*at, *value));
                series
            };
            let (mut left, mut right) = (series(&[&a]), series(&[&b]));
            let right_alone = right.clone();
            right.merge(&left);
            left.merge(&right_alone);
            prop_assert_eq!(&left, &series(&[&a, &b]));
            prop_assert_eq!(&right, &left);
        }
    }
}
