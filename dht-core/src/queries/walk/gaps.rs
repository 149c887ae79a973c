//! What silent nodes hide. A reply names twenty nodes, dead ones too, so the closest that are alive may not be
//! named at all. Where a walk ends beside silent nodes, it asks a few of its closest for the nodes around other
//! targets, which differ from its own in one bit, so that what is near to them is what comes next in the order of
//! distance. Each question goes to the node nearest to its target.
//!
//! With a fifth of all nodes just gone, walks find 0.985 of the closest without this. The reference has
//! nothing like it; on the wire it is a FIND_NODE like any other.

use alloc::collections::BinaryHeap;
use core::net::SocketAddrV4;

use super::Walk;
use crate::id::Id;
use crate::table::K;

/// The most nodes that are asked: half of them for what comes next, half for what comes after that. Beyond a crowd two each in
/// two directions.
const ASKED_MAX: usize = 4;

/// If one in 16 visited nodes was silent, and at least two, the last visits are not waited for before that.
const UNLUCKY: usize = 16;

/// Requests of a walk that look into gaps.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    /// Whom, by their numbers in the walk.
    asked: heapless::Vec<u16, ASKED_MAX>,
    open: u8,
}

impl Gaps {
    pub(super) fn open(&self) -> u8 {
        self.open
    }
}

impl Walk {
    /// Whom to ask for nodes around which target, if there is a gap.
    pub(crate) fn next_gap_probe(&mut self) -> Option<(u16, SocketAddrV4, Id)> {
        if self.closest.is_wide() {
            return self.next_probe_beyond();
        }
        let may = !self.plan.only_given && !self.plan.thorough && !self.gaps.asked.is_full();
        // Where most nodes are silent, the ones that name them lie, rather than being unlucky.
        if !may || self.has_candidates() || self.closest.len() < K / 2 {
            return None;
        }
        // With this many silent nodes, some of the nodes that are waited for will be silent too.
        let (late, down) = (self.late(), self.seen.down());
        let unlucky = late + down.len() >= (self.asked as usize / UNLUCKY).max(2);
        if !unlucky && late < self.visits.len() {
            return None;
        }
        let waited = self.visits.iter().filter(|visit| unlucky || visit.missed > 0);
        let silent = waited.map(|visit| visit.node).chain(down.iter().copied());
        let silent = silent.filter(|node| self.is_wanted(*node));
        let silent = silent.filter_map(|node| self.seen.distance(node));
        let mut named: BinaryHeap<u64> = silent.collect();
        // Only full replies leave a node out.
        if named.is_empty() {
            return None;
        }
        named.extend(self.closest.nodes().map(|(distance, _)| distance));
        let beyond = named.len().checked_sub(K)?;
        (0..beyond).for_each(|_| _ = named.pop());
        // This one was the last to be named.
        let last = named.pop()?;
        let bit = last.leading_zeros().checked_sub((self.gaps.asked.len() % 2) as u32)?;
        let target = self.plan.target.flip(bit)?;
        let asked = &self.gaps.asked;
        let turned = self.plan.target.prefix() ^ target.prefix();
        let repliers = self.closest.nodes().filter_map(|(distance, addr)| {
            let (node, ..) = self.seen.get(addr)?;
            (!asked.contains(&node)).then_some((distance ^ turned, node, addr))
        });
        let (_, node, addr) = repliers.min()?;
        let _ = self.gaps.asked.push(node);
        self.gaps.open += 1;
        Some((node, addr, target))
    }

    /// Whom to ask for nodes beyond a crowd at the target, which fills the replies of all that know it: nodes that were
    /// asked on the way, for targets as far from this one as the honest ones should be, each in another direction.
    fn next_probe_beyond(&mut self) -> Option<(u16, SocketAddrV4, Id)> {
        if self.has_candidates() || self.gaps.asked.is_full() {
            return None;
        }
        let bit = self.plan.radius.leading_zeros() + (self.gaps.asked.len() / 2) as u32;
        let target = self.plan.target.flip(bit)?;
        let turned = self.plan.target.prefix() ^ target.prefix();
        let (asked, closest) = (&self.gaps.asked, &self.closest);
        let passed = self.seen.done().filter(|(node, _, addr)| {
            !asked.contains(node) && closest.nodes().all(|(_, other)| other != *addr)
        });
        let passed = passed.map(|(node, distance, addr)| (distance ^ turned, node, addr));
        let (_, node, addr) = passed.min()?;
        let _ = self.gaps.asked.push(node);
        self.gaps.open += 1;
        Some((node, addr, target))
    }

    /// A look into a gap has ended, or was not even begun.
    pub(crate) fn gap_probe_ended(&mut self) {
        self.gaps.open = self.gaps.open.saturating_sub(1);
    }
}
