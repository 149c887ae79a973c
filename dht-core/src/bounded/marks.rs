//! Marks on hosts, or on /24s, that count for a while. A list is bounded, and the mark that ends first gives way; lists at
//! rest take no memory.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::memory::{Capped, Heap};
use crate::time::Instant;

/// The unit of time here.
const UNIT_MICROS: u64 = 50_000;
/// Units in a second.
pub(crate) const SECOND: u32 = 20;

/// The bits of an address that tell its /24; the others are free.
pub(crate) const PREFIX: u32 = !0xff;
pub(crate) const HOST: u32 = !0;

/// On a host, or on a /24 with a number in the free bits. Of the time the lower bits: they are only compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) key: u32,
    pub(crate) until: u32,
}

#[derive(Clone, Debug, Default)]
struct Marks(Vec<Mark>);

impl Marks {
    fn add_to(heap: &mut Heap, max: usize) {
        heap.capped::<Mark>(max);
    }

    #[inline(never)]
    fn get(&self, mask: u32, host: Ipv4Addr, now: Instant) -> Option<Mark> {
        let is_it = |mark: &&Mark| (mark.key ^ host.to_bits()) & mask == 0;
        self.0.iter().find(is_it).filter(|mark| counts(mark, now)).copied()
    }

    /// Puts a mark in the place of the one before, if there is one.
    #[inline(never)]
    fn put(&mut self, mask: u32, max: usize, now: Instant, mark: Mark) {
        let full = self.0.len() >= max;
        let known = self.0.iter_mut().find(|other| (other.key ^ mark.key) & mask == 0);
        let place = match known {
            None if full => self.0.iter_mut().min_by_key(|other| left(other, now)),
            known => known,
        };
        match place {
            Some(place) => *place = mark,
            None => self.0.put(max, mark),
        }
    }

    fn remove(&mut self, key: u32) {
        self.0.retain(|mark| mark.key != key);
    }

    /// Forgets what counts no more, and gives memory back. Whether anything is left.
    #[inline(never)]
    fn trim(&mut self, now: Instant) -> bool {
        self.0.retain(|mark| counts(mark, now));
        self.0.free_if_empty();
        !self.0.is_empty()
    }

    #[cfg(any(test, feature = "_invariants"))]
    fn check_invariants(&self, mask: u32, max: usize) {
        assert!(self.0.len() <= max);
        let mut keys: Vec<_> = self.0.iter().map(|mark| mark.key & mask).collect();
        keys.sort_unstable();
        assert!(keys.is_sorted_by(|a, b| a < b), "each has one mark");
    }
}

/// Which of a [`Pair`], and the bits that tell its hosts or /24s apart.
pub(crate) type List = (usize, u32);

/// Two lists, which take no memory while both are at rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair(Option<Box<[Marks; 2]>>);

impl Pair {
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        heap.fixed(1, size_of::<[Marks; 2]>());
        Marks::add_to(heap, max);
        Marks::add_to(heap, max);
    }

    pub(crate) fn get(&self, (list, mask): List, host: Ipv4Addr, now: Instant) -> Option<Mark> {
        self.0.as_ref()?.get(list)?.get(mask, host, now)
    }

    pub(crate) fn put(&mut self, (list, mask): List, max: usize, now: Instant, mark: Mark) {
        if let Some(marks) = self.0.get_or_insert_default().get_mut(list) {
            marks.put(mask, max, now, mark);
        }
    }

    pub(crate) fn remove(&mut self, (list, _): List, key: u32) {
        if let Some(marks) = self.0.as_mut().and_then(|both| both.get_mut(list)) {
            marks.remove(key);
        }
    }

    /// Forgets what counts no more, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        if !self.0.as_deref_mut().is_some_and(|[a, b]| a.trim(now) | b.trim(now)) {
            self.0 = None;
        }
    }

    #[cfg(test)]
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.0.is_none()
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, lists: [List; 2], max: usize) {
        for (marks, (_, mask)) in self.0.iter().flat_map(|both| both.iter()).zip(lists) {
            marks.check_invariants(mask, max);
        }
    }
}

/// A time in units.
pub(crate) fn unit(now: Instant) -> u32 {
    (now.as_micros() / UNIT_MICROS) as u32
}

fn counts(mark: &Mark, now: Instant) -> bool {
    left(mark, now) > 0
}

fn left(mark: &Mark, now: Instant) -> i32 {
    mark.until.wrapping_sub(unit(now)) as i32
}
