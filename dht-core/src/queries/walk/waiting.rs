//! How long a walk waits: how soon the next try follows, which visits are late, and when nothing better can come.

use core::net::SocketAddrV4;
use core::time::Duration;

use super::{PATIENCE, Role, VISITS_MAX, Visit, Walk};
use crate::requests::pace::TRIES_MAX;
use crate::table::K;

impl Walk {
    /// How long to wait for an answer to the next try, after so many and so much time: `None` if as long
    /// as usual. Tries that the walk waits for at its end follow its pace; of more than two tries
    /// the later ones follow at half that interval.
    pub(crate) fn patience(&self, tries: u16, waited: Duration) -> Option<Duration> {
        let hurried = if self.answered == 0 { PATIENCE } else { self.tries_to_wait_for() };
        match tries {
            _ if self.plan.thorough => None,
            0 => self.plan.pace.patience(),
            _ if tries + 1 < u16::from(hurried) => {
                self.plan.pace.patience().map(|patience| patience / 2)
            }
            _ if tries < u16::from(hurried) => self.last_patience(waited),
            _ => None,
        }
    }

    /// How long to wait for an answer to the last try that is waited for.
    pub(crate) fn last_patience(&self, waited: Duration) -> Option<Duration> {
        self.plan.pace.last_patience(waited)
    }

    /// A try was not answered in time; another follows.
    pub(crate) fn missed(&mut self, node: u16) {
        self.in_vain(node);
        if let Some(visit) = self.visits.iter_mut().find(|visit| visit.node == node) {
            visit.missed = visit.missed.saturating_add(1);
        }
    }

    /// Visits under way that have missed a try, or more where tries are lost rather than nodes.
    pub(super) fn late(&self) -> usize {
        let missed = self.tries_to_wait_for().saturating_sub(1);
        self.visits.iter().filter(|visit| visit.missed >= missed).count()
    }

    /// Whether a visit is under way that has missed a try, or that is not waited for.
    pub(crate) fn is_late(&self, node: u16) -> bool {
        let late =
            |visit: &Visit| visit.node == node && (visit.missed > 0 || visit.role == Role::Doubted);
        self.visits.iter().any(late)
    }

    /// Of the visited nodes that seem to be gone, the node that has missed most tries.
    pub(crate) fn most_late(&self) -> Option<(u16, SocketAddrV4)> {
        let late = self.visits.iter().filter(|visit| visit.missed >= PATIENCE);
        let node = late.max_by_key(|visit| visit.missed)?.node;
        Some((node, self.seen.addr(node)?))
    }

    /// Whether nothing better can come, or not soon. While `more_sources` are being
    /// looked up, fewer than 20 are not enough.
    pub(crate) fn is_done(&self, more_sources: bool) -> bool {
        let full = self.closest.len() >= K;
        let candidates = match self.frontier.first() {
            Some(node) => self.is_wanted(node),
            None => more_sources && !full,
        };
        let more = candidates || self.witnesses.are_waiting();
        if (more && (self.asked as usize) < VISITS_MAX) || self.gaps.open() > 0 {
            return false;
        }
        // The reference waits for every last try, unless it has 20 and all are late once. So a
        // dead node costs six seconds in a small network; here it costs as much as two tries do
        // (`patience`). A node that could not get among the closest any more is not waited for at all.
        let patience = self.tries_to_wait_for();
        self.visits.iter().all(|visit| {
            if self.plan.thorough {
                return full && visit.missed > 0;
            }
            let late = visit.missed >= patience || (visit.role == Role::Doubted && self.trusts);
            match visit.role {
                Role::Witness => visit.missed > 0,
                Role::Doubted | Role::Candidate => late || !self.is_wanted(visit.node),
            }
        })
    }

    pub(super) fn tries_to_wait_for(&self) -> u8 {
        let pace = &self.plan.pace;
        // While no node has answered, a pace from before may be that of another network; and if a node has
        // that this pace would have missed, it is.
        if self.hasty || (self.answered == 0 && pace.is_measured()) {
            TRIES_MAX
        } else {
            pace.tries()
        }
    }
}
