//! Queries as streams.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;

use super::call::Call;
use super::calls::{CallId, Want};
use super::error::Error;
use super::guard::own;
use super::shared::Handle;
use crate::{Outcome, Peer, Query, Reply, RequestError};

/// The replies to a query as they come, made by [`Dht::query`](super::Dht::query).
///
/// The query began when the stream was made. While [`Config::max_unread_replies`](crate::Config::max_unread_replies)
/// replies wait to be taken it pauses: read it, or call [`finished`](Self::finished), which discards replies that
/// were not read. Dropping the stream cancels the query. It keeps the node alive, as a handle does.
///
/// The stream ends without an error: `finished` tells whether all went well.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::{Id, Query};
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let query = || Query::find_node(Id([7; 32])).nodes(other.server_address());
///
/// // Reply by reply:
/// let mut replies = node.query(query());
/// while let Some(reply) = replies.next().await {
///     assert_eq!(Some(reply.from.addr), other.server_address());
/// }
/// assert_eq!(replies.finished().await?.successes, 1);
///
/// // Or only the end of it:
/// let outcome = node.query(query()).finished().await?;
/// assert_eq!(outcome.asked, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it cancels the query"]
pub struct QueryStream {
    call: Call,
    outcome: Option<Result<Outcome, Error>>,
    /// Replies that were not read are of no use any more, which the core knows.
    discards: bool,
}

impl QueryStream {
    pub(crate) fn new(handle: Handle, mut query: Query) -> Self {
        own(&mut query.value);
        Self { call: Call::new(handle, Want::Query(query)), outcome: None, discards: false }
    }

    /// The next reply; `None` when the query is over.
    pub async fn next(&mut self) -> Option<Reply> {
        poll_fn(|cx| self.poll_reply(cx, false)).await
    }

    /// Waits for the end. Replies that were not read are discarded. May be called again, also after the stream has
    /// ended.
    ///
    /// # Errors
    /// If the query could not begin, or its commit failed, or the node was closed with
    /// nodes left to ask.
    pub async fn finished(&mut self) -> Result<Outcome, Error> {
        poll_fn(|cx| {
            while ready!(self.poll_reply(cx, true)).is_some() {}
            Poll::Ready(())
        })
        .await;
        // It is there by now.
        self.outcome.clone().unwrap_or(Err(Error::CLOSED))
    }

    /// Waits for the end and collects all replies that were not read so far.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    pub async fn replies(&mut self) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::new();
        while let Some(reply) = self.next().await {
            replies.push(reply);
        }
        self.finished().await.map(|_| replies)
    }

    /// Waits for the end and gives the closest nodes, the closest first, at most 20.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    pub async fn nodes(&mut self) -> Result<Vec<Peer>, Error> {
        self.finished().await.map(|_| self.closest_nodes())
    }

    /// Waits for the end, then calls `commit` for each of the closest replies, the closest
    /// first, and runs what it gives back side by side, until all of it is done. This is a
    /// commit with a logic of its own; [`Query::commit`] is the usual one.
    ///
    /// # Errors
    /// As [`finished`](Self::finished), and [`QueryError::TooFewNodes`](crate::QueryError::TooFewNodes) if there is no
    /// node to commit to. Whether the commits themselves failed is for the caller to see.
    pub async fn commit_with<F, C>(&mut self, commit: F) -> Result<Vec<C::Output>, Error>
    where
        F: FnMut(Reply) -> C,
        C: Future,
    {
        let outcome = self.finished().await?;
        if outcome.closest.is_empty() {
            return Err(outcome.too_few().into());
        }
        Ok(all(outcome.closest.into_iter().map(commit)).await)
    }

    /// Ends the query early, with what it has so far: [`finished`](Self::finished) then
    /// gives that. A query that still waits for its place is given up for good.
    #[doc(alias = "destroy")]
    pub fn stop(&mut self) {
        match self.call.begun() {
            _ if self.outcome.is_some() => {}
            Some(Ok(CallId::Query(id))) => self.call.handle.act(|state, now| {
                state.node.discard_replies(id);
                state.node.finish_query(now, id);
            }),
            Some(_) => {}
            None => {
                self.call.cancel();
                self.outcome = Some(Err(RequestError::Destroyed.into()));
            }
        }
    }

    /// The closest nodes so far, the closest first, at most 20.
    #[must_use]
    pub fn closest_nodes(&self) -> Vec<Peer> {
        match (&self.outcome, self.call.begun()) {
            (Some(Ok(outcome)), _) => outcome.closest.iter().map(|reply| reply.from).collect(),
            (None, Some(Ok(CallId::Query(id)))) => {
                self.call.handle.look(|state| state.node.closest_nodes(id))
            }
            _ => Vec::new(),
        }
    }

    /// The replies of the closest nodes, the closest first, at most 20; none before the
    /// stream has ended.
    #[must_use]
    pub fn closest_replies(&self) -> &[Reply] {
        self.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()).map_or(&[], |o| &o.closest)
    }

    /// The next reply, or `None` when the outcome is there. `discard`: replies are of no use any more, so the query
    /// does not pause for them.
    fn poll_reply(&mut self, cx: &mut Context<'_>, discard: bool) -> Poll<Option<Reply>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let found = ready!(self.call.poll(cx, |state, id| {
            let CallId::Query(id) = id else { return None };
            if discard && !core::mem::replace(&mut self.discards, true) {
                state.node.discard_replies(id);
                // It may have paused, and goes on now.
                state.poke();
            }
            if let Some(reply) = state.node.next_reply(id) {
                return Some((false, Ok(Ok(reply))));
            }
            let outcome = state.node.take_outcome(id)?;
            Some((true, state.conclude(outcome).map(Err)))
        }));
        match found {
            Ok(Ok(reply)) => return Poll::Ready(Some(reply)),
            Ok(Err(outcome)) => self.outcome = Some(Ok(outcome)),
            Err(error) => self.outcome = Some(Err(error)),
        }
        Poll::Ready(None)
    }
}

/// Runs futures side by side, until all of them are done.
pub(crate) async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<Result<F::Output, Pin<Box<F>>>> =
        futures.map(|future| Err(Box::pin(future))).collect();
    poll_fn(|cx| {
        for one in &mut all {
            if let Err(going) = one {
                if let Poll::Ready(output) = going.as_mut().poll(cx) {
                    *one = Ok(output);
                }
            }
        }
        if all.iter().all(Result::is_ok) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().flatten().collect()
}

impl Stream for QueryStream {
    type Item = Reply;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        self.get_mut().poll_reply(cx, false)
    }
}
