//! What callers do with queries: begin them, take what they bring, end them.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::{Node, Parts};
use crate::api::ask::Query;
use crate::api::error::{QueryError, SendError};
use crate::api::message::{Outcome, Peer, QueryId, Reply};
use crate::queries::Kind;
use crate::time::Instant;

/// # Queries
impl Node {
    /// Begins a query. Replies come one by one ([`Event::Reply`](crate::Event::Reply)), then its outcome
    /// ([`Event::Finished`](crate::Event::Finished)); both wait until they are taken.
    ///
    /// # Errors
    /// If it can't be begun: see [`SendError`]. Nothing is sent then.
    pub fn query(&mut self, now: Instant, query: Query) -> Result<QueryId, SendError> {
        self.parts.enter(now, |node| node.query(query))
    }

    /// The next reply to a query, which frees a place: with too many untaken a query pauses, see
    /// [`Config::max_unread_replies`](crate::Config::max_unread_replies).
    #[must_use]
    pub fn next_reply(&mut self, id: QueryId) -> Option<Reply> {
        self.parts.enter_now(|node| node.queries.next_reply(id))
    }

    /// The replies of a query are not wanted from now on, only its outcome: it never pauses.
    pub fn discard_replies(&mut self, id: QueryId) {
        self.parts.enter_now(|node| node.queries.discard_replies(id));
    }

    /// How a query ended, once: the first call after [`Event::Finished`](crate::Event::Finished) takes it and
    /// forgets the query, with all replies that were not taken.
    #[must_use]
    pub fn take_outcome(&mut self, id: QueryId) -> Option<Result<Outcome, QueryError>> {
        self.parts.enter_now(|node| node.queries.take_outcome(id))
    }

    /// The closest repliers with a proven id so far, the closest first.
    #[must_use]
    pub fn closest_nodes(&self, id: QueryId) -> Vec<Peer> {
        self.parts.queries.closest(id).iter().map(|reply| reply.from).collect()
    }

    /// Ends a query early, with what it has and without a commit: replies that were not taken are
    /// gone, [`Event::Finished`](crate::Event::Finished) follows. A query that has ended is left alone.
    pub fn finish_query(&mut self, now: Instant, id: QueryId) {
        self.parts.enter(now, |node| node.end_query(id, None));
    }

    /// Forgets a query, ended or not, with all that it has under way. Visits that are late go on until it is
    /// clear whether their nodes are down. Events about it that wait may still be polled; there is nothing to take then.
    pub fn cancel_query(&mut self, now: Instant, id: QueryId) {
        self.parts.enter(now, |node| node.cancel(id));
    }
}

impl Parts {
    fn query(&mut self, query: Query) -> Result<QueryId, SendError> {
        self.check_sendable(&query.nodes, query.command)?;
        // A commit carries a token.
        let token = query.commit.then_some(Self::ANY_KEY.into());
        self.check_request_size(&query.request(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), token))?;
        if self.queries.users() >= self.cx.config.max_queries {
            return Err(SendError::Busy);
        }
        Ok(self.start_query(Kind::User, query))
    }
}
