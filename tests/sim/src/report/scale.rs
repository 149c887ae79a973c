//! From numbers to places on an axis, and to words.

use super::{Axis, Unit};
use crate::world::text::trimmed;

/// An axis with its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    unit: Unit,
}

impl Scale {
    /// An axis for `values`. With `zero` it begins there.
    pub(super) fn new(axis: &Axis, values: impl IntoIterator<Item = f64>, zero: bool) -> Self {
        let mut ends: Option<(f64, f64)> = None;
        for value in values.into_iter().filter(|value| value.is_finite()) {
            let (low, high) = ends.unwrap_or((value, value));
            ends = Some((low.min(value), high.max(value)));
        }
        let (mut low, mut high) = ends.unwrap_or((0.0, 1.0));
        if zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        let scale = Self { low, high, unit: axis.unit }.with_ends(axis);
        match scale.low {
            low if low < scale.high => scale,
            // A single value, or ends in the wrong order: there must be some room.
            0.0 => Self { high: 1.0, ..scale },
            low => Self { high: low + low.abs(), ..scale },
        }
    }

    /// The same with the ends that are given.
    fn with_ends(self, axis: &Axis) -> Self {
        let given = |end: Option<f64>| end.filter(|value| value.is_finite());
        let (low, high) = (given(axis.min), given(axis.max));
        Self { low: low.unwrap_or(self.low), high: high.unwrap_or(self.high), ..self }
    }

    /// The same with ends at ticks, of which there are about this many. A given end stays.
    pub(super) fn rounded(self, axis: &Axis, about: usize) -> Self {
        let step = self.step(about);
        let low = (self.low / step + 1e-9).floor() * step;
        let high = (self.high / step - 1e-9).ceil() * step;
        let rounded = Self { low, high, ..self }.with_ends(axis);
        if rounded.low < rounded.high { rounded } else { self }
    }

    /// The same with so much more at both ends.
    pub(super) fn padded(self, by: f64) -> Self {
        Self { low: self.low - by, high: self.high + by, ..self }
    }

    pub(super) const fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// How far along the axis a value is: 0 to 1, more or less if it is outside. `None` for what
    /// has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = (value - self.low) / (self.high - self.low);
        place.is_finite().then_some(place)
    }

    /// About this many values along the axis that are easy to read, with their texts.
    pub(super) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        let step = self.step(about);
        let first = (self.low / step - 1e-9).ceil();
        let values = (0..MANY_TICKS).map(|n| (first + n as f64) * step);
        values
            .take_while(|value| *value <= self.high + step * 1e-9)
            .map(|value| (value, self.text_at_step(value, step)))
            .collect()
    }

    /// A value as text, to four digits.
    pub(super) fn text(&self, value: f64) -> String {
        text(value, self.unit)
    }

    fn step(&self, about: usize) -> f64 {
        let least = (self.high - self.low) / about.max(1) as f64;
        if self.unit == Unit::Seconds && least > 5.0 {
            let unit_steps = TIME_STEPS.into_iter().find(|step| *step >= least);
            return unit_steps.unwrap_or_else(|| round_up(least / DAY) * DAY);
        }
        round_up(least)
    }

    /// A tick's text: as many decimals as tell it from its neighbours.
    fn text_at_step(&self, value: f64, step: f64) -> String {
        let (factor, suffix) = match self.unit {
            // One unit along the axis: `90 s` and `2 min` can't be compared at a glance.
            Unit::Seconds => {
                let most = self.high.abs().max(self.low.abs());
                // `90 min` rather than `1.5 h`.
                suffix(if most < 60.0 { most } else { most / 2.0 }, self.unit)
            }
            unit => suffix(value, unit),
        };
        let decimals = (0..9).find(|decimals| {
            let scaled = step / factor * 10f64.powi(*decimals);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        let decimals = decimals.unwrap_or(9) as usize;
        // Not `-0`, and not `0 s` either: nothing is nothing.
        if value.abs() < step * 1e-6 {
            return "0".to_owned();
        }
        trimmed(value / factor, decimals) + suffix
    }
}

/// A value as text, to four digits: `1.5k`, `412.3 ms`, `99.93 %`.
pub(super) fn text(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let (factor, suffix) = suffix(value, unit);
    let scaled = value / factor;
    let decimals = match scaled.abs() {
        size if size >= 999.5 => 0,
        size if size >= 99.95 => 1,
        size if size >= 9.995 => 2,
        size if size >= 0.01 => 3,
        _ => 6,
    };
    trimmed(scaled, decimals) + suffix
}

/// What one of a value's unit is worth, and how it is written.
fn suffix(value: f64, unit: Unit) -> (f64, &'static str) {
    let units: &[_] = match unit {
        Unit::Count => &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
        Unit::Fraction => &[(0.01, " %")],
        Unit::Seconds => &[
            (DAY, " d"),
            (3_600.0, " h"),
            (60.0, " min"),
            (1.0, " s"),
            (1e-3, " ms"),
            (1e-6, " µs"),
        ],
    };
    let fits = |(factor, _): &&(f64, &'static str)| value.abs() >= factor * ALMOST;
    units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""))
}

/// The next of 1, 2, 2.5, 5, 10, 20, … and their fractions.
fn round_up(value: f64) -> f64 {
    let decade = decade_below(value);
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * decade);
    steps.into_iter().find(|step| *step >= value * ALMOST).unwrap_or(value)
}

/// The power of ten that is not above `value`; something sensible for what has none.
fn decade_below(value: f64) -> f64 {
    let decade = 10f64.powi((value / ALMOST).log10().floor() as i32);
    if decade.is_normal() { decade } else { 1.0 }
}

/// Steps of time from seconds to days.
const TIME_STEPS: [f64; 15] = [
    10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0,
    21_600.0, 43_200.0, DAY,
];
const DAY: f64 = 86_400.0;

/// The most ticks of an axis, also if its numbers are wrong.
const MANY_TICKS: usize = 40;

/// What sums of floats may lack.
const ALMOST: f64 = 1.0 - 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(unit: Unit, low: f64, high: f64, about: usize) -> String {
        let scale = Scale::new(&Axis::new("", unit), [low, high], false);
        scale.ticks(about).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn ticks_are_easy_to_read() {
        let cases = [
            (Unit::Count, 0.0, 10.0, 5, "0|2|4|6|8|10"),
            (Unit::Count, 0.0, 2_400.0, 5, "0|500|1k|1.5k|2k"),
            (Unit::Count, -1.0, 1.0, 4, "-1|-0.5|0|0.5|1"),
            (Unit::Count, 0.0, 0.3, 3, "0|0.1|0.2|0.3"),
            (Unit::Count, 0.0, 3e12, 3, "0|1000G|2000G|3000G"),
            (Unit::Fraction, 0.9, 1.0, 5, "90 %|92 %|94 %|96 %|98 %|100 %"),
            (Unit::Fraction, 0.999, 1.0, 4, "99.9 %|99.925 %|99.95 %|99.975 %|100 %"),
            (Unit::Seconds, 0.0, 0.4, 4, "0|100 ms|200 ms|300 ms|400 ms"),
            (Unit::Seconds, 0.0, 1.8, 4, "0|0.5 s|1 s|1.5 s"),
            (Unit::Seconds, 0.0, 60.0, 6, "0|10 s|20 s|30 s|40 s|50 s|60 s"),
            (Unit::Seconds, 0.0, 3_600.0, 4, "0|15 min|30 min|45 min|60 min"),
            (Unit::Seconds, 0.0, 14_400.0, 4, "0|1 h|2 h|3 h|4 h"),
            (Unit::Seconds, 0.0, 9_000.0, 5, "0|0.5 h|1 h|1.5 h|2 h|2.5 h"),
            (Unit::Seconds, 0.0, 30.0 * DAY, 6, "0|5 d|10 d|15 d|20 d|25 d|30 d"),
        ];
        for (unit, low, high, about, expected) in cases {
            assert_eq!(ticks(unit, low, high, about), expected, "{unit:?} {low} to {high}");
        }
    }

    #[test]
    fn values_in_words() {
        let cases = [
            (0.0, Unit::Count, "0"),
            (3.0, Unit::Count, "3"),
            (1_234.0, Unit::Count, "1.234k"),
            (-20_000.0, Unit::Count, "-20k"),
            (0.000_02, Unit::Count, "0.00002"),
            (0.999_3, Unit::Fraction, "99.93 %"),
            (0.000_5, Unit::Fraction, "0.05 %"),
            (0.412_34, Unit::Seconds, "412.3 ms"),
            (0.000_012, Unit::Seconds, "12 µs"),
            (90.0, Unit::Seconds, "1.5 min"),
            (f64::NAN, Unit::Seconds, "–"),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(text(value, unit), expected);
        }
    }

    #[test]
    fn ends_are_rounded_unless_given() {
        let axis = Axis::new("", Unit::Fraction);
        let scale = Scale::new(&axis, [0.913, 0.999], false).rounded(&axis, 4);
        let (low, high) = scale.ends();
        assert!((low - 0.9).abs() < 1e-9 && high == 1.0, "{scale:?}");
        let axis = Axis { min: Some(0.5), max: Some(0.7), ..axis };
        let scale = Scale::new(&axis, [0.913, 0.999], true).rounded(&axis, 4);
        assert_eq!(scale.ends(), (0.5, 0.7));
        assert_eq!(Scale::new(&Axis::default(), [7.0, 9.0], true).ends(), (0.0, 9.0));
    }

    #[test]
    fn whatever_the_numbers_there_is_an_axis() {
        let odd =
            [0.0, -0.0, 1.0, -1e300, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, 5e-324];
        for low in odd {
            for high in odd {
                for min in [None, Some(low), Some(high)] {
                    let axis = Axis { min, max: Some(high), ..Axis::default() };
                    let scale = Scale::new(&axis, [low, high], true);
                    for scale in [scale, scale.rounded(&axis, 5)] {
                        assert!(scale.low < scale.high, "{scale:?}");
                        assert!(scale.ticks(5).len() <= MANY_TICKS, "{scale:?}");
                    }
                }
            }
        }
    }
}
