//! Queries at work: what they want is asked, what is answered goes to them, and what they find out goes to the other parts.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::net::SocketAddrV4;

use super::Node;
use crate::api::ask::Query;
use crate::api::error::{RequestError, SendError};
use crate::api::event::Event;
use crate::api::message::{Nodes, QueryId, Reply, SessionId, Via};
use crate::context::Cx;
use crate::id::Id;
use crate::members::Members;
use crate::queries::walk::Offer;
use crate::queries::{Kind, Progress, Sight, Step, Walked};
use crate::requests::Requests;
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::sources::Sources;
use crate::table::K;

/// What queries are shown of the other parts.
struct View<'a> {
    cx: &'a Cx,
    via: Via,
    members: &'a Members,
    requests: &'a Requests,
    sources: &'a Sources,
}

impl Sight for View<'_> {
    fn via(&self) -> Via {
        self.via
    }

    fn is_suspected(&self, addr: SocketAddrV4) -> bool {
        self.members.is_suspected(self.cx, addr)
    }

    fn is_in_crowd(&self, addr: SocketAddrV4) -> bool {
        self.members.is_in_crowd(self.cx, addr)
    }

    fn times_seen(&self, prefix: u64, addr: SocketAddrV4) -> u8 {
        self.members.times_seen(prefix, addr)
    }

    fn free(&self) -> usize {
        self.requests.free(&self.cx.config)
    }

    fn window(&self) -> usize {
        self.requests.window_for_walks()
    }

    fn awaits_names(&self) -> bool {
        self.sources.names.pending_alone(&self.cx.config.bootstrap)
    }
}

impl Node {
    pub(super) fn start_query(&mut self, kind: Kind, query: Query) -> QueryId {
        self.members.queried();
        let (table, pace) = (self.members.table(), self.requests.pace());
        let known = (table.radius(), pace);
        let id = self.queries.start(&mut self.cx, kind, query, known, table.ids());
        self.seed(id);
        self.pump(id);
        id
    }

    /// Adds nodes to begin with: the closest of the table and, if these are few, the bootstrap nodes.
    fn seed(&mut self, id: QueryId) {
        let Some((missing, target)) = self.queries.wants_seed(id) else { return };
        let (table, mut nodes) = (self.members.table(), Nodes::new());
        table.closest(&target, &mut nodes);
        self.queries.offer(id, table.ids(), nodes.iter().copied().take(missing));
        if nodes.len() < missing {
            self.queries.offer(id, table.ids(), self.members.doubted());
        }
        let own = self.reach.own_addr();
        let pending = |node: &Self| node.queries.pending(id).unwrap_or(K);
        if pending(self) < K && !self.cx.config.bootstrap.is_empty() {
            let wants = self.sources.names.want(self.cx.now, &self.cx.config.bootstrap);
            self.queries.set_wants_names(id, wants);
            let ids = self.members.table().ids();
            self.queries.offer(id, ids, self.sources.bootstrap(&self.cx.config, own));
        }
        // No other node is known. The node's own refreshes leave them alone: these have another way to ask them, less often.
        if pending(self) == 0 && self.queries.kind(id) != Some(Kind::Refresh) {
            let given = self.sources.given.iter().filter(|addr| Some(*addr) != own);
            self.queries.offer(id, self.members.table().ids(), given);
        }
    }

    /// Names were looked up, or given up.
    pub(super) fn after_names(&mut self) {
        for id in self.queries.ids() {
            if self.queries.wants_names(id) {
                let own = self.reach.own_addr();
                let found = self.sources.bootstrap(&self.cx.config, own);
                self.queries.offer(id, self.members.table().ids(), found);
                self.pump(id);
            }
        }
    }

    /// Lets a query ask all nodes that it can, and end if there is nothing left to wait for.
    #[inline(never)]
    pub(super) fn pump(&mut self, id: QueryId) {
        let mut progress = Progress::default();
        loop {
            let view = View {
                cx: &self.cx,
                via: self.reach.request_via(),
                members: &self.members,
                requests: &self.requests,
                sources: &self.sources,
            };
            match self.queries.advance(&self.cx, id, &mut progress, &view) {
                Step::Wait => return,
                Step::Ask(call) => {
                    let begun = self.begin(call);
                    debug_assert!(begun.is_some(), "there was a place");
                }
                Step::GiveUp { node, addr } => self.give_up(id, node, addr),
                Step::Seed => self.seed(id),
                Step::Walked => return self.finish_walk(id),
                Step::Committed => {
                    self.queries.committed(&mut self.cx, id);
                    return self.note_end(id);
                }
            }
        }
    }

    /// A late visit is given up, since places are scarce.
    fn give_up(&mut self, id: QueryId, node: u16, addr: SocketAddrV4) {
        let visit = |call: &Call| matches!(call.purpose, Purpose::Visit { query: q, node: n, .. } if (q, n) == (id, node));
        let Some((_, request)) = self.requests.next_from(0, visit) else { return };
        let Some(question) = self.requests.call(request).map(Call::question) else { return };
        // What the system did not send can't be left unanswered.
        let silent = self.requests.was_sent(request);
        self.requests.forget(&mut self.cx, request);
        if silent {
            self.members.suspect(&self.cx, addr, (false, true), question);
        }
        self.queries.failed(id, node, silent);
    }

    /// Queries whose time is up end with what they have.
    pub(super) fn end_late_walks(&mut self) {
        while let Some(id) = self.queries.late(self.cx.now) {
            self.pump(id);
        }
    }

    /// Goes on with queries that had found no place. To be called after all that may free one, at
    /// the end of each way in: a query that ends while later ones are pumped frees places for
    /// earlier ones.
    pub(super) fn pump_stalled(&mut self) {
        while self.queries.take_stalled(self.cx.busy) {
            // The oldest first, else queries in high slots might never get their turn.
            // (A heap, for it is there anyway: sorting takes 3 KB of code.)
            let mut ids: BinaryHeap<_> = self.queries.ids().into_iter().map(Reverse).collect();
            while let Some(Reverse(id)) = ids.pop() {
                self.pump(id);
            }
        }
    }

    pub(super) fn on_visit_answered(&mut self, id: QueryId, node: u16, reply: Reply) {
        if reply.error == 0 && self.queries.kind(id) == Some(Kind::Bootstrap) {
            self.quick_nat(reply.from.addr);
        }
        let Some(before) = self.queries.answered(id, node, &reply) else { return };
        self.offer_named(id, node, &reply);
        if self.queries.kind(id) != Some(Kind::User) {
            let (live, late) = (self.requests.live(), self.late_visits());
            self.queries.yields_to(&self.cx, id, live, late);
        }
        if self.queries.deliver(&self.cx, id, reply) {
            self.note(Event::Reply(id));
        }
        self.sort_visits(id, before);
        self.pump(id);
    }

    /// What an answer names is offered to the walk; whatever is down is told of.
    fn offer_named(&mut self, id: QueryId, node: u16, reply: &Reply) {
        let (from, own) = (reply.from.addr, self.reach.own_addrs());
        for addr in named(reply) {
            if !self.is_visitable(addr, from, &own) {
                self.cx.stats.drops.closer_nodes += 1;
                continue;
            }
            match self.queries.offer_from(id, self.members.table().ids(), addr, node) {
                Some(Offer::Closer) => {}
                Some(Offer::Down) => {
                    self.members.note_namer(&self.cx, addr, from);
                    self.report_if_sure(addr);
                }
                Some(Offer::Farther) | None => break,
            }
        }
    }

    pub(super) fn on_visit_missed(&mut self, id: QueryId, node: u16) {
        if let Some(before) = self.queries.missed(id, node) {
            self.sort_visits(id, before);
            self.pump(id);
        }
    }

    pub(super) fn on_visit_failed(&mut self, id: QueryId, node: u16, seen: u8, timed_out: bool) {
        let Some(before) = self.queries.failed(id, node, timed_out) else { return };
        if timed_out {
            self.leave_failed(id, node, seen);
        }
        self.sort_visits(id, before);
        self.pump(id);
    }

    /// A walk has gone astray, or is not astray any more: its requests that wait go to where they belong now.
    fn sort_visits(&mut self, id: QueryId, before: Class) {
        let class = self.queries.class_of(id).filter(|class| *class != before);
        if let Some(class) = class {
            self.requests.reclass(id, class);
        }
    }

    /// A node was asked what silent ones hide.
    pub(super) fn on_gap(&mut self, id: QueryId, node: u16, reply: Option<&Reply>) {
        self.queries.gap_ended(id);
        if let Some(reply) = reply {
            let (from, own) = (reply.from.addr, self.reach.own_addrs());
            for addr in named(reply) {
                if self.is_visitable(addr, from, &own) {
                    self.queries.offer_from(id, self.members.table().ids(), addr, node);
                } else {
                    self.cx.stats.drops.closer_nodes += 1;
                }
            }
        }
        self.pump(id);
    }

    pub(super) fn on_commit(
        &mut self,
        id: QueryId,
        commit: (u16, bool),
        result: &Result<Reply, RequestError>,
    ) {
        match result {
            Ok(reply) => {
                let via = self.reach.request_via();
                let again = self.queries.commit_answered(id, commit, reply, via);
                let begun = again.map(|call| self.begin(call));
                debug_assert!(begun != Some(None), "its own place was free");
            }
            Err(error) => self.queries.commit_failed(id, *error),
        }
        self.pump(id);
    }

    /// The walk is over: what is late of it goes on by itself, what else is left is cancelled, and the
    /// commits begin.
    fn finish_walk(&mut self, id: QueryId) {
        self.end_visits(id);
        match self.queries.walked(&mut self.cx, id) {
            Walked::Background(Kind::Refresh, outcome) => self.on_refreshed(&outcome),
            Walked::Background(_, outcome) => self.on_bootstrap_walked(&outcome),
            Walked::Ended => self.note_end(id),
            Walked::Commits => self.pump(id),
        }
    }

    /// Ends a query with what it has.
    pub(super) fn end_query(&mut self, id: QueryId, error: Option<RequestError>) {
        if self.queries.is_unfinished(id) {
            self.end_visits(id);
            let closed = self.check_open() == Err(SendError::Closed);
            self.queries.end(&mut self.cx, id, error, closed);
            self.note_end(id);
        }
    }

    /// The user is told that a query has ended; one of the node's own is no more.
    fn note_end(&mut self, id: QueryId) {
        if self.queries.has(id) {
            self.note(Event::Finished(id));
        }
    }

    /// Visits that are late go on by themselves; what else a query has under way is cancelled.
    pub(super) fn end_visits(&mut self, id: QueryId) {
        self.leave_late(id);
        self.requests.forget_all(&mut self.cx, |purpose| match purpose {
            Purpose::Visit { query, .. }
            | Purpose::Gap { query, .. }
            | Purpose::Commit { query, .. } => query == id,
            _ => false,
        });
    }

    /// Ends all queries of a session.
    pub(super) fn end_queries_of(&mut self, session: SessionId) {
        for id in self.queries.of_session(session) {
            self.end_query(id, Some(RequestError::Destroyed));
        }
    }

    /// Ends all queries: the node is suspended, or closed.
    pub(super) fn end_all_queries(&mut self, error: RequestError) {
        for id in self.queries.ids() {
            self.end_query(id, Some(error));
        }
    }

    /// Looks for nodes near a random one of the table, in the background.
    pub(super) fn start_refresh(&mut self) {
        if self.queries.is_running(Kind::Refresh) {
            return;
        }
        let table = self.members.table();
        let slot = table.random(self.cx.rng.next_u64());
        let target = slot.map_or(table.own(), |slot| table.ids().of(slot.addr()));
        self.start_search(target);
    }

    /// Looks for nodes in the background, unless enough is done there.
    pub(super) fn start_search(&mut self, target: Id) {
        if self.has_place_for_search() {
            self.start_query(Kind::Refresh, Query::find_node(target).discard_replies());
        }
    }

    pub(super) fn has_place_for_search(&self) -> bool {
        self.queries.background().count() < self.cx.config.background_queries()
    }

    /// Looks for the own neighbours, before anything else that is done in the background.
    pub(super) fn start_bootstrap_walk(&mut self) {
        while !self.has_place_for_search() {
            let Some(oldest) = self.queries.background().min() else { break };
            self.cancel(oldest);
        }
        let query = Query::find_node(self.members.table().own()).discard_replies();
        self.start_query(Kind::Bootstrap, query);
    }
}

/// The nodes that an answer names.
fn named(reply: &Reply) -> impl Iterator<Item = SocketAddrV4> + '_ {
    reply.closer_nodes.as_ref().map_or(&[][..], |nodes| nodes.as_slice()).iter().copied()
}
