//! The list of all nodes of a table by the time of contact.

use core::iter;
use core::net::SocketAddrV4;

use super::bucket::Entry;
use super::{Slot, Table};

impl Table {
    /// The node that was in contact the longest ago.
    #[must_use]
    pub(crate) fn oldest(&self) -> Option<Slot> {
        self.slot(self.oldest)
    }

    /// The next node towards the latest.
    #[must_use]
    pub(crate) fn newer(&self, slot: Slot) -> Option<Slot> {
        self.slot(self.entry(slot)?.newer)
    }

    /// The node that was in contact last.
    #[must_use]
    pub(crate) fn latest(&self) -> Option<Slot> {
        self.slot(self.latest)
    }

    /// The next node towards the oldest.
    #[must_use]
    pub(crate) fn older(&self, slot: Slot) -> Option<Slot> {
        self.slot(self.entry(slot)?.older)
    }

    /// All nodes, the latest contacted first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, SocketAddrV4)> + '_ {
        iter::successors(self.latest(), |&slot| self.older(slot)).map(|slot| (slot, slot.addr))
    }

    pub(super) fn slot(&self, index: u16) -> Option<Slot> {
        let addr = self.at(index)?.addr();
        Some(Slot { index, addr })
    }

    /// Puts an entry between two neighbours of the list by contact.
    pub(super) fn link(&mut self, index: u16, older: u16, newer: u16) {
        self.join(older, index);
        self.join(index, newer);
    }

    /// Joins the neighbours of an entry in the list by contact.
    pub(super) fn unlink(&mut self, index: u16) {
        if let Some(&Entry { older, newer, .. }) = self.at(index) {
            self.join(older, newer);
        }
    }

    /// Two entries follow one another; either may be none.
    fn join(&mut self, older: u16, newer: u16) {
        match self.at_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.at_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.latest = older,
        }
    }
}
