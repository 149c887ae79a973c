//! Lost nodes: nodes that were in the table and fell silent. Most are gone for good; but if the network has split,
//! they are the only way back to its other half, since by then no table on this side contains a node
//! of that half. So one lost node is asked now and then, and when one answers, all are.
//!
//! The reference forgets them: two halves that could not talk for half an hour stay apart for ever.

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::bounded::memory::{Capped, Heap, displace};
use crate::time::Instant;

/// Lost nodes that are remembered; the first one lost gives way.
const LOST_MAX: usize = 64;
/// For how long they are remembered. Not in ticks: after each sleep, however short, these are an hour ahead.
const REMEMBERED: Duration = Duration::from_secs(2 * 3_600);
/// When one has answered, all are asked at once, but at most once in this many ticks: five minutes.
const PAUSE: u32 = 60;

#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    nodes: Vec<(SocketAddrV4, Instant)>,
    /// The tick from which all may be asked at once again.
    next_search: u32,
}

impl Lost {
    pub(crate) fn add_to(heap: &mut Heap) {
        heap.capped::<(SocketAddrV4, Instant)>(LOST_MAX);
    }

    /// A node has left the table now, since it did not answer.
    pub(crate) fn add(&mut self, now: Instant, addr: SocketAddrV4) {
        self.remove(addr);
        displace(&mut self.nodes, LOST_MAX, (addr, now));
    }

    /// A node has been heard of. Whether it had been lost.
    pub(crate) fn remove(&mut self, addr: SocketAddrV4) -> bool {
        let at = self.nodes.iter().position(|(lost, _)| *lost == addr);
        at.map(|at| self.nodes.remove(at)).is_some()
    }

    pub(crate) fn contains(&self, addr: SocketAddrV4) -> bool {
        self.nodes.iter().any(|(lost, _)| *lost == addr)
    }

    /// A node to ask; another one each time.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SocketAddrV4> {
        self.nodes.retain(|(_, since)| now.saturating_since(*since) < REMEMBERED);
        let next = 1.min(self.nodes.len());
        self.nodes.rotate_left(next);
        self.nodes.free_if_empty();
        self.nodes.last().map(|(addr, _)| *addr)
    }

    /// A lost node has answered: returns all the rest, unless that was done lately.
    pub(crate) fn search(&mut self, tick: u32) -> impl Iterator<Item = SocketAddrV4> + '_ {
        let due = tick >= self.next_search && !self.nodes.is_empty();
        if due {
            self.next_search = tick.saturating_add(PAUSE);
        }
        self.nodes.iter().filter(move |_| due).map(|(addr, _)| *addr)
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
    fn each_has_its_turn_until_two_hours_are_over() {
        let (mut lost, lost_at) = (Lost::default(), Instant::from_millis(10));
        (1..=3).for_each(|port| lost.add(lost_at, addr(port)));
        let turns = [0; 4].map(|_| lost.next(lost_at));
        assert_eq!(turns, [1, 2, 3, 1].map(|port| Some(addr(port))));
        assert!(lost.remove(addr(2)) && !lost.remove(addr(2)));
        let [last, over] = [7_200_009, 7_200_010].map(Instant::from_millis);
        assert_eq!([0; 2].map(|_| lost.next(last)), [3, 1].map(|port| Some(addr(port))));
        assert_eq!(lost.next(over), None);
    }

    #[test]
    fn beyond_64_the_first_gives_way() {
        let mut lost = Lost::default();
        (0..65).for_each(|port| lost.add(Instant::ZERO, addr(port)));
        assert!(!lost.remove(addr(0)) && lost.remove(addr(1)) && lost.remove(addr(64)));
    }

    #[test]
    fn all_are_asked_at_most_every_five_minutes() {
        let mut lost = Lost::default();
        (0..3).for_each(|port| lost.add(Instant::ZERO, addr(port)));
        let counts = [100, 101, 159, 160].map(|tick| lost.search(tick).count());
        assert_eq!(counts, [3, 0, 0, 3]);
    }
}
