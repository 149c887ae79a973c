//! What happens when, in words: `50% at 10m for 30m`.

use dht_sim::Scenario;
use dht_sim::churn::LENGTH_MAX_US;
use dht_sim::partition::{Flap, Side};
use dht_sim::scenario::{Fault, FaultKind, Impossible};
use dht_sim::script;

use crate::units::{count_between, duration, part};
use crate::words::unknown;

/// `50% at 10m for 30m one-way flap 60s open 20s`.
pub(crate) fn partition(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let first = Side::Fraction(part(words.next()?)?);
    let (mut at_us, mut for_us, mut one_way, mut flap) = (0, None, false, None);
    while let Some(word) = words.maybe() {
        match word {
            "at" => at_us = duration(words.next()?)?,
            "for" => for_us = Some(duration(words.next()?)?),
            "one-way" => one_way = true,
            "flap" => {
                let period_us = duration(words.next()?)?;
                flap = Some(Flap { period_us, open_us: period_us / 2 });
            }
            "open" => match &mut flap {
                Some(flap) => flap.open_us = duration(words.next()?)?,
                None => return Err("`open` comes after `flap`".to_owned()),
            },
            other => return unknown(other, "at, for, one-way, flap or open"),
        }
    }
    let for_us = for_us.ok_or("it has no end: say for how long, such as `for 30m`")?;
    if for_us == 0 {
        return Err("it ends as it begins: say for how long, such as `for 30m`".to_owned());
    }
    if flap.is_some_and(|flap| flap.open_us == 0 || flap.open_us >= flap.period_us) {
        return Err("`open` must be a part of each `flap`, such as `flap 60s open 20s`".to_owned());
    }
    Ok(Fault { at_us, what: FaultKind::Partition { first, one_way, for_us, flap } })
}

/// `50% at 10m`.
pub(crate) fn mass_leave(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let what = FaultKind::MassLeave { part: part(words.next()?)? };
    let mut at_us = 0;
    while let Some(word) = words.maybe() {
        match word {
            "at" => at_us = duration(words.next()?)?,
            other => return unknown(other, "at"),
        }
    }
    Ok(Fault { at_us, what })
}

/// `1000 at 10m over 30s`.
pub(crate) fn flash_crowd(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let nodes = count_between(1, 1_000_000)(words.next()?)?;
    let (mut at_us, mut over_us) = (0, 0);
    while let Some(word) = words.maybe() {
        match word {
            "at" => at_us = duration(words.next()?)?,
            "over" => over_us = duration(words.next()?)?,
            other => return unknown(other, "at or over"),
        }
    }
    Ok(Fault { at_us, what: FaultKind::FlashCrowd { nodes, over_us } })
}

/// Any fault as in a script.
pub(crate) fn fault(text: &str) -> Result<Fault, String> {
    let fault: Fault = serde_json::from_str(text).map_err(|error| {
        let example = r#"such as {"at_us": 1000000, "fault": "crash", "host": 3}"#;
        format!("{}; write it as in a script, {example}", script::plain(&error))
    })?;
    // What it needs of the rest of the scenario is looked at with that.
    let (run_us, faults, checks) = (LENGTH_MAX_US, vec![fault.clone()], true);
    let alone = Scenario { run_us, faults, checks, ..Scenario::default() };
    let wrong = |Impossible(wrong)| wrong.trim_start_matches("faults[0]: ").to_owned();
    alone.check().map(|()| fault).map_err(wrong)
}

/// Words, between which there may be spaces, or commas and equals signs for who dislikes quotes.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let words = text.split([' ', ',', '=']).filter(|word| !word.is_empty());
        Self(words.rev().collect())
    }

    fn maybe(&mut self) -> Option<&'a str> {
        self.0.pop()
    }

    fn next(&mut self) -> Result<&'a str, String> {
        self.maybe().ok_or_else(|| "something is missing at the end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use dht_sim::Micros;

    use super::*;

    const MS: Micros = 1_000;
    const MINUTE: Micros = 60_000_000;

    #[test]
    fn faults() {
        let spaced = partition("50% at 10m for 30m one-way flap 60s open 20s").unwrap();
        assert_eq!(partition("50%,at=10m,for=30m,one-way,flap=60s,open=20s"), Ok(spaced.clone()));
        let flap = Some(Flap { period_us: MINUTE, open_us: 20_000 * MS });
        let first = Side::Fraction(0.5);
        let what = FaultKind::Partition { first, one_way: true, for_us: 30 * MINUTE, flap };
        assert_eq!(spaced, Fault { at_us: 10 * MINUTE, what });
        for bad in ["", "50%", "50% at", "50% for 1m open 5s", "50% for 1m sometimes", "x for 1m"] {
            partition(bad).unwrap_err();
        }
        for bad in ["50% for 0", "50% for 1m flap 0", "50% for 1m flap 5s open 5s"] {
            partition(bad).unwrap_err();
        }
        let half = FaultKind::MassLeave { part: 0.5 };
        assert_eq!(mass_leave("50% at 1m"), Ok(Fault { at_us: MINUTE, what: half }));
        let crowd = FaultKind::FlashCrowd { nodes: 1000, over_us: 30_000 * MS };
        assert_eq!(flash_crowd("1k at 1m over 30s"), Ok(Fault { at_us: MINUTE, what: crowd }));
        let crash = Fault { at_us: 5, what: FaultKind::Crash { host: 3 } };
        assert_eq!(fault(r#"{"at_us": 5, "fault": "crash", "host": 3}"#), Ok(crash));
        fault("crash").unwrap_err();
        let said = fault(r#"{"at_us": -5, "fault": "crash", "host": 3}"#).unwrap_err();
        assert!(said.contains("`-5`, expected a whole number that is not negative;"), "{said}");
        let said = fault(r#"{"at_us": 5, "fault": "mass_leave", "part": 3}"#);
        assert_eq!(said, Err("part is 3, but must be between 0 and 1".to_owned()));
        for bad in ["0", "2M"] {
            let said = format!("`{bad}` is not from 1 to 1,000,000");
            assert_eq!(flash_crowd(bad), Err(said));
        }
    }
}
