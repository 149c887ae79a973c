//! When things happen: a hierarchical timing events.
//!
//! Entries are 16 bytes: a time in microseconds and a key whose meaning is the caller's. They come
//! out in the order of (time, key), whatever the order was in which they went in. Putting one in
//! costs the same however many there are; a slot of about a millisecond is sorted when its turn
//! comes. Nothing is ever taken back: an entry that is no longer wanted comes out and is ignored.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::world::Micros;

/// A slot of the inner wheel is 1,024 µs long.
const SLOT_BITS: u32 = 10;
/// Either wheel has 4,096 slots: the inner one turns in 4.2 s, the outer one in 4.8 h.
const WHEEL_BITS: u32 = 12;
const SLOTS: usize = 1 << WHEEL_BITS;
/// Emptied slots whose memory is kept for the next ones, at most.
const SPARE_MAX: usize = 64;

type Entry = (Micros, u64);

/// One wheel: its slots, and a bit for each that is not empty.
#[derive(Clone, Debug)]
struct Slots {
    entries: Vec<Vec<Entry>>,
    taken: Vec<u64>,
}

impl Slots {
    fn new() -> Self {
        Self { entries: vec![Vec::new(); SLOTS], taken: vec![0; SLOTS / 64] }
    }

    fn push(&mut self, slot: usize, entry: Entry, spare: &mut Vec<Vec<Entry>>) {
        if self.entries[slot].capacity() == 0 {
            self.entries[slot] = spare.pop().unwrap_or_default();
        }
        self.entries[slot].push(entry);
        self.taken[slot / 64] |= 1 << (slot % 64);
    }

    fn take(&mut self, slot: usize) -> Vec<Entry> {
        self.taken[slot / 64] &= !(1 << (slot % 64));
        std::mem::take(&mut self.entries[slot])
    }

    /// The first slot from `from` on that is not empty.
    fn next(&self, from: usize) -> Option<usize> {
        if from >= SLOTS {
            return None;
        }
        let mut word = self.taken[from / 64] & (u64::MAX << (from % 64));
        let mut at = from / 64;
        while word == 0 {
            at += 1;
            word = *self.taken.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }
}

/// The events. Times only go forward: an entry for a time that has passed comes out next.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// The slot whose turn it is, counted from the beginning of time.
    slot: u64,
    /// What is left of it, the next one last.
    batch: Vec<Entry>,
    /// What was put into it meanwhile.
    late: BinaryHeap<Reverse<Entry>>,
    /// The rest of this turn of the inner wheel, and of the outer one, and what comes after that.
    inner: Slots,
    outer: Slots,
    beyond: BTreeMap<u64, Vec<Entry>>,
    spare: Vec<Vec<Entry>>,
    len: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            slot: 0,
            batch: Vec::new(),
            late: BinaryHeap::new(),
            inner: Slots::new(),
            outer: Slots::new(),
            beyond: BTreeMap::new(),
            spare: Vec::new(),
            len: 0,
        }
    }
}

impl Events {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, at: Micros, key: u64) {
        self.len += 1;
        let slot = at >> SLOT_BITS;
        if slot <= self.slot {
            self.late.push(Reverse((at, key)));
            return;
        }
        let turn = |slot: u64| slot >> WHEEL_BITS;
        let within = |slot: u64| (slot & (SLOTS as u64 - 1)) as usize;
        if turn(slot) == turn(self.slot) {
            self.inner.push(within(slot), (at, key), &mut self.spare);
        } else if turn(turn(slot)) == turn(turn(self.slot)) {
            self.outer.push(within(turn(slot)), (at, key), &mut self.spare);
        } else {
            self.beyond.entry(turn(turn(slot))).or_default().push((at, key));
        }
    }

    /// The next entry, if its time is not after `until`.
    pub(crate) fn pop(&mut self, until: Micros) -> Option<(Micros, u64)> {
        loop {
            let batch = self.batch.last().copied();
            let late = self.late.peek().map(|Reverse(entry)| *entry);
            let (next, from_batch) = match (batch, late) {
                (Some(batch), Some(late)) if late < batch => (late, false),
                (Some(batch), _) => (batch, true),
                (None, Some(late)) => (late, false),
                (None, None) if self.advance(until) => continue,
                (None, None) => return None,
            };
            if next.0 > until {
                return None;
            }
            if from_batch {
                self.batch.pop();
            } else {
                self.late.pop();
            }
            self.len -= 1;
            return Some(next);
        }
    }

    /// Goes on to the next slot that is not empty, if it begins by `until`.
    fn advance(&mut self, until: Micros) -> bool {
        let last = until >> SLOT_BITS;
        loop {
            let within = (self.slot & (SLOTS as u64 - 1)) as usize;
            if let Some(next) = self.inner.next(within + 1) {
                let slot = self.slot - within as u64 + next as u64;
                if slot > last {
                    return false;
                }
                self.slot = slot;
                let batch = self.inner.take(next);
                self.recycle(batch);
                return true;
            }
            // This turn is over. The next one begins with its first slot.
            let turn = self.slot >> WHEEL_BITS;
            let within = (turn & (SLOTS as u64 - 1)) as usize;
            let next_turn = match self.outer.next(within + 1) {
                Some(next) => turn - within as u64 + next as u64,
                None => match self.beyond.first_key_value() {
                    Some((turns, _)) => turns << WHEEL_BITS,
                    None => return false,
                },
            };
            if next_turn << WHEEL_BITS > last {
                return false;
            }
            self.begin_turn(next_turn);
            if !self.late.is_empty() {
                return true;
            }
        }
    }

    /// Moves what happens in a turn of the inner wheel into its slots.
    fn begin_turn(&mut self, turn: u64) {
        let turns = turn >> WHEEL_BITS;
        if turns != self.slot >> (2 * WHEEL_BITS) {
            for entry in self.beyond.remove(&turns).unwrap_or_default() {
                let slot = (entry.0 >> SLOT_BITS >> WHEEL_BITS) & (SLOTS as u64 - 1);
                self.outer.push(slot as usize, entry, &mut self.spare);
            }
        }
        // If the turn of the outer wheel begins elsewhere, the first turn with anything in it.
        self.slot = turn << WHEEL_BITS;
        let mut entries = self.outer.take((turn & (SLOTS as u64 - 1)) as usize);
        for entry in entries.drain(..) {
            let slot = entry.0 >> SLOT_BITS;
            if slot <= self.slot {
                self.late.push(Reverse(entry));
            } else {
                self.inner.push((slot & (SLOTS as u64 - 1)) as usize, entry, &mut self.spare);
            }
        }
        self.keep(entries);
    }

    fn recycle(&mut self, mut batch: Vec<Entry>) {
        batch.sort_unstable_by(|a, b| b.cmp(a));
        let old = std::mem::replace(&mut self.batch, batch);
        self.keep(old);
    }

    fn keep(&mut self, entries: Vec<Entry>) {
        if entries.capacity() > 0 && self.spare.len() < SPARE_MAX {
            self.spare.push(entries);
        }
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
