//! A map that knows when each entry was last used, so that the oldest can give way. What is at the
//! same age goes by key, never by chance.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::Micros;

/// Entries by key, each with the time of its last use. Bounds are the user's business.
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    entries: BTreeMap<K, (Micros, V)>,
    /// The same, the longest unused first.
    order: BTreeSet<(Micros, K)>,
}

impl<K: Copy + Ord, V> Recent<K, V> {
    pub(super) const fn new() -> Self {
        Self { entries: BTreeMap::new(), order: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When an entry was last used, and what it is.
    pub(super) fn get(&self, key: &K) -> Option<(Micros, &V)> {
        self.entries.get(key).map(|(used, value)| (*used, value))
    }

    /// Uses an entry, which is made if there is none.
    pub(super) fn touch(&mut self, now: Micros, key: K, make: impl FnOnce() -> V) -> &mut V {
        let (used, value) = self.entries.entry(key).or_insert_with(|| {
            self.order.insert((now, key));
            (now, make())
        });
        if *used != now {
            self.order.remove(&(*used, key));
            self.order.insert((now, key));
            *used = now;
        }
        value
    }

    /// Takes the longest unused entry out.
    pub(super) fn pop(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|(_, value)| (key, value))
    }

    /// Takes the longest unused entry out if `stale` says so of the time of its last use.
    pub(super) fn pop_if(&mut self, stale: impl FnOnce(Micros) -> bool) -> Option<(K, V)> {
        let (used, _) = self.order.first()?;
        if stale(*used) { self.pop() } else { None }
    }

    /// All entries, by key.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let mut recent = Recent::new();
        for (now, key) in [(1, 'a'), (1, 'b'), (2, 'c'), (3, 'a'), (3, 'a')] {
            *recent.touch(now, key, || 0) += 1;
        }
        assert_eq!((recent.get(&'a'), recent.len()), (Some((3, &3)), 3));
        assert_eq!(recent.pop_if(|used| used < 1), None);
        assert_eq!(recent.pop_if(|used| used < 2), Some(('b', 1)));
        assert_eq!(
            [recent.pop(), recent.pop(), recent.pop()],
            [Some(('c', 1)), Some(('a', 3)), None]
        );
    }

    proptest! {
        /// The model: keys in order of use.
        #[test]
        fn follows_the_model(keys in prop::collection::vec(0..9_u8, 0..60)) {
            let (mut recent, mut model) = (Recent::new(), Vec::new());
            for (now, key) in (0..).zip(keys) {
                recent.touch(now, key, || ());
                model.retain(|known| *known != key);
                model.push(key);
                prop_assert_eq!((recent.len(), recent.order.len()), (model.len(), model.len()));
            }
            for key in model {
                prop_assert_eq!(recent.pop(), Some((key, ())));
            }
            prop_assert_eq!(recent.pop(), None);
        }
    }
}
