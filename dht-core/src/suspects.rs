//! Addresses that lately left several tries unanswered. Nobody is judged by it: a suspect is asked
//! like any other, but not waited for, so that one dead node does not cost every query seconds
//! until the whole network has forgotten it.

use alloc::collections::VecDeque;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::memory::{Capped, Heap};
use crate::time::Instant;

/// How many are remembered; the oldest gives way.
const SUSPECTS_MAX: usize = 64;
/// For how long.
const MEMORY: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default)]
pub(crate) struct Suspects(VecDeque<(Instant, SocketAddrV4)>);

impl Suspects {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.capped::<(Instant, SocketAddrV4)>(SUSPECTS_MAX);
    }

    /// An address has not answered.
    pub(crate) fn add(&mut self, now: Instant, addr: SocketAddrV4) {
        self.clear_of(addr);
        if self.0.len() >= SUSPECTS_MAX {
            self.0.pop_front();
        }
        self.0.make_room(SUSPECTS_MAX);
        self.0.push_back((now + MEMORY, addr));
    }

    /// An address has answered after all.
    pub(crate) fn clear_of(&mut self, addr: SocketAddrV4) {
        if let Some(at) = self.0.iter().position(|(_, suspect)| *suspect == addr) {
            self.0.remove(at);
        }
    }

    pub(crate) fn contain(&self, now: Instant, addr: SocketAddrV4) -> bool {
        self.0.iter().any(|(until, suspect)| *suspect == addr && now < *until)
    }

    /// Forgets what is too old, and gives memory back.
    pub(crate) fn trim(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(until, _)| *until <= now) {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn addr(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    #[test]
    fn remembered_for_five_minutes_or_until_it_answers() {
        let (mut suspects, start) = (Suspects::default(), Instant::ZERO);
        suspects.add(start, addr(1));
        suspects.add(start, addr(2));
        let end = start + MEMORY;
        assert!(suspects.contain(end - Duration::from_micros(1), addr(1)));
        assert!(!suspects.contain(end, addr(1)));
        suspects.clear_of(addr(2));
        assert!(!suspects.contain(start, addr(2)));
        suspects.trim(end);
        assert_eq!(suspects.0.len(), 0);
    }

    #[test]
    fn beyond_64_the_oldest_gives_way() {
        let mut suspects = Suspects::default();
        (0..65).for_each(|port| suspects.add(Instant::ZERO, addr(port)));
        let known: std::vec::Vec<_> =
            (0..65).filter(|port| suspects.contain(Instant::ZERO, addr(*port))).collect();
        assert_eq!(known, (1..65).collect::<std::vec::Vec<_>>());
    }
}
