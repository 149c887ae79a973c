//! Nodes that the user gave. Any other node is forgotten some time after it fell silent; a given node never is,
//! since there may be no peer left to name it again. So each given node that is not in the table is asked now and
//! then: after an eighth of the time for which it has been silent, and at least once an hour.
//!
//! The reference forgets them like any other.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::bounded::memory::{Capped, Heap};

/// Given nodes that are remembered, where there is room: the first ones.
pub(crate) const GIVEN_MAX: usize = 64;
/// The part of its silence after which a node is asked again, and the longest pause, in ticks.
const PART: u32 = 8;
const WAIT_MAX: u32 = 720;

#[derive(Clone, Copy, Debug)]
struct Node {
    addr: SocketAddrV4,
    /// The tick when it was asked last, or, if that was later, heard of; of that the lower half, since no pause is as long.
    asked: u16,
    /// The last tick in which it was in the table, or in which it was given.
    heard: u32,
}

const _: () = assert!(size_of::<Node>() == 12);

#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Vec<Node>);

impl Given {
    pub(crate) fn add_to(heap: &mut Heap, max: usize) {
        heap.capped::<Node>(max);
    }

    /// Remembers a node, unless there are `max` already.
    pub(crate) fn add(&mut self, max: usize, tick: u32, addr: SocketAddrV4) {
        if self.0.len() < max && !self.iter().any(|other| other == addr) {
            self.0.put(max, Node { addr, asked: tick as u16, heard: tick });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.0.iter().map(|node| node.addr)
    }

    /// The most overdue node. Nodes that are in the table, or are being asked for another reason, need not be
    /// asked.
    pub(crate) fn next(
        &mut self,
        tick: u32,
        in_table: impl Fn(SocketAddrV4) -> bool,
        asked_anyway: impl Fn(SocketAddrV4) -> bool,
    ) -> Option<SocketAddrV4> {
        for node in self.0.iter_mut().filter(|node| in_table(node.addr)) {
            (node.heard, node.asked) = (tick, tick as u16);
        }
        let silent = self.0.iter_mut().filter(|node| node.heard < tick && !asked_anyway(node.addr));
        let due = silent.filter_map(|node| {
            let wait = ((tick - node.heard) / PART).min(WAIT_MAX);
            let pause = (tick as u16).wrapping_sub(node.asked);
            Some((u32::from(pause).checked_sub(wait)?, node))
        });
        // Of several the first.
        let (_, node) = due.reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        node.asked = tick as u16;
        Some(node.addr)
    }

    /// A node has entered the table. Returns whether it is a given node that was silent.
    pub(crate) fn came_back(&mut self, tick: u32, addr: SocketAddrV4) -> bool {
        let Some(node) = self.0.iter_mut().find(|node| node.addr == addr) else { return false };
        let silent = node.asked != node.heard as u16;
        (node.heard, node.asked) = (tick, tick as u16);
        silent
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn addr(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    /// Ticks from the beginning at which a node that never answers is asked, looking at every eighth.
    fn asked(given: &mut Given, until: u32) -> Vec<(u32, u16)> {
        let ticks = (8..until).step_by(8);
        let asked = ticks.filter_map(|tick| {
            let addr = given.next(tick, |_| false, |_| false)?;
            Some((tick, addr.port()))
        });
        asked.collect()
    }

    #[test]
    fn an_eighth_of_the_silence_and_an_hour_at_most() {
        let mut given = Given::default();
        given.add(9, 0, addr(1));
        let ticks: Vec<_> = asked(&mut given, 40_000).into_iter().map(|(tick, _)| tick).collect();
        for pair in ticks.windows(2) {
            let (silence, wait) = (pair[1], pair[1] - pair[0]);
            assert!(wait >= (silence / 8).min(720) && wait < silence / 7 + 8 && wait <= 728);
        }
        assert!(ticks.len() < 100, "{}", ticks.len());
    }

    #[test]
    fn all_have_their_turn() {
        let mut given = Given::default();
        (1..=9).for_each(|port| given.add(64, 0, addr(port)));
        let asked = asked(&mut given, 2 * 720 + 80);
        for port in 1..=9 {
            assert!(asked.iter().filter(|(_, asked)| *asked == port).count() >= 10);
        }
    }

    #[test]
    fn those_in_the_table_and_those_asked_anyway_are_left_alone() {
        let mut given = Given::default();
        (1..=3).for_each(|port| given.add(3, 0, addr(port)));
        given.add(3, 0, addr(4));
        let known = |at: SocketAddrV4| at.port() == 1;
        let lost = |at: SocketAddrV4| at.port() == 2;
        assert_eq!(given.next(800, known, lost), Some(addr(3)));
        assert_eq!(given.next(800, known, lost), None, "nor is there a fourth");
        // The first was heard of until now; of the second that can't be said.
        assert_eq!(given.next(801, |_| false, |_| false), Some(addr(2)));
        assert!(given.came_back(801, addr(3)) && !given.came_back(801, addr(3)));
        assert!(!given.came_back(801, addr(1)) && !given.came_back(801, addr(4)));
    }
}
