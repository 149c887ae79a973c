//! The candidates of a walk that wait for a visit: the nearest comes first.
//!
//! A binary heap of numbers. How far each is, [`Seen`] knows, so that here two bytes do for it; in the
//! heaps of the standard library an entry has to know by itself.

use alloc::vec::Vec;

use super::seen::Seen;

#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    /// Nobody is nearer than the one at half its place, counted from 1.
    heap: Vec<u16>,
}

/// By distance, then by number.
fn key(seen: &Seen, node: u16) -> (u64, u16) {
    (seen.distance(node).unwrap_or(u64::MAX), node)
}

impl Frontier {
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }

    /// How far the nearest is.
    pub(super) fn nearest(&self, seen: &Seen) -> Option<u64> {
        seen.distance(*self.heap.first()?)
    }

    pub(super) fn push(&mut self, seen: &Seen, node: u16) {
        self.heap.push(node);
        self.rise(seen, self.heap.len() - 1, node);
    }

    /// Takes the nearest.
    pub(super) fn pop(&mut self, seen: &Seen) -> Option<u16> {
        let nearest = self.heap.first().copied();
        self.take(seen, 0);
        nearest
    }

    /// Takes this one, if it is there.
    pub(super) fn remove(&mut self, seen: &Seen, node: u16) {
        if let Some(at) = self.heap.iter().position(|other| *other == node) {
            self.take(seen, at);
        }
    }

    /// Fills a place with the last, from the bottom up: it belongs near there.
    fn take(&mut self, seen: &Seen, mut at: usize) {
        let Some(last) = self.heap.pop().filter(|_| at < self.heap.len()) else { return };
        while let Some(&left) = self.heap.get(2 * at + 1) {
            let right =
                self.heap.get(2 * at + 2).filter(|right| key(seen, **right) < key(seen, left));
            let (child, place) = right.map_or((left, 2 * at + 1), |right| (*right, 2 * at + 2));
            self.set(at, child);
            at = place;
        }
        self.rise(seen, at, last);
    }

    /// Puts a node in a place, or above.
    fn rise(&mut self, seen: &Seen, mut at: usize, node: u16) {
        let own = key(seen, node);
        while let Some(above) = at.checked_sub(1).map(|below| below / 2) {
            let Some(&other) = self.heap.get(above).filter(|other| key(seen, **other) > own) else {
                break;
            };
            self.set(at, other);
            at = above;
        }
        self.set(at, node);
    }

    fn set(&mut self, at: usize, node: u16) {
        if let Some(place) = self.heap.get_mut(at) {
            *place = node;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use core::net::{Ipv4Addr, SocketAddrV4};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// `None` takes the nearest, a number takes that one, if it is there.
        #[test]
        fn gives_the_nearest_first(
            distances in prop::collection::vec(0u64..20, 1..80),
            steps in prop::collection::vec(prop::option::of(0u16..80), 0..80),
        ) {
            let (mut seen, mut frontier, mut model) =
                (Seen::new(1, 80), Frontier::default(), BTreeSet::new());
            for (port, distance) in (1..).zip(distances) {
                let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                let node = seen.insert(addr, distance, false).unwrap();
                frontier.push(&seen, node);
                model.insert((distance, node));
            }
            for step in steps {
                prop_assert_eq!(frontier.nearest(&seen), model.first().map(|first| first.0));
                match step {
                    None => {
                        let popped = frontier.pop(&seen);
                        prop_assert_eq!(popped, model.pop_first().map(|first| first.1));
                    }
                    Some(node) => {
                        frontier.remove(&seen, node);
                        model.retain(|(_, other)| *other != node);
                    }
                }
                prop_assert_eq!(frontier.len(), model.len());
            }
        }
    }
}
