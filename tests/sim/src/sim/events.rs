//! When things happen: entries of 16 bytes, a time in microseconds and a key whose meaning is the caller's, which
//! come out in the order of (time, key), whatever the order was in which they went in.
//!
//! Nothing is ever taken back: an entry that is no longer wanted comes out and is ignored.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::world::Micros;

type Entry = (Micros, u64);

/// The queue. An entry for a time that has passed comes out next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(BinaryHeap<Reverse<Entry>>);

impl Events {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, at: Micros, key: u64) {
        self.0.push(Reverse((at, key)));
    }

    /// The next entry, if its time is not after `until`.
    pub(crate) fn pop(&mut self, until: Micros) -> Option<Entry> {
        let next = self.0.peek_mut().filter(|next| next.0.0 <= until)?;
        Some(PeekMut::pop(next).0)
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
