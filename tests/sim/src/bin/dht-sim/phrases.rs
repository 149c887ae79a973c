//! What happens when, in words: `50% at 10m for 30m`.

use dht_sim::churn::LENGTH_MAX_US;
use dht_sim::partition::{Flap, Side};
use dht_sim::scenario::{Fault, FaultKind, Impossible};
use dht_sim::script;
use dht_sim::{Micros, Scenario};

use crate::units::{count_between, duration, part};
use crate::words::unknown;

/// `50% at 10m for 30m one-way flap 60s open 20s`.
pub(crate) fn partition(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let first = Side::Fraction(part(words.next()?)?);
    let one_way = words.take("one-way");
    let [at_us, for_us, period, open] = words.times(["at", "for", "flap", "open"])?;
    let for_us = for_us.filter(|for_us| *for_us > 0);
    let for_us = for_us.ok_or("it has no end: say for how long, such as `for 30m`")?;
    let flap = period.map(|period_us| Flap { period_us, open_us: open.unwrap_or(period_us / 2) });
    if flap.is_none() && open.is_some() {
        return Err("`open` comes with `flap`".to_owned());
    }
    if flap.is_some_and(|flap| flap.open_us == 0 || flap.open_us >= flap.period_us) {
        return Err("`open` must be a part of each `flap`, such as `flap 60s open 20s`".to_owned());
    }
    let what = FaultKind::Partition { first, one_way, for_us, flap };
    Ok(Fault { at_us: at_us.unwrap_or(0), what })
}

/// `50% at 10m`.
pub(crate) fn mass_leave(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let what = FaultKind::MassLeave { part: part(words.next()?)? };
    let [at_us] = words.times(["at"])?;
    Ok(Fault { at_us: at_us.unwrap_or(0), what })
}

/// `1000 at 10m over 30s`.
pub(crate) fn flash_crowd(text: &str) -> Result<Fault, String> {
    let mut words = Words::new(text);
    let nodes = count_between(1, 1_000_000)(words.next()?)?;
    let [at_us, over_us] = words.times(["at", "over"])?.map(|time| time.unwrap_or(0));
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

    fn next(&mut self) -> Result<&'a str, String> {
        self.0.pop().ok_or_else(|| "something is missing at the end".to_owned())
    }

    /// Whether a word is among them, which is then taken out.
    fn take(&mut self, word: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|other| *other != word);
        self.0.len() < before
    }

    /// The times behind these words, in any order, to the end.
    fn times<const N: usize>(mut self, names: [&str; N]) -> Result<[Option<Micros>; N], String> {
        let mut times = [None; N];
        while let Ok(word) = self.next() {
            let at = names.iter().position(|name| *name == word);
            let Some(at) = at else { return unknown(word, &names.join(", ")) };
            times[at] = Some(duration(self.next()?)?);
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
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
