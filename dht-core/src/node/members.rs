//! What the routing table learns from what comes in, and asks for.

use core::net::{Ipv4Addr, SocketAddrV4};

use super::Parts;
use crate::api::message::{Peer, Via};
use crate::requests::call::{Purpose, Question};

/// A check that is interrupted after this many of its four tries counts as an answer without an id.
const INTERRUPTED_TRIES: u16 = 3;

impl Parts {
    /// A request with a proven id came in, or so it seems.
    pub(super) fn heard_of(&mut self, peer: Peer) {
        let asks = |addr| self.requests.flights().asks(addr);
        let ask = self.members.heard_of(&mut self.cx, peer, &asks);
        self.ask_some(ask);
    }

    /// An answer from the address that was asked. `votes`: the address at which it sees us counts.
    pub(super) fn learn(
        &mut self,
        via: Via,
        from: Peer,
        to: SocketAddrV4,
        question: Question,
        votes: bool,
    ) {
        let learnt = self.members.learn(&mut self.cx, from, question);
        self.ask_some(learnt.ask);
        // What arrives at the other socket tells of another port than the one in use.
        let votes = votes && via == self.reach.request_via();
        if votes && learnt.without_id {
            self.reach.vote_without_id(&mut self.cx, from.addr, to);
        }
        if let Some(slot) = learnt.slot.filter(|_| votes) {
            self.reach.seen_as(to);
            if self.members.take_sample(slot, self.cx.tick) {
                self.reach.vote(&mut self.cx, from.addr, to);
            }
        }
        self.carry_reach();
        if learnt.slot.is_some() {
            self.upkeep.bootstrap.answered(self.cx.now);
        }
        if learnt.added {
            let tick = self.cx.tick;
            let came_back = self.sources.given.came_back(tick, from.addr) || learnt.was_lost;
            let alone = self.members.table().len() == 1;
            if alone && self.upkeep.bootstrap.no_longer_alone(self.cx.now, came_back) {
                self.start_search(*self.members.table().own());
            }
        }
        if learnt.was_lost && self.members.search_lost(self.cx.tick) {
            self.verify_next(self.cx.config.strangers());
            // The network may have new nodes near our id.
            self.start_search(*self.members.table().own());
        }
    }

    /// Asks some of the candidates that wait.
    pub(super) fn verify_next(&mut self, count: usize) {
        for _ in 0..count {
            let ask = self.members.next_verification(&mut self.cx);
            self.ask_some(ask);
        }
    }

    /// Asks one of the nodes that were lost whether it is back, and one of the nodes that the user gave.
    pub(super) fn seek_lost(&mut self) {
        let tick = self.cx.tick;
        let lost = self.members.next_lost(self.cx.now);
        let members = &self.members;
        let in_table = |addr| members.table().get(addr).is_some();
        let given = self.sources.given.next(tick, in_table, |addr| members.is_lost(addr));
        for addr in lost.into_iter().chain(given) {
            let ask = self.members.verify_known(&mut self.cx, addr);
            self.ask_some(ask);
        }
    }

    /// A peer says that a node is down.
    pub(super) fn on_down_hint(&mut self, addr: SocketAddrV4, from: Ipv4Addr) {
        let ask = self.members.on_down_hint(&mut self.cx, addr, from);
        self.ask_some(ask);
    }

    /// Sends the down hints that are due, as far as the budget of this tick goes.
    pub(super) fn send_hints(&mut self) {
        while let Some(ask) = self.members.next_hint(&self.cx) {
            self.ask(ask);
        }
    }

    /// A node is down: all that have named it get to know.
    pub(super) fn report(&mut self, addr: SocketAddrV4) {
        self.members.report(addr);
        self.send_hints();
    }

    /// Whether a node is known to be down; then all that have named it get to know.
    pub(super) fn report_if_sure(&mut self, addr: SocketAddrV4) -> bool {
        let sure = self.members.is_sure_of(&self.cx, addr);
        if sure {
            self.report(addr);
        }
        sure
    }

    /// Nodes that left most tries unanswered when the node is suspended count as without a proof: else nodes
    /// that are suspended often would keep the dead.
    pub(super) fn count_interrupted_checks(&mut self) {
        // While offline, silence says nothing of a node.
        if !self.upkeep.contact.online() {
            return;
        }
        for (_, flight) in self.requests.flights().iter() {
            let check = matches!(flight.call.purpose, Purpose::Check { .. });
            if check && flight.sent >= INTERRUPTED_TRIES {
                self.members.answered_without_id(&mut self.cx, flight.call.to());
            }
        }
    }
}
