//! Signs of an attack, told as events: each kind once a minute at most, so that who causes them fills no queue and no
//! log. Once a tick the counters are compared with what they were; nothing else is kept.
//!
//! What is counted is up to the parts, and what to do about it up to the embedder.

use crate::api::drop_reason::DropReason;
use crate::api::event::Event;
use crate::api::stats::Stats;

/// Ticks from one event of a kind to the next: a minute.
const PAUSE: u8 = 12;
/// What is dropped or withheld in a tick for one reason, at least, to be told of. A node of a network at peace drops a few
/// datagrams a minute.
const MANY: u16 = 100;

/// The kinds, and what they were told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarms {
    thin: Count,
    crowded: Count,
    /// The counters at the last tick, and how long they are not told of. The last 16 bits will do: a flood that adds a
    /// multiple of 65,536 in one tick is noticed in the next.
    dropped: [u16; DropReason::TOLD],
    pause: u8,
}

/// The last 16 bits of a counter of queries as it was when it was told, and how many ticks it is not told for. No node ends
/// 65,536 queries a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    told: u16,
    pause: u8,
}

impl Count {
    /// How much has been added since it was told, if it is to be told now.
    fn news(&mut self, total: u64) -> Option<u32> {
        self.pause = self.pause.saturating_sub(1);
        let more = (total as u16).wrapping_sub(self.told);
        let tells = more > 0 && self.pause == 0;
        if tells {
            *self = Self { told: total as u16, pause: PAUSE };
        }
        tells.then_some(more.into())
    }
}

impl Alarms {
    /// To be called once a tick: what is to be told.
    pub(crate) fn news(&mut self, stats: &Stats) -> [Option<Event>; 3] {
        let thin = self.thin.news(stats.queries.thin);
        let crowded = self.crowded.news(stats.queries.crowded);
        [
            thin.map(|queries| Event::ThinResults { queries }),
            crowded.map(|queries| Event::CrowdedKeys { queries }),
            self.dropping(stats),
        ]
    }

    /// The most frequent reason to drop something in the last tick, if it is one too many.
    fn dropping(&mut self, stats: &Stats) -> Option<Event> {
        self.pause = self.pause.saturating_sub(1);
        let mut most = (MANY, None);
        for (reason, last) in DropReason::ALL.into_iter().zip(&mut self.dropped) {
            let total = stats.dropped(reason);
            let more = (total as u16).wrapping_sub(*last);
            *last = total as u16;
            if more > most.0 {
                most = (more, Some(Event::ManyDropped { reason, total }));
            }
        }
        let event = most.1.filter(|_| self.pause == 0);
        if event.is_some() {
            self.pause = PAUSE;
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn news(alarms: &mut Alarms, stats: &Stats) -> Vec<Event> {
        alarms.news(stats).into_iter().flatten().collect()
    }

    #[test]
    fn each_kind_is_told_once_a_minute_and_nothing_is_left_out() {
        let (mut alarms, mut stats, mut told) = (Alarms::default(), Stats::default(), Vec::new());
        for tick in 0..36 {
            stats.queries.thin += 3;
            stats.queries.crowded += u64::from(tick % 2 == 1);
            told.extend(news(&mut alarms, &stats).into_iter().map(|event| (tick, event)));
        }
        let thin = |queries| Event::ThinResults { queries };
        let crowded = |queries| Event::CrowdedKeys { queries };
        let wanted = [
            (0, thin(3)),
            (1, crowded(1)),
            (12, thin(36)),
            (13, crowded(6)),
            (24, thin(36)),
            (25, crowded(6)),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_hundred_in_a_tick_are_not_many() {
        let (mut alarms, mut stats) = (Alarms::default(), Stats::default());
        for _ in 0..1_000 {
            stats.drops.malformed += 100;
            stats.drops.unsolicited += 100;
            assert_eq!(news(&mut alarms, &stats), []);
        }
        stats.drops.malformed += 100;
        stats.drops.unsolicited += 101;
        let many = Event::ManyDropped { reason: DropReason::Unsolicited, total: 100_101 };
        assert_eq!(news(&mut alarms, &stats), [many]);
    }

    #[test]
    fn the_most_frequent_reason_is_told_once_a_minute_as_long_as_it_lasts() {
        let (mut alarms, mut stats, mut told) = (Alarms::default(), Stats::default(), Vec::new());
        for tick in 0..30 {
            stats.drops.bad_token += 1_000;
            stats.withheld.requests += 1_001;
            stats.drops.not_ours += 10_000;
            told.extend(news(&mut alarms, &stats).into_iter().map(|event| (tick, event)));
        }
        let many = |total| Event::ManyDropped { reason: DropReason::WithheldRequests, total };
        assert_eq!(told, [(0, many(1_001)), (12, many(13 * 1_001)), (24, many(25 * 1_001))]);
        for _ in 0..100 {
            assert_eq!(news(&mut alarms, &stats), [], "it is over");
        }
    }
}
