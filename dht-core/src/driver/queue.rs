//! Bounded queues, and the wakers of the tasks that wait for them.
//!
//! Waking or dropping a waker runs foreign code, as dropping an error of the system's does, which may own a value of the
//! runtime's. So neither happens under the lock: [`Wakes`] keeps them until the lock was released.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::task::Waker;

use super::error::Error;
use super::guard::guard;

/// Wakers to be woken, and values to be dropped, after the lock was released. Four wakers fit in without an allocation.
#[derive(Default)]
pub(crate) struct Wakes {
    few: heapless::Vec<Waker, 4>,
    rest: Vec<Waker>,
    dead: Option<Waker>,
    errors: Vec<Error>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if let Some(Err(waker)) = waker.map(|waker| self.few.push(waker)) {
            self.rest.push(waker);
        }
    }

    /// Keeps a waker that is not to be woken until it can be dropped.
    pub(crate) fn bury(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.dead.is_none() => self.dead = Some(waker),
            // A second one is woken: a spurious wake-up does no harm.
            waker => self.push(waker),
        }
    }

    /// Keeps an error that was replaced until it can be dropped.
    pub(crate) fn keep(&mut self, error: Option<Error>) {
        self.errors.extend(error);
    }

    /// Wakes and drops all of them. Call this without the lock. A waker that panics does not keep the next from being woken.
    pub(crate) fn wake(self) {
        for waker in self.few.into_iter().chain(self.rest) {
            guard(|| waker.wake());
        }
        guard(|| drop(self.dead));
        for error in self.errors {
            guard(|| drop(error));
        }
    }
}

/// The readers of a queue, by number, each with its waker while it waits.
#[derive(Default)]
pub(crate) struct Readers(BTreeMap<u64, Option<Waker>>);

impl Readers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place for the waker of `reader`, which joins if it is new.
    pub(crate) fn slot(&mut self, reader: u64) -> &mut Option<Waker> {
        self.0.entry(reader).or_default()
    }

    /// Removes `reader`. Its waker is given back, to be dropped without the lock.
    pub(crate) fn leave(&mut self, reader: u64) -> Option<Waker> {
        self.0.remove(&reader).flatten()
    }

    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        for slot in self.0.values_mut() {
            wakes.push(slot.take());
        }
    }
}

/// A queue of at most `max` entries.
pub(crate) struct Queue<T> {
    entries: VecDeque<T>,
    max: usize,
    lost: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), max, lost: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.max
    }

    /// How many entries gave way to later ones.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    /// Adds an entry unless the queue is full; whether it was added.
    pub(crate) fn push(&mut self, entry: T) -> bool {
        let fits = !self.is_full();
        if fits {
            self.entries.push_back(entry);
        }
        fits
    }

    /// Adds an entry that has a kind. If `max` entries have one, the oldest of the same kind gives way, or else the
    /// oldest of any: the latest entry of each kind stays.
    pub(crate) fn push_kind<K: PartialEq>(
        &mut self,
        entry: T,
        max: usize,
        kind: impl Fn(&T) -> Option<K>,
    ) {
        let (own, kinds) = (kind(&entry), || self.entries.iter().map(&kind));
        if self.entries.len() >= max && kinds().flatten().count() >= max {
            let oldest = kinds().position(|other| other == own);
            let oldest = oldest.or_else(|| kinds().position(|other| other.is_some()));
            oldest.and_then(|oldest| self.entries.remove(oldest));
            self.lost += 1;
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.entries.retain(keep);
    }

    /// Removes and gives all entries.
    pub(crate) fn take(&mut self) -> VecDeque<T> {
        core::mem::take(&mut self.entries)
    }
}

/// A queue with readers; each entry goes to one of them.
pub(crate) struct Mailbox<T> {
    pub(crate) queue: Queue<T>,
    pub(crate) readers: Readers,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { queue: Queue::new(max), readers: Readers::default() }
    }

    /// Adds an entry and wakes the readers; whether there is a reader, and a place.
    pub(crate) fn push(&mut self, entry: T, wakes: &mut Wakes) -> bool {
        let taken = !self.readers.is_empty() && self.queue.push(entry);
        if taken {
            self.readers.wake(wakes);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_same_kind_gives_way() {
        let mut queue = Queue::new(usize::MAX);
        let kind = |(kind, _): &(char, u32)| Some(*kind).filter(|kind| *kind != ' ');
        for entry in [('a', 0), ('b', 1), (' ', 2), ('b', 3), ('b', 4), ('b', 5)] {
            queue.push_kind(entry, 4, kind);
        }
        assert_eq!((queue.lost(), queue.len()), (1, 5));
        // There is no entry of this kind: the oldest of any gives way.
        queue.push_kind(('c', 6), 4, kind);
        assert_eq!(queue.lost(), 2);
        assert_eq!(queue.take(), [(' ', 2), ('b', 3), ('b', 4), ('b', 5), ('c', 6)]);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut queue = Queue::new(2);
        assert_eq!([queue.push(0), queue.push(1), queue.push(2)], [true, true, false]);
    }
}
