//! Where the entries of all buckets are stored: one after the other in one piece of
//! memory, each bucket in a run of its own.
//!
//! A block of memory for each bucket costs a quarter more. What moves when a run
//! grows is at most a few kilobytes, a few dozen times in the life of a table.

use alloc::vec::Vec;

use super::bucket::{Bucket, Entry};
use super::{BUCKETS, K};

/// By how many nodes more than another a bucket of a full table has clearly more.
pub(super) const SURPLUS: usize = 2;
/// Spare entries, and spare runs, for which there may be memory beyond the used ones.
const SLACK: usize = 8;

/// The run of a bucket.
#[derive(Clone, Copy)]
struct Run {
    /// A bit for each position that is taken.
    taken: u32,
    start: u16,
    /// How many entries there is room for.
    room: u16,
}

impl Run {
    /// The last position that is taken.
    fn last(&self) -> Option<usize> {
        self.taken.checked_ilog2().map(|last| last as usize)
    }
}

/// All buckets, the last one not empty.
#[derive(Clone)]
pub(super) struct Arena {
    runs: Vec<Run>,
    entries: Vec<Entry>,
    /// How many entries there may be room for, in all.
    max: usize,
}

impl Arena {
    pub(super) const fn new(max: usize) -> Self {
        Self { runs: Vec::new(), entries: Vec::new(), max }
    }

    /// What it takes of the heap, at most.
    pub(super) const fn bytes_max(max: usize) -> usize {
        (max + SLACK) * size_of::<Entry>() + (BUCKETS + SLACK) * size_of::<Run>()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// How many buckets there are.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn bucket(&self, number: usize) -> Option<Bucket<'_>> {
        let run = self.runs.get(number)?;
        let start = usize::from(run.start);
        let entries = self.entries.get(start..start + usize::from(run.room))?;
        Some(Bucket { number, taken: run.taken, entries })
    }

    /// All buckets, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = Bucket<'_>> {
        (0..self.len()).filter_map(|number| self.bucket(number))
    }

    pub(super) fn get(&self, number: usize, position: usize) -> Option<&Entry> {
        self.bucket(number)?.get(position)
    }

    pub(super) fn get_mut(&mut self, number: usize, position: usize) -> Option<&mut Entry> {
        let run = self.runs.get(number)?;
        let taken = position < K && run.taken >> position & 1 == 1;
        self.entries.get_mut(usize::from(run.start) + position).filter(|_| taken)
    }

    /// All entries; what stands where there is none does no harm.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Whether no bucket can grow.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.max
    }

    /// The bucket with the most room, if that is clearly more than this one has, which could have more. Of
    /// several it is the one of the nodes farthest away. Where all room is taken, that is how many nodes there are.
    pub(super) fn surplus(&self, number: usize) -> Option<usize> {
        let own = usize::from(self.runs.get(number).map_or(0, |run| run.room));
        let (at, most) = self.runs.iter().enumerate().rev().max_by_key(|(_, run)| run.room)?;
        (own < K && usize::from(most.room) > own + SURPLUS).then_some(at)
    }

    /// Moves the last entry of a bucket to a free position before it, which is returned, if there is one.
    pub(super) fn close_gap(&mut self, number: usize) -> Option<usize> {
        let run = self.runs.get_mut(number)?;
        let (last, free) = (run.last()?, run.taken.trailing_ones() as usize);
        (free < last).then_some(())?;
        run.taken ^= 1 << last | 1 << free;
        let start = usize::from(run.start);
        let entry = *self.entries.get(start + last)?;
        *self.entries.get_mut(start + free)? = entry;
        Some(free)
    }

    /// Gives up the room behind the last entry of each bucket.
    pub(super) fn tighten(&mut self) {
        for number in 0..self.runs.len() {
            let Some(run) = self.runs.get_mut(number) else { return };
            let needed = run.last().map_or(0, |last| last + 1) as u16;
            let (end, spare) = (usize::from(run.start + run.room), run.room - needed);
            if spare > 0 {
                run.room = needed;
                self.entries.drain(end - usize::from(spare)..end);
                self.move_after(number, |start| start - spare);
            }
        }
    }

    /// Puts `entry` at the first free position of a bucket, which is returned, unless there is none.
    pub(super) fn insert(&mut self, number: usize, entry: Entry) -> Option<usize> {
        let run = self.runs.get(number);
        let (taken, room) = run.map_or((0, 0), |run| (run.taken, usize::from(run.room)));
        let position = taken.trailing_ones() as usize;
        if position >= K || (position >= room && self.is_full()) {
            return None;
        }
        if number >= self.runs.len() {
            let start = u16::try_from(self.entries.len()).ok()?;
            self.runs.reserve_exact(number + 1 - self.runs.len());
            self.runs.resize(number + 1, Run { taken: 0, start, room: 0 });
        }
        let run = self.runs.get_mut(number)?;
        run.taken |= 1 << position;
        let at = usize::from(run.start) + position;
        if position >= room {
            run.room += 1;
            if self.entries.capacity() == self.entries.len() {
                self.entries.reserve_exact(SLACK);
            }
            self.entries.insert(at, entry);
            self.move_after(number, |start| start + 1);
        } else {
            *self.entries.get_mut(at)? = entry;
        }
        Some(position)
    }

    pub(super) fn remove(&mut self, number: usize, position: usize) {
        let Some(run) = self.runs.get_mut(number).filter(|_| position < K) else {
            return;
        };
        run.taken &= !(1 << position);
        if run.taken != 0 {
            return;
        }
        let (start, room) = (usize::from(run.start), core::mem::take(&mut run.room));
        self.entries.copy_within(start + usize::from(room).., start);
        self.entries.truncate(self.entries.len() - usize::from(room));
        self.move_after(number, |start| start - room);
        while self.runs.last().is_some_and(|run| run.taken == 0) {
            self.runs.pop();
        }
        self.trim();
    }

    /// Makes room for `len` entries.
    pub(super) fn reserve(&mut self, len: usize) {
        self.entries.reserve_exact(len.min(self.max));
    }

    /// Gives memory back, but for some slack, so that a node that comes and goes costs nothing.
    pub(super) fn trim(&mut self) {
        if self.runs.capacity() > self.runs.len() + SLACK {
            self.runs.shrink_to_fit();
        }
        if self.entries.capacity() > self.entries.len() + SLACK {
            self.entries.shrink_to_fit();
        }
    }

    /// Moves the starts of the runs after that of bucket `number`.
    fn move_after(&mut self, number: usize, moved: impl Fn(u16) -> u16) {
        for run in self.runs.iter_mut().skip(number + 1) {
            run.start = moved(run.start);
        }
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self) {
        let mut end = 0;
        for run in &self.runs {
            assert_eq!(usize::from(run.start), end, "a gap between runs, or two in one place");
            end += usize::from(run.room);
            assert!(run.taken >> run.room == 0 && usize::from(run.room) <= K);
            assert_eq!(run.taken == 0, run.room == 0);
        }
        assert_eq!(end, self.entries.len());
        assert!(end <= self.max, "more than there may be");
        assert!(self.runs.last().is_none_or(|run| run.taken != 0));
    }

    /// Heap bytes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.entries.capacity() * size_of::<Entry>()
    }
}
