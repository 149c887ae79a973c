//! Which entries belong to a topic, by /24: from each /24 as many are drawn as from any other, so that a host that
//! announces many keys does not hide the peers of other hosts. (The reference draws from all entries alike.)

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::store::{LIST_SLACK, Number, Place, in_tree};
use crate::id::Id;
use crate::secret::rng::Rng;

/// A topic, and a /24.
type Group = (Id, Spread);

/// The number of a /24 in a secret order, so that nobody can choose /24s that stand beside the one of a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spread(u32);

#[derive(Clone, Debug)]
pub(super) struct Topics {
    /// Odd, so that no two /24s have the same product with it.
    secret: u32,
    groups: BTreeMap<Group, Vec<Number>>,
}

impl Topics {
    pub(super) const fn new(secret: u32) -> Self {
        Self { secret: secret | 1, groups: BTreeMap::new() }
    }

    const fn spread(&self, place: Place) -> Spread {
        Spread(place.0.wrapping_mul(self.secret))
    }

    /// What an entry takes at most: a group of its own.
    pub(super) const COST: usize =
        in_tree::<(Group, Vec<Number>)>() + LIST_SLACK * size_of::<Number>();

    /// Returns at which position of its group the entry is from now on.
    pub(super) fn join(&mut self, topic: Id, place: Place, number: Number) -> u32 {
        let group = self.groups.entry((topic, self.spread(place))).or_default();
        group.push(number);
        group.len() as u32 - 1
    }

    /// The entry at a position goes. Returns which one is at this position instead, the group's last, if another one is.
    pub(super) fn leave(&mut self, topic: Id, place: Place, position: u32) -> Option<Number> {
        let key = (topic, self.spread(place));
        let group = self.groups.get_mut(&key)?;
        let last = group.pop()?;
        let moved = group.get_mut(position as usize).map(|at| {
            *at = last;
            last
        });
        if group.is_empty() {
            self.groups.remove(&key);
        } else if group.len() * LIST_SLACK < group.capacity() {
            group.shrink_to(group.len() * 2);
        }
        moved
    }

    /// Draws up to `N` entries of a topic: from each /24 the same number, as far as it has so many; within a /24
    /// each entry is as likely as any other. With more than `N` /24s, from `N` that stand side by side.
    pub(super) fn draw<const N: usize>(
        &self,
        topic: Id,
        rng: &mut Rng,
    ) -> heapless::Vec<Number, N> {
        let start = Spread(rng.next_u32());
        let from_start = self.groups.range((topic, start)..=(topic, Spread(u32::MAX)));
        let groups = from_start.chain(self.groups.range((topic, Spread(0))..(topic, start)));
        // Each with how many are drawn from it.
        let mut shares: heapless::Vec<(&[Number], usize), N> =
            groups.map(|(_, group)| (&group[..], 0)).take(N).collect();
        let mut left = N;
        let mut more = true;
        while core::mem::take(&mut more) {
            for (group, share) in &mut shares {
                if left > 0 && *share < group.len() {
                    *share += 1;
                    left -= 1;
                    more = true;
                }
            }
        }
        let mut drawn = heapless::Vec::new();
        for (group, share) in shares {
            draw_from(group, share, rng, &mut drawn);
        }
        drawn
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, entries: usize) {
        assert_eq!(self.groups.values().map(Vec::len).sum::<usize>(), entries);
        let is_small =
            |group: &Vec<_>| !group.is_empty() && group.capacity() <= LIST_SLACK * group.len();
        assert!(self.groups.values().all(is_small));
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn at(&self, topic: Id, place: Place, position: u32) -> Option<Number> {
        self.groups.get(&(topic, self.spread(place)))?.get(position as usize).copied()
    }
}

/// Draws `share` of a group without changing it: Floyd's algorithm.
fn draw_from<const N: usize>(
    group: &[Number],
    share: usize,
    rng: &mut Rng,
    drawn: &mut heapless::Vec<Number, N>,
) {
    let first = drawn.len();
    for (last, end) in (0..).zip(group).skip(group.len() - share) {
        let any = group.get(rng.below(last + 1) as usize);
        let new = any.filter(|any| !drawn.iter().skip(first).any(|number| number == *any));
        // There is room for all shares.
        let _ = drawn.push(*new.unwrap_or(end));
    }
}
