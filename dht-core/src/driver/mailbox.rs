//! Bounded queues with readers that wait, and the wakers that are collected meanwhile.
//!
//! Wakers run code of others, so nobody is woken under the lock: whoever changes the
//! state collects wakers in [`Wakes`], which is emptied once the lock is released.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::task::Waker;

use super::guard::guard;

/// Wakers to be woken once the lock is released. A few fit in without an allocation.
#[derive(Default)]
pub(crate) struct Wakes {
    few: heapless::Vec<Waker, 4>,
    rest: Vec<Waker>,
    dead: Option<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if let Some(Err(waker)) = waker.map(|waker| self.few.push(waker)) {
            self.rest.push(waker);
        }
    }

    /// Keeps a waker that is not to be woken, until it can be dropped.
    pub(crate) fn bury(&mut self, waker: Option<Waker>) {
        match waker {
            Some(waker) if self.dead.is_none() => self.dead = Some(waker),
            // More than one at a time: being woken for nothing does no harm.
            waker => self.push(waker),
        }
    }

    /// Call this without the lock. Whether one of them panics is no affair of the others.
    pub(crate) fn wake(self) {
        for waker in self.few.into_iter().chain(self.rest) {
            guard(|| waker.wake());
        }
        guard(|| drop(self.dead));
    }
}

/// A queue that some streams read: each entry goes to one of them.
pub(crate) struct Mailbox<T> {
    queue: VecDeque<T>,
    readers: BTreeMap<u64, Option<Waker>>,
    capacity: usize,
}

impl<T> Mailbox<T> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), readers: BTreeMap::new(), capacity }
    }

    /// Adds an entry, or gives it back if nobody reads or the queue is full.
    pub(crate) fn push(&mut self, entry: T, wakes: &mut Wakes) -> Result<(), T> {
        if self.readers.is_empty() || self.queue.len() >= self.capacity {
            return Err(entry);
        }
        self.queue.push_back(entry);
        self.wake(wakes);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        for slot in self.readers.values_mut() {
            wakes.push(slot.take());
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        !self.readers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.capacity
    }

    pub(crate) const fn queue(&mut self) -> &mut VecDeque<T> {
        &mut self.queue
    }

    pub(crate) fn join(&mut self, reader: u64) {
        self.readers.insert(reader, None);
    }

    /// Where `reader` waits.
    pub(crate) fn slot(&mut self, reader: u64) -> &mut Option<Waker> {
        self.readers.entry(reader).or_default()
    }

    /// `reader` is gone. Gives back its waker, and what is left if it was the last one.
    pub(crate) fn leave(&mut self, reader: u64) -> (Option<Waker>, VecDeque<T>) {
        let waker = self.readers.remove(&reader).flatten();
        let left = match self.readers.is_empty() {
            true => core::mem::take(&mut self.queue),
            false => VecDeque::new(),
        };
        (waker, left)
    }
}
