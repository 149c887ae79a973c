//! What happens when, in words: `50% at 10m for 30m`.

use dht_sim::partition::{Flap, Side};
use dht_sim::scenario::{Fault, FaultKind};

use crate::units::{count, duration, part};
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
    let nodes = count(words.next()?)?;
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
    serde_json::from_str(text).map_err(|error| {
        let example = r#"such as {"at_us": 1000000, "fault": "crash", "host": 3}"#;
        format!("{error}; write it as in a script, {example}")
    })
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
        let half = FaultKind::MassLeave { part: 0.5 };
        assert_eq!(mass_leave("50% at 1m"), Ok(Fault { at_us: MINUTE, what: half }));
        let crowd = FaultKind::FlashCrowd { nodes: 1000, over_us: 30_000 * MS };
        assert_eq!(flash_crowd("1k at 1m over 30s"), Ok(Fault { at_us: MINUTE, what: crowd }));
        let crash = Fault { at_us: 5, what: FaultKind::Crash { host: 3 } };
        assert_eq!(fault(r#"{"at_us": 5, "fault": "crash", "host": 3}"#), Ok(crash));
        fault("crash").unwrap_err();
    }
}
