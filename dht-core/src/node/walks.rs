//! Queries: their walks are fed and driven here, their replies kept, their commits made.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddrV4;

use bytes::Bytes;

use super::Node;
use crate::command::DOWN_HINT;
use crate::congestion::Class;
use crate::error::{QueryError, RequestError, SendError};
use crate::error_code::INVALID_TOKEN;
use crate::event::Event;
use crate::id::Id;
use crate::inflight::{Call, Purpose};
use crate::message::{Commit, Outcome, Peer, Query, QueryId, Reply, Request, SessionId};
use crate::query::{Offer, Plan, Walk};
use crate::table::K;
use crate::time::Instant;
use crate::wire::{self, VARINT_MAX};

/// While this many replies wait to be read, or may come, a query asks nobody else.
const MAILBOX_MAX: usize = 64;
/// A background query keeps to its share of the concurrency while more than this is in flight.
const QUIET: usize = 3;

/// On whose behalf a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Bootstrap,
    Refresh,
}

/// What a query is doing.
#[derive(Clone, Debug)]
enum Phase {
    Walking(Box<Walk>),
    Committing(Committing),
    Finished(Result<Outcome, QueryError>),
}

#[derive(Clone, Debug)]
struct Committing {
    outcome: Outcome,
    commit: Commit,
    /// The next of the closest to commit to.
    next: usize,
    /// Commits under way.
    open: usize,
}

#[derive(Clone, Debug)]
struct Running {
    id: QueryId,
    kind: Kind,
    query: Query,
    phase: Phase,
    mailbox: VecDeque<Reply>,
    /// Bootstrap names that are being looked up may bring more nodes to ask.
    wants_lookup: bool,
}

/// All queries, those with an outcome that nobody took among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queries {
    slots: Vec<Option<Box<Running>>>,
    serial: u64,
    /// Some query could not ask everybody for want of a place.
    stalled: bool,
}

impl Queries {
    /// At most about how many events about queries may wait.
    pub(super) fn notes(&self) -> usize {
        self.slots.iter().flatten().map(|running| running.mailbox.len() + 1).sum()
    }

    pub(super) fn has(&self, id: QueryId) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn is_running(&self, kind: Kind) -> bool {
        self.slots.iter().flatten().any(|running| running.kind == kind)
    }

    /// Gives memory back that a burst has left behind.
    pub(super) fn trim(&mut self) {
        if self.slots.iter().all(Option::is_none) {
            self.slots = Vec::new();
        }
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(super) fn check_invariants(&self, node: &Node) {
        assert!(self.users() <= node.config.max_queries);
        assert!(!self.stalled || node.is_busy(), "there are places, and nobody was told");
        let mut active = 0;
        for (at, running) in self.slots.iter().enumerate() {
            let Some(running) = running else { continue };
            assert_eq!(self.get(running.id).map(|running| running.id), Some(running.id), "at {at}");
            running.check_invariants(self.stalled, node);
            active += u64::from(!matches!(running.phase, Phase::Finished(_)));
        }
        assert_eq!(node.stats.queries.active, active);
        for (_, flight) in node.inflight.iter() {
            let phase = |query| self.get(query).map(|running| &running.phase);
            match flight.call.purpose {
                Purpose::Visit { query, .. } => {
                    assert!(matches!(phase(query), Some(Phase::Walking(_))), "nobody waits for it");
                }
                Purpose::Commit { query, .. } => {
                    assert!(matches!(phase(query), Some(Phase::Committing(_))));
                }
                _ => {}
            }
        }
    }

    fn users(&self) -> usize {
        self.slots.iter().flatten().filter(|running| running.kind == Kind::User).count()
    }

    fn get(&self, id: QueryId) -> Option<&Running> {
        let running = self.slots.get((id.0 & 0xffff) as usize)?.as_deref()?;
        (running.id == id).then_some(running)
    }

    fn get_mut(&mut self, id: QueryId) -> Option<&mut Running> {
        let running = self.slots.get_mut((id.0 & 0xffff) as usize)?.as_deref_mut()?;
        (running.id == id).then_some(running)
    }

    fn take(&mut self, id: QueryId) -> Option<Box<Running>> {
        self.get(id)?;
        self.slots.get_mut((id.0 & 0xffff) as usize)?.take()
    }

    fn put(&mut self, running: Box<Running>) {
        if let Some(slot) = self.slots.get_mut((running.id.0 & 0xffff) as usize) {
            *slot = Some(running);
        }
    }

    fn new_id(&mut self) -> QueryId {
        let at = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.serial += 1;
        QueryId(self.serial << 16 | at as u64)
    }

    fn ids(&self) -> Vec<QueryId> {
        self.slots.iter().flatten().map(|running| running.id).collect()
    }
}

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
        if !matches!(self.queries.get(id)?.phase, Phase::Finished(_)) {
            return None;
        }
        match self.queries.take(id)?.phase {
            Phase::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The closest repliers with a proven id so far, the closest first.
    #[must_use]
    pub fn closest_nodes(&self, id: QueryId) -> Vec<Peer> {
        let peers = |closest: &[Reply]| closest.iter().map(|reply| reply.from).collect();
        match self.queries.get(id).map(|running| &running.phase) {
            Some(Phase::Walking(walk)) => walk.closest_peers(),
            Some(Phase::Committing(committing)) => peers(&committing.outcome.closest),
            Some(Phase::Finished(Ok(outcome))) => peers(&outcome.closest),
            Some(Phase::Finished(Err(_))) | None => Vec::new(),
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
                let outcome = running.outcome_so_far();
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
        if self.queries.take(id).is_some() {
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
        let mut walk = Walk::new(Plan {
            target: query.target,
            concurrency,
            thorough: query.thorough,
            only_given: query.only_closest_nodes,
            salt: self.rng.next_u32(),
        });
        for addr in query.nodes.iter().copied().filter(|addr| Self::is_sendable(*addr)) {
            walk.offer(addr);
        }
        let id = self.queries.new_id();
        let mut running = Box::new(Running {
            id,
            kind,
            phase: Phase::Walking(Box::new(walk)),
            mailbox: VecDeque::new(),
            wants_lookup: false,
            query,
        });
        self.seed(&mut running);
        self.queries.put(running);
        self.pump(id);
        id
    }

    /// Adds nodes to begin with: the closest of the table and, if these are few, the bootstrap nodes.
    fn seed(&mut self, running: &mut Running) {
        let Phase::Walking(walk) = &mut running.phase else {
            return;
        };
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
            if let Phase::Walking(walk) = &mut running.phase {
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
        let given =
            self.config.bootstrap.iter().flat_map(super::super::config::BootstrapNode::addrs);
        let found = self.lookups.known().filter_map(|(at, ip)| {
            let node = self.config.bootstrap.get(at)?;
            Some(SocketAddrV4::new(ip, node.port))
        });
        let usable = |addr: &SocketAddrV4| Self::is_sendable(*addr) && Some(*addr) != self.own_addr;
        given.chain(found).filter(usable).collect()
    }

    fn background_concurrency(&self) -> u16 {
        self.config.concurrency.min((self.config.concurrency / 8).max(2))
    }

    /// Lets a query ask whom it can, and end if there is nothing left to wait for.
    pub(super) fn pump(&mut self, id: QueryId) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        match &mut running.phase {
            Phase::Walking(walk) => {
                self.visit_some(id, &running.query, walk, running.mailbox.len());
                if !walk.is_done(running.wants_lookup) {
                    return self.queries.put(running);
                }
                if walk.wants_table() {
                    self.seed(&mut running);
                    self.queries.put(running);
                    return self.pump(id);
                }
                self.queries.put(running);
                self.finish_walk(id);
            }
            Phase::Committing(committing) => {
                self.commit_some(id, &running.query, committing);
                if committing.open > 0 || committing.next < committing.outcome.closest.len() {
                    return self.queries.put(running);
                }
                let result = committing.result();
                self.conclude(running, result);
            }
            Phase::Finished(_) => self.queries.put(running),
        }
    }

    /// Goes on with queries that had found no place. To be called after all that may free one, at
    /// the end of each way in: a query that ends while others are pumped frees places for those
    /// before it.
    pub(super) fn pump_stalled(&mut self) {
        while self.queries.stalled && !self.is_busy() {
            self.queries.stalled = false;
            for id in self.queries.ids() {
                self.pump(id);
            }
        }
    }

    fn visit_some(&mut self, id: QueryId, query: &Query, walk: &mut Walk, unread: usize) {
        while query.discard || unread + walk.in_flight() < MAILBOX_MAX {
            if self.is_busy() {
                self.queries.stalled = true;
                break;
            }
            let Some((node, to)) = walk.next() else { break };
            let call = Call {
                to,
                retries: if query.force { 0 } else { query.retries },
                force: query.force,
                token: None,
                purpose: Purpose::Visit { query: id, node },
                ..self.call_of(query)
            };
            if self.begin(call).is_none() {
                walk.put_back(node);
                self.queries.stalled = true;
                break;
            }
        }
        walk.begun();
    }

    fn commit_some(&mut self, id: QueryId, query: &Query, committing: &mut Committing) {
        while let Some(reply) = committing.outcome.closest.get(committing.next) {
            let Some(token) = reply.token else {
                committing.commit.without_token += 1;
                committing.next += 1;
                continue;
            };
            let to = u16::try_from(committing.next).unwrap_or(u16::MAX);
            let call = Call {
                to: reply.from.addr,
                token: Some(token),
                purpose: Purpose::Commit { query: id, to, again: false },
                ..self.call_of(query)
            };
            if self.is_busy() || self.begin(call).is_none() {
                self.queries.stalled = true;
                break;
            }
            committing.next += 1;
            committing.open += 1;
        }
    }

    /// What all requests of a query have in common.
    fn call_of(&self, query: &Query) -> Call {
        Call {
            to: SocketAddrV4::new(core::net::Ipv4Addr::UNSPECIFIED, 0),
            via: self.request_via(),
            internal: query.internal,
            command: query.command,
            target: Some(query.target),
            token: None,
            value: query.value.clone(),
            ttl: None,
            retries: 3,
            delay: core::time::Duration::ZERO,
            class: Class::Query,
            force: false,
            any_replier: false,
            session: query.session,
            purpose: Purpose::User,
        }
    }

    pub(super) fn on_visit_answered(&mut self, id: QueryId, node: u16, reply: Reply) {
        if self.queries.get(id).is_some_and(|running| running.kind == Kind::Bootstrap) {
            self.quick_nat(reply.from.addr);
        }
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        let Phase::Walking(walk) = &mut running.phase else {
            return self.queries.put(running);
        };
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
        if running.kind != Kind::User {
            // Background work yields to other traffic.
            let quiet = self.inflight.live() < QUIET;
            walk.set_concurrency(match quiet {
                true => self.config.concurrency,
                false => self.background_concurrency(),
            });
        }
        if reply.error == 0 && !running.query.discard {
            running.mailbox.push_back(reply);
            self.emit(Event::Reply(id));
        }
        self.queries.put(running);
        self.pump(id);
    }

    pub(super) fn on_visit_missed(&mut self, id: QueryId, node: u16) {
        let Some(running) = self.queries.get_mut(id) else {
            return;
        };
        if let Phase::Walking(walk) = &mut running.phase {
            walk.missed(node);
            self.pump(id);
        }
    }

    pub(super) fn on_visit_failed(&mut self, id: QueryId, node: u16, timed_out: bool) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        if let Phase::Walking(walk) = &mut running.phase {
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

    pub(super) fn on_commit_answered(&mut self, id: QueryId, to: u16, again: bool, reply: &Reply) {
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        if let Phase::Committing(committing) = &mut running.phase {
            // A token may have grown too old while the others were being asked.
            let fresh = reply.token.filter(|_| reply.error == INVALID_TOKEN && !again);
            let retried = fresh.and_then(|token| {
                self.begin(Call {
                    to: reply.from.addr,
                    token: Some(token),
                    purpose: Purpose::Commit { query: id, to, again: true },
                    ..self.call_of(&running.query)
                })
            });
            let commit = &mut committing.commit;
            if retried.is_none() {
                committing.open -= 1;
                match reply.error {
                    0 => commit.succeeded += 1,
                    code => {
                        commit.refused += 1;
                        commit.refusal = Some(code);
                    }
                }
            }
        }
        self.queries.put(running);
        self.pump(id);
    }

    pub(super) fn on_commit_failed(&mut self, id: QueryId, error: RequestError) {
        let Some(running) = self.queries.get_mut(id) else {
            return;
        };
        if let Phase::Committing(committing) = &mut running.phase {
            committing.open -= 1;
            committing.commit.timed_out += u32::from(error == RequestError::Timeout);
            self.pump(id);
        }
    }

    /// The walk is over: what is left of it is cancelled, and the commits begin.
    fn finish_walk(&mut self, id: QueryId) {
        let (overdue, unresolved) = match self.queries.get(id).map(|running| &running.phase) {
            Some(Phase::Walking(walk)) => (walk.overdue(), self.lookups.failures()),
            _ => return,
        };
        self.end_flights_of(id);
        let Some(mut running) = self.queries.take(id) else {
            return;
        };
        let outcome = running.outcome_so_far();
        match running.kind {
            Kind::Refresh => self.stats.queries.active -= 1,
            Kind::Bootstrap => {
                self.stats.queries.active -= 1;
                self.on_bootstrap_walked(&outcome, overdue, unresolved);
            }
            Kind::User if !running.query.commit => self.conclude(running, Ok(outcome)),
            Kind::User if outcome.closest.is_empty() => {
                let error = QueryError::TooFewNodes {
                    asked: outcome.asked,
                    answered: outcome.asked.saturating_sub(outcome.timed_out + overdue),
                    timed_out: outcome.timed_out + overdue,
                };
                self.conclude(running, Err(error));
            }
            Kind::User => {
                let commit = Commit::default();
                running.phase = Phase::Committing(Committing { outcome, commit, next: 0, open: 0 });
                self.queries.put(running);
                self.pump(id);
            }
        }
    }

    fn conclude(&mut self, mut running: Box<Running>, result: Result<Outcome, QueryError>) {
        let id = running.id;
        self.stats.queries.active -= 1;
        if running.kind == Kind::User {
            running.phase = Phase::Finished(result);
            self.queries.put(running);
            self.emit(Event::Finished(id));
        }
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
        self.end_flights_of(id);
        let Some(mut running) = self.queries.take(id) else { return };
        let abandoned = matches!(&running.phase, Phase::Walking(walk) if walk.has_candidates());
        let closed = self.check_open() == Err(SendError::Closed);
        let result = match () {
            () if closed && abandoned => Err(QueryError::NodeDestroyed),
            () if running.query.commit => Err(QueryError::Cancelled(error)),
            () => Ok(running.outcome_so_far()),
        };
        self.conclude(running, result);
    }

    fn is_unfinished(&self, id: QueryId) -> bool {
        let running = self.queries.get(id);
        running.is_some_and(|running| !matches!(running.phase, Phase::Finished(_)))
    }

    /// Cancels what a query has under way. Down hints go on: they have been decided on.
    fn end_flights_of(&mut self, id: QueryId) {
        self.forget_flights(|purpose| match purpose {
            Purpose::Visit { query, .. } | Purpose::Commit { query, .. } => query == id,
            _ => false,
        });
    }

    pub(super) fn forget_flights(&mut self, which: impl Fn(Purpose) -> bool) {
        let flights = self.inflight.iter().filter(|(_, flight)| which(flight.call.purpose));
        let ids: Vec<_> = flights.map(|(id, _)| id).collect();
        for id in ids {
            self.forget(id);
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
            token: query.commit.then_some(Self::ANY_TOKEN),
            value: query.value.clone(),
            ..Request::new(SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, 1), query.command)
        };
        self.check_request_size(&request)
    }
}

impl Running {
    /// Besides the counts: what has not ended waits for something that will come.
    #[cfg(any(test, feature = "_invariants"))]
    fn check_invariants(&self, stalled: bool, node: &Node) {
        let under_way = |wanted: &dyn Fn(Purpose) -> bool| {
            node.inflight.iter().filter(|(_, flight)| wanted(flight.call.purpose)).count()
        };
        let unread = self.mailbox.len();
        assert!(unread <= MAILBOX_MAX && (unread == 0 || !self.query.discard));
        assert!(self.kind == Kind::User || self.query.discard);
        match &self.phase {
            Phase::Walking(walk) => {
                let id = self.id;
                let visits =
                    under_way(&|p| matches!(p, Purpose::Visit { query, .. } if query == id));
                assert_eq!(walk.in_flight(), visits);
                let paused = !self.query.discard && unread >= MAILBOX_MAX;
                let looks_up = self.wants_lookup && node.lookups.pending();
                assert!(visits > 0 || paused || looks_up || stalled, "a query waits for nothing");
            }
            Phase::Committing(committing) => {
                let id = self.id;
                let commits =
                    under_way(&|p| matches!(p, Purpose::Commit { query, .. } if query == id));
                assert_eq!(committing.open, commits);
                assert!(commits > 0 || stalled, "a commit waits for nothing");
            }
            Phase::Finished(_) => assert_eq!(self.kind, Kind::User),
        }
    }

    fn outcome_so_far(&mut self) -> Outcome {
        match &mut self.phase {
            Phase::Walking(walk) => {
                let (asked, successes, errors, timed_out) = walk.tally();
                let closest = walk.take_closest();
                Outcome { closest, successes, errors, asked, timed_out, commit: None }
            }
            Phase::Committing(committing) => core::mem::take(&mut committing.outcome),
            Phase::Finished(Ok(outcome)) => outcome.clone(),
            Phase::Finished(Err(_)) => Outcome::default(),
        }
    }
}

impl Committing {
    fn result(&mut self) -> Result<Outcome, QueryError> {
        if self.commit.succeeded == 0 {
            return Err(QueryError::Commit(self.commit));
        }
        self.outcome.commit = Some(self.commit);
        Ok(core::mem::take(&mut self.outcome))
    }
}
