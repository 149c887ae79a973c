//! Queries as streams.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;

use super::error::Error;
use super::handle::Dht;
use super::shared::Look;
use super::waiting::Stage;
use crate::{Outcome, Peer, Query, Reply};

/// The replies to a query, as they come.
///
/// The query began when the stream was made. While many replies wait to be taken
/// ([`Config::max_unread_replies`](crate::Config::max_unread_replies)) it pauses: read it, or call [`finished`](Self::finished), which throws away what nobody
/// has read. Dropping the stream cancels the query. It keeps the node alive, as a
/// handle does.
///
/// The stream ends without an error: whether all went well, `finished` tells.
#[must_use = "dropping it cancels the query"]
pub struct QueryStream {
    dht: Dht,
    stage: Stage<Query>,
    outcome: Option<Result<Outcome, Error>>,
}

impl QueryStream {
    pub(crate) fn new(dht: Dht, query: Query) -> Self {
        let stage = Stage::new(dht.shared(), query);
        Self { dht, stage, outcome: None }
    }

    /// The next reply; `None` when the query is over.
    pub async fn next(&mut self) -> Option<Reply> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end. Replies that nobody has taken are thrown away. May be called
    /// again, also after the stream has ended.
    ///
    /// # Errors
    /// If the query could not begin, or its commit failed, or the node was closed with
    /// nodes left to ask.
    pub async fn finished(&mut self) -> Result<Outcome, Error> {
        if self.outcome.is_none() {
            poll_fn(|cx| self.poll_finished(cx)).await;
        }
        // It is there by now.
        self.outcome.clone().unwrap_or(Err(Error::CLOSED))
    }

    /// Waits for the end and collects all replies that nobody has taken yet.
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
    /// As [`finished`](Self::finished), and [`QueryError::TooFewNodes`](crate::QueryError::TooFewNodes) if there is nobody to commit to.
    /// Whether the commits themselves failed is for the caller to see.
    pub async fn commit_with<F, C>(&mut self, mut commit: F) -> Result<Vec<C::Output>, Error>
    where
        F: FnMut(Reply) -> C,
        C: Future,
    {
        let outcome = self.finished().await?;
        if outcome.closest.is_empty() {
            return Err(outcome.too_few().into());
        }
        let mut commits: Vec<_> =
            outcome.closest.into_iter().map(|reply| Run::Going(Box::pin(commit(reply)))).collect();
        poll_fn(|cx| {
            let mut done = true;
            for run in &mut commits {
                done &= run.poll(cx);
            }
            if done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(commits.into_iter().filter_map(Run::done).collect())
    }

    /// Ends the query early, with what it has so far: [`finished`](Self::finished) then
    /// gives that. One that still waits for its place is given up for good.
    #[doc(alias = "destroy")]
    pub fn stop(&mut self) {
        match self.stage {
            Stage::Begun(id) if self.outcome.is_none() => {
                self.dht.shared().act(|state, now| {
                    state.node.discard_replies(id);
                    state.node.finish_query(now, id);
                });
            }
            Stage::Begun(_) | Stage::Failed(_) => {}
            Stage::Waiting(_) => {
                self.stage.cancel(self.dht.shared());
                self.stage = Stage::Failed(Error::Request(crate::RequestError::Destroyed));
            }
        }
    }

    /// The closest nodes so far, the closest first, at most 20.
    #[must_use]
    pub fn closest_nodes(&self) -> Vec<Peer> {
        match (&self.outcome, &self.stage) {
            (Some(Ok(outcome)), _) => outcome.closest.iter().map(|reply| reply.from).collect(),
            (None, Stage::Begun(id)) => {
                self.dht.shared().look(|state| state.node.closest_nodes(*id))
            }
            _ => Vec::new(),
        }
    }

    /// The replies of the closest nodes, the closest first, at most 20; none before the
    /// stream has ended.
    #[must_use]
    pub fn closest_replies(&self) -> &[Reply] {
        match &self.outcome {
            Some(Ok(outcome)) => &outcome.closest,
            _ => &[],
        }
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut told = false;
        while ready!(self.poll_reply(cx, |state, id| {
            if !core::mem::replace(&mut told, true) {
                state.node.discard_replies(id);
                // It may have been paused, and go on now.
                state.poke();
            }
        }))
        .is_some()
        {}
        Poll::Ready(())
    }

    fn poll_reply(
        &mut self,
        cx: &mut Context<'_>,
        mut before: impl FnMut(&mut super::state::State, crate::QueryId),
    ) -> Poll<Option<Reply>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let stage = &mut self.stage;
        let found = ready!(self.dht.shared().poll(cx, |state, _| {
            let (id, state) = match stage.id(state) {
                Ok(begun) => begun,
                Err(Look::Ready(Ok(never))) => return Look::Ready(Ok(never)),
                Err(look) => return look,
            };
            before(state, id);
            if let Some(reply) = state.node.next_reply(id) {
                // There is a place in the mailbox: the query may go on.
                state.poke();
                return Look::Ready(Ok(Found::Reply(reply)));
            }
            match state.node.take_outcome(id) {
                Some(outcome) => {
                    let waker = state.queries.remove(&id).flatten();
                    state.bury(waker);
                    state.make_room();
                    Look::Ready(state.conclude(outcome).map(Found::Outcome))
                }
                // Only a core that broke down leaves anything open.
                None if state.node.closed() => Look::Ready(Err(Error::CLOSED)),
                None => Look::Wait(state.queries.entry(id).or_default()),
            }
        }));
        match found {
            Ok(Found::Reply(reply)) => return Poll::Ready(Some(reply)),
            Ok(Found::Outcome(outcome)) => self.outcome = Some(Ok(outcome)),
            Err(error) => self.outcome = Some(Err(error)),
        }
        Poll::Ready(None)
    }
}

impl Stream for QueryStream {
    type Item = Reply;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        self.get_mut().poll_reply(cx, |_, _| {})
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.stage.cancel(self.dht.shared());
        }
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryStream").field("over", &self.outcome.is_some()).finish_non_exhaustive()
    }
}

enum Found {
    Reply(Reply),
    Outcome(Outcome),
}

/// One commit, running or done.
enum Run<C: Future> {
    Going(Pin<Box<C>>),
    Done(C::Output),
}

impl<C: Future> Run<C> {
    /// Whether it is done.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Going(commit) = self {
            match commit.as_mut().poll(cx) {
                Poll::Ready(output) => *self = Self::Done(output),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn done(self) -> Option<C::Output> {
        match self {
            Self::Going(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}
