//! Queries at work: what is answered goes to them, what an answer names is sorted, and what they find goes to the other parts.

use core::net::SocketAddrV4;

use super::Parts;
use crate::addr::learnable;
use crate::api::ask::Query;
use crate::api::error::{RequestError, SendError};
use crate::api::event::Event;
use crate::api::message::{Nodes, QueryId, Reply, SessionId};
use crate::context::Cx;
use crate::queries::walk::Offer;
use crate::queries::{Kind, Walked};
use crate::requests::call::{Call, Purpose};
use crate::upkeep::bootstrap::Next;

impl Parts {
    /// Names were looked up, or given up.
    pub(super) fn after_names(&mut self) {
        for id in self.queries.ids(None) {
            if self.queries.wants_names(id) {
                let own = self.reach.own_addr();
                let found = self.sources.bootstrap(&self.cx.config, own);
                self.queries.offer(id, self.members.table().ids(), found);
            }
        }
    }

    /// A late visit is given up, since places are scarce.
    pub(super) fn give_up(&mut self, id: QueryId, node: u16, addr: SocketAddrV4) {
        let visit = |call: &Call| matches!(call.purpose, Purpose::Visit { query: q, node: n, .. } if (q, n) == (id, node));
        let flights = self.requests.flights();
        let Some(request) = flights.next_from(&mut 0, &visit) else { return };
        let Some(flight) = flights.get(request) else { return };
        // What the system did not send can't be left unanswered.
        let (question, silent) = (flight.call.question(), flight.unsent.is_none());
        self.requests.forget(&mut self.cx, request);
        if silent {
            self.members.suspect(&self.cx, addr, (false, true), question);
        }
        self.queries.failed(id, node, silent);
    }

    pub(super) fn on_visit_answered(&mut self, id: QueryId, node: u16, reply: &Reply) {
        if reply.error == 0 && self.queries.kind(id) == Some(Kind::Bootstrap) {
            self.quick_nat(reply.from.addr);
        }
        if !self.queries.answered(id, node, reply) {
            return;
        }
        self.offer_named(id, node, reply);
        if self.queries.kind(id) != Some(Kind::User) {
            let (live, late) = (self.requests.flights().live(), self.late_visits());
            self.queries.yields_to(&self.cx, id, live, late);
        }
        if self.queries.deliver(&self.cx, id, reply) {
            self.note(Event::Reply(id));
        }
    }

    /// What an answer names is offered to the walk, as far as it is near enough; whatever is down is told of.
    fn offer_named(&mut self, id: QueryId, node: u16, reply: &Reply) {
        let (own, ids) = (self.reach.own_addrs(), self.members.table().ids());
        let named = visitable(&mut self.cx, reply, &own);
        let mut down = Nodes::new();
        self.queries.offer_from(id, ids, node, named, |addr, offer| {
            if matches!(offer, Offer::Down) {
                let _ = down.push(addr);
            }
            !matches!(offer, Offer::Farther)
        });
        for addr in down {
            self.members.note_namer(&self.cx, addr, reply.from.addr);
            self.report_if_sure(addr);
        }
    }

    pub(super) fn on_visit_failed(&mut self, id: QueryId, node: u16, seen: u8, timed_out: bool) {
        if self.queries.failed(id, node, timed_out) && timed_out {
            self.leave_failed(id, node, seen);
        }
    }

    /// A node was asked what silent ones hide.
    pub(super) fn on_gap(&mut self, id: QueryId, node: u16, reply: Option<&Reply>) {
        self.queries.gap_probe_ended(id);
        let Some(reply) = reply else { return };
        let (own, ids) = (self.reach.own_addrs(), self.members.table().ids());
        let named = visitable(&mut self.cx, reply, &own);
        self.queries.offer_from(id, ids, node, named, |_, _| true);
    }

    pub(super) fn on_commit(
        &mut self,
        id: QueryId,
        commit: (u16, bool),
        result: &Result<Reply, RequestError>,
    ) {
        let again = self.queries.commit_ended(id, commit, result);
        let begun = again.map(|call| self.begin(call));
        debug_assert!(begun != Some(None), "its own place was free");
    }

    /// The walk is over: what is late of it goes on by itself, what else is left is cancelled, and the
    /// commits begin.
    pub(super) fn on_walked(&mut self, id: QueryId) {
        self.end_visits(id);
        let (cx, bootstrap) = (&mut self.cx, &mut self.upkeep.bootstrap);
        match self.queries.walked(cx, id) {
            Walked::Background(Kind::Refresh, outcome) => {
                let alone = self.members.table().is_empty();
                bootstrap.refreshed(cx, &self.sources, &outcome, alone);
            }
            Walked::Background(_, outcome) => {
                let unsent = self.upkeep.contact.unsent();
                bootstrap.walked(cx, &self.sources, &outcome, unsent);
            }
            Walked::Ended => self.note_end(id),
            Walked::Commits => {}
        }
    }

    pub(super) fn on_committed(&mut self, id: QueryId) {
        self.queries.committed(&mut self.cx, id);
        self.note_end(id);
    }

    /// The bootstrap goes on. Whether it wanted something.
    pub(super) fn carry_bootstrap(&mut self) -> bool {
        let next = self.upkeep.bootstrap.poll();
        match next {
            None => {}
            Some(Next::Walk) => self.start_bootstrap_walk(),
            Some(Next::Look { only_firewall }) => {
                self.reach.look(&mut self.cx, others!(self), only_firewall);
            }
            Some(Next::Over) => {
                self.members.settle();
                self.upkeep.bootstrap.end(&mut self.cx);
            }
        }
        next.is_some()
    }

    /// Looks for the own neighbours, before anything else that is done in the background.
    fn start_bootstrap_walk(&mut self) {
        while !self.has_place_for_search() {
            let Some(oldest) = self.queries.background().min() else { break };
            self.cancel(oldest);
        }
        let query = Query::find_node(*self.members.table().own()).discard_replies();
        self.start_query(Kind::Bootstrap, query);
    }

    /// Ends a query with what it has.
    pub(super) fn end_query(&mut self, id: QueryId, error: Option<RequestError>) {
        if self.queries.is_unfinished(id) {
            self.end_visits(id);
            let closed = self.upkeep.check_open() == Err(SendError::Closed);
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
        self.requests.forget_all(&mut self.cx, &|purpose| match purpose {
            Purpose::Visit { query, .. }
            | Purpose::Gap { query, .. }
            | Purpose::Commit { query, .. } => query == id,
            _ => false,
        });
    }

    /// Ends all queries, or all of a session.
    pub(super) fn end_queries(&mut self, session: Option<SessionId>, error: RequestError) {
        for id in self.queries.ids(session) {
            self.end_query(id, Some(error));
        }
    }

    /// Forgets a query, ended or not.
    pub(super) fn cancel(&mut self, id: QueryId) {
        if self.queries.has(id) {
            self.end_visits(id);
            self.queries.forget(&mut self.cx, id);
        }
    }
}

/// The nodes that an answer names and that may be visited, which the `own` addresses may not; the other ones are counted.
fn visitable<'a>(
    cx: &'a mut Cx,
    reply: &'a Reply,
    own: &'a [SocketAddrV4],
) -> impl Iterator<Item = SocketAddrV4> + 'a {
    let named = reply.closer_nodes.as_ref().map_or(&[][..], |nodes| nodes.as_slice());
    named.iter().copied().filter(|addr| {
        let visitable =
            learnable(*addr, *reply.from.addr.ip()) && !own.contains(addr) && cx.admits(*addr);
        cx.stats.drops.closer_nodes += u64::from(!visitable);
        visitable
    })
}
