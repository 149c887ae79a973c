//! Crowds at the target: hosts and /24s with more nodes than their quota, which are asked after all others; and twenty nodes
//! that are too near to have come there by chance.

use super::{DEFERRED_MAX, Walk};
use crate::bounded::memory::Capped;
use crate::table::K;

/// Twentieths of the expected distance from the target: the farthest of 20 closest that is nearer is too near. By chance one
/// result in 2,000 is.
const DENSE: u64 = 7;
/// How many nodes at most a query finds, and commits to, where somebody seems to crowd the 20 closest.
const CLOSEST_MAX: usize = 60;

/// The same for a query that remembers this many addresses: where memory is short, no more than 20.
pub(crate) fn closest_max(max_query_addresses: usize) -> usize {
    if max_query_addresses < 8 * CLOSEST_MAX { K } else { CLOSEST_MAX }
}

impl Walk {
    /// Puts off all candidates that are over quota now: the nearest of them come again if there are not enough others.
    pub(super) fn put_off_crowds(&mut self) {
        let (seen, closest, deferred) = (&self.seen, &self.closest, &mut self.deferred);
        let is_over = |node: u16| {
            seen.at(node).is_some_and(|(distance, addr)| closest.is_over(distance, addr))
        };
        for node in self.frontier.iter().filter(|node| is_over(*node)) {
            if deferred.len() < DEFERRED_MAX {
                deferred.put(DEFERRED_MAX, node);
            }
        }
        self.frontier.retain(|node| !is_over(node));
    }

    /// Goes on to all nodes in reach if the 20 found are so near that somebody may have put them there: then the
    /// honest ones are behind them. Whether it does.
    pub(crate) fn widens(&mut self) -> bool {
        let max = closest_max(self.plan.max_query_addresses);
        let may = self.plan.keeps_replies && !self.plan.only_given && !self.closest.is_wide();
        let dense = self.reach().is_some_and(|last| last < self.plan.spacing / 20 * DENSE);
        let widens = may && dense && max > K;
        if widens {
            self.closest.widen(max, self.plan.radius);
        }
        widens
    }

    /// How far from the target the last of the 20 closest is, once there are 20.
    pub(crate) fn reach(&self) -> Option<u64> {
        let last = self.closest.nodes().last().filter(|_| self.closest.len() >= K);
        last.map(|(distance, _)| distance)
    }
}
