//! How the window is shared among destinations. Requests that wait for a place are kept in
//! [`inflight`](crate::requests::inflight).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::addr::prefix24;
use crate::api::exempt::Exempt;
use crate::bounded::memory::{Capped, Heap};

/// How many datagrams are out and unanswered per /24, so that a network that swallows
/// everything fills its own share of the window only. Local addresses have no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    out: Vec<(u32, u32)>,
}

impl Shares {
    pub(crate) fn add_to(heap: &mut Heap, requests: usize) {
        heap.capped::<(u32, u32)>(requests);
    }

    /// Whether one more may leave for `to`.
    pub(crate) fn admit(&self, to: Ipv4Addr, limit: u32, exempt: &Exempt) -> bool {
        let full = |at| self.out.get(at).is_some_and(|(_, count): &(u32, u32)| *count >= limit);
        exempt.covers(to) || !self.at(prefix24(to)).is_ok_and(full)
    }

    /// A datagram leaves; at most `requests` requests are under way.
    pub(crate) fn taken(&mut self, to: Ipv4Addr, requests: usize) {
        let prefix = prefix24(to);
        match self.at(prefix) {
            Ok(at) => self.out.get_mut(at).into_iter().for_each(|(_, count)| *count += 1),
            Err(at) => {
                self.out.make_room(requests);
                self.out.insert(at, (prefix, 1));
            }
        }
    }

    /// One is no longer out.
    pub(crate) fn freed(&mut self, to: Ipv4Addr) {
        let Ok(at) = self.at(prefix24(to)) else { return };
        let count = self.out.get_mut(at).map_or(0, |(_, count)| {
            *count = count.saturating_sub(1);
            *count
        });
        if count == 0 {
            self.out.remove(at);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What is out per /24.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self) -> &[(u32, u32)] {
        assert!(self.out.is_sorted_by(|a, b| a.0 < b.0));
        &self.out
    }

    fn at(&self, prefix: u32) -> Result<usize, usize> {
        self.out.binary_search_by_key(&prefix, |(prefix, _)| *prefix)
    }
}
