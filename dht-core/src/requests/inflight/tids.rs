//! Transaction ids: which request goes under each, and which ones rest. They are drawn at random, unique among live requests.
//! After a request without an answer its id rests for a while at the address that was asked, so that a late answer can't
//! be taken for one to a later request.

use alloc::collections::VecDeque;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::Question;
use crate::bounded::index::Index;
use crate::bounded::memory::{Capped, Heap};
use crate::secret::rng::Rng;
use crate::time::Instant;

/// For how long a transaction id rests at an address that did not answer it.
pub(super) const REST: Duration = Duration::from_secs(6);
/// Resting ids, at most: two per place. The oldest is released first, so a request is never
/// refused for them.
const RESTING_MAX: usize = 1024;
/// Transaction ids in use at most: more than there are places for requests, few enough that
/// some are left beside the resting ones, or drawing an id would never end.
const TIDS_MAX: usize = 64_500;

const _: () = assert!(TIDS_MAX + RESTING_MAX < 1 << 16);

/// Until when an id rests, at which address, and what was asked under it.
pub(super) type Rest = (Instant, SocketAddrV4, u16, Question);

#[derive(Clone, Default)]
pub(super) struct Tids {
    /// Each with the slot of its request in the lower 16 bits.
    index: Index,
    resting: VecDeque<Rest>,
}

/// The number of resting ids for `places` places.
fn resting_max(places: usize) -> usize {
    RESTING_MAX.min(2 * places)
}

const fn tid_of(entry: u32) -> u32 {
    entry >> 16
}

impl Tids {
    pub(super) fn add_to(heap: &mut Heap, places: usize) {
        heap.index_each(1, 2 * places);
        heap.capped::<Rest>(resting_max(places));
    }

    /// Whether no more may be drawn.
    pub(super) fn is_full(&self) -> bool {
        self.index.len() >= TIDS_MAX
    }

    /// The slot of the request that goes under an id.
    pub(super) fn slot(&self, tid: u16) -> Option<u16> {
        let entry = self.index.get(tid.into(), |entry| tid_of(entry) == u32::from(tid))?;
        Some((entry & 0xffff) as u16)
    }

    /// Draws an id for the request in `slot`, to `to`.
    pub(super) fn draw(&mut self, now: Instant, slot: u16, to: SocketAddrV4, rng: &mut Rng) -> u16 {
        self.expire(now);
        loop {
            let tid = rng.next_u16();
            if self.slot(tid).is_none() && self.rests(now, tid, to).is_none() {
                self.index.insert(u32::from(tid) << 16 | u32::from(slot), tid_of);
                return tid;
            }
        }
    }

    /// No request goes under an id any more.
    pub(super) fn free(&mut self, tid: u16) {
        self.index.remove(tid.into(), |entry| tid_of(entry) == u32::from(tid), tid_of);
    }

    /// An answer may still come under an id that no request has any more.
    pub(super) fn rest(&mut self, places: usize, rest: Rest) {
        if self.resting.len() >= resting_max(places) {
            self.resting.pop_front();
        }
        self.resting.put(resting_max(places), rest);
    }

    /// The question that an id at an address rests for.
    pub(super) fn rests(&self, now: Instant, tid: u16, at: SocketAddrV4) -> Option<Question> {
        let mut resting = self.resting.iter();
        resting.find(|rest| (rest.1, rest.2) == (at, tid) && now < rest.0).map(|rest| rest.3)
    }

    /// Gives memory back.
    pub(super) fn trim(&mut self, now: Instant) {
        self.expire(now);
        self.resting.free_if_empty();
        self.index.trim(tid_of);
    }

    fn expire(&mut self, now: Instant) {
        while self.resting.front().is_some_and(|rest| rest.0 <= now) {
            self.resting.pop_front();
        }
    }

    /// How many are in use.
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, places: usize) -> usize {
        assert!(self.resting.len() <= resting_max(places));
        assert!(self.resting.capacity() <= resting_max(places).max(4));
        self.index.len()
    }
}
