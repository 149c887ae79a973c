//! The way of a query towards its target: the walk is fed with nodes, visits become requests, and
//! what is answered goes to whoever wants it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use bytes::Bytes;

use super::Node;
use super::commits::Committing;
use super::queries::{Clock, Kind, Phase, Running};
use crate::addr::is_sendable;
use crate::ask::{Query, Request};
use crate::command::DOWN_HINT;
use crate::config::BootstrapNode;
use crate::congestion::Class;
use crate::error::{QueryError, RequestError, SendError};
use crate::event::Event;
use crate::id::Id;
use crate::inflight::{Call, Purpose};
use crate::message::{Outcome, Peer, QueryId, Reply, SessionId};
use crate::query::{Offer, Plan};
use crate::table::K;
use crate::time::Instant;
use crate::wire::{self, Token, VARINT_MAX};

/// While this many replies wait to be read, or may come, a query asks nobody else.
pub(super) const MAILBOX_MAX: usize = 64;
/// How long a walk may take, unless it is thorough: else nodes that answer just in time, each
/// naming one a little closer, could keep it going for minutes. An honest one takes a few seconds
/// even if a third of all datagrams is lost.
const WALK_MAX: Duration = Duration::from_secs(20);
/// A background query keeps to its share of the concurrency while more than this is in flight.
const QUIET: usize = 3;

impl Node {
    /// Begins a query. Replies come one by one ([`Event::Reply`]), then its outcome
    /// ([`Event::Finished`]); both wait until they are taken.
    ///
    /// # Errors
    /// If it can't be begun: see [`SendError`]. Nothing is sent then.
    pub fn query(&mut self, now: Instant, query: Query) -> Result<QueryId, SendError> {
        self.enter(now);
        self.check_open()?;
        if query.command > VARINT_MAX {
            return Err(SendError::OutOfRange);
        }
        self.check_query_size(&query)?;
        if self.queries.users() >= self.config.max_queries {
            return Err(SendError::Busy);
        }
        Ok(self.start_query(Kind::User, query))
    }

    /// The next reply to a query, which frees a place: with 64 untaken a query pauses.
    #[must_use]
    pub fn next_reply(&mut self, id: QueryId) -> Option<Reply> {
        let reply = self.queries.get_mut(id)?.mailbox.pop_front();
        if reply.is_some() {
            self.pump(id);
            self.pump_stalled();
        }
        reply
    }

    /// From now on nobody wants the replies of a query, only its outcome: it never pauses.
    pub fn discard_replies(&mut self, id: QueryId) {
        let Some(running) = self.queries.get_mut(id) else {
            return;
        };
        running.query.discard = true;
        running.mailbox = VecDeque::new();
        self.pump(id);
        self.pump_stalled();
    }

    /// How a query ended, once: the first call after [`Event::Finished`] takes it and
    /// forgets the query, with all replies that were not taken.
    #[must_use]
    pub fn take_outcome(&mut self, id: QueryId) -> Option<Result<Outcome, QueryError>> {
        if !self.queries.get(id)?.is_finished() {
            return None;
        }
        let mut running = self.queries.take(id)?;
        let phase = core::mem::replace(&mut running.phase, Phase::Walking);
        self.queries.recycle(running);
        match phase {
            Phase::Finished(outcome) => Some(outcome),
            Phase::Walking | Phase::Committing(_) => None,
        }
    }

    /// The closest repliers with a proven id so far, the closest first.
    #[must_use]
    pub fn closest_nodes(&self, id: QueryId) -> Vec<Peer> {
        let peers = |closest: &[Reply]| closest.iter().map(|reply| reply.from).collect();
        let Some(running) = self.queries.get(id) else { return Vec::new() };
        match &running.phase {
            Phase::Walking => peers(running.walk.closest()),
            Phase::Committing(committing) => peers(committing.closest()),
            Phase::Finished(Ok(outcome)) => peers(&outcome.closest),
            Phase::Finished(Err(_)) => Vec::new(),
        }
    }

    /// Ends a query early, with what it has and without a commit: replies that were not taken are
    /// gone, [`Event::Finished`] follows. One that has ended is left alone.
    pub fn finish_query(&mut self, now: Instant, id: QueryId) {
        self.enter(now);
        if self.is_unfinished(id) {
            self.end_flights_of(id);
            if let Some(mut running) = self.queries.take(id) {
                running.mailbox = VecDeque::new();
                let outcome = running.take_outcome_so_far();
                self.conclude(running, Ok(outcome));
            }
            self.pump_stalled();
        }
    }

    /// Forgets a query, ended or not, with all that it has under way, its down hints included.
    /// No event about it follows from now on.
    pub fn cancel_query(&mut self, now: Instant, id: QueryId) {
        self.enter(now);
        let unfinished = self.is_unfinished(id);
        if let Some(running) = self.queries.take(id) {
            self.queries.recycle(running);
            self.stats.queries.active -= u64::from(unfinished);
            self.end_flights_of(id);
            let hint = Purpose::Hint { query: id };
            self.forget_flights(|purpose| purpose == hint);
            self.pump_stalled();
        }
    }

    pub(super) fn start_query(&mut self, kind: Kind, query: Query) -> QueryId {
        self.upkeep.queried();
        self.stats.queries.active += 1;
        self.stats.queries.total += 1;
        let concurrency = match (kind, query.concurrency) {
            (Kind::User, 0) => self.config.concurrency,
            (Kind::User, concurrency) => concurrency,
            _ => self.background_concurrency(),
        };
        let plan = Plan {
            target: query.target,
            concurrency,
            thorough: query.thorough,
            only_given: query.only_closest_nodes,
            salt: self.rng.next_u32(),
        };
        // Whoever waits for everybody's last try has all the time there is.
        let clock = Clock::new((!query.thorough).then_some(WALK_MAX));
        let mut running = self.queries.begin(kind, query, plan, clock);
        let id = running.id;
        for addr in core::mem::take(&mut running.query.nodes) {
            if is_sendable(addr) {
                running.walk.offer(addr);
            }
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
        let mut nodes = crate::message::Nodes::new();
        self.table.closest(&running.query.target, &mut nodes);
        for addr in nodes.iter().take(missing) {
            walk.offer(*addr);
        }
        if walk.pending() < K && !self.config.bootstrap.is_empty() {
            running.wants_lookup = self.lookups.want(self.now, &self.config.bootstrap);
            for addr in self.bootstrap_addrs() {
                walk.offer(addr);
            }
        }
    }

    /// Names were looked up, or given up.
    pub(super) fn after_lookup(&mut self) {
        let addrs = self.bootstrap_addrs();
        let pending = self.lookups.pending();
        for id in self.queries.ids() {
            let Some(running) = self.queries.get_mut(id) else {
                continue;
            };
            if !running.wants_lookup {
                continue;
            }
            running.wants_lookup = pending;
            if let Some(walk) = running.walking() {
                for addr in &addrs {
                    walk.offer(*addr);
                }
            }
            self.pump(id);
        }
    }

    /// All addresses of bootstrap nodes known by now. The user gave them, so they are always used,
    /// but for the node's own.
    pub(super) fn bootstrap_addrs(&self) -> Vec<SocketAddrV4> {
        let given = self.config.bootstrap.iter().flat_map(BootstrapNode::addrs);
        let found = self.lookups.known().filter_map(|(at, ip)| {
            let node = self.config.bootstrap.get(at)?;
            Some(SocketAddrV4::new(ip, node.port))
        });
        let usable = |addr: &SocketAddrV4| is_sendable(*addr) && Some(*addr) != self.own_addr;
        let mut addrs = Vec::new();
        for addr in given.chain(found).filter(usable) {
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        addrs
    }

    fn background_concurrency(&self) -> u16 {
        self.config.concurrency.min((self.config.concurrency / 8).max(2))
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
        // Where a suggested address has answered, its name is not waited for.
        let alone = || self.lookups.pending_alone(&self.config.bootstrap);
        let more_sources = running.wants_lookup && (!running.walk.has_successes() || alone());
        running.clock.is_over(self.now) || running.walk.is_done(more_sources)
    }

    /// Queries whose time is up end with what they have.
    pub(super) fn end_late_walks(&mut self) {
        while let Some(id) = self.queries.late(self.now) {
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
            let mut ids = self.queries.ids();
            ids.sort_unstable();
            for id in ids {
                self.pump(id);
            }
        }
    }

    fn visit_some(&mut self, running: &mut Running) {
        let Running { id, query, walk, mailbox, clock, .. } = running;
        let unread = mailbox.len();
        while query.discard || unread + walk.in_flight() < MAILBOX_MAX {
            if self.is_busy() {
                self.queries.stalled = true;
                break;
            }
            let Some((node, to)) = walk.next() else { break };
            let purpose = Purpose::Visit { query: *id, node, seen: self.times_seen(to) };
            let call = Call {
                retries: if query.force { 0 } else { query.retries },
                force: query.force,
                ..self.call_of(query, to, None, purpose)
            };
            if self.begin(call).is_none() {
                walk.put_back(node);
                self.queries.stalled = true;
                break;
            }
            if !query.thorough && self.suspects.contain(self.now, to) {
                walk.doubt(node);
            }
        }
        walk.begun();
        clock.run(self.now, walk.in_flight() > 0);
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
        walk.answered(node, &reply);
        let from = reply.from.addr;
        for addr in reply.closer_nodes.iter().flatten().copied() {
            if !self.is_learnable(addr, from) {
                self.stats.drops.closer_nodes += 1;
                continue;
            }
            match walk.offer_from(addr, node) {
                Offer::Closer => {}
                Offer::Down => self.hint(id, from, addr),
                Offer::Farther => break,
            }
        }
        if background {
            // Background work yields to other traffic.
            let quiet = self.inflight.live() < QUIET;
            walk.set_concurrency(match quiet {
                true => self.config.concurrency,
                false => self.background_concurrency(),
            });
        }
        let told = reply.error == 0 && !running.query.discard;
        if told {
            running.mailbox.push_back(reply);
        }
        self.queries.put(running);
        if told {
            self.emit(Event::Reply(id));
        }
        self.pump(id);
    }

    pub(super) fn on_visit_missed(&mut self, id: QueryId, node: u16) {
        let Some(running) = self.queries.get_mut(id) else {
            return;
        };
        if let Some(walk) = running.walking() {
            walk.missed(node);
            self.pump(id);
        }
    }

    pub(super) fn on_visit_failed(&mut self, id: QueryId, node: u16, timed_out: bool) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        if let Some(walk) = running.walking() {
            walk.failed(node, timed_out);
            if let Some(down) = walk.addr(node).filter(|_| timed_out) {
                for by in walk.named_by(node) {
                    self.hint(id, by, down);
                }
            }
        }
        self.queries.put(running);
        self.pump(id);
    }

    /// Tells `to` that a node which it has named is down.
    fn hint(&mut self, query: QueryId, to: SocketAddrV4, down: SocketAddrV4) {
        let limit = self.config.down_hints_rate_limit;
        if !self.config.send_down_hints || limit.is_some_and(|max| self.upkeep.hints_sent >= max) {
            return;
        }
        self.upkeep.hints_sent += 1;
        let value = Bytes::copy_from_slice(&wire::addr_bytes(down));
        self.begin_internal(to, DOWN_HINT, Some(value), Class::Hint, Purpose::Hint { query });
    }

    /// The walk is over: what is left of it is cancelled, and the commits begin.
    fn finish_walk(&mut self, mut running: Box<Running>) {
        let id = running.id;
        for addr in running.walk.given_up() {
            self.suspect(addr);
        }
        self.end_flights_of(id);
        running.walk.abandon(true);
        let outcome = running.take_outcome_so_far();
        match running.kind {
            Kind::Refresh => self.conclude(running, Ok(outcome)),
            Kind::Bootstrap => {
                self.conclude(running, Ok(Outcome::default()));
                self.on_bootstrap_walked(&outcome, self.lookups.failures());
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
        self.stats.queries.active -= 1;
        if running.kind != Kind::User {
            return self.queries.recycle(running);
        }
        let id = running.id;
        running.phase = Phase::Finished(result);
        self.queries.put(running);
        self.emit(Event::Finished(id));
    }

    /// Ends all queries of a session.
    pub(super) fn end_queries_of(&mut self, session: SessionId) {
        for id in self.queries.ids() {
            let of_session = |running: &Running| running.query.session == Some(session);
            if self.queries.get(id).is_some_and(of_session) {
                self.end_query(id, RequestError::Destroyed);
                self.forget_flights(|purpose| purpose == Purpose::Hint { query: id });
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
        self.end_flights_of(id);
        let Some(mut running) = self.queries.take(id) else { return };
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

    fn is_unfinished(&self, id: QueryId) -> bool {
        let running = self.queries.get(id);
        running.is_some_and(|running| !running.is_finished())
    }

    /// Cancels what a query has under way. Down hints go on: they have been decided on.
    fn end_flights_of(&mut self, id: QueryId) {
        self.forget_flights(|purpose| match purpose {
            Purpose::Visit { query, .. } | Purpose::Commit { query, .. } => query == id,
            _ => false,
        });
    }

    pub(super) fn forget_flights(&mut self, which: impl Fn(Purpose) -> bool) {
        let mut slot = 0;
        let which = |call: &Call| which(call.purpose);
        while let Some((next, id)) = self.inflight.next_from(slot, which) {
            self.forget(id);
            slot = next;
        }
    }

    /// Looks for nodes near a random one of the table, in the background.
    pub(super) fn start_refresh(&mut self) {
        if self.queries.is_running(Kind::Refresh) {
            return;
        }
        let slot = self.table.random(self.rng.next_u64());
        let target = slot.map_or(self.table.own(), |slot| Id::of(slot.addr()));
        self.start_query(Kind::Refresh, Query::find_node(target).discard_replies());
    }

    pub(super) fn start_bootstrap_walk(&mut self) {
        let query = Query::find_node(self.table.own()).discard_replies();
        self.start_query(Kind::Bootstrap, query);
    }

    fn check_query_size(&self, query: &Query) -> Result<(), SendError> {
        let request = Request {
            internal: query.internal,
            target: Some(query.target),
            // A commit carries a token.
            token: query.commit.then_some(Self::ANY_KEY),
            value: query.value.clone(),
            ..Request::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), query.command)
        };
        self.check_request_size(&request)
    }
}
