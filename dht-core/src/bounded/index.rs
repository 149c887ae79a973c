//! A small open-addressing index from hashes to 32-bit values.
//!
//! It holds no keys: the owner of the values tells the key of each. Its order never
//! shows, so that it can't leak into behaviour. For at most 2^31 values.

use alloc::vec::Vec;

const EMPTY: u32 = u32::MAX;
const CELLS_MIN: usize = 16;

/// An index of values other than `u32::MAX`. At most half of its cells are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    cells: Vec<u32>,
    len: usize,
}

impl Index {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value under `hash` that `is_it` accepts.
    pub(crate) fn get(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it).and_then(|at| self.cells.get(at).copied())
    }

    /// Adds `value`, which must not be there yet. `hash_of` tells the hash of any value in here.
    pub(crate) fn insert(&mut self, value: u32, hash_of: impl Fn(u32) -> u32) {
        if (self.len + 1) * 2 > self.cells.len() {
            self.resize((self.cells.len() * 2).max(CELLS_MIN), &hash_of);
        }
        self.place(value, hash_of(value));
        self.len += 1;
    }

    /// Removes the value under `hash` that `is_it` accepts.
    pub(crate) fn remove(
        &mut self,
        hash: u32,
        is_it: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u32,
    ) {
        let Some(mut hole) = self.position(hash, is_it) else {
            return;
        };
        let mask = self.cells.len() - 1;
        self.len -= 1;
        // Close the gap: move back whatever was pushed past it by collisions.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let value = self.cells.get(at).copied().unwrap_or(EMPTY);
            if value == EMPTY {
                break;
            }
            let home = hash_of(value) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.set(hole, value);
                hole = at;
            }
        }
        self.set(hole, EMPTY);
    }

    /// Gives back memory that is not needed for what is in here now.
    pub(crate) fn trim(&mut self, hash_of: impl Fn(u32) -> u32) {
        let cells = cells_for(self.len);
        if cells < self.cells.len() {
            self.resize(cells, &hash_of);
        }
    }

    /// Removes everything, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.cells.fill(EMPTY);
        self.len = 0;
    }

    fn position(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.cells.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            match *self.cells.get(at)? {
                EMPTY => return None,
                value if is_it(value) => return Some(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn resize(&mut self, cells: usize, hash_of: &impl Fn(u32) -> u32) {
        let old = core::mem::replace(&mut self.cells, alloc::vec![EMPTY; cells]);
        for value in old.into_iter().filter(|value| *value != EMPTY) {
            self.place(value, hash_of(value));
        }
    }

    fn place(&mut self, value: u32, hash: u32) {
        let mask = self.cells.len() - 1;
        let mut at = hash as usize & mask;
        while self.cells.get(at).is_some_and(|cell| *cell != EMPTY) {
            at = (at + 1) & mask;
        }
        self.set(at, value);
    }

    fn set(&mut self, at: usize, value: u32) {
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = value;
        }
    }
}

/// The number of cells for `len` values, at least and at most.
pub(crate) fn cells_for(len: usize) -> usize {
    (len * 2).next_power_of_two().max(CELLS_MIN)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Values are their own keys; few hashes, so that runs collide and wrap around.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..200), 0..600), modulus in 1u32..70) {
            let hash = |value: u32| value % modulus * 0x9e37;
            let (mut index, mut set) = (Index::default(), BTreeSet::new());
            for (add, value) in steps {
                if !add {
                    index.remove(hash(value), |v| v == value, hash);
                    set.remove(&value);
                } else if set.insert(value) {
                    index.insert(value, hash);
                }
                prop_assert_eq!(index.len, set.len());
                if value == 0 {
                    index.trim(hash);
                }
            }
            let found: Vec<u32> = (0..200).filter(|v| index.get(hash(*v), |x| x == *v).is_some()).collect();
            prop_assert_eq!(found, set.into_iter().collect::<Vec<_>>());
        }
    }
}
