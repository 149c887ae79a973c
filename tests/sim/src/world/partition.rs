//! Hosts that cannot reach each other for a while, in whole sets: a cut cable, a country behind a
//! wall, a route that comes and goes.
//!
//! Not for single hosts or datagrams: see [`nat`](crate::nat) and [`link`](crate::link).

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use super::{Micros, Purpose, Stream, check};

/// Hosts that are named have lower numbers: they are bits of a table, which is then at most 2 MiB.
pub const HOSTS_MAX: u32 = 1 << 24;

/// One partition of the network into two sides.
///
/// ```
/// use dht_sim::Sim;
/// use dht_sim::partition::{Partition, Side};
///
/// // Half of the hosts, from the first minute to the third.
/// let cut = Partition::new(Side::Fraction(0.5), 60_000_000, 180_000_000);
/// Sim::new(1).add_partition(&cut)?;
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// The hosts of the first side. All other hosts, whenever they join, are on the second.
    pub first: Side,
    /// Only what the first side sends to the second is lost; what the second sends arrives.
    #[serde(default)]
    pub one_way: bool,
    /// When it begins, in microseconds.
    pub from_us: Micros,
    /// When it has ended, in microseconds.
    pub until_us: Micros,
    /// Whether it comes and goes meanwhile.
    #[serde(default)]
    pub flap: Option<Flap>,
}

/// The hosts of a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Side {
    /// Each host with this probability, independently of other hosts.
    Fraction(f64),
    /// The hosts of these numbers, in any order, each below [`HOSTS_MAX`].
    Hosts(Vec<u32>),
}

/// A partition that comes and goes: it begins closed, and each period ends open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// From one closing to the next one, in microseconds.
    pub period_us: Micros,
    /// For how long of a period all can talk, in microseconds.
    pub open_us: Micros,
}

/// A [`Partition`] ready for questions. To clone it is cheap.
#[derive(Clone, Debug)]
pub struct Cut {
    first: Members,
    one_way: bool,
    from_us: Micros,
    until_us: Micros,
    /// Closed all the time is a period without an end.
    flap: Flap,
}

#[derive(Clone, Debug)]
enum Members {
    /// By a number that each host's own is mixed with.
    Drawn { seed: u64, index: u32, probability: f64 },
    /// One bit per host.
    Listed(Arc<FixedBitSet>),
}

impl Partition {
    /// Between these times nothing gets from one side to the other.
    pub fn new(first: Side, from_us: Micros, until_us: Micros) -> Self {
        Self { first, one_way: false, from_us, until_us, flap: None }
    }

    /// Makes it ready, or refuses what [`check`](Self::check) does.
    ///
    /// `index` is the number of the partition in its scenario: partitions of one seed with different numbers divide the
    /// hosts independently.
    pub fn cut(&self, seed: u64, index: u32) -> Result<Cut, String> {
        self.check()?;
        let first = match &self.first {
            Side::Fraction(probability) => {
                Members::Drawn { seed, index, probability: *probability }
            }
            Side::Hosts(hosts) => {
                Members::Listed(Arc::new(hosts.iter().map(|host| *host as usize).collect()))
            }
        };
        let flap = self.flap.unwrap_or(Flap { period_us: Micros::MAX, open_us: 0 });
        let Self { one_way, from_us, until_us, .. } = *self;
        Ok(Cut { first, one_way, from_us, until_us, flap })
    }

    /// Refuses an impossible partition, naming the field.
    pub fn check(&self) -> Result<(), String> {
        match &self.first {
            Side::Fraction(p) => check::probability("first.fraction", *p)?,
            Side::Hosts(hosts) => {
                check::that(!hosts.is_empty(), "first.hosts", "not be empty")?;
                let known = hosts.iter().all(|host| *host < HOSTS_MAX);
                check::that(known, "first.hosts", "be numbers below 16,777,216")?;
            }
        }
        check::that(self.from_us < self.until_us, "from_us", "be before until_us")?;
        match self.flap {
            None => Ok(()),
            Some(Flap { period_us, open_us }) => {
                check::that(open_us > 0, "flap.open_us", "not be 0")?;
                check::that(open_us < period_us, "flap.open_us", "be below flap.period_us")
            }
        }
    }
}

impl Cut {
    /// Whether what `from_host` sends to `to_host` at `now` is lost. In constant time.
    #[inline]
    pub fn blocks(&self, now: Micros, from_host: u32, to_host: u32) -> bool {
        if !self.closed(now) {
            return false;
        }
        let (from, to) = (self.first.contain(from_host), self.first.contain(to_host));
        from != to && (from || !self.one_way)
    }

    /// Whether it keeps any hosts apart at `now`.
    #[inline]
    pub fn closed(&self, now: Micros) -> bool {
        let Flap { period_us, open_us } = self.flap;
        (self.from_us..self.until_us).contains(&now)
            && (now - self.from_us) % period_us < period_us - open_us
    }
}

impl Members {
    #[inline]
    fn contain(&self, host: u32) -> bool {
        match self {
            Self::Drawn { seed, index, probability } => {
                Stream::of_pair(*seed, Purpose::Scenario, *index, host).chance(*probability)
            }
            Self::Listed(hosts) => hosts.contains(host as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FROM: Micros = 1_000;
    const UNTIL: Micros = 5_000;

    fn partition(first: Side) -> Partition {
        Partition { first, one_way: false, from_us: FROM, until_us: UNTIL, flap: None }
    }

    fn listed(hosts: &[u32]) -> Partition {
        partition(Side::Hosts(hosts.to_vec()))
    }

    #[test]
    fn the_sides_cannot_talk_while_it_lasts() {
        let cut = listed(&[3, 64, 200]).cut(7, 0).unwrap();
        for (now, closed) in
            [(0, false), (999, false), (1_000, true), (4_999, true), (5_000, false)]
        {
            assert_eq!(cut.closed(now), closed);
            for (from, to, across) in [
                (3, 200, false),
                (1, 2, false),
                (3, 1, true),
                (1, 3, true),
                (64, 65, true),
                (u32::MAX, 200, true),
                (u32::MAX, 201, false),
                (3, 3, false),
            ] {
                assert_eq!(cut.blocks(now, from, to), closed && across, "{now}: {from}, {to}");
            }
        }
    }

    #[test]
    fn one_way_the_second_side_gets_through() {
        let cut = Partition { one_way: true, ..listed(&[3]) }.cut(7, 0).unwrap();
        assert!(cut.blocks(FROM, 3, 1));
        assert!(!cut.blocks(FROM, 1, 3));
    }

    #[test]
    fn a_flapping_one_is_closed_first_and_open_at_the_end_of_each_period() {
        let flap = Some(Flap { period_us: 100, open_us: 30 });
        let cut = Partition { flap, ..listed(&[3]) }.cut(7, 0).unwrap();
        for (now, closed) in [
            (FROM - 1, false),
            (FROM, true),
            (FROM + 69, true),
            (FROM + 70, false),
            (FROM + 99, false),
            (FROM + 100, true),
            (UNTIL - 31, true),
            (UNTIL, false),
        ] {
            assert_eq!(cut.blocks(now, 3, 1), closed, "{now}");
        }
    }

    #[test]
    fn a_fraction_is_about_right_and_differs_by_seed_and_index() {
        let half = partition(Side::Fraction(0.5));
        let cuts = [(7, 0), (7, 1), (8, 0)].map(|(seed, index)| half.cut(seed, index).unwrap());
        let first =
            cuts.each_ref().map(|cut| (0..10_000).filter(|n| cut.first.contain(*n)).count());
        assert!(first.iter().all(|n| (4_800..5_200).contains(n)), "{first:?}");
        let [one, others @ ..] = &cuts;
        for other in others {
            let same =
                (0..10_000).filter(|n| one.first.contain(*n) == other.first.contain(*n)).count();
            assert!((4_800..5_200).contains(&same), "{same}");
        }
        for (fraction, all) in [(0.0, false), (1.0, true)] {
            let cut = partition(Side::Fraction(fraction)).cut(7, 0).unwrap();
            assert!(
                (0..10_000).all(|n| cut.first.contain(n) == all && !cut.blocks(FROM, n, n + 1))
            );
        }
    }

    #[test]
    fn the_same_on_every_machine() {
        let cut = partition(Side::Fraction(0.3)).cut(7, 0).unwrap();
        let first: Vec<_> = (0..20).filter(|n| cut.first.contain(*n)).collect();
        assert_eq!(first, [1, 6, 9, 12, 17, 18, 19]);
    }

    #[test]
    fn impossible_ones_are_refused() {
        let flap = |period_us, open_us| Partition {
            flap: Some(Flap { period_us, open_us }),
            ..listed(&[1])
        };
        for (partition, field) in [
            (partition(Side::Fraction(1.1)), "first.fraction"),
            (partition(Side::Fraction(f64::NAN)), "first.fraction"),
            (listed(&[]), "first.hosts"),
            (listed(&[1, HOSTS_MAX]), "first.hosts"),
            (Partition { until_us: FROM, ..listed(&[1]) }, "from_us"),
            (flap(10, 0), "flap.open_us"),
            (flap(10, 10), "flap.open_us"),
            (flap(0, 0), "flap.open_us"),
        ] {
            let error = partition.cut(7, 0).unwrap_err();
            assert!(error.starts_with(field), "{error}");
        }
        assert_eq!(listed(&[HOSTS_MAX - 1]).check(), Ok(()));
    }

    #[test]
    fn one_is_read_from_json() {
        let json = r#"{"first": {"fraction": 0.5}, "from_us": 1000, "until_us": 5000}"#;
        assert_eq!(
            serde_json::from_str::<Partition>(json).unwrap(),
            partition(Side::Fraction(0.5))
        );
        let json = r#"{"first": {"hosts": [1]}, "from_us": 1, "until_us": 2, "flaps": null}"#;
        let error = serde_json::from_str::<Partition>(json).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `flaps`"), "{error}");
    }

    proptest! {
        #[test]
        fn a_table_is_as_good_as_the_list(
            hosts in prop::collection::vec(0..300_u32, 1..40),
            from in 0..400_u32,
            to in 0..400_u32,
            one_way: bool,
        ) {
            let cut = Partition { one_way, ..listed(&hosts) }.cut(7, 0).unwrap();
            let (first, second) = (hosts.contains(&from), hosts.contains(&to));
            let expected = first && !second || second && !first && !one_way;
            prop_assert_eq!(cut.blocks(FROM, from, to), expected);
        }
    }
}
