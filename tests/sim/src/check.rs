//! What the configuration types refuse, in one wording: the field, the number, what it must be.

use crate::Micros;

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

/// Refuses a duration below `min` or above `max`.
pub(crate) fn duration(field: &str, us: Micros, min: Micros, max: Micros) -> Result<(), String> {
    if (min..=max).contains(&us) {
        Ok(())
    } else {
        Err(format!("{field} is {us} µs, but must be between {min} and {max}"))
    }
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
    fn the_field_is_named() {
        let error = duration("delay_us", 4, 5, 9).unwrap_err();
        assert_eq!(error, "delay_us is 4 µs, but must be between 5 and 9");
        let error = probability("loss", f64::NAN).unwrap_err();
        assert_eq!(error, "loss is NaN, but must be between 0 and 1");
        assert_eq!(that(false, "hosts", "not be empty").unwrap_err(), "hosts must not be empty");
        assert_eq!(that(true, "hosts", "not be empty"), Ok(()));
    }
}
