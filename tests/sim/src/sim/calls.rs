//! What callers ask hosts for, from outside: anything that a [`Node`] can do.

use std::any::Any;
use std::time::Duration;

use dht_core::{
    Event, Instant, Node, Outcome, Query, QueryError, QueryId, Reply, Request, RequestError,
    RequestId,
};

use super::{App, Cx, Sim, Violation};
use crate::world::HostId;

/// All replies to a query, and how it ended.
pub type Walked = (Vec<Reply>, Result<Outcome, QueryError>);
/// What became of a request.
pub type Answered = Result<Reply, RequestError>;
/// What was waited for: `None` if it did not come.
pub type Waited<T> = Result<Option<T>, Violation>;

impl Sim {
    /// Calls the node of a host; what it wants to send is sent by the next [`flush`](Self::with).
    pub(crate) fn call<T>(
        &mut self,
        at: HostId,
        call: impl FnOnce(&mut Node, Instant) -> T,
    ) -> Option<T> {
        let host = &mut self.hosts[at.index()];
        let now = host.local(self.now);
        let node = host.node.as_deref_mut()?;
        Some(call(node, now))
    }

    /// Calls the node of a host, then sends what follows. `None`: it is down. The node's clock
    /// is handed in as well.
    ///
    /// How requests and queries that are begun here end is told to the host's application like
    /// that of its own, unless [`response`](Self::response) or [`outcome`](Self::outcome) waits for it.
    pub fn with<T>(&mut self, at: HostId, call: impl FnOnce(&mut Node, Instant) -> T) -> Option<T> {
        let result = self.call(at, call)?;
        self.settle(at);
        Some(result)
    }

    /// Lets the application of a host do something, as its user would, then sends what follows. `None`:
    /// the host is down, or its application is not of this type.
    pub fn with_app<A: App, T>(
        &mut self,
        at: HostId,
        call: impl FnOnce(&mut A, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let result = self.call_app(at, |app, cx| {
            let app: &mut dyn Any = app;
            app.downcast_mut().map(|app| call(app, cx))
        });
        self.settle(at);
        result.flatten()
    }

    /// Sends a request and runs until it has ended. `None`: the host is down or went down, or the
    /// node refused the request, or nothing came of it for `limit`.
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn ask_node(&mut self, at: HostId, request: Request, limit: Duration) -> Waited<Answered> {
        match self.call(at, |node, now| node.request(now, request)) {
            Some(Ok(id)) => self.response(at, id, limit),
            _ => Ok(None),
        }
    }

    /// Runs until a request has ended.
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn response(&mut self, at: HostId, id: RequestId, limit: Duration) -> Waited<Answered> {
        self.wait(at, Awaited::Request(id), limit, |sim| {
            sim.call(at, |node, _| node.take_response(id)).flatten()
        })
    }

    /// Begins a query and runs to its end, reading all replies. `None` as for [`ask_node`](Self::ask_node).
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn walk(&mut self, at: HostId, query: Query, limit: Duration) -> Waited<Walked> {
        match self.call(at, |node, now| node.query(now, query)) {
            Some(Ok(id)) => self.outcome(at, id, limit),
            _ => Ok(None),
        }
    }

    /// Runs a query to its end, reading all replies.
    ///
    /// # Errors
    /// As [`run_for`](Self::run_for).
    pub fn outcome(&mut self, at: HostId, id: QueryId, limit: Duration) -> Waited<Walked> {
        let mut replies = Vec::new();
        let outcome = self.wait(at, Awaited::Query(id), limit, |sim| {
            while let Some(Some(reply)) = sim.with(at, |node, _| node.next_reply(id)) {
                replies.push(reply);
            }
            sim.call(at, |node, _| node.take_outcome(id)).flatten()
        })?;
        Ok(outcome.map(|outcome| (replies, outcome)))
    }

    /// Runs until `take` has something for a caller, and tells the application nothing of it.
    fn wait<T>(
        &mut self,
        at: HostId,
        what: Awaited,
        limit: Duration,
        mut take: impl FnMut(&mut Self) -> Option<T>,
    ) -> Waited<T> {
        let mut result = None;
        self.awaited.insert((at, what));
        self.settle(at);
        let ended = self.run_until(limit, |sim| {
            result = take(sim);
            result.is_some()
        });
        self.awaited.remove(&(at, what));
        ended.map(|_| result)
    }

    /// Whether an event is news of what a caller waits for.
    pub(crate) fn is_awaited(&self, at: HostId, event: &Event) -> bool {
        let awaited = match event {
            Event::Response(id) => Awaited::Request(*id),
            Event::Reply(id) | Event::Finished(id) => Awaited::Query(*id),
            _ => return false,
        };
        self.awaited.contains(&(at, awaited))
    }
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Awaited {
    Request(RequestId),
    Query(QueryId),
}
