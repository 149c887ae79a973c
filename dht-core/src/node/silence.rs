//! Who falls silent, and who comes back: nodes of the table are asked before they are given up, by the
//! keep-alive, after hints of others and where requests met silence; those that were lost are asked
//! again now and then. Who enters the table otherwise is the affair of [`members`](super::members).

use core::net::{Ipv4Addr, SocketAddrV4};

use super::Node;
use crate::command::PING;
use crate::congestion::Class;
use crate::id::Id;
use crate::inflight::Purpose;
use crate::table::{NodeInfo, Slot};

/// A node that answers without an id this often in a row is no longer one to keep.
const SILENT_ANSWERS_MAX: u8 = 2;

impl Node {
    /// Pings a node of the table.
    pub(super) fn check(&mut self, slot: Slot, hinted: bool) -> bool {
        let Some(node) = self.table.node(slot) else {
            return false;
        };
        let class = if hinted { Class::Hint } else { Class::KeepAlive };
        let purpose = Purpose::Check { seen: node.seen, hinted };
        let begun = self.begin_internal(node.addr, PING, None, class, purpose).is_some();
        if begun {
            self.table.set_pinged(slot, self.upkeep.tick());
            self.upkeep.hint_checks += u8::from(hinted);
        }
        begun
    }

    pub(super) fn on_check_answered(&mut self, addr: SocketAddrV4, hinted: bool, id: Option<Id>) {
        self.upkeep.hint_checks -= u8::from(hinted);
        if id.is_none() {
            self.answered_without_id(addr);
        }
    }

    pub(super) fn on_check_failed(
        &mut self,
        addr: SocketAddrV4,
        seen: u8,
        hinted: bool,
        timed_out: bool,
    ) {
        self.upkeep.hint_checks -= u8::from(hinted);
        if timed_out {
            self.evict_unless_seen(addr, seen);
        }
    }

    /// A node of the table, and what is known of it.
    fn known(&self, addr: SocketAddrV4) -> Option<(Slot, NodeInfo)> {
        let slot = self.table.get(addr)?;
        Some((slot, self.table.node(slot)?))
    }

    /// Whether that was once too often, so that it is gone.
    pub(super) fn answered_without_id(&mut self, addr: SocketAddrV4) -> bool {
        let Some((slot, node)) = self.known(addr) else {
            return false;
        };
        // Or is somebody guessing what we have asked it?
        if self.strays.too_many(self.now, addr) {
            return false;
        }
        let count = node.silent_answers + 1;
        self.table.set_silent_answers(slot, count);
        let gone = count >= SILENT_ANSWERS_MAX;
        if gone {
            self.evict(addr);
        }
        gone
    }

    /// An address has left several tries unanswered. If it is a node of the table, it is checked.
    pub(super) fn suspect(&mut self, addr: SocketAddrV4) {
        self.suspects.add(self.now, addr);
        if let Some((slot, node)) = self.known(addr) {
            if node.pinged != self.upkeep.tick() {
                self.check(slot, false);
            }
        }
    }

    /// How often a node of the table, whose id begins with `prefix`, has answered: as a difference,
    /// modulo 256, since it begins anywhere. 0 for those that are not there.
    pub(super) fn times_seen(&self, prefix: u64, addr: SocketAddrV4) -> u8 {
        let slot = self.table.find_by_prefix(prefix, addr);
        slot.and_then(|slot| self.table.node(slot)).map_or(0, |node| node.seen)
    }

    /// Takes a node out that did not answer, unless it answered something else meanwhile.
    pub(super) fn evict_unless_seen(&mut self, addr: SocketAddrV4, seen: u8) -> bool {
        let known = self.known(addr);
        let gone = known.is_none_or(|(_, node)| node.seen == seen);
        if gone && known.is_some() {
            self.upkeep.check_failed();
            self.lost.add(self.upkeep.tick(), addr);
            self.evict(addr);
        }
        gone
    }

    /// Somebody says that a node is down: it is asked, not believed.
    pub(super) fn on_down_hint(&mut self, addr: SocketAddrV4, from: Ipv4Addr) {
        let Some((slot, node)) = self.known(addr) else {
            return;
        };
        if node.hinted && node.pinged_ago(self.upkeep.tick()) == 0 {
            return;
        }
        if !self.upkeep.admits_hint(from) {
            self.stats.drops.down_hints += 1;
            return;
        }
        self.table.set_hinted(slot, true);
        self.check(slot, true);
    }

    /// Asks one of those that were lost whether it is back.
    pub(super) fn seek_lost(&mut self) {
        let Some(addr) = self.lost.next(self.upkeep.tick()) else { return };
        if self.candidates.take_place_for_lost(addr) {
            self.verify(addr);
        }
    }

    /// One that was lost is back, and perhaps all are: they are asked, and so are our neighbours, who may
    /// be others than we knew.
    pub(super) fn found_again(&mut self) {
        let mut any = false;
        for addr in self.lost.search(self.upkeep.tick()) {
            any = true;
            self.candidates.push(addr);
        }
        if any {
            (0..self.config.strangers()).for_each(|_| self.verify_next());
            self.start_search(self.table.own());
        }
    }
}
