//! What `-v` shows of a node that runs: signs of an attack as they are found, and what is dropped, once a minute.

use std::time::Duration;

use dht_tokio::{Dht, DropReason, Event, Stats};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::failure::Failure;
use crate::format;
use crate::output::Output;

/// How often the counters are shown, if any has changed.
const PERIOD: Duration = Duration::from_secs(60);

/// The counters of drops, as they were shown last.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    shown: Stats,
}

impl Watch {
    /// When to [show](Self::show) them.
    pub(crate) fn timer() -> Interval {
        let mut timer = interval_at(Instant::now() + PERIOD, PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer
    }

    /// Shows all counters that are not zero, if any has changed.
    pub(crate) fn show(&mut self, dht: &Dht, output: &Output) -> Result<(), Failure> {
        match self.news(dht.stats()) {
            Some((text, json)) => output.detail(text, &json),
            None => Ok(()),
        }
    }

    fn news(&mut self, stats: Stats) -> Option<(String, Value)> {
        let is_same = |reason| stats.dropped(reason) == self.shown.dropped(reason);
        if DropReason::ALL.into_iter().all(is_same) {
            return None;
        }
        self.shown = stats;
        let counts = DropReason::ALL.map(|reason| (reason.name(), stats.dropped(reason)));
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let text: Vec<_> = counts.clone().map(|(name, count)| format!("{name} {count}")).collect();
        let object = counts.map(|(name, count)| (name.to_owned(), count.into())).collect();
        let json = json!({ "event": "dropped", "dropped": Value::Object(object) });
        Some((format!("dropped: {}", text.join(", ")), json))
    }
}

/// Tells of an event if it is a sign of an attack.
pub(crate) fn tell(event: &Event, output: &Output) -> Result<(), Failure> {
    match alarm(event) {
        Some((text, json)) => output.detail(text, &json),
        None => Ok(()),
    }
}

fn alarm(event: &Event) -> Option<(String, Value)> {
    Some(match *event {
        Event::ThinResults { queries } => (
            format!(
                "{} found only nodes that are too far",
                format::count(queries as usize, "lookup")
            ),
            json!({ "event": "thin-results", "queries": queries }),
        ),
        Event::CrowdedKeys { queries } => (
            format!(
                "{} found too many nodes at the key",
                format::count(queries as usize, "lookup")
            ),
            json!({ "event": "crowded-keys", "queries": queries }),
        ),
        Event::ManyDropped { reason, total } => (
            format!("more than 100 dropped within 5 s: {reason}, {total} in all"),
            json!({ "event": "many-dropped", "reason": reason.name(), "total": total }),
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_are_one_line_when_any_has_changed() {
        let (mut watch, mut stats) = (Watch::default(), Stats::default());
        assert_eq!(watch.news(stats), None);
        (stats.drops.bad_token, stats.withheld.requests) = (3, 2);
        let (text, json) = watch.news(stats).unwrap();
        assert_eq!(text, "dropped: bad-token 3, withheld-requests 2");
        let counts = json!({ "bad-token": 3, "withheld-requests": 2 });
        assert_eq!(json, json!({ "event": "dropped", "dropped": counts }));
        stats.requests.total += 1;
        assert_eq!(watch.news(stats), None, "that is no drop");
        stats.drops.bad_token += 1;
        assert_eq!(watch.news(stats).unwrap().0, "dropped: bad-token 4, withheld-requests 2");
    }

    #[test]
    fn every_alarm_has_its_words() {
        let many = Event::ManyDropped { reason: DropReason::BadToken, total: 345 };
        let alarms = [
            (Event::ThinResults { queries: 1 }, "1 lookup found only nodes that are too far"),
            (Event::CrowdedKeys { queries: 2 }, "2 lookups found too many nodes at the key"),
            (many, "more than 100 dropped within 5 s: bad-token, 345 in all"),
        ];
        for (event, words) in alarms {
            assert_eq!(alarm(&event).unwrap().0, words);
        }
        assert_eq!(alarm(&Event::Ready), None);
    }
}
