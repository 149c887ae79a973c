//! What callers do with queries: begin them, take what they bring, end them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::Node;
use super::queries::{Kind, Phase};
use crate::addr::is_sendable;
use crate::api::ask::{Query, Request};
use crate::api::error::{QueryError, SendError};
use crate::api::message::{Outcome, Peer, QueryId, Reply};
use crate::time::Instant;
use crate::wire::VARINT_MAX;

impl Node {
    /// Begins a query. Replies come one by one ([`Event::Reply`](crate::Event::Reply)), then its outcome
    /// ([`Event::Finished`](crate::Event::Finished)); both wait until they are taken.
    ///
    /// # Errors
    /// If it can't be begun: see [`SendError`]. Nothing is sent then.
    pub fn query(&mut self, now: Instant, query: Query) -> Result<QueryId, SendError> {
        self.enter(now);
        self.check_open()?;
        if !query.nodes.iter().all(|addr| is_sendable(*addr)) {
            return Err(SendError::InvalidAddress);
        }
        if query.command > VARINT_MAX {
            return Err(SendError::OutOfRange);
        }
        self.check_query_size(&query)?;
        if self.queries.users() >= self.cx.config.max_queries {
            return Err(SendError::Busy);
        }
        let id = self.start_query(Kind::User, query);
        self.pump_stalled();
        Ok(id)
    }

    /// The next reply to a query, which frees a place: with too many untaken a query pauses, see
    /// [`Config::max_unread_replies`](crate::Config::max_unread_replies).
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

    /// How a query ended, once: the first call after [`Event::Finished`](crate::Event::Finished) takes it and
    /// forgets the query, with all replies that were not taken.
    #[must_use]
    pub fn take_outcome(&mut self, id: QueryId) -> Option<Result<Outcome, QueryError>> {
        if !self.queries.get(id)?.is_finished() {
            return None;
        }
        let mut running = self.queries.take(id)?;
        let phase = core::mem::replace(&mut running.phase, Phase::Walking);
        self.queries.recycle(running, &self.cx.config);
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
    /// gone, [`Event::Finished`](crate::Event::Finished) follows. One that has ended is left alone.
    pub fn finish_query(&mut self, now: Instant, id: QueryId) {
        self.enter(now);
        if self.is_unfinished(id) {
            if let Some(mut running) = self.queries.take(id) {
                self.leave_late(&running);
                self.end_flights_of(id);
                running.mailbox = VecDeque::new();
                let outcome = running.take_outcome_so_far();
                self.conclude(running, Ok(outcome));
            }
            self.pump_stalled();
        }
    }

    /// Forgets a query, ended or not, with all that it has under way. Visits that are late go on until it is
    /// clear whether their nodes are down. No event about it follows from now on.
    pub fn cancel_query(&mut self, now: Instant, id: QueryId) {
        self.enter(now);
        if self.cancel(id) {
            self.pump_stalled();
        }
    }

    pub(super) fn cancel(&mut self, id: QueryId) -> bool {
        let unfinished = self.is_unfinished(id);
        let Some(running) = self.queries.take(id) else { return false };
        self.leave_late(&running);
        self.end_flights_of(id);
        self.queries.recycle(running, &self.cx.config);
        self.cx.stats.queries.active -= u64::from(unfinished);
        true
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
