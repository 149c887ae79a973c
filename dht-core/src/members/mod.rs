//! The routing table, and which nodes enter it, are checked, and leave. A node enters only if it has answered us, from the
//! address that its id is made of; it leaves only for silence, or for answers without an id. Mirrors the upkeep of nodes
//! in `index.js`, and is stricter: a request alone, which is easily forged, makes its sender a candidate at most.
//!
//! This part is told of answers, requests, silence and hints, and asks for calls: most methods return an
//! [`Call`]. The caller that makes it must report its outcome, by the method named after the purpose.

mod candidates;
mod checking;
mod lost;
mod namers;
mod schedule;
mod suspects;

use alloc::vec::Vec;
use core::net::SocketAddrV4;
use core::time::Duration;

use crate::addr::{learnable, prefix24};
use crate::api::config::Config;
use crate::api::event::Event;
use crate::api::id_cache::Ids;
use crate::api::message::{Peer, SavedNode};
use crate::bounded::memory::Heap;
use crate::context::{Cx, OLD, TICK};
use crate::id::Id;
use crate::requests::call::{Call, Question};
use crate::secret::rng::Rng;
use crate::table::{Insert, Slot, Table};
use candidates::Candidates;
pub(crate) use checking::Checked;
use lost::Lost;
use namers::Namers;
use schedule::{FIRM, Schedule};
use suspects::Suspects;

#[derive(Clone)]
pub(crate) struct Members {
    table: Table,
    candidates: Candidates,
    suspects: Suspects,
    namers: Namers,
    lost: Lost,
    schedule: Schedule,
    /// The node has bootstrapped: newcomers may challenge nodes of the table from now on.
    settled: bool,
}

/// What an answer has brought.
#[derive(Default)]
pub(crate) struct Learnt {
    /// The sender is in the table now, here.
    pub(crate) slot: Option<Slot>,
    /// It has come in just now.
    pub(crate) added: bool,
    /// It had been lost.
    pub(crate) was_lost: bool,
    /// It has no id, and may be used all the same.
    pub(crate) without_id: bool,
    pub(crate) ask: Option<Call>,
}

impl Members {
    pub(crate) fn new(config: &Config, own: Id, rng: &mut Rng) -> Self {
        Self {
            table: Table::new(
                own,
                Ids::new(config.ids.clone()),
                config.exempt.clone(),
                config.max_nodes,
            ),
            candidates: Candidates::new(config),
            suspects: Suspects::default(),
            namers: Namers::new(config.namers()),
            lost: Lost::default(),
            schedule: Schedule::new(rng),
            settled: false,
        }
    }

    /// The heap that this part takes, at most.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        Table::add_to(heap, config.max_nodes);
        Candidates::add_to(heap, config.verifications());
        Suspects::add_to(heap);
        Namers::add_to(heap, config.namers());
        Lost::add_to(heap);
        Schedule::add_to(heap);
    }

    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The node has bootstrapped.
    pub(crate) fn settle(&mut self) {
        self.settled = true;
    }

    /// A request with a proven id came in, or so it seems: its source may be forged. `asks`: whether an address is
    /// being asked something.
    pub(crate) fn heard_of(
        &mut self,
        cx: &mut Cx,
        peer: Peer,
        asks: &dyn Fn(SocketAddrV4) -> bool,
    ) -> Option<Call> {
        let id = peer.id.filter(|_| cx.admits(peer.addr))?;
        match self.table.find(&id, peer.addr) {
            Some(slot) => {
                self.table.touch_unproven(slot, cx.tick);
                None
            }
            None => self.consider(cx, id, peer.addr, asks),
        }
    }

    /// An answer to `question`, exactly from the address that was asked: as good as the protocol's proofs get.
    pub(crate) fn learn(&mut self, cx: &mut Cx, from: Peer, question: Question) -> Learnt {
        self.trust(cx, from.addr, question);
        let owes = question != Question::FindNode && self.has_to_serve(cx, from.addr);
        let was_lost = !owes && self.lost.remove(from.addr);
        let mut learnt = Learnt::default();
        if !cx.admits(from.addr) {
            return learnt;
        }
        let Some(id) = from.id else {
            learnt.without_id = true;
            return learnt;
        };
        if owes && self.table.find(&id, from.addr).is_none() {
            learnt.ask = self.verify_known(cx, from.addr);
            return learnt;
        }
        if self.is_unwanted(&id, from.addr) {
            return learnt;
        }
        let inserted = self.insert(cx, &id, from.addr, cx.tick);
        match inserted {
            Insert::Present(slot) | Insert::Added(slot) => {
                self.table.touch(slot, cx.tick);
                if question == Question::FindNode {
                    self.table.set_serves(slot, true);
                }
                learnt.added = matches!(inserted, Insert::Added(_));
                learnt.slot = Some(slot);
                match learnt.added {
                    true => self.added(cx, from.addr),
                    false => self.table.set_silent_answers(slot, 0),
                }
            }
            Insert::Full => learnt.ask = self.challenge(cx, id, from.addr, true),
            Insert::Own => return learnt,
        }
        learnt.was_lost = was_lost;
        learnt
    }

    /// Whether a node's word on our address counts now, which is recorded: not if it counted lately.
    pub(crate) fn take_sample(&mut self, slot: Slot, tick: u32) -> bool {
        let sampled = self.table.node(slot).and_then(|node| node.sampled_ago(tick));
        let wanted = sampled.is_none_or(|ago| ago >= OLD);
        if wanted {
            self.table.set_sampled(slot, tick);
        }
        wanted
    }

    /// The word of every node counts again.
    pub(crate) fn forget_samples(&mut self) {
        self.table.forget_samples();
    }

    /// Puts a node into the table unasked, at the user's word. Returns whether it is there now.
    pub(crate) fn admit(&mut self, cx: &mut Cx, addr: SocketAddrV4) -> bool {
        self.put(cx, addr, cx.tick, cx.tick)
    }

    /// The same for a saved node, after the time `away`. Returns whether it is there now.
    pub(crate) fn restore(&mut self, cx: &mut Cx, node: &SavedNode, away: Duration) -> bool {
        let ago = |age: Duration| {
            let ticks = (age.saturating_add(away)).as_secs() / TICK.as_secs();
            cx.tick.saturating_sub(u32::try_from(ticks).unwrap_or(u32::MAX))
        };
        let (added, pinged) = (ago(node.added), ago(node.pinged));
        self.put(cx, node.addr, added, pinged)
    }

    fn put(&mut self, cx: &mut Cx, addr: SocketAddrV4, added: u32, pinged: u32) -> bool {
        let id = self.table.ids().of(addr);
        let inserted = self.insert(cx, &id, addr, added);
        if let Insert::Added(slot) = inserted {
            self.table.set_pinged(slot, pinged);
            self.added(cx, addr);
        }
        matches!(inserted, Insert::Added(_) | Insert::Present(_))
    }

    /// The table with its ages, to be saved: the node heard of most recently first.
    pub(crate) fn export(&self, tick: u32) -> Vec<SavedNode> {
        let ticks = |n: u32| TICK.saturating_mul(n);
        let nodes = self.table.iter().filter_map(|(slot, addr)| {
            let node = self.table.node(slot)?;
            let (pinged, added) = (ticks(node.pinged_ago(tick)), ticks(node.added_ago(tick)));
            Some(SavedNode { addr, pinged, added })
        });
        nodes.collect()
    }

    /// The table is rebuilt around another id of our own.
    pub(crate) fn rebase(&mut self, cx: &mut Cx, own: Id) {
        let mut dropped = Vec::new();
        self.table.rebase(own, cx.tick, |addr| dropped.push(addr));
        for addr in dropped {
            removed(cx, addr);
        }
    }

    /// Whether there is a place for a node, and the table does without it all the same. (Where there is no place, this
    /// comes up only once it gets one.)
    pub(super) fn is_unwanted(&self, id: &Id, addr: SocketAddrV4) -> bool {
        self.table.has_place_for(id)
            && self.table.find(id, addr).is_none()
            && self.table.does_without(id, addr)
    }

    /// Puts a node into the table. If there is no place, a node over quota gives way; or, if a small table is full, a new
    /// node of another bucket with more nodes, but not to many newcomers of one network. So a small table takes shape and
    /// lets its neighbours in; and a node that has been there for a while is always asked first, unless it is over quota.
    fn insert(&mut self, cx: &mut Cx, id: &Id, addr: SocketAddrV4, tick: u32) -> Insert {
        let inserted = self.table.insert(id, addr, tick);
        // Most often the bucket is full, and no node can give way.
        let full = inserted == Insert::Full;
        let surplus = full.then(|| self.table.surplus(id, addr)).flatten();
        if let Some(slot) = surplus {
            self.evict(cx, slot.addr());
            return self.table.insert(id, addr, tick);
        }
        let added = matches!(inserted, Insert::Added(_));
        if let Some(slot) = added.then(|| self.table.outdone(addr)).flatten() {
            self.evict(cx, slot.addr());
        }
        let young = full.then(|| self.table.youngster(id, cx.tick, FIRM));
        let Some(slot) = young.flatten() else { return inserted };
        let prefix = |addr: SocketAddrV4| prefix24(*addr.ip());
        let known = || self.table.iter().any(|(_, other)| prefix(other) == prefix(addr));
        if !cx.config.exempt.covers(*addr.ip()) && known() {
            return inserted;
        }
        self.evict(cx, slot.addr());
        self.table.insert(id, addr, tick)
    }

    fn added(&mut self, cx: &mut Cx, addr: SocketAddrV4) {
        self.schedule.table_grew();
        self.lost.remove(addr);
        if self.suspects.iter().any(|suspect| suspect == addr) {
            self.table.set_doubted(addr, true);
        }
        if cx.config.node_events {
            cx.emit(Event::NodeAdded(addr));
        }
    }

    /// Takes a node out of the table.
    fn evict(&mut self, cx: &mut Cx, addr: SocketAddrV4) {
        if let Some(slot) = self.table.get(addr) {
            self.table.remove(slot);
            removed(cx, addr);
        }
    }

    /// A candidate: it gets one datagram to answer.
    fn consider(
        &mut self,
        cx: &mut Cx,
        id: Id,
        addr: SocketAddrV4,
        asks: &dyn Fn(SocketAddrV4) -> bool,
    ) -> Option<Call> {
        if id == *self.table.own() || !learnable(addr, *addr.ip()) || self.candidates.knows(addr) {
            return None;
        }
        // Most senders find their bucket full of live nodes: the nodes of the bucket are asked first, or
        // every request would cost a useless ping.
        let gives_way = || {
            let surplus = self.table.surplus(&id, addr);
            surplus.or_else(|| self.table.youngster(&id, cx.tick, FIRM))
        };
        if !self.table.has_place_for(&id) && gives_way().is_none() {
            return self.challenge(cx, id, addr, false);
        }
        if asks(addr) || self.is_unwanted(&id, addr) {
            return None;
        }
        let now = self.candidates.has_place_for(addr, &cx.config.exempt);
        let ask = now.then(|| self.verify_stranger(cx, addr)).flatten();
        if ask.is_none() {
            let displaced = self.candidates.wait_or_displace(&mut cx.rng, addr);
            cx.stats.verifications.displaced += u64::from(displaced);
        }
        ask
    }

    /// A query begins: a refresh can wait.
    pub(crate) fn queried(&mut self) {
        self.schedule.queried();
    }

    /// Whether no query has begun for a minute: memory kept for the next one can be released.
    pub(crate) fn is_quiet(&self) -> bool {
        self.schedule.is_quiet()
    }

    /// A tick has passed. Whether the table is to be refreshed.
    pub(crate) fn is_refresh_due(&mut self, tick: u32) -> bool {
        let small = self.table.len() < crate::table::K;
        self.schedule.is_refresh_due(tick, small)
    }

    /// The refresh begins.
    pub(crate) fn refreshing(&mut self) {
        self.schedule.refreshing();
    }

    /// The machine has slept.
    pub(crate) fn wake_up(&mut self) {
        self.schedule.wake_up();
    }

    /// The node is suspended, or closed: nothing is under way any more.
    pub(crate) fn stop(&mut self) {
        self.schedule.clear();
        self.candidates.clear();
        self.namers.clear();
    }
}

#[cfg(any(test, feature = "_invariants"))]
impl Members {
    /// The candidates that are being asked.
    pub(crate) fn verifying(&self, exempt: &crate::Exempt) -> &[SocketAddrV4] {
        self.candidates.check_invariants(exempt)
    }

    /// `hinted` and `swaps`: how many checks because of hints, and of newcomers' rivals, are under way.
    pub(crate) fn check_invariants(&self, hinted: usize, swaps: usize) {
        self.table.check_invariants();
        for addr in self.table.iter().map(|(_, addr)| addr) {
            let (doubted, suspected) = (self.table.is_doubted(addr), self.suspects(addr));
            assert_eq!(doubted, suspected, "{addr} is suspected, or doubted, but not both");
        }
        self.schedule.check_invariants(hinted, swaps);
    }

    /// Whether an address was silent, and has not answered since.
    pub(crate) fn suspects(&self, addr: SocketAddrV4) -> bool {
        self.suspects.iter().any(|suspect| suspect == addr)
    }

    /// What an answer from `addr` may change here: the table, suspicions, what was lost.
    pub(crate) fn taught(&self, addr: SocketAddrV4) -> [alloc::string::String; 3] {
        let node = self.table.get(addr).and_then(|slot| self.table.node(slot));
        let known = node.map(|node| (node.seen, node.answers_without_id));
        let (suspected, lost) = (self.suspects(addr), self.lost.contains(addr));
        [alloc::format!("{known:?}"), alloc::format!("{suspected}"), alloc::format!("{lost}")]
    }
}

fn removed(cx: &mut Cx, addr: SocketAddrV4) {
    if cx.config.node_events {
        cx.emit(Event::NodeRemoved(addr));
    }
}
