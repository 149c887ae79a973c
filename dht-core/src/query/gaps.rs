//! What the silent hide. A reply names twenty nodes, the dead among them, so the closest that are alive
//! may be named by nobody. Where a walk ends beside silent ones, it asks a few of its closest for the nodes
//! around other targets: those that differ from its own in one bit, so that what is near to them is what
//! comes next in the order of distance. Each goes to whoever is nearest to it.
//!
//! With a fifth of all nodes just gone, walks find 0.985 of the closest without this. The reference has
//! nothing like it; on the wire it is a FIND_NODE like any other.

use core::net::SocketAddrV4;

use super::Walk;
use crate::id::Id;
use crate::table::K;

/// So many are asked, at most: half of them for what comes next, half for what comes after that.
const ASKED_MAX: usize = 4;

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
    pub(crate) fn look_into_gap(&mut self) -> Option<(u16, SocketAddrV4, Id)> {
        let ended = !self.has_candidates() && self.visits.iter().all(|visit| visit.missed > 0);
        let may = !self.plan.only_given && !self.plan.thorough && !self.gaps.asked.is_full();
        if !may || !ended {
            return None;
        }
        let late = self.visits.iter().filter(|visit| visit.missed > 0).map(|visit| visit.node);
        let silent = late.chain(self.seen.down().iter().copied());
        let near =
            |node: &u16| self.seen.distance(*node).is_some_and(|d| self.closest.would_take(d));
        let gaps = silent.filter(near).count();
        // Only full replies leave anybody out. And where most are silent, whoever names them is a liar
        // rather than unlucky.
        if gaps == 0 || self.closest.len() < K / 2 || self.closest.len() + gaps < K {
            return None;
        }
        // Together with the silent, this one was the last to be named.
        let last = self.closest.distance(K.saturating_sub(gaps + 1))?;
        let bit = last.shared_bits().checked_sub((self.gaps.asked.len() % 2) as u32)?;
        let target = self.plan.target.flip(bit)?;
        let asked = &self.gaps.asked;
        let repliers = self.closest.replies().iter().filter_map(|reply| {
            let (node, ..) = self.seen.get(reply.from.addr)?;
            let distance = reply.from.id?.prefix() ^ target.prefix();
            (!asked.contains(&node)).then_some((distance, node, reply.from.addr))
        });
        let (_, node, addr) = repliers.min()?;
        let _ = self.gaps.asked.push(node);
        self.gaps.open += 1;
        Some((node, addr, target))
    }

    /// Such a request has ended, or was not even begun.
    pub(crate) fn looked_into_gap(&mut self) {
        self.gaps.open = self.gaps.open.saturating_sub(1);
    }
}
