//! When things happen: a calendar of events.
//!
//! Entries are 16 bytes: a time in microseconds and a key whose meaning is the caller's. They come
//! out in the order of (time, key), whatever the order was in which they went in. Later ones lie unsorted in slots of
//! about 4 ms, so that only the few of one slot are ever put in order. Nothing is ever taken back: an entry
//! that is no longer wanted comes out and is ignored.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

use crate::world::Micros;

/// A slot is 4,096 µs long.
const SLOT_BITS: u32 = 12;

type Entry = (Micros, u64);

/// What is to happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// The number of the slot that is under way.
    slot: u64,
    /// What is in it, or came after it was over.
    due: BinaryHeap<Reverse<Entry>>,
    /// Later slots.
    later: BTreeMap<u64, Vec<Reverse<Entry>>>,
}

impl Events {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.due.len() + self.later.values().map(Vec::len).sum::<usize>()
    }

    /// Adds an entry. A time that is over comes next.
    pub(crate) fn push(&mut self, at: Micros, key: u64) {
        let (slot, entry) = (at >> SLOT_BITS, Reverse((at, key)));
        if slot <= self.slot {
            self.due.push(entry);
        } else {
            self.later.entry(slot).or_default().push(entry);
        }
    }

    /// Takes out the first entry, unless it is after `until`.
    pub(crate) fn pop(&mut self, until: Micros) -> Option<(Micros, u64)> {
        if self.due.is_empty() {
            let next = self.later.first_entry().filter(|next| *next.key() <= until >> SLOT_BITS)?;
            self.slot = *next.key();
            self.due = next.remove().into();
        }
        let next = self.due.peek_mut().filter(|next| next.0.0 <= until)?;
        let Reverse(entry) = PeekMut::pop(next);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn drain(events: &mut Events, until: Micros) -> Vec<Entry> {
        std::iter::from_fn(|| events.pop(until)).collect()
    }

    #[test]
    fn entries_come_out_by_time_then_key() {
        let mut events = Events::default();
        for (at, key) in [(5, 2), (5, 1), (0, 9), (1 << 40, 3), (4_194_304, 4), (4_194_303, 5)] {
            events.push(at, key);
        }
        assert_eq!(drain(&mut events, 4), [(0, 9)]);
        assert_eq!(drain(&mut events, 4_194_304), [(5, 1), (5, 2), (4_194_303, 5), (4_194_304, 4)]);
        assert_eq!((events.len(), events.pop((1 << 40) - 1)), (1, None));
        assert_eq!(events.pop(u64::MAX), Some((1 << 40, 3)));
        assert_eq!(events.pop(u64::MAX), None);
    }

    #[test]
    fn what_is_late_comes_next() {
        let mut events = Events::default();
        events.push(10_000_000, 1);
        assert_eq!(events.pop(u64::MAX), Some((10_000_000, 1)));
        events.push(3, 2);
        events.push(10_000_000, 3);
        assert_eq!(events.pop(u64::MAX), Some((3, 2)));
        assert_eq!(events.pop(u64::MAX), Some((10_000_000, 3)));
    }

    proptest! {
        /// The model is a sorted set; distances over all orders of magnitude, bounds met exactly.
        #[test]
        fn agrees_with_a_set(
            steps in prop::collection::vec((0..44u32, any::<u64>(), any::<bool>()), 1..300),
        ) {
            let (mut events, mut model) = (Events::default(), BTreeSet::new());
            let mut now = 0u64;
            for (key, (bits, random, pop)) in (0..).zip(steps) {
                let time = now + (random & ((1 << bits) - 1));
                if pop {
                    while let Some((at, key)) = events.pop(time) {
                        prop_assert_eq!(model.pop_first(), Some((at, key)));
                        now = at;
                    }
                    prop_assert!(model.first().is_none_or(|(at, _)| *at > time));
                    now = now.max(time);
                } else {
                    events.push(time, key);
                    model.insert((time, key));
                }
                prop_assert_eq!(events.len(), model.len());
            }
            prop_assert_eq!(drain(&mut events, u64::MAX), model.into_iter().collect::<Vec<_>>());
        }
    }
}
