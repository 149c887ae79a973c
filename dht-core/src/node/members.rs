//! Who is in the routing table: only those that have answered us, from the address that
//! their id is made of. Mirrors the upkeep of nodes in `index.js`, and is stricter: a
//! request alone, which anybody can forge, makes its sender a candidate at most.

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::{Node, Stage};
use crate::addr::{is_local, is_sendable, learnable, prefix24};
use crate::api::config::Config;
use crate::api::error::InvalidNode;
use crate::api::event::Event;
use crate::api::message::{Peer, SavedNode, Via};
use crate::bounded::memory::{Capped, Heap};
use crate::context::{RECENT, TICK};
use crate::id::Id;
use crate::requests::call::{Purpose, Question};
use crate::requests::congestion::Class;
use crate::table::{Insert, Slot};
use crate::time::Instant;
use crate::upkeep::schedule::{FIRM, OLD, SWAPS_MAX};
use crate::wire::command::{FIND_NODE, PING};

/// Candidates that wait for their verification; a random one gives way to the next.
const CANDIDATES_MAX: usize = 64;
/// Verifications under way per /24 (no limit for local addresses).
const VERIFICATIONS_PER_PREFIX_MAX: usize = 3;

/// Those who say that they have an id, and have not answered us yet.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// How many are verified at once of those never met, and in all.
    strangers: usize,
    max: usize,
    waiting: Vec<SocketAddrV4>,
    verifying: Vec<SocketAddrV4>,
}

impl Candidates {
    pub(super) fn new(config: &Config) -> Self {
        let (strangers, max) = (config.strangers(), config.verifications());
        Self { strangers, max, waiting: Vec::new(), verifying: Vec::new() }
    }

    pub(super) fn add_to(heap: &mut Heap, verifications: usize) {
        heap.capped::<SocketAddrV4>(CANDIDATES_MAX);
        heap.capped::<SocketAddrV4>(verifications);
    }

    fn knows(&self, addr: SocketAddrV4) -> bool {
        self.waiting.contains(&addr) || self.verifying.contains(&addr)
    }

    /// Whether a stranger may be asked now.
    fn has_place_for(&self, addr: SocketAddrV4) -> bool {
        let prefix = prefix24(*addr.ip());
        let same = self.verifying.iter().filter(|other| prefix24(*other.ip()) == prefix);
        self.verifying.len() < self.strangers
            && (is_local(*addr.ip()) || same.count() < VERIFICATIONS_PER_PREFIX_MAX)
    }

    /// Whether one that was a node may be, wherever those are that requests were forged for.
    pub(super) fn take_place_for_lost(&mut self, addr: SocketAddrV4) -> bool {
        let free = self.verifying.len() < self.max && !self.verifying.contains(&addr);
        if free {
            self.waiting.retain(|other| *other != addr);
        }
        free
    }

    /// Those being verified.
    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self) -> &[SocketAddrV4] {
        assert!(self.waiting.len() <= CANDIDATES_MAX && self.verifying.len() <= self.max);
        for (at, addr) in self.verifying.iter().enumerate() {
            assert!(
                !self.waiting.contains(addr)
                    && self.verifying.iter().position(|a| a == addr) == Some(at)
            );
            let prefix = prefix24(*addr.ip());
            let same = self.verifying.iter().filter(|other| prefix24(*other.ip()) == prefix);
            assert!(
                is_local(*addr.ip())
                    || same.count() <= VERIFICATIONS_PER_PREFIX_MAX + self.max - self.strangers
            );
        }
        &self.verifying
    }

    /// Has it wait, if there is room.
    pub(super) fn push(&mut self, addr: SocketAddrV4) {
        if self.waiting.len() < CANDIDATES_MAX && !self.knows(addr) {
            self.wait(addr);
        }
    }

    fn wait(&mut self, addr: SocketAddrV4) {
        self.waiting.make_room(CANDIDATES_MAX);
        self.waiting.push(addr);
    }

    pub(super) fn clear(&mut self) {
        (self.waiting, self.verifying) = (Vec::new(), Vec::new());
    }
}

impl Node {
    /// A request with a proven id came in, or so it seems: its source may be forged.
    pub(super) fn heard_of(&mut self, peer: Peer) {
        let Some(id) = peer.id.filter(|_| self.admits(peer.addr)) else {
            return;
        };
        match self.table.find(&id, peer.addr) {
            Some(slot) => self.table.touch_unproven(slot, self.cx.tick),
            None => self.consider(id, peer.addr),
        }
    }

    /// An answer to such a question from exactly where it was asked for: as good as the protocol's proofs get.
    /// `votes`: where it sees us counts.
    pub(super) fn learn(
        &mut self,
        via: Via,
        from: Peer,
        to: SocketAddrV4,
        question: Question,
        votes: bool,
    ) {
        self.trust(from.addr, question);
        let owes = question != Question::FindNode && self.has_to_serve(from.addr);
        let was_lost = !owes && self.lost.remove(from.addr);
        if !self.admits(from.addr) {
            return;
        }
        // What arrives at the other socket tells of another port than the one in use.
        let votes = votes && via == self.request_via();
        let Some(id) = from.id else {
            if votes {
                self.reach.vote_without_id(&mut self.cx, from.addr, to);
                self.after_reach();
            }
            return;
        };
        let tick = self.cx.tick;
        if owes && self.table.find(&id, from.addr).is_none() {
            return self.verify_known(from.addr);
        }
        let inserted = self.insert(&id, from.addr, tick);
        if let (Insert::Present(slot) | Insert::Added(slot), Question::FindNode) =
            (inserted, question)
        {
            self.table.set_serves(slot, true);
        }
        match inserted {
            Insert::Present(slot) => {
                self.table.touch(slot, tick);
                self.table.set_silent_answers(slot, 0);
                self.sample_of(slot, to, votes);
            }
            Insert::Added(slot) => {
                self.table.touch(slot, tick);
                self.added(from.addr);
                self.sample_of(slot, to, votes);
                let came_back = self.sources.given.came_back(tick, from.addr) || was_lost;
                if self.table.len() == 1 {
                    self.no_longer_alone(came_back);
                }
            }
            Insert::Full => self.challenge(id, from.addr, true),
            Insert::Own => return,
        }
        if was_lost {
            self.found_again();
        }
    }

    /// Takes what a node of the table says of our address, unless it was listened to lately.
    fn sample_of(&mut self, slot: Slot, to: SocketAddrV4, votes: bool) {
        let tick = self.cx.tick;
        if votes {
            self.reach.seen_as(to);
        }
        let sampled = self.table.node(slot).and_then(|node| node.sampled_ago(tick));
        if votes && sampled.is_none_or(|ago| ago >= OLD) {
            self.table.set_sampled(slot, tick);
            self.reach.vote(&mut self.cx, slot.addr(), to);
            self.after_reach();
        }
    }

    /// Puts a node into the table without asking it: the user says that it is one. Whether it is there now.
    pub(super) fn admit(&mut self, addr: SocketAddrV4) -> bool {
        let id = self.table.ids().of(addr);
        let inserted = self.insert(&id, addr, self.cx.tick);
        if let Insert::Added(_) = inserted {
            self.added(addr);
        }
        matches!(inserted, Insert::Added(_) | Insert::Present(_))
    }

    /// Puts a node into the table. In a small one that is full, one of those that are new there gives way if
    /// another bucket has more nodes, but not to many of one network. So such a table takes shape, and lets its
    /// neighbours in; and who has been there for a while is asked first, whoever comes.
    fn insert(&mut self, id: &Id, addr: SocketAddrV4, tick: u32) -> Insert {
        let inserted = self.table.insert(id, addr, tick);
        // Most often it is the bucket that is full, and nobody can give way.
        let full = inserted == Insert::Full;
        let young = full.then(|| self.table.youngster(id, self.cx.tick, FIRM));
        let Some(slot) = young.flatten() else { return inserted };
        let prefix = |addr: SocketAddrV4| prefix24(*addr.ip());
        if !is_local(*addr.ip()) && self.nodes().any(|other| prefix(other) == prefix(addr)) {
            return inserted;
        }
        self.evict(slot.addr());
        self.table.insert(id, addr, tick)
    }

    fn added(&mut self, addr: SocketAddrV4) {
        self.upkeep.table_grew();
        self.lost.remove(addr);
        if self.suspects.iter().any(|suspect| suspect == addr) {
            self.table.set_doubted(addr, true);
        }
        if self.cx.config.node_events {
            self.emit(Event::NodeAdded(addr));
        }
    }

    /// Takes a node out of the table.
    pub(super) fn evict(&mut self, addr: SocketAddrV4) {
        if let Some(slot) = self.table.get(addr) {
            self.table.remove(slot);
            self.removed(addr);
        }
    }

    pub(super) fn removed(&mut self, addr: SocketAddrV4) {
        if self.cx.config.node_events {
            self.emit(Event::NodeRemoved(addr));
        }
    }

    /// Whether the user lets a node into table and queries.
    pub(super) fn admits(&self, addr: SocketAddrV4) -> bool {
        self.cx.config.filter.as_ref().is_none_or(|filter| filter.allows(addr))
    }

    /// A candidate: it gets one datagram to answer.
    fn consider(&mut self, id: Id, addr: SocketAddrV4) {
        if id == self.table.own() || !learnable(addr, *addr.ip()) || self.candidates.knows(addr) {
            return;
        }
        // Most of those who ask find their bucket full, of nodes that are there: these are asked first, or
        // every request would cost a ping to no avail.
        let young = || self.table.youngster(&id, self.cx.tick, FIRM);
        if !self.table.has_place_for(&id) && young().is_none() {
            return self.challenge(id, addr, false);
        }
        if self.requests.asks(addr) {
            return;
        }
        if self.candidates.has_place_for(addr) && self.verify(addr) {
            return;
        }
        if self.candidates.waiting.len() < CANDIDATES_MAX {
            self.candidates.wait(addr);
        } else {
            let at = self.cx.rng.below(CANDIDATES_MAX as u32) as usize;
            if let Some(place) = self.candidates.waiting.get_mut(at) {
                *place = addr;
            }
            self.cx.stats.verifications.displaced += 1;
        }
    }

    /// Asks a candidate: what it left unanswered, if it did so lately. This leaves before the answer to the request
    /// that made it one, so that who is answered is soon in the table.
    pub(super) fn verify(&mut self, addr: SocketAddrV4) -> bool {
        let purpose = Purpose::Verify;
        let command = if self.has_to_serve(addr) { FIND_NODE } else { PING };
        if self.begin_internal(addr, command, None, Class::KeepAlive, purpose).is_none() {
            return false;
        }
        self.candidates.verifying.make_room(self.candidates.max);
        self.candidates.verifying.push(addr);
        self.cx.stats.verifications.sent += 1;
        true
    }

    /// Asks the next candidate that waits and may be asked.
    pub(super) fn verify_next(&mut self) {
        let next = self.candidates.waiting.iter().position(|a| self.candidates.has_place_for(*a));
        let Some(addr) = next.map(|next| self.candidates.waiting.remove(next)) else { return };
        if !self.verify(addr) {
            self.candidates.wait(addr);
        }
    }

    /// A verification is over; [`learn`](Self::learn) has dealt with a good one.
    pub(super) fn on_verify_ended(&mut self, addr: SocketAddrV4, verified: bool) {
        match verified {
            true => self.cx.stats.verifications.verified += 1,
            false => self.cx.stats.verifications.failed += 1,
        }
        self.candidates.verifying.retain(|other| *other != addr);
        self.verify_next();
    }

    /// A newcomer finds its bucket full: the one not heard of for longest has to answer. If it does not,
    /// the newcomer takes its place, once `verified`.
    fn challenge(&mut self, id: Id, newcomer: SocketAddrV4, verified: bool) {
        let asleep = self.stage == Stage::Suspended;
        if asleep || !self.bootstrap.is_done() || self.upkeep.swaps >= SWAPS_MAX {
            return;
        }
        let Some(rival) = self.stale_rival(&id) else {
            return;
        };
        let Some(node) = self.table.node(rival) else {
            return;
        };
        if !self.upkeep.take_check() {
            return;
        }
        let purpose = Purpose::Swap { seen: node.seen, newcomer, verified };
        if self.ask_whether_there(rival, &node, false, Class::KeepAlive, purpose) {
            self.upkeep.swaps += 1;
        }
    }

    /// The node of a full bucket, or of the fullest in a full table, that a newcomer may challenge: the least recently
    /// pinged, and among those the first added, unless it was heard of in the last minute. (The reference also asks the
    /// latter if they are not old; but no newcomer displaces one that answers.)
    fn stale_rival(&self, id: &Id) -> Option<Slot> {
        let tick = self.cx.tick;
        let slot = self.table.least_recent(id, tick)?;
        let node = self.table.node(slot)?;
        (node.pinged_ago(tick) >= RECENT).then_some(slot)
    }

    /// A place has become free.
    fn succeed(&mut self, (newcomer, verified): (SocketAddrV4, bool)) {
        if verified {
            self.admit(newcomer);
        } else {
            self.consider(self.table.ids().of(newcomer), newcomer);
        }
    }

    pub(super) fn on_swap_answered(
        &mut self,
        rival: SocketAddrV4,
        newcomer: (SocketAddrV4, bool),
        no_id: bool,
    ) {
        self.upkeep.swaps = self.upkeep.swaps.saturating_sub(1);
        if no_id && self.answered_without_id(rival) {
            self.succeed(newcomer);
        }
    }

    pub(super) fn on_swap_failed(
        &mut self,
        rival: SocketAddrV4,
        seen: u8,
        newcomer: (SocketAddrV4, bool),
        timed_out: bool,
    ) {
        self.upkeep.swaps = self.upkeep.swaps.saturating_sub(1);
        if timed_out && self.evict_unless_seen(rival, seen) {
            self.upkeep.check_failed();
            self.succeed(newcomer);
        }
    }

    /// Puts a node into the table, for instance one known from an earlier run. It is asked
    /// in time, like any other; the node filter does not apply. It is not forgotten, as those of
    /// [`Config::nodes`]; if there are too many of these, the first ones count. Whether it is in the table now: not if that
    /// has no place for it, if it is the node itself, or if the node is closed.
    ///
    /// # Errors
    /// If that is no node's address.
    pub fn add_node(&mut self, now: Instant, addr: SocketAddrV4) -> Result<bool, InvalidNode> {
        self.enter(now);
        if !is_sendable(addr) {
            return Err(InvalidNode(addr));
        }
        if self.stage == Stage::Closed {
            return Ok(false);
        }
        self.sources.given.add(self.cx.config.given(), self.cx.tick, addr);
        Ok(self.admit(addr))
    }

    /// All nodes of the table, the one heard of most recently first.
    pub fn nodes(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        self.table.iter().map(|(_, addr)| addr)
    }

    /// The table with its ages, to be saved: the one heard of most recently first.
    #[must_use]
    pub fn export(&self) -> Vec<SavedNode> {
        let tick = self.cx.tick;
        let ticks = |n: u32| TICK.saturating_mul(n);
        let nodes = self.table.iter().filter_map(|(slot, addr)| {
            let node = self.table.node(slot)?;
            let (pinged, added) = (ticks(node.pinged_ago(tick)), ticks(node.added_ago(tick)));
            Some(SavedNode { addr, pinged, added })
        });
        nodes.collect()
    }

    /// Puts saved nodes into the table, beside what is there. `away` is how long ago they were saved.
    /// How many of them are in the table now: others found no place there, or have no node's address.
    pub fn import(&mut self, now: Instant, nodes: &[SavedNode], away: Duration) -> usize {
        self.enter(now);
        if self.stage == Stage::Closed {
            return 0;
        }
        let tick = self.cx.tick;
        // Where there are bootstrap nodes, there is always a way back.
        if self.cx.config.bootstrap.is_empty() {
            let given = nodes.iter().map(|node| node.addr).filter(|addr| is_sendable(*addr));
            let max = self.cx.config.given() / 2;
            given.take(max).for_each(|addr| self.sources.given.add(max, tick, addr));
        }
        let mut used = 0;
        let ago = |age: Duration| {
            let ticks = (age.saturating_add(away)).as_secs() / TICK.as_secs();
            tick.saturating_sub(u32::try_from(ticks).unwrap_or(u32::MAX))
        };
        for node in nodes.iter().rev().filter(|node| is_sendable(node.addr)) {
            let id = self.table.ids().of(node.addr);
            let inserted = self.insert(&id, node.addr, ago(node.added));
            if let Insert::Added(slot) = inserted {
                self.table.set_pinged(slot, ago(node.pinged));
                self.added(node.addr);
            }
            used += usize::from(matches!(inserted, Insert::Added(_) | Insert::Present(_)));
        }
        used
    }
}
