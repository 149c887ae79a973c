//! The way of a query towards its target: the walk is fed with nodes, visits become requests, and
//! what is answered goes to whoever wants it.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::net::SocketAddrV4;
use core::time::Duration;

use super::Node;
use super::commits::Committing;
use super::queries::{Clock, Kind, Phase, Running};
use crate::api::ask::Query;
use crate::api::error::{QueryError, RequestError, SendError};
use crate::api::event::Event;
use crate::api::message::{Outcome, QueryId, Reply, SessionId};
use crate::bounded::memory::Capped;
use crate::id::Id;
use crate::queries::walk::{Offer, Plan, Walk};
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::table::K;
use crate::wire::Token;

/// How long a walk may take, a thorough one as well: else nodes that answer just in time, each
/// naming one a little closer, could keep it going for minutes. An honest one takes a few seconds
/// even if a third of all datagrams is lost.
const WALK_MAX: Duration = Duration::from_secs(20);
/// A background query keeps to its share of the concurrency while more than this is in flight.
const QUIET: usize = 3;

impl Node {
    pub(super) fn start_query(&mut self, kind: Kind, query: Query) -> QueryId {
        self.members.queried();
        self.cx.stats.queries.active += 1;
        self.cx.stats.queries.total += 1;
        let concurrency = match (kind, query.concurrency) {
            (Kind::User, 0) => self.cx.config.concurrency,
            (Kind::User, concurrency) => concurrency,
            _ => self.background_concurrency(),
        };
        let plan = Plan {
            target: query.target,
            concurrency,
            thorough: query.thorough,
            only_given: query.only_closest_nodes,
            keeps_replies: kind == Kind::User,
            max_query_addresses: self.cx.config.max_query_addresses,
            max_open: self.cx.config.max_background_requests,
            radius: self.members.table().radius(),
            salt: self.cx.rng.next_u32(),
            // How long an application takes to answer is another matter.
            pace: if query.internal {
                self.requests.pace()
            } else {
                self.requests.pace().unmeasured()
            },
        };
        let clock = Clock::new(WALK_MAX);
        let mut running = self.queries.begin(kind, query, plan, clock, &self.cx.config);
        let id = running.id;
        for addr in core::mem::take(&mut running.query.nodes) {
            running.walk.offer(self.members.table().ids(), addr);
        }
        self.seed(&mut running);
        self.queries.put(running);
        self.pump(id);
        id
    }

    /// Adds nodes to begin with: the closest of the table and, if these are few, the bootstrap nodes.
    fn seed(&mut self, running: &mut Running) {
        let walk = &mut running.walk;
        let missing = K.saturating_sub(walk.pending());
        if missing == 0 {
            return;
        }
        walk.uses_table();
        if running.query.only_closest_nodes {
            return;
        }
        let mut nodes = crate::api::message::Nodes::new();
        self.members.table().closest(&running.query.target, &mut nodes);
        for addr in nodes.iter().take(missing) {
            walk.offer(self.members.table().ids(), *addr);
        }
        if nodes.len() < missing {
            let ids = self.members.table().ids();
            self.members.doubted().for_each(|addr| _ = walk.offer(ids, addr));
        }
        if walk.pending() < K && !self.cx.config.bootstrap.is_empty() {
            running.wants_lookup = self.sources.names.want(self.cx.now, &self.cx.config.bootstrap);
            let own = self.reach.own_addr();
            for addr in self.sources.bootstrap(&self.cx.config, own) {
                walk.offer(self.members.table().ids(), addr);
            }
        }
        // Nobody else is known. The node itself has another way to ask them, and less often.
        if walk.pending() == 0 && running.kind != Kind::Refresh {
            let own = self.reach.own_addr();
            for addr in self.sources.given.iter().filter(|addr| Some(*addr) != own) {
                walk.offer(self.members.table().ids(), addr);
            }
        }
    }

    /// Names were looked up, or given up.
    pub(super) fn after_lookup(&mut self) {
        for id in self.queries.ids() {
            let Some(mut running) = self.queries.take(id) else {
                continue;
            };
            let wanted = running.wants_lookup;
            if let Some(walk) = running.walking().filter(|_| wanted) {
                let own = self.reach.own_addr();
                for addr in self.sources.bootstrap(&self.cx.config, own) {
                    walk.offer(self.members.table().ids(), addr);
                }
            }
            self.queries.put(running);
            if wanted {
                self.pump(id);
            }
        }
    }

    fn background_concurrency(&self) -> u16 {
        self.cx.config.concurrency.min((self.cx.config.concurrency / 8).max(2))
    }

    /// Lets a query ask whom it can, and end if there is nothing left to wait for.
    pub(super) fn pump(&mut self, id: QueryId) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        match running.phase {
            Phase::Walking => {
                self.visit_some(&mut running);
                if self.is_done(&running) && running.walk.wants_table() {
                    self.seed(&mut running);
                    self.visit_some(&mut running);
                }
                if !self.is_done(&running) {
                    return self.queries.put(running);
                }
                self.finish_walk(running);
            }
            Phase::Committing(_) => self.pump_commits(running),
            Phase::Finished(_) => self.queries.put(running),
        }
    }

    /// Whether a walk has come to its end, by itself or by the clock.
    fn is_done(&self, running: &Running) -> bool {
        // Where anybody has answered no name is waited for, nor where there is an address to ask.
        let alone = || self.sources.names.pending_alone(&self.cx.config.bootstrap);
        let more_sources = running.wants_lookup && !running.walk.has_answers() && alone();
        running.clock.is_over(self.cx.now) || running.walk.is_done(more_sources)
    }

    /// Queries whose time is up end with what they have.
    pub(super) fn end_late_walks(&mut self) {
        while let Some(id) = self.queries.late(self.cx.now) {
            self.pump(id);
        }
    }

    /// Goes on with queries that had found no place. To be called after all that may free one, at
    /// the end of each way in: a query that ends while others are pumped frees places for those
    /// before it.
    pub(super) fn pump_stalled(&mut self) {
        while self.queries.stalled && !self.is_busy() {
            self.queries.stalled = false;
            // The oldest first, else those in high slots might never get their turn.
            // (A heap, for it is there anyway: sorting takes 3 KB of code.)
            let mut ids: BinaryHeap<_> = self.queries.ids().into_iter().map(Reverse).collect();
            while let Some(Reverse(id)) = ids.pop() {
                self.pump(id);
            }
        }
    }

    fn visit_some(&mut self, running: &mut Running) {
        let Running { id, query, walk, mailbox, .. } = &mut *running;
        let unread = mailbox.len();
        let share = self.share_of_window();
        while query.discard || unread + walk.in_flight() < self.cx.config.max_unread_replies {
            if !walk.may_ask(share) {
                break;
            }
            if !self.has_place_for(walk) && !self.give_up_the_latest(*id, walk) {
                // Else it goes on when one of its own visits has ended.
                self.queries.stalled |= self.is_busy();
                break;
            }
            let suspected = |addr| self.members.is_suspected(&self.cx, addr);
            let dead_door = |addr| self.members.is_in_crowd(&self.cx, addr);
            let Some((node, to)) = walk.next(suspected, dead_door) else { break };
            let seen = self.members.times_seen(walk.id_prefix(node), to);
            let purpose = Purpose::Visit { query: *id, node, seen };
            let call = Call {
                retries: if query.force { 0 } else { query.retries },
                force: query.force,
                class: walk.class(),
                ..self.call_of(query, to, None, purpose)
            };
            if self.begin(call).is_none() {
                walk.put_back(node);
                self.queries.stalled = true;
                break;
            }
        }
        walk.begun();
        self.look_into_gaps(running);
        let runs = running.walk.in_flight() + running.walk.gaps_open() > 0;
        running.clock.run(self.cx.now, runs);
    }

    /// Where places are scarce, one that seems to be gone leaves his to the next. Whether there is one now.
    fn give_up_the_latest(&mut self, query: QueryId, walk: &mut Walk) -> bool {
        let Some((node, addr)) = walk.most_late().filter(|_| walk.has_candidates()) else {
            return false;
        };
        let purpose = |call: &Call| matches!(call.purpose, Purpose::Visit { query: q, node: n, .. } if (q, n) == (query, node));
        let Some((_, id)) = self.requests.next_from(0, purpose) else { return false };
        let Some(question) = self.requests.call(id).map(Call::question) else { return false };
        // Where the system sent nothing, nobody was silent.
        let silent = self.requests.was_sent(id);
        self.requests.forget(&mut self.cx, id);
        if silent {
            self.members.suspect(&self.cx, addr, (false, true), question);
        }
        walk.failed(node, silent);
        self.has_place_for(walk)
    }

    /// A request of a query: by default as a commit is sent.
    pub(super) fn call_of(
        &self,
        query: &Query,
        to: SocketAddrV4,
        token: Option<Token>,
        purpose: Purpose,
    ) -> Call {
        Call {
            to,
            via: self.request_via(),
            internal: query.internal,
            command: query.command,
            target: Some(query.target),
            token,
            value: query.value.clone(),
            ttl: None,
            retries: 3,
            delay: Duration::ZERO,
            class: Class::Query,
            force: false,
            any_replier: false,
            session: query.session,
            purpose,
        }
    }

    pub(super) fn on_visit_answered(&mut self, id: QueryId, node: u16, reply: Reply) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        if reply.error == 0 && running.kind == Kind::Bootstrap {
            self.quick_nat(reply.from.addr);
        }
        let background = running.kind != Kind::User;
        let Some(walk) = running.walking() else { return self.queries.put(running) };
        let before = walk.class();
        walk.answered(node, &reply);
        let from = reply.from.addr;
        let own = self.reach.own_addrs();
        for addr in reply.closer_nodes.iter().flatten().copied() {
            if !self.is_visitable(addr, from, &own) {
                self.cx.stats.drops.closer_nodes += 1;
                continue;
            }
            match walk.offer_from(self.members.table().ids(), addr, node) {
                Offer::Closer => {}
                Offer::Down => {
                    self.members.note_namer(&self.cx, addr, from);
                    self.report_if_sure(addr);
                }
                Offer::Farther => break,
            }
        }
        if background {
            // Background work yields to other traffic. Its own is none, nor what it left late: else a walk that
            // meets the dead would slow down to two at a time.
            let others = self.requests.live().saturating_sub(walk.in_flight());
            let quiet = others < QUIET || others.saturating_sub(self.late_visits()) < QUIET;
            walk.set_concurrency(match quiet {
                true => self.cx.config.concurrency,
                false => self.background_concurrency(),
            });
        }
        let told = reply.error == 0 && !running.query.discard;
        if told {
            running.mailbox.make_room(self.cx.config.max_unread_replies);
            running.mailbox.push_back(reply);
        }
        self.queries.put(running);
        if told {
            self.note(Event::Reply(id));
        }
        self.sort_visits(id, before);
        self.pump(id);
    }

    pub(super) fn on_visit_missed(&mut self, id: QueryId, node: u16) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        let before = running.walk.class();
        let walks = running.walking().map(|walk| walk.missed(node)).is_some();
        self.queries.put(running);
        if walks {
            self.sort_visits(id, before);
            self.pump(id);
        }
    }

    pub(super) fn on_visit_failed(&mut self, id: QueryId, node: u16, seen: u8, timed_out: bool) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        let before = running.walk.class();
        if let Some(walk) = running.walking() {
            walk.failed(node, timed_out);
            if timed_out {
                self.leave_failed(&running, node, seen);
            }
        }
        self.queries.put(running);
        self.sort_visits(id, before);
        self.pump(id);
    }

    /// The walk is over: what is late of it goes on by itself, what else is left is cancelled, and the
    /// commits begin.
    fn finish_walk(&mut self, mut running: Box<Running>) {
        self.leave_late(&running);
        self.end_flights_of(running.id);
        running.walk.abandon(true);
        let outcome = running.take_outcome_so_far();
        match running.kind {
            Kind::Refresh => {
                self.conclude(running, Ok(Outcome::default()));
                self.on_refreshed(&outcome);
            }
            Kind::Bootstrap => {
                self.conclude(running, Ok(Outcome::default()));
                self.on_bootstrap_walked(&outcome);
            }
            Kind::User if !running.query.commit => self.conclude(running, Ok(outcome)),
            Kind::User if outcome.closest.is_empty() => {
                self.conclude(running, Err(outcome.too_few()));
            }
            Kind::User => {
                running.phase = Phase::Committing(Committing::new(outcome));
                self.pump_commits(running);
            }
        }
    }

    /// A query has ended. Only the user wants to know how.
    pub(super) fn conclude(
        &mut self,
        mut running: Box<Running>,
        result: Result<Outcome, QueryError>,
    ) {
        self.cx.stats.queries.active -= 1;
        if running.kind != Kind::User {
            return self.queries.recycle(running, &self.cx.config);
        }
        let id = running.id;
        running.phase = Phase::Finished(result);
        self.queries.put(running);
        self.note(Event::Finished(id));
    }

    /// Ends all queries of a session.
    pub(super) fn end_queries_of(&mut self, session: SessionId) {
        for id in self.queries.ids() {
            let of_session = |running: &Running| running.query.session == Some(session);
            if self.queries.get(id).is_some_and(of_session) {
                self.end_query(id, RequestError::Destroyed);
            }
        }
    }

    /// Ends all queries: the node is suspended, or closed.
    pub(super) fn end_all_queries(&mut self, error: RequestError) {
        for id in self.queries.ids() {
            self.end_query(id, error);
        }
    }

    fn end_query(&mut self, id: QueryId, error: RequestError) {
        if !self.is_unfinished(id) {
            return;
        }
        let Some(mut running) = self.queries.take(id) else { return };
        self.leave_late(&running);
        self.end_flights_of(id);
        let abandoned = running.walking().is_some_and(|walk| {
            walk.abandon(false);
            walk.has_candidates()
        });
        let closed = self.check_open() == Err(SendError::Closed);
        let outcome = running.take_outcome_so_far();
        let stored = outcome.commit.is_some_and(|commit| commit.succeeded > 0);
        let result = match () {
            () if closed && abandoned => Err(QueryError::NodeDestroyed),
            () if stored || !running.query.commit => Ok(outcome),
            // There would have been nobody to commit to, either way.
            () if outcome.closest.is_empty() => Err(outcome.too_few()),
            () => Err(QueryError::Cancelled(error)),
        };
        self.conclude(running, result);
    }

    pub(super) fn is_unfinished(&self, id: QueryId) -> bool {
        let running = self.queries.get(id);
        running.is_some_and(|running| !running.is_finished())
    }

    /// Cancels what a query has under way. Down hints and late visits are its affair no more.
    pub(super) fn end_flights_of(&mut self, id: QueryId) {
        self.requests.forget_all(&mut self.cx, |purpose| match purpose {
            Purpose::Visit { query, .. }
            | Purpose::Gap { query, .. }
            | Purpose::Commit { query, .. } => query == id,
            _ => false,
        });
    }

    /// Looks for nodes near a random one of the table, in the background.
    pub(super) fn start_refresh(&mut self) {
        if self.queries.is_running(Kind::Refresh) {
            return;
        }
        let slot = self.members.table().random(self.cx.rng.next_u64());
        let target = slot
            .map_or(self.members.table().own(), |slot| self.members.table().ids().of(slot.addr()));
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
