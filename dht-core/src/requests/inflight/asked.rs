//! The addresses that are being asked, and their misses: answers from there that fit no request. An attacker may be
//! trying all transaction ids in the name of an address that we have asked; so after some misses a request can't trust
//! an answer that fits. Entries last as long as their requests, so an attacker cannot displace them.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::addr::number;
use crate::bounded::memory::{Capped, Heap};

/// After this many misses no answer counts. Late and repeated answers are not counted as misses, where they are recognised.
pub(crate) const MISSES_MAX: u8 = 4;

#[derive(Clone, Copy, Debug)]
struct Entry {
    addr: SocketAddrV4,
    /// Requests to it, and misses since it has any; wrapping.
    requests: u16,
    misses: u16,
}

/// In the order of addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Vec<Entry>);

impl Asked {
    /// At most `max` requests are under way.
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        heap.capped::<Entry>(max);
    }

    /// A request begins.
    pub(crate) fn begin(&mut self, max: usize, addr: SocketAddrV4) {
        match self.find(addr) {
            Ok(at) => self.change(at, |entry| entry.requests += 1),
            Err(at) => {
                self.0.make_room(max);
                self.0.insert(at, Entry { addr, requests: 1, misses: 0 });
            }
        }
    }

    /// A request has ended.
    pub(crate) fn end(&mut self, addr: SocketAddrV4) {
        let Ok(at) = self.find(addr) else { return };
        self.change(at, |entry| entry.requests -= 1);
        if self.0.get(at).is_some_and(|entry| entry.requests == 0) {
            self.0.remove(at);
        }
    }

    /// An answer has come from there that belongs to nothing.
    pub(crate) fn missed(&mut self, addr: SocketAddrV4) {
        if let Ok(at) = self.find(addr) {
            self.change(at, |entry| entry.misses = entry.misses.wrapping_add(1));
        }
    }

    /// Misses since anything is asked there, wrapping; `None` if nothing is.
    pub(crate) fn misses(&self, addr: SocketAddrV4) -> Option<u16> {
        let at = self.find(addr).ok()?;
        self.0.get(at).map(|entry| entry.misses)
    }

    /// Gives memory back.
    pub(crate) fn trim(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Addresses, with how many requests are under way to each.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketAddrV4, u16)> {
        self.0.iter().map(|entry| (entry.addr, entry.requests))
    }

    fn find(&self, addr: SocketAddrV4) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number(addr), |entry| number(entry.addr))
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.0.get_mut(at) {
            change(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn misses_count_while_anything_is_asked_there() {
        let addr = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut asked = Asked::default();
        asked.missed(addr(1));
        [2, 1, 3, 1].into_iter().for_each(|port| asked.begin(4, addr(port)));
        [1, 1, 3, 4].into_iter().for_each(|port| asked.missed(addr(port)));
        let misses = |asked: &Asked| [1, 2, 3, 4].map(|port| asked.misses(addr(port)));
        assert_eq!(misses(&asked), [Some(2), Some(0), Some(1), None]);
        [1, 3, 4].into_iter().for_each(|port| asked.end(addr(port)));
        assert_eq!(misses(&asked), [Some(2), Some(0), None, None]);
        asked.end(addr(1));
        asked.begin(4, addr(1));
        assert_eq!(misses(&asked), [Some(0), Some(0), None, None], "counted anew");
    }
}
