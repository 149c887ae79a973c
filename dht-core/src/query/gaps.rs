//! What the silent hide. A reply names twenty nodes, the dead among them, so the closest that are alive
//! may be named by nobody. Where a walk ends beside silent ones, it asks a few of its closest for the nodes
//! around other targets: those that differ from its own in one bit, so that what is near to them is what
//! comes next in the order of distance. Each goes to whoever is nearest to it.
//!
//! With a fifth of all nodes just gone, walks find 0.985 of the closest without this. The reference has
//! nothing like it; on the wire it is a FIND_NODE like any other.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use super::{Visit, Walk};
use crate::id::Id;
use crate::table::K;

/// So many are asked, at most: half of them for what comes next, half for what comes after that.
const ASKED_MAX: usize = 4;

/// If one in so many was silent, and not only one, the last visits are not waited for before that.
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
    pub(crate) fn look_into_gap(&mut self) -> Option<(u16, SocketAddrV4, Id)> {
        let missed = |visit: &&Visit| visit.missed > 0;
        // Where so many were silent, some of those who are waited for will be too.
        let unlucky = self.visits.iter().filter(missed).count() + self.seen.down().len();
        let unlucky = unlucky >= (self.asked as usize / UNLUCKY).max(2);
        let ended = !self.has_candidates() && (unlucky || self.visits.iter().all(|v| missed(&v)));
        let may = !self.plan.only_given && !self.plan.thorough && !self.gaps.asked.is_full();
        if !may || !ended {
            return None;
        }
        let late = self.visits.iter().filter(|v| unlucky || missed(v)).map(|visit| visit.node);
        let silent = late.chain(self.seen.down().iter().copied());
        let silent = silent.filter_map(|node| self.seen.distance(node));
        let found = (0..).map_while(|at| self.closest.distance(at)).map(|d| d.prefix());
        let mut named: Vec<u64> = silent.filter(|d| self.closest.would_take(*d)).collect();
        // Only full replies leave anybody out. And where most are silent, whoever names them is a liar
        // rather than unlucky.
        if named.is_empty() || self.closest.len() < K / 2 {
            return None;
        }
        named.extend(found);
        // This one was the last to be named.
        let (_, last, _) = (named.len() >= K).then(|| named.select_nth_unstable(K - 1))?;
        let bit = last.leading_zeros().checked_sub((self.gaps.asked.len() % 2) as u32)?;
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
