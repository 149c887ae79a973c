//! What the configuration types refuse, in one wording: the field, the number, what it must be.

use super::{Micros, text::thousands};

/// Refuses what is no probability.
pub(crate) fn probability(field: &str, value: f64) -> Result<(), String> {
    between(field, value, 0.0, 1.0)
}

/// Refuses what is below `min`, above `max` or not a number.
pub(crate) fn between(field: &str, value: f64, min: f64, max: f64) -> Result<(), String> {
    // A NaN is in no range.
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("{field} is {value}, but must be between {min} and {max}"))
    }
}

/// Refuses a number above `max`.
pub(crate) fn at_most(field: &str, number: u32, max: u32) -> Result<(), String> {
    that(number <= max, field, &format!("be at most {}", thousands(max.into())))
}

/// Refuses a number below `min` or above `max`.
pub(crate) fn within(field: &str, number: u32, min: u32, max: u32) -> Result<(), String> {
    let fits = (min..=max).contains(&number);
    that(fits, field, &format!("be between {min} and {}", thousands(max.into())))
}

/// Refuses a duration below `min` or above `max`.
pub(crate) fn duration(field: &str, us: Micros, min: Micros, max: Micros) -> Result<(), String> {
    if (min..=max).contains(&us) {
        Ok(())
    } else {
        let [is, min, max] = [us, min, max].map(span);
        Err(format!("{field} is {is}, but must be between {min} and {max}"))
    }
}

/// Exactly so long, in the longest unit that makes it a whole number: `90 s`, `2 h`.
fn span(us: Micros) -> String {
    const UNITS: [(Micros, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "µs"),
    ];
    let whole = |(worth, _): &&(Micros, &str)| us > 0 && us.is_multiple_of(*worth);
    let (worth, unit) = UNITS.iter().find(whole).unwrap_or(&(1, "s"));
    format!("{} {unit}", us / worth)
}

/// Refuses what is not so: "`field` must `be`".
pub(crate) fn that(holds: bool, field: &str, must: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{field} must {must}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_pass_and_what_is_beyond_does_not() {
        for (value, passes) in
            [(0.0, true), (1.0, true), (-0.001, false), (1.001, false), (f64::NAN, false)]
        {
            assert_eq!(probability("loss", value).is_ok(), passes, "{value}");
        }
        for (us, passes) in [(4, false), (5, true), (9, true), (10, false)] {
            assert_eq!(duration("delay_us", us, 5, 9).is_ok(), passes, "{us}");
        }
    }

    #[test]
    fn lengths_of_time_are_exact() {
        let texts = [0, 7, 1_500, 2_000, 90_000_000, 120_000_000, 7_200_000_000, 86_400_000_000];
        let texts = texts.map(span);
        assert_eq!(texts, ["0 s", "7 µs", "1500 µs", "2 ms", "90 s", "2 min", "2 h", "1 d"]);
    }

    #[test]
    fn the_field_is_named() {
        let error = duration("delay_us", 4, 5, 9).unwrap_err();
        assert_eq!(error, "delay_us is 4 µs, but must be between 5 µs and 9 µs");
        let error = probability("loss", f64::NAN).unwrap_err();
        assert_eq!(error, "loss is NaN, but must be between 0 and 1");
        assert_eq!(that(false, "hosts", "not be empty").unwrap_err(), "hosts must not be empty");
        assert_eq!(that(true, "hosts", "not be empty"), Ok(()));
    }
}
