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
        self.rise(seen, self.heap.len() - 1);
    }

    /// Takes the nearest.
    pub(super) fn pop(&mut self, seen: &Seen) -> Option<u16> {
        (!self.heap.is_empty()).then(|| self.take(seen, 0))
    }

    /// Takes one that has become another, nearer than before or not.
    pub(super) fn remove(&mut self, seen: &Seen, node: u16) {
        if let Some(at) = self.heap.iter().position(|other| *other == node) {
            self.take(seen, at);
        }
    }

    fn take(&mut self, seen: &Seen, at: usize) -> u16 {
        let taken = self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.rise(seen, at);
            self.sink(seen, at);
        }
        taken
    }

    fn rise(&mut self, seen: &Seen, mut at: usize) {
        while at > 0 && self.is_nearer(seen, at, (at - 1) / 2) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, seen: &Seen, mut at: usize) {
        while 2 * at + 1 < self.heap.len() {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.is_nearer(seen, right, left) { right } else { left };
            if !self.is_nearer(seen, child, at) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    /// Whether there is one in place `a`, and it is nearer than the one in place `b`.
    fn is_nearer(&self, seen: &Seen, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => key(seen, *a) < key(seen, *b),
            _ => false,
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
