//! Who falls silent, and who comes back: nodes of the table are asked before they are given up, by the
//! keep-alive, after hints of others and where requests met silence; those that were lost are asked
//! again now and then. Who enters the table otherwise is the affair of [`members`](super::members).

use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::Node;
use crate::requests::call::{Call, Purpose, Question};
use crate::requests::congestion::Class;
use crate::table::{NodeInfo, Slot};
use crate::wire;
use crate::wire::command::{DOWN_HINT, FIND_NODE, PING};

/// A node that answers without an id this often in a row is no longer one to keep.
const SILENT_ANSWERS_MAX: u8 = 2;
/// So many tries of four without an answer count as one without an id, if there was no time for all.
const INTERRUPTED_TRIES: u16 = 3;

impl Node {
    /// Asks a node of the table whether it is there.
    pub(super) fn check(&mut self, slot: Slot, hinted: bool) -> bool {
        let Some(node) = self.table.node(slot) else {
            return false;
        };
        let class = if hinted { Class::Hint } else { Class::KeepAlive };
        let purpose = Purpose::Check { seen: node.seen, hinted };
        let begun = self.ask_whether_there(slot, &node, hinted, class, purpose);
        if begun {
            self.upkeep.hint_checks += u8::from(hinted);
        }
        begun
    }

    /// Asks a node of the table what it has to answer to stay: FIND_NODE, which is what it is there for, unless it
    /// has answered that since it was last asked; then a PING will do, which costs less. (The reference only pings, so
    /// whoever answers PINGs and nothing else stays and is named for ever.)
    pub(super) fn ask_whether_there(
        &mut self,
        slot: Slot,
        node: &NodeInfo,
        hinted: bool,
        class: Class,
        purpose: Purpose,
    ) -> bool {
        // One that is, or was, in doubt has not.
        let ping = node.serves && !hinted;
        let command = if ping { PING } else { FIND_NODE };
        let begun = self.begin_internal(node.addr, command, None, class, purpose).is_some();
        if begun {
            self.table.set_pinged(slot, self.cx.tick);
            self.table.set_serves(slot, false);
        }
        begun
    }

    pub(super) fn on_check_answered(&mut self, addr: SocketAddrV4, hinted: bool, no_id: bool) {
        self.upkeep.hint_checks -= u8::from(hinted);
        if no_id {
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
        if timed_out && self.evict_unless_seen(addr, seen) && !hinted {
            self.upkeep.check_failed();
        }
    }

    /// Nodes that left most tries unanswered when the node is suspended count as without a proof: else those
    /// who are suspended often would keep the dead.
    pub(super) fn count_interrupted_checks(&mut self) {
        // Where nobody answers, that is not why.
        if !self.online() {
            return;
        }
        let mut slot = 0;
        let checks = |call: &Call| matches!(call.purpose, Purpose::Check { .. });
        while let Some((next, id)) = self.requests.next_from(slot, checks) {
            slot = next;
            let call =
                self.requests.call(id).filter(|_| self.requests.tries(id) >= INTERRUPTED_TRIES);
            if let Some(addr) = call.map(|call| call.to) {
                self.answered_without_id(addr);
            }
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
        let count = node.silent_answers + 1;
        self.table.set_silent_answers(slot, count);
        let gone = count >= SILENT_ANSWERS_MAX;
        if gone {
            self.evict(addr);
        }
        gone
    }

    /// An address has left several tries of a question unanswered or, if it is `down`, all of them.
    /// `late`: an answer after that still counts.
    pub(super) fn suspect(
        &mut self,
        addr: SocketAddrV4,
        down: bool,
        question: Question,
        late: bool,
    ) {
        let displaced = self.suspects.add(self.cx.now, addr, (down, late), question);
        self.table.set_doubted(addr, true);
        if let Some(displaced) = displaced {
            self.table.set_doubted(displaced, false);
            self.namers.clear_of(displaced);
        }
    }

    /// `by` has named a node that is silent; it is told if the node is down.
    pub(super) fn note_namer(&mut self, silent: SocketAddrV4, by: SocketAddrV4) {
        if self.cx.config.send_down_hints {
            self.namers.add(silent, by);
        }
    }

    /// A node is down: all that have named it get to know.
    pub(super) fn report(&mut self, addr: SocketAddrV4) {
        self.namers.is_down(addr);
        self.send_hints();
    }

    /// Whether a node is known to be down; then all that have named it get to know.
    pub(super) fn report_if_sure(&mut self, addr: SocketAddrV4) -> bool {
        let sure = self.suspects.are_sure_of(self.cx.now, addr);
        if sure {
            self.report(addr);
        }
        sure
    }

    /// An address has answered such a question. That clears it if it left none unanswered that matters more.
    pub(super) fn trust(&mut self, addr: SocketAddrV4, question: Question) {
        if self.suspects.clear_of(addr, question) {
            self.table.set_doubted(addr, false);
        }
        if !self.suspects.contain(self.cx.now, addr) {
            self.namers.clear_of(addr);
        }
    }

    /// Whether an address was silent lately, so that it has to answer FIND_NODE to be a node of the table (again).
    pub(super) fn has_to_serve(&self, addr: SocketAddrV4) -> bool {
        self.lost.contains(addr) || self.suspects.contain(self.cx.now, addr)
    }

    /// Suspicions that are too old are forgotten.
    pub(super) fn forget_suspicions(&mut self) {
        while let Some(addr) = self.suspects.pop_expired(self.cx.now) {
            self.table.set_doubted(addr, false);
            self.namers.clear_of(addr);
        }
    }

    /// Sends the down hints that are due, as far as the budget of this tick goes.
    pub(super) fn send_hints(&mut self) {
        let limit = self.cx.config.down_hints_rate_limit;
        while limit.is_none_or(|max| self.upkeep.hints_sent < max) {
            let Some((down, by)) = self.namers.pop_due() else { return };
            self.upkeep.hints_sent += 1;
            let value = Bytes::copy_from_slice(&wire::addr_bytes(down));
            let prefix = self.table.ids().of(by).prefix();
            let purpose = Purpose::Hint { seen: self.times_seen(prefix, by) };
            self.begin_internal(by, DOWN_HINT, Some(value), Class::Hint, purpose);
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
            self.upkeep.table_shrank();
            self.lost.add(self.cx.tick, addr);
            self.evict(addr);
        }
        gone
    }

    /// Somebody says that a node is down: it is asked, not believed.
    pub(super) fn on_down_hint(&mut self, addr: SocketAddrV4, from: Ipv4Addr) {
        let Some((slot, node)) = self.known(addr) else {
            return;
        };
        if node.hinted && node.pinged_ago(self.cx.tick) == 0 {
            return;
        }
        if !self.upkeep.admits_hint(from) {
            self.cx.stats.drops.down_hints += 1;
            return;
        }
        self.table.set_hinted(slot, true);
        self.check(slot, true);
    }

    /// Asks one of those that were lost whether it is back, and one of those that the user gave.
    pub(super) fn seek_lost(&mut self) {
        let tick = self.cx.tick;
        let lost = self.lost.next(tick);
        let (table, others) = (&self.table, &self.lost);
        let in_table = |addr| table.get(addr).is_some();
        let given = self.sources.given.next(tick, in_table, |addr| others.contains(addr));
        for addr in lost.into_iter().chain(given) {
            self.verify_known(addr);
        }
    }

    /// Asks one that was a node whether it is one.
    pub(super) fn verify_known(&mut self, addr: SocketAddrV4) {
        if self.candidates.take_place_for_lost(addr) {
            self.verify(addr);
        }
    }

    /// One that was lost is back, and perhaps all are: they are asked, and so are our neighbours, who may
    /// be others than we knew.
    pub(super) fn found_again(&mut self) {
        let mut any = false;
        for addr in self.lost.search(self.cx.tick) {
            any = true;
            self.candidates.push(addr);
        }
        if any {
            (0..self.cx.config.strangers()).for_each(|_| self.verify_next());
            self.start_search(self.table.own());
        }
    }
}
