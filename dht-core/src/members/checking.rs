//! Checks of nodes that fall silent, and of lost nodes that may be back. A node of the table is asked before it is
//! given up: by the keep-alive, after down hints of peers, after requests without an answer, and if a newcomer
//! wants its place. Lost nodes are asked again now and then.

use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::schedule::SWAPS_MAX;
use super::{Call, Members, Question};
use crate::api::ask::Request;
use crate::api::message::Via;
use crate::context::{Cx, RECENT, knocks};
use crate::id::Id;
use crate::requests::call::Purpose;
use crate::requests::congestion::Class;
use crate::table::{NodeInfo, Slot};
use crate::time::Instant;
use crate::wire;
use crate::wire::command::DOWN_HINT;

/// A node leaves the table once it answers without an id this often in a row.
const SILENT_ANSWERS_MAX: u8 = 2;

/// How a check has ended.
#[derive(Clone, Copy)]
pub(crate) enum Checked {
    /// The node has answered without an id.
    WithoutId,
    /// All tries were left unanswered.
    Silent,
    /// The node has answered, or the check says nothing.
    Stays,
}

impl Members {
    /// Asks a candidate: PING, or the question it left unanswered lately. This leaves before the answer to the request
    /// that made it a candidate, so that its sender is in the table soon after.
    fn verify(&mut self, cx: &mut Cx, addr: SocketAddrV4) -> Option<Call> {
        cx.may_ask().then(|| {
            self.candidates.begin(addr);
            cx.stats.verifications.sent += 1;
            let question = self.question(addr, self.has_to_serve(cx, addr));
            let request = Request { retries: 0, ..question };
            Call::new(request, Class::KeepAlive, Purpose::Verify)
        })
    }

    /// PING, or FIND_NODE if a node has to show that it serves: then it is asked for its own neighbours.
    fn question(&self, to: SocketAddrV4, serves: bool) -> Request {
        match serves {
            true => Request::find_node(to, self.table.ids().of(to)),
            false => Request::ping(to),
        }
    }

    /// The same, for a node of which nothing is known but what it says itself.
    pub(super) fn verify_stranger(&mut self, cx: &mut Cx, addr: SocketAddrV4) -> Option<Call> {
        let ask = self.may_knock(cx, addr).then(|| self.verify(cx, addr)).flatten();
        if ask.is_some() && !self.is_lost(addr) {
            cx.knock(*addr.ip());
        }
        ask
    }

    /// Whether a candidate may be asked: nobody may be in its /24. If not, it is counted.
    fn may_knock(&self, cx: &mut Cx, addr: SocketAddrV4) -> bool {
        let may = self.is_lost(addr) || cx.may_knock(*addr.ip(), &|| 0, false);
        cx.stats.withheld.requests += u64::from(!may);
        may
    }

    /// Asks the next candidate that waits and may be asked.
    pub(crate) fn next_verification(&mut self, cx: &mut Cx) -> Option<Call> {
        loop {
            let addr = self.candidates.next(&cx.config.exempt)?;
            let ask = self.verify_stranger(cx, addr);
            if ask.is_none() && cx.busy {
                self.candidates.wait(addr);
            }
            if ask.is_some() || cx.busy {
                return ask;
            }
        }
    }

    /// Asks a node that was lost, or given by the user, whether it is there.
    pub(crate) fn verify_known(&mut self, cx: &mut Cx, addr: SocketAddrV4) -> Option<Call> {
        let place = self.candidates.take_place_for_lost(addr);
        place.then(|| self.verify(cx, addr)).flatten()
    }

    /// Asks the sender of many requests whether it is there, by the socket that they came to: a NAT in front of it lets that
    /// pass.
    pub(crate) fn ask_for_proof(
        &mut self,
        cx: &mut Cx,
        addr: SocketAddrV4,
        via: Via,
    ) -> Option<Call> {
        let free =
            !self.candidates.knows(addr) && self.candidates.has_place_for(addr, &cx.config.exempt);
        let mut call = free.then(|| self.verify_stranger(cx, addr)).flatten()?;
        call.request.via = Some(via);
        Some(call)
    }

    /// A verification is over; [`learn`](Self::learn) has handled a good one.
    pub(crate) fn on_verify(
        &mut self,
        cx: &mut Cx,
        addr: SocketAddrV4,
        verified: bool,
    ) -> Option<Call> {
        match verified {
            true => cx.stats.verifications.verified += 1,
            false => cx.stats.verifications.failed += 1,
        }
        self.candidates.end(addr);
        self.next_verification(cx)
    }

    /// A newcomer finds its bucket full: the node there that was not heard of for longest has to answer. If it does not,
    /// the newcomer takes its place, once `verified`.
    pub(super) fn challenge(
        &mut self,
        cx: &mut Cx,
        id: Id,
        newcomer: SocketAddrV4,
        verified: bool,
    ) -> Option<Call> {
        if !self.settled || self.schedule.swaps >= SWAPS_MAX {
            return None;
        }
        let rival = self.stale_rival(&id, cx.tick)?;
        let node = self.table.node(rival)?;
        if !self.schedule.take_check() {
            return None;
        }
        let purpose = Purpose::Swap { seen: node.seen, newcomer, verified };
        let ask = self.ask_whether_there(cx, rival, &node, Class::KeepAlive, purpose);
        self.schedule.swaps += u8::from(ask.is_some());
        ask
    }

    /// The node of a full bucket, or of the fullest in a full table, that a newcomer may challenge: the least recently
    /// pinged, and among equals the first added, unless it was heard of in the last minute. (The reference also asks
    /// equals that are not old; but no newcomer displaces a node that answers.)
    pub(super) fn stale_rival(&self, id: &Id, tick: u32) -> Option<Slot> {
        let slot = self.table.least_recent(id, tick)?;
        let node = self.table.node(slot)?;
        (node.pinged_ago(tick) >= RECENT).then_some(slot)
    }

    /// A node of the table was checked.
    pub(crate) fn on_check(
        &mut self,
        cx: &mut Cx,
        node: (SocketAddrV4, u8),
        hinted: bool,
        end: Checked,
    ) {
        self.schedule.hint_checks -= u8::from(hinted);
        self.is_gone(cx, node, end, hinted);
    }

    /// The rival of a newcomer was asked.
    pub(crate) fn on_swap(
        &mut self,
        cx: &mut Cx,
        rival: (SocketAddrV4, u8),
        newcomer: (SocketAddrV4, bool),
        end: Checked,
        asks: &dyn Fn(SocketAddrV4) -> bool,
    ) -> Option<Call> {
        self.schedule.swaps = self.schedule.swaps.saturating_sub(1);
        let gone = self.is_gone(cx, rival, end, false);
        gone.then(|| self.fill_vacancy(cx, newcomer, asks)).flatten()
    }

    /// Whether a node that was asked whether it is there leaves the table, or has left it.
    fn is_gone(
        &mut self,
        cx: &mut Cx,
        (addr, seen): (SocketAddrV4, u8),
        end: Checked,
        hinted: bool,
    ) -> bool {
        match end {
            Checked::WithoutId => self.answered_without_id(cx, addr),
            Checked::Silent if self.evict_unless_seen(cx, addr, seen) => {
                if !hinted {
                    self.schedule.check_failed();
                }
                true
            }
            Checked::Silent | Checked::Stays => false,
        }
    }

    /// A place has become free.
    fn fill_vacancy(
        &mut self,
        cx: &mut Cx,
        (newcomer, verified): (SocketAddrV4, bool),
        asks: &dyn Fn(SocketAddrV4) -> bool,
    ) -> Option<Call> {
        let id = self.table.ids().of(newcomer);
        if !verified {
            return self.consider(cx, id, newcomer, asks);
        }
        if !self.is_unwanted(&id, newcomer) {
            self.admit(cx, newcomer);
        }
        None
    }

    /// A keep-alive begins: it checks the nodes that were not heard of for longest, and fewer of them if there is other traffic.
    /// `false` if there are none.
    pub(crate) fn begin_keep_alive(&mut self, tick: u32, busy: bool) -> bool {
        let oldest = self.table.oldest().and_then(|slot| self.table.node(slot));
        let Some(oldest) = oldest else { return false };
        let most = if busy { 3 } else { u8::MAX };
        let recent = oldest.pinged_ago(tick) < RECENT;
        self.schedule.begin_keep_alive(if recent { most.min(2) } else { most });
        true
    }

    /// The next check of a keep-alive.
    pub(crate) fn next_check(&mut self, cx: &mut Cx) -> Option<Call> {
        if !self.schedule.has_check() {
            return None;
        }
        let pinged = |slot| self.table.node(slot).map(|node| node.pinged) == Some(cx.tick);
        let mut next = self.table.oldest();
        while let Some(slot) = next.filter(|slot| pinged(*slot)) {
            next = self.table.newer(slot);
        }
        let ask = next.and_then(|slot| self.check(cx, slot, false));
        self.schedule.checked(ask.is_some());
        ask
    }

    /// Asks a node of the table whether it is there.
    fn check(&mut self, cx: &mut Cx, slot: Slot, hinted: bool) -> Option<Call> {
        let node = self.table.node(slot)?;
        let class = if hinted { Class::Hint } else { Class::KeepAlive };
        let purpose = Purpose::Check { seen: node.seen, hinted };
        let ask = self.ask_whether_there(cx, slot, &node, class, purpose);
        self.schedule.hint_checks += u8::from(hinted && ask.is_some());
        ask
    }

    /// Asks a node of the table the question that it has to answer to stay: FIND_NODE, its main purpose; or a PING,
    /// which costs less, if it has answered FIND_NODE since it was last asked that. (The reference only pings, so
    /// a node that answers nothing but PINGs stays and is named for ever.)
    fn ask_whether_there(
        &mut self,
        cx: &mut Cx,
        slot: Slot,
        node: &NodeInfo,
        class: Class,
        purpose: Purpose,
    ) -> Option<Call> {
        // A node that is, or was, in doubt has not.
        let ping = node.serves && class != Class::Hint;
        cx.may_ask().then(|| {
            self.table.set_pinged(slot, cx.tick);
            self.table.set_serves(slot, false);
            Call::new(self.question(node.addr, !ping), class, purpose)
        })
    }

    /// A node of the table, and what is known of it.
    fn known(&self, addr: SocketAddrV4) -> Option<(Slot, NodeInfo)> {
        let slot = self.table.get(addr)?;
        Some((slot, self.table.node(slot)?))
    }

    /// A node has answered without an id. Returns whether that was once too often, so that it has left the table.
    pub(crate) fn answered_without_id(&mut self, cx: &mut Cx, addr: SocketAddrV4) -> bool {
        let Some((slot, node)) = self.known(addr) else { return false };
        let count = node.answers_without_id + 1;
        self.table.set_silent_answers(slot, count);
        let gone = count >= SILENT_ANSWERS_MAX;
        if gone {
            self.evict(cx, addr);
        }
        gone
    }

    /// An address has left several tries of a question unanswered or, if it is `down`, all of them.
    /// `late`: whether a later answer still counts.
    pub(crate) fn suspect(
        &mut self,
        cx: &Cx,
        addr: SocketAddrV4,
        (down, late): (bool, bool),
        question: Question,
    ) {
        let displaced = self.suspects.add(cx.now, addr, (down, late), question);
        self.table.set_doubted(addr, true);
        if let Some(displaced) = displaced {
            self.table.set_doubted(displaced, false);
            self.namers.remove(displaced);
        }
    }

    /// An address has answered `question`. That clears it, unless it left a question of a higher kind unanswered.
    pub(crate) fn trust(&mut self, cx: &Cx, addr: SocketAddrV4, question: Question) {
        if self.suspects.remove(addr, question) {
            self.table.set_doubted(addr, false);
        }
        if !self.suspects.contains(cx.now, addr) {
            self.namers.remove(addr);
        }
    }

    /// An answer from there fits no request.
    pub(crate) fn missed(&mut self, from: SocketAddrV4) {
        self.suspects.missed(from);
    }

    /// Whether a late answer from there counts; `None` if it is not suspected.
    pub(crate) fn believes(&self, cx: &Cx, addr: SocketAddrV4) -> Option<bool> {
        self.suspects.believe(cx.now, addr)
    }

    /// Whether an address was silent lately.
    pub(crate) fn is_suspected(&self, cx: &Cx, addr: SocketAddrV4) -> bool {
        self.suspects.contains(cx.now, addr)
    }

    /// Whether its /24 has a crowd of suspected addresses, so that the address is asked after all addresses elsewhere.
    pub(crate) fn is_in_crowd(&self, cx: &Cx, addr: SocketAddrV4) -> bool {
        self.suspects.crowd(cx.now, addr, &cx.config.exempt)
    }

    /// Nodes of the table that are suspected.
    pub(crate) fn doubted(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.suspects.iter().filter(|addr| self.table.get(*addr).is_some())
    }

    /// Whether an address was silent lately, so that it has to answer FIND_NODE to be a node of the table (again).
    pub(super) fn has_to_serve(&self, cx: &Cx, addr: SocketAddrV4) -> bool {
        self.lost.contains(addr) || self.is_suspected(cx, addr)
    }

    /// Suspicions that are too old are forgotten.
    pub(crate) fn forget_suspicions(&mut self, cx: &Cx) {
        while let Some(addr) = self.suspects.pop_expired(cx.now) {
            self.table.set_doubted(addr, false);
            self.namers.remove(addr);
        }
    }

    /// How many /24s have named a silent node, as far as that matters.
    pub(crate) fn voices(&self, silent: SocketAddrV4) -> usize {
        knocks::voices(self.namers.of(silent))
    }

    /// `by` has named a node that is silent; it is told if the node is down.
    pub(crate) fn note_namer(&mut self, cx: &Cx, silent: SocketAddrV4, by: SocketAddrV4) {
        if cx.config.send_down_hints {
            self.namers.add(silent, by);
        }
    }

    /// A node is down: all that have named it get to know, by [`next_hint`](Self::next_hint).
    pub(crate) fn report(&mut self, addr: SocketAddrV4) {
        self.namers.is_down(addr);
    }

    /// Whether a node is known to be down.
    pub(crate) fn is_sure_of(&self, cx: &Cx, addr: SocketAddrV4) -> bool {
        self.suspects.are_sure_of(cx.now, addr)
    }

    /// The next down hint that is due, as far as the budget of this tick goes.
    pub(crate) fn next_hint(&mut self, cx: &Cx) -> Option<Call> {
        if !self.schedule.may_hint(cx.config.down_hints_rate_limit) {
            return None;
        }
        let (down, by) = self.namers.pop_due()?;
        self.schedule.hinted();
        let value = Some(Bytes::copy_from_slice(&wire::addr_bytes(down)));
        let prefix = self.table.ids().of(by).prefix();
        let purpose = Purpose::Hint { seen: self.times_seen(prefix, by) };
        let request = Request { value, ..Request::internal(by, DOWN_HINT) };
        Some(Call::new(request, Class::Hint, purpose))
    }

    /// A tick has passed: there is a new budget of hints.
    pub(crate) fn reset_budgets(&mut self) {
        self.schedule.reset_budgets();
    }

    /// The count of answers of a node of the table whose id begins with `prefix`: modulo 256 and from an arbitrary
    /// start, for comparison only. 0 for addresses that are not there.
    pub(crate) fn times_seen(&self, prefix: u64, addr: SocketAddrV4) -> u8 {
        let slot = self.table.find_by_prefix(prefix, addr);
        slot.and_then(|slot| self.table.node(slot)).map_or(0, |node| node.seen)
    }

    /// Takes out a node that did not answer, unless it answered another question meanwhile. Returns whether it is gone.
    pub(crate) fn evict_unless_seen(&mut self, cx: &mut Cx, addr: SocketAddrV4, seen: u8) -> bool {
        let known = self.known(addr);
        let gone = known.is_none_or(|(_, node)| node.seen == seen);
        if gone && known.is_some() {
            self.schedule.table_shrank();
            self.lost.add(cx.now, addr);
            self.evict(cx, addr);
        }
        gone
    }

    /// A peer says that a node is down: the node is asked; the peer is not believed.
    pub(crate) fn on_down_hint(
        &mut self,
        cx: &mut Cx,
        addr: SocketAddrV4,
        from: Ipv4Addr,
    ) -> Option<Call> {
        let (slot, node) = self.known(addr)?;
        if node.hinted && node.pinged_ago(cx.tick) == 0 {
            return None;
        }
        if !self.schedule.admits_hint(from, &cx.config.exempt) {
            cx.stats.drops.down_hints += 1;
            return None;
        }
        self.table.set_hinted(slot, true);
        self.check(cx, slot, true)
    }

    /// A lost node to ask whether it is back.
    pub(crate) fn next_lost(&mut self, now: Instant) -> Option<SocketAddrV4> {
        self.lost.next(now)
    }

    /// Whether a node was lost lately.
    pub(crate) fn is_lost(&self, addr: SocketAddrV4) -> bool {
        self.lost.contains(addr)
    }

    /// A lost node is back, so all of them may be: they become candidates. Returns whether there are any.
    pub(crate) fn search_lost(&mut self, tick: u32) -> bool {
        let mut any = false;
        for addr in self.lost.search(tick) {
            any = true;
            self.candidates.push(addr);
        }
        any
    }
}
