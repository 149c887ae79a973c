//! When nodes come and go: how long they stay and stay away, and [traces](trace) of what real nodes
//! did.
//!
//! Not what becomes of a node that goes: whether it crashes and what it saved is the caller's
//! business. Each node draws from a stream of its own.

pub mod trace;

use serde::{Deserialize, Serialize};

use crate::world::{Micros, Stream, check, stream};

/// Nothing that is drawn is longer, in microseconds: a century.
pub const LENGTH_MAX_US: Micros = 100 * 366 * 86_400_000_000;
/// Shorter sessions, on average, are refused, in microseconds.
pub const SESSION_MIN_US: Micros = 1_000_000;

/// How the lengths of sessions, or of the times between them, are distributed.
///
/// What is drawn is at least 1 µs and at most [`LENGTH_MAX_US`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Length {
    /// Who has been there for long leaves as soon as who just came.
    Exponential {
        /// The mean, in microseconds.
        mean_us: Micros,
    },
    /// With a shape below 1, who has been there for long stays for longer, as was measured in
    /// file-sharing networks (Stutzbach and Rejaie, 2006).
    Weibull {
        /// What 63 % are shorter than, in microseconds.
        scale_us: Micros,
        /// From 0.2 to 20.
        shape: f64,
    },
    /// Who has been there for twice as long stays for twice as long: the heaviest tail.
    Pareto {
        /// The least, in microseconds.
        min_us: Micros,
        /// From 1.05 to 20; nearer to 1, the mean is next to infinite, and no network ever steady.
        shape: f64,
    },
    /// All are the same.
    Fixed {
        /// How long, in microseconds.
        length_us: Micros,
    },
}

/// How the nodes of a network come and go.
///
/// ```
/// use dht_sim::Scenario;
/// use dht_sim::churn::{Churn, Length};
///
/// let churn = Churn {
///     session: Length::Exponential { mean_us: 3_600_000_000 },
///     downtime: Length::Fixed { length_us: 60_000_000 },
///     permanent: 0.1,
///     return_with_table: 0.5,
/// };
/// let scenario = Scenario { churn: Some(churn), ..Scenario::default() };
/// assert_eq!(scenario.check(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// How long a node stays.
    pub session: Length,
    /// How long it then stays away.
    pub downtime: Length,
    /// The fraction of all nodes that never leave.
    #[serde(default)]
    pub permanent: f64,
    /// The probability that a node comes back with the routing table that it had.
    #[serde(default)]
    pub return_with_table: f64,
}

/// A node in a network that has been churning for ever, met when a simulation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is up, and never leaves.
    Permanent,
    /// It is up, and leaves in this many microseconds.
    Up(Micros),
    /// It is down, and comes in this many microseconds.
    Down(Micros),
}

impl Length {
    /// One length, in microseconds.
    pub fn draw(&self, rng: &mut Stream) -> Micros {
        clamp(match *self {
            Self::Exponential { mean_us } => rng.exponential(mean_us) as f64,
            Self::Weibull { scale_us, shape } => rng.weibull(scale_us as f64, shape),
            Self::Pareto { min_us, shape } => rng.pareto(min_us as f64, shape),
            Self::Fixed { length_us } => length_us as f64,
        })
    }

    /// What remains, in microseconds, of the length that is under way at a random moment.
    ///
    /// That is not distributed as a fresh one is (the inspection paradox): a moment is more likely
    /// to be in a long session than in a short one, in proportion to their lengths. So a length is
    /// drawn with that bias, and the moment is anywhere in it with the same probability. The biased
    /// lengths are:
    ///
    /// - exponential: the sum of two fresh ones, so that what remains is exponential again;
    /// - Weibull: `scale * G^(1/shape)`, `G` from a gamma distribution of shape `1 + 1/shape`;
    /// - Pareto: Pareto with the same least, its shape less by 1;
    /// - fixed: the same.
    pub fn draw_residual(&self, rng: &mut Stream) -> Micros {
        let biased = match *self {
            Self::Exponential { mean_us } => {
                (rng.exponential(mean_us) as f64) + (rng.exponential(mean_us) as f64)
            }
            Self::Weibull { scale_us, shape } => {
                scale_us as f64 * libm::pow(rng.gamma(1.0 + 1.0 / shape), 1.0 / shape)
            }
            Self::Pareto { min_us, shape } => rng.pareto(min_us as f64, shape - 1.0),
            Self::Fixed { length_us } => length_us as f64,
        };
        clamp(rng.open_unit() * biased)
    }

    /// The mean, in microseconds.
    pub fn mean_us(&self) -> f64 {
        match *self {
            Self::Exponential { mean_us } => mean_us as f64,
            Self::Weibull { scale_us, shape } => scale_us as f64 * libm::tgamma(1.0 + 1.0 / shape),
            Self::Pareto { min_us, shape } => min_us as f64 * shape / (shape - 1.0),
            Self::Fixed { length_us } => length_us as f64,
        }
    }

    fn check(&self, field: &str) -> Result<(), String> {
        let length =
            |name: &str, us| check::duration(&format!("{field}.{name}"), us, 1, LENGTH_MAX_US);
        let shape = |value, min| check::between(&format!("{field}.shape"), value, min, 20.0);
        match *self {
            Self::Exponential { mean_us } => length("mean_us", mean_us),
            Self::Weibull { scale_us, shape: value } => {
                length("scale_us", scale_us)?;
                shape(value, 0.2)
            }
            Self::Pareto { min_us, shape: value } => {
                length("min_us", min_us)?;
                shape(value, 1.05)
            }
            Self::Fixed { length_us } => length("length_us", length_us),
        }
    }
}

impl Churn {
    /// All nodes leave, and come back without their tables.
    pub const fn new(session: Length, downtime: Length) -> Self {
        Self { session, downtime, permanent: 0.0, return_with_table: 0.0 }
    }

    /// Refuses impossible numbers, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.session.check("session")?;
        // Or nothing but coming and going would happen, at a pace that no computer keeps up with.
        let mean_us = self.session.mean_us();
        check::that(mean_us >= SESSION_MIN_US as f64, "session", "last 1 s on average at least")?;
        self.downtime.check("downtime")?;
        check::probability("permanent", self.permanent)?;
        check::probability("return_with_table", self.return_with_table)
    }

    /// How a node is met when the simulation begins in the steady state; see
    /// [`Length::draw_residual`].
    pub fn meet(&self, rng: &mut Stream) -> Met {
        let (permanent, up) = (rng.chance(self.permanent), rng.chance(self.availability()));
        match (permanent, up) {
            (true, _) => Met::Permanent,
            (false, true) => Met::Up(self.session.draw_residual(rng)),
            (false, false) => Met::Down(self.downtime.draw_residual(rng)),
        }
    }

    /// Whether a node that comes back has its table.
    pub fn returns_with_table(&self, rng: &mut Stream) -> bool {
        rng.chance(self.return_with_table)
    }

    /// The share of time, from 0 to 1, that nodes which do leave are up.
    pub fn availability(&self) -> f64 {
        let (up, down) = (self.session.mean_us(), self.downtime.mean_us());
        up / (up + down)
    }
}

/// A length within bounds: 0 would have a node come and go for ever in one instant.
fn clamp(us: f64) -> Micros {
    stream::micros(us).clamp(1, LENGTH_MAX_US)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::Purpose;

    const HOUR: Micros = 3_600_000_000;
    const N: usize = 100_000;

    const LENGTHS: [Length; 5] = [
        Length::Exponential { mean_us: HOUR },
        Length::Weibull { scale_us: HOUR, shape: 0.5 },
        Length::Weibull { scale_us: HOUR, shape: 2.0 },
        Length::Pareto { min_us: HOUR, shape: 3.5 },
        Length::Fixed { length_us: HOUR },
    ];

    fn stream() -> Stream {
        Stream::new(7, Purpose::Churn, 0)
    }

    fn churn(session: Length, downtime: Length) -> Churn {
        Churn { session, downtime, permanent: 0.0, return_with_table: 0.0 }
    }

    fn mean(mut draw: impl FnMut(&mut Stream) -> Micros) -> f64 {
        let mut rng = stream();
        (0..N).map(|_| draw(&mut rng) as f64).sum::<f64>() / N as f64
    }

    #[test]
    fn means_are_right() {
        for (length, hours) in LENGTHS.iter().zip([1.0, 2.0, 0.886_227, 1.4, 1.0]) {
            let (expected, drawn) = (length.mean_us(), mean(|rng| length.draw(rng)));
            assert!((expected / HOUR as f64 - hours).abs() < 1e-6, "{length:?}: {expected}");
            assert!((drawn / expected - 1.0).abs() < 0.03, "{length:?}: {drawn}");
        }
    }

    /// Of any distribution the mean of what remains is `E[length^2] / 2 E[length]`.
    #[test]
    fn what_remains_has_the_right_mean() {
        for (length, hours) in LENGTHS.iter().zip([1.0, 6.0, 0.564_190, 0.833_333, 0.5]) {
            let drawn = mean(|rng| length.draw_residual(rng)) / HOUR as f64;
            assert!((drawn / hours - 1.0).abs() < 0.05, "{length:?}: {drawn}");
        }
    }

    /// Sessions in a row, cut at random moments, against what is said to remain of them.
    #[test]
    fn what_remains_is_as_in_a_row_of_sessions() {
        for length in LENGTHS {
            let mut rng = stream();
            let total = 20_000 * length.mean_us() as Micros;
            let mut cuts: Vec<Micros> = (0..20_000).map(|_| rng.below(total)).collect();
            cuts.sort_unstable();
            let mut end = 0;
            let mut seen = Vec::new();
            for cut in cuts {
                while end <= cut {
                    end += length.draw(&mut rng);
                }
                seen.push(end - cut);
            }
            let mut drawn: Vec<_> = (0..20_000).map(|_| length.draw_residual(&mut rng)).collect();
            seen.sort_unstable();
            drawn.sort_unstable();
            for percent in [10, 25, 50, 75, 90] {
                let at = seen.len() * percent / 100;
                let ratio = drawn[at] as f64 / seen[at] as f64;
                assert!((0.85..1.15).contains(&ratio), "{length:?}, {percent} %: {ratio}");
            }
        }
    }

    #[test]
    fn a_network_starts_in_its_steady_state() {
        let down = Length::Exponential { mean_us: HOUR };
        let churn = Churn { permanent: 0.2, ..churn(LENGTHS[1], down) };
        assert!((churn.availability() - 2.0 / 3.0).abs() < 1e-9);
        let mut rng = stream();
        let met: Vec<Met> = (0..N).map(|_| churn.meet(&mut rng)).collect();
        let share =
            |test: fn(&Met) -> bool| met.iter().filter(|m| test(m)).count() as f64 / N as f64;
        assert!((share(|met| *met == Met::Permanent) - 0.2).abs() < 0.01);
        assert!((share(|met| matches!(met, Met::Up(_))) - 0.8 * 2.0 / 3.0).abs() < 0.01);
        // An hour later as many are up: less the nodes that left, plus the nodes that came back.
        let up_at = |met: &Met, rng: &mut Stream| {
            let (mut up, mut left) = match *met {
                Met::Permanent => return true,
                Met::Up(us) => (true, us),
                Met::Down(us) => (false, us),
            };
            while left <= HOUR {
                up = !up;
                left += if up { churn.session.draw(rng) } else { churn.downtime.draw(rng) };
            }
            up
        };
        let up = met.iter().filter(|met| up_at(met, &mut rng)).count() as f64 / N as f64;
        assert!((up - (0.2 + 0.8 * 2.0 / 3.0)).abs() < 0.01, "{up}");
    }

    #[test]
    fn tables_come_back_as_often_as_asked() {
        let churn = Churn { return_with_table: 0.25, ..churn(LENGTHS[0], LENGTHS[0]) };
        let mut rng = stream();
        let with = (0..N).filter(|_| churn.returns_with_table(&mut rng)).count() as f64 / N as f64;
        assert!((with - 0.25).abs() < 0.01);
    }

    #[test]
    #[rustfmt::skip]
    fn the_same_on_every_machine() {
        let mut rng = stream();
        let drawn = LENGTHS.map(|length| (length.draw(&mut rng), length.draw_residual(&mut rng)));
        assert_eq!(drawn, [
            (2_896_063_608, 818_267_124),
            (9_663_759_497, 150_084_945_269),
            (1_414_152_395, 1_349_794_631),
            (4_075_591_582, 1_979_269_513),
            (3_600_000_000, 112_206_612),
        ]);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let hour = Length::Fixed { length_us: HOUR };
        let session = |session| churn(session, hour);
        for (churn, field) in [
            (session(Length::Exponential { mean_us: 0 }), "session.mean_us"),
            (session(Length::Weibull { scale_us: 0, shape: 1.0 }), "session.scale_us"),
            (session(Length::Weibull { scale_us: 1, shape: 0.0 }), "session.shape"),
            (session(Length::Weibull { scale_us: 1, shape: f64::NAN }), "session.shape"),
            (session(Length::Pareto { min_us: 1, shape: 1.0 }), "session.shape"),
            (session(Length::Pareto { min_us: u64::MAX, shape: 2.0 }), "session.min_us"),
            (session(Length::Exponential { mean_us: SESSION_MIN_US - 1 }), "session must last"),
            (session(Length::Pareto { min_us: 400_000, shape: 2.0 }), "session must last"),
            (churn(hour, Length::Fixed { length_us: 0 }), "downtime.length_us"),
            (Churn { permanent: 1.1, ..session(hour) }, "permanent"),
            (Churn { return_with_table: -1.0, ..session(hour) }, "return_with_table"),
        ] {
            let error = churn.check().unwrap_err();
            assert!(error.starts_with(field), "{error}");
            assert!(churn.session.draw(&mut stream()) > 0, "but it does no harm");
            assert!(churn.session.draw_residual(&mut stream()) > 0);
        }
        assert!(LENGTHS.iter().all(|length| churn(*length, hour).check() == Ok(())));
        let least = Length::Exponential { mean_us: SESSION_MIN_US };
        assert_eq!(churn(least, Length::Fixed { length_us: 1 }).check(), Ok(()));
    }

    #[test]
    fn churn_is_read_from_json() {
        let json = r#"{
            "session": {"weibull": {"scale_us": 3600000000, "shape": 0.5}},
            "downtime": {"exponential": {"mean_us": 3600000000}}
        }"#;
        let read: Churn = serde_json::from_str(json).unwrap();
        assert_eq!(read, churn(LENGTHS[1], LENGTHS[0]));
        let json = json.replace("shape", "form");
        assert!(serde_json::from_str::<Churn>(&json).is_err());
    }

    proptest! {
        #[test]
        fn lengths_are_within_bounds(
            seed: u64,
            us in 1..=LENGTH_MAX_US,
            weibull in 0.2..20.0_f64,
            pareto in 1.05..20.0_f64,
        ) {
            let mut rng = Stream::new(seed, Purpose::Churn, 0);
            for length in [
                Length::Exponential { mean_us: us },
                Length::Weibull { scale_us: us, shape: weibull },
                Length::Pareto { min_us: us, shape: pareto },
                Length::Fixed { length_us: us },
            ] {
                prop_assert_eq!(length.check(""), Ok(()));
                prop_assert!((1..=LENGTH_MAX_US).contains(&length.draw(&mut rng)));
                prop_assert!((1..=LENGTH_MAX_US).contains(&length.draw_residual(&mut rng)));
                prop_assert!(length.mean_us() > 0.0 && length.mean_us().is_finite());
            }
        }
    }
}
