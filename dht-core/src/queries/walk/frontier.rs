//! The candidates of a walk that wait for a visit, by distance: the nearest comes first, and where too
//! many are remembered, the farthest gives way.
//!
//! Numbers only. How far each is, [`Seen`] knows.

use alloc::vec::Vec;

use super::seen::Seen;
use crate::bounded::memory::Capped;

#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    /// The farthest first, so that the nearest is taken from the end.
    nodes: Vec<u16>,
}

/// By distance, then by number.
fn key(seen: &Seen, node: u16) -> (u64, u16) {
    (seen.distance(node).unwrap_or(u64::MAX), node)
}

impl Frontier {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn clear(&mut self) {
        self.nodes.clear();
    }

    /// The nearest.
    pub(super) fn first(&self) -> Option<u16> {
        self.nodes.last().copied()
    }

    /// All of them, the nearest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.nodes.iter().rev().copied()
    }

    /// Keeps some.
    pub(super) fn retain(&mut self, mut which: impl FnMut(u16) -> bool) {
        self.nodes.retain(|node| which(*node));
    }

    /// How far the nearest is.
    pub(super) fn nearest(&self, seen: &Seen) -> Option<u64> {
        seen.distance(*self.nodes.last()?)
    }

    /// Adds a candidate, of `max` at most.
    pub(super) fn push(&mut self, seen: &Seen, node: u16, max: usize) {
        let own = key(seen, node);
        let at = self.nodes.partition_point(|other| key(seen, *other) > own);
        self.nodes.make_room(max);
        self.nodes.insert(at, node);
    }

    /// Takes the nearest.
    pub(super) fn pop(&mut self) -> Option<u16> {
        self.nodes.pop()
    }

    /// Takes the farthest, if it is farther than this.
    pub(super) fn pop_farther(&mut self, seen: &Seen, than: u64) -> Option<u16> {
        let farthest = seen.distance(*self.nodes.first()?)?;
        (farthest > than).then(|| self.nodes.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use core::net::{Ipv4Addr, SocketAddrV4};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// `None` takes the nearest, a distance the farthest that is farther.
        #[test]
        fn gives_the_nearest_first_and_the_farthest_away(
            distances in prop::collection::vec(0u64..20, 1..80),
            steps in prop::collection::vec(prop::option::of(0u64..20), 0..80),
        ) {
            let (mut seen, mut frontier, mut model) =
                (Seen::new(1, 80), Frontier::default(), BTreeSet::new());
            for (port, distance) in (1..).zip(distances) {
                let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                let node = seen.insert(addr, distance, false).unwrap();
                frontier.push(&seen, node, 80);
                model.insert((distance, node));
            }
            for step in steps {
                prop_assert_eq!(frontier.nearest(&seen), model.first().map(|first| first.0));
                let (taken, expected) = match step {
                    None => (frontier.pop(), model.pop_first()),
                    Some(than) => {
                        let farthest = model.last().copied().filter(|(d, _)| *d > than);
                        model.retain(|node| Some(*node) != farthest);
                        (frontier.pop_farther(&seen, than), farthest)
                    }
                };
                prop_assert_eq!(taken, expected.map(|(_, node)| node));
                prop_assert_eq!(frontier.len(), model.len());
            }
        }
    }
}
